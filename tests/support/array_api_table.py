"""Writes docs/array-api.md: what of the Python array API standard 2024.12 the package has.

python tests/support/array_api_table.py [--check]     needs hesse on the path; --check only compares.
"""

import importlib
import inspect
import re
import sys
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "array-api.md"

# name(parameters): as in the standard; defaults are not compared.
STANDARD = {
    "Creation functions": """
        arange(start, stop, step, dtype, device) asarray(obj, dtype, device, copy) empty(shape, dtype,
        device) empty_like(x, dtype, device) eye(n_rows, n_cols, k, dtype, device) from_dlpack(x, device,
        copy) full(shape, fill_value, dtype, device) full_like(x, fill_value, dtype, device)
        linspace(start, stop, num, dtype, device, endpoint) meshgrid(arrays, indexing) ones(shape, dtype,
        device) ones_like(x, dtype, device) tril(x, k) triu(x, k) zeros(shape, dtype, device)
        zeros_like(x, dtype, device)""",
    "Data type functions": """
        astype(x, dtype, copy, device) can_cast(from_, to) finfo(type) iinfo(type) isdtype(dtype, kind)
        result_type(arrays_and_dtypes)""",
    "Data types": """
        bool int8 int16 int32 int64 uint8 uint16 uint32 uint64 float32 float64 complex64 complex128""",
    "Constants": "e inf nan newaxis pi",
    "Elementwise functions": """
        abs(x) acos(x) acosh(x) add(x1, x2) asin(x) asinh(x) atan(x) atan2(x1, x2) atanh(x)
        bitwise_and(x1, x2) bitwise_left_shift(x1, x2) bitwise_invert(x) bitwise_or(x1, x2)
        bitwise_right_shift(x1, x2) bitwise_xor(x1, x2) ceil(x) clip(x, min, max) conj(x) copysign(x1, x2)
        cos(x) cosh(x) divide(x1, x2) equal(x1, x2) exp(x) expm1(x) floor(x) floor_divide(x1, x2)
        greater(x1, x2) greater_equal(x1, x2) hypot(x1, x2) imag(x) isfinite(x) isinf(x) isnan(x) less(x1,
        x2) less_equal(x1, x2) log(x) log1p(x) log2(x) log10(x) logaddexp(x1, x2) logical_and(x1, x2)
        logical_not(x) logical_or(x1, x2) logical_xor(x1, x2) maximum(x1, x2) minimum(x1, x2) multiply(x1,
        x2) negative(x) nextafter(x1, x2) not_equal(x1, x2) positive(x) pow(x1, x2) real(x) reciprocal(x)
        remainder(x1, x2) round(x) sign(x) signbit(x) sin(x) sinh(x) square(x) sqrt(x) subtract(x1, x2)
        tan(x) tanh(x) trunc(x)""",
    "Indexing functions": "take(x, indices, axis) take_along_axis(x, indices, axis)",
    "Inspection": "__array_namespace_info__()",
    "Linear algebra functions": """
        matmul(x1, x2) matrix_transpose(x) tensordot(x1, x2, axes) vecdot(x1, x2, axis)""",
    "Manipulation functions": """
        broadcast_arrays(arrays) broadcast_to(x, shape) concat(arrays, axis) expand_dims(x, axis) flip(x,
        axis) moveaxis(x, source, destination) permute_dims(x, axes) repeat(x, repeats, axis) reshape(x,
        shape, copy) roll(x, shift, axis) squeeze(x, axis) stack(arrays, axis) tile(x, repetitions)
        unstack(x, axis)""",
    "Searching functions": """
        argmax(x, axis, keepdims) argmin(x, axis, keepdims) count_nonzero(x, axis, keepdims) nonzero(x)
        searchsorted(x1, x2, side, sorter) where(condition, x1, x2)""",
    "Set functions": "unique_all(x) unique_counts(x) unique_inverse(x) unique_values(x)",
    "Sorting functions": "argsort(x, axis, descending, stable) sort(x, axis, descending, stable)",
    "Statistical functions": """
        cumulative_prod(x, axis, dtype, include_initial) cumulative_sum(x, axis, dtype, include_initial)
        max(x, axis, keepdims) mean(x, axis, keepdims) min(x, axis, keepdims) prod(x, axis, dtype,
        keepdims) std(x, axis, correction, keepdims) sum(x, axis, dtype, keepdims) var(x, axis,
        correction, keepdims)""",
    "Utility functions": """
        all(x, axis, keepdims) any(x, axis, keepdims) diff(x, axis, n, prepend, append)""",
    "Extension linalg": """
        linalg.cholesky(x, upper) linalg.cross(x1, x2, axis) linalg.det(x) linalg.diagonal(x, offset)
        linalg.eigh(x) linalg.eigvalsh(x) linalg.inv(x) linalg.matmul(x1, x2) linalg.matrix_norm(x,
        keepdims, ord) linalg.matrix_power(x, n) linalg.matrix_rank(x, rtol) linalg.matrix_transpose(x)
        linalg.outer(x1, x2) linalg.pinv(x, rtol) linalg.qr(x, mode) linalg.slogdet(x) linalg.solve(x1,
        x2) linalg.svd(x, full_matrices) linalg.svdvals(x) linalg.tensordot(x1, x2, axes) linalg.trace(x,
        offset, dtype) linalg.vecdot(x1, x2, axis) linalg.vector_norm(x, axis, keepdims, ord)""",
    "Extension fft": """
        fft.fft(x, n, axis, norm) fft.ifft(x, n, axis, norm) fft.fftn(x, s, axes, norm) fft.ifftn(x, s,
        axes, norm) fft.rfft(x, n, axis, norm) fft.irfft(x, n, axis, norm) fft.rfftn(x, s, axes, norm)
        fft.irfftn(x, s, axes, norm) fft.hfft(x, n, axis, norm) fft.ihfft(x, n, axis, norm) fft.fftfreq(n,
        d, dtype, device) fft.rfftfreq(n, d, dtype, device) fft.fftshift(x, axes) fft.ifftshift(x, axes)""",
    "Array object": """
        Array.dtype Array.device Array.mT Array.ndim Array.shape Array.size Array.T Array.__abs__
        Array.__add__ Array.__and__ Array.__array_namespace__ Array.__bool__ Array.__complex__
        Array.__dlpack__ Array.__dlpack_device__ Array.__eq__ Array.__float__ Array.__floordiv__
        Array.__ge__ Array.__getitem__ Array.__gt__ Array.__index__ Array.__int__ Array.__invert__
        Array.__le__ Array.__lshift__ Array.__lt__ Array.__matmul__ Array.__mod__ Array.__mul__
        Array.__ne__ Array.__neg__ Array.__or__ Array.__pos__ Array.__pow__ Array.__rshift__ Array.__sub__
        Array.__truediv__ Array.__xor__ Array.__radd__ Array.__rsub__ Array.__rmul__ Array.__rtruediv__
        Array.__rfloordiv__ Array.__rpow__ Array.__rmod__ Array.__rmatmul__ Array.__rand__ Array.__ror__
        Array.__rxor__ Array.__rlshift__ Array.__rrshift__ Array.to_device Array.__setitem__""",
}
NOTES = {
    "Array.__setitem__": "by design: arrays are immutable; `x.at[i].set(y)` gives a new one",
}


def parameters(function):
    """The names of a function's parameters, from its signature or the first line of its docstring."""
    try:
        return [name for name in inspect.signature(function).parameters if name != "module"]
    except (TypeError, ValueError):
        first = (function.__doc__ or "").split("\n")[0]
        inside = re.search(r"\((.*)\)", first)
        if not inside:
            return []
        text = re.sub(r"\[[^\[\]]*\]", "", re.sub(r"\[[^\[\]]*\]", "", inside.group(1)))
        names = [re.split(r"[:=]", part)[0].strip().lstrip("*") for part in text.split(", ")]
        return ["arrays" if n == "args" else n for n in names if re.fullmatch(r"\w+", n)]


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
        "Written by `tests/support/array_api_table.py`; a test compares it with the package.",
        "",
        "| section | names | present | missing or different |",
        "|---|---|---|---|",
    ]
    total = present = 0
    for section, text in STANDARD.items():
        entries = re.findall(r"([\w.]+)(\([^)]*\))?", text)
        missing = []
        for name, wanted in entries:
            found = look_up(hesse, name)
            if name == "Array.__setitem__" or (found is None and name != "newaxis"):
                missing.append(name)
            elif wanted:
                names = parameters(found)
                absent = [p for p in re.split(r",\s*", wanted.strip("()")) if p and p not in names]
                if absent:
                    missing.append(f"{name} (without {', '.join(absent)})")
        total += len(entries)
        present += len(entries) - len(missing)
        shown = "; ".join(f"`{m}`" + (f": {NOTES[m]}" if m in NOTES else "") for m in missing)
        notes = [f"`{n}`: {NOTES[n]}" for n, _ in entries if n in NOTES and n not in missing]
        shown = "; ".join([s for s in [shown, *notes] if s])
        lines.append(f"| {section} | {len(entries)} | {len(entries) - len(missing)} | {shown} |")
    lines += ["", f"{present} of {total} names are present with all their parameters.", ""]
    return "\n".join(lines)


if __name__ == "__main__":
    text = page()
    if "--check" in sys.argv:
        if not PAGE.exists() or PAGE.read_text() != text:
            sys.exit(f"{PAGE} is out of date: run python {Path(__file__).name}")
    else:
        PAGE.write_text(text)
        print(text.splitlines()[-1])
