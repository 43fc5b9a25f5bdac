"""root_solve by KINSOL: values, derivatives by the implicit function theorem, transformations, failures, leaks."""

import numpy as np
import pytest

import hesse as hs
from hesse import _hesse
from hesse.solvers import root_solve

if not _hesse.solvers.has_cvode():
    pytest.skip("this build has no SUNDIALS", allow_module_level=True)


@pytest.fixture(autouse=True)
def no_leaks():
    yield
    assert _hesse.solvers.live_sundials_objects() == 0


def circle(x, a):
    return hs.stack([x[0] ** 2 + x[1] ** 2 - a, x[0] - x[1]])


def solved(f, x0, **options):
    return root_solve(f, x0, method="kinsol", **options)


@pytest.mark.parametrize("linear_solver", ["lu", "gmres"])
def test_values_and_derivatives(linear_solver):
    def root(a):
        return solved(circle, hs.array([3.0, 1.0]), args=(a,), linear_solver=linear_solver).x[0]

    assert float(root(2.0)) == pytest.approx(1.0, rel=1e-8)
    assert float(hs.grad(root)(2.0)) == pytest.approx(0.25, rel=1e-7)
    assert float(hs.jvp(root, (2.0,), (1.0,))[1]) == pytest.approx(0.25, rel=1e-7)
    assert float(hs.hessian(root)(2.0)) == pytest.approx(-1 / 16, rel=1e-6)


def test_line_search_from_far_away():
    f = lambda x: hs.stack([10 * (x[1] - x[0] ** 2), 1 - x[0]])
    result = solved(f, hs.array([-1.2, 1.0]))
    assert result.success
    np.testing.assert_allclose(np.asarray(result.x), [1.0, 1.0], rtol=1e-8)
    assert int(result.stats["steps"]) < 40


def test_many_unknowns_use_products():
    n = 2000
    b = np.cos(np.arange(n))

    def f(x):
        return x - 0.3 * hs.roll(x, 1) * x - b

    result = solved(f, hs.zeros(n))
    x = np.asarray(result.x)
    assert np.abs(x - 0.3 * np.roll(x, 1) * x - b).max() < 1e-10


def test_trees_and_dtypes():
    x = solved(lambda x: {"a": x["a"] ** 2 - 2.0}, {"a": hs.array([1.0, 3.0], dtype=hs.float32)}).x["a"]
    assert x.dtype == hs.float32
    np.testing.assert_allclose(np.asarray(x), np.sqrt(2), rtol=1e-6)
    z = solved(lambda z: z * z + 1.0, 0.5 + 0.5j).x
    assert complex(z) == pytest.approx(1j, abs=1e-8)


def test_a_root_at_the_start():
    result = solved(circle, hs.array([1.0, 1.0]), args=(2.0,))
    assert result.success and int(result.stats["steps"]) == 0


def test_transformations():
    root = lambda a: solved(lambda x: x * x - a, 1.0).x
    np.testing.assert_allclose(np.asarray(hs.vmap(root)(np.array([1.0, 4.0, 9.0]))), [1, 2, 3], rtol=1e-8)
    np.testing.assert_allclose(
        np.asarray(hs.vmap(hs.grad(root))(np.array([1.0, 4.0]))), [0.5, 0.25], rtol=1e-7
    )
    compiled = hs.compile(hs.value_and_grad(root))
    for a in (4.0, 9.0):
        value, slope = compiled(a)
        assert float(value) == pytest.approx(a**0.5) and float(slope) == pytest.approx(0.5 / a**0.5)


def test_failures():
    for f, x0, status in (
        (lambda x: 0 * x + 1.0, 1.0, 4),
        (lambda x: hs.log(x), -1.0, 3),
        (lambda x: hs.stack([x[0] ** 2 + 1.0, x[1]]), hs.array([0.7, 0.2]), None),
    ):
        result = solved(f, x0, raise_on_failure=False)
        assert int(result.status) == status if status else int(result.status) in (1, 2, 4)
        with pytest.raises(FloatingPointError, match="root_solve"):
            solved(f, x0)
    few = solved(lambda x: x**3 - 1e9, 1.0, max_steps=2, raise_on_failure=False)
    assert int(few.status) == 1


class Boom(Exception):
    pass


def test_exceptions_of_f_reach_the_caller():
    boom = Boom("here")

    def foreign(x):
        if float(x) > 1.5:
            raise boom
        return np.asarray(x)

    def f(x):
        @hs.custom_jvp
        def identity(x):
            return hs.callback(foreign, x, x)

        identity.defjvp(lambda primals, tangents: (identity(*primals), tangents[0]))
        return identity(x) - 5.0

    with pytest.raises(Boom) as caught:
        solved(f, 1.0)
    assert caught.value is boom
    assert _hesse.solvers.live_sundials_objects() == 0


def test_unknown_methods_name_it():
    with pytest.raises(ValueError, match='"transient" or "kinsol"'):
        root_solve(lambda x: x, 1.0, method="Newton")
