"""Learning on graphs: graphs, message passing, layers, pooling, metrics."""

from ._attention import GATConv, GATv2Conv, TransformerConv
from ._batch import batch, unbatch
from ._convert import from_dense, from_networkx, from_pyg, from_scipy
from ._encodings import laplacian_encoding, random_walk_encoding
from ._graph import Graph
from ._message import message_passing
from ._spectral import APPNP, ChebConv, GCNConv, SGConv

__all__ = [
    "APPNP",
    "ChebConv",
    "GATConv",
    "GATv2Conv",
    "GCNConv",
    "Graph",
    "SGConv",
    "TransformerConv",
    "batch",
    "from_dense",
    "from_networkx",
    "from_pyg",
    "from_scipy",
    "laplacian_encoding",
    "message_passing",
    "random_walk_encoding",
    "unbatch",
]
