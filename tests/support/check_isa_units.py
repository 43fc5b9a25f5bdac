#!/usr/bin/env python3
"""Checks that units compiled for one instruction set leave no merged copies behind.

usage: check_isa_units.py NM OBJECT...

The linker keeps one copy of a template that several objects instantiate. Were that copy compiled for AVX-512,
the library would stop on machines without it. So a weak symbol of such a unit must be in a namespace of its
own instruction set.
"""

from __future__ import annotations

import re
import subprocess
import sys

OWN = re.compile(r"Eigen_\w+|avx2|avx512|baseline")
# Emitted without code of their own: type information and names of standard exceptions.
DATA = re.compile(r"^(typeinfo|vtable|typeinfo name) for |^DW\.ref\.")


def shared_symbols(nm: str, path: str) -> list[str]:
    out = subprocess.run(
        [nm, "--demangle", "--defined-only", path], check=True, capture_output=True, text=True
    ).stdout
    found = []
    for line in out.splitlines():
        match = re.match(r"^\s*[0-9a-f]*\s+([WVu])\s+(.*)$", line)
        if match and not OWN.search(match.group(2)) and not DATA.search(match.group(2)):
            found.append(match.group(2))
    return found


if __name__ == "__main__":
    bad = [(path, name) for path in sys.argv[2:] for name in shared_symbols(sys.argv[1], path)]
    for path, name in bad:
        print(f"{path}: the linker may use this copy on a machine that cannot run it: {name}")
    if not bad:
        print(f"{len(sys.argv) - 2} objects, no shared symbols")
    sys.exit(1 if bad else 0)
