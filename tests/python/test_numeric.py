"""The independent interpreter is itself right: its derivatives against mpmath's differences."""

from __future__ import annotations

import itertools

import mpmath
import numeric as nm
import numeric_mp as mp
import numpy as np
import programs
import pytest

FUNCTIONS = {
    "sin": (nm.sin, mpmath.sin),
    "cos": (nm.cos, mpmath.cos),
    "tanh": (nm.tanh, mpmath.tanh),
    "exp": (nm.exp, mpmath.exp),
    "reciprocal": (nm.reciprocal, lambda x: 1 / x),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_derivatives_of_functions_to_order_four(name):
    f, exact = FUNCTIONS[name]
    x = nm.num(0.7)
    bits = [nm.fresh() for _ in range(4)]
    for b in bits:
        x = nm.perturbed(x, b, 1.0)
    y = f(x)
    for k in range(5):
        mask = sum(bits[:k])
        assert abs(float(y.parts[mask]) - float(mpmath.diff(exact, 0.7, k))) < 1e-9


def test_nested_derivatives_do_not_confuse_their_perturbations():
    # d/dx (x d/dy (x + y)) = 1
    outer = nm.fresh()
    x = nm.perturbed(1.0, outer, 1.0)
    inner = nm.fresh()
    dy = nm.part_of(nm.add(x, nm.perturbed(1.0, inner, 1.0)), inner)
    assert float(nm.part_of(nm.mul(x, dy), outer).value) == 1.0


def test_a_custom_rule_is_used_and_differentiated():
    value, partials = nm.mul, [nm.add, lambda x, y: nm.num(0.0)]  # not its derivatives
    e1, e2 = nm.fresh(), nm.fresh()  # e2 is the inner derivative
    x, y = nm.perturbed(nm.perturbed(0.3, e1, 1.0), e2, 1.0), nm.num(0.8)
    out = nm.custom([x, y], value, partials)
    assert abs(float(out.parts[e2]) - (0.3 + 0.8)) < 1e-15
    assert abs(float(out.parts[e1 | e2]) - 1.0) < 1e-15  # d/dx (x + y)


@pytest.mark.parametrize(
    "kinds",
    list(itertools.product(["grad", "jvp", "vmap"], ["map", "scan", "while", "fori", "cond"])),
    ids="-".join,
)
def test_programs_against_mpmath(kinds):
    """The interpreter's derivatives against differences in mpmath's numbers of 100 digits."""
    for seed, sort in enumerate(("constant", "live", "mapped")):
        env = programs.environment(seed, 3, 2)
        program = programs.Generator(seed, 3, 2).pair(
            {k: np.shape(v) for k, v in env.items()}, list(kinds), sort
        )
        exact = np.asarray(programs.Interpreter(mp)(program, env), dtype=float)
        np.testing.assert_allclose(programs.Interpreter()(program, env).value, exact, rtol=1e-12, atol=1e-12)
