"""The command line of the benchmarks: see ``./run bench --help``."""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from . import machine, measures, report, roofline, workloads
from .driver import ISA_LIMITS, Disagreement, Settings, time_together

ROOT = Path(__file__).resolve().parents[2]
PEERS_VENV = ROOT / "build" / "peers-venv"


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    names = [*workloads.WORKLOADS, *workloads.GROUPS, *workloads.MEASURES]
    parser = argparse.ArgumentParser(
        prog="./run bench",
        description="Times Hesse beside JAX, PyTorch and DeepXDE: a process per library, on the same cores, in turns.",
    )
    parser.add_argument("--workloads", nargs="+", default=list(workloads.DEFAULT), metavar="NAME", choices=names,
                        help=f"of {', '.join(dict.fromkeys(names))}; by default all but w3, w4, w9 and demo")  # fmt: skip
    parser.add_argument("--dtypes", nargs="+", default=["float32", "float64"], choices=["float32", "float64"])
    parser.add_argument("--threads", nargs="+", type=int, metavar="N", help="by default 1 2; 1 with --quick")
    parser.add_argument("--peers", nargs="*", default=list(workloads.PEERS), choices=list(workloads.PEERS))
    parser.add_argument("--isa", nargs="+", default=[os.environ.get("HESSE_ISA")], choices=list(ISA_LIMITS),
                        help="hold the libraries to these instruction sets, one after the other")  # fmt: skip
    parser.add_argument("--rounds", type=int, help="turns of every process; by default 7, or 3 with --quick")
    parser.add_argument("--quick", action="store_true", help="main forms only, one thread, short turns")
    parser.add_argument("--full", action="store_true", help="memory up to 10 million points")
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "bench", help="by default build/bench")
    parser.add_argument("--install-peers", action="store_true",
                        help="install the pinned peers in build/peers-venv (several GB) and stop")  # fmt: skip
    return parser.parse_args(arguments)


def install_peers() -> None:
    if not (PEERS_VENV / "bin" / "python").exists():
        subprocess.run([sys.executable, "-m", "venv", str(PEERS_VENV)], check=True)
    requirements = Path(__file__).with_name("peers") / "requirements.txt"
    subprocess.run(
        [str(PEERS_VENV / "bin" / "python"), "-m", "pip", "install", "-r", str(requirements)], check=True
    )


def peers_python() -> str | None:
    """The interpreter that has the peers: HESSE_PEERS_PYTHON, or what --install-peers made."""
    named = os.environ.get("HESSE_PEERS_PYTHON")
    if named:
        if not os.access(named, os.X_OK):
            sys.exit(f"./run bench: HESSE_PEERS_PYTHON={named} is no program")
        return named
    made = PEERS_VENV / "bin" / "python"
    return str(made) if made.exists() else None


def thread_counts(wanted: list[int] | None, quick: bool, cores: int) -> list[int]:
    counts = wanted or ([1] if quick else [1, 2])
    for n in counts:
        if not 1 <= n <= cores:
            print(f"{n} threads: left out, there are {cores} cores here", file=sys.stderr)
    return [n for n in counts if 1 <= n <= cores] or [1]


class Run:
    """A run of the benchmarks: what it has found so far, and whether something failed."""

    def __init__(self, options: argparse.Namespace, settings: Settings) -> None:
        self.options, self.settings = options, settings
        installed = machine.versions_of(settings.peers_python)
        self.missing = {p: "not installed" for p in options.peers if p not in installed}
        self.libraries = ["hesse", *(p for p in options.peers if p in installed)]
        self.rows: list[report.Row] = []
        self.lines: list[report.Line] = []
        self.code = 0
        self.results: dict[str, Any] = {
            "machine": machine.describe(settings),
            "settings": {k: v for k, v in vars(options).items() if k != "out"},
            "versions": hesse_version(),
            "rooflines": [],
            "failures": [],
        }

    def write(self) -> str:
        return report.write(self.options.out, self.results, self.rows, self.lines, self.options.peers)

    def fail(self, what: str) -> None:
        print(f"FAILED: {what}", file=sys.stderr)
        self.results["failures"].append(what)
        self.code = 1

    def with_isa(self, isa: str | None, names: list[str], threads: list[int]) -> None:
        """Everything asked for, with one instruction set."""
        now = replace(self.settings, isa=isa)
        used = machine.isa_in_use(now)
        for n in threads:
            roof = roofline.measure(now, n) | {"isa": used}
            self.results["rooflines"].append(roof)
            for name in (name for name in names if name in workloads.WORKLOADS):
                for dtype in self.options.dtypes:
                    if dtype not in workloads.WORKLOADS[name].dtypes:
                        continue
                    print(f"{name}, {dtype}, {n} thread(s), {used}", file=sys.stderr)
                    self.time(workloads.WORKLOADS[name], dtype, n, now, roof)
                    self.write()
            if "demo" in names:
                self.lines += measures.demo(n, self.libraries, self.missing, now, self.options.out)
        dtype = self.options.dtypes[0]
        if "import" in names:
            self.lines += measures.imports(self.libraries, self.missing, now)
        if "memory" in names:
            self.lines += measures.memory(dtype, self.libraries, self.missing, now, self.options.full)
        if "prepare" in names:
            self.lines += measures.preparation(dtype, self.libraries, self.missing, now)
        if "maps" in names:
            self.lines += measures.maps(dtype, now)

    def time(
        self, workload: workloads.Workload, dtype: str, n: int, settings: Settings, roof: dict[str, Any]
    ) -> None:
        """One workload, dtype and number of threads."""
        try:
            timings, available = time_together(workload, dtype, n, self.libraries, settings)
        except Disagreement as error:
            self.fail(str(error))
            return
        for timing in timings:
            if timing.failure:
                self.fail(f"{workload.name}, {dtype}, {n} thread(s): {timing.label}: {timing.failure}")
        missing = {p: why for p, why in self.missing.items() if p in workload.forms}
        self.rows += report.rows(
            workload,
            dtype,
            n,
            machine.isa_in_use(settings),
            timings,
            missing,
            roof[f"{dtype}_gflops"],
            available,
            roof.get("triad_memory_gbs"),
        )


def main() -> int:
    options = parse()
    if options.install_peers:
        install_peers()
        return 0
    cores = (
        sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1)
    )
    settings = Settings(
        log_folder=options.out / "logs",
        peers_python=peers_python(),
        cpus=tuple(cores),
        rounds=options.rounds or (3 if options.quick else 7),
        slice_seconds=0.15 if options.quick else 0.4,
        least=2 if options.quick else 3,
        quick=options.quick,
    )
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a stopped run still prints what it has
    run = Run(options, settings)
    if run.missing:
        print(
            f"not installed: {', '.join(workloads.NAMES[p] for p in run.missing)}; ./run bench --install-peers "
            "installs them, or set HESSE_PEERS_PYTHON to an interpreter that has them",
            file=sys.stderr,
        )
    try:
        for isa in options.isa:
            if isa is not None and isa not in machine.supported_isas():
                print(f"{isa}: left out, this processor does not have it", file=sys.stderr)
                continue
            run.with_isa(
                isa,
                workloads.expand(options.workloads),
                thread_counts(options.threads, options.quick, len(cores)),
            )
    except KeyboardInterrupt:
        print("stopped: this is what was measured until now", file=sys.stderr)
        run.code = 130
    print(run.write())
    written = ", ".join(sorted(path.name for path in options.out.glob("bench.*")))
    print(f"written: {written} in {os.path.relpath(options.out)}", file=sys.stderr)
    return run.code


def hesse_version() -> dict[str, str]:
    done = subprocess.run(
        [sys.executable, "-c", "import hesse; print(hesse.__version__)"], capture_output=True, text=True
    )
    return {"hesse": done.stdout.strip() or "?"}


if __name__ == "__main__":
    sys.exit(main())
