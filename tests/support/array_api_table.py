"""Writes docs/array-api.md: what of the Python array API standard 2024.12 the package has.

python tests/support/array_api_table.py [--check]     needs hesse on the path; --check only compares.
"""

import ast
import dataclasses
import importlib
import inspect
import re
import sys
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "array-api.md"

# The signatures of the standard, typed from its documentation.
STANDARD = {
    "Creation functions": """
        arange(start, /, stop=None, step=1, *, dtype=None, device=None)
        asarray(obj, /, *, dtype=None, device=None, copy=None)
        empty(shape, *, dtype=None, device=None)
        empty_like(x, /, *, dtype=None, device=None)
        eye(n_rows, n_cols=None, /, *, k=0, dtype=None, device=None)
        from_dlpack(x, /, *, device=None, copy=None)
        full(shape, fill_value, *, dtype=None, device=None)
        full_like(x, /, fill_value, *, dtype=None, device=None)
        linspace(start, stop, /, num, *, dtype=None, device=None, endpoint=True)
        meshgrid(*arrays, indexing='xy')
        ones(shape, *, dtype=None, device=None)
        ones_like(x, /, *, dtype=None, device=None)
        tril(x, /, *, k=0)
        triu(x, /, *, k=0)
        zeros(shape, *, dtype=None, device=None)
        zeros_like(x, /, *, dtype=None, device=None)""",
    "Data type functions": """
        astype(x, dtype, /, *, copy=True, device=None)
        can_cast(from_, to, /)
        finfo(type, /)
        iinfo(type, /)
        isdtype(dtype, kind)
        result_type(*arrays_and_dtypes)""",
    "Data types": """
        bool int8 int16 int32 int64 uint8 uint16 uint32 uint64 float32 float64 complex64 complex128""",
    "Constants": "e inf nan newaxis pi",
    "Elementwise functions": """
        abs(x, /) acos(x, /) acosh(x, /) add(x1, x2, /) asin(x, /) asinh(x, /) atan(x, /) atan2(x1, x2, /)
        atanh(x, /) bitwise_and(x1, x2, /) bitwise_left_shift(x1, x2, /) bitwise_invert(x, /)
        bitwise_or(x1, x2, /) bitwise_right_shift(x1, x2, /) bitwise_xor(x1, x2, /) ceil(x, /)
        clip(x, /, min=None, max=None) conj(x, /) copysign(x1, x2, /) cos(x, /) cosh(x, /) divide(x1, x2, /)
        equal(x1, x2, /) exp(x, /) expm1(x, /) floor(x, /) floor_divide(x1, x2, /) greater(x1, x2, /)
        greater_equal(x1, x2, /) hypot(x1, x2, /) imag(x, /) isfinite(x, /) isinf(x, /) isnan(x, /)
        less(x1, x2, /) less_equal(x1, x2, /) log(x, /) log1p(x, /) log2(x, /) log10(x, /)
        logaddexp(x1, x2, /) logical_and(x1, x2, /) logical_not(x, /) logical_or(x1, x2, /)
        logical_xor(x1, x2, /) maximum(x1, x2, /) minimum(x1, x2, /) multiply(x1, x2, /) negative(x, /)
        nextafter(x1, x2, /) not_equal(x1, x2, /) positive(x, /) pow(x1, x2, /) real(x, /) reciprocal(x, /)
        remainder(x1, x2, /) round(x, /) sign(x, /) signbit(x, /) sin(x, /) sinh(x, /) square(x, /)
        sqrt(x, /) subtract(x1, x2, /) tan(x, /) tanh(x, /) trunc(x, /)""",
    "Indexing functions": """
        take(x, indices, /, *, axis=None)
        take_along_axis(x, indices, /, *, axis=-1)""",
    "Inspection": "__array_namespace_info__()",
    "Linear algebra functions": """
        matmul(x1, x2, /) matrix_transpose(x, /) tensordot(x1, x2, /, *, axes=2)
        vecdot(x1, x2, /, *, axis=-1)""",
    "Manipulation functions": """
        broadcast_arrays(*arrays)
        broadcast_to(x, /, shape)
        concat(arrays, /, *, axis=0)
        expand_dims(x, /, *, axis=0)
        flip(x, /, *, axis=None)
        moveaxis(x, source, destination, /)
        permute_dims(x, /, axes)
        repeat(x, repeats, /, *, axis=None)
        reshape(x, /, shape, *, copy=None)
        roll(x, /, shift, *, axis=None)
        squeeze(x, /, axis)
        stack(arrays, /, *, axis=0)
        tile(x, repetitions, /)
        unstack(x, /, *, axis=0)""",
    "Searching functions": """
        argmax(x, /, *, axis=None, keepdims=False)
        argmin(x, /, *, axis=None, keepdims=False)
        count_nonzero(x, /, *, axis=None, keepdims=False)
        nonzero(x, /)
        searchsorted(x1, x2, /, *, side='left', sorter=None)
        where(condition, x1, x2, /)""",
    "Set functions": "unique_all(x, /) unique_counts(x, /) unique_inverse(x, /) unique_values(x, /)",
    "Sorting functions": """
        argsort(x, /, *, axis=-1, descending=False, stable=True)
        sort(x, /, *, axis=-1, descending=False, stable=True)""",
    "Statistical functions": """
        cumulative_prod(x, /, *, axis=None, dtype=None, include_initial=False)
        cumulative_sum(x, /, *, axis=None, dtype=None, include_initial=False)
        max(x, /, *, axis=None, keepdims=False)
        mean(x, /, *, axis=None, keepdims=False)
        min(x, /, *, axis=None, keepdims=False)
        prod(x, /, *, axis=None, dtype=None, keepdims=False)
        std(x, /, *, axis=None, correction=0.0, keepdims=False)
        sum(x, /, *, axis=None, dtype=None, keepdims=False)
        var(x, /, *, axis=None, correction=0.0, keepdims=False)""",
    "Utility functions": """
        all(x, /, *, axis=None, keepdims=False)
        any(x, /, *, axis=None, keepdims=False)
        diff(x, /, *, axis=-1, n=1, prepend=None, append=None)""",
    "Extension linalg": """
        linalg.cholesky(x, /, *, upper=False)
        linalg.cross(x1, x2, /, *, axis=-1)
        linalg.det(x, /)
        linalg.diagonal(x, /, *, offset=0)
        linalg.eigh(x, /)
        linalg.eigvalsh(x, /)
        linalg.inv(x, /)
        linalg.matmul(x1, x2, /)
        linalg.matrix_norm(x, /, *, keepdims=False, ord='fro')
        linalg.matrix_power(x, n, /)
        linalg.matrix_rank(x, /, *, rtol=None)
        linalg.matrix_transpose(x, /)
        linalg.outer(x1, x2, /)
        linalg.pinv(x, /, *, rtol=None)
        linalg.qr(x, /, *, mode='reduced')
        linalg.slogdet(x, /)
        linalg.solve(x1, x2, /)
        linalg.svd(x, /, *, full_matrices=True)
        linalg.svdvals(x, /)
        linalg.tensordot(x1, x2, /, *, axes=2)
        linalg.trace(x, /, *, offset=0, dtype=None)
        linalg.vecdot(x1, x2, /, *, axis=-1)
        linalg.vector_norm(x, /, *, axis=None, keepdims=False, ord=2)""",
    "Extension fft": """
        fft.fft(x, /, *, n=None, axis=-1, norm='backward')
        fft.ifft(x, /, *, n=None, axis=-1, norm='backward')
        fft.fftn(x, /, *, s=None, axes=None, norm='backward')
        fft.ifftn(x, /, *, s=None, axes=None, norm='backward')
        fft.rfft(x, /, *, n=None, axis=-1, norm='backward')
        fft.irfft(x, /, *, n=None, axis=-1, norm='backward')
        fft.rfftn(x, /, *, s=None, axes=None, norm='backward')
        fft.irfftn(x, /, *, s=None, axes=None, norm='backward')
        fft.hfft(x, /, *, n=None, axis=-1, norm='backward')
        fft.ihfft(x, /, *, n=None, axis=-1, norm='backward')
        fft.fftfreq(n, /, *, d=1.0, dtype=None, device=None)
        fft.rfftfreq(n, /, *, d=1.0, dtype=None, device=None)
        fft.fftshift(x, /, *, axes=None)
        fft.ifftshift(x, /, *, axes=None)""",
    "Array object": """
        Array.dtype Array.device Array.mT Array.ndim Array.shape Array.size Array.T Array.__abs__
        Array.__add__ Array.__and__ Array.__array_namespace__(self, /, *, api_version=None) Array.__bool__
        Array.__complex__
        Array.__dlpack__(self, /, *, stream=None, max_version=None, dl_device=None, copy=None)
        Array.__dlpack_device__(self, /) Array.__eq__ Array.__float__ Array.__floordiv__
        Array.__ge__ Array.__getitem__ Array.__gt__ Array.__index__ Array.__int__ Array.__invert__
        Array.__le__ Array.__lshift__ Array.__lt__ Array.__matmul__ Array.__mod__ Array.__mul__
        Array.__ne__ Array.__neg__ Array.__or__ Array.__pos__ Array.__pow__ Array.__rshift__ Array.__sub__
        Array.__truediv__ Array.__xor__ Array.__radd__ Array.__rsub__ Array.__rmul__ Array.__rtruediv__
        Array.__rfloordiv__ Array.__rpow__ Array.__rmod__ Array.__rmatmul__ Array.__rand__ Array.__ror__
        Array.__rxor__ Array.__rlshift__ Array.__rrshift__
        Array.to_device(self, device, /, *, stream=None) Array.__setitem__""",
}
NOTES = {
    "Array.__setitem__": "by design: arrays are immutable; `x.at[i].set(y)` gives a new one",
}


@dataclasses.dataclass(frozen=True)
class Parameter:
    """A parameter: "/" only by position, "*" only by name, "" either way, "..." any number; its default as text."""

    name: str
    kind: str
    position: int | None
    default: str | None


def parse(signature):
    """The parameters in "(x, /, axis=None)"."""
    arguments = ast.parse(f"def f{signature}: ...").body[0].args
    found = []
    positional = [(a, "/") for a in arguments.posonlyargs] + [(a, "") for a in arguments.args]
    defaults = [None] * (len(positional) - len(arguments.defaults)) + arguments.defaults
    for k, ((a, kind), default) in enumerate(zip(positional, defaults, strict=True)):
        found.append(Parameter(a.arg, kind, k, default and ast.unparse(default)))
    if arguments.vararg:
        found.append(Parameter(arguments.vararg.arg, "...", len(positional), None))
    for a, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        found.append(Parameter(a.arg, "*", None, default and ast.unparse(default)))
    return found


def parameters(function):
    """The parameters of a function: compiled ones state them in the first line of their docstring."""
    text = getattr(function, "__text_signature__", None)
    if text:
        return parse(text.replace("$module, ", ""))
    stated = re.match(r"\w+(\(.*\)) -> ", (function.__doc__ or "").split("\n")[0])
    return parse(stated[1] if stated else re.sub(r" -> .*", "", str(inspect.signature(function))))


def differences(wanted, found):
    """What code written for the standard would stumble over, and what is only wider than the standard."""
    breaks, wider = [], []
    by_name = {p.name: p for p in found}
    by_position = {p.position: p for p in found if p.position is not None}
    for p in wanted:
        if p.kind == "...":
            if not any(q.kind == "..." for q in found):
                breaks.append(f"not any number of {p.name}")
            continue
        ours = by_position.get(p.position) if p.kind == "/" else by_name.get(p.name)
        if ours is None:
            breaks.append(f"without {p.name}")
            continue
        if p.kind == "*" and ours.kind == "/":
            breaks.append(f"{p.name} only by position")
        elif p.kind == "" and (ours.kind != "" or ours.position != p.position):
            breaks.append(f"{p.name} not both by position and by name")
        elif p.kind == "/" and ours.kind == "*":
            breaks.append(f"{p.name} only by name")
        elif p.kind == "*" and ours.kind == "":
            wider.append(f"{p.name} also by position")
        if p.default is not None and value(ours.default) != value(p.default):
            breaks.append(f"{p.name} is {ours.default or 'required'} by default, not {p.default}")
        elif p.default is None and ours.default is not None:
            wider.append(f"{p.name} is {ours.default} by default")
    named = {p.name for p in wanted} | {"self"}
    positions = {p.position for p in wanted if p.position is not None}
    for q in found:
        if q.kind != "..." and q.default is None and q.name not in named and q.position not in positions:
            breaks.append(f"{q.name} is required")
    return breaks, wider


def value(default):
    """A default for comparison: 2 and 2.0 are equal."""
    return None if default is None else ast.literal_eval(default)


def look_up(hesse, name):
    found = hesse
    for part in name.split("."):
        if found is hesse and part in ("linalg", "fft"):
            found = importlib.import_module(f"hesse.{part}")
        else:
            found = getattr(found, part, None)
    return found


def page():
    import hesse

    lines = [
        "# The Python array API standard 2024.12 in Hesse",
        "",
        "Written by `tests/support/array_api_table.py`; a test compares it with the package. Compared are names, parameters, which of",
        "them are taken by position or by name only, and defaults.",
        "",
        "| section | names | present | missing or different |",
        "|---|---|---|---|",
    ]
    total = present = 0
    all_wider = []
    for section, text in STANDARD.items():
        entries = re.findall(r"([\w.]+)(\([^)]*\))?", text)
        missing = []
        for name, signature in entries:
            found = look_up(hesse, name)
            if name == "Array.__setitem__" or (found is None and name != "newaxis"):
                missing.append(name)
            elif signature:
                breaks, wider = differences(parse(signature), parameters(found))
                if breaks:
                    missing.append(f"{name} ({', '.join(breaks)})")
                all_wider += [f"`{name}`: {w}" for w in wider]
        total += len(entries)
        present += len(entries) - len(missing)
        shown = "; ".join(f"`{m}`" + (f": {NOTES[m]}" if m in NOTES else "") for m in missing)
        notes = [f"`{n}`: {NOTES[n]}" for n, _ in entries if n in NOTES and n not in missing]
        shown = "; ".join([s for s in [shown, *notes] if s])
        lines.append(f"| {section} | {len(entries)} | {len(entries) - len(missing)} | {shown} |")
    lines += ["", f"{present} of {total} names are present with all their parameters.", ""]
    lines += [
        "Wider than the standard, so that code which uses it does not carry over to other libraries:",
        "",
    ]
    lines += [*(f"- {w}" for w in all_wider), ""]
    return "\n".join(lines)


if __name__ == "__main__":
    text = page()
    if "--check" in sys.argv:
        if not PAGE.exists() or PAGE.read_text() != text:
            sys.exit(f"{PAGE} is out of date: run python {Path(__file__).name}")
    else:
        PAGE.write_text(text)
        print(next(line for line in text.splitlines() if " of " in line and line[0].isdigit()))
