"""Checks of the op table that fail today, each with what is wrong: they run, and are reported as expected failures.

A line goes when its gap is closed; the coverage table shows these cells as FAIL until then.
"""

KNOWN_GAPS: dict[str, str] = {}
