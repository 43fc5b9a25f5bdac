"""Models of nodes, pairs of nodes and graphs with fit, predict and score, as scikit-learn has them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .._hesse import Array
from ._fitting import Classifier, Regressor
from ._fitting_rows import OfGraphs, OfLinks, OfNodes
from ._graph import Graph

__all__ = [
    "GraphClassifier",
    "GraphRegressor",
    "LinkClassifier",
    "LinkRegressor",
    "NodeClassifier",
    "NodeRegressor",
]


class NodeClassifier(OfNodes, Classifier):
    """Classes of the nodes of a graph: `fit`, `predict` and `score` take nodes, as scikit-learn takes rows.

    ``sklearn.model_selection.cross_val_score(NodeClassifier(build, graph), nodes, labels)`` works, and so do `clone`,
    `GridSearchCV` and what else needs no more of an estimator.

    Parameters
    ----------
    build : callable
        ``build(key)`` gives a new model. The model is called as ``model(graph)``, in training as
        ``model(graph, key=key)`` where it takes a key, and gives scores, (N, C), or one per node for two classes.
    graph : Graph
        All nodes and edges; messages pass along all of them.
    epochs : int
    optimiser : optional
        Of `hs.optim`; by default ``hs.optim.adam(0.01)``.
    batch_size : int, optional
        Nodes per step, each with neighbours sampled by a `NeighbourLoader`; by default a step sees the whole graph.
        What is predicted always does.
    sizes : sequence of int, optional
        For `batch_size`: as for `neighbour_sample`.
    class_weight : None, "balanced" or dict, optional
        Weights of classes in the loss; "balanced": as `class_weights` gives them.
    patience : int, optional
        Ends the training when the loss of validation rows has not become less for so many epochs, and keeps the model
        of the best one. Without rows given to `fit`, `validation_fraction` of them, of each class, is held out.
    validation_fraction : float
    seed : int
        Of all that is random: the same seed gives the same model.

    Attributes
    ----------
    model_ : tree
        The trained model.
    classes_ : array
        The classes, in ascending order.
    history_ : list of Epoch

    Raises
    ------
    ValueError, TypeError
        By `fit`, for parameters that are none, rows and targets that do not fit, a model with too few scores.

    Examples
    --------
    >>> import hesse as hs, numpy as np
    >>> ring = hs.gnn.Graph([range(8), [*range(1, 8), 0]], x=np.repeat([[0.0, 1.0], [1.0, 0.0]], 4, axis=0))
    >>> labels = np.repeat(["b", "a"], 4)
    >>> class Net(hs.nn.Module):
    ...     conv: hs.gnn.SAGEConv
    ...     def __call__(self, graph):
    ...         return self.conv(graph.x, graph)
    >>> classifier = hs.gnn.NodeClassifier(lambda key: Net(hs.gnn.SAGEConv(2, 2, key=key)), ring, epochs=50)
    >>> classifier.fit([0, 1, 5, 6], labels[[0, 1, 5, 6]]).predict([2, 7])
    array(['b', 'a'], dtype='<U1')
    >>> classifier.score([2, 3, 7], labels[[2, 3, 7]])
    1.0
    """

    def __init__(
        self, build: Callable[[Array], Any], graph: Graph, *, epochs: int = 200, optimiser: Any = None,
        batch_size: int | None = None, sizes: Sequence[int] | None = None, class_weight: Any = None,
        patience: int | None = None, validation_fraction: float = 0.1, seed: int = 0,
    ) -> None:  # fmt: skip
        self.build, self.graph, self.epochs, self.optimiser = build, graph, epochs, optimiser
        self.batch_size, self.sizes, self.class_weight = batch_size, sizes, class_weight
        self.patience, self.validation_fraction, self.seed = patience, validation_fraction, seed


class NodeRegressor(OfNodes, Regressor):
    """Numbers of the nodes of a graph, by the mean of squared errors; else as `NodeClassifier`.

    Parameters
    ----------
    build : callable
        Its model gives (N,), (N, 1) or (N, targets).
    graph, epochs, optimiser, batch_size, sizes, patience, validation_fraction, seed
        As for `NodeClassifier`.

    Attributes
    ----------
    model_, history_
        As for `NodeClassifier`.

    Raises
    ------
    ValueError, TypeError
        As `NodeClassifier`.

    Notes
    -----
    Targets that are NaN do not count.

    Examples
    --------
    >>> import hesse as hs
    >>> path = hs.gnn.Graph([[0, 1, 2], [1, 2, 3]], x=[[0.0], [1.0], [2.0], [3.0]], y=[1.0, 2.0, 3.0, 4.0])
    >>> class Net(hs.nn.Module):
    ...     last: hs.nn.Linear
    ...     def __call__(self, graph):
    ...         return self.last(graph.x)
    >>> regressor = hs.gnn.NodeRegressor(lambda key: Net(hs.nn.Linear(1, 1, key=key)), path, epochs=1000)
    >>> regressor.fit([0, 1, 3]).predict([2]).round(2)
    array([3.])
    """

    def __init__(
        self, build: Callable[[Array], Any], graph: Graph, *, epochs: int = 200, optimiser: Any = None,
        batch_size: int | None = None, sizes: Sequence[int] | None = None, patience: int | None = None,
        validation_fraction: float = 0.1, seed: int = 0,
    ) -> None:  # fmt: skip
        self.build, self.graph, self.epochs, self.optimiser = build, graph, epochs, optimiser
        self.batch_size, self.sizes = batch_size, sizes
        self.patience, self.validation_fraction, self.seed = patience, validation_fraction, seed


class LinkClassifier(OfLinks, Classifier):
    """Whether, or of which class, there is an edge between two nodes: rows are pairs, (M, 2).

    Parameters
    ----------
    build : callable
        Its model is called as ``model(graph, pairs)``, pairs (2, M), and gives scores, (M,) or (M, C).
    graph : Graph
        Whose edges messages pass along: not those that are asked for, see `edge_split`.
    batch_size : int, optional
        Pairs per step; by default all.
    epochs, optimiser, class_weight, patience, validation_fraction, seed
        As for `NodeClassifier`.

    Attributes
    ----------
    model_, classes_, history_
        As for `NodeClassifier`.

    Raises
    ------
    ValueError, TypeError
        As `NodeClassifier`.

    Examples
    --------
    >>> import hesse as hs
    >>> two = hs.gnn.from_dense([[0.0, 1, 1, 0, 0, 0], [1, 0, 1, 0, 0, 0], [1, 1, 0, 0, 0, 0],
    ...                          [0, 0, 0, 0, 1, 1], [0, 0, 0, 1, 0, 1], [0, 0, 0, 1, 1, 0]], x=hs.eye(6))
    >>> class Net(hs.nn.Module):
    ...     conv: hs.gnn.GCNConv
    ...     def __call__(self, graph, pairs):
    ...         z = self.conv(graph.x, graph)
    ...         return hs.sum(hs.gather(z, pairs[0]) * hs.gather(z, pairs[1]), axis=-1)
    >>> links = hs.gnn.LinkClassifier(lambda key: Net(hs.gnn.GCNConv(6, 4, key=key)), two)
    >>> links.fit([[0, 1], [3, 4], [0, 4], [1, 3]], [1, 1, 0, 0]).predict([[0, 2], [2, 5]])
    array([1, 0])
    """

    def __init__(
        self, build: Callable[[Array], Any], graph: Graph, *, epochs: int = 200, optimiser: Any = None,
        batch_size: int | None = None, class_weight: Any = None, patience: int | None = None,
        validation_fraction: float = 0.1, seed: int = 0,
    ) -> None:  # fmt: skip
        self.build, self.graph, self.epochs, self.optimiser = build, graph, epochs, optimiser
        self.batch_size, self.class_weight = batch_size, class_weight
        self.patience, self.validation_fraction, self.seed = patience, validation_fraction, seed


class LinkRegressor(OfLinks, Regressor):
    """Numbers of pairs of nodes, by the mean of squared errors; else as `LinkClassifier`.

    Parameters
    ----------
    build, graph, epochs, optimiser, batch_size, patience, validation_fraction, seed
        As for `LinkClassifier`; the model gives (M,), (M, 1) or (M, targets).

    Attributes
    ----------
    model_, history_
        As for `NodeClassifier`.

    Raises
    ------
    ValueError, TypeError
        As `NodeClassifier`.

    Examples
    --------
    >>> import hesse as hs
    >>> path = hs.gnn.Graph([[0, 1, 2], [1, 2, 3]], x=[[0.0], [1.0], [2.0], [3.0]])
    >>> class Net(hs.nn.Module):
    ...     scale: hs.Array
    ...     def __call__(self, graph, pairs):
    ...         return self.scale * (hs.gather(graph.x, pairs[1]) - hs.gather(graph.x, pairs[0]))
    >>> distances = hs.gnn.LinkRegressor(lambda key: Net(hs.array(0.5)), path, epochs=500)
    >>> distances.fit([[0, 1], [1, 3]], [2.0, 4.0]).predict([[0, 3]]).round(2)
    array([6.])
    """

    def __init__(
        self, build: Callable[[Array], Any], graph: Graph, *, epochs: int = 200, optimiser: Any = None,
        batch_size: int | None = None, patience: int | None = None, validation_fraction: float = 0.1,
        seed: int = 0,
    ) -> None:  # fmt: skip
        self.build, self.graph, self.epochs, self.optimiser = build, graph, epochs, optimiser
        self.batch_size, self.patience = batch_size, patience
        self.validation_fraction, self.seed = validation_fraction, seed


class GraphClassifier(OfGraphs, Classifier):
    """Classes of whole graphs: rows are graphs, X is a list of them.

    Parameters
    ----------
    build : callable
        Its model is called as ``model(batch)`` with a batch of graphs, and gives scores, (G,) or (G, C). A model with a
        method ``prepare(batch)`` is called with what that gives, a tuple, and not with the batch: it runs outside of
        compiled functions, where numbers of edges and triplets may depend on data (`DimeNetPlusPlus.prepare`).
    batch_size : int, optional
        Graphs per step, 32 by default, in random order and padded (see `DataLoader`): poolings are per graph, and a
        `hs.nn.BatchNorm` needs ``mask=batch.node_mask``.
    epochs, optimiser, class_weight, patience, validation_fraction, seed
        As for `NodeClassifier`.

    Attributes
    ----------
    model_, classes_, history_
        As for `NodeClassifier`.

    Raises
    ------
    ValueError, TypeError
        As `NodeClassifier`.

    Examples
    --------
    >>> import hesse as hs
    >>> graphs = [hs.gnn.Graph([[0], [1]], x=[[k % 2], [1.0]]) for k in range(10)]
    >>> class Net(hs.nn.Module):
    ...     last: hs.nn.Linear
    ...     def __call__(self, batch):
    ...         return self.last(hs.gnn.global_sum_pool(batch.x, batch))
    >>> classifier = hs.gnn.GraphClassifier(lambda key: Net(hs.nn.Linear(1, 2, key=key)), epochs=300)
    >>> classifier.fit(graphs, ["even", "odd"] * 5).score(graphs, ["even", "odd"] * 5)
    1.0
    """

    def __init__(
        self, build: Callable[[Array], Any], *, epochs: int = 200, optimiser: Any = None,
        batch_size: int | None = None, class_weight: Any = None, patience: int | None = None,
        validation_fraction: float = 0.1, seed: int = 0,
    ) -> None:  # fmt: skip
        self.build, self.epochs, self.optimiser = build, epochs, optimiser
        self.batch_size, self.class_weight = batch_size, class_weight
        self.patience, self.validation_fraction, self.seed = patience, validation_fraction, seed


class GraphRegressor(OfGraphs, Regressor):
    """Numbers of whole graphs, by the mean of squared errors; else as `GraphClassifier`.

    Parameters
    ----------
    build, epochs, optimiser, batch_size, patience, validation_fraction, seed
        As for `GraphClassifier`; the model gives (G,), (G, 1) or (G, targets).

    Attributes
    ----------
    model_, history_
        As for `NodeClassifier`.

    Raises
    ------
    ValueError, TypeError
        As `NodeClassifier`.

    Notes
    -----
    Targets that are NaN do not count. Far from numbers of the size of 1 they are better scaled, for instance by
    ``sklearn.compose.TransformedTargetRegressor``.

    Examples
    --------
    >>> import hesse as hs
    >>> graphs = [hs.gnn.Graph([[0], [1]], x=[[float(k)], [1.0]], y=float(k)) for k in range(4)]
    >>> class Net(hs.nn.Module):
    ...     last: hs.nn.Linear
    ...     def __call__(self, batch):
    ...         return self.last(hs.gnn.global_sum_pool(batch.x, batch))
    >>> regressor = hs.gnn.GraphRegressor(lambda key: Net(hs.nn.Linear(1, 1, key=key)), epochs=1000)
    >>> regressor.fit(graphs).predict(graphs[:2]).round(1) + 0.0
    array([0., 1.])
    """

    def __init__(
        self, build: Callable[[Array], Any], *, epochs: int = 200, optimiser: Any = None,
        batch_size: int | None = None, patience: int | None = None, validation_fraction: float = 0.1,
        seed: int = 0,
    ) -> None:  # fmt: skip
        self.build, self.epochs, self.optimiser = build, epochs, optimiser
        self.batch_size, self.patience = batch_size, patience
        self.validation_fraction, self.seed = validation_fraction, seed
