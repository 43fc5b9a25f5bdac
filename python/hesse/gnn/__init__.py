"""Learning on graphs: graphs, message passing, layers, pooling, metrics."""

from ._aggregation import EdgeConv, GINConv, GINEConv, PNAConv, RGCNConv, SAGEConv
from ._ase import ase_calculator
from ._attention import GATConv, GATv2Conv, TransformerConv
from ._batch import batch, unbatch
from ._bipartite import Bipartite
from ._convert import from_dense, from_networkx, from_pyg, from_scipy, to_pyg
from ._dimenet import DimeNetPlusPlus, triplets
from ._edge_networks import GatedGraphConv, NNConv
from ._encodings import laplacian_encoding, random_walk_encoding
from ._equivariant import EGNN, EGNNConv
from ._estimators import (
    GraphClassifier,
    GraphRegressor,
    LinkClassifier,
    LinkRegressor,
    NodeClassifier,
    NodeRegressor,
)
from ._fitting import Epoch
from ._forces import energy_and_forces, energy_forces_and_stress
from ._graph import Graph
from ._hetero import HeteroGraph
from ._hetero_conv import HeteroConv
from ._links import LinkSplit, edge_split, negative_sampling
from ._loader import DataLoader, pad
from ._mesh import MeshGraphNet, from_mesh
from ._message import message_passing
from ._metrics import accuracy, f1_score, mean_absolute_error, roc_auc, root_mean_square_error
from ._molecules import ATOM_FEATURES, BOND_FEATURES, from_rdkit, from_smiles, molecules, scaffold_split
from ._mpnn import MPNN
from ._neighbours import edge_vectors, neighbours, radius_graph
from ._normalisation import GraphNorm, PairNorm
from ._ogb import OGB, load_ogb
from ._painn import PaiNN
from ._pooling import (
    AttentionPooling,
    JumpingKnowledge,
    Residual,
    Set2Set,
    TopKPooling,
    VirtualNode,
    global_max_pool,
    global_mean_pool,
    global_sum_pool,
)
from ._prefetch import NeighbourLoader, prefetch
from ._ranking import average_precision, hits_at_k, mean_reciprocal_rank
from ._saint import saint_normalised
from ._sample import clusters, induced_sample, neighbour_sample, random_walk_sample, random_walks
from ._sampled import HeteroSample, Sample
from ._schnet import CFConv, SchNet, shifted_softplus
from ._spectral import APPNP, ChebConv, GCNConv, SGConv
from ._splits import EarlyStopping, class_weights, random_split, stratified_split
from ._structures import from_structures
from ._tudataset import load_tudataset

__all__ = [
    "APPNP",
    "ATOM_FEATURES",
    "BOND_FEATURES",
    "EGNN",
    "MPNN",
    "OGB",
    "AttentionPooling",
    "Bipartite",
    "CFConv",
    "ChebConv",
    "DataLoader",
    "DimeNetPlusPlus",
    "EGNNConv",
    "EarlyStopping",
    "EdgeConv",
    "Epoch",
    "GATConv",
    "GATv2Conv",
    "GCNConv",
    "GINConv",
    "GINEConv",
    "GatedGraphConv",
    "Graph",
    "GraphClassifier",
    "GraphNorm",
    "GraphRegressor",
    "HeteroConv",
    "HeteroGraph",
    "HeteroSample",
    "JumpingKnowledge",
    "LinkClassifier",
    "LinkRegressor",
    "LinkSplit",
    "MeshGraphNet",
    "NNConv",
    "NeighbourLoader",
    "NodeClassifier",
    "NodeRegressor",
    "PNAConv",
    "PaiNN",
    "PairNorm",
    "RGCNConv",
    "Residual",
    "SAGEConv",
    "SGConv",
    "Sample",
    "SchNet",
    "Set2Set",
    "TopKPooling",
    "TransformerConv",
    "VirtualNode",
    "accuracy",
    "ase_calculator",
    "average_precision",
    "batch",
    "class_weights",
    "clusters",
    "edge_split",
    "edge_vectors",
    "energy_and_forces",
    "energy_forces_and_stress",
    "f1_score",
    "from_dense",
    "from_mesh",
    "from_networkx",
    "from_pyg",
    "from_rdkit",
    "from_scipy",
    "from_smiles",
    "from_structures",
    "global_max_pool",
    "global_mean_pool",
    "global_sum_pool",
    "hits_at_k",
    "induced_sample",
    "laplacian_encoding",
    "load_ogb",
    "load_tudataset",
    "mean_absolute_error",
    "mean_reciprocal_rank",
    "message_passing",
    "molecules",
    "negative_sampling",
    "neighbour_sample",
    "neighbours",
    "pad",
    "prefetch",
    "radius_graph",
    "random_split",
    "random_walk_encoding",
    "random_walk_sample",
    "random_walks",
    "roc_auc",
    "root_mean_square_error",
    "saint_normalised",
    "scaffold_split",
    "shifted_softplus",
    "stratified_split",
    "to_pyg",
    "triplets",
    "unbatch",
]
