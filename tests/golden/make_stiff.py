"""Makes tests/golden/stiff.json: solutions of the stiff problems of tests/support/stiff_problems.py and their derivatives.

    pip install gmpy2 mpmath numpy scipy
    python tests/golden/make_stiff.py [NAME ...]

The method is Radau IIA with 7 stages, of order 13, in extended precision (80 bits), for E5 with 12 stages in 60 digits, with
steps controlled by halving: an independent program of its own. Derivatives with respect to the logarithms of parameters ride
along as imaginary parts (complex step), exact to rounding. Every solution is compared with SciPy's Radau at rtol 1e-12 and with
what the test set for IVP solvers and Hairer and Wanner's book print, derivatives with differences of SciPy's solutions; what
disagrees is not stored.
"""

from __future__ import annotations

import abc
import json
import sys
from pathlib import Path

import gmpy2
import mpmath
import numpy as np
from scipy.integrate import solve_ivp
from scipy.linalg import lu_factor, lu_solve

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
from stiff_problems import GOLDEN, PROBLEMS, Problem

STEP = 1e-40  # of the complex step
mpmath.mp.dps = 60

# Values that were published, for comparison: of the last time, where it is the same.
PUBLISHED = {
    "ROBER": [0.2083340149701255e-7, 0.8333360770334713e-13, 0.9999999791665050],
    "OREGO": [0.1000814870318523e1, 0.1228178521549917e4, 0.1320554942846706e3],
    "HIRES": [0.7371312573325668e-3, 0.1442485726316185e-3, 0.5888729740967575e-4, 0.1175651343283149e-2],
    "VDPOL": [0.1706167732170483e1, -0.8928097010247975],
    "POLLU": [0.5646255480022769e-1, 0.1342484130422339, 0.4139734331099427e-8, 0.5523140207484359e-2],
    # Of four equations, whose invariant (see stiff_problems.py) was lost to rounding: 0.88677e-22, 0.88548e-22 and 0 there.
    "E5": [0, 0.8854814626268838e-22, 0],
}


def radau(s: int) -> np.ndarray:
    """A [s, s], in mpmath's numbers: collocation at the zeros c of d^(s-1)/dx^(s-1) x^(s-1) (x - 1)^s."""
    poly = [mpmath.mpf(1)]
    for root in [0] * (s - 1) + [1] * s:
        poly = [a - root * b for a, b in zip([*poly, 0], [0, *poly], strict=True)]
    for _ in range(s - 1):
        degree = len(poly) - 1
        poly = [a * (degree - i) for i, a in enumerate(poly[:-1])]
    c = sorted(mpmath.re(z) for z in mpmath.polyroots(poly, maxsteps=500, extraprec=500))
    # sum_j A_ij c_j^(k-1) = c_i^k / k
    powers = mpmath.matrix(s, s)
    integrals = mpmath.matrix(s, s)
    for k in range(s):
        for j in range(s):
            powers[k, j] = c[j] ** k
            integrals[k, j] = c[j] ** (k + 1) / (k + 1)
    full = (powers**-1 * integrals).T
    return np.array([[full[i, j] for j in range(s)] for i in range(s)])


class Radau(abc.ABC):
    """A solution with controlled steps, in any numbers. The state y [N, m] has equal values in all columns, and in each the
    tangent by one parameter."""

    def __init__(self, problem: Problem):
        self.problem = problem

    stages: int
    tolerance: float  # of the difference between a step and two of half its length; theirs is some thousand times better
    y: np.ndarray

    @abc.abstractmethod
    def number(self, x):
        """A real number as this class computes with."""

    @abc.abstractmethod
    def values(self, y):
        """The values of a state, or of a difference of states."""

    @abc.abstractmethod
    def tangents(self, y):
        """And the tangents."""

    @abc.abstractmethod
    def floor(self):
        """[N, 1]: below this, errors are absolute."""

    @abc.abstractmethod
    def step(self, t, h, y):
        """One step, or None where the iteration does not converge."""

    def size(self, d, y):
        """Of a difference, in units of y."""
        scales = self.floor() + abs(self.values(y)), self.floor() + abs(self.tangents(y))
        return max(
            float((abs(x) / scale).max())
            for x, scale in zip((self.values(d), self.tangents(d)), scales, strict=True)
        )

    def solve(self):
        t, y, h = self.number(0), self.y, self.number(1e-6 * min(1.0, float(self.problem.times[0])))
        out, steps = [], 0
        for end in map(self.number, self.problem.times):
            while t < end:
                cut = min(h, end - t)
                whole = self.step(t, cut, y)
                middle = None if whole is None else self.step(t, cut / 2, y)
                halves = None if middle is None else self.step(t + cut / 2, cut / 2, middle)
                if halves is None:
                    h = cut / 4
                    continue
                error = self.size(whole - halves, halves)
                factor = 0.8 * (self.tolerance / max(error, 1e-30)) ** (1 / (self.stages + 2))
                if error <= self.tolerance:
                    t, y = (end if cut == end - t else t + cut), halves
                    steps += 1
                    h = max(h, cut * min(4, factor)) if cut < h else cut * min(4, factor)
                else:
                    h = cut * max(0.1, min(0.8, factor))
            out.append(y)
        print(f"  {steps} steps")
        y = np.stack([self.values(y)[:, 0].astype(float) for y in out])
        return y, np.stack([self.tangents(y).astype(float) for y in out])


class Extended(Radau):
    """In 80 bits; one factored matrix of 64 bits for each step, whose errors the iteration mends."""

    stages = 7
    tolerance = 1e-13

    def __init__(self, problem: Problem):
        super().__init__(problem)
        m = len(problem.varied)
        p = np.repeat(problem.p.astype(np.clongdouble)[:, None], m, axis=1)
        for j, i in enumerate(problem.varied):
            p[i, j] += 1j * np.longdouble(STEP) * problem.p[i]
        self.p = p
        self.y = np.repeat(problem.y0.astype(np.clongdouble)[:, None], m, axis=1)
        self.a = np.array([[np.longdouble(mpmath.nstr(x, 40)) for x in row] for row in radau(self.stages)])

    def number(self, x):
        return np.longdouble(x)

    def values(self, y):
        return y.real

    def tangents(self, y):
        return y.imag / np.longdouble(STEP)

    def floor(self):
        return (1e-2 * self.problem.scale.astype(np.longdouble))[:, None]

    def rates(self, t, y):
        return self.problem.rates(np, t, y, self.p)

    def jacobian(self, t, y):
        n = len(y)
        with np.errstate(under="ignore"):
            at = np.repeat(y.real[:, :1].astype(complex), n, axis=1) + 1e-30j * np.eye(n)
            p = np.repeat(self.p.real[:, :1].astype(complex), n, axis=1)
            return self.problem.rates(np, float(t), at, p).imag / 1e-30

    def step(self, t, h, y):
        n, m = y.shape
        j = self.jacobian(t + h / 2, y)
        factors = lu_factor(np.eye(self.stages * n) - float(h) * np.kron(self.a.astype(float), j))
        z = np.zeros((self.stages, n, m), np.clongdouble)
        scale = self.floor() + np.abs(y.real)
        last = np.inf
        for iteration in range(40):
            f = self.rates(t, (y + z).transpose(1, 0, 2)).transpose(1, 0, 2)  # all stages: none depends on t
            r = (h * np.tensordot(self.a, f, 1) - z).reshape(self.stages * n, m)
            if not np.isfinite(r).all():
                return None
            d = lu_solve(factors, r[:, :1].real.astype(float)) + 1j * np.longdouble(STEP) * lu_solve(
                factors, (r.imag / np.longdouble(STEP)).astype(float)
            )
            d = d.reshape(self.stages, n, m)
            z = z + d
            size = max(
                float((np.abs(d.real) / scale).max()),
                float((np.abs(self.tangents(d)) / (scale + np.abs(self.tangents(y)))).max()),
            )
            if size < 1e-17 or (size < 1e-15 and size > 0.5 * last):
                return y + z[-1]
            if iteration > 4 and size > 0.8 * last and size > 1e-13:
                return None
            last = size
        return y + z[-1] if last < 1e-14 else None


class Precise(Radau):
    """In 60 digits, by Newton's iteration as it stands: for E5, whose concentrations and rates are too far apart for the
    other's matrix."""

    stages = 12
    tolerance = 1e-15
    real = staticmethod(np.frompyfunc(lambda z: z.real, 1, 1))
    imag = staticmethod(np.frompyfunc(lambda z: z.imag, 1, 1))
    exact = staticmethod(np.frompyfunc(gmpy2.mpc, 1, 1))

    def __init__(self, problem: Problem):
        super().__init__(problem)
        gmpy2.get_context().precision = 200
        m = len(problem.varied)
        p = np.repeat(self.exact(problem.p)[:, None], m, axis=1)
        for j, i in enumerate(problem.varied):
            p[i, j] *= gmpy2.mpc(1, STEP)
        self.p = p
        self.y = np.repeat(self.exact(problem.y0)[:, None], m, axis=1)
        self.a = np.array([[gmpy2.mpfr(mpmath.nstr(x, 60)) for x in row] for row in radau(self.stages)])

    def number(self, x):
        return gmpy2.mpfr(x)

    def values(self, y):
        return self.real(y)

    def tangents(self, y):
        return self.imag(y) / STEP

    def floor(self):
        return (1e-12 * self.problem.scale)[:, None]

    def jacobian(self, t, y):
        """[N, N] at values y [N]."""
        n = len(y)
        at = np.repeat(self.exact(y)[:, None], n, axis=1)
        at[np.diag_indices(n)] += gmpy2.mpc(0, STEP)
        p = np.repeat(self.exact(self.real(self.p[:, :1])), n, axis=1)
        return self.imag(self.problem.rates(np, t, at, p)) / STEP

    def step(self, t, h, y):
        n, m = y.shape
        z = np.full((self.stages, n, m), gmpy2.mpc(0))
        for _ in range(20):
            f = np.stack([self.problem.rates(np, t, y + stage, self.p) for stage in z])
            r = (h * np.tensordot(self.a, f, 1) - z).reshape(self.stages * n, m)
            matrix = np.full((self.stages, n, self.stages, n), gmpy2.mpfr(0))
            for k in range(self.stages):
                j = self.jacobian(t, self.real(y + z[k])[:, 0])
                matrix[:, :, k] = -h * self.a[:, k, None, None] * j
            matrix = matrix.reshape(self.stages * n, self.stages * n)
            matrix[np.diag_indices(self.stages * n)] += 1
            d = solution(matrix, r).reshape(self.stages, n, m)
            z = z + d
            # Quadratic in the values; tangents are right one iteration after these.
            if self.size(d, y + z) < 1e-25:
                return y + z[-1]
        return None


def solution(a, b):
    """a x = b by Gauss's elimination, of objects."""
    n, both = len(a), np.concatenate([a, b], axis=1)
    for k in range(n):
        pivot = k + int(np.argmax(abs(both[k:, k])))
        both[[k, pivot]] = both[[pivot, k]]
        both[k + 1 :, k + 1 :] -= np.outer(both[k + 1 :, k] / both[k, k], both[k, k + 1 :])
    x = both[:, n:]
    for k in range(n)[::-1]:
        x[k] = (x[k] - both[k, k + 1 : n] @ x[k + 1 :]) / both[k, k]
    return x


def by_scipy(problem: Problem, p: np.ndarray) -> np.ndarray:
    n = len(problem.y0)

    def jacobian(t, y):
        at = np.repeat(y.astype(complex)[:, None], n, axis=1) + 1e-30j * np.eye(n)
        return problem.rates(np, t, at, p[:, None]).imag / 1e-30

    return solve_ivp(
        lambda t, y: problem.rates(np, t, y, p),
        (0, problem.times[-1]),
        problem.y0,
        "Radau",
        problem.times,
        rtol=1e-12,
        atol=1e-10 * problem.scale,
        jac=jacobian,
    ).y.T


def main(names):
    for name in names or PROBLEMS:
        problem = PROBLEMS[name]
        print(name, flush=True)
        y, dy = (Precise if name == "E5" else Extended)(problem).solve()
        size = problem.scale + np.abs(y)
        other = by_scipy(problem, problem.p)
        apart = (np.abs(other - y) / size).max()
        print(f"  SciPy differs by {apart:.1e}", flush=True)
        assert apart < 1e-6
        if name in PUBLISHED:
            values = np.array(PUBLISHED[name])
            apart = (np.abs(y[-1, : len(values)] - values) / np.maximum(np.abs(values), 1e-30)).max()
            print(f"  the published values differ by {apart:.1e}")
            assert apart < (3e-3 if name == "E5" else 1e-9)
        for j, i in enumerate(problem.varied):
            p = [problem.p.copy() for _ in range(2)]
            for k, sign in enumerate((1, -1)):
                p[k][i] *= np.exp(sign * 1e-4)
            difference = (by_scipy(problem, p[0]) - by_scipy(problem, p[1])) / 2e-4
            apart = (np.abs(difference - dy[:, :, j]) / (size + np.abs(dy[:, :, j]))).max()
            print(f"  the derivative by p[{i}] differs from differences by {apart:.1e}", flush=True)
            assert apart < 1e-2
        stored = json.loads(GOLDEN.read_text()) if GOLDEN.exists() else {}
        stored[name] = {"y": y.tolist(), "dy": dy.tolist()}
        GOLDEN.write_text(json.dumps(stored) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
