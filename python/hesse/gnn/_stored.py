"""Arrays by name from files of NumPy (.npz) and of PyTorch (.pt), without running anything that a file asks for."""

from __future__ import annotations

import io
import math
import pickle
import pickletools
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from .. import _hesse

__all__ = ["npz_arrays", "pickled_arrays"]

_Numbers = np.ndarray[Any, Any]
_MOST_PACKED = 1040  # bytes that one byte of a deflated file can stand for
_MOST_OPCODES = (
    5000  # of a hundred arrays; objects inside each other, thousands deep, would overflow the stack
)
_TORCH_MAGIC = 0x1950A86A20F9469CFC6C  # begins what torch.save wrote before version 1.6
_KNOWN = {  # what pickles of arrays name; bytes are named where there are none
    "numpy": ("ndarray", "dtype"), "numpy.core.multiarray": ("_reconstruct",), "_codecs": ("encode",),
    "__builtin__": ("bytes",),
}  # fmt: skip
_OPCODES = re.compile(
    "BINBYTES8?|BINGET|BININT[12]?|BINPUT|BINUNICODE8?|BUILD|EMPTY_(DICT|LIST|TUPLE)|FRAME|(STACK_)?GLOBAL|LONG1|"
    "LONG_BINGET|LONG_BINPUT|MARK|MEMOIZE|NEWFALSE|NEWTRUE|NONE|PROTO|REDUCE|SETITEMS?|SHORT_BIN(BYTES|UNICODE)|STOP|"
    "TUPLE[123]?"
)


def _bytes_of(function: str, path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise _hesse.FileMissingError(f"{function}: there is no file {path}") from None


def npz_arrays(function: str, path: Path) -> dict[str, _Numbers]:
    """The arrays of an .npz file, whose sizes are checked before memory is taken for them."""

    def refuse(what: str, cause: Exception | None = None) -> NoReturn:
        raise _hesse.FormatError(f"{function}: {path}: {what}") from cause

    if not path.exists():
        raise _hesse.FileMissingError(f"{function}: there is no file {path}")
    found = {}
    try:
        with zipfile.ZipFile(path) as file:
            for member in file.infolist():
                name = member.filename.removesuffix(".npy")
                if member.file_size > _MOST_PACKED * member.compress_size:
                    refuse(
                        f"{name} announces {member.file_size} bytes and is stored in {member.compress_size}"
                    )
                with file.open(member) as stream:
                    major = np.lib.format.read_magic(stream)[0]
                    header = (
                        np.lib.format.read_array_header_1_0
                        if major == 1
                        else np.lib.format.read_array_header_2_0
                    )
                    shape, fortran, dtype = header(stream)
                    if dtype.kind not in "biuf":
                        refuse(f"{name} has entries of type {dtype}, not numbers")
                    expected = math.prod(shape) * dtype.itemsize
                    if min(shape, default=0) < 0 or expected != member.file_size - stream.tell():
                        refuse(
                            f"{name} announces shape {shape} of {dtype}, in {member.file_size} bytes with its header"
                        )
                    values = np.frombuffer(stream.read(), dtype)
                found[name] = values.reshape(shape, order="F" if fortran else "C")
    except _hesse.FormatError:
        raise
    except Exception as cause:  # whatever zip files and headers that are broken lead to
        refuse(f"cannot be read as .npz: {cause}", cause)
    return found


class _Function:
    """What stands for a function or a class: it can be called, and nothing can be set."""

    __slots__ = ("_call",)

    def __init__(self, call: Callable[..., Any]) -> None:
        self._call = call

    def __call__(self, *args: Any) -> Any:
        return self._call(*args)

    def __setstate__(self, state: Any) -> None:
        raise pickle.UnpicklingError("it changes functions")


class _DType:
    """What stands for numpy.dtype: a kind and size of numbers."""

    def __init__(self, code: Any, align: Any = False, copy: Any = True) -> None:
        if not isinstance(code, str) or not re.fullmatch("b1|[iu][1248]|f[248]", code):
            raise pickle.UnpicklingError(f"it has entries of type {code!r}, not numbers")
        self.dtype = np.dtype(code)

    def __setstate__(self, state: Any) -> None:
        self.dtype = self.dtype.newbyteorder("=" if state[1] == "|" else state[1])


class _Array:
    """What stands for numpy.ndarray; spend: called with how many bytes it is filled with."""

    def __init__(self, spend: Callable[[int], None]) -> None:
        self.value: _Numbers | None = None
        self.spend = spend

    def __setstate__(self, state: Any) -> None:
        _, shape, kind, fortran, raw = state
        if not isinstance(kind, _DType) or type(raw) is not bytes:
            raise pickle.UnpicklingError("it has arrays of objects")
        self.spend(len(raw))
        values = np.frombuffer(raw, kind.dtype)
        if min(shape, default=0) < 0 or math.prod(shape) != values.size:
            raise pickle.UnpicklingError(f"an array announces shape {shape} and has {values.size} entries")
        self.value = values.reshape(shape, order="F" if fortran else "C").astype(
            kind.dtype.newbyteorder("="), copy=False
        )


class _Unpickler(pickle.Unpickler):
    """Knows arrays of NumPy by stand-ins of ours, and nothing else: no function that a file names is called."""

    def __init__(self, data: bytes) -> None:
        self.stream, self.size = io.BytesIO(data), len(data)
        self.left = {"text": self.size, "arrays": self.size}  # what may be made of it: no more than there is
        super().__init__(self.stream)

    def load(self) -> Any:
        begin = self.stream.tell()
        for count, (opcode, argument, _) in enumerate(
            pickletools.genops(self.stream)
        ):  # parses, and makes nothing
            if count == _MOST_OPCODES:
                raise pickle.UnpicklingError(f"it has more than {_MOST_OPCODES} steps")
            if opcode.name == "BINPERSID":
                raise pickle.UnpicklingError("it has tensors of PyTorch")
            # Memory is taken up to the number that LONG_BINPUT names.
            far = opcode.name == "LONG_BINPUT" and int(argument or 0) > self.size
            if far or not _OPCODES.fullmatch(opcode.name):
                raise pickle.UnpicklingError(f"it is more than arrays by name ({opcode.name})")
        self.stream.seek(begin)
        return super().load()

    def find_class(self, module: str, name: str) -> Any:
        if name not in _KNOWN.get(module.replace("numpy._core", "numpy.core"), ()):
            raise pickle.UnpicklingError(f"it names {module}.{name}")
        calls: dict[str, Callable[..., Any]] = {
            "ndarray": _Array, "dtype": _DType, "encode": self._encode, "bytes": lambda: b"",
            "_reconstruct": lambda *_: _Array(lambda n: self._spend("arrays", n)),
        }  # fmt: skip
        return _Function(calls[name])

    def _encode(self, text: str, encoding: str) -> bytes:
        """Bytes, which old pickles hold as text."""
        self._spend("text", len(text))
        if encoding != "latin1":
            raise pickle.UnpicklingError(f"it has text encoded as {encoding!r}")
        return text.encode("latin1")

    def _spend(self, what: str, count: int) -> None:
        self.left[what] -= count
        if self.left[what] < 0:
            raise pickle.UnpicklingError(f"it makes {what} of the same bytes again and again")


def pickled_arrays(function: str, path: Path) -> dict[str, _Numbers]:
    """The arrays of a dict of NumPy arrays that torch.save or pickle wrote; others are refused, with what to do."""
    data = _bytes_of(function, path)
    try:
        if zipfile.is_zipfile(io.BytesIO(data)):
            with zipfile.ZipFile(io.BytesIO(data)) as file:
                (member,) = (m for m in file.infolist() if m.filename.endswith("/data.pkl"))
                if member.file_size > _MOST_PACKED * member.compress_size:
                    raise ValueError(f"{member.filename} announces {member.file_size} bytes")
                data = file.read(member)
        reader = _Unpickler(data)
        found = reader.load()
        if type(found) is int and found == _TORCH_MAGIC:
            found = [reader.load() for _ in range(3)][2]  # after its version and a dict of sizes
        if not isinstance(found, dict):
            raise ValueError("it is no dict")
        arrays = {}
        for name, a in found.items():
            if type(name) is not str or not isinstance(a, _Array) or a.value is None:
                raise ValueError(f"{name!r} is not an array of NumPy")
            arrays[name] = a.value
    except Exception as cause:  # whatever broken files lead to
        raise _hesse.FormatError(
            f"{function}: {path}: of pickles only dicts of arrays of NumPy are read: {cause}. Where you trust the file, "
            f"store it as {path.stem}.npz beside it: np.savez('{path.stem}.npz', **{{k: np.asarray(v) for k, v in "
            f"torch.load('{path.name}', weights_only=False).items()}})"
        ) from cause
    return arrays
