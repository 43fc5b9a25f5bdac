"""Examples in docstrings run, generated files are up to date, public names are listed and documented."""

import doctest
import importlib
import inspect
import re
import subprocess
import sys
from pathlib import Path

import array_api_table
import pytest

import hesse as hs

ROOT = Path(__file__).parents[2]
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE | doctest.IGNORE_EXCEPTION_DETAIL
MODULES = [
    "",
    "debug",
    "fft",
    "gnn",
    "io",
    "linalg",
    "nn",
    "nn.init",
    "optim",
    "physics",
    "random",
    "solvers",
    "sparse",
]


def documented_objects():
    for name in MODULES:
        module = importlib.import_module(f"hesse.{name}" if name else "hesse")
        yield module.__name__, module
        for public in module.__all__:
            yield f"{module.__name__}.{public}", getattr(module, public)


def methods():
    """Public methods and properties of the public classes, those of the compiled module too."""
    for name, value in documented_objects():
        if inspect.isclass(value):
            for member, f in vars(value).items():
                if not member.startswith("_") and (callable(f) or inspect.isdatadescriptor(f)):
                    yield f"{name}.{member}", f


def takes_parameters(value):
    """Whether a function or the constructor of a class takes parameters: compiled ones state it in their docstring."""
    if inspect.isclass(value) and (
        issubclass(value, BaseException) or type(value).__name__ == "pybind11_type" or value is hs.Array
    ):
        return False  # not made by calling them
    try:
        signature = inspect.signature(value)
    except (TypeError, ValueError):
        first = (value.__doc__ or "").splitlines()[0]
        return not re.search(r"\(\)|\(self: [\w.]+\)", first)
    if inspect.isclass(value) and str(signature) == "(*args, **kwargs)":
        return False  # no __init__ of its own
    return bool(signature.parameters)


# doctest's own finder does not see compiled functions.
EXAMPLES = [
    pytest.param(n, v, id=n)
    for n, v in [*documented_objects(), *methods()]
    if ">>>" in (getattr(v, "__doc__", None) or "")
]


@pytest.mark.parametrize("name,value", EXAMPLES)
def test_examples(name, value):
    test = doctest.DocTestParser().get_doctest(value.__doc__, {}, name, None, 0)
    report = []
    doctest.DocTestRunner(optionflags=FLAGS).run(test, out=report.append)
    assert not report, "".join(report)


@pytest.mark.parametrize("module", MODULES)
def test_public_names_are_documented(module):
    """Every public function and class says what it takes and shows an example."""
    prefix = f"hesse.{module}." if module else "hesse."
    missing = []
    for name, value in documented_objects():
        if not name.startswith(prefix) or "." in name[len(prefix) :]:
            continue
        if not callable(value) or isinstance(value, hs.DType):
            continue
        doc = inspect.getdoc(value) or ""
        if takes_parameters(value) and "\nParameters\n----------\n" not in doc:
            missing.append(f"{name}: Parameters")
        if "\nExamples\n--------\n" not in doc or ">>>" not in doc:
            missing.append(f"{name}: an example")
    assert not missing, "\n".join(missing)


def test_methods_of_arrays_are_documented():
    for name, f in methods():
        if name.startswith("hesse.Array."):
            doc = f.__doc__ or ""
            assert doc.strip(), f"{name} has no docstring"
            assert not callable(f) or ">>>" in doc, f"{name} has no example"


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


@pytest.mark.parametrize(
    "ours, difference",
    [
        ("(x, /, *, axis=-1, n=1)", None),
        ("(x, axis=-1, n=1)", None),
        ("(x, /, *, axis=0, n=1)", "axis is 0 by default, not -1"),
        ("(x, /, *, axis, n=1)", "axis is required by default, not -1"),
        ("(x, axis=-1, /, *, n=1)", "axis only by position"),
        ("(x, /, *, n=1)", "without axis"),
        ("(*, x, axis=-1, n=1)", "without x"),
        ("(x, y, /, *, axis=-1, n=1)", "y is required"),
    ],
)
def test_the_array_api_table_sees_differences(ours, difference):
    wanted = array_api_table.parse("(x, /, *, axis=-1, n=1)")
    breaks, _ = array_api_table.differences(wanted, array_api_table.parse(ours))
    assert breaks == ([difference] if difference else [])
