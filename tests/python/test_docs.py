"""Examples in docstrings run, generated files are up to date, public names are listed and documented."""

import doctest
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import hesse as hs

ROOT = Path(__file__).parents[2]
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE | doctest.IGNORE_EXCEPTION_DETAIL
MODULES = ["", "debug", "fft", "io", "linalg", "nn", "nn.init", "optim", "physics", "random"]


def documented_objects():
    for name in MODULES:
        module = importlib.import_module(f"hesse.{name}" if name else "hesse")
        yield module.__name__, module
        for public in module.__all__:
            yield f"{module.__name__}.{public}", getattr(module, public)


EXAMPLES = [
    pytest.param(n, v, id=n) for n, v in documented_objects() if ">>>" in (getattr(v, "__doc__", None) or "")
]


@pytest.mark.parametrize("name,value", EXAMPLES)
def test_examples(name, value):
    test = doctest.DocTestParser().get_doctest(value.__doc__, {}, name, None, 0)
    report = []
    doctest.DocTestRunner(optionflags=FLAGS).run(test, out=report.append)
    assert not report, "".join(report)


def test_public_names_are_documented():
    for name, value in documented_objects():
        if callable(value):
            assert (value.__doc__ or "").strip(), f"{name} has no docstring"


def test_public_names_are_complete():
    assert sorted(hs.__all__) == sorted(set(hs.__all__))
    hidden = {"annotations", "importlib", "Any", "TYPE_CHECKING"}
    for name in vars(hs):
        if not name.startswith("_") and name not in hidden and not hasattr(vars(hs)[name], "__path__"):
            module = f"hesse.{name}"
            assert name in hs.__all__ or module in sys.modules, name
    for name in hs.__all__:
        assert hasattr(hs, name), name
    assert {"grad", "linalg", "seed"} <= set(dir(hs))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        hs.nothing  # noqa: B018


@pytest.mark.parametrize("script", ["make_stubs.py", "array_api_table.py"])
def test_generated_files_are_up_to_date(script):
    done = subprocess.run(
        [sys.executable, ROOT / "tests" / "support" / script, "--check"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
