"""The demos: what they reach, what they leave, and that an interrupted run goes on to the same bits."""

from __future__ import annotations

import os
import re
import signal
import statistics
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import hesse as hs
from hesse import physics
from hesse.demo import burgers, inverse, main

DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "pinn"
TINY = ["--points", "60", "--adam", "12", "--lbfgs", "25", "--quiet"]


def command(*options):
    return [sys.executable, "-m", "hesse.demo", *map(str, options)]


def run(*options, **environment):
    """A demo in a process of its own, with one thread."""
    variables = {**os.environ, "HESSE_NUM_THREADS": "1", "MPLBACKEND": "Agg", **environment}
    done = subprocess.run(command(*options), capture_output=True, text=True, env=variables)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def error_in(output):
    return float(re.search(r"relative L2 error ([-+.e\d]+)", output)[1])


def fails(capsys, *options, code=2):
    """The message of a demo that must end with this exit code."""
    assert main([str(o) for o in options]) == code
    return capsys.readouterr().err


# ---- what a run leaves ------------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def quick(tmp_path_factory):
    """The output and the folder of a quick run."""
    folder = tmp_path_factory.mktemp("quick")
    return run("burgers", "--quick", "--quiet", "--out", folder), folder


def test_quick_run_reaches_its_bound(quick):
    output, _ = quick
    assert error_in(output) < burgers.QUICK.bound == 2.5e-2
    assert "256 x 100 points" in output and "seed 0" in output


def test_field_is_written_with_its_meaning(quick):
    h5py = pytest.importorskip("h5py")
    output, folder = quick
    with h5py.File(folder / "field.h5") as file:
        t, x, u, exact = (file[name][()] for name in ("t", "x", "u", "u_exact"))
        assert dict(file.attrs)["equation"] == "u_t + u u_x = nu u_xx"
        assert file.attrs["nu"] == pytest.approx(0.01 / np.pi) and file.attrs["seed"] == 0
        assert file["u"].attrs["layout"] == "u[i_x, i_t]" and "Cole-Hopf" in file["u_exact"].attrs["source"]
        error = file.attrs["relative_l2"]
    np.testing.assert_allclose(x, np.linspace(-1, 1, 256), atol=1e-15)
    np.testing.assert_allclose(t, np.arange(100) / 100, atol=1e-15)
    assert u.shape == exact.shape == (256, 100) and u.dtype == np.float64
    assert np.linalg.norm(u - exact) / np.linalg.norm(exact) == pytest.approx(error, rel=1e-9)
    assert f"{error:.3e}" == f"{error_in(output):.3e}"
    np.testing.assert_allclose(u[:, 0], -np.sin(np.pi * x), atol=1e-14)  # hard constraints
    np.testing.assert_allclose(u[[0, -1]], 0.0, atol=1e-14)


def test_weights_give_the_same_field_bit_for_bit(quick):
    h5py = pytest.importorskip("h5py")
    _, folder = quick
    like = hs.nn.MLP([2, *burgers.QUICK.hidden, 1], key=hs.random.key(1))
    net = hs.io.load_safetensors(folder / "weights.safetensors", like=like)
    with h5py.File(folder / "field.h5") as file:
        u = file["u"][()]
    again = burgers.predict(burgers.make_problem(10), net, burgers.exact_reference())
    assert np.asarray(again).tobytes() == u.tobytes()
    assert hs.io.read_metadata(folder / "weights.safetensors")["seed"] == "0"


def test_figure_is_a_png_of_its_size(quick):
    pytest.importorskip("matplotlib")
    _, folder = quick
    head = (folder / "burgers.png").read_bytes()[:24]
    assert head[:8] == b"\x89PNG\r\n\x1a\n"
    assert [int.from_bytes(head[k : k + 4], "big") for k in (16, 20)] == [1320, 960]


def test_nothing_else_is_left(quick):
    _, folder = quick
    assert {"field.h5", "weights.safetensors", "burgers.png", "checkpoint.safetensors"} >= set(
        os.listdir(folder)
    )


def test_without_h5py_and_matplotlib_the_rest_is_written(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "h5py", None)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert main(["burgers", *TINY, "--out", str(tmp_path)]) == 0
    err = capsys.readouterr().err
    assert "not written: field.h5" in err and "not written: burgers.png" in err and "pip install" in err
    assert (tmp_path / "weights.safetensors").exists() and not (tmp_path / "field.h5").exists()


def test_the_number_of_threads_does_not_change_a_bit(tmp_path, capsys, no_figure):
    weights = []
    threads = hs.get_num_threads()
    try:
        for n in ("1", "3"):
            options = ["--points", "700", "--adam", "4", "--lbfgs", "6", "--quiet", "--threads", n]
            assert main(["burgers", *options, "--out", str(tmp_path)]) == 0
            weights.append((tmp_path / "weights.safetensors").read_bytes())
    finally:
        hs.set_num_threads(threads)
    assert weights[0] == weights[1]


def test_an_error_above_the_bound_is_exit_code_1(tmp_path, capsys, monkeypatch, no_figure):
    monkeypatch.setattr(burgers, "QUICK", burgers.Budget((4,), 20, 3, 3, 1e-3))
    assert "the error is above the bound 0.001" in fails(
        capsys, "burgers", "--quick", "--quiet", "--out", tmp_path, code=1
    )


# ---- stored solutions -------------------------------------------------------------------------------------------------
@pytest.fixture
def no_figure(monkeypatch):
    monkeypatch.setattr(burgers, "save_figure", lambda *args: None)


@pytest.mark.parametrize("name,package", [("burgers_shock.h5", "h5py"), ("burgers_shock.mat", "scipy")])
def test_comparison_with_the_stored_reference(name, package, tmp_path, capsys, no_figure):
    pytest.importorskip(package)
    h5py = pytest.importorskip("h5py")
    if not (DATA / name).exists():
        pytest.skip(f"no stored solution {name}: the folder shared/data is not beside this repository")
    assert main(["burgers", *TINY, "--out", str(tmp_path), "--reference", str(DATA / name)]) == 0
    assert f"compared with: {name}, 256 x 100 points" in capsys.readouterr().out
    with h5py.File(tmp_path / "field.h5") as file:
        stored = file["u_exact"][()]
        assert file["u_exact"].attrs["source"] == name
    exact = np.asarray(burgers.exact_reference().u)
    assert np.linalg.norm(stored - exact) < 1e-10 * np.linalg.norm(exact)


def reference(path, t, x, u, name="u"):
    pytest.importorskip("h5py")
    hs.io.save_hdf5(path, {"t": np.asarray(t), "x": np.asarray(x), name: np.asarray(u)})
    return path


def test_what_is_no_reference_is_refused_by_name(tmp_path, capsys):
    t, x = np.linspace(0, 1, 5), np.linspace(-1, 1, 9)
    u = -np.sin(np.pi * x)[:, None] * np.ones(5)
    with_nan = np.where(x[:, None] == 0, np.nan, u)
    (tmp_path / "text.h5").write_text("not HDF5 at all")
    (tmp_path / "text.mat").write_text("not MATLAB at all")
    cases = {
        tmp_path / "absent.h5": "there is no such file; give an .h5 or .mat file with x, t and u",
        tmp_path: "a folder; give",
        tmp_path / "text.h5": "cannot be read as HDF5",
        tmp_path / "text.mat": "cannot be read as a MATLAB file",
        reference(tmp_path / "names.h5", t, x, u, "field"): "there is no 'u'; it holds field, t, x",
        reference(
            tmp_path / "order.h5", t, x, u.T
        ): r"u must have the shape (len(x), len(t)) = (9, 5), got (5, 9)",
        reference(tmp_path / "nan.h5", t, x, with_nan): "u holds NaN or infinity",
        reference(
            tmp_path / "integer.h5", t, x, np.ones((9, 5), int)
        ): "u must hold real numbers, got int64[9, 5]",
        reference(tmp_path / "empty.h5", [], x, np.ones((9, 0))): "t must hold real numbers, got float64[0]",
        reference(tmp_path / "late.h5", 2 * t, x, u): "t must lie in [0, 1], got 0 to 2",
        reference(tmp_path / "wide.h5", t, 3 * x, u): "x must lie in [-1, 1], got -3 to 3",
        reference(tmp_path / "other.h5", t, x, -u): "u(0, x) differs from -sin(pi x) by 2",
    }
    for path, message in cases.items():
        err = fails(capsys, "burgers", *TINY, "--out", tmp_path / "out", "--reference", path)
        assert message in err and str(path) in err and err.startswith("hesse.demo burgers: "), err


def test_bad_options(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert f"--out {tmp_path / 'file'}" in fails(capsys, "burgers", *TINY, "--out", tmp_path / "file")
    for options, message in (
        (["burgers", "--adam", "abc"], "--adam: 'abc' is not a positive integer"),
        (["burgers", "--points", "0"], "--points: '0' is not a positive integer"),
        (["burgers", "--batch", "-3"], "--batch: '-3' is not a positive integer"),
        (["burgers", "--seed", "1.5"], "--seed: '1.5' is not an integer from 0"),
        (["burgers", "--seed", str(2**63)], "is not an integer from 0 to 2**63 - 1"),
        (["burgers-inverse", "--noise", "-1"], "--noise: '-1' is not a number from 0 on"),
        (["burgers-inverse", "--noise", "nan"], "--noise: 'nan' is not a number from 0 on"),
        (["burgers", "--unheard-of"], "unrecognized arguments: --unheard-of"),
        (["heat"], "invalid choice: 'heat'"),
        ([], "PROBLEM"),
    ):
        with pytest.raises(SystemExit) as stop:
            main(options)
        assert stop.value.code == 2 and message in capsys.readouterr().err


# ---- interruptions ----------------------------------------------------------------------------------------------------
def interrupt_at(monkeypatch, iteration):
    """Ctrl-C at the end of an iteration of the training."""
    step = physics.Training.step

    def interrupted(self):
        going_on = step(self)
        if self.iteration == iteration:
            signal.raise_signal(signal.SIGINT)
        return going_on

    monkeypatch.setattr(physics.Training, "step", interrupted)


BATCHES = ["--batch", "20", "--resample", "5"]


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    """The files of whole runs, by their options."""
    files = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(burgers, "save_figure", lambda *args: None)
        for kind, options in (("all points", []), ("batches", BATCHES)):
            folder = tmp_path_factory.mktemp("whole")
            assert main(["burgers", *TINY, *options, "--out", str(folder)]) == 0
            files[kind] = folder
    return files


# 12 iterations of Adam, then 25 of L-BFGS; points are drawn again every five iterations of a stage.
@pytest.mark.parametrize("kind", ["all points", "batches"])
@pytest.mark.parametrize("iteration", [1, 10, 12, 13, 22, 30, 37])
def test_resuming_gives_the_same_bits(
    kind, iteration, tmp_path, capsys, monkeypatch, uninterrupted, no_figure
):
    options = ["burgers", *TINY, *(BATCHES if kind == "batches" else []), "--out", str(tmp_path)]
    with monkeypatch.context() as patch:
        interrupt_at(patch, iteration)
        err = fails(capsys, *options, code=130)
    assert f"stopped after iteration {iteration}; saved in {tmp_path / 'checkpoint.safetensors'}" in err
    assert "to go on: the same command with --resume" in err
    assert os.listdir(tmp_path) == ["checkpoint.safetensors"]
    assert main([*options, "--resume"]) == 0
    for name in ("weights.safetensors", "checkpoint.safetensors"):
        assert (tmp_path / name).read_bytes() == (uninterrupted[kind] / name).read_bytes()


def test_interrupted_twice(tmp_path, capsys, monkeypatch, uninterrupted, no_figure):
    options = ["burgers", *TINY, "--out", str(tmp_path)]
    for k, more in ((5, []), (20, ["--resume"])):
        with monkeypatch.context() as patch:
            interrupt_at(patch, k)
            assert "stopped after iteration" in fails(capsys, *options, *more, code=130)
    assert main([*options, "--resume"]) == 0
    weights = (uninterrupted["all points"] / "weights.safetensors").read_bytes()
    assert (tmp_path / "weights.safetensors").read_bytes() == weights


def test_a_running_process_is_interrupted(tmp_path):
    """SIGINT from outside, in the middle of a training that would take hours."""
    options = command("burgers", "--points", 60, "--adam", 10**7, "--out", tmp_path)
    process = subprocess.Popen(options, stderr=subprocess.PIPE, env={**os.environ, "HESSE_NUM_THREADS": "1"})
    try:
        seen = b""
        while b"Adam" not in seen:  # the progress bar, or the line printed instead of it
            more = os.read(process.stderr.fileno(), 4096)
            assert more, seen.decode()
            seen += more
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 130
    assert b"stopped after iteration" in err and b"to go on: the same command with --resume" in err
    assert os.listdir(tmp_path) == ["checkpoint.safetensors"]


def test_the_inverse_problem_is_resumed(tmp_path, capsys, monkeypatch):
    small = ["burgers-inverse", "--samples", "40", *TINY]
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    assert main([*small, "--out", str(whole)]) == 0
    assert "lambda2" in capsys.readouterr().out
    with monkeypatch.context() as patch:
        interrupt_at(patch, 20)
        assert "--resume" in fails(capsys, *small, "--out", parts, code=130)
    assert main([*small, "--out", str(parts), "--resume"]) == 0
    name = "weights.safetensors"
    assert (whole / name).read_bytes() == (parts / name).read_bytes()
    assert {"lambda1", "log_lambda2"} <= set(hs.io.load_safetensors(whole / name))


# ---- checkpoints ------------------------------------------------------------------------------------------------------
def test_resuming_without_a_checkpoint(tmp_path, capsys):
    err = fails(capsys, "burgers", *TINY, "--out", tmp_path, "--resume")
    assert f"there is no checkpoint {tmp_path / 'checkpoint.safetensors'}; begin without resuming" in err


@pytest.fixture
def stopped(tmp_path, capsys, monkeypatch):
    """The checkpoint of a run that was stopped in L-BFGS."""
    with monkeypatch.context() as patch:
        interrupt_at(patch, 20)
        fails(capsys, "burgers", *TINY, "--out", tmp_path, code=130)
    return tmp_path / "checkpoint.safetensors"


@pytest.mark.parametrize(
    "options,then,now",
    [
        (["--seed", "3"], "seed=0", "seed=3"),
        (["--points", "61"], "points=60", "points=61"),
        (["--adam", "11"], "stage0.Adam.iterations=12", "stage0.Adam.iterations=11"),
        (["--batch", "7"], "stage0.Adam.batch=None", "stage0.Adam.batch=7"),
    ],
)
def test_a_checkpoint_of_other_settings_is_refused(options, then, now, stopped, capsys):
    err = fails(capsys, "burgers", *TINY, *options, "--out", stopped.parent, "--resume")
    assert f"{stopped} was written with {then}, this is {now}; give the options it was written with" in err


def test_a_damaged_checkpoint_is_refused(stopped, capsys):
    whole = stopped.read_bytes()
    for contents, message in (
        (whole[:-8], "the checkpoint is damaged; begin without resuming"),
        (whole[:100], "truncated header"),
        (b"", "truncated: 0 bytes"),
        (b"A text that is no checkpoint", "the checkpoint is damaged"),
    ):
        stopped.write_bytes(contents)
        err = fails(capsys, "burgers", *TINY, "--out", stopped.parent, "--resume")
        assert message in err and str(stopped) in err, err


def test_a_foreign_or_inconsistent_checkpoint_is_refused(stopped, capsys):
    tensors, metadata = hs.io.load_safetensors(stopped), hs.io.read_metadata(stopped)

    def without(name):
        return {k: v for k, v in tensors.items() if k != name}

    for contents, about, message in (
        (tensors, {}, "is not a checkpoint of a training"),
        (without("lbfgs.steps"), metadata, "has no entry 'lbfgs.steps'"),
        (without("loss"), metadata, "has no entry 'loss'"),
        (tensors | {"counters": hs.array([1, 8])}, metadata, "'counters' has the shape (2,), expected (4,)"),
        (
            tensors | {"counters": hs.array([7, 8, 0, 20])},
            metadata,
            "the counters [7, 8, 0, 20] do not fit stage0",
        ),
        (tensors | {"counters": hs.array([1, 26, 0, 38])}, metadata, "do not fit"),
        (tensors | {"counters": hs.array([1, 8, 2**62, 20])}, metadata, "do not fit"),
        (
            tensors | {"records": hs.ones((3, 2))},
            metadata,
            "'records' has the shape (3, 2), expected (None, 3)",
        ),
        (tensors | {"key": tensors["key"] + 1}, metadata, "another key (seed)"),
        (
            tensors | {"model.layers.0.bias": hs.zeros(3)},
            metadata,
            "'model.layers.0.bias' is float64[3] in the file",
        ),
        (tensors | {"lbfgs.gradient": hs.zeros(3)}, metadata, "a gradient of 3"),
        (tensors | {"lbfgs.x": hs.zeros(3)}, metadata, "lbfgs: the state has 3 parameters"),
    ):
        hs.io.save_safetensors(stopped, contents, about)
        err = fails(capsys, "burgers", *TINY, "--out", stopped.parent, "--resume")
        assert message in err and str(stopped) in err, err


# ---- the figures of the README, which take minutes --------------------------------------------------------------------
def relative_errors(tmp_path, seeds, **environment):
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        outputs = pool.map(
            lambda seed: run(
                "burgers", "--quiet", "--seed", seed, "--out", tmp_path / str(seed), **environment
            ),
            seeds,
        )
    return [error_in(output) for output in outputs]


@pytest.mark.full
def test_burgers_over_seeds(tmp_path):
    errors = relative_errors(tmp_path, range(5))
    print("relative L2 errors:", errors)
    assert statistics.median(errors) <= 1e-3 and max(errors) <= 3e-3


@pytest.mark.full
@pytest.mark.parametrize("isa", ["baseline", "avx2"])
def test_burgers_with_other_instruction_sets(isa, tmp_path):
    assert relative_errors(tmp_path, [0], HESSE_ISA=isa)[0] <= 3e-3


@pytest.mark.full
@pytest.mark.parametrize("noise,bound", [(0.0, 0.01), (0.01, 0.03)])
def test_inverse_problem_over_seeds(noise, bound):
    found = [inverse.recover(seed, noise, progress=False)[:2] for seed in range(5)]
    errors = [(abs(lambda1 - 1.0), abs(lambda2 / burgers.nu - 1.0)) for lambda1, lambda2 in found]
    print(f"errors of lambda1 and lambda2 with noise {noise}:", errors)
    assert all(statistics.median(column) < bound for column in zip(*errors, strict=True))
