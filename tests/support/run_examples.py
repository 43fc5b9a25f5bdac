"""How maps run their examples."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import hesse as hs


@contextmanager
def run_examples(how: str) -> Iterator[None]:
    """Maps that are run for the first time inside run "on_lanes", "one_by_one", "unrolled" (where they are
    part of a program; else one by one) or "as_costs_say"."""
    ways = hs._hesse._RunExamples
    hs._hesse._set_run_examples(getattr(ways, how))
    try:
        yield
    finally:
        hs._hesse._set_run_examples(ways.as_costs_say)
