"""No input crashes the interpreter: every public function with random shapes, dtypes and values, in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

WORKER = Path(__file__).resolve().parents[1] / "support" / "fuzz_worker.py"


def fuzz(group, seed, count, tmp_path):
    log = tmp_path / "call"
    result = subprocess.run(
        [sys.executable, "-X", "faulthandler", str(WORKER), group, str(seed), str(count), str(log)],
        capture_output=True, text=True, timeout=1200, check=False,
        cwd=tmp_path,  # some calls write files
    )  # fmt: skip
    lines = result.stdout.strip().splitlines()
    if result.returncode != 0 or not lines or lines[-1] != f"done {count}":
        last = log.read_text(errors="replace") if log.exists() else "?"
        pytest.fail(
            f"the interpreter ended with {result.returncode} in\n  {last}\n{result.stderr[-1500:]}",
            pytrace=False,
        )
    unexpected = lines[:-1]
    assert not unexpected, f"{len(unexpected)} calls raised what is not documented:\n" + "\n".join(
        unexpected[:20]
    )


@pytest.mark.parametrize(
    "group,count", [("functions", 6000), ("methods", 3000), ("table", 6000), ("modules", 4000)]
)
def test_random_calls(group, count, tmp_path):
    fuzz(group, 1, count, tmp_path)


@pytest.mark.full
@pytest.mark.parametrize("seed", range(2, 10))
@pytest.mark.parametrize("group", ["functions", "methods", "table", "modules"])
def test_many_random_calls(group, seed, tmp_path):
    fuzz(group, seed, 40_000, tmp_path)
