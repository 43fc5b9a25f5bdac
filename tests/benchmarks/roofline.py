"""What the cores can do: multiply-adds (roofline.c), memory bandwidth, and a product of matrices by NumPy."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from .driver import Settings, environment

FLAGS = {
    None: ["-march=native"],
    "avx512": ["-march=native"],
    "avx2": ["-march=native", "-mno-avx512f"],
    "baseline": [],
}

GEMM = """
import json, time, numpy as np
found = {}
for dtype in ("float32", "float64"):
    n = 1024
    a, b = np.random.default_rng(0).standard_normal((2, n, n)).astype(dtype)  # a @ a.T would cost half
    out, times = np.empty_like(a), []
    for _ in range(8):
        begin = time.perf_counter()
        np.matmul(a, b, out=out)
        times.append(time.perf_counter() - begin)
    found[dtype + "_gemm_gflops"] = 2e-9 * n**3 / sorted(times)[len(times) // 2]
print(json.dumps(found))
"""


def measure(settings: Settings, threads: int) -> dict[str, Any]:
    """Rates of so many cores together. Without a C compiler only that of the product of matrices."""
    result: dict[str, Any] = {"threads": threads, "isa": settings.isa or "native"}
    program = compile_program(settings)
    if program is None:
        result["note"] = "no C compiler: the peak is that of NumPy's matrix product"
    else:
        runs = [
            subprocess.Popen(pinned([str(program)], (cpu,)), stdout=subprocess.PIPE, text=True)
            for cpu in settings.cpus[:threads]
        ]
        answers = [json.loads(run.communicate()[0]) for run in runs]
        result["vector_bytes"] = answers[0].pop("vector_bytes")
        for name in answers[0]:
            if name != "vector_bytes":
                result[name] = sum(answer[name] for answer in answers)
    gemm = subprocess.run(
        pinned([sys.executable, "-c", GEMM], settings.cpus[:threads]),
        env=environment(settings, threads, "default"),
        capture_output=True,
        text=True,
        check=True,
    )
    result |= json.loads(gemm.stdout)
    for dtype in ("float32", "float64"):
        result.setdefault(f"{dtype}_gflops", result[f"{dtype}_gemm_gflops"])
    return result


def compile_program(settings: Settings) -> Path | None:
    compiler = os.environ.get("CC") or shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        return None
    program = settings.log_folder / f"roofline-{settings.isa or 'native'}"
    settings.log_folder.mkdir(parents=True, exist_ok=True)
    source = Path(__file__).with_name("roofline.c")
    flags = ["-O3", "-ffp-contract=fast", *FLAGS[settings.isa]]
    done = subprocess.run([compiler, *flags, str(source), "-o", str(program)], capture_output=True, text=True)
    if done.returncode != 0:
        print(f"roofline.c does not compile here: {done.stderr.strip().splitlines()[-1]}", file=sys.stderr)
        return None
    return program


def pinned(command: list[str], cpus: tuple[int, ...]) -> list[str]:
    """The command on these cores, where the system can do that."""
    if shutil.which("taskset") is None:
        return command
    return ["taskset", "-c", ",".join(map(str, cpus)), *command]
