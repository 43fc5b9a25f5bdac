"""Linear equations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .. import _hesse
from .._dtypes import isdtype, result_type
from .._hesse import Array, asarray
from .._hesse import solvers as _s
from ..sparse import CSR
from ._equations import Result, arrays_of, count_of, flat_function, text_of

__all__ = ["linear_solve"]


def _map(what: str, a: Any, treedef: Any) -> Callable[..., list[Array]]:
    """A matrix, a sparse matrix or a function of a tree as a function of arrays."""
    if callable(a):
        return flat_function(f"linear_solve: {what}", a, (), treedef, "b")
    matrix = a if isinstance(a, CSR) else asarray(a)
    if isinstance(matrix, Array) and matrix.ndim != 2:
        raise _hesse.ArgumentError(
            f"linear_solve: {what} has shape {matrix.shape}, expected a matrix or a function"
        )
    return lambda *x: [matrix @ x[0]]


def linear_solve(
    a: Any,
    b: Any,
    *,
    method: str = "auto",
    preconditioner: Any = None,
    x0: Any = None,
    rtol: Any = None,
    atol: Any = 0.0,
    max_steps: int | None = None,
    restart: int = 30,
    raise_on_failure: bool = True,
) -> Result:
    """Solves a x = b for a matrix, a sparse matrix or a linear function.

    It can be compiled, mapped and differentiated to any order, forwards and backwards, with respect to `b` and
    everything that `a` is computed from: derivatives are solutions of the same equation and, in reverse mode, of the
    transposed one, whose function is derived from `a`. They do not depend on the steps of the method.

    Parameters
    ----------
    a : array, hesse.sparse.CSR or callable
        A matrix [n, n], or a linear function from trees like `b` to trees like `b`, which is recorded once.
    b : tree
        The right-hand side: for a matrix [n] or [n, k], for a function floating or complex arrays of any shapes.
    method : str
        ``"lu"``, ``"cholesky"`` (for Hermitian, positive definite matrices) make a dense matrix, of a function by n calls.
        ``"cg"`` (Hermitian, positive definite), ``"minres"`` (Hermitian), ``"bicgstab"`` and ``"gmres"`` (any) use products
        alone. ``"klu"`` factors a sparse matrix without making it dense, as does ``"lu"`` of a sparse matrix in builds with KLU
        (its ordering is found once for a pattern). ``"auto"``: ``"lu"`` for an array, ``"klu"`` for a sparse matrix where the
        build has it and no option of the methods with products is given, else ``"gmres"``. Whether `a` has these properties
        is not checked.
    preconditioner : array, hesse.sparse.CSR or callable, optional
        About the inverse of `a`, linear too; for ``"cg"`` and ``"minres"`` Hermitian and positive definite. It has no
        derivative.
    x0 : tree, optional
        Where products begin, by default at zero. It has no derivative.
    rtol, atol : scalar, optional
        These methods are done when the norm of ``b - a x`` is at most ``max(atol, rtol * norm(b))``; ``"minres"`` estimates
        it. `rtol` is 1e-8 by default, 1e-5 in single precision.
    max_steps : int, optional
        Steps before they give up, by default 10 n.
    restart : int
        ``"gmres"``: how many vectors are kept.
    raise_on_failure : bool
        Whether giving up raises. If not, `Result.status` says why; ``x`` is what the method came to (NaN for a singular
        matrix). ``"cholesky"`` raises always.

    Returns
    -------
    Result

    Raises
    ------
    ValueError
        For shapes that do not fit, an unknown method, ``"klu"`` in a build without it, a function that is not linear,
        tolerances below 0.
    TypeError
        For integers where `a` is a function, and arguments of the wrong kind.
    FloatingPointError
        Where the matrix is singular, or the method fails; also by derivatives.

    Notes
    -----
    Hestenes and Stiefel (1952); Paige and Saunders (1975), SIAM J. Numer. Anal. 12; van der Vorst (1992), SIAM J. Sci.
    Stat. Comput. 13; Saad and Schultz (1986), SIAM J. Sci. Stat. Comput. 7; Davis and Palamadai Natarajan (2010), ACM TOMS 37.

    Examples
    --------
    >>> import hesse as hs
    >>> def laplacian(u):
    ...     return 2.0 * u - hs.pad(u[1:], [(0, 1)]) - hs.pad(u[:-1], [(1, 0)])
    >>> hs.solvers.linear_solve(laplacian, hs.ones(4), method="cg").x
    Array([2., 3., 3., 2.], dtype=float64)
    >>> hs.grad(lambda k: hs.sum(hs.solvers.linear_solve(lambda u: k * laplacian(u), hs.ones(4)).x))(2.0)
    Array(-2.5, dtype=float64)
    """
    method = text_of("linear_solve", "method", method)
    is_matrix = isinstance(a, CSR) or not callable(a)
    values, treedef = arrays_of(asarray(b) if is_matrix else b, "linear_solve: b")
    function = matrix = None
    if isinstance(a, CSR):
        if values[0].ndim not in (1, 2) or a.shape != (values[0].shape[0],) * 2:
            raise _hesse.ArgumentError(
                f"linear_solve: a has shape {a.shape} and b {values[0].shape}, expected (n, n) and (n,) or (n, k)"
            )
        dtype = result_type(a.data, values[0])
        if not isdtype(dtype, ("real floating", "complex floating")):
            dtype = _hesse.float64
        values = [_hesse.astype(values[0], dtype)]
    elif is_matrix:
        matrix = asarray(a)
    direct = method in ("lu", "klu") or (
        method == "auto" and preconditioner is None and x0 is None and rtol is None and max_steps is None
    )
    if isinstance(a, CSR) and (method == "klu" or (direct and _s.has_klu())):
        if preconditioner is not None:
            raise _hesse.ArgumentError(
                f'linear_solve: method "{method}" takes no preconditioner; use "cg", "minres", "bicgstab" or "gmres"'
            )
        x, status, steps, residual = _s.linear_solve_sparse(
            *a._parts(), values[0], method, bool(raise_on_failure)
        )
        return Result(treedef.unflatten(x), status, {"steps": steps, "residual": residual})
    if isinstance(a, CSR) and method in ("lu", "cholesky"):
        matrix = a.todense()
    elif matrix is None:
        function = _map("a", a, treedef)
    start = None
    if x0 is not None:
        start, structure = arrays_of(asarray(x0) if is_matrix else x0, "linear_solve: x0")
        if structure != treedef:
            raise _hesse.ArgumentError(
                f"linear_solve: x0 has the structure {structure}, expected that of b: {treedef}"
            )
    x, status, steps, residual = _s.linear_solve(
        function,
        matrix,
        values,
        method,
        None if preconditioner is None else _map("preconditioner", preconditioner, treedef),
        None if rtol is None else asarray(rtol),
        asarray(atol),
        start,
        None if max_steps is None else count_of("linear_solve", "max_steps", max_steps),
        count_of("linear_solve", "restart", restart),
        bool(raise_on_failure),
    )
    return Result(treedef.unflatten(x), status, {"steps": steps, "residual": residual})
