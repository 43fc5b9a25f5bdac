"""What is measured once and not step by step: imports, memory, preparation, and the whole demo."""

from __future__ import annotations

import statistics
import subprocess
from pathlib import Path
from typing import Any

from . import workloads
from .driver import ALLOCATORS, Process, Settings, WorkerFailed, available_memory_mb, environment
from .report import Line
from .roofline import pinned

IMPORTS = {"hesse": "hesse", "jax": "jax, jax.numpy", "torch": "torch", "deepxde": "deepxde"}
SIZES = (1_000, 10_000, 100_000, 1_000_000, 10_000_000)


def imports(libraries: list[str], missing: dict[str, str], settings: Settings) -> list[Line]:
    """Seconds of the import statement in a fresh process; the first round only warms the disk."""
    times: dict[str, list[float]] = {library: [] for library in libraries}
    for _ in range(3 if settings.quick else 6):
        for library in libraries:
            program = f"import time; b = time.perf_counter(); import {IMPORTS[library]}; print(time.perf_counter() - b)"
            done = subprocess.run(
                pinned([settings.python(library), "-c", program], settings.cpus[:1]),
                env=environment(settings, 1, "default"),
                capture_output=True,
                text=True,
                check=True,
            )
            times[library].append(float(done.stdout.split()[-1]))
    values: dict[str, Any] = {name: statistics.median(found[1:]) for name, found in times.items()}
    return [Line("import", "import statement, files in memory", "s", {**missing, **values})]


def memory(
    dtype: str, libraries: list[str], missing: dict[str, str], settings: Settings, full: bool
) -> list[Line]:
    """Peak memory of a step of the Burgers network less what the process had before it, by the number of points."""
    form = {
        library: workloads.WORKLOADS["w1"].forms[library][0] for library in libraries if library != "deepxde"
    }
    sizes = SIZES if full else SIZES[: 3 if settings.quick else 4]
    lines: list[Line] = []
    for n in sizes:
        values: dict[str, float | str] = dict(missing)
        for library in form:
            before = lines[-1].values[library] if lines else 0.0
            if isinstance(before, str) or before * 15 > available_memory_mb():
                values[library] = "does not fit" if not isinstance(before, str) else before
                continue
            case = {"workload": "w1", "form": form[library], "dtype": dtype, "threads": 1, "points": n}
            try:
                with Process(library, settings, 1, "default") as process:
                    reply = process.ask("prepare", case=case, warm=1)
                if reply["memory_peak_mb"] is None:
                    values[library] = "unknown"
                else:
                    values[library] = reply["memory_peak_mb"] - reply["memory_before_mb"]
            except WorkerFailed as error:
                values[library] = f"failed: {error}"
        lines.append(Line("memory", f"PINN step with compiling, {n:,} points, {dtype}", "MB", values))
    ours = [line.values["hesse"] for line in lines]
    if all(isinstance(v, float) for v in ours):
        lines[-1].goal = "constant (within 16 MB)"
        lines[-1].reached = max(ours) - min(ours) < 16.0
    return lines


def preparation(dtype: str, libraries: list[str], missing: dict[str, str], settings: Settings) -> list[Line]:
    """Seconds from a Python function to a program that runs: recording, differentiating, planning."""
    lines = []
    for name, bound in (("w1", 0.030), ("w8_1", 0.060), ("w8_5", 0.060), ("w9", 0.060)):
        workload = workloads.WORKLOADS[name]
        values: dict[str, float | str] = {k: v for k, v in missing.items() if k == "jax"}
        for library in ("hesse", "jax"):
            if library not in libraries:
                continue
            case = {"workload": name, "form": workload.forms[library][0], "dtype": dtype, "threads": 1}
            try:
                with Process(library, settings, 1, "default") as process:
                    process.ask("prepare", case=case, warm=1)
                    found = process.ask("preparation", times=7 if library == "hesse" else 2)["seconds"]
                values[library] = statistics.median(found)
            except WorkerFailed as error:
                values[library] = f"failed: {error}"
        ours = values.get("hesse")
        goal = workloads.Goal(below=bound)
        reached = ours < bound if isinstance(ours, float) else None
        lines.append(Line("prepare", f"{name}, {dtype}", "s", values, goal.text(), reached))
    return lines


def maps(dtype: str, settings: Settings) -> list[Line]:
    """Compiled maps of few or large examples, against compiled loops over the same examples."""
    with Process("hesse", settings, 1, "default") as process:
        found = process.ask("call", function="small_maps", dtype=dtype, quick=settings.quick)
    lines = []
    for case in found:
        ratio = case["loop"] / case["map"]
        title = f"{case['title']}, {case['examples']} examples, {dtype}: {ratio:.2f}x a loop"
        lines.append(Line("maps", title, "s", {"hesse": case["map"]}, "1x a loop", ratio > 0.95))
    return lines


def demo(
    threads: int, libraries: list[str], missing: dict[str, str], settings: Settings, folder: Path
) -> list[Line]:
    """The whole training of ./run demo, and the same network, points, optimisers and iterations in the peers."""
    path = folder / "demo.npz"
    folder.mkdir(parents=True, exist_ok=True)
    seconds: dict[str, float | str] = {k: v for k, v in missing.items() if k != "jax"}
    notes = []
    for library in libraries:
        if library == "jax":
            continue
        best: dict[str, Any] | None = None
        for allocator in ("default",) if library == "hesse" or settings.quick else ALLOCATORS:
            try:
                with Process(library, settings, threads, allocator) as process:
                    if library == "hesse":
                        process.ask("call", function="write_demo", path=str(path), quick=settings.quick)
                    reply = process.ask("call", function="train_demo", path=str(path), threads=threads)
            except WorkerFailed as error:
                seconds[library] = f"failed: {error}"
                continue
            if best is None or reply["seconds"] < best["seconds"]:
                best = reply
        if best is not None:
            seconds[library] = best["seconds"]
            notes.append(
                f"{workloads.NAMES[library]} error {best['error']:.1e} after {best['iterations']} iterations"
            )
    lines = [Line("demo", f"{threads} thread(s); {'; '.join(notes)}", "s", seconds)]
    ours = seconds.get("hesse")
    theirs = [v for k, v in seconds.items() if k != "hesse" and isinstance(v, float)]
    lines[0].goal = "3x, < 120 s"
    if isinstance(ours, float):
        lines[0].reached = ours < 120.0 and ours * 3 <= min(theirs) if theirs else None
    return lines
