"""method="auto" of solve_ivp: what it chooses, that it says so, and derivatives through the change of method."""

import numpy as np
import pytest
from scipy.integrate import solve_ivp as scipy_ivp

import hesse as hs
from hesse.solvers import solve_ivp

RATES = hs.array([0.04, 3e7, 1e4])


def robertson(t, y, k):
    a, b, c = k[0] * y[0], k[1] * y[1] ** 2, k[2] * y[1] * y[2]
    return hs.stack([c - a, a - c - b, b])


def robertson_at(times, k=RATES, rtol=1e-6, **options):
    y0 = hs.array([1.0, 0.0, 0.0])
    atol = rtol * np.array([1e-2, 1e-6, 1e-2])
    return solve_ivp(
        robertson, (0.0, times[-1]), y0, "auto", times, args=(k,), rtol=rtol, atol=atol, **options
    )


def orbit(t, y):
    return hs.stack([y[1], -y[0]])


def test_easy_problems_are_solved_by_tsit5():
    times = np.linspace(0.5, 10.0, 8)
    y0 = hs.array([1.0, 0.0])
    for rtol in (1e-3, 1e-8):
        auto = solve_ivp(orbit, (0.0, 10.0), y0, "auto", times, rtol=rtol, atol=1e-3 * rtol)
        plain = solve_ivp(orbit, (0.0, 10.0), y0, "Tsit5", times, rtol=rtol, atol=1e-3 * rtol)
        assert hs.allclose(auto.y, plain.y, rtol=1e-12, atol=1e-14)
        assert int(auto.stats["steps_Rodas5P"]) == 0
        assert int(auto.stats["steps_Tsit5"]) == int(plain.stats["accepted"])
        assert (
            auto.message
            == f"the end of the span was reached; steps: {int(plain.stats['accepted'])} of Tsit5, 0 of Rodas5P"
        )
    assert "steps" not in plain.message


def test_stiff_problems_are_solved_by_both():
    times = np.array([1.0, 1e2, 1e4])
    sol = robertson_at(times)
    exact = scipy_ivp(
        lambda t, y: np.asarray(robertson(t, hs.array(y), RATES)),
        (0.0, 1e4),
        [1.0, 0.0, 0.0],
        "Radau",
        times,
        rtol=1e-9,
        atol=1e-14,
    ).y.T
    assert np.abs((np.asarray(sol.y) - exact) / exact).max() < 1e-4
    stats = {k: int(v) for k, v in sol.stats.items() if k.startswith("steps")}
    assert 0 < stats["steps_Tsit5"] < 40 and 30 < stats["steps_Rodas5P"] < 300, stats
    assert stats["steps_Tsit5"] + stats["steps_Rodas5P"] == int(sol.stats["accepted"])
    assert int(sol.stats["factorisations"]) == stats["steps_Rodas5P"]


def test_it_changes_back():
    """Stiff until t = 1, and then an oscillation."""

    def f(t, y):
        stiff = hs.where(t < 1.0, 1e4, 0.0)
        return hs.stack([30.0 * y[1] - stiff * (y[0] - hs.cos(t)), -30.0 * y[0] - stiff * y[1]])

    sol = solve_ivp(f, (0.0, 3.0), hs.array([0.0, 0.0]), "auto", rtol=1e-6, atol=1e-8)
    stats = {k: int(v) for k, v in sol.stats.items() if k.startswith("steps")}
    after = int(hs.sum(sol.t > 1.05))
    assert stats["steps_Rodas5P"] > 5
    assert stats["steps_Tsit5"] > 0.8 * after, (stats, after)


def test_derivatives_go_through_the_change():
    times = np.array([0.5, 10.0])

    def f(logs):
        return robertson_at(times, RATES * hs.exp(logs), rtol=1e-8).y * hs.array([1.0, 1e4, 1.0])

    zero = hs.zeros(3)
    d = hs.array([0.5, -0.3, 0.2])
    y, tangent = hs.jvp(f, (zero,), (d,))

    def by_rodas(logs):
        k = RATES * hs.exp(logs)
        atol = 1e-9 * np.array([1e-2, 1e-6, 1e-2])
        sol = solve_ivp(
            robertson,
            (0.0, 10.0),
            hs.array([1.0, 0.0, 0.0]),
            "Rodas5P",
            times,
            args=(k,),
            rtol=1e-9,
            atol=atol,
        )
        return sol.y * hs.array([1.0, 1e4, 1.0])

    assert hs.allclose(tangent, hs.jvp(by_rodas, (zero,), (d,))[1], rtol=1e-4, atol=1e-6)
    v = hs.array(np.random.default_rng(0).normal(size=y.shape))
    assert abs(float(hs.sum(v * tangent) - hs.sum(hs.vjp(f, zero)[1](v)[0] * d))) < 1e-10


def test_second_derivatives_agree():
    def f(k):
        sol = solve_ivp(
            lambda t, y: -k * (y - hs.cos(t)), (0.0, 1.0), hs.array(0.0), "auto", [1.0], rtol=1e-5, atol=1e-7
        )
        return 1e3 * sol.y[0]

    k = hs.array(200.0)
    assert (
        int(solve_ivp(lambda t, y: -k * (y - hs.cos(t)), (0.0, 1.0), 0.0, "auto").stats["steps_Rodas5P"]) > 0
    )
    forward, reverse = hs.jvp(hs.grad(f), (k,), (hs.array(1.0),))[1], hs.grad(hs.grad(f))(k)
    assert hs.allclose(forward, reverse, rtol=1e-8, atol=1e-12)


def test_every_lane_chooses_for_itself_and_programs_do_too():
    ks = hs.array([1.0, 1e2, 1e4])

    def last(k):
        sol = solve_ivp(
            lambda t, y: -k * (y - hs.cos(t)),
            (0.0, 2.0),
            hs.array(0.0),
            "auto",
            [1.0, 2.0],
            rtol=1e-6,
            atol=1e-8,
        )
        return sol.y, sol.stats["steps_Tsit5"], sol.stats["steps_Rodas5P"]

    expected = [last(k) for k in ks]
    y, explicit, implicit = hs.vmap(last)(ks)
    for i, (one, a, b) in enumerate(expected):
        assert hs.allclose(y[i], one, rtol=1e-9)
        assert (int(explicit[i]), int(implicit[i])) == (int(a), int(b))
    assert int(implicit[0]) == 0 and int(implicit[2]) > 10
    assert hs.allclose(hs.compile(last)(ks[2])[0], expected[2][0], rtol=1e-9)
    slopes = hs.compile(hs.vmap(hs.grad(lambda k: hs.sum(last(k)[0]))))(ks)
    assert hs.allclose(slopes, hs.stack([hs.grad(lambda k: hs.sum(last(k)[0]))(k) for k in ks]), rtol=1e-6)


def heat(t, y):
    n = len(y)
    return 0.1 * n**2 * (hs.roll(y, 1) - 2.0 * y + hs.roll(y, -1))


def test_large_states():
    y0 = hs.array(1 + np.sin(2 * np.pi * np.arange(400) / 400))
    stiff = solve_ivp(heat, (0.0, 0.1), y0, "auto", [0.1], rtol=1e-4, atol=1e-6)
    name = "BDF" if hs._hesse.solvers.has_cvode() else "Rodas5P"
    assert int(stiff.stats["steps_" + name]) == int(stiff.stats["accepted"])
    assert stiff.message.endswith(f"steps: {int(stiff.stats['accepted'])} of {name}")
    amplitude = np.exp(-0.1 * (2 * np.pi) ** 2 * 0.1)
    assert np.abs(np.asarray(stiff.y[0]) - 1 - amplitude * (np.asarray(y0) - 1)).max() < 1e-2
    easy = solve_ivp(lambda t, y: -y, (0.0, 1.0), y0, "auto", [1.0])
    assert "steps_Tsit5" in easy.stats
    unknown = hs.compile(lambda y: solve_ivp(lambda t, y: -y, (0.0, 1.0), y, "auto", [1.0]))(y0)
    assert ("steps_BDF" if hs._hesse.solvers.has_cvode() else "steps_Tsit5") in unknown.stats


def test_other_states():
    turning = solve_ivp(lambda t, y: 1j * y, (0.0, 1.0), 1 + 0j, "auto", [1.0], rtol=1e-8, atol=1e-10)
    assert "steps_Tsit5" in turning.stats and abs(complex(turning.y[0]) - np.exp(1j)) < 1e-6
    assert solve_ivp(lambda t, y: -y, (0.0, 1.0), hs.zeros(0), "auto", [1.0]).y.shape == (1, 0)
    single = solve_ivp(lambda t, y: -1e3 * y, (0.0, 1.0), hs.array(1.0, dtype=hs.float32), "auto", [1.0])
    assert single.y.dtype == hs.float32 and int(single.stats["steps_Rodas5P"]) > 0
    pair = solve_ivp(
        lambda t, y: (-y[0], -1e3 * y[1]), (0.0, 1.0), (hs.ones(2), 1.0), "auto", rtol=1e-6, atol=1e-8
    )
    assert np.allclose(np.asarray(pair.y[0][-1]), np.exp(-1), atol=1e-5)


def test_failures():
    with pytest.raises(ValueError, match="f is a pair, and auto takes one function"):
        solve_ivp((orbit, orbit), (0.0, 1.0), hs.ones(2), "auto")
    with pytest.raises(FloatingPointError, match="NaN or infinity"):
        solve_ivp(lambda t, y: hs.where(t > 0.5, hs.nan, -y), (0.0, 1.0), 1.0, "auto", [1.0])
    with pytest.raises(FloatingPointError, match="step became smaller|max_steps"):
        solve_ivp(lambda t, y: y**2, (0.0, 2.0), 1.0, "auto", [2.0])


def test_states_whose_steps_are_branches():
    """More than 8 unknowns: one of the two steps is computed."""

    def f(scale, method):
        def heat(t, y):
            return scale * 400.0 * (hs.roll(y, 1) - 2.0 * y + hs.roll(y, -1)) + hs.cos(t)

        y0 = hs.array(np.sin(2 * np.pi * np.arange(20) / 20))
        sol = solve_ivp(heat, (0.0, 1.0), y0, method, [0.02, 1.0], rtol=1e-6, atol=1e-8)
        return hs.sum(sol.y**2), sol.stats

    scale = hs.array(1.0)
    value, stats = f(scale, "auto")
    assert int(stats["steps_Tsit5"]) > 0 and int(stats["steps_Rodas5P"]) > 0
    assert hs.allclose(value, f(scale, "Rodas5P")[0], rtol=1e-5)
    slope = hs.grad(lambda s: f(s, "auto")[0])(scale)
    assert hs.allclose(slope, hs.grad(lambda s: f(s, "Rodas5P")[0])(scale), rtol=1e-3, atol=1e-5)
    assert hs.allclose(hs.jvp(lambda s: f(s, "auto")[0], (scale,), (scale,))[1], slope, rtol=1e-9)
    mapped = hs.vmap(lambda s: f(s, "auto")[0])(hs.array([1.0, 0.01]))
    assert hs.allclose(mapped, hs.stack([f(hs.array(s), "auto")[0] for s in (1.0, 0.01)]), rtol=1e-9)


def test_forward_sensitivities_say_what_was_chosen():
    sol = robertson_at([1.0, 100.0], adjoint=hs.solvers.Forward())
    plain = robertson_at([1.0, 100.0])
    assert {k: int(v) for k, v in sol.stats.items() if k.startswith("steps_")} == {
        k: int(v) for k, v in plain.stats.items() if k.startswith("steps_")
    }
    assert sol.message == plain.message


@pytest.mark.parametrize("options", [{"events": lambda t, y: y[0] - 0.9}, {"adjoint": hs.solvers.Discrete()}])
def test_large_states_get_a_method_that_has_what_is_asked_for(options):
    """BDF finds events, but has no Discrete()."""

    def field(t, y):
        return -1e5 * (y - hs.cos(t))

    sol = solve_ivp(field, (0.0, 1.0), hs.ones(300), "auto", [1.0], **options)
    multistep = hs._hesse.solvers.has_cvode() and "adjoint" not in options
    assert ("steps_BDF" if multistep else "steps_Rodas5P") in sol.stats
    np.testing.assert_allclose(sol.y[0], np.cos(1.0), atol=1e-3)
    if "events" in options:
        np.testing.assert_allclose(sol.t_events[0], [np.arccos(0.9)], atol=1e-2)
