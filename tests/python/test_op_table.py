"""The table itself: nothing public is missing, and its references agree with each other. Needs no Hesse but for the names."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import numpy as np
import pytest
from differences import complex_step, richardson
from op_entry import Call
from op_table import TABLE

OPS_H = Path(__file__).resolve().parents[2] / "core" / "ops.h"

# Public names that are no operations on arrays, by what they are.
NOT_OPS = {
    "making, moving and describing arrays": "array asarray from_dlpack astype_like can_cast finfo iinfo isdtype result_type dtype __array_namespace_info__ "
    "promote_types sparse.from_dense sparse.from_scipy sparse.identity sparse.mmread sparse.mmwrite real_dtype complex_dtype broadcast_shapes isscalar ndim shape size",
    "transforms": "grad value_and_grad jvp vjp linearise linearize linear_transpose jacobian jacfwd jacrev sparse_jacobian sparse_hessian hessian hvp partials laplacian "
    "make_graph save_program load_program taylor vmap checkpoint custom_jvp custom_vjp compile explain profile trainable debug_nans",
    "control flow": "map scan while_loop fori_loop cond switch callback",
    "trees": "tree_map tree_flatten tree_unflatten tree_leaves tree_structure",
    "random state": "random.seed random.next_key",
    "settings": "set_default_dtype default_dtype set_num_threads get_num_threads seed set_debug_nans debug_nans_enabled set_printoptions "
    "is_tracked in_trace live_buffers live_bytes",
}
COVERED = {n for e in TABLE for n in (e.name.split("#")[0], *e.also)}


def test_every_op_of_the_header_has_a_row():
    declared = set(
        re.findall(r"^(?:Array|Arrays|LU|SVD|std::pair<Array, Array>) (\w+)\(", OPS_H.read_text(), re.M)
    )
    assert len(declared) > 150
    covered = {c for e in TABLE for c in e.covers()}
    assert not declared - covered, f"in core/ops.h without a row in the table: {sorted(declared - covered)}"


def public_functions():
    import hesse as hs

    skip = {n for names in NOT_OPS.values() for n in names.split()}
    found = []
    for prefix, module in [
        ("", hs),
        ("linalg.", hs.linalg),
        ("fft.", hs.fft),
        ("random.", hs.random),
        ("sparse.", hs.sparse),
    ]:
        names = getattr(module, "__all__", None) or [n for n in dir(module) if not n.startswith("_")]
        for name in names:
            value = getattr(module, name)
            if (
                callable(value)
                and not inspect.isclass(value)
                and not inspect.ismodule(value)
                and prefix + name not in skip
            ):
                if type(value).__name__ in ("dtype", "DType", "DTypeObject"):
                    continue
                found.append(prefix + name)
    return found


def test_every_public_function_has_a_row():
    """A public operation that is not in the table cannot land: add its row, or name here what it is instead."""
    import hesse as hs

    same = {}
    for name in COVERED:
        try:
            f = hs
            for part in name.split("."):
                f = getattr(f, part)
            same[f] = name
        except (AttributeError, TypeError):
            continue
    missing = [n for n in public_functions() if n not in COVERED and resolve(hs, n) not in same]
    assert not missing, f"public functions without a row in tests/support/op_table.py: {missing}"


def resolve(hs, name):
    f = hs
    for part in name.split("."):
        f = getattr(f, part)
    return f


def test_every_row_names_a_public_function():
    import hesse as hs

    missing = []
    for entry in TABLE:
        name = entry.name.split("#")[0]
        if name in ("getitem", "at.set", "at.add", "at.multiply", "at.min", "at.max"):
            continue
        try:
            resolve(hs, name)
        except AttributeError:
            missing.append(name)
    assert not missing, f"rows of functions that the package lacks: {missing}"


@pytest.mark.parametrize(
    "entry", [e for e in TABLE if e.ref is not None and "f" in e.diff], ids=lambda e: e.name
)
def test_references_agree(entry):
    """Complex step and differences with two step lengths give one derivative of the reference."""
    if entry.by != "ref":
        pytest.skip("the reference has another gauge")
    for sample in entry.samples:
        call = Call(entry, sample, "float64")
        if not call.taken or not sample.diff:
            continue

        def f(diff, call=call):
            full = list(call.arrays)
            for i, x in zip(call.taken, diff, strict=True):
                full[i] = x
            return tuple(y for y in map(np.asarray, call.reference(full)) if y.dtype.kind in "fc")

        xs, us = [call.arrays[i] for i in call.taken], call.tangents()
        first = richardson(f, xs, us, entry.step)
        second = richardson(f, xs, us, 0.65 * entry.step)
        for a, b in zip(first, second, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-7, atol=1e-7)
        if entry.analytic:
            for a, b in zip(first, complex_step(f, xs, us), strict=True):
                np.testing.assert_allclose(a, b, rtol=1e-7, atol=1e-7)
