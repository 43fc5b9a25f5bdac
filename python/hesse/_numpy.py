"""What NumPy's functions do with arrays of Hesse: the same as Hesse's functions of that name."""

from __future__ import annotations

from typing import Any

from . import _hesse
from ._hesse import Array, tree_flatten

# NumPy's names of ufuncs where they differ.
_UFUNCS = {
    "absolute": "abs",
    "arccos": "acos",
    "arccosh": "acosh",
    "arcsin": "asin",
    "arcsinh": "asinh",
    "arctan": "atan",
    "arctan2": "atan2",
    "arctanh": "atanh",
    "conjugate": "conj",
    "fabs": "abs",
    "float_power": "pow",
    "invert": "bitwise_invert",
    "left_shift": "bitwise_left_shift",
    "mod": "remainder",
    "power": "pow",
    "right_shift": "bitwise_right_shift",
    "true_divide": "divide",
}

# Functions that mean the same with the same positional arguments and these keywords.
_FUNCTIONS = {
    "sum": {"axis", "keepdims", "dtype"},
    "prod": {"axis", "keepdims", "dtype"},
    "mean": {"axis", "keepdims"},
    "max": {"axis", "keepdims"},
    "min": {"axis", "keepdims"},
    "amax": {"axis", "keepdims"},
    "amin": {"axis", "keepdims"},
    "all": {"axis", "keepdims"},
    "any": {"axis", "keepdims"},
    "argmax": {"axis", "keepdims"},
    "argmin": {"axis", "keepdims"},
    "cumsum": {"axis", "dtype"},
    "cumprod": {"axis", "dtype"},
    "reshape": {"shape"},
    "transpose": {"axes"},
    "moveaxis": set(),
    "swapaxes": set(),
    "expand_dims": {"axis"},
    "squeeze": {"axis"},
    "concatenate": {"axis"},
    "stack": {"axis"},
    "where": set(),
    "dot": set(),
    "outer": set(),
    "einsum": set(),
    "kron": set(),
    "clip": set(),
    "real": set(),
    "imag": set(),
    "zeros_like": {"dtype"},
    "ones_like": {"dtype"},
    "full_like": {"dtype"},
    "broadcast_to": {"shape"},
    "flip": {"axis"},
    "tile": set(),
    "sort": {"axis"},
    "argsort": {"axis"},
}
_RENAMED = {"amax": "max", "amin": "min"}


def _live(tree: Any) -> bool:
    """Whether a value in it belongs to a trace or a derivative, which NumPy would silently leave."""
    return any(isinstance(x, Array) and (x.is_symbol or _hesse.is_tracked(x)) for x in tree_flatten(tree)[0])


def _to_numpy(tree: Any) -> Any:
    import numpy as np

    return _hesse.tree_map(lambda x: np.asarray(x) if isinstance(x, Array) else x, tree)


def _refuse(name: str, values: Any) -> None:
    if _live(values):
        raise _hesse.TraceError(
            f"numpy.{name} has no counterpart here and cannot see derivatives or symbols; use a "
            "function of hesse, "
            "hs.callback, or pass hs.stop_gradient(x) outside a trace"
        )


def array_ufunc(self: Array, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
    """NumPy calls this when a ufunc is given an Array."""
    import numpy as np

    if not isinstance(ufunc, np.ufunc) or not isinstance(kwargs.get("out", ()), tuple):
        raise TypeError(f"__array_ufunc__: expected a NumPy ufunc, got {type(ufunc).__name__}")
    name = _UFUNCS.get(ufunc.__name__, ufunc.__name__)
    function = getattr(_hesse, name, None)
    if method == "__call__" and not kwargs and function is not None:
        return function(*inputs)
    if any(isinstance(x, Array) for x in kwargs.get("out", ())):
        raise TypeError("arrays of Hesse are immutable and cannot be the out= of a NumPy function")
    _refuse(ufunc.__name__, inputs)
    return getattr(ufunc, method)(*_to_numpy(inputs), **kwargs)


def array_function(self: Array, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
    """NumPy calls this when one of its other functions is given an Array."""
    if not callable(func) or not hasattr(func, "__name__") or not isinstance(kwargs, dict):
        raise TypeError(f"__array_function__: expected a function of NumPy, got {type(func).__name__}")
    name = func.__name__
    kwargs = {k: v for k, v in kwargs.items() if v is not None}
    if (
        func.__module__ == "numpy"
        and name in _FUNCTIONS
        and kwargs.keys() <= _FUNCTIONS[name]
        and (name != "where" or len(args) == 3)
    ):
        return getattr(_hesse, _RENAMED.get(name, name))(*args, **kwargs)
    _refuse(name, (args, kwargs))
    return func(*_to_numpy(args), **_to_numpy(kwargs))


def install() -> None:
    """Makes Array take part in NumPy's protocols."""
    Array.__array_ufunc__ = array_ufunc  # type: ignore[method-assign]
    Array.__array_function__ = array_function  # type: ignore[method-assign]
