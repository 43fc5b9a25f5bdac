"""Rows of the op table: views, movement and indexing."""

from __future__ import annotations

import numpy as np
from op_entry import Entry, S, refuse
from sampling import Arg, B, F, I, distinct

ALL = {"takes": "fcib", "out": "same"}


def bad(name, *args, error=ValueError, says=(), **kw):
    named = {"permute_dims": "permute_dims|transpose"}.get(name, name)
    return refuse(lambda hs: getattr(hs, name)(hs.ones((2, 3)), *args, **kw), error, named, *map(str, says))


def pad_(x, widths, value=0.0, mode="constant"):
    if mode == "constant":
        dtype = np.result_type(x, value) if np.iscomplexobj(value) else x.dtype
        return np.pad(x.astype(dtype), widths, mode=mode, constant_values=value)
    return np.pad(x, widths, mode=mode)


def hs_pad(hs, x, widths, value=0.0, mode="constant"):
    return hs.pad(x, widths, mode, constant_values=value) if mode == "constant" else hs.pad(x, widths, mode)


VIEWS = [
    Entry("reshape", np.reshape, (S(F(2, 3), (3, 2)), S(F(2, 3), (-1,)), S(F(2, 3, 4), (4, -1, 2)), S(F(), (1, 1)), S(F(0, 3), (0, 5)), S(F(1), ())),
          refusals=(bad("reshape", (4, 2), says=("(2, 3)", "(4, 2)")), bad("reshape", (-1, -1), says=("-1",)), bad("reshape", (4, -1), says=("(2, 3)",))), **ALL),
    Entry("flatten", np.ravel, (S(F(2, 3)), S(F()), S(F(0, 2))), also=("ravel",), **ALL),
    Entry("permute_dims", np.transpose, (S(F(2, 3, 4), (2, 0, 1)), S(F(2, 3), (1, 0)), S(F(), ()), S(F(0, 2), (1, 0))), cpp=("transpose",), also=("transpose",),
          refusals=(bad("permute_dims", (0, 0), says=("(0, 0)",)), bad("permute_dims", (0, 2), error=(ValueError, IndexError), says=("2",))), **ALL),
    Entry("matrix_transpose", np.matrix_transpose, (S(F(2, 3)), S(F(2, 3, 4)), S(F(0, 2))), also=("linalg.matrix_transpose",),
          refusals=(refuse(lambda hs: hs.matrix_transpose(hs.ones((3,))), ValueError, "matrix_transpose", "(3,)"),), **ALL),
    Entry("swapaxes", np.swapaxes, (S(F(2, 3, 4), 0, 2), S(F(2, 3), -1, 0)), refusals=(bad("swapaxes", 0, 7, error=IndexError, says=("7",)),), **ALL),
    Entry("moveaxis", np.moveaxis, (S(F(2, 3, 4), 0, -1), S(F(2, 3, 4), (0, 1), (2, 0)), S(F(3), 0, 0)),
          refusals=(bad("moveaxis", 0, 4, error=IndexError, says=("4",)), bad("moveaxis", (0, 1), (0,), says=("source",))), **ALL),
    Entry("expand_dims", lambda x, axis: np.expand_dims(x, axis), (S(F(2, 3), axis=0), S(F(2, 3), axis=-1), S(F(), axis=0), S(F(0), axis=1)),
          refusals=(bad("expand_dims", axis=4, error=IndexError, says=("4",)),), **ALL),
    Entry("squeeze", lambda x, axis: np.squeeze(x, axis), (S(F(1, 3, 1), axis=(0, 2)), S(F(1, 3), axis=0), S(F(1, 0), axis=0)),
          refusals=(bad("squeeze", axis=0, says=("2",)), bad("squeeze", axis=4, error=IndexError, says=("4",))), **ALL),
    Entry("broadcast_to", np.broadcast_to, (S(F(3), (2, 3)), S(F(), (2, 2)), S(F(2, 1), (4, 2, 3)), S(F(1), (0,)), S(F(2, 3), (2, 3))),
          refusals=(bad("broadcast_to", (3, 2), says=("(2, 3)", "(3, 2)")),), **ALL),
    Entry("broadcast_arrays", lambda *xs: tuple(np.broadcast_arrays(*xs)), (S(F(3), F(2, 1)), S(F(), F(2), F(1)), S(F(0), F(1))),
          refusals=(refuse(lambda hs: hs.broadcast_arrays(hs.ones((2,)), hs.ones((3,))), ValueError, "broadcast_arrays", "(2,)", "(3,)"),), **ALL),
    Entry("flip", lambda x, axis=None: np.flip(x, axis), (S(F(2, 3)), S(F(2, 3), axis=0), S(F(2, 3, 2), axis=(0, -1)), S(F()), S(F(0, 2), axis=1)),
          refusals=(bad("flip", axis=3, error=IndexError, says=("3",)),), **ALL),
    Entry("roll", lambda x, shift, axis=None: np.roll(x, shift, axis), (S(F(5), 2, axis=0), S(F(2, 3), -1), S(F(2, 3), (1, 2), axis=(0, 1)), S(F(2, 3), 7, axis=1), S(F(0), 1, axis=0)),
          refusals=(bad("roll", 1, axis=3, error=IndexError, says=("3",)), bad("roll", (1, 2, 3), axis=(0, 1), says=("shift",))), **ALL),
    Entry("tile", np.tile, (S(F(2, 3), (2, 2)), S(F(3), (2, 1)), S(F(2, 3), (2,)), S(F(), (3,)), S(F(2), (0,))),
          refusals=(bad("tile", (-1, 2), says=("-1",)),), **ALL),
    Entry("repeat", lambda x, n, axis=None: np.repeat(x, n, axis), (S(F(2, 3), 2, axis=0), S(F(2, 3), 3, axis=1), S(F(2, 3), 2), S(F(4), 0, axis=0)),
          refusals=(bad("repeat", -1, axis=0, says=("-1",)), bad("repeat", 2, axis=3, error=IndexError, says=("3",))), **ALL),
    Entry("pad", pad_, (S(F(3), [(1, 2)]), S(F(2, 3), [(1, 0), (0, 2)], 2.0), S(F(4), [(2, 1)], mode="edge"), S(F(4), [(2, 3)], mode="reflect"),
                        S(F(4), [(2, 3)], mode="wrap"), S(F(2, 4), [(1, 1), (2, 0)], mode="reflect"), S(F(0), [(1, 1)])),
          takes="fci", out="same", call=hs_pad,
          refusals=(bad("pad", [(1, -1), (0, 0)], says=("-1",)), bad("pad", [(1, 1)] * 3, says=("3", "2")), bad("pad", [(1, 1), (1, 1)], mode="mirror", says=("mode", "mirror")))),
    Entry("concat", lambda xs, axis=0: np.concatenate(xs, axis=axis), (S([F(2, 3), F(1, 3)]), S([F(2, 3), F(2, 2), F(2, 0)], axis=1), S([F(2), F(2)], axis=None), S([F(3)]), S([F(0), F(0)])),
          cpp=("concatenate",), also=("concatenate",),
          refusals=(refuse(lambda hs: hs.concat([hs.ones((2, 3)), hs.ones((2, 2))]), ValueError, "(2, 3)", "(2, 2)"), refuse(lambda hs: hs.concat([]), ValueError, "no arrays|empty|at least one")), **ALL),
    Entry("stack", lambda xs, axis=0: np.stack(xs, axis=axis), (S([F(2, 3), F(2, 3)]), S([F(2), F(2), F(2)], axis=1), S([F(), F()]), S([F(2), F(2)], axis=-1), S([F(0), F(0)])),
          refusals=(refuse(lambda hs: hs.stack([hs.ones((2,)), hs.ones((3,))]), ValueError, "stack", "(2,)", "(3,)"), refuse(lambda hs: hs.stack([]), ValueError, "stack")), **ALL),
    Entry("unstack", lambda x, axis=0: tuple(np.moveaxis(x, axis, 0)), (S(F(2, 3)), S(F(2, 3), axis=1), S(F(2, 3), axis=-1), S(F(2, 0))),
          refusals=(bad("unstack", axis=3, error=IndexError, says=("3",)),), **ALL),
    Entry("split", lambda x, how, axis=0: tuple(np.split(x, how, axis)), (S(F(4, 3), 2), S(F(5), [1, 3]), S(F(2, 6), 3, axis=1), S(F(3), [0, 2, 3]), S(F(0), 2)),
          refusals=(bad("split", 4, says=("4", "2")), bad("split", 2, axis=3, error=IndexError, says=("3",))), **ALL),
    Entry("reshape#copy", np.copy, cpp=("copy",), samples=(S(F(2, 3)), S(F()), S(F(0))), call=lambda hs, x: hs.reshape(x, x.shape, copy=True), **ALL),
]  # fmt: skip


# Indexing ------------------------------------------------------------------------------------------------------------
def indexed(label, ref, *samples, **kw):
    return Entry(
        f"getitem#{label}",
        ref,
        samples,
        call=lambda hs, *a: ref(*a),
        cpp=("getitem", "slice"),
        **{**ALL, **kw},
    )


def out_of_range(hs):
    return hs.ones((2, 3))[5]


def too_many(hs):
    return hs.ones((2, 3))[0, 0, 0]


GETITEM = [
    indexed("int", lambda x: x[1], S(F(3)), S(F(2, 3)), refusals=(refuse(out_of_range, IndexError, "5", "2"), refuse(too_many, IndexError, "3", "2"))),
    indexed("negative", lambda x: x[-1], S(F(3)), S(F(2, 0))),
    indexed("slice", lambda x: x[1:3], S(F(4)), S(F(5, 2)), S(F(1)), S(F(0))),
    indexed("step", lambda x: x[::-2], S(F(5)), S(F(4, 2)), S(F(0))),
    indexed("mixed", lambda x: x[..., None, 1, 2:], S(F(2, 3, 4)), S(F(2, 4))),
    indexed("ellipsis", lambda x: x[..., 0], S(F(3)), S(F(2, 3))),
    indexed("none", lambda x: x[None, :, None], S(F(3)), S(F(0))),
    indexed("array", lambda x, i: x[i], S(F(5), I(3, lo=-5, hi=5)), S(F(5, 2), I(2, 2, hi=5)), S(F(4), I(0)), S(F(4), I())),
    indexed("pair", lambda x, i, j: x[i, j], S(F(3, 4), I(5, hi=3), I(5, hi=4)), S(F(3, 4), I(2, 1, hi=3), I(3, hi=4))),
    indexed("array slice", lambda x, i: x[:, i], S(F(2, 5), I(3, hi=5)), S(F(2, 5, 2), I(2, 2, hi=5))),
    indexed("separated", lambda x, i, j: x[i, :, j], S(F(3, 2, 4), I(5, hi=3), I(5, hi=4))),
    indexed("newaxis array", lambda x, i: x[None, i, 1:], S(F(3, 4), I(2, hi=3))),
    indexed("mask", lambda x, m: x[m], S(F(5), B(5)), S(F(2, 3), B(2, 3)), S(F(4, 2), B(4)), vmap=False, compiles=False),
]  # fmt: skip


def numpy_at(how):
    def f(x, i, y, index=lambda i: i):
        z = np.array(x, dtype=np.result_type(x, y) if np.iscomplexobj(y) else None)
        at = {"add": np.add, "multiply": np.multiply, "min": np.minimum, "max": np.maximum}.get(how)
        if at is None:
            z[index(i)] = y
        else:
            at.at(z, index(i), y)
        return z

    return f


def hs_at(how):
    return lambda hs, x, i, y, index=lambda i: i: getattr(x.at[index(i)], how)(y)


def head(i):
    return slice(0, 2)


def column(i):
    return (slice(None), i)


def fixed(*values):
    """An index argument with these values."""
    return Arg(
        (len(values),), lambda rng, shape, cplx: np.array(values), dtype="int64", diff=False, ints=None
    )


def at_rows():
    domains = {"min": distinct(0), "max": distinct(0)}
    for how in ("set", "add", "multiply", "min", "max"):
        domain = domains.get(how)
        extra = {"domain": domain} if domain else {}
        other = {"domain": distinct(1)} if domain else {}
        unique = F(5, **extra), I(1, hi=5)
        samples = [
            S(*unique, F(1, **other)), S(F(5, 2, **extra), I(1, hi=5), F(2, **other)), S(F(4, 3, **extra), I(hi=4), F(3, **other), index=head),
            S(F(2, 5, **extra), I(hi=5), F(2, **other), index=column), S(F(3, **extra), I(0), F(0, **other)), S(F(4, **extra), I(hi=4), F(**other)),
        ]  # fmt: skip
        if how in ("add", "set", "multiply", "min", "max"):  # several indices, some of them equal
            samples.append(S(F(4, **extra), I(6, hi=4), F(6, **other)))
        takes = "fi" if how in ("min", "max") else "fci"
        yield Entry(f"at.{how}", numpy_at(how), tuple(samples), takes=takes, out="same", diff=takes.replace("i", ""), call=hs_at(how), cpp=("at_update",),
                    refusals=(refuse(lambda hs, h=how: getattr(hs.ones((3,)).at[7], h)(1.0), IndexError, "7", "3"),
                              refuse(lambda hs, h=how: getattr(hs.ones((3,)).at[0:2], h)(hs.ones((3,))), ValueError, "(3,)")))  # fmt: skip


def take_(x, i, axis=None):
    return np.take(x, i, axis=axis)


def scatter_add_(x, i, n):
    out = np.zeros((n, *x.shape[i.ndim :]), x.dtype)
    np.add.at(out, i, x)
    return out


def segment_max_(x, i, n):
    low = -np.inf if x.dtype.kind == "f" else np.iinfo(x.dtype).min
    out = np.full((n, *x.shape[1:]), low, x.dtype)
    np.maximum.at(out, i, x)
    return out


def sort_(x, axis=-1, descending=False):
    return np.take_along_axis(x, argsort_(x, axis, descending), axis)


def argsort_(x, axis=-1, descending=False):
    if not descending:
        return np.argsort(x, axis=axis, stable=True)
    key = -x.astype(np.float64 if x.dtype.kind == "f" else np.int64)  # NaN last, whichever way
    return np.argsort(key, axis=axis, stable=True)


def topk_(x, k, axis=-1, largest=True):
    i = np.take(argsort_(x, axis, descending=largest), np.arange(k), axis=axis)
    return np.take_along_axis(x, i, axis), i


def sorted_values(rng, shape, cplx):
    return np.sort(rng.standard_normal(shape))


INDEX = [
    Entry("take", take_, (S(F(5), I(3, hi=5), axis=0), S(F(2, 5), I(3, lo=-5, hi=5), axis=1), S(F(2, 5), I(2, 2, hi=5), axis=-1), S(F(2, 5), I(3, hi=2), axis=0), S(F(4), I(0), axis=0), S(F(4), I(), axis=0)),
          refusals=(refuse(lambda hs: hs.take(hs.ones((3,)), hs.asarray([0, 7]), axis=0), IndexError, "take", "7", "3"),
                    refuse(lambda hs: hs.take(hs.ones((3,)), hs.asarray([0.5]), axis=0), TypeError, "take", "float64"), bad("take", 0, axis=4, error=(IndexError, TypeError))), **ALL),
    Entry("take_along_axis", lambda x, i, axis=-1: np.take_along_axis(x, i, axis), (S(F(2, 5), I(2, 3, hi=5)), S(F(4, 2), I(3, 2, hi=4), axis=0), S(F(5), I(5, lo=-5, hi=5)), S(F(2, 3), I(2, 0))),
          refusals=(refuse(lambda hs: hs.take_along_axis(hs.ones((2, 3)), hs.asarray([[0], [9]])), IndexError, "take_along_axis", "9", "3"),
                    refuse(lambda hs: hs.take_along_axis(hs.ones((2, 3)), hs.asarray([0])), ValueError, "take_along_axis", "(2, 3)", "(1,)")), **ALL),
    Entry("gather", lambda x, i: x[i], (S(F(5), I(3, hi=5)), S(F(5, 2), I(4, hi=5)), S(F(5, 2), I(2, 2, hi=5)), S(F(4, 3), I(0)), S(F(3, 2), I(200, hi=3))),
          refusals=(refuse(lambda hs: hs.gather(hs.ones((3,)), hs.asarray([0, 7])), IndexError, "gather", "7", "3"),
                    refuse(lambda hs: hs.gather(hs.ones((3,)), hs.asarray([0.5])), TypeError, "gather", "float64")), **ALL),
    Entry("scatter_add", scatter_add_, (S(F(6), I(6, hi=4), 4), S(F(6, 2), I(6, hi=4), 5), S(F(2, 2, 3), I(2, 2, hi=4), 4), S(F(0, 2), I(0), 3), S(F(0), I(0), 0)),
          takes="fci", out="same", call=lambda hs, x, i, n: hs.scatter_add(x, i, n),
          refusals=(refuse(lambda hs: hs.scatter_add(hs.ones((2,)), hs.asarray([0, 7]), 3), IndexError, "scatter_add", "7", "3"),)),
    Entry("segment_sum", scatter_add_, (S(F(6), I(6, hi=4), 4), S(F(6, 2), I(6, hi=4), 5), S(F(0, 2), I(0), 3), S(F(200), I(200, hi=7), 7)), takes="fci", out="same",
          refusals=(refuse(lambda hs: hs.segment_sum(hs.ones((2,)), hs.asarray([0, 7]), 5), IndexError, "segment_sum", "7", "position 1", "5", "num_segments=8"),
                    refuse(lambda hs: hs.segment_sum(hs.ones((2,)), hs.asarray([0, 1, 1]), 5), ValueError, "segment_sum", "(2,)", "(3,)"))),
    Entry("segment_max", segment_max_, (S(F(6, domain=distinct(0)), fixed(0, 2, 1, 1, 0, 2), 3), S(F(6, 2, domain=distinct(0)), fixed(3, 0, 1, 2, 1, 0), 4)), takes="fi", out="same",
          refusals=(refuse(lambda hs: hs.segment_max(hs.ones((2,)), hs.asarray([0, 7]), 5), IndexError, "segment_max", "7", "5"),)),
    Entry("segment_max#empty", segment_max_, (S(F(3, domain=distinct(0)), I(3, hi=2), 4), S(F(0, 2), I(0), 2)), takes="fi", out="same", diff="",
          call=lambda hs, x, i, n: hs.segment_max(x, i, n), cpp=()),
    Entry("sort", sort_, tuple(S(F(*s, domain=distinct(0)), **k) for s, k in [((6,), {}), ((3, 4), {"axis": 0}), ((3, 4), {"descending": True}), ((0,), {}), ((2, 0), {}), ((1,), {}), ((130,), {})]),
          takes="fi", out="same", special=True, refusals=(bad("sort", axis=4, error=IndexError, says=("4",)), refuse(lambda hs: hs.sort(hs.asarray([1j])), TypeError, "sort", "complex128"))),
    Entry("argsort", argsort_, tuple(S(F(*s, domain=distinct(0)), **k) for s, k in [((6,), {}), ((3, 4), {"axis": 0}), ((3, 4), {"descending": True}), ((0,), {})]),
          takes="fi", out="int64", diff="", special=True, refusals=(bad("argsort", axis=4, error=IndexError, says=("4",)), refuse(lambda hs: hs.argsort(hs.asarray([1j])), TypeError, "argsort", "complex128"))),
    Entry("topk", topk_, tuple(S(F(*s, domain=distinct(0)), k, **kw) for s, k, kw in [((6,), 3, {}), ((3, 4), 2, {"axis": 0}), ((3, 4), 1, {"largest": False}), ((5,), 0, {}), ((5,), 5, {})]),
          takes="fi", out=("same", "int64"), refusals=(bad("topk", 7, says=("7", "3")), bad("topk", -1, says=("-1",)))),
    Entry("searchsorted", lambda a, v, side="left": np.searchsorted(a, v, side), (S(F(6, domain=sorted_values), F(4)), S(F(6, domain=sorted_values), F(2, 3), side="right"), S(F(0), F(2)), S(F(3, domain=sorted_values), F())),
          takes="f", out="int64", diff="", refusals=(refuse(lambda hs: hs.searchsorted(hs.ones((3,)), hs.ones((2,)), side="middle"), ValueError, "searchsorted", "side", "middle"),)),
]  # fmt: skip


def outside_tracing():
    def unique_check(ys, xs, s):
        values, indices, inverse, counts = ys
        v, i, inv, c = np.unique(xs[0], return_index=True, return_inverse=True, return_counts=True)
        np.testing.assert_array_equal(values, v)
        np.testing.assert_array_equal(counts, c)
        np.testing.assert_array_equal(indices, i)
        np.testing.assert_array_equal(np.reshape(inverse, inv.shape), inv)

    def in_trace(name):
        def call(hs):
            return hs.vmap(getattr(hs, name))(hs.ones((2, 3)))

        return refuse(call, "TraceError", name.split("_")[0], "symbol")

    plain = {"takes": "fcib", "diff": "", "vmap": False, "compiles": False}
    return [
        Entry("unique_all", None, (S(I(9, hi=5)), S(F(5)), S(F(2, 3)), S(F(0))), check=unique_check, out=("same", "int64", "int64", "int64"), cpp=("unique",),
              refusals=(in_trace("unique_all"),), **plain),
        Entry("unique", np.unique, (S(I(9, hi=5)),), out="same", cpp=(), **plain),
        Entry("unique_values", np.unique, (S(I(9, hi=5)),), out="same", cpp=(), **plain),
        Entry("unique_counts", lambda x: np.unique(x, return_counts=True), (S(I(9, hi=5)),), out=("same", "int64"), cpp=(), **plain),
        Entry("unique_inverse", lambda x: np.unique(x, return_inverse=True), (S(I(9, hi=5)),), out=("same", "int64"), cpp=(), **plain),
        Entry("nonzero", np.nonzero, (S(F(6)), S(I(2, 3, hi=2)), S(B(4)), S(F(0))), out="int64", refusals=(in_trace("nonzero"),), **plain),
    ]  # fmt: skip


ROWS = [*VIEWS, *GETITEM, *at_rows(), *INDEX, *outside_tracing()]
