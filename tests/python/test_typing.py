"""The types of the package, from a user's side."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

import hesse as hs

PROGRAM = Path(__file__).with_name("typing_user.py")


def test_a_users_program_is_strictly_typed(tmp_path):
    pytest.importorskip("mypy")
    config = tmp_path / "mypy.ini"
    config.write_text("[mypy]\n")  # a user's, not that of this repository
    result = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", f"--config-file={config}", f"--cache-dir={tmp_path}", str(PROGRAM)],
        capture_output=True, text=True, cwd=tmp_path, check=False,
        env={**os.environ, "MYPYPATH": str(Path(hs.__file__).parents[1])},
    )  # fmt: skip
    assert result.returncode == 0, result.stdout + result.stderr


def test_a_users_program_runs():
    spec = importlib.util.spec_from_file_location("typing_user", PROGRAM)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.main() > 0.0
