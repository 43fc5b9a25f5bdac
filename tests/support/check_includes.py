#!/usr/bin/env python3
"""Checks that the C++ sources include only what their folder may see.

The arrows of dependency are core <- autodiff <- {solvers, gnn} <- {physics, fewshot} <- bindings; physics
may use both solvers and gnn. Headers of third parties stay where they are wrapped. Files of the project are
named from its root, with quotes: #include "core/array.h". Exits with 1 and a line per violation.
"""

from __future__ import annotations

import re
import sys
import tempfile
from pathlib import Path

# What a folder may include besides itself.
MAY_SEE: dict[str, set[str]] = {"core": set()}
MAY_SEE["autodiff"] = {"core"}
MAY_SEE["solvers"] = MAY_SEE["gnn"] = {"core", "autodiff"}
MAY_SEE["physics"] = MAY_SEE["fewshot"] = {"core", "autodiff", "solvers", "gnn"}
MAY_SEE["bindings"] = {"core", "autodiff", "solvers", "gnn", "physics", "fewshot", "hesse.h"}
MAY_SEE["examples"] = MAY_SEE["bindings"] | {"hesse"}
MAY_SEE["tests"] = MAY_SEE["bindings"] | {"hesse"}

# Headers of third parties, and the places that may include them.
WRAPPED: list[tuple[str, tuple[str, ...]]] = [
    (r"(unsupported/)?Eigen/", ("core/cpu/eigen/", "core/cpu/fft.cpp", "tests/")),
    (r"hwy/", ("core/", "tests/")),
    (r"pybind11/|Python\.h", ("bindings/",)),
    (r"hdf5", ("core/io/",)),
    (
        r"(sundials|nvector|sunmatrix|sunlinsol|sunnonlinsol|cvodes?|arkode|idas?|kinsol)/",
        ("solvers/sundials/", "tests/benchmarks/peers/"),
    ),
    (r"(suitesparse/)?klu\.h", ("solvers/klu/",)),
    (r"petsc", ("solvers/petsc/",)),
    (r"mpi\.h", ("solvers/petsc/",)),
    (r"cuda|cublas|cusparse|cusolver|cufft|nvrtc|thrust/|cub/", ("core/cuda/",)),
    (r"gtest/|gmock/|benchmark/", ("tests/",)),
]
SUFFIXES = {".h", ".cpp", ".cu", ".cuh"}
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.MULTILINE)


def violations(root: Path) -> list[str]:
    found = []
    for folder, may_see in MAY_SEE.items():
        for path in sorted((root / folder).rglob("*")):
            if path.suffix not in SUFFIXES or not path.is_file():
                continue
            name = path.relative_to(root).as_posix()
            text = path.read_text(encoding="utf-8")
            for match in INCLUDE.finditer(text):
                where = f"{name}:{text.count(chr(10), 0, match.start(2)) + 1}"
                found += [
                    f"{where}: {message}" for message in _check(root, folder, may_see, name, *match.groups())
                ]
    return found


def _check(root: Path, folder: str, may_see: set[str], name: str, quote: str, header: str) -> list[str]:
    top = header.split("/")[0]
    if top in MAY_SEE or (root / header).is_file():
        messages = []
        if top != folder and top not in may_see:
            messages.append(
                f'{folder}/ may not include "{header}" (it sees {", ".join(sorted(may_see)) or "itself"})'
            )
        if quote == "<":
            messages.append(f'write "{header}", with quotes: it is a file of this project')
        if not (root / header).is_file():
            messages.append(f'"{header}" does not exist')
        return messages
    for pattern, homes in WRAPPED:
        if re.match(pattern, header):
            if name.endswith((".cu", ".cuh")) or name.startswith(homes):
                return []
            return [f"<{header}> may be included only below {', '.join(homes)}"]
    if quote == '"' and top != "hwy":
        return [f'"{header}" is not a path from the root of the project']
    return []


def self_test() -> None:
    cases = {
        "core/a.cpp": ('#include "core/a.h"\n#include <vector>\n', 0),
        "core/a.h": ('#include "autodiff/jvp.h"\n', 1),
        "core/b.cpp": ('#include "a.h"\n', 1),
        "core/c.cpp": ("#include <Eigen/Dense>\n", 1),
        "core/d.cpp": ('#include "core/missing.h"\n', 1),
        "core/e.cpp": ("  #  include <pybind11/numpy.h>\n", 1),
        "core/cpu/eigen/lu.cpp": ("#include <Eigen/Dense>\n", 0),
        "core/cpu/f.cpp": ('#include "hwy/foreach_target.h"\n#include "hwy/highway.h"\n', 0),
        "autodiff/jvp.h": ('#include "core/a.h"\n', 0),
        "gnn/graph.h": ('#include "solvers/ode.h"\n', 1),
        "solvers/ode.h": ('#include "autodiff/jvp.h"\n#include <cvodes/cvodes.h>\n', 1),
        "solvers/sundials/x.cpp": ("#include <cvodes/cvodes.h>\n", 0),
        "physics/pinn.h": ('#include "solvers/ode.h"\n#include "gnn/graph.h"\n', 0),
        "fewshot/maml.h": ('#include "physics/pinn.h"\n', 1),
        "bindings/module.cpp": ("#include <pybind11/pybind11.h>\n#include <core/a.h>\n", 1),
        "tests/core/test_a.cpp": ('#include <gtest/gtest.h>\n\n#include "tests/support/none.h"\n', 1),
    }
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for name, (text, _) in cases.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text, encoding="utf-8")
        found = violations(root)
    for name, (_, expected) in cases.items():
        count = sum(line.startswith(name + ":") for line in found)
        assert count == expected, f"{name}: expected {expected} violations, found {count}: {found}"
    assert any(line.startswith("solvers/ode.h:2:") for line in found), found


if __name__ == "__main__":
    if sys.argv[1:] == ["--self-test"]:
        self_test()
        sys.exit(0)
    problems = violations(Path(sys.argv[1] if len(sys.argv) > 1 else "."))
    print("\n".join(problems) or "every include respects the arrows of dependency")
    sys.exit(1 if problems else 0)
