"""Pictures of solutions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import _hesse
from .._extras import require

_MOST = 50  # lines that can be told apart, generously


def _named(tree: Any, name: str) -> list[tuple[str, Any]]:
    """The arrays of a state with what they are called."""
    if isinstance(tree, dict):
        return [leaf for k, v in tree.items() for leaf in _named(v, f"{name}.{k}" if name else str(k))]
    if isinstance(tree, (tuple, list)) and not hasattr(tree, "_fields"):
        return [leaf for k, v in enumerate(tree) for leaf in _named(v, f"{name or 'y'}[{k}]")]
    leaves, _ = _hesse.tree_flatten(tree)
    if len(leaves) == 1:
        return [(name or "y", leaves[0])]
    return [(f"{name or 'y'}[{k}]", leaf) for k, leaf in enumerate(leaves)]


def lines(y: Any) -> list[tuple[str, np.ndarray[Any, Any]]]:
    """Every entry of a state as a row over time; of complex ones the real and the imaginary part."""
    out: list[tuple[str, np.ndarray[Any, Any]]] = []
    for name, array in _named(y, ""):
        values = np.asarray(array)
        for index in np.ndindex(values.shape[1:]):
            label = f"{name}[{', '.join(map(str, index))}]" if index else name
            row = values[(slice(None), *index)]
            if np.iscomplexobj(row):
                out += [(f"Re {label}", row.real), (f"Im {label}", row.imag)]
            else:
                out.append((label, row))
    return out


def plot(solution: Any, phase: Sequence[Any] | None, ax: Any) -> Any:
    if solution.t.ndim != 1:
        raise _hesse.ArgumentError(
            f"Solution.plot: t has shape {tuple(solution.t.shape)}, expected one solution; take one of those that vmap gives"
        )
    rows = lines(solution.y)
    t = np.asarray(solution.t)
    if phase is not None:
        if isinstance(phase, (str, int)) or len(phase) != 2:
            raise _hesse.ArgumentError(
                f"Solution.plot: phase is {phase!r}, expected two entries of the state"
            )
        rows = [_chosen(rows, which) for which in phase]
    elif len(rows) > _MOST:
        raise _hesse.ArgumentError(
            f"Solution.plot: the state has {len(rows)} entries, more than {_MOST} lines; solve with save, or draw two of "
            "them with phase"
        )
    if ax is None:
        _, ax = require("matplotlib.pyplot", "demo", "Solution.plot").subplots()
    if phase is not None:
        ax.plot(rows[0][1], rows[1][1])
        ax.set_xlabel(rows[0][0])
        ax.set_ylabel(rows[1][0])
        return ax
    for label, row in rows:
        ax.plot(t, row, label=label)
    for k, times in enumerate(solution.t_events or []):
        happened = np.asarray(times)
        for n, when in enumerate(happened[~np.isnan(happened)]):
            ax.axvline(when, color="0.6", linestyle=(0, (4, 3 + k)), label="" if n else f"event {k}")
    ax.set_xlabel("t")
    if len(rows) > 1 or solution.t_events:
        ax.legend()
    else:
        ax.set_ylabel(rows[0][0])
    return ax


def _chosen(rows: list[tuple[str, Any]], which: Any) -> tuple[str, Any]:
    """The entry of a name, or of a place among all."""
    if isinstance(which, int) and not isinstance(which, bool) and -len(rows) <= which < len(rows):
        return rows[which]
    for row in rows:
        if row[0] == which:
            return row
    names = ", ".join(label for label, _ in rows[:10]) + (", ..." if len(rows) > 10 else "")
    raise _hesse.ArgumentError(
        f"Solution.plot: phase names {which!r}, expected 0 to {len(rows) - 1} or one of {names}"
    )
