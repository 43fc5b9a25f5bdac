"""What solvers of equations share: their result, and the trees around the arrays they work on."""

from __future__ import annotations

import dataclasses
import operator
from collections.abc import Callable, Sequence
from typing import Any

from .. import _hesse
from .._flat import check_callable, name_of
from .._hesse import Array, _flatten_arrays, asarray
from .._hesse import solvers as _s

__all__ = ["Result"]


@dataclasses.dataclass(frozen=True)
class Result:
    """What solvers of equations and minimisers return: a tree, which compiled and mapped functions may return too.

    Parameters
    ----------
    x : tree
        The solution. Where the solver failed and does not raise, its last iterate.
    status : Array
        0 where it was found; else 1: too many steps, 2: no step improves it, 3: NaN or infinity, 4: a singular matrix,
        5: tolerances below 0 (found when a program runs).
    stats : dict
        Numbers of ``steps`` and ``evaluations`` of the function, the ``residual`` (the largest entry that should be
        zero), and what else the solver tells.

    Examples
    --------
    >>> import hesse as hs
    >>> sol = hs.solvers.root_solve(lambda x: hs.cos(x) - x, 1.0)
    >>> sol.success, sol.message
    (True, 'the solution was found')
    >>> bool(sol.stats["residual"] < 1e-12)
    True
    """

    x: Any
    status: Array
    stats: dict[str, Array]

    @property
    def success(self) -> bool:
        """Whether the solution was found (by all, under vmap)."""
        return bool(_hesse.all(_hesse.equal(self.status, 0)))

    @property
    def message(self) -> str:
        """What the status means, and what to try."""
        return _s.describe_solve(int(_hesse.max(self.status)))


def arrays_of(tree: Any, what: str) -> tuple[list[Array], Any]:
    """The leaves as arrays, and the structure."""
    values, treedef = _flatten_arrays(tree, what)
    return [asarray(v) for v in values], treedef


def span_of(function: str, t_span: Any) -> tuple[Array, Array]:
    """Both times of a span."""
    span = t_span if isinstance(t_span, (tuple, list)) else asarray(t_span)
    if (isinstance(span, Array) and span.ndim == 0) or len(span) != 2:
        raise _hesse.ArgumentError(f"{function}: t_span is {t_span!r}, expected two times (t0, t1)")
    return asarray(span[0]), asarray(span[1])


def check_args(function: str, args: Any, of: str = "f") -> None:
    if not isinstance(args, (tuple, list)):
        raise _hesse.ArgumentTypeError(
            f"{function}: args is {args!r}, expected a tuple of further arguments of {of}"
        )


def like_state(function: str, name: str, tree: Any, treedef: Any, like: str = "y0") -> list[Array]:
    """The arrays of one for all, or of a tree of that structure."""
    arrays, structure = arrays_of(tree, f"{function}: {name}")
    if structure != treedef and not (len(arrays) == 1 and not isinstance(tree, (tuple, list, dict))):
        raise _hesse.ArgumentError(
            f"{function}: {name} has the structure {structure}, expected one array, or a tree like {like}: {treedef}"
        )
    return arrays


def numbers_like(values: Sequence[Any], dtypes: Sequence[Any]) -> list[Array]:
    """As arrays: Python's numbers take these dtypes."""
    return [
        v if isinstance(v, Array) else asarray(v, dtype=t if isinstance(v, (float, int, complex)) else None)
        for v, t in zip(values, dtypes, strict=True)
    ]


def optional_array(x: Any) -> Array | None:
    return None if x is None else asarray(x)


def flat_function(
    function: str,
    f: Callable[..., Any],
    args: Sequence[Any],
    treedef: Any,
    argument: str,
    *,
    like: bool = True,
) -> Callable[..., list[Array]]:
    """f(tree, *args) as a function of arrays; `like`: it must return a tree like its argument."""
    check_callable(f, function)
    check_args(function, args, name_of(f))

    def flat(*values: Array) -> list[Array]:
        out, got = _flatten_arrays(
            f(treedef.unflatten(list(values)), *args), f"{function}: what {name_of(f)} returns"
        )
        if like and got != treedef:
            raise _hesse.ArgumentError(
                f"{function}: {name_of(f)} returns the structure {got}, expected that of {argument}: {treedef}"
            )
        # Numbers take the dtype of the unknowns.
        dtypes = [v.dtype for v in values] if like else [values[0].dtype] * len(out)
        return numbers_like(out, dtypes)

    return flat


def count_of(function: str, name: str, value: Any, least: int = 1) -> int:
    """A number of steps, as an int."""
    if (
        isinstance(value, bool)
        or not hasattr(value, "__index__")
        or not least <= operator.index(value) < 2**62
    ):
        raise _hesse.ArgumentError(f"{function}: {name} is {value!r}, expected an integer, {least} or more")
    return operator.index(value)


def text_of(function: str, name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise _hesse.ArgumentTypeError(f"{function}: {name} is {value!r}, expected a string")
    return value


def optional_number(function: str, name: str, value: Any) -> float | None:
    if value is None:
        return None
    if isinstance(value, (bool, str)) or not hasattr(value, "__float__") or not float(value) >= 0:
        raise _hesse.ArgumentError(f"{function}: {name} is {value!r}, expected a number not below 0")
    return float(value)


def tolerances(function: str, rtol: Any, atol: Any, treedef: Any) -> tuple[Array | None, list[Array]]:
    """rtol, and atol as no array, one, or one for each of the tree."""
    relative = None if rtol is None else asarray(rtol)
    if atol is None:
        return relative, []
    return relative, like_state(function, "atol", atol, treedef, "the unknowns")
