"""A process that does one piece of work in one library: ``python -m benchmarks.worker LIBRARY CPUS``.

Reads requests and writes replies, one JSON object a line; ends with its input.
"""

from __future__ import annotations

import importlib
import json
import os
import statistics
import sys
import time
from typing import Any

MODULES = {
    "hesse": ".hesse_cases",
    "jax": ".peers.jax_cases",
    "torch": ".peers.torch_cases",
    "deepxde": ".peers.deepxde_cases",
}


def memory(name: str) -> float | None:
    """VmRSS or VmHWM of this process in MB. (The peak in getrusage is inherited from the process that started this one.)"""
    try:
        with open("/proc/self/status", encoding="ascii") as file:
            for line in file:
                if line.startswith(name + ":"):
                    return int(line.split()[1]) / 1024
    except OSError:
        pass
    return None


def forget_peak_memory() -> None:
    """The peak counts from here on, where the system lets us say so."""
    try:
        with open("/proc/self/clear_refs", "w", encoding="ascii") as file:
            file.write("5")
    except OSError:
        pass


def rest(longest_s: float = 20.0) -> None:
    """Until this process's threads do nothing: some still free gigabytes, or spin, when a step has its result."""
    interval_s, idle = 0.02, 0.1
    end = time.perf_counter() + longest_s
    while time.perf_counter() < end:
        cpu, wall = time.process_time(), time.perf_counter()
        time.sleep(interval_s)
        if time.process_time() - cpu < idle * (time.perf_counter() - wall):
            return


class Worker:
    """The state behind the requests: a library and the case prepared last."""

    def __init__(self, library: str) -> None:
        begin = time.perf_counter()
        self._module = importlib.import_module(MODULES[library], __package__)
        self._import_s = time.perf_counter() - begin
        self._case: Any = None
        self._batch = 1

    def prepare(self, case: dict[str, Any], warm: int) -> dict[str, Any]:
        """Builds a case, does its first step and `warm` more, and chooses how many steps are timed at a time."""
        self._case = self._module.build(**case)
        before = memory("VmRSS")
        forget_peak_memory()
        begin = time.perf_counter()
        loss = float(self._case.step())
        single = first_s = time.perf_counter() - begin
        later = loss
        for _ in range(warm):
            begin = time.perf_counter()
            later = float(self._case.step())
            single = time.perf_counter() - begin
        # The clock costs 0.1 us: what is shorter than 100 us is timed several times at a time.
        if single < 1e-2:
            single = min(self._case.samples(0.0, 3, 1))
        self._batch = 1 if single > 1e-4 else min(1000, int(2e-4 / single) + 1)
        return {
            "first_s": first_s,
            "loss": loss,
            "loss_later": later,
            "error": self._case.error() if self._case.error else None,
            "memory_before_mb": before,
            "memory_peak_mb": memory("VmHWM"),
            "import_s": self._import_s,
            "batch": self._batch,
            "versions": self._module.VERSIONS,
        }

    def run(self, seconds: float, least: int) -> dict[str, Any]:
        """Times of the case for about so long."""
        self._case.samples(0.0, 1, 1)  # others have had the caches since the last time
        cpu, wall = time.process_time(), time.perf_counter()
        times = self._case.samples(seconds, least, self._batch)
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        cpu_s = cpu / wall * statistics.fmean(times)  # wall may hold more than the steps
        return {"times": times, "cpu_s": cpu_s, "cpu_per_wall": cpu / wall, "memory_peak_mb": memory("VmHWM")}

    def preparation(self, times: int) -> dict[str, Any]:
        """Seconds from a function to its program: a first step less a usual one."""
        found = []
        for _ in range(times):
            self._case.forget()
            begin = time.perf_counter()
            self._case.step()
            found.append(time.perf_counter() - begin)
        usual = statistics.median(self._case.samples(0.0, 5, 1))
        return {"seconds": [max(t - usual, 0.0) for t in found]}

    def call(self, function: str, **arguments: Any) -> Any:
        """A function of the library's module by name, for what is no repeated step."""
        return getattr(self._module, function)(**arguments)


def main() -> None:
    library, cpus = sys.argv[1], sys.argv[2]
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {int(c) for c in cpus.split(",")})
    # Libraries print: what they write goes to the log, and the replies to what was the standard output.
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    worker = Worker(library)
    for line in sys.stdin:
        request = json.loads(line)
        reply = getattr(worker, request.pop("do"))(**request)
        rest()  # or the next one's turn would be disturbed
        replies.write(json.dumps(reply) + "\n")
        replies.flush()


if __name__ == "__main__":
    main()
