"""Where the time of a computation goes, equation by equation."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from . import _hesse

__all__ = ["Profile", "ProfileRow", "profile"]


class ProfileRow(NamedTuple):
    """What one equation cost, summed over its calls.

    Parameters
    ----------
    name : str
        The operation.
    source : str
        "file:line" of the program that recorded it, or "" where nobody knows.
    calls : int
    seconds : float
        In all calls.
    bytes : int
        Of operands and results; 0 for steps inside maps and blocks.

    Examples
    --------
    >>> import hesse as hs
    >>> hs.ProfileRow("tanh", "train.py:3", 2, 0.5, 1024).calls
    2
    """

    name: str
    source: str
    calls: int
    seconds: float
    bytes: int


class Profile:
    """What `profile` recorded: rows of a table, and a trace for a viewer.

    Examples
    --------
    >>> import hesse as hs
    >>> with hs.profile() as p:
    ...     y = hs.tanh(hs.ones((3,)))
    >>> [row.name for row in p.equations if row.name == "tanh"]
    ['tanh']
    """

    def __init__(self) -> None:
        self._events: list[tuple[str, str, int, int, int, int]] = []
        self._steps: list[tuple[str, str, int, int]] = []
        self.lost = 0  # equations beyond the millionth, which are in no row

    def _set(self, events: list[Any], steps: list[Any], lost: int) -> None:
        self._events, self._steps, self.lost = events, steps, lost

    @property
    def equations(self) -> list[ProfileRow]:
        """Equations by name and line of the program, the most expensive first."""
        rows: dict[tuple[str, str], list[int]] = {}
        for name, source, _, duration, size, _ in self._events:
            row = rows.setdefault((name, source), [0, 0, 0])
            row[0] += 1
            row[1] += duration
            row[2] += size
        table = [ProfileRow(*key, calls, ns * 1e-9, size) for key, (calls, ns, size) in rows.items()]
        return sorted(table, key=lambda r: -r.seconds)

    @property
    def steps(self) -> list[ProfileRow]:
        """What runs on tiles inside maps and blocks, by name and line, the most expensive first."""
        table = [ProfileRow(name, source, calls, ns * 1e-9, 0) for name, source, calls, ns in self._steps]
        return sorted(table, key=lambda r: -r.seconds)

    def table(self, most: int = 20) -> str:
        """The `most` expensive equations and steps, as text."""
        lines = []
        for title, rows in (("equations", self.equations), ("steps inside maps and blocks", self.steps)):
            total = sum(r.seconds for r in rows) or 1.0
            lines.append(f"{title:40} {'calls':>8} {'ms':>10} {'share':>7} {'GB/s':>7}  line")
            for r in rows[:most]:
                rate = f"{r.bytes / r.seconds * 1e-9:7.1f}" if r.bytes and r.seconds > 0 else " " * 7
                share = 100 * r.seconds / total
                lines.append(
                    f"{r.name[:40]:40} {r.calls:8} {1e3 * r.seconds:10.3f} {share:6.1f}% {rate}  {r.source}"
                )
        if self.lost:
            lines.append(f"{self.lost} equations beyond the millionth were not recorded")
        return "\n".join(lines)

    def __str__(self) -> str:
        return self.table()

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes a trace in the format of Chrome's tracing (also read by Perfetto), through a temporary file.

        Parameters
        ----------
        path : str or path
            A JSON file; one event per equation, in microseconds.

        Raises
        ------
        OSError
            If the file cannot be written.

        Examples
        --------
        >>> import hesse as hs, tempfile, pathlib
        >>> with hs.profile() as p:
        ...     y = hs.tanh(hs.ones((3,)))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     p.save(pathlib.Path(folder) / "trace.json")
        """
        events = [
            {
                "name": name,
                "ph": "X",
                "ts": begin * 1e-3,
                "dur": duration * 1e-3,
                "pid": 0,
                "tid": thread,
                "args": {"line": source, "bytes": size},
            }
            for name, source, begin, duration, size, thread in self._events
        ]
        temporary = f"{os.fspath(path)}.part"
        try:
            with open(temporary, "w") as file:
                json.dump({"traceEvents": events, "displayTimeUnit": "ms"}, file)
            os.replace(temporary, path)
        except BaseException:
            if os.path.exists(temporary):
                os.remove(temporary)
            raise


@contextmanager
def profile() -> Iterator[Profile]:
    """Records the time of every equation that runs inside the block, on all threads.

    Equations of compiled functions and eager operations are recorded one by one, what runs inside maps and
    blocks as sums over tiles. An equation that holds others (a loop, a call) contains their time.

    Yields
    ------
    Profile
        Filled when the block ends.

    Raises
    ------
    ValueError
        If a profile is being taken already.

    Examples
    --------
    >>> import hesse as hs
    >>> f = hs.compile(lambda x: hs.sum(hs.vmap(lambda a: hs.tanh(a) ** 2)(x)))
    >>> with hs.profile() as p:
    ...     y = f(hs.linspace(0.0, 1.0, 1000))
    >>> [row.calls for row in p.equations if row.name == "map"]
    [1]
    """
    out = Profile()
    _hesse._profile_start()
    try:
        yield out
    finally:
        out._set(*_hesse._profile_stop())
