"""Hesse: scientific machine learning on arrays, with derivatives of any order.

>>> import hesse as hs
>>> hs.grad(lambda x: hs.sin(x) ** 2)(1.0)
Array(0.90929743, dtype=float64)
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from . import _hesse
from ._branches import cond, switch
from ._callback import ShapeDtype, callback
from ._compile import RecompilationWarning, compile, make_graph
from ._custom import custom_jvp, custom_vjp
from ._derivatives import grad, jvp, linear_transpose, linearise, linearize, value_and_grad, vjp
from ._dtypes import can_cast, finfo, iinfo, isdtype, result_type
from ._functions import (
    allclose,
    array_equal,
    cumulative_prod,
    cumulative_sum,
    isclose,
    repeat,
    tensordot,
    unique,
    unique_all,
    unique_counts,
    unique_inverse,
    unique_values,
)

# fmt: off
from ._hesse import (
    ArgumentError,
    ArgumentTypeError,
    Array,
    DType,
    Error,
    FileError,
    FileMissingError,
    FormatError,
    Graph,
    NumericalError,
    OutOfRangeError,
    TraceError,
    TreeDef,
    abs,
    acos,
    acosh,
    add,
    all,
    angle,
    any,
    arange,
    argmax,
    argmin,
    argsort,
    array,
    asarray,
    asin,
    asinh,
    astype,
    atan,
    atan2,
    atanh,
    avg_pool,
    bitwise_and,
    bitwise_invert,
    bitwise_left_shift,
    bitwise_or,
    bitwise_right_shift,
    bitwise_xor,
    bool,
    broadcast_arrays,
    broadcast_shapes,
    broadcast_to,
    cbrt,
    ceil,
    clip,
    complex64,
    complex128,
    concat,
    concatenate,
    conj,
    conv,
    conv_transpose,
    copysign,
    cos,
    cosh,
    count_nonzero,
    cross,
    cumprod,
    cumsum,
    default_dtype,
    diag,
    diagonal,
    diff,
    digamma,
    divide,
    dot,
    dtype,
    einsum,
    empty,
    empty_like,
    equal,
    erf,
    erfc,
    exp,
    exp2,
    expand_dims,
    expm1,
    eye,
    flatten,
    flip,
    float32,
    float64,
    floor,
    floor_divide,
    fmod,
    from_dlpack,
    full,
    full_like,
    gather,
    get_num_threads,
    greater,
    greater_equal,
    hypot,
    imag,
    in_trace,
    int8,
    int16,
    int32,
    int64,
    interp,
    is_tracked,
    isfinite,
    isinf,
    isnan,
    key,
    kron,
    less,
    less_equal,
    lgamma,
    linspace,
    live_buffers,
    live_bytes,
    log,
    log1p,
    log2,
    log10,
    log_softmax,
    logaddexp,
    logical_and,
    logical_not,
    logical_or,
    logical_xor,
    logspace,
    logsumexp,
    make_complex,
    matmul,
    matrix_transpose,
    max,
    max_pool,
    maximum,
    mean,
    meshgrid,
    min,
    minimum,
    moveaxis,
    multiply,
    negative,
    nextafter,
    nonzero,
    not_equal,
    ones,
    ones_like,
    outer,
    pad,
    permute_dims,
    polygamma,
    positive,
    pow,
    prod,
    promote_types,
    ravel,
    real,
    reciprocal,
    remainder,
    reshape,
    roll,
    round,
    rsqrt,
    scatter_add,
    searchsorted,
    segment_logsumexp,
    segment_max,
    segment_mean,
    segment_min,
    segment_softmax,
    segment_std,
    segment_sum,
    set_debug_nans,
    set_default_dtype,
    set_num_threads,
    sigmoid,
    sign,
    signbit,
    sin,
    sinh,
    softmax,
    softplus,
    sort,
    split,
    sqrt,
    square,
    squeeze,
    stack,
    std,
    stop_gradient,
    subtract,
    sum,
    swapaxes,
    take,
    take_along_axis,
    tan,
    tanh,
    tile,
    topk,
    trace,
    transpose,
    tree_flatten,
    tree_leaves,
    tree_map,
    tree_structure,
    tree_unflatten,
    tril,
    triu,
    trunc,
    uint8,
    uint16,
    uint32,
    uint64,
    unstack,
    var,
    vecdot,
    where,
    zeros,
    zeros_like,
)

# fmt: on
from ._higher import hessian, hvp, jacfwd, jacobian, jacrev, laplacian, partials, taylor
from ._info import __array_namespace_info__
from ._loops import fori_loop, scan, while_loop
from ._map import map
from ._numpy import install as _install
from ._profile import Profile, ProfileRow, profile
from ._program_files import LoadedProgram, load_program, save_program
from ._sparse_jacobian import sparse_hessian, sparse_jacobian
from ._tree import trainable
from ._vmap import checkpoint, vmap

if TYPE_CHECKING:
    from . import debug, fft, gnn, io, linalg, nn, optim, physics, random, solvers, sparse
    from .debug import nans as debug_nans
    from .random import seed

__version__: str = _hesse.__version__
__array_api_version__ = "2024.12"

e = 2.718281828459045
inf = float("inf")
nan = float("nan")
newaxis = None
pi = 3.141592653589793

# NumPy's names where those of the array API standard differ.
absolute = abs
arccos = acos
arccosh = acosh
arcsin = asin
arcsinh = asinh
arctan = atan
arctan2 = atan2
arctanh = atanh
conjugate = conj
invert = bitwise_invert
left_shift = bitwise_left_shift
mod = remainder
power = pow
right_shift = bitwise_right_shift
true_divide = divide

_install()

# Imported when first used.
_SUBMODULES = frozenset(
    {"debug", "demo", "fft", "gnn", "io", "linalg", "nn", "optim", "physics", "random", "solvers", "sparse"}
)
_FROM_SUBMODULES = {"debug_nans": ("debug", "nans"), "seed": ("random", "seed")}


def __getattr__(name: str) -> Any:
    if name in _SUBMODULES:
        return importlib.import_module(f"{__name__}.{name}")
    if name in _FROM_SUBMODULES:
        module, attribute = _FROM_SUBMODULES[name]
        return getattr(importlib.import_module(f"{__name__}.{module}"), attribute)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_SUBMODULES, *_FROM_SUBMODULES} - {"annotations"})


# fmt: off
__all__ = [  # noqa: RUF022
    "ArgumentError", "ArgumentTypeError", "Array", "DType", "Error", "FileError", "FileMissingError", "FormatError",
    "Graph", "LoadedProgram", "NumericalError", "OutOfRangeError", "Profile", "ProfileRow",
    "RecompilationWarning", "ShapeDtype", "TraceError", "TreeDef",
    "__array_api_version__", "__array_namespace_info__", "__version__", "abs", "absolute", "acos",
    "acosh", "add", "all", "allclose", "angle", "any", "arange", "arccos", "arccosh", "arcsin", "arcsinh",
    "arctan", "arctan2", "arctanh", "argmax", "argmin", "argsort", "array", "array_equal", "asarray",
    "asin", "asinh", "astype", "atan", "atan2", "atanh", "avg_pool", "bitwise_and", "bitwise_invert",
    "bitwise_left_shift", "bitwise_or", "bitwise_right_shift", "bitwise_xor", "bool", "broadcast_arrays",
    "broadcast_shapes", "broadcast_to", "callback", "can_cast", "cbrt", "ceil", "checkpoint", "clip",
    "compile", "complex128", "complex64", "concat", "concatenate", "cond", "conj", "conjugate", "conv",
    "conv_transpose", "copysign", "cos", "cosh", "count_nonzero", "cross", "cumprod", "cumsum",
    "cumulative_prod", "cumulative_sum", "custom_jvp", "custom_vjp", "debug", "debug_nans",
    "default_dtype", "diag", "diagonal", "diff", "digamma", "divide", "dot", "dtype", "e", "einsum",
    "empty", "empty_like", "equal", "erf", "erfc", "exp", "exp2", "expand_dims", "expm1", "eye", "fft",
    "finfo", "flatten", "flip", "float32", "float64", "floor", "floor_divide", "fmod", "fori_loop",
    "from_dlpack", "full", "full_like", "gather", "get_num_threads", "grad", "greater", "greater_equal",
    "hessian", "hvp", "hypot", "iinfo", "imag", "in_trace", "inf", "int16", "int32", "int64", "int8",
    "interp", "invert", "is_tracked", "isclose", "isdtype", "isfinite", "isinf", "isnan", "jacfwd",
    "jacobian", "jacrev", "jvp", "key", "kron", "laplacian", "left_shift", "less", "less_equal", "lgamma",
    "linalg", "linear_transpose", "linearise", "linearize", "linspace", "live_buffers", "live_bytes",
    "load_program", "log", "log10", "log1p", "log2", "log_softmax", "logaddexp", "logical_and", "logical_not",
    "logical_or", "logical_xor", "logspace", "logsumexp", "make_complex", "make_graph", "map", "matmul",
    "matrix_transpose", "max", "max_pool", "maximum", "mean", "meshgrid", "min", "minimum", "mod",
    "moveaxis", "multiply", "nan", "negative", "newaxis", "nextafter", "nn", "nonzero", "not_equal",
    "ones", "ones_like", "outer", "pad", "partials", "profile", "permute_dims", "pi", "polygamma", "positive", "pow",
    "power", "prod", "promote_types", "random", "ravel", "real", "reciprocal", "remainder", "repeat",
    "reshape", "result_type", "right_shift", "roll", "round", "rsqrt", "save_program", "scan", "scatter_add",
    "searchsorted", "seed", "segment_logsumexp", "segment_max", "segment_mean",
    "segment_min", "segment_softmax", "segment_std", "segment_sum", "set_debug_nans", "set_default_dtype",
    "set_num_threads", "sigmoid", "sign", "signbit", "sin", "sinh", "softmax", "softplus", "sort",
    "sparse_hessian", "sparse_jacobian", "split",
    "sqrt", "square", "squeeze", "stack", "std", "stop_gradient", "subtract", "sum", "swapaxes",
    "switch", "take", "take_along_axis", "tan", "tanh", "taylor", "tensordot", "tile", "topk", "trace",
    "trainable", "transpose", "tree_flatten", "tree_leaves", "tree_map", "tree_structure",
    "tree_unflatten", "tril", "triu", "true_divide", "trunc", "uint16", "uint32", "uint64", "uint8",
    "unique", "unique_all", "unique_counts", "unique_inverse", "unique_values", "unstack", "value_and_grad", "var",
    "vecdot", "vjp", "vmap", "where", "while_loop", "zeros", "zeros_like",
]
# fmt: on
