"""What alone may refuse, by name: derivatives of integers, shapes that depend on values, complex where the mathematics is real."""

import numpy as np
import pytest

import hesse as hs

x = hs.array([1.0, -2.0, 3.0])
m = hs.array([[1.0, -2.0, 3.0], [0.0, 5.0, 6.0]])


def whole(v):
    return hs.astype(v, hs.int64)


def counted(v):
    return hs.sum(v > 0)  # an integer, of a real argument


class TestDerivativesOfIntegers:
    @pytest.mark.parametrize("f", [hs.argmax, counted])
    @pytest.mark.parametrize("transform", [hs.grad, hs.value_and_grad])
    def test_grad(self, transform, f):
        with pytest.raises(
            TypeError,
            match=r"^grad: the function returned dtype int64; expected a real floating scalar, convert",
        ):
            transform(f)(x)

    @pytest.mark.parametrize("f", [hs.argmax, counted])
    def test_hessian_and_hvp(self, f):
        with pytest.raises(
            TypeError, match=r"^hessian: the function returned dtype int64; expected a real floating scalar"
        ):
            hs.hessian(f)(x)
        with pytest.raises(
            TypeError, match=r"^hvp: the function returned dtype int64; expected a real floating scalar"
        ):
            hs.hvp(f, x, x)

    @pytest.mark.parametrize("mode", ["auto", "forward", "reverse"])
    @pytest.mark.parametrize("f,dtype", [(whole, "int64"), (lambda v: v > 0, "bool"), (hs.argsort, "int64")])
    def test_jacobian(self, f, dtype, mode):
        with pytest.raises(
            TypeError,
            match=rf"^jacobian: output 0 has dtype {dtype}; integers and booleans have no derivative",
        ):
            hs.jacobian(f, mode=mode)(x)

    def test_vjp(self):
        value, pull = hs.vjp(lambda v: (v, whole(v)), x)
        with pytest.raises(
            TypeError, match=r"^vjp: output 1 has dtype int64; only floating.*give None as its cotangent"
        ):
            pull((x, value[1]))
        np.testing.assert_array_equal(np.asarray(pull((x, None))[0]), np.asarray(x))

    @pytest.mark.parametrize("f", [whole, hs.argmax, lambda v: v > 0, hs.argsort])
    def test_jvp_gives_None(self, f):
        value, tangent = hs.jvp(f, (x,), (x,))
        assert tangent is None and hs.array_equal(value, f(x))
        _, (first, second) = hs.jvp(lambda v: (v, f(v)), (x,), (x,))
        assert hs.array_equal(first, x)
        assert second is None
        value, derivative = hs.linearise(f, x)
        assert derivative(x) is None

    def test_integer_arguments(self):
        n = hs.arange(3)
        for transform, name in ((hs.grad, "grad"), (hs.jacobian, "jacobian"), (hs.hessian, "hessian")):
            with pytest.raises(
                TypeError, match=rf"^{name}: argument 0 has dtype int64; derivatives need floating or complex"
            ):
                transform(lambda v: hs.sum(v * 1.0))(n)
        with pytest.raises(
            TypeError, match=r"^jvp: argument 0 has dtype int64; only floating.*give None as its tangent"
        ):
            hs.jvp(lambda v: v * 1.0, (n,), (n,))


SYMBOL = r"is a symbol.*shape of the result would depend on its values"
TRACES = {
    "vmap": lambda f: hs.vmap(f)(m),
    "compile": lambda f: hs.compile(f)(x),
    "scan": lambda f: hs.scan(lambda c, v: (c, f(v)), 0.0, m),
    "cond": lambda f: hs.cond(True, f, f, x),
    "vmap of grad": lambda f: hs.vmap(hs.grad(lambda v: hs.sum(f(v))))(m),
    "compile of grad": lambda f: hs.compile(hs.grad(lambda v: hs.sum(f(v))))(x),
}
SHAPES = {
    "mask": (lambda v: v[v > 0], "getitem: the boolean mask bool\\[3\\]", r"use where\(mask, x, y\)"),
    "mask set": (lambda v: v.at[v > 0].set(0.0), r"at\[\]\.set: the boolean mask bool\[3\]", "where"),
    "mask add": (lambda v: v.at[v > 0].add(1.0), r"at\[\]\.add: the boolean mask bool\[3\]", "where"),
    "nonzero": (lambda v: hs.nonzero(v)[0] * 1.0, "nonzero: x", r"where\(condition, x, y\)"),
    "unique": (hs.unique, "unique: x", "outside the traced function, or use sort"),
    "unique_values": (hs.unique_values, "unique_values: x", "use sort"),
    "unique_counts": (lambda v: hs.unique_counts(v).values, "unique_counts: x", "use sort"),
    "unique_inverse": (lambda v: hs.unique_inverse(v).values, "unique_inverse: x", "use sort"),
    "unique_all": (lambda v: hs.unique_all(v).values, "unique_all: x", "use sort"),
    "repeat": (lambda v: hs.repeat(v, whole(v)), "repeat: repeats", "give total_repeat_length"),
}  # fmt: skip


@pytest.mark.parametrize("trace", TRACES)
@pytest.mark.parametrize("name", SHAPES)
def test_shapes_that_depend_on_values(name, trace):
    f, what, remedy = SHAPES[name]
    with pytest.raises(hs.TraceError, match=f"^{what}.*{SYMBOL}.*{remedy}"):
        TRACES[trace](f)
    assert not hs.in_trace()


@pytest.mark.parametrize("name", sorted(set(SHAPES) - {"repeat"}))
def test_they_work_on_data_also_while_differentiating(name):
    f, *_ = SHAPES[name]
    f(x)
    assert hs.grad(lambda v: hs.sum(f(v)))(x).shape == (3,)


z = hs.array([1.0 + 2.0j, -1.0j, 3.0])
REAL = {
    "less": lambda: z < z, "less_equal": lambda: z <= 1.0, "greater": lambda: z > z, "greater_equal": lambda: z >= z,
    "maximum": lambda: hs.maximum(z, z), "minimum": lambda: hs.minimum(z, 0.0), "max": lambda: hs.max(z), "min": lambda: z.min(),
    "argmax": lambda: hs.argmax(z), "argmin": lambda: hs.argmin(z), "sort": lambda: hs.sort(z), "argsort": lambda: hs.argsort(z),
    "clip": lambda: hs.clip(z, 0.0, 1.0), "floor": lambda: hs.floor(z), "ceil": lambda: hs.ceil(z), "trunc": lambda: hs.trunc(z),
    "floor_divide": lambda: z // z, "remainder": lambda: z % z, "fmod": lambda: hs.fmod(z, z), "atan2": lambda: hs.atan2(z, z),
    "hypot": lambda: hs.hypot(z, z), "cbrt": lambda: hs.cbrt(z), "erf": lambda: hs.erf(z), "erfc": lambda: hs.erfc(z),
    "lgamma": lambda: hs.lgamma(z), "digamma": lambda: hs.digamma(z), "signbit": lambda: hs.signbit(z),
    "copysign": lambda: hs.copysign(z, z), "nextafter": lambda: hs.nextafter(z, z), "searchsorted": lambda: hs.searchsorted(z, z),
    "topk": lambda: hs.topk(z, 1), "logaddexp": lambda: hs.logaddexp(z, z), "logsumexp": lambda: hs.logsumexp(z),
    "softmax": lambda: hs.softmax(z), "interp": lambda: hs.interp(z, x, x), "segment_max": lambda: hs.segment_max(z, hs.array([0, 0, 1]), 2),
    "polygamma": lambda: hs.polygamma(1, z),
    "bitwise_and": lambda: z & z, "rfft": lambda: hs.fft.rfft(z), "make_complex": lambda: hs.make_complex(z, z),
    "grad": lambda: hs.grad(lambda v: v * 1j)(1.0), "laplacian": lambda: hs.laplacian(lambda v: hs.sum(v), z),
    "float": lambda: float(z[0]), "int": lambda: int(z[0]),
}  # fmt: skip


@pytest.mark.parametrize("name", REAL)
def test_complex_where_the_mathematics_is_real(name):
    with pytest.raises(TypeError, match=rf"^{name}: .*complex"):
        REAL[name]()


def test_vector_norm_of_axes_that_are_not_there():
    for a, axis in [(hs.asarray(3.0), (1, 2, 0)), (hs.ones((2, 3)), (0, 5)), (hs.ones((2, 3)), (-3, 1))]:
        with pytest.raises(
            IndexError, match=r"^vector_norm: axis -?\d is out of range for an array with \d axes"
        ):
            hs.linalg.vector_norm(a, axis=axis)


def test_more_differences_than_entries_end_at_once():
    assert hs.diff(hs.ones((2, 5)), n=2**62).shape == (2, 0)


def test_pad_widths_in_arrays_of_any_shape():
    """An array makes its rows when asked for them: they must be held while they are read."""
    for widths in (np.ones((1, 2, 5), np.float32), np.ones((3, 2, 2)), np.full((2, 2), 0.5)):
        for _ in range(50):
            with pytest.raises(TypeError, match="^pad: "):
                hs.pad(hs.ones((2, 2)), widths)
    assert hs.pad(hs.ones((2, 2, 2)), np.array([[1, 0], [0, 2], [0, 0]])).shape == (3, 4, 2)
    for given in (
        np.array([[1, 0], [0, 2]]),
        [np.array([1, 0]), (0, np.int64(2))],
    ):
        assert hs.pad(hs.ones((2, 2)), given).shape == (3, 4)
    for given in (np.array([1, 2]), (np.int8(1), 2)):
        assert hs.pad(hs.ones((2, 2)), given).shape == (5, 5)
    for given in (np.int64(1), np.array(1), hs.array(1)):
        assert hs.pad(hs.ones((2, 2)), given).shape == (4, 4)
