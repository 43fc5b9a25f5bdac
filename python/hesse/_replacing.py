"""Files that are there as a whole or not at all."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

from . import _hesse

__all__ = ["replacing"]


@contextlib.contextmanager
def replacing(what: str, path: str | os.PathLike[str]) -> Iterator[str]:
    """The name of a file beside `path`, for `what` to write, which takes its place at the end and else is removed."""
    name = os.fspath(path)
    temporary = f"{name}.{os.getpid()}.tmp"
    try:
        yield temporary
        with open(temporary, "rb+") as written:
            os.fsync(written.fileno())
        os.replace(temporary, name)
    except BaseException as error:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        if isinstance(error, OSError):
            reason = error.strerror or "the folder is missing or cannot be written to"
            raise _hesse.FileError(f"{what}: {name} cannot be written: {reason}") from error
        raise
