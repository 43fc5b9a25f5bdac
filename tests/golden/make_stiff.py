"""Makes tests/golden/stiff.json: solutions of the stiff problems of tests/support/stiff_problems.py and their derivatives.

    python tests/golden/make_stiff.py [NAME ...]

The method is Radau IIA with 7 stages, of order 13, in extended precision (80 bits), with steps controlled by halving: an
independent program of its own. Derivatives with respect to the logarithms of parameters ride along as imaginary parts
(complex step), exact to rounding. Every solution is compared with SciPy's Radau at rtol 1e-12 and with what the test set for
IVP solvers and Hairer and Wanner's book print, derivatives with differences of SciPy's solutions; what disagrees is not stored.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import mpmath
import numpy as np
from scipy.integrate import solve_ivp
from scipy.linalg import lu_factor, lu_solve

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
from stiff_problems import GOLDEN, PROBLEMS, Problem

STAGES = 7
STEP = 1e-40  # of the complex step
TOLERANCE = (
    1e-13  # of the difference between a step and two of half its length; theirs is some thousand times better
)

# Values that were published, for comparison: of the last time, where it is the same.
PUBLISHED = {
    "ROBER": [0.2083340149701255e-7, 0.8333360770334713e-13, 0.9999999791665050],
    "OREGO": [0.1000814870318523e1, 0.1228178521549917e4, 0.1320554942846706e3],
    "HIRES": [0.7371312573325668e-3, 0.1442485726316185e-3, 0.5888729740967575e-4, 0.1175651343283149e-2],
    "VDPOL": [0.1706167732170483e1, -0.8928097010247975],
    "POLLU": [0.5646255480022769e-1, 0.1342484130422339, 0.4139734331099427e-8, 0.5523140207484359e-2],
}


def radau(s: int) -> tuple[np.ndarray, np.ndarray]:
    """c [s] and A [s, s]: collocation at the zeros of d^(s-1)/dx^(s-1) x^(s-1) (x - 1)^s."""
    mpmath.mp.dps = 50
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
    long = lambda x: np.longdouble(mpmath.nstr(x, 40))
    return np.array([long(x) for x in c]), np.array([[long(full[i, j]) for j in range(s)] for i in range(s)])


C, A = radau(STAGES)


class Extended:
    """The state [N, m]: equal real parts, and imaginary parts that are tangents times STEP."""

    def __init__(self, problem: Problem):
        self.problem = problem
        m = len(problem.varied)
        p = np.repeat(problem.p.astype(np.clongdouble)[:, None], m, axis=1)
        for j, i in enumerate(problem.varied):
            p[i, j] += 1j * np.longdouble(STEP) * problem.p[i]
        self.p = p
        self.y = np.repeat(problem.y0.astype(np.clongdouble)[:, None], m, axis=1)

    def rates(self, t, y):
        return self.problem.rates(np, t, y, self.p)

    def jacobian(self, t, y):
        n = len(y)
        with np.errstate(under="ignore"):
            at = np.repeat(y.real[:, :1].astype(complex), n, axis=1) + 1e-30j * np.eye(n)
            p = np.repeat(self.p.real[:, :1].astype(complex), n, axis=1)
            return self.problem.rates(np, float(t), at, p).imag / 1e-30

    def step(self, t, h, y):
        """One step, or None where the iteration does not converge."""
        n, m = y.shape
        j = self.jacobian(t + h / 2, y)
        factors = lu_factor(np.eye(STAGES * n) - float(h) * np.kron(A.astype(float), j))
        z = np.zeros((STAGES, n, m), np.clongdouble)
        scale = self.floor() + np.abs(y.real)
        last = np.inf
        for iteration in range(40):
            f = self.rates(t, (y + z).transpose(1, 0, 2)).transpose(1, 0, 2)  # all stages: none depends on t
            r = (h * np.tensordot(A, f, 1) - z).reshape(STAGES * n, m)
            if not np.isfinite(r).all():
                return None
            d = lu_solve(factors, r[:, :1].real.astype(float)) + 1j * np.longdouble(STEP) * lu_solve(
                factors, (r.imag / np.longdouble(STEP)).astype(float)
            )
            d = d.reshape(STAGES, n, m)
            z = z + d
            tangent = np.abs(d.imag) / np.longdouble(STEP)
            size = max(
                float((np.abs(d.real) / scale).max()),
                float((tangent / (scale + np.abs(y.imag) / np.longdouble(STEP))).max()),
            )
            if size < 1e-17 or (size < 1e-15 and size > 0.5 * last):
                return y + z[-1]
            if iteration > 4 and size > 0.8 * last and size > 1e-13:
                return None
            last = size
        return y + z[-1] if last < 1e-14 else None

    def floor(self):
        return (1e-2 * self.problem.scale.astype(np.longdouble))[:, None]

    def solve(self):
        t, y, h = np.longdouble(0), self.y, np.longdouble(1e-6 * min(1.0, float(self.problem.times[0])))
        out, steps = [], 0
        for end in self.problem.times.astype(np.longdouble):
            while t < end:
                cut = min(h, end - t)
                whole = self.step(t, cut, y)
                middle = None if whole is None else self.step(t, cut / 2, y)
                halves = None if middle is None else self.step(t + cut / 2, cut / 2, middle)
                if halves is None:
                    h = cut / 4
                    continue
                d = whole - halves
                tangents = np.abs(halves.imag) / np.longdouble(STEP)
                error = max(
                    float((np.abs(d.real) / (self.floor() + np.abs(halves.real))).max()),
                    float((np.abs(d.imag) / STEP / (1e-2 * self.problem.scale[:, None] + tangents)).max()),
                )
                factor = 0.8 * (TOLERANCE / max(error, 1e-30)) ** (1 / (STAGES + 2))
                if error <= TOLERANCE:
                    t, y = (end if cut == end - t else t + cut), halves
                    steps += 1
                    h = max(h, cut * min(4, factor)) if cut < h else cut * min(4, factor)
                else:
                    h = cut * max(0.1, min(0.8, factor))
            out.append(y)
        print(f"  {steps} steps")
        y = np.stack(out)
        return y.real[:, :, 0].astype(float), (y.imag / np.longdouble(STEP)).astype(float)


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
        y, dy = Extended(problem).solve()
        size = problem.scale + np.abs(y)
        other = by_scipy(problem, problem.p)
        apart = (np.abs(other - y) / size).max()
        print(f"  SciPy differs by {apart:.1e}", flush=True)
        assert apart < 1e-6
        if name in PUBLISHED:
            values = np.array(PUBLISHED[name])
            apart = (np.abs(y[-1, : len(values)] - values) / np.abs(values)).max()
            print(f"  the published values differ by {apart:.1e}")
            assert apart < 1e-9
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
