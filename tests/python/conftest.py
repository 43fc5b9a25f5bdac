"""Puts tests/support on the path; collects and prints the coverage of the op table."""

from __future__ import annotations

import gc
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "support"))

import op_coverage  # noqa: E402
from known_gaps import KNOWN_GAPS  # noqa: E402
from run_examples import run_examples  # noqa: E402


@pytest.fixture(autouse=True)
def on_lanes():
    """Tests map few examples, which would run one by one: they are there to test tiles."""
    with run_examples("on_lanes"):
        yield


def pytest_addoption(parser):
    parser.addoption(
        "--write-coverage", action="store_true", help="write the op table's coverage to docs/op-coverage.md"
    )


def pytest_configure(config):
    coverage = op_coverage.Coverage()
    config.stash[op_coverage.KEY] = coverage
    config.pluginmanager.register(CoverageRecorder(coverage))


class CoverageRecorder:
    """Collects where results arrive: in the process that prints the summary, however many run the tests."""

    def __init__(self, coverage):
        self._coverage = coverage

    def pytest_runtest_logreport(self, report):
        for name, cell in report.user_properties:
            if name == "op_coverage" and report.when == "call":
                self._coverage.record(*cell, report.outcome)


def pytest_collection_finish():
    """Tests that look for leaks collect garbage thousands of times: not among modules and tests, which stay."""
    gc.collect()
    gc.freeze()


def pytest_collection_modifyitems(items):
    for item in items:
        if item.name in KNOWN_GAPS:
            item.add_marker(pytest.mark.xfail(reason=KNOWN_GAPS[item.name], strict=False))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    if call.when == "call":
        cells = [("op_coverage", list(cell)) for cell in getattr(item, "op_coverage", ())]
        outcome.get_result().user_properties.extend(cells)


def pytest_terminal_summary(terminalreporter, config):
    coverage = config.stash[op_coverage.KEY]
    if coverage.empty():
        return
    terminalreporter.section("op table: coverage")
    for line in coverage.lines():
        terminalreporter.line(line)
    if config.getoption("--write-coverage"):
        path = ROOT / "docs" / "op-coverage.md"
        path.write_text(coverage.markdown())
        terminalreporter.line(f"written to {path.relative_to(ROOT)}")
