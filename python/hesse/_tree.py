"""Trees of arrays: what the transforms do with containers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from . import _hesse
from ._hesse import (
    Array,
    TreeDef,
    tree_flatten,
    tree_leaves,
    tree_map,
    tree_structure,
    tree_unflatten,
)

__all__ = [
    "TreeDef",
    "trainable",
    "tree_flatten",
    "tree_leaves",
    "tree_map",
    "tree_structure",
    "tree_unflatten",
]


def broadcast_prefix(prefix: Any, treedef: TreeDef, what: str) -> list[Any]:
    """The entry of `prefix` (int or None, or a tree of them) for every leaf of a structure.

    A tuple, list, dict or dataclass in `prefix` stands for a container with as many entries; an int or None
    for everything below it.
    """
    n = treedef.num_leaves
    if prefix is None or type(prefix) is int:
        return [prefix] * n
    entries: list[Any] = [None] * n

    def fill(p: Any, tree: Any, path: str) -> None:
        if p is None or isinstance(p, int):
            for leaf in tree_leaves(tree):
                entries[int(leaf)] = p
            return
        if isinstance(p, dict) and isinstance(tree, dict) and p.keys() == tree.keys():
            pairs = [(p[k], tree[k], f"{path}[{k!r}]") for k in p]
        elif isinstance(p, (tuple, list)) and isinstance(tree, (tuple, list)) and len(p) == len(tree):
            pairs = [(a, b, f"{path}[{i}]") for i, (a, b) in enumerate(zip(p, tree, strict=True))]
        elif type(p) is type(tree) and hasattr(p, "__dict__"):
            pairs = [(a, getattr(tree, k), f"{path}.{k}") for k, a in vars(p).items()]
        else:
            raise _hesse.ArgumentError(
                f"{what}{path} is {p!r}, which is not an integer or None and does not match the "
                f"structure {treedef}"
            )
        for a, b, at in pairs:
            fill(a, b, at)

    # Positions as arrays: a module takes plain integers for its sizes and would lose them.
    fill(prefix, treedef.unflatten([_hesse.asarray(i) for i in range(n)]), "")
    return entries


def trainable(
    model: Any, where: Callable[[Any], Any] | None = None
) -> tuple[list[Array], Callable[[Sequence[Any]], Any]]:
    """What to train of a model, and how to put it back.

    Parameters
    ----------
    model : tree
        Usually a `hs.nn.Module`.
    where : callable, optional
        Takes the model to the part of it that is trained: a sub-module, an array, or a tuple or list of them.
        By default all of it. Integers, booleans, keys and the buffers of modules are never trained.

    Returns
    -------
    parameters : list of Array
        The arrays to differentiate by and to optimise.
    rebuild : callable
        ``rebuild(parameters)`` is the model with these arrays in their places and the rest frozen.

    Examples
    --------
    >>> import hesse as hs
    >>> model = {"frozen": hs.array([1.0, 2.0]), "trained": hs.array([3.0])}
    >>> parameters, rebuild = hs.trainable(model, lambda m: m["trained"])
    >>> loss = lambda p: hs.sum(rebuild(p)["frozen"]) * rebuild(p)["trained"][0]
    >>> hs.grad(loss)(parameters)
    [Array([3.], dtype=float64)]
    """
    leaves, treedef = tree_flatten(model)
    differentiable = _hesse._inexact_positions(leaves, treedef)
    if where is None:
        positions = differentiable
    else:
        part = where(model)
        chosen = {id(leaf) for leaf in tree_leaves(part)}
        if not chosen:
            raise _hesse.ArgumentError(f"trainable: where(model) holds no arrays; the model is {treedef}")
        known = {id(leaf) for leaf in leaves}
        if not chosen <= known:
            raise _hesse.ArgumentError(
                "trainable: where(model) returned something that is not part of the model; "
                "return its own leaves, not copies"
            )
        positions = [k for k in differentiable if id(leaves[k]) in chosen]
        if not positions:
            raise _hesse.ArgumentTypeError("trainable: where(model) holds no floating arrays besides buffers")
    parameters = [_hesse.asarray(leaves[k]) for k in positions]

    def rebuild(values: Sequence[Any]) -> Any:
        if len(values) != len(positions):
            raise _hesse.ArgumentError(f"trainable: rebuild takes {len(positions)} arrays, got {len(values)}")
        new = list(leaves)
        for k, value in zip(positions, values, strict=True):
            new[k] = value
        return treedef.unflatten(new)

    return parameters, rebuild
