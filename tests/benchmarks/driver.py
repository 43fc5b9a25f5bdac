"""Processes that take turns on the same cores, and what they answer."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from . import workloads
from .workloads import Workload

# The allocator of the C library gives large temporaries back to the system at once, and the pages of the next ones
# are faulted in again. With these settings it keeps them: some libraries are up to twice as fast.
KEEP_PAGES = {
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": str(2**34),
    "MALLOC_TOP_PAD_": str(2**26),
    "MALLOC_ARENA_MAX": "1",
}
ALLOCATORS = {"default": {}, "pages kept": KEEP_PAGES}

# How each library is kept from newer instructions than those asked for.
ISA_LIMITS = {
    "avx2": {
        "HESSE_ISA": "avx2",
        "XLA_FLAGS": "--xla_cpu_max_isa=AVX2",
        "ATEN_CPU_CAPABILITY": "avx2",
        "ONEDNN_MAX_CPU_ISA": "AVX2",
        "MKL_ENABLE_INSTRUCTIONS": "AVX2",
        "OPENBLAS_CORETYPE": "Haswell",
    },
    "avx512": {"HESSE_ISA": "avx512"},
    "baseline": {
        "HESSE_ISA": "baseline",
        "XLA_FLAGS": "--xla_cpu_max_isa=SSE4_2",
        "ATEN_CPU_CAPABILITY": "default",
        "ONEDNN_MAX_CPU_ISA": "SSE41",
        "MKL_ENABLE_INSTRUCTIONS": "SSE4_2",
        "OPENBLAS_CORETYPE": "Nehalem",
    },
}


class WorkerFailed(RuntimeError):
    """A process ended instead of answering."""


class Disagreement(RuntimeError):
    """Libraries that should do the same work have different losses."""


@dataclass(frozen=True)
class Settings:
    """What holds for all processes of a run."""

    log_folder: Path
    peers_python: str | None
    cpus: tuple[int, ...]
    isa: str | None = None
    rounds: int = 7
    slice_seconds: float = 0.3
    least: int = 3  # steps in a turn, however long they take
    warm: int = 3
    quick: bool = False

    def python(self, library: str) -> str:
        if library == "hesse":
            return sys.executable
        assert self.peers_python is not None
        return self.peers_python


def environment(settings: Settings, threads: int, allocator: str) -> dict[str, str]:
    """The variables of a process of some library with so many threads."""
    env = {
        k: v for k, v in os.environ.items() if k not in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE", "HESSE_ISA")
    }
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        env[name] = str(threads)
    limits = dict(ISA_LIMITS[settings.isa]) if settings.isa else {}
    flags = [limits.pop("XLA_FLAGS", "")]
    if threads == 1:
        flags += ["--xla_cpu_multi_thread_eigen=false", "intra_op_parallelism_threads=1"]
    env |= limits | {"XLA_FLAGS": " ".join(flags).strip(), "JAX_PLATFORMS": "cpu", "DDE_BACKEND": "pytorch"}
    env["PYTHONPATH"] = str(Path(__file__).resolve().parents[1])
    return env | ALLOCATORS[allocator]


class Process:
    """A `worker` and the pipes to it."""

    def __init__(self, library: str, settings: Settings, threads: int, allocator: str) -> None:
        self.library = library
        settings.log_folder.mkdir(parents=True, exist_ok=True)
        self._log = settings.log_folder / f"{library}-{os.getpid()}-{id(self):x}.log"
        cpus = ",".join(map(str, settings.cpus[:threads]))
        with open(self._log, "wb") as log:
            self._process = subprocess.Popen(
                [settings.python(library), "-m", f"{__package__}.worker", library, cpus],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env=environment(settings, threads, allocator),
            )

    def ask(self, do: str, **arguments: Any) -> Any:
        """One request and its reply."""
        assert self._process.stdin and self._process.stdout
        try:
            self._process.stdin.write(json.dumps({"do": do, **arguments}) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            self._process.wait()
            raise WorkerFailed(self._last_words() or f"ended with code {self._process.returncode}")
        return json.loads(line)

    def _last_words(self) -> str:
        """The line of the log that names an exception, or else the last one."""
        lines = self._log.read_text(errors="replace").strip().splitlines()
        named = [line for line in lines if re.match(r"[\w.]*(Error|Exception|Exit)\b", line)]
        return (named or lines or [""])[-1]

    def close(self) -> None:
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe:
                with contextlib.suppress(BrokenPipeError):  # of a process that was killed
                    pipe.close()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.returncode == 0:
            self._log.unlink(missing_ok=True)

    def __enter__(self) -> Process:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@dataclass
class Timing:
    """What one process found."""

    library: str
    form: str
    allocator: str
    times: list[float] = field(default_factory=list)
    cpu_s: list[float] = field(default_factory=list)  # per step, one entry a round
    cpu_per_wall: list[float] = field(default_factory=list)
    first_s: float = 0.0
    loss: float = 0.0
    loss_later: float = 0.0
    memory_mb: float | None = None  # the peak less what the process had before the first step
    failure: str | None = None
    error: float | None = None  # of the result, where the case knows a better one

    @property
    def label(self) -> str:
        kept = "" if self.allocator == "default" else ", pages kept"
        return f"{workloads.NAMES[self.library]} ({self.form}{kept})"


SPIN = """
import os, time
if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, {%d})
begin, cpu = time.perf_counter(), time.process_time()
while time.perf_counter() - begin < 0.3:
    pass
print((time.process_time() - cpu) / (time.perf_counter() - begin))
"""


def availability(cpus: tuple[int, ...], tries: int = 6) -> float:
    """The share of the busiest of these cores that is left for us: 1 on a quiet machine.

    The best of some tries: the system takes a second to put away the gigabytes that a process has freed.
    """
    best = 0.0
    for _ in range(tries):
        spinning = [
            subprocess.Popen([sys.executable, "-c", SPIN % cpu], stdout=subprocess.PIPE, text=True)
            for cpu in cpus
        ]
        best = max(best, min(float(process.communicate()[0]) for process in spinning))
        if best > 0.95:
            break
    return best


class Together(NamedTuple):
    """The timings of a workload, and the least share of the cores that was free around them."""

    timings: list[Timing]
    available: float


# Processes share memory only if so many times what the largest took is left: some take four times as much where they
# keep their pages.
ROOM = 4.0


class Running(NamedTuple):
    """A process that has prepared its case, and its memory before that."""

    timing: Timing
    process: Process
    before_mb: float

    def take_turn(self, settings: Settings) -> None:
        timing = self.timing
        if timing.failure:
            return
        try:
            reply = self.process.ask("run", seconds=settings.slice_seconds, least=settings.least)
        except WorkerFailed as error:  # killed for its memory, perhaps
            timing.failure, timing.times = str(error), []
            return
        timing.times += reply["times"]
        timing.cpu_s.append(reply["cpu_s"])
        timing.cpu_per_wall.append(reply["cpu_per_wall"])
        if reply["memory_peak_mb"] is not None:
            timing.memory_mb = reply["memory_peak_mb"] - self.before_mb


def begin(timing: Timing, workload: Workload, dtype: str, threads: int, settings: Settings) -> Running | None:
    """A process whose case is prepared; None, and the timing says why, where it failed."""
    process = Process(timing.library, settings, threads, timing.allocator)
    case = {"workload": workload.name, "form": timing.form, "dtype": dtype, "threads": threads}
    try:
        reply = process.ask("prepare", case=case, warm=settings.warm)
    except BaseException as error:
        process.close()
        if not isinstance(error, WorkerFailed):
            raise
        timing.failure = str(error)
        return None
    timing.first_s, timing.loss, timing.loss_later, timing.error = (
        reply[k] for k in ("first_s", "loss", "loss_later", "error")
    )
    if reply["memory_before_mb"] is not None and reply["memory_peak_mb"] is not None:
        timing.memory_mb = reply["memory_peak_mb"] - reply["memory_before_mb"]
    return Running(timing, process, reply["memory_before_mb"] or 0.0)


def have_room(running: list[Running]) -> bool:
    """Whether one more process fits into memory beside these."""
    return (
        available_memory_mb() >= ROOM * max((r.timing.memory_mb or 0.0 for r in running), default=0.0) + 500.0
    )


def time_together(
    workload: Workload, dtype: str, threads: int, libraries: list[str], settings: Settings
) -> Together:
    """All forms of a workload, each in a process of its own; the processes run one at a time, in turns.

    Peers that do not fit into memory together follow each other; Hesse takes its turns beside each of them.
    """
    cpus, free = settings.cpus[:threads], []
    wanted = [
        Timing(library, form, allocator)
        for library in libraries
        for form in workloads.forms(workload, library, settings.quick)
        for allocator in ALLOCATORS
    ]
    waiting = [timing for timing in wanted if timing.library != "hesse"]
    ours: list[Running] = []
    here: list[Running] = []
    try:
        for timing in wanted:
            if timing.library == "hesse" and (running := begin(timing, workload, dtype, threads, settings)):
                ours.append(running)
        while ours or waiting:
            while waiting and (not here or have_room(ours + here)):
                if running := begin(waiting.pop(0), workload, dtype, threads, settings):
                    here.append(running)
            check_agreement(workload, dtype, [running.timing for running in ours + here])
            free.append(availability(cpus))
            for k in range(settings.rounds):
                for running in rotated(ours + here, k):
                    running.take_turn(settings)
            free.append(availability(cpus))
            while here:
                here.pop().process.close()
            if not waiting:
                break
    finally:
        for running in ours + here:
            running.process.close()
    return Together(wanted, min(free, default=1.0))


def rotated(entries: list[Any], k: int) -> list[Any]:
    """The same entries beginning with the k-th: nobody is always first."""
    k %= max(len(entries), 1)
    return entries[k:] + entries[:k]


def check_agreement(workload: Workload, dtype: str, timings: list[Timing]) -> None:
    """Refuses to compare libraries that do not compute the same."""
    if not timings:
        return
    first = timings[0]
    for attribute, tolerance, when in (
        ("loss", workload.tolerance(dtype), "at step 0"),
        ("loss_later", workload.tolerance_later(dtype), "after warming up"),
    ):
        expected = getattr(first, attribute)
        for timing in timings[1:]:
            got = getattr(timing, attribute)
            if not abs(got - expected) <= tolerance * abs(expected):
                raise Disagreement(
                    f"{workload.name} {dtype}: the losses {when} differ: {first.label} {expected!r}, {timing.label} {got!r}"
                )


def available_memory_mb() -> float:
    try:
        with open("/proc/meminfo", encoding="ascii") as file:
            for line in file:
                if line.startswith("MemAvailable:"):
                    return int(line.split()[1]) / 1024
    except OSError:
        pass
    return float("inf")
