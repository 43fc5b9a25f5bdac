"""Every row of the op table against every property that an op must have."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from differences import complex_step, richardson
from hs_tools import (
    Cases,
    arrays_of,
    close,
    differentiable,
    jvp,
    live_buffers,
    norm_of,
    numpy_of,
    pairing,
    reference_function,
    vjp,
)
from op_entry import Call, random_like
from op_table import TABLE
from run_examples import run_examples

import hesse as hs

PRECISIONS = {"f32": ("float32", "complex64"), "f64": ("float64", "complex128")}
ALL = pytest.mark.parametrize("entry", TABLE, ids=[e.name for e in TABLE])
DIFFERENTIABLE = [e for e in TABLE if e.differentiated()]
DERIVATIVES = pytest.mark.parametrize("entry", DIFFERENTIABLE, ids=[e.name for e in DIFFERENTIABLE])


@pytest.fixture
def covers(request):
    """covers(entry, column, ...): counts this test in these columns of the coverage."""

    def mark(entry, *columns):
        request.node.op_coverage = [(entry.name, c) for c in columns]

    return mark


def typical(entry):
    """The dtypes in which shapes and transforms are checked: one real (or integer), one complex."""
    accepted = entry.accepted()
    first = next(d for d in ("float64", "float32", "complex128", "int64", "bool", *accepted) if d in accepted)
    return [first] + (["complex128"] if "complex128" in accepted and first != "complex128" else [])


def calls(entry, dtypes, diff=False):
    for dtype, sample in itertools.product(dtypes, entry.samples):
        if diff and not sample.diff:
            continue
        call = Call(entry, sample, dtype)
        if diff and not call.taken:
            continue
        yield f"{entry.name} {sample} {dtype}", call


def biggest(e):
    """The size of the largest entry, at least one: what absolute tolerances are relative to."""
    return max(1.0, float(np.abs(e).max()) if np.size(e) else 0.0)


def compare_values(entry, call, ys, arrays=None, what="value"):
    """ys against the reference of the row on `arrays`."""
    arrays = call.arrays if arrays is None else arrays
    if entry.check is not None:
        entry.check(tuple(map(numpy_of, ys)), arrays, call.sample)
        return
    expected = call.reference(arrays)
    assert len(ys) == len(expected), f"{len(ys)} results, expected {len(expected)}"
    for y, e in zip(ys, expected, strict=True):
        e = np.asarray(e)
        y = numpy_of(y)
        single = {"float32", "complex64"} & {y.dtype.name, *(a.dtype.name for a in call.arrays)}
        if y.dtype.kind in "fc":
            close(y, e, "float32" if single else "float64", entry.rtol, what)
        else:
            assert y.shape == e.shape, f"{what}: shape {y.shape}, expected {e.shape}"
            with np.errstate(all="ignore"):
                np.testing.assert_array_equal(y, e.astype(y.dtype), err_msg=what)


# 1. values ---------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("precision", ["f32", "f64", "other"])
@ALL
def test_values(entry, precision, covers):
    covers(entry, "values", *([precision] if precision != "other" else []))
    known = PRECISIONS["f32"] + PRECISIONS["f64"]
    dtypes = [
        d
        for d in entry.accepted()
        if d in PRECISIONS.get(precision, ()) or (precision == "other" and d not in known)
    ]
    if not dtypes:
        pytest.skip("takes no such dtype")
    cases = Cases()
    for label, call in calls(entry, dtypes):
        with cases.case(label):
            ys = call.run(hs, arrays_of(call.arrays))
            expected = call.expected_dtypes(len(ys))
            assert [numpy_of(y).dtype.name for y in ys] == expected, (
                f"dtypes {[numpy_of(y).dtype.name for y in ys]}, expected {expected}"
            )
            compare_values(entry, call, ys)
    cases.finish()


# 2. strides, special values -------------------------------------------------------------------------------------------------
def strided_forms(x):
    """The values of x as views with other strides, by name."""
    a = hs.asarray
    forms = {}
    if x.ndim == 0:
        forms["element"] = a(np.stack([x + 0 if x.dtype != bool else x, x, x]))[1]
        return forms
    forms["step"] = a(np.repeat(x, 2, axis=-1))[..., ::2]
    forms["reversed"] = a(np.ascontiguousarray(x[::-1]))[::-1]
    forms["offset"] = a(np.concatenate([x[:1], x, x[:1]], axis=0))[1 : 1 + x.shape[0]]
    if x.ndim > 1:
        order = tuple(reversed(range(x.ndim)))
        forms["transposed"] = hs.permute_dims(a(np.ascontiguousarray(x.transpose(order))), order)
    return forms


@ALL
def test_strides(entry, covers):
    """Views with any strides give what contiguous arrays give."""
    covers(entry, "values")
    if not any(s.arguments() for s in entry.samples):
        pytest.skip("takes no arrays")
    cases = Cases()
    for label, call in calls(entry, typical(entry)):
        base = arrays_of(call.arrays)
        for i, x in enumerate(call.arrays):
            for form, view in strided_forms(x).items():
                with cases.case(f"{label}, argument {i} {form}"):
                    compare_values(entry, call, call.run(hs, [*base[:i], view, *base[i + 1 :]]))
        for i, x in enumerate(call.arrays):  # stride 0: all rows alike
            if x.ndim == 0 or not x.size or call.specs[i].domain.__name__.startswith("draw_distinct"):
                continue
            row = np.broadcast_to(x[:1], x.shape)
            arrays = [*call.arrays[:i], np.ascontiguousarray(row), *call.arrays[i + 1 :]]
            with cases.case(f"{label}, argument {i} broadcast"):
                try:
                    expected = call.run(hs, arrays_of(arrays))
                except (ArithmeticError, ValueError):
                    continue  # equal rows make a singular matrix
                actual = call.run(
                    hs, [*base[:i], hs.broadcast_to(hs.asarray(x[:1]), x.shape), *base[i + 1 :]]
                )
                for y, e in zip(actual, expected, strict=True):
                    np.testing.assert_allclose(
                        numpy_of(y), numpy_of(e), rtol=1e-6 if "32" in call.dtype else 1e-12, atol=1e-12
                    )
    cases.finish()


SPECIAL = [np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0, -1.0, 0.5, -2.5, 1e-30, -1e-30, 1e30, -1e30, 7.0]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("entry", [e for e in TABLE if e.special and "f" in e.takes], ids=lambda e: e.name)
def test_special_values(entry, dtype, covers):
    """NaN, infinities, signed zeros, tiny and huge values, where the reference says what comes out."""
    covers(entry, "values")
    cases = Cases()
    if all(a.shape == () for a in entry.samples[0].arguments()):
        sample = entry.samples[0]
        values = np.array(SPECIAL, dtype)
        grid = np.meshgrid(*[values] * len(sample.arguments()), indexing="ij")
        call = Call(entry, sample, dtype)
        call.arrays = [np.ascontiguousarray(g.reshape(-1)) for g in grid]
        with cases.case(f"{entry.name} {dtype}"), np.errstate(all="ignore"):
            (y,) = call.run(hs, arrays_of(call.arrays))
            y = numpy_of(y)
            e = np.asarray(call.reference()[0])
            if e.dtype.kind == "f":
                e = e.astype(dtype)
            for k in range(y.size):
                given = [a[k] for a in call.arrays]
                if np.isnan(e[k]) or e.dtype == bool:
                    same = np.array_equal(y[k], e[k], equal_nan=e.dtype != bool)
                else:
                    tol = 2e-5 if dtype == "float32" else 1e-12
                    same = bool(np.isclose(y[k], e[k], rtol=tol * entry.rtol, atol=0)) or (
                        dtype == "float32" and abs(e[k]) < 1e-37 and abs(y[k]) < 1e-37
                    )
                    same = same and (
                        e[k] != 0 or entry.special == "any zero" or np.signbit(y[k]) == np.signbit(e[k])
                    )
                with cases.case(f"{entry.name}({given})"):
                    assert same, f"gave {y[k]}, expected {e[k]}"
    else:
        for label, call in calls(entry, [dtype]):
            (where,) = [i for i, a in enumerate(call.arrays) if a.dtype.kind == "f"][:1] or [None]
            if where is None or not call.arrays[where].size:
                continue
            for special in (np.nan, np.inf, -np.inf):
                x = call.arrays[where].copy()
                x.reshape(-1)[x.size // 2] = special
                arrays = [*call.arrays[:where], x, *call.arrays[where + 1 :]]
                with cases.case(f"{label} with {special}"), np.errstate(all="ignore"):
                    compare_values(entry, call, call.run(hs, arrays_of(arrays)), arrays)
    cases.finish()


# 3. forward mode ------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("precision", ["f32", "f64"])
@DERIVATIVES
def test_forward(entry, precision, covers):
    covers(entry, "forward", precision)
    dtypes = [d for d in entry.differentiated() if d in PRECISIONS[precision]]
    if not dtypes:
        pytest.skip("takes no such dtype")
    cases = Cases()
    for label, call in calls(entry, dtypes, diff=True):
        with cases.case(label):
            f, xs, _ = differentiable(entry, call)
            us = call.tangents()
            ys, dys = jvp(f, xs, arrays_of(us))
            for y, dy in zip(ys, dys, strict=True):
                assert (dy.shape, dy.dtype) == (y.shape, y.dtype), (
                    f"tangent is {dy.dtype}{dy.shape}, value {y.dtype}{y.shape}"
                )
            if precision == "f32":  # against double precision, which is checked against differences
                wide = {"float32": "float64", "complex64": "complex128"}[call.dtype]
                call.arrays = [a.astype(wide) if a.dtype.name == call.dtype else a for a in call.arrays]
                call.dtype = wide
                g, wxs, _ = differentiable(entry, call)
                expected = jvp(g, wxs, [hs.asarray(u.astype(wide)) for u in us])[1]
                tol = 4e-5 * max(1.0, entry.rtol if entry.rtol < 1e4 else 1.0)
                for dy, e in zip(dys, expected, strict=True):
                    e = numpy_of(e)
                    scale = biggest(e)
                    np.testing.assert_allclose(numpy_of(dy), e, rtol=tol, atol=tol * scale)
                continue
            wide_xs = [call.arrays[i] for i in call.taken]
            if entry.by == "self":
                difference = richardson(
                    lambda zs, f=f: tuple(map(numpy_of, f(*arrays_of(zs)))), wide_xs, us, entry.step
                )
                tol = 2e-8
            elif entry.analytic and call.dtype == "float64":
                difference, tol = complex_step(reference_function(entry, call), wide_xs, us), 1e-11
            else:
                difference, tol = richardson(reference_function(entry, call), wide_xs, us, entry.step), 2e-8
            assert len(dys) == len(difference)
            for dy, e in zip(dys, difference, strict=True):
                scale = biggest(e)
                np.testing.assert_allclose(
                    numpy_of(dy),
                    e,
                    rtol=tol * max(1.0, min(entry.rtol, 100.0)),
                    atol=tol * scale * max(1.0, min(entry.rtol, 1e3)),
                )
    cases.finish()


# 4. reverse mode ------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("precision", ["f32", "f64"])
@DERIVATIVES
def test_reverse(entry, precision, covers):
    """Re<v, J u> = Re<J^T v, u> with independent u and v; cotangents have the arguments' shapes and dtypes."""
    covers(entry, "reverse", precision)
    dtypes = [d for d in entry.differentiated() if d in PRECISIONS[precision]]
    if not dtypes:
        pytest.skip("takes no such dtype")
    eps = (
        2e-4
        if precision == "f32" or entry.name == "astype#inexact" or entry.name == "astype#complex"
        else 1e-11
    )
    cases = Cases()
    for label, call in calls(entry, dtypes, diff=True):
        with cases.case(label):
            f, xs, _ = differentiable(entry, call)
            us = arrays_of(call.tangents())
            ys, pull = vjp(f, xs)
            vs = [hs.asarray(random_like(call.rng, numpy_of(y))) for y in ys]
            back = pull(vs)
            for x, b in zip(xs, back, strict=True):
                assert (b.shape, b.dtype) == (x.shape, x.dtype), (
                    f"cotangent is {b.dtype}{b.shape}, argument {x.dtype}{x.shape}"
                )
            dys = jvp(f, xs, us)[1]
            left, right = pairing(vs, dys), pairing(back, us)
            scale = norm_of(vs) * norm_of(dys) + norm_of(back) * norm_of(us) + 1e-300
            assert np.isfinite(left) and abs(left - right) <= eps * scale, (
                f"<v, J u> = {left!r}, <J^T v, u> = {right!r}"
            )
            again = pull(vs)
            for b, c in zip(back, again, strict=True):
                np.testing.assert_array_equal(
                    numpy_of(b), numpy_of(c), err_msg="a second call of the pull-back"
                )
            for k in range(len(xs)):  # one argument at a time: what nobody asks for must not matter
                one = lambda z, k=k: f(*xs[:k], z, *xs[k + 1 :])
                (alone,) = vjp(one, [xs[k]])[1](vs)
                np.testing.assert_allclose(
                    numpy_of(alone), numpy_of(back[k]), rtol=eps, atol=eps * (1 + norm_of([back[k]]))
                )
    cases.finish()


# 5. second order ------------------------------------------------------------------------------------------------------------
@DERIVATIVES
def test_second_order(entry, covers):
    """Forward and reverse over forward and reverse agree, are symmetric, and match differences of the first derivative."""
    covers(entry, "second")
    if entry.order < 2:
        pytest.skip("first order only")
    cases = Cases()
    dtypes = [d for d in entry.differentiated() if d in PRECISIONS["f64"]]
    for label, call in calls(entry, dtypes, diff=True):
        with cases.case(label):
            f, xs, ys = differentiable(entry, call)
            us, vs = arrays_of(call.tangents()), arrays_of(call.tangents())
            ws = [hs.asarray(random_like(call.rng, numpy_of(y))) for y in ys]
            along = lambda *zs: jvp(f, zs, us)[1]
            back = lambda *zs: vjp(f, zs)[1](ws)
            second = jvp(along, xs, vs)[1]
            forward_forward = pairing(ws, second)
            reverse_forward = pairing(vjp(along, xs)[1](ws), vs)
            forward_reverse = pairing(jvp(back, xs, vs)[1], us)
            reverse_reverse = pairing(vjp(back, xs)[1](us), vs)
            swapped = pairing(ws, jvp(lambda *zs: jvp(f, zs, vs)[1], xs, us)[1])
            scale = norm_of(ws) * (norm_of(second) + norm_of(jvp(f, xs, us)[1])) + 1e-12
            mixtures = {
                "reverse over forward": reverse_forward,
                "forward over reverse": forward_reverse,
                "reverse over reverse": reverse_reverse,
                "directions swapped": swapped,
            }
            for name, value in mixtures.items():
                assert abs(value - forward_forward) <= 1e-9 * scale, (
                    f"{name}: {value!r}, forward over forward: {forward_forward!r}"
                )
            numeric = richardson(
                lambda zs: tuple(map(numpy_of, along(*arrays_of(zs)))),
                [call.arrays[i] for i in call.taken],
                [numpy_of(v) for v in vs],
                entry.step / 2,
            )
            for d, e in zip(second, numeric, strict=True):
                size = biggest(e)
                np.testing.assert_allclose(
                    numpy_of(d),
                    e,
                    rtol=1e-6,
                    atol=1e-7 * size * max(1.0, min(entry.rtol, 100.0)),
                    err_msg="second derivative",
                )
    cases.finish()


# 6. Taylor coefficients -----------------------------------------------------------------------------------------------------
def nested_forward(f, xs, series, order):
    """d^k/dt^k f(x + sum_j series[j] t^(j+1)/(j+1)!) at 0 by forward mode over forward mode, in the scalar t."""

    def curve(t):
        points = []
        for i, x in enumerate(xs):
            p, power = x, None
            for j in range(order):
                power = t if power is None else power * t / (j + 1.0)
                p = p + power * series[j][i]
            points.append(p)
        return f(*points)

    derivatives, g = [curve], curve
    for _ in range(order):
        g = (lambda inner: lambda t: jvp(inner, [t], [hs.ones_like(t)])[1])(g)
        derivatives.append(g)
    return [d(hs.asarray(0.0, dtype=hs.float64)) for d in derivatives]


@DERIVATIVES
def test_taylor(entry, covers):
    covers(entry, "taylor")
    if entry.order < 5 or "float64" not in entry.differentiated():
        pytest.skip("not of this op")
    cases = Cases()
    chosen = [
        s for s in entry.samples if s.diff and 0 < sum(int(np.prod(a.shape)) for a in s.arguments()) <= 40
    ][:6]
    for sample in chosen:
        call = Call(entry, sample, "float64")
        if not call.taken:
            continue
        with cases.case(f"{entry.name} {sample}"):
            f, xs, _ = differentiable(entry, call)
            order = 5
            series = [[hs.asarray(0.5 * u) for u in call.tangents()] for _ in range(order)]
            coefficients = hs.taylor(f, tuple(xs), tuple(tuple(s) for s in series))
            expected = nested_forward(f, xs, series, order)
            for k in range(order + 1):
                for c, e in zip(tuple(coefficients[k]), expected[k], strict=True):
                    e = numpy_of(e)
                    np.testing.assert_allclose(
                        numpy_of(c), e, rtol=1e-8, atol=1e-9 * biggest(e), err_msg=f"order {k}"
                    )
    cases.finish()


# 7. vmap --------------------------------------------------------------------------------------------------------------------
def batched(call, axes, n):
    """n draws of every argument with an axis, stacked there; and the list of examples."""
    draws = [call.redraw() for _ in range(n)]
    out, examples = [], []
    for i, axis in enumerate(axes):
        if axis is None:
            out.append(call.arrays[i])
        elif n:
            out.append(np.stack([d[i] for d in draws], axis=axis))
        else:
            shape = list(call.arrays[i].shape)
            shape.insert(axis % (len(shape) + 1), 0)
            out.append(np.zeros(shape, call.arrays[i].dtype))
    for d in draws:
        examples.append([d[i] if axis is not None else call.arrays[i] for i, axis in enumerate(axes)])
    return out, examples


def access_patterns(call):
    """in_axes to check: all on 0, all on -1, each argument alone on each of its axes, all but one."""
    k = len(call.arrays)
    patterns = [(0,) * k, (-1,) * k]
    for i, x in enumerate(call.arrays):
        for axis in range(x.ndim + 1):
            patterns.append(tuple(axis if j == i else None for j in range(k)))
        if k > 2:
            patterns.append(tuple(None if j == i else 0 for j in range(k)))
    return list(dict.fromkeys(patterns))


def check_mapped(entry, call, axes, n, dtype):
    arrays, examples = batched(call, axes, n)
    f = lambda *xs: call.run(hs, xs)
    loop = [tuple(map(numpy_of, f(*arrays_of(e)))) for e in examples]
    for how in ("on_lanes", "one_by_one"):
        with run_examples(how):
            ys = tuple(hs.vmap(f, in_axes=axes)(*arrays_of(arrays)))
        if n == 0:
            shapes = [(0, *np.shape(y)) for y in f(*arrays_of(call.arrays))]
            assert [y.shape for y in ys] == shapes, f"shapes {[y.shape for y in ys]}, expected {shapes}"
        else:
            compare_mapped(entry, ys, loop)


def compare_mapped(entry, ys, loop):
    for k, y in enumerate(ys):
        e = np.stack([row[k] for row in loop])
        y = numpy_of(y)
        assert y.dtype == e.dtype, f"dtype {y.dtype}, in a loop {e.dtype}"
        if e.dtype.kind in "fc":
            close(y, e, e.dtype.name, max(1.0, min(entry.rtol, 100.0)))
        else:
            np.testing.assert_array_equal(y, e)


@ALL
def test_vmap(entry, covers):
    covers(entry, "vmap")
    if not entry.vmap or not any(s.arguments() for s in entry.samples):
        pytest.skip("takes no arrays to map over")
    cases = Cases()
    first = typical(entry)[0]
    for label, call in calls(entry, typical(entry)):
        if not call.arrays:
            continue
        for axes in access_patterns(call) if call.dtype == first else [(0,) * len(call.arrays)]:
            with cases.case(f"{label}, in_axes={axes}, n=3"):
                check_mapped(entry, call, axes, 3, call.dtype)
    smallest = [
        (label, c) for label, c in calls(entry, [first]) if c.arrays and all(a.size for a in c.arrays)
    ][:2]
    for (label, call), n in itertools.product(smallest, (0, 1, 17, 200)):
        k = len(call.arrays)
        patterns = [(0,) * k] + ([(None,) * (k - 1) + (0,)] if k > 1 else [])
        for axes in patterns:
            with cases.case(f"{label}, in_axes={axes}, n={n}"):
                check_mapped(entry, call, axes, n, call.dtype)
    cases.finish()


@ALL
def test_nested_vmap(entry, covers):
    """vmap of vmap, the arguments varying with the outer, the inner, or both."""
    covers(entry, "vmap")
    if not entry.vmap or not any(s.arguments() for s in entry.samples):
        pytest.skip("takes no arrays to map over")
    cases = Cases()
    for label, call in itertools.islice(
        ((la, c) for la, c in calls(entry, typical(entry)[:1]) if c.arrays), 3
    ):
        k = len(call.arrays)
        f = lambda *xs, call=call: call.run(hs, xs)
        for pattern in itertools.product(("both", "outer", "inner"), repeat=min(k, 2)):
            kinds = pattern + ("both",) * (k - len(pattern))
            if "outer" not in kinds + tuple("outer" for p in kinds if p == "both") or all(
                p == "outer" for p in kinds
            ):
                continue
            inner = tuple(0 if p in ("both", "inner") else None for p in kinds)
            outer = tuple(0 if p in ("both", "outer") else None for p in kinds)
            with cases.case(f"{label}, {kinds}"):
                n, m = 2, 3
                draws = [[call.redraw() for _ in range(m)] for _ in range(n)]
                arrays = []
                for i, p in enumerate(kinds):
                    both = np.stack([np.stack([draws[a][b][i] for b in range(m)]) for a in range(n)])
                    arrays.append(both if p == "both" else both[:, 0] if p == "outer" else both[0])
                ys = hs.vmap(hs.vmap(f, in_axes=inner), in_axes=outer)(*arrays_of(arrays))
                for a, b in itertools.product(range(n), range(m)):
                    one = [
                        x[a, b] if p == "both" else x[a] if p == "outer" else x[b]
                        for x, p in zip(arrays, kinds, strict=True)
                    ]
                    for y, e in zip(tuple(ys), f(*arrays_of(one)), strict=True):
                        e = numpy_of(e)
                        if e.dtype.kind in "fc":
                            close(numpy_of(y)[a, b], e, e.dtype.name, max(1.0, min(entry.rtol, 100.0)))
                        else:
                            np.testing.assert_array_equal(numpy_of(y)[a, b], e)
    cases.finish()


# 8. compiled, and transforms inside one another ------------------------------------------------------------------------------
@ALL
def test_compiled(entry, covers):
    covers(entry, "compiled")
    if not entry.compiles or not any(s.arguments() for s in entry.samples):
        pytest.skip("outside tracing only")
    cases = Cases()
    for label, call in calls(entry, typical(entry)):
        if not call.arrays:
            continue
        with cases.case(label):
            f = lambda *xs, call=call: call.run(hs, xs)
            compiled = hs.compile(f)
            for values in (call.arrays, call.redraw()):
                eager, ys = f(*arrays_of(values)), tuple(compiled(*arrays_of(values)))
                for y, e in zip(ys, eager, strict=True):
                    y, e = numpy_of(y), numpy_of(e)
                    assert y.dtype == e.dtype
                    if e.dtype.kind in "fc":
                        close(y, e, e.dtype.name, max(1.0, min(entry.rtol, 100.0)))
                    else:
                        np.testing.assert_array_equal(y, e)
    cases.finish()


@DERIVATIVES
def test_derivatives_and_vmap(entry, covers):
    """Pull-backs and push-forwards mapped over examples, and of mapped functions, against a loop."""
    covers(entry, "vmap", "reverse", "forward")
    if not entry.vmap:
        pytest.skip("not mapped")
    cases = Cases()
    n = 3
    dtypes = [d for d in entry.differentiated() if d in PRECISIONS["f64"]][:1]
    chosen = [c for c in calls(entry, dtypes, diff=True) if all(a.size for a in c[1].arrays)]
    for label, call in chosen[:5]:
        for mapped in [tuple(range(len(call.taken)))] + (
            [(len(call.taken) - 1,)] if len(call.taken) > 1 else []
        ):
            with cases.case(f"{label}, mapped {mapped}"):
                f, xs, ys = differentiable(entry, call)
                draws = [call.redraw() for _ in range(n)]
                batch = [
                    np.stack([d[i] for d in draws]) if k in mapped else call.arrays[i]
                    for k, i in enumerate(call.taken)
                ]
                axes = tuple(0 if k in mapped else None for k in range(len(batch)))
                one = lambda j, batch=batch: arrays_of(
                    b[j] if k in mapped else b for k, b in enumerate(batch)
                )
                ws = [random_like(call.rng, np.broadcast_to(numpy_of(y), (n, *y.shape)) + 0) for y in ys]
                loop = [vjp(f, one(j))[1](arrays_of(w[j] for w in ws)) for j in range(n)]

                def per_example(*args, f=f, k=len(batch)):
                    return vjp(f, args[:k])[1](args[k:])

                inside = hs.vmap(per_example, in_axes=axes + (0,) * len(ws))(
                    *arrays_of(batch), *arrays_of(ws)
                )
                outside = vjp(lambda *a, f=f, axes=axes: hs.vmap(f, in_axes=axes)(*a), arrays_of(batch))[1](
                    arrays_of(ws)
                )
                for k in range(len(batch)):
                    rows = np.stack([numpy_of(r[k]) for r in loop])
                    scale = biggest(rows)
                    np.testing.assert_allclose(
                        numpy_of(tuple(inside)[k]),
                        rows,
                        rtol=1e-10,
                        atol=1e-10 * scale,
                        err_msg=f"vmap of the pull-back, argument {k}",
                    )
                    whole = rows if k in mapped else rows.sum(axis=0)
                    np.testing.assert_allclose(
                        numpy_of(outside[k]),
                        whole,
                        rtol=1e-10,
                        atol=1e-10 * scale,
                        err_msg=f"pull-back of vmap, argument {k}",
                    )
                us = [random_like(call.rng, b) for b in batch]
                dys = jvp(
                    lambda *a, f=f, axes=axes: tuple(hs.vmap(f, in_axes=axes)(*a)),
                    arrays_of(batch),
                    arrays_of(us),
                )[1]
                for j in range(n):
                    row = jvp(f, one(j), arrays_of(u[j] if k in mapped else u for k, u in enumerate(us)))[1]
                    for dy, e in zip(dys, row, strict=True):
                        e = numpy_of(e)
                        np.testing.assert_allclose(
                            numpy_of(dy)[j],
                            e,
                            rtol=1e-10,
                            atol=1e-10 * biggest(e),
                            err_msg="push-forward of vmap",
                        )
                compiled = hs.compile(lambda *a, f=f, k=len(batch): vjp(f, a[:k])[1](a[k:]))
                eager = vjp(f, one(0))[1](arrays_of(w[0] for w in ws))
                for c, e in zip(tuple(compiled(*one(0), *arrays_of(w[0] for w in ws))), eager, strict=True):
                    e = numpy_of(e)
                    np.testing.assert_allclose(
                        numpy_of(c), e, rtol=1e-10, atol=1e-10 * biggest(e), err_msg="compiled pull-back"
                    )
    cases.finish()


def spellings(part):
    """Alternatives, divided by |; a shape may also be said as in float64[2,3]."""
    shape = (
        [part.replace("(", "[").replace(")", "]").replace(" ", "").replace(",]", "]")]
        if part.startswith("(")
        else []
    )
    return [p.lower() for p in part.split("|") + shape]


# 9. refusals, leaks ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("entry", [e for e in TABLE if e.refusals], ids=lambda e: e.name)
def test_refusals(entry, covers):
    covers(entry, "refusals")
    cases = Cases()
    for number, refusal in enumerate(entry.refusals):
        with cases.case(f"{entry.name} refusal {number}"):
            before = live_buffers()
            kind = getattr(hs, refusal.error) if isinstance(refusal.error, str) else refusal.error
            try:
                refusal.call(hs)
            except kind as error:
                message = str(error).lower()
                for part in refusal.says:
                    assert any(p in message for p in spellings(part)), f"{error!r} does not say {part!r}"
                del error
            else:
                raise AssertionError(f"nothing was raised, expected {kind}")
            assert live_buffers() <= before, "buffers outlive the error"
    cases.finish()


@pytest.mark.parametrize(
    "entry",
    [e for e in TABLE if "c" not in e.takes and e.dtypes is None and any(s.arguments() for s in e.samples)],
    ids=lambda e: e.name,
)
def test_unsupported_complex_is_refused(entry, covers):
    """A row that does not list complex dtypes raises TypeError for them."""
    covers(entry, "refusals")
    sample = next(s for s in entry.samples if any(a.dtype is None for a in s.arguments()) or True)
    if all(a.dtype is not None for a in sample.arguments()):
        pytest.skip("no argument of a free dtype")
    call = Call(entry, sample, "complex128")
    with pytest.raises(TypeError):
        call.run(hs, arrays_of(call.arrays))


@ALL
def test_nothing_leaks(entry):
    """Value, derivatives, vmap and compile leave no buffer behind."""
    call = next((c for _, c in calls(entry, typical(entry)[:1])), None)
    diff = next(
        (c for _, c in calls(entry, [d for d in entry.differentiated() if d == "float64"], diff=True)), None
    )

    def everything():
        call.run(hs, arrays_of(call.arrays))
        if diff is not None:
            f, xs, ys = differentiable(entry, diff)
            us = arrays_of(diff.tangents())
            jvp(f, xs, us)
            ws = [hs.ones_like(y) for y in ys]
            vjp(f, xs)[1](ws)
            jvp(lambda *z: vjp(f, z)[1](ws), xs, us)
            if entry.vmap:
                hs.vmap(f)(*[hs.stack([x, x]) for x in xs])

    everything()
    before = live_buffers()
    everything()
    assert live_buffers() <= before, f"{live_buffers() - before} buffers more than before"
