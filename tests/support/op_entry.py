"""What one row of the op table says. The rows are in op_rows_*.py, put together in op_table.py."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sampling import COMPLEX, FLOATS, GROUPS, INTEGERS, Arg, draw

TOLERANCE = {"float32": 2e-5, "complex64": 2e-5, "float64": 2e-13, "complex128": 2e-13}


@dataclass(frozen=True)
class Sample:
    """Arguments of one call. Entries of `args`: an Arg, a list or tuple of Args, or a static value."""

    args: tuple
    kw: dict[str, Any] = field(default_factory=dict)
    diff: bool = True

    def arguments(self) -> list[Arg]:
        flat = []
        for a in self.args:
            flat.extend(a if isinstance(a, (list, tuple)) and a and isinstance(a[0], Arg) else [a])
        return [a for a in flat if isinstance(a, Arg)]

    def rebuild(self, arrays) -> list:
        """The positional arguments with `arrays` in the places of the Args."""
        rest = iter(arrays)

        def fill(a):
            if isinstance(a, Arg):
                return next(rest)
            if isinstance(a, (list, tuple)) and a and isinstance(a[0], Arg):
                return [next(rest) for _ in a]
            return a

        return [fill(a) for a in self.args]

    def __str__(self) -> str:
        shapes = "x".join("(" + ",".join(map(str, a.shape)) + ")" for a in self.arguments())
        extra = ",".join(f"{k}={v}" for k, v in self.kw.items())
        return shapes + (":" + extra if extra else "")


def S(*args, diff=True, **kw) -> Sample:
    return Sample(args, kw, diff)


@dataclass(frozen=True)
class Refusal:
    """A call that must raise `error` with a message that holds every string of `says` (in any case)."""

    call: Callable[[Any], Any]
    error: type[Exception] | tuple[type[Exception], ...] | str  # a str: the name of one of Hesse's
    says: tuple[str, ...]


def refuse(call, error, *says) -> Refusal:
    return Refusal(call, error, says)


@dataclass(frozen=True)
class Entry:
    """One public operation.

    name      its name in Python, dotted
    ref       the reference on NumPy arrays; called in double precision
    samples   calls; `diff=False` ones are not differentiated (empty, or at a place with a kink)
    takes     groups of dtypes accepted: f floating, c complex, i integers, b bool; the others are refused by TypeError
    out       dtype of the results: see `expected_dtype`; a tuple for several results
    diff      groups differentiated ("" for ops without derivatives)
    analytic  the reference can be evaluated by complex step
    call      (hs, *args, **kw) -> result, where it is not simply hs.<name>(*args, **kw)
    cpp       names in core/ops.h that this row covers (default: the last part of `name`)
    also      further Python names of the same op
    check     (outputs, arrays, sample) instead of the comparison with `ref`
    special   compare on NaN, infinities, signed zeros too; "any zero": but for the sign of a zero
    diff_out  which results are differentiated (default: all inexact ones)
    by        "ref": differences of the reference; "self": of the op itself, where the reference has another gauge
    order     highest order of derivatives to check
    rtol      factor on the tolerances of values and derivatives
    vmap      whether the op is mapped over its arguments
    compiles  whether it can be called while tracing
    lane      reason why a data-dependent shape refuses tracing
    """

    name: str
    ref: Callable | None
    samples: tuple[Sample, ...]
    takes: str = "fc"
    out: Any = "float"
    diff: str = "fc"
    analytic: bool = False
    call: Callable | None = None
    cpp: tuple[str, ...] | None = None
    also: tuple[str, ...] = ()
    check: Callable | None = None
    special: bool | str = False
    diff_out: tuple[int, ...] | None = None
    by: str = "ref"
    order: int = 5
    rtol: float = 1.0
    vmap: bool = True
    compiles: bool = True
    refusals: tuple[Refusal, ...] = ()
    dtypes: tuple[str, ...] | None = None
    step: float = 0.02

    def covers(self) -> tuple[str, ...]:
        return self.cpp if self.cpp is not None else (self.name.rsplit(".", 1)[-1],)

    def accepted(self) -> list[str]:
        if self.dtypes is not None:
            return list(self.dtypes)
        return [d for g in self.takes for d in GROUPS[g]]

    def differentiated(self) -> list[str]:
        return [
            d
            for d in self.accepted()
            if d in FLOATS + COMPLEX and ("c" if d in COMPLEX else "f") in self.diff
        ]

    def resolve(self, hs):
        """The function of arrays and parameters on Hesse's side."""
        if self.call is not None:
            return lambda *args, **kw: self.call(hs, *args, **kw)
        f = hs
        for part in self.name.split("."):
            f = getattr(f, part)
        return f


class Call:
    """A sample with random arrays drawn: `arrays` in the places of its Args, as NumPy arrays of their dtypes."""

    def __init__(self, entry: Entry, sample: Sample, dtype: str, seed: int = 0):
        self.entry, self.sample, self.dtype = entry, sample, dtype
        self.rng = np.random.default_rng([seed, len(sample.args), *map(ord, entry.name)])
        self.specs = sample.arguments()
        self.arrays = [draw(a, self.rng, dtype) for a in self.specs]
        self.taken = [i for i, a in enumerate(self.specs) if a.diff and self.arrays[i].dtype.kind in "fc"]

    def redraw(self) -> list[np.ndarray]:
        return [draw(a, self.rng, self.dtype) for a in self.specs]

    def kw(self, hs) -> dict:
        """Keyword arguments; the value "DT" stands for the dtype under test."""
        lib = np if hs is np else hs
        return {k: getattr(lib, self.dtype + ("_" if lib is np and self.dtype == "bool" else "")) if v == "DT" else v
                for k, v in self.sample.kw.items()}  # fmt: skip

    def run(self, hs, arrays) -> tuple:
        """The op on Hesse arrays."""
        return as_tuple(self.entry.resolve(hs)(*self.sample.rebuild(arrays), **self.kw(hs)))

    def reference(self, arrays=None) -> tuple:
        """The reference in double precision on the same values."""
        arrays = self.arrays if arrays is None else arrays
        widths = dict(_WIDE)
        if self.entry.out == "float" and self.dtype in INTEGERS + ("bool",):  # integers give floats
            widths[self.dtype] = "float64"
        wide = [a.astype(widths.get(a.dtype.name, a.dtype)) for a in map(np.asarray, arrays)]
        with np.errstate(all="ignore"):
            return as_tuple(self.entry.ref(*self.sample.rebuild(wide), **self.kw(np)))

    def tangents(self, arrays=None) -> list[np.ndarray]:
        """Random directions for the differentiated arguments, in their dtypes."""
        return [random_like(self.rng, self.arrays[i]) for i in self.taken]

    def expected_dtypes(self, count: int) -> list[str]:
        names = [a.dtype.name for a, s in zip(self.arrays, self.specs, strict=True) if s.dtype is None]
        names = names or [a.dtype.name for a in self.arrays]
        rule = self.entry.out
        if callable(rule):
            return rule(self.sample)
        rules = rule if isinstance(rule, tuple) else (rule,) * count
        return [expected_dtype(r, names, self.dtype) for r in rules]


_REAL = {"complex64": "float32", "complex128": "float64"}
_WIDE = {"float32": "float64", "complex64": "complex128"}


def random_like(rng, x) -> np.ndarray:
    z = rng.standard_normal(x.shape)
    if x.dtype.kind == "c":
        z = z + 1j * rng.standard_normal(x.shape)
    return np.asarray(z).astype(x.dtype)


def as_tuple(y) -> tuple:
    if isinstance(y, (tuple, list)):
        return tuple(y)
    return (y,)


def expected_dtype(rule, names: list[str], dtype: str) -> str:
    """float: the common dtype, float64 for integers; same: the common dtype; real, complex: of that precision;
    real_same: the common dtype, complex made real; widen: 64 bits for integers and bools; dtype: the dtype under test; otherwise the name itself."""
    common = np.result_type(*names).name if names else dtype
    if rule == "same":
        return common
    if rule == "dtype":
        return dtype
    if rule == "widen":
        kind = np.dtype(common).kind
        return {"b": "int64", "i": "int64", "u": "uint64"}.get(kind, common)
    if rule == "real_same":
        return _REAL.get(common, common)
    if np.dtype(common).kind not in "fc":
        common = "float64"
    if rule == "float":
        return common
    if rule == "real":
        return _REAL.get(common, common)
    if rule == "complex":
        return {"float32": "complex64", "float64": "complex128"}.get(common, common)
    return rule
