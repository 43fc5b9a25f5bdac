"""What the figures were measured on."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

from .driver import Settings

PROBE = """
import importlib.metadata as metadata, json, platform
found = {"python": platform.python_version()}
for name in ("numpy", "jax", "jaxlib", "optax", "diffrax", "torch", "deepxde"):
    try:
        found[name] = metadata.version(name)
    except metadata.PackageNotFoundError:
        pass
print(json.dumps(found))
"""


def cpu_flags_and_model() -> tuple[set[str], str]:
    flags, model = set(), platform.processor() or platform.machine()
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "flags" and not flags:
                flags = set(value.split())
            elif name.strip() == "model name":
                model = value.strip()
    except OSError:
        pass
    return flags, model


def supported_isas() -> list[str]:
    """The instruction sets of Hesse's kernels that this processor has, as core/cpu/isa.cpp chooses among them."""
    flags, _ = cpu_flags_and_model()
    found = ["baseline"]
    if {"avx2", "fma"} <= flags:
        found.append("avx2")
        if {"avx512f", "avx512dq", "avx512bw", "avx512vl"} <= flags:
            found.append("avx512")
    return found


def isa_in_use(settings: Settings) -> str:
    return settings.isa or supported_isas()[-1]


def caches() -> dict[str, str]:
    found = {}
    for folder in sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")):
        try:
            level, kind, size = ((folder / name).read_text().strip() for name in ("level", "type", "size"))
        except OSError:
            continue
        found[f"L{level} {kind.lower()}"] = size
    return found


def versions_of(python: str | None) -> dict[str, str]:
    """What an interpreter has installed of the libraries; nothing where there is no interpreter."""
    if python is None:
        return {}
    try:
        done = subprocess.run([python, "-c", PROBE], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return {}
    return json.loads(done.stdout)


def describe(settings: Settings) -> dict[str, Any]:
    """Processor, memory and versions; no names of machines or people."""
    _, model = cpu_flags_and_model()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "processor": model,
        "architecture": platform.machine(),
        "cores": os.cpu_count(),
        "pinned_to": list(settings.cpus),
        "isas": supported_isas(),
        "HESSE_ISA": os.environ.get("HESSE_ISA"),
        "caches": caches(),
        "memory_gb": round(memory, 1),
        "system": f"{platform.system()} {platform.release()}",
        "load_before": [round(x, 2) for x in os.getloadavg()],
        "python": platform.python_version(),
        "peers": versions_of(settings.peers_python),
    }
