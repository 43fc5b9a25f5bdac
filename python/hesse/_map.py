"""A function of one example over many, with all its accesses and kinds of result."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from . import _hesse
from ._flat import Outputs, check_callable, flat_function, name_of
from ._hesse import control as _c
from ._hesse import tree_flatten

__all__ = ["map"]


def _tuple(entry: Any) -> tuple[Any, ...]:
    return (entry,) if isinstance(entry, str) else tuple(entry)


def map(
    f: Callable[..., Any],
    n: int | None,
    operands: Sequence[Any],
    access: Sequence[Any],
    results: Any = "each",
    indices: Sequence[Any] = (),
) -> Any:
    """A function of one example, run for examples 0, ..., n - 1: `vmap` with gathers and sums.

    Derivatives are maps too, in which "each" stays "each", "uniform" becomes "sum" and "gather" becomes
    "segment_sum", and the other way round: message passing on a graph is a map over its edges.

    Parameters
    ----------
    f : callable
        Takes one slice of every operand, returns a tree of arrays. What it captures is the same for all
        examples.
    n : int or None
        How many examples; None reads it from the operands and indices.
    operands : sequence of trees
    access : sequence
        Per operand: "each" (slice i of axis 0), "uniform" (the whole of it), or ("gather", k) (row
        ``indices[k][i]``).
    results : str, tuple, or list of such
        For all outputs, per item of a tuple that f returns (for all outputs in it), or per output: "each" (stacked
        on axis 0), "sum" (over the examples), or ("segment_sum", k, num_segments) (row ``indices[k][i]`` of the
        result accumulates example i).
    indices : sequence
        Integer arrays of length n.

    Examples
    --------
    Messages along the edges of a graph, summed at their targets:

    >>> import hesse as hs
    >>> nodes, source, target = hs.array([1.0, 10.0, 100.0]), hs.array([0, 1, 2]), hs.array([1, 0, 0])
    >>> hs.map(lambda x: 2.0 * x, 3, [nodes], [("gather", 0)], ("segment_sum", 1, 3), [source, target])
    Array([220.,   2.,   0.], dtype=float64)
    """
    check_callable(f, "map")
    operands = tuple(operands)
    if len(access) != len(operands):
        raise _hesse.ArgumentError(f"map: access has {len(access)} entries for {len(operands)} operands")
    leaves, treedef = tree_flatten(operands)
    positions = _hesse._array_positions(leaves)
    reads: list[tuple[Any, ...]] = []
    for operand, entry in zip(operands, access, strict=True):
        reads += [_tuple(entry)] * len(_hesse.tree_leaves(operand))
    arrays = [_hesse.asarray(leaves[k]) for k in positions]
    index_arrays = [_hesse.asarray(i) for i in indices]
    if n is None:
        lengths = [
            a.shape[0] for a, k in zip(arrays, positions, strict=True) if reads[k][0] == "each" and a.ndim
        ]
        lengths += [i.shape[0] for i in index_arrays if i.ndim]
        if not lengths:
            raise _hesse.ArgumentError(
                "map: n is None and no operand is read by 'each' or through an index; give n"
            )
        n = lengths[0]
    outputs = Outputs()
    sizes: list[int] = []  # how many outputs each item of a tuple has

    def sized(*arguments: Any) -> Any:
        found = f(*arguments)
        sizes[:] = [len(_hesse.tree_leaves(item)) for item in found] if isinstance(found, tuple) else []
        return found

    sized.__name__ = name_of(f)
    flat = flat_function(sized, leaves, treedef, positions, {}, outputs, "map")

    def results_of_outputs(count: int) -> list[tuple[Any, ...]]:
        if isinstance(results, list):
            if len(results) == len(sizes):
                return [_tuple(r) for r, size in zip(results, sizes, strict=True) for _ in range(size)]
            if len(results) != count:
                raise _hesse.ArgumentError(f"map: results has {len(results)} entries for {count} outputs")
            return [_tuple(r) for r in results]
        return [_tuple(results)] * count

    values = _c.map(flat, n, arrays, [reads[k] for k in positions], results_of_outputs, index_arrays)
    return outputs.tree(values)
