"""The benchmarks: every workload of Hesse does the work that it claims, and the tables say what was measured."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import data, driver, graph_data, hesse_cases, report, workloads
from benchmarks.driver import Disagreement, Process, Settings, Timing

# The sum of all losses, by SciPy's LSODA (rtol 1e-10, atol 1e-13).
ROBERTSON_LOSSES = 36126.047406191785


# ---- losses at step 0, by formulas that know nothing of derivatives of programs ------------------------------------
def pinn_loss(name: str, n: int) -> float:
    """u, u_t, u_x and u_xx carried through the layers by the chain rule."""
    layers, points = data.dense_layers(data.PINN_SIZES[name], "float64"), data.burgers(n, "float64")

    def network(z):
        u, u_t, u_x, u_xx = z, np.array([1.0, 0.0]), np.array([0.0, 1.0]), np.zeros(2)
        for k, (w, b) in enumerate(layers):
            u, u_t, u_x, u_xx = u @ w + b, u_t @ w, u_x @ w, u_xx @ w
            if k < len(layers) - 1:
                u = np.tanh(u)
                slope = 1.0 - u**2
                u_xx = slope * u_xx - 2.0 * u * slope * u_x**2
                u_t, u_x = slope * u_t, slope * u_x
        return u, u_t, u_x, u_xx

    u, u_t, u_x, u_xx = network(points.interior)
    residual = u_t + u * u_x - data.VISCOSITY * u_xx
    misfit = network(points.known)[0][:, 0] - points.values
    return np.mean(residual**2) + np.mean(misfit**2)


def maml_loss(inner: int) -> float:
    """Gradient descent on every task, with the gradient written out."""
    (w1, b1), (w2, b2), (w3, b3) = data.dense_layers(data.MAML_SIZES, "float64")
    total = 0.0
    for x, y, x_query, y_query in zip(*data.sinusoids("float64"), strict=True):
        p = [w1, b1, w2, b2, w3, b3]

        def forward(p, x):
            h1 = np.maximum(x @ p[0] + p[1], 0.0)
            h2 = np.maximum(h1 @ p[2] + p[3], 0.0)
            return h1, h2, h2 @ p[4] + p[5]

        for _ in range(inner):
            h1, h2, out = forward(p, x)
            d3 = 2.0 * (out - y) / len(x)
            d2 = (d3 @ p[4].T) * (h2 > 0)
            d1 = (d2 @ p[2].T) * (h1 > 0)
            grads = [x.T @ d1, d1.sum(0), h1.T @ d2, d2.sum(0), h2.T @ d3, d3.sum(0)]
            p = [a - data.INNER_RATE * g for a, g in zip(p, grads, strict=True)]
        total += np.mean((forward(p, x_query)[2] - y_query) ** 2)
    return total / data.TASKS


def lenet_loss() -> float:
    layers, (images, classes) = data.lenet_layers("float64"), data.digits("float64")
    h = images
    for name in ("conv1", "conv2"):
        w, b = layers[name]
        windows = np.lib.stride_tricks.sliding_window_view(h, (5, 5), axis=(2, 3))
        h = np.einsum("nchwij,ocij->nohw", windows, w, optimize=True) + b[:, None, None]
        n, c, rows, columns = h.shape
        h = h.reshape(n, c, rows // 2, 2, columns // 2, 2).max(axis=(3, 5))
    (w, b), (w_last, b_last) = layers["dense1"], layers["dense2"]
    scores = np.maximum(h.reshape(len(h), -1) @ w + b, 0.0) @ w_last + b_last
    chosen = scores[np.arange(len(scores)), classes]
    return np.mean(np.log(np.exp(scores).sum(axis=1)) - chosen)


def chain_value() -> float:
    x, shift, scale = data.chain("float64")
    for _ in range(data.CHAIN_LENGTH):
        x = np.tanh((x + shift) * scale)
    return x.sum()


def spiral_loss(name: str) -> float:
    problem = data.spiral(name)
    (w1, b1), (w2, b2) = problem.layers
    found = data.runge_kutta(lambda y: np.tanh(y**3 @ w1 + b1) @ w2 + b2, problem.y0, problem.times)
    return np.mean(np.abs(found - problem.target))


SOME_EDGES, SOME_MOLECULES = 20_000, 2


def gcn_loss() -> float:
    """By dense matrices."""
    g = graph_data.citations("float64")
    a = np.zeros((graph_data.NODES, graph_data.NODES))
    a[g.target(), g.source] = g.weights
    (w1, b1), (w2, b2) = g.layers
    scores = (a @ (np.maximum(a @ (g.x @ w1) + b1, 0.0) @ w2) + b2)[g.labelled]
    return np.mean(np.log(np.exp(scores).sum(1)) - scores[np.arange(len(scores)), g.labels[g.labelled]])


def schnet_energies(g: graph_data.Molecules, pos: np.ndarray, z: np.ndarray) -> np.ndarray:
    """SchNet's, of one molecule in many places [places, atoms, 3], for real or complex positions."""
    w, between = g.weights, pos[:, :, None] - pos[:, None]
    ssp = lambda x: np.log(0.5 + 0.5 * np.exp(x))
    linear = lambda x, name: x @ w[name] + w[f"{name}.bias"]
    r = np.sqrt((between**2).sum(-1) + np.eye(len(z)))
    centres = np.linspace(0.0, graph_data.CUTOFF, graph_data.GAUSSIANS)
    gauss = np.exp(-0.5 * ((r[..., None] - centres) / centres[1]) ** 2)
    window = 0.5 * (np.cos(r * np.pi / graph_data.CUTOFF) + 1.0)
    window = window * (r.real < graph_data.CUTOFF) * (1.0 - np.eye(len(z)))
    h = np.broadcast_to(w["embedding"][z], (len(pos), len(z), graph_data.WIDTH))
    for k in range(graph_data.INTERACTIONS):
        filters = linear(ssp(linear(gauss, f"{k}.first")), f"{k}.second") * window[..., None]
        m = np.einsum("pijf,pjf->pif", filters, h @ w[f"{k}.before"])
        h = h + linear(ssp(linear(m, f"{k}.after")), f"{k}.last")
    return linear(ssp(linear(h, "hidden")), "last")[..., 0].sum(1)


def schnet_loss() -> float:
    """Forces by complex steps of every coordinate."""
    g = graph_data.molecules("float64", SOME_MOLECULES)
    errors, of_forces = [], []
    for m in range(SOME_MOLECULES):
        atoms = g.molecule == m
        pos, n = g.pos[atoms], graph_data.ATOMS
        steps = 1e-30j * np.eye(3 * n).reshape(3 * n, n, 3)
        found = [schnet_energies(g, pos + steps[i : i + 1], g.z[atoms])[0] for i in range(3 * n)]
        errors.append((found[0].real - g.energies[m]) ** 2)
        of_forces.append(-np.imag(found).reshape(n, 3) / 1e-30 - g.forces[atoms])
    return np.mean(errors) + np.mean(np.square(of_forces))


def neighbour_sums(with_gradients: bool) -> float:
    """By a dense matrix, and its transpose."""
    g = data.neighbours("float64", SOME_EDGES)
    n, destination = len(g.x), g.destination()
    a = np.zeros((n, n))
    np.add.at(a, (destination, g.source), g.weights)
    of_weights = np.sum(g.cotangent[destination] * g.x[g.source], axis=1)
    gradients = (of_weights, a.T @ g.cotangent) if with_gradients else ()
    return data.squares(a @ g.x, *gradients)


EXPECTED = {
    "w5": gcn_loss,
    "w5_sparse": gcn_loss,
    "w6_forward": lambda: neighbour_sums(False),
    "w6_both": lambda: neighbour_sums(True),
    "w7": schnet_loss,
    "w7_pairs": schnet_loss,
    "w3_short": lambda: spiral_loss("w3_short"),
    "w3_long": lambda: spiral_loss("w3_long"),
    "w4": lambda: data.ROBERTSON_LOSS,
    "w4_batched": lambda: ROBERTSON_LOSSES,
    "w1": lambda: pinn_loss("w1", 500),
    "w2": lambda: pinn_loss("w2", 500),
    "w8_1": lambda: maml_loss(1),
    "w8_5": lambda: maml_loss(5),
    "w9": lenet_loss,
    "w12": chain_value,
    "w12_eager": chain_value,
    "call20": lambda: np.sum(data.twenty("float64")),
    "eager_op": lambda: np.sum(data.twenty("float64")[:2]),
}


def test_every_workload_has_a_reference():
    assert EXPECTED.keys() == workloads.WORKLOADS.keys()


@pytest.mark.parametrize(
    "name, form, dtype",
    [(w.name, form, t) for w in workloads.WORKLOADS.values() for form in w.forms["hesse"] for t in w.dtypes],
)
def test_the_loss_at_step_0(name, form, dtype):
    some = dict.fromkeys(data.PINN_SIZES, 500) | dict.fromkeys(workloads.GROUPS["w6"], SOME_EDGES)
    points = (some | dict.fromkeys(("w7", "w7_pairs"), SOME_MOLECULES)).get(name)
    case = hesse_cases.build(name, form, dtype, threads=1, points=points)
    first = case.step()
    assert first == pytest.approx(EXPECTED[name](), rel=workloads.WORKLOADS[name].tolerance(dtype))
    later = case.step()
    case.repeat(2)
    if workloads.WORKLOADS[name].trains:
        assert later < first
        case.forget()
        assert case.step() < later
    else:
        assert later == first
    if (most := workloads.WORKLOADS[name].most_error) is not None:
        assert case.error() < most


def test_a_process_times_a_case(tmp_path):
    settings = Settings(tmp_path / "logs", None, tuple(range(1)), warm=1)
    with Process("hesse", settings, 1, "pages kept") as process:
        case = {"workload": "w12", "form": "compiled", "dtype": "float64", "threads": 1}
        reply = process.ask("prepare", case=case, warm=1)
        assert reply["loss"] == pytest.approx(chain_value(), rel=1e-12)
        assert reply["batch"] >= 1 and reply["first_s"] > 0.0
        reply = process.ask("run", seconds=0.01, least=3)
        assert len(reply["times"]) >= 3 and min(reply["times"]) > 0.0 and reply["cpu_s"] > 0.0
        with pytest.raises(driver.WorkerFailed, match="KeyError"):
            process.ask("prepare", case=case | {"workload": "nothing"}, warm=1)


def test_a_process_that_is_killed_is_named_and_the_others_go_on(tmp_path, monkeypatch):
    class Killed(Process):
        """One that keeps its pages does not live to be timed."""

        def __init__(self, library, settings, threads, allocator):
            super().__init__(library, settings, threads, allocator)
            self._doomed = allocator != "default"

        def ask(self, do, **arguments):
            if self._doomed and do == "run":
                self._process.kill()
                self._process.wait()
            return super().ask(do, **arguments)

    monkeypatch.setattr(driver, "Process", Killed)
    settings = Settings(tmp_path / "logs", None, (0,), warm=1, rounds=2, slice_seconds=0.01, least=3)
    w12 = workloads.WORKLOADS["w12"]
    timings, _ = driver.time_together(w12, "float64", 1, ["hesse"], settings)
    alive, dead = timings
    assert len(alive.times) >= 6 and alive.failure is None
    assert dead.times == [] and dead.failure == "ended with code -9"
    (row,) = report.rows(w12, "float64", 1, "avx2", timings, {}, 100.0)
    assert row.median_s > 0.0


def test_peers_that_do_not_fit_into_memory_follow_each_other(tmp_path, monkeypatch):
    alive: list[str] = []
    most: list[int] = []

    class Counted(Process):
        """A library of any name, which is Hesse itself."""

        def __init__(self, library, settings, threads, allocator):
            super().__init__("hesse", settings, threads, allocator)
            self._named = library
            alive.append(library)

        def ask(self, do, **arguments):
            most.append(sum(library != "hesse" for library in alive))
            return super().ask(do, **arguments)

        def close(self):
            alive.remove(self._named)
            super().close()

    monkeypatch.setattr(driver, "Process", Counted)
    monkeypatch.setattr(workloads, "forms", lambda workload, library, quick: ["compiled"])
    settings = Settings(tmp_path / "logs", None, (0,), warm=1, rounds=2, slice_seconds=0.01, least=3)
    w12 = workloads.WORKLOADS["w12"]
    for available_mb, together in ((1e6, 4), (10.0, 1)):
        monkeypatch.setattr(driver, "available_memory_mb", lambda mb=available_mb: mb)
        most.clear()
        timings, _ = driver.time_together(w12, "float64", 1, ["hesse", "jax", "torch"], settings)
        assert max(most) == together and alive == []
        assert [t.library for t in timings] == ["hesse"] * 2 + ["jax"] * 2 + ["torch"] * 2
        assert all(
            t.failure is None and len(t.cpu_s) == (2 if t.library != "hesse" else 8 // together)
            for t in timings
        )


def test_the_demo_is_handed_to_the_peers(tmp_path):
    path = str(tmp_path / "demo.npz")
    hesse_cases.write_demo(path, quick=True)
    demo = data.read_demo(path)
    assert [w.shape for w, _ in demo.layers] == [(2, 20), (20, 20), (20, 20), (20, 1)]
    assert demo.points.shape == (1000, 2) and (demo.adam, demo.lbfgs) == (300, 1500)
    assert demo.error(1.1 * demo.u_exact) == pytest.approx(0.1)
    t, x = demo.grid().T
    at_start = demo.u_exact.ravel()[t == 0.0]
    np.testing.assert_allclose(at_start, -np.sin(np.pi * x[t == 0.0]), atol=1e-9)


# ---- the tables, on timings that nobody measured -------------------------------------------------------------------
def timing(library: str, form: str, allocator: str, *times: float, loss: float = 1.0) -> Timing:
    return Timing(library, form, allocator, list(times), [min(times)], [1.0], 0.5, loss, loss, 12.0)


def fake() -> list[Timing]:
    return [
        timing("hesse", "vmap", "default", 0.010, 0.010, 0.040),
        timing("hesse", "vmap", "pages kept", 0.001, 0.001, 0.001),
        timing("jax", "jvp", "default", 0.090, 0.090, 0.090),
        timing("jax", "jvp", "pages kept", 0.050, 0.020, 0.060),
        Timing("torch", "eager", "default", failure="MemoryError"),
    ]


def test_ratios_take_the_best_of_a_peer_and_the_default_allocator_of_hesse():
    w1 = workloads.WORKLOADS["w1"]
    assert w1.flops is not None
    (row,) = report.rows(w1, "float32", 1, "avx2", fake(), {"deepxde": "not installed"}, 100.0)
    assert (row.median_s, row.min_s) == (0.010, 0.010)
    assert row.ratio("jax") == row.best_ratio() == pytest.approx(5.0)
    assert row.best_ratio_of_minima() == row.best_ratio_of_cpu() == pytest.approx(2.0)
    assert row.goal == "4.5x" and row.reached is True
    assert row.ideal_s == pytest.approx(w1.flops() / 1e11)
    assert row.missing == {"deepxde": "not installed", "torch": "failed: MemoryError"}
    # On cores that others use there is no verdict.
    (disturbed,) = report.rows(w1, "float32", 1, "avx2", fake(), {}, 100.0, available=0.6)
    assert disturbed.disturbed() and disturbed.reached is None
    # Without peers there is nothing to say about a ratio.
    (alone,) = report.rows(w1, "float32", 1, "avx2", fake()[:1], {}, None)
    assert alone.best_ratio() is None and alone.reached is None and alone.ideal_s is None


def test_what_memory_sets_the_pace_of_states_the_bytes_moved():
    w6 = workloads.WORKLOADS["w6_forward"]
    assert w6.moved is not None
    edges = 4_000_000
    assert w6.moved() == edges * (4 + 4 + 64 * 4) + edges / 20 * 64 * 4
    (row,) = report.rows(w6, "float32", 1, "avx2", fake()[:1], {}, 100.0, bandwidth_gbs=200.0)
    assert row.moved_text() == "1.11 GB, 111 GB/s, 55.4 %"
    (row,) = report.rows(workloads.WORKLOADS["w1"], "float32", 1, "avx2", fake()[:1], {}, 100.0)
    assert row.moved_text() == "-"


def test_goals():
    assert workloads.Goal(below=5e-6).text() == "< 5 us" and workloads.Goal(below=0.03).text() == "< 30 ms"
    assert workloads.Goal(below=5e-6).reached(4e-6, None) is True
    assert workloads.Goal(ratio=2.0).reached(1.0, 1.9) is False
    assert workloads.WORKLOADS["w2"].goal("float64", 1) is None
    assert workloads.expand(["w8", "w1", "w8_5"]) == ["w8_1", "w8_5", "w1"]


def test_operation_counts():
    # 2-20x8-1 has 2860 weights, 1-40-40-1 has 1680.
    assert workloads.pinn_flops("w1") == 10_000 * (18 * 2860 + 30 * 160) + 600 * 2860
    assert workloads.maml_flops(5) == 250 * 1680 * 96


def test_libraries_that_disagree_are_not_compared():
    w1 = workloads.WORKLOADS["w1"]
    agreeing = [
        timing("hesse", "vmap", "default", 1.0),
        timing("jax", "jvp", "default", 1.0, loss=1.0 + 1e-6),
    ]
    driver.check_agreement(w1, "float32", agreeing)
    with pytest.raises(
        Disagreement, match=r"w1 float64: the losses at step 0 differ: Hesse \(vmap\) 1.0, JAX"
    ):
        driver.check_agreement(w1, "float64", agreeing)
    with pytest.raises(Disagreement):
        driver.check_agreement(
            w1, "float32", [agreeing[0], timing("jax", "jvp", "default", 1.0, loss=float("nan"))]
        )


def test_what_is_written(tmp_path):
    pytest.importorskip("matplotlib")
    found = report.rows(
        workloads.WORKLOADS["w1"], "float32", 1, "avx2", fake(), {"deepxde": "not installed"}, 100.0
    )
    lines = [
        report.Line("import", "statement", "s", {"hesse": 0.05, "jax": 0.5, "deepxde": "not installed"}),
        report.Line("memory", "1,000 points", "MB", {"hesse": 1.5}, "constant", True),
    ]
    results = {
        "machine": {
            "processor": "P",
            "cores": 2,
            "pinned_to": [0],
            "load_before": [0.0],
            "peers": {"jax": "1"},
        },
        "versions": {"hesse": "0"},
        "rooflines": [{"threads": 1, "isa": "avx2", "float32_gflops": 100.0}],
        "failures": ["w2: no memory"],
    }
    text = report.write(tmp_path, results, found, lines, ["jax", "torch", "deepxde"])
    assert (
        "| w1 | vmap | float32 | 1 | avx2 | 10 ms (10 ms) | 5.00x | failed | not installed | 5.00x (2.00x; 2.00x) |"
        in text
    )
    assert "FAILED: w2: no memory." in text
    assert "4.5x (yes)" in text and "MemoryError" in text and "JAX (jvp, pages kept)" in text
    assert "| import | statement | 50 ms | 500 ms | - | not installed | - |" in text
    assert (tmp_path / "bench.md").read_text() == text
    written = json.loads((tmp_path / "bench.json").read_text())
    assert written["rows"][0]["ratios"] == {"jax": pytest.approx(5.0)}
    assert written["rows"][0]["timings"][3]["samples"] == 3
    assert written["measures"][1]["reached"] is True
    assert (tmp_path / "bench.png").stat().st_size > 1000


@pytest.mark.parametrize(
    "seconds, text",
    [(1.5, "1.5 s"), (0.0123, "12.3 ms"), (4.56e-5, "45.6 us"), (3e-7, "300 ns"), (None, "-")],
)
def test_times_as_text(seconds, text):
    assert report.time_text(seconds) == text


def test_maps_are_compared_with_loops():
    found = hesse_cases.small_maps("float32", quick=True)
    assert {case["examples"] for case in found} == {2} and len(found) == 6
    assert all(case["map"] > 0 and case["loop"] > 0 for case in found)
