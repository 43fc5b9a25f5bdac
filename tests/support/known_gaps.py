"""Checks of the op table that fail today, each with what is wrong: they run, and are reported as expected failures.

A line goes when its gap is closed; the coverage table shows these cells as FAIL until then.
"""

MESSAGES = (
    "it refuses, but the message names another function, hides the value, or the kind of exception is another"
)
EIGH = "eigh of an empty matrix under a derivative takes the maximum of nothing"
ACCEPTS = "it accepts what it should refuse, or is refused by another kind of exception"
FUZZ = (
    "a few wrappers let an AttributeError or RuntimeError through where TypeError or ValueError is documented"
)

KNOWN_GAPS = {
    "test_forward[linalg.eigh-f32]": EIGH,
    "test_forward[linalg.eigh-f64]": EIGH,
    "test_reverse[linalg.eigh-f32]": EIGH,
    "test_reverse[linalg.eigh-f64]": EIGH,
    "test_second_order[linalg.eigh]": EIGH,
    "test_second_order[linalg.eigvalsh]": EIGH,
    "test_refusals[pow]": MESSAGES,
    "test_refusals[astype]": MESSAGES,
    "test_refusals[greater]": MESSAGES,
    "test_refusals[greater_equal]": MESSAGES,
    "test_refusals[zeros]": MESSAGES,
    "test_refusals[ones]": MESSAGES,
    "test_refusals[empty]": MESSAGES,
    "test_refusals[full]": MESSAGES,
    "test_refusals[logspace]": MESSAGES,
    "test_refusals[eye]": MESSAGES,
    "test_refusals[tile]": MESSAGES,
    "test_refusals[take]": MESSAGES,
    "test_refusals[gather]": MESSAGES,
    "test_refusals[linalg.lu]": MESSAGES,
    "test_refusals[linalg.matrix_norm]": MESSAGES,
    "test_refusals[random.uniform]": MESSAGES,
    "test_refusals[random.normal]": MESSAGES,
    "test_unsupported_complex_is_refused[astype]": ACCEPTS,
    "test_unsupported_complex_is_refused[astype#inexact]": ACCEPTS,
    "test_unsupported_complex_is_refused[linalg.det#singular]": ACCEPTS,
    "test_unsupported_complex_is_refused[random.categorical]": ACCEPTS,
    "test_random_calls[methods-3000]": FUZZ,
    "test_random_calls[table-6000]": FUZZ,
}
