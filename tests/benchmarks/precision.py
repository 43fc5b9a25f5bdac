"""Work-precision diagrams: time against error on the stiff problems, ``./run bench precision [--quick]``.

Hesse's methods for stiff problems beside SciPy's Radau and BDF, diffrax's Kvaerno5 and CVODES called from C++ with Jacobians
written by hand. The error is that of the worst entry at the worst of the problem's times, against the stored solutions of
tests/golden, in units of ``scale + |y|``. All on one core; a time is the median of many solutions of a warm, compiled solver.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "support"))

from stiff_problems import PROBLEMS, Problem, reference  # noqa: E402

NAMES = list(PROBLEMS)
RTOLS = [10.0**-k for k in range(3, 11)]
OF_SUNDIALS = ("BDF", "ARKODE_DIRK")
OURS = ("Rodas5P", "Rodas4", "Kvaerno3", "Kvaerno5", "KenCarp4", *OF_SUNDIALS)
SCIPY = ("Radau", "BDF")
BY_HAND = "CVODES, by hand"
TURNS = 5

Point = dict[str, Any]  # rtol, error, seconds, steps


def timed(solve: Callable[[], Any], seconds: float) -> float:
    """The median; three times at least, unless one takes ten times as long as is given for all."""
    times: list[float] = []
    while not times or (sum(times) < seconds or (len(times) < 3 and sum(times) < 10 * seconds)):
        begin = time.perf_counter()
        solve()
        times.append(time.perf_counter() - begin)
    return statistics.median(times)


def error_of(problem: Problem, y: Any) -> float:
    expected = reference(problem.name)[0]
    return float((np.abs(np.asarray(y) - expected) / (problem.scale + np.abs(expected))).max())


def compiled(problem: Problem, method: str) -> Callable[[float], Any]:
    """The solution by a relative tolerance."""
    import hesse as hs

    @hs.compile
    def solve(p: Any, rtol: Any) -> Any:
        return hs.solvers.solve_ivp(
            problem.field(hs), (0.0, problem.times[-1]), hs.array(problem.y0), method, problem.times, args=(p,),
            rtol=rtol, atol=rtol * hs.array(problem.scale), max_steps=1_000_000,
        )  # fmt: skip

    p = hs.array(problem.p)
    return lambda rtol: solve(p, hs.array(rtol))


def by_hesse(problem: Problem, method: str, rtols: list[float], seconds: float) -> Iterator[Point]:
    solve = compiled(problem, method)
    for rtol in rtols:
        try:
            sol = solve(rtol)
        except FloatingPointError as failure:
            print(f"{problem.name}, Hesse {method}, rtol {rtol:.0e}: {failure}", file=sys.stderr)
            continue
        yield {
            "rtol": rtol,
            "error": error_of(problem, sol.y),
            "seconds": timed(lambda r=rtol: np.asarray(solve(r).y), seconds),
            "steps": int(sol.stats["accepted"]),
        }


def by_scipy(problem: Problem, method: str, rtols: list[float], seconds: float) -> Iterator[Point]:
    from scipy.integrate import solve_ivp

    def solve(rtol: float) -> Any:
        return solve_ivp(
            lambda t, y: problem.rates(np, t, y, problem.p), (0.0, problem.times[-1]), problem.y0, method,
            problem.times, rtol=rtol, atol=rtol * problem.scale,
        )  # fmt: skip

    for rtol in rtols:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            sol = solve(rtol)
            if not sol.success:
                print(f"{problem.name}, SciPy {method}, rtol {rtol:.0e}: {sol.message}", file=sys.stderr)
                continue
            taken = timed(lambda r=rtol: solve(r), seconds)
        yield {"rtol": rtol, "error": error_of(problem, sol.y.T), "seconds": taken, "steps": len(sol.t)}


def compile_by_hand(folder: Path) -> Path | None:
    compiler = os.environ.get("CXX") or shutil.which("c++")
    if compiler is None:
        print("CVODES by hand is left out: no C++ compiler", file=sys.stderr)
        return None
    program = folder / "cvodes_by_hand"
    folder.mkdir(parents=True, exist_ok=True)
    source = Path(__file__).parent / "peers" / "cvodes_by_hand.cpp"
    libraries = [f"-lsundials_{x}" for x in ("cvodes", "nvecserial", "sunmatrixdense", "sunlinsoldense")]
    for more in ([], ["-lsundials_core"]):  # SUNDIALS 7 has it
        command = [compiler, "-std=c++20", "-O3", "-march=native", str(source), "-o", str(program)]
        done = subprocess.run([*command, *libraries, *more], capture_output=True, text=True)
        if done.returncode == 0:
            return program
    print(f"cvodes_by_hand.cpp does not compile here: {done.stderr.strip()[-300:]}", file=sys.stderr)
    return None


def by_hand(program: Path, problem: Problem, rtols: list[float], seconds: float) -> Iterator[Point]:
    for rtol in rtols:
        rows = (problem.y0, problem.p, problem.times, rtol * problem.scale)
        done = subprocess.run(
            [str(program), problem.name, repr(rtol), str(seconds)],
            input="".join(" ".join(map(repr, map(float, row))) + "\n" for row in rows),
            capture_output=True,
            text=True,
        )
        if done.returncode != 0:
            print(f"{problem.name}, {BY_HAND}, rtol {rtol:.0e}: {done.stderr.strip()}", file=sys.stderr)
            continue
        first, second = done.stdout.splitlines()
        taken, steps = first.split()
        y = np.array(second.split(), float).reshape(len(problem.times), -1)
        yield {"rtol": rtol, "error": error_of(problem, y), "seconds": float(taken), "steps": int(steps)}


def beside_by_hand(program: Path, problem: Problem, rtols: list[float], seconds: float) -> dict[float, float]:
    """How many times as long BDF takes as CVODES by hand, by tolerance: in turns, as the machine's clock changes."""
    solve = compiled(problem, "BDF")
    ratios: dict[float, float] = {}
    for rtol in rtols:
        turns: list[float] = []
        for _ in range(TURNS):
            theirs = next(by_hand(program, problem, [rtol], seconds / TURNS), None)
            if theirs is None:
                break
            try:
                taken = timed(lambda r=rtol: np.asarray(solve(r).y), seconds / TURNS)
            except FloatingPointError:
                break
            turns.append(taken / theirs["seconds"])
        if turns:
            ratios[rtol] = statistics.median(turns)
    return ratios


class Diffrax:
    """A process of its own: it needs the peers' environment."""

    def __init__(self, python: str) -> None:
        script = Path(__file__).parent / "peers" / "precision_diffrax.py"
        flags = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
        env = {**os.environ, "PYTHONPATH": str(ROOT / "tests" / "support"), "XLA_FLAGS": flags}
        self._process = subprocess.Popen(
            [python, str(script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env
        )

    def points(self, problem: Problem, rtols: list[float], seconds: float) -> Iterator[Point]:
        assert self._process.stdin and self._process.stdout
        request = {"problem": problem.name, "rtols": rtols, "seconds": seconds}
        print(json.dumps(request), file=self._process.stdin, flush=True)
        for rtol in rtols:
            line = self._process.stdout.readline()
            if not line:
                raise SystemExit("the process with diffrax ended")
            reply = json.loads(line)
            y = np.array(reply.pop("y"))
            if np.isfinite(y).all():
                yield {"rtol": rtol, "error": error_of(problem, y), **reply}

    def close(self) -> None:
        self._process.kill()
        self._process.wait()


def seconds_at(points: list[Point], error: float) -> float | None:
    """The time for an error of so much, on the line through the points of falling errors; None outside of them."""
    front: list[Point] = []
    for p in sorted(points, key=lambda p: p["seconds"]):
        if not front or p["error"] < front[-1]["error"]:
            front.append(p)
    if not front or not front[-1]["error"] <= error <= front[0]["error"]:
        return None
    x = np.log([p["error"] for p in front[::-1]])
    return float(np.exp(np.interp(np.log(error), x, np.log([p["seconds"] for p in front[::-1]]))))


def table(
    found: dict[str, dict[str, list[Point]]], beside: dict[str, dict[float, float]], rtols: list[float]
) -> str:
    """Milliseconds for errors of 1e-4 and 1e-7; BDF beside CVODES by hand at equal tolerances."""
    solvers = list(dict.fromkeys(s for lines in found.values() for s in lines))
    lines = ["| problem | error | " + " | ".join(solvers) + " |", "|---" * (len(solvers) + 2) + "|"]
    for name, by_solver in found.items():
        for error in (1e-4, 1e-7):
            cells = [seconds_at(by_solver.get(s, []), error) for s in solvers]
            shown = [f"{1e3 * c:.3g}" if c is not None else "-" for c in cells]
            lines.append(f"| {name} | {error:.0e} | " + " | ".join(shown) + " |")
    if beside:
        lines += [
            "",
            "Hesse's BDF, with the derived Jacobian, beside CVODES with one written by hand, at equal tolerances: times as long",
            "",
            "| problem | " + " | ".join(f"{r:.0e}" for r in rtols) + " | median |",
            "|---" * (len(rtols) + 2) + "|",
        ]
        for name, ratios in beside.items():
            cells = [f"{ratios[r]:.2f}" if r in ratios else "-" for r in rtols]
            middle = f"{statistics.median(ratios.values()):.2f}" if ratios else "-"
            lines.append(f"| {name} | " + " | ".join(cells) + f" | {middle} |")
    return "\n".join(lines)


def draw(found: dict[str, dict[str, list[Point]]], path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    columns = min(4, len(found))
    rows = -(-len(found) // columns)
    figure, axes = plt.subplots(
        rows, columns, figsize=(3.6 * columns, 3.3 * rows), layout="constrained", squeeze=False
    )
    solvers = list(dict.fromkeys(s for lines in found.values() for s in lines))
    ours = [s for s in solvers if s.startswith("Hesse")]
    peers = [s for s in solvers if s not in ours]
    colours = dict(zip(ours, [f"C{k}" for k in range(len(OURS))], strict=False))
    colours |= dict(zip(peers, ["black", "0.5", "C8", "C9"], strict=False))
    for axis, (name, by_solver) in zip(axes.flat, found.items(), strict=False):
        for solver in solvers:
            points = [p for p in by_solver.get(solver, []) if p["error"] < 1]  # else it went astray
            axis.loglog(
                [p["error"] for p in points],
                [1e3 * p["seconds"] for p in points],
                "o-" if solver in ours else "x--",
                color=colours[solver],
                markersize=4,
                label=solver,
            )
        axis.set(title=name, xlabel="error", ylabel="ms")
        axis.invert_xaxis()
    for axis in axes.flat[len(found) :]:
        axis.axis("off")
    handles, labels = axes.flat[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=min(len(labels), 2 * columns))
    figure.savefig(path, dpi=130)


def main() -> int:
    parser = argparse.ArgumentParser(prog="./run bench precision", description=__doc__)
    parser.add_argument("--problems", nargs="+", default=NAMES, choices=NAMES)
    parser.add_argument("--methods", nargs="+", default=OURS, choices=OURS, help="of Hesse")
    parser.add_argument("--seconds", type=float, default=0.2, help="of measuring for each point")
    parser.add_argument(
        "--quick",
        action="store_true",
        help="tolerances of 1e-3, 1e-5 and 1e-7, each measured for a tenth of the time",
    )
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "bench", help="by default build/bench")
    options = parser.parse_args()
    rtols, seconds = (RTOLS[:5:2], options.seconds / 10) if options.quick else (RTOLS, options.seconds)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})  # inherited by what is started
    import hesse as hs

    from .__main__ import peers_python

    hs.set_num_threads(1)
    options.out.mkdir(parents=True, exist_ok=True)
    program = compile_by_hand(options.out / "logs")
    python = peers_python()
    diffrax = Diffrax(python) if python else None
    if diffrax is None:
        print("diffrax is left out: ./run bench --install-peers installs it", file=sys.stderr)
    found: dict[str, dict[str, list[Point]]] = {}
    beside: dict[str, dict[float, float]] = {}
    try:
        for name in options.problems:
            problem = PROBLEMS[name]
            print(name, file=sys.stderr)
            lines: dict[str, Iterator[Point]] = {
                f"Hesse {m}": by_hesse(problem, m, rtols, seconds)
                for m in options.methods
                if m not in OF_SUNDIALS or hs._hesse.solvers.has_cvode()
            }
            if program:
                lines[BY_HAND] = by_hand(program, problem, rtols, seconds)
            lines |= {f"SciPy {m}": by_scipy(problem, m, rtols, seconds) for m in SCIPY}
            if diffrax:
                lines["diffrax Kvaerno5"] = diffrax.points(problem, rtols, seconds)
            found[name] = {solver: list(points) for solver, points in lines.items()}
            if program and "BDF" in options.methods and hs._hesse.solvers.has_cvode():
                beside[name] = beside_by_hand(program, problem, rtols, seconds)
            results = {"points": found, "BDF beside CVODES by hand": beside}
            (options.out / "precision.json").write_text(json.dumps(results, indent=1) + "\n")
    finally:
        if diffrax:
            diffrax.close()
    text = table(found, beside, rtols)
    (options.out / "precision.md").write_text(text + "\n")
    draw(found, options.out / "precision.png")
    print(text)
    print(f"\nwritten: precision.json, precision.md, precision.png in {os.path.relpath(options.out)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
