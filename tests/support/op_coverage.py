"""What of the op table was checked, op by op: the table printed after the suite and written to docs/op-coverage.md."""

from __future__ import annotations

import pytest

COLUMNS = ("values", "forward", "reverse", "second", "taylor", "vmap", "compiled", "f32", "f64", "refusals")
KEY = pytest.StashKey()


class Coverage:
    def __init__(self):
        self.seen: dict[str, dict[str, str]] = {}

    def empty(self) -> bool:
        return not self.seen

    def record(self, op: str, column: str, outcome: str):
        """A column is good when every test of it passed; 'skipped' says that it does not apply to this op."""
        row = self.seen.setdefault(op.split("#")[0], {})
        rank = {"failed": 3, "passed": 2, "skipped": 1}
        if rank.get(outcome, 0) > rank.get(row.get(column, ""), 0):
            row[column] = outcome

    def mark(self, op: str, column: str) -> str:
        return {"passed": "yes", "failed": "FAIL", "skipped": "-"}.get(self.seen[op].get(column, ""), "")

    def lines(self) -> list[str]:
        width = max(map(len, self.seen)) + 2
        out = ["op".ljust(width) + "".join(c.rjust(10) for c in COLUMNS)]
        for op in sorted(self.seen):
            out.append(op.ljust(width) + "".join(self.mark(op, c).rjust(10) for c in COLUMNS))
        total = [sum(row.get(c) == "passed" for row in self.seen.values()) for c in COLUMNS]
        failed = [sum(row.get(c) == "failed" for row in self.seen.values()) for c in COLUMNS]
        out.append(f"{len(self.seen)} ops: pass".ljust(width) + "".join(str(t).rjust(10) for t in total))
        out.append("fail".ljust(width) + "".join(str(t).rjust(10) for t in failed))
        return out

    def markdown(self) -> str:
        head = [
            "# What the op table checks",
            "",
            "Written by `pytest tests/python/test_op_suite.py --write-coverage`. `yes`: every check of this kind passes; `-`: does not",
            "apply (an integer result has no derivative); `FAIL`: a gap.",
            "",
            "| op | " + " | ".join(COLUMNS) + " |",
            "|---" * (len(COLUMNS) + 1) + "|",
        ]
        rows = [
            f"| `{op}` | " + " | ".join(self.mark(op, c) for c in COLUMNS) + " |" for op in sorted(self.seen)
        ]
        return "\n".join(head + rows) + "\n"
