"""Writes python/hesse/_hesse.pyi, the types of the compiled module, from its docstrings.

python tests/support/make_stubs.py [--check]     needs hesse on the path; --check only compares.
"""

import inspect
import re
import sys
from pathlib import Path

STUB = Path(__file__).parents[2] / "python" / "hesse" / "_hesse.pyi"

HEADER = """\
# Written by tests/support/make_stubs.py from the docstrings of the compiled module.
# ruff: noqa
import builtins
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

ArrayLike: TypeAlias = Array | npt.NDArray[Any] | np.generic | builtins.bool | int | float | complex
DTypeLike: TypeAlias = DType | npt.DTypeLike
_Index: TypeAlias = Any
_bool: TypeAlias = builtins.bool

__version__: str

class Error(Exception): ...
class ArgumentError(Error, ValueError): ...
class ArgumentTypeError(Error, TypeError): ...
class OutOfRangeError(Error, IndexError): ...
class NumericalError(Error, FloatingPointError): ...
class TraceError(Error, TypeError): ...
class FileError(Error, OSError): ...
class FileMissingError(Error, FileNotFoundError): ...
class FormatError(ArgumentError): ...
"""

BINARY = [
    "add",
    "sub",
    "mul",
    "truediv",
    "floordiv",
    "mod",
    "pow",
    "matmul",
    "and",
    "or",
    "xor",
    "lshift",
    "rshift",
]
ARRAY = """\
class Array:
    __hash__: None  # type: ignore[assignment]
    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def dtype(self) -> DType: ...
    @property
    def ndim(self) -> int: ...
    @property
    def size(self) -> int: ...
    @property
    def itemsize(self) -> int: ...
    @property
    def nbytes(self) -> int: ...
    @property
    def device(self) -> str: ...
    @property
    def T(self) -> Array: ...
    @property
    def mT(self) -> Array: ...
    @property
    def real(self) -> Array: ...
    @property
    def imag(self) -> Array: ...
    @property
    def at(self) -> _At: ...
    @property
    def is_symbol(self) -> _bool: ...
    @property
    def weak_type(self) -> _bool: ...
    def __getitem__(self, index: _Index) -> Array: ...
    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[Array]: ...
    def __contains__(self, value: object) -> _bool: ...
    def __bool__(self) -> _bool: ...
    def __int__(self) -> int: ...
    def __float__(self) -> float: ...
    def __complex__(self) -> complex: ...
    def __index__(self) -> int: ...
    def __neg__(self) -> Array: ...
    def __pos__(self) -> Array: ...
    def __abs__(self) -> Array: ...
    def __invert__(self) -> Array: ...
    def __eq__(self, other: ArrayLike) -> Array: ...  # type: ignore[override]
    def __ne__(self, other: ArrayLike) -> Array: ...  # type: ignore[override]
    def __lt__(self, other: ArrayLike) -> Array: ...
    def __le__(self, other: ArrayLike) -> Array: ...
    def __gt__(self, other: ArrayLike) -> Array: ...
    def __ge__(self, other: ArrayLike) -> Array: ...
    def __divmod__(self, other: ArrayLike) -> tuple[Array, Array]: ...
    def __rdivmod__(self, other: ArrayLike) -> tuple[Array, Array]: ...
    def reshape(self, *shape: int | Sequence[int]) -> Array: ...
    def transpose(self, *axes: int | Sequence[int] | None) -> Array: ...
    def __copy__(self) -> Array: ...
    def __deepcopy__(self, memo: Any) -> Array: ...
    def __format__(self, spec: str) -> str: ...
    def __reduce__(self) -> Any: ...
    def __array__(self, dtype: Any = ..., copy: _bool | None = ...) -> npt.NDArray[Any]: ...
    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any: ...
    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any: ...
    def __dlpack__(
        self, *, stream: Any = ..., max_version: Any = ..., dl_device: Any = ..., copy: Any = ...
    ) -> Any: ...
"""

WORDS = [
    (r"typing\.SupportsInt \| typing\.SupportsIndex", "int"),
    (r"typing\.SupportsFloat \| typing\.SupportsIndex", "float"),
    (r"typing\.SupportsComplex \| typing\.SupportsFloat \| typing\.SupportsIndex", "complex"),
    (r"collections\.abc\.", ""),
    (r"optim\.Schedule", "Callable[[Any], Array]"),
    (r"\bhesse\._hesse\.", ""),
    (r"\bhesse\.", ""),
    (r"-> DTypeLike", "-> DType"),
    (r"-> int \| Sequence\[int\]", "-> tuple[int, ...]"),
    (r"\bobject\b", "Any"),
    (r"\btuple\b(?!\[)", "tuple[Any, ...]"),
    (r"\blist\b(?!\[)", "list[Any]"),
    (r"\bdict\b(?!\[)", "dict[str, Any]"),
    (r"\bCallable\b(?!\[)", "Callable[..., Any]"),
    (r"\*args\b", "*args: Any"),
    (r"typing_extensions\.CapsuleType", "Any"),
]


# What the docstrings of pybind11 cannot say.
RESULTS = {"find": "_Program | None"}
# Classes that the package shows as something else.
ALIASES = ("Schedule",)


def typed(signature):
    # Array arguments are converted from whatever hesse.asarray takes.
    parameters, arrow, result = signature.rpartition(" -> ")
    signature = re.sub(r"(?<![.\w])Array\b", "ArrayLike", parameters) + arrow + result
    for pattern, replacement in WORDS:
        signature = re.sub(pattern, replacement, signature)
    signature = re.sub(r" = (?:'[^']*'|\(\)|[-\w.]+)", " = ...", signature)
    return re.sub(r"\bbool\b", "_bool", signature)


def function(name, f, indent="", method=False):
    """The stub of one function, or of a method."""
    text = None if method else getattr(f, "__text_signature__", None)
    doc = (f.__doc__ or "").split("\n")[0]
    if text:
        names = [n.strip() for n in text.strip("()").split(",") if n.strip() not in ("$module", "/")]
        signature = f"({', '.join(f'{n}: ArrayLike' for n in names)}, /) -> Array"
    elif doc.startswith(name + "("):
        signature = typed(doc[len(name) :])
    else:
        return []
    if "::" in signature:
        signature = "(self) -> Any" if method else "(*args: Any) -> Any"
    if method:
        signature = re.sub(r"^\(self: [\w.]+", "(self", signature)
        if name in RESULTS:
            signature = signature.rpartition("-> ")[0] + f"-> {RESULTS[name]}"
    ignore = "  # type: ignore[override]" if name in ("__eq__", "__ne__") else ""
    return [f"{indent}def {name}{signature}: ...{ignore}"]


def constructor(f):
    """The stub of __init__, for classes that Python code constructs."""
    doc = f.__doc__ or ""
    if "Overloaded function" in doc:
        return ["    def __init__(self, *args: Any) -> None: ..."]
    return function("__init__", f, "    ", method=True)


def klass(c):
    lines = [f"class {c.__name__}:"]
    for name, value in vars(c).items():
        if name == "__init__":
            lines += constructor(value)
            continue
        if name in (
            "__doc__",
            "__module__",
            "_pybind11_conduit_v1_",
            "__hash__",
            "__repr__",
            "__str__",
        ):
            continue
        if name in ("__eq__", "__ne__"):
            lines.append(f"    def {name}(self, other: object) -> _bool: ...")
        elif isinstance(value, property):
            result = typed((value.fget.__doc__ or "").split("\n")[0]).rpartition("-> ")[2] or "Any"
            lines += ["    @property", f"    def {name}(self) -> {result}: ..."]
        else:
            lines += function(name, value, "    ", method=True)
    if c.__name__ in ("DType", "TreeDef", "_Signature"):
        lines.append("    def __hash__(self) -> int: ...")
    return lines if len(lines) > 1 else [lines[0] + " ..."]


def namespace(name, module):
    lines = [f"class {name}:"]
    for member, value in sorted(vars(module).items()):
        if inspect.ismodule(value):
            lines += ["    " + line for line in namespace(member, value)]
        elif inspect.isclass(value):
            lines += ["    " + line for line in klass(value) if member not in ALIASES]
        elif stub := function(member, value, "    "):
            lines += ["    @staticmethod", *stub]
    return lines


def stub():
    from hesse import _hesse

    lines = [HEADER, ARRAY.rstrip()]
    for name in BINARY:
        lines.append(f"    def __{name}__(self, other: ArrayLike) -> Array: ...")
        lines.append(f"    def __r{name}__(self, other: ArrayLike) -> Array: ...")
    written = set(re.findall(r"def (\w+)", ARRAY))
    for name in sorted(vars(_hesse.Array)):
        if name not in written:
            lines += function(name, getattr(_hesse.Array, name), "    ", method=True)
    lines.append("")
    functions, values = [], []
    for name, value in sorted(vars(_hesse).items()):
        if inspect.ismodule(value):
            lines += [*namespace(name, value), ""]
        elif inspect.isclass(value):
            if value is not _hesse.Array and not issubclass(value, BaseException):
                lines += [*klass(value), ""]
        elif isinstance(value, _hesse.DType):
            values.append(f"{name}: DType")
        elif callable(value):
            functions += function(name, value)
    return "\n".join([*lines, *values, "", *functions, ""])


if __name__ == "__main__":
    text = stub()
    if "--check" in sys.argv:
        if not STUB.exists() or STUB.read_text() != text:
            sys.exit(f"{STUB} is out of date: run python {Path(__file__).name}")
    else:
        STUB.write_text(text)
