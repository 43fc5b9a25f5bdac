"""Hesse's transforms on flat tuples of arrays, and comparisons, for the suites."""

from __future__ import annotations

import gc
from contextlib import contextmanager

import numpy as np
from op_entry import TOLERANCE, Call, Entry

import hesse as hs


def arrays_of(values) -> list:
    return [hs.asarray(v) for v in values]


def numpy_of(y) -> np.ndarray:
    return np.asarray(y)


def jvp(f, xs, vs):
    """f(*xs) and its derivative along vs, as tuples."""
    y, dy = hs.jvp(f, tuple(xs), tuple(vs))
    return tuple(y), tuple(dy)


def vjp(f, xs):
    """f(*xs) and the pull-back from a tuple of cotangents to a tuple."""
    y, pull = hs.vjp(f, *xs)
    return tuple(y), lambda ct: tuple(pull(tuple(ct)))


def pairing(vs, us) -> float:
    """Re sum v u, in double precision, without conjugation."""
    total = 0.0
    for v, u in zip(vs, us, strict=True):
        a, b = numpy_of(v), numpy_of(u)
        wide = np.complex128 if "c" in (a.dtype.kind, b.dtype.kind) else np.float64
        total += float(np.real(np.sum(a.astype(wide) * b.astype(wide))))
    return total


def norm_of(vs) -> float:
    return float(np.sqrt(sum(np.sum(np.abs(numpy_of(v)).astype(np.float64) ** 2) for v in vs)))


def differentiable(entry: Entry, call: Call):
    """(f, xs, ys): the op as a function of its differentiated arguments onto its differentiated results."""
    fixed = arrays_of(call.arrays)
    ys = call.run(hs, fixed)
    keep = entry.diff_out
    if keep is None:
        keep = tuple(k for k, y in enumerate(ys) if numpy_of(y).dtype.kind in "fc")

    def f(*diff):
        full = list(fixed)
        for i, x in zip(call.taken, diff, strict=True):
            full[i] = x
        out = call.run(hs, full)
        return tuple(out[k] for k in keep)

    return f, [fixed[i] for i in call.taken], tuple(ys[k] for k in keep)


def reference_function(entry: Entry, call: Call):
    """The same of the reference, in double precision, lists to tuples."""

    def f(diff):
        full = list(call.arrays)
        for i, x in zip(call.taken, diff, strict=True):
            full[i] = x
        out = call.reference(full)
        keep = entry.diff_out
        if keep is None:
            keep = tuple(k for k, y in enumerate(out) if np.asarray(y).dtype.kind in "fc")
        return tuple(out[k] for k in keep)

    return f


def close(actual, desired, dtype, rtol=1.0, what="value", scale=None):
    """Compares to the tolerance of the dtype, relative to the largest finite entry."""
    a, d = numpy_of(actual), np.asarray(desired)
    assert a.shape == d.shape, f"{what}: shape {a.shape}, expected {d.shape}"
    tol = TOLERANCE.get(dtype, 0.0) * rtol
    finite = np.abs(d[np.isfinite(d)]) if d.dtype.kind in "fc" else np.abs(d.astype(np.float64))
    magnitude = max(float(finite.max()) if finite.size else 0.0, 1.0 if scale is None else scale)
    np.testing.assert_allclose(a, d, rtol=tol, atol=tol * magnitude, err_msg=what)


class Cases:
    """Runs many small cases in one test and reports every one that fails."""

    def __init__(self):
        self.failed: list[str] = []
        self.count = 0

    @contextmanager
    def case(self, label):
        self.count += 1
        try:
            yield
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            text = str(error).strip()
            self.failed.append(f"{label}: {type(error).__name__}: {text[:600]}")

    def finish(self):
        if self.failed:
            shown = "\n".join(self.failed[:8])
            raise AssertionError(f"{len(self.failed)} of {self.count} cases failed\n{shown}")


def live_buffers() -> int:
    gc.collect()
    return hs._hesse.live_buffers()


@contextmanager
def no_leak(what=""):
    """Fails when buffers made inside outlive the block. Caches are warmed by the caller running the block once before."""
    before = live_buffers()
    yield
    after = live_buffers()
    assert after <= before, f"{what}: {after - before} buffers more than before"
