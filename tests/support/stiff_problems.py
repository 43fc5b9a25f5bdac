"""Stiff initial value problems from the literature, as maths that NumPy, in any precision, and Hesse run alike.

ROBER, OREGO, HIRES, VDPOL, E5, BRUSS: Hairer and Wanner, Solving Ordinary Differential Equations II, IV.10. POLLU: Verwer,
SIAM J. Sci. Comput. 15 (1994), also in the test set for IVP solvers (Mazzia and Magherini).
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "stiff.json"


@dataclasses.dataclass(frozen=True)
class Problem:
    """dy/dt = rates(xp, t, y, p), y(0) = y0, at `times`.

    `rates` takes y [N, ...] and p [P, ...] and returns [N, ...]; xp: numpy or hesse. `scale` [N]: how small a component may
    be and still count: an absolute tolerance is a relative one times this. `varied`: the entries of p of whose logarithms
    the solution is differentiated.
    """

    name: str
    rates: Callable[..., Any]
    y0: np.ndarray
    p: np.ndarray
    times: np.ndarray
    scale: np.ndarray
    varied: tuple[int, ...]

    def field(self, xp: Any) -> Callable[..., Any]:
        """f(t, y, p)"""
        return lambda t, y, p: self.rates(xp, t, y, p)


def rober(xp, t, y, k):
    a, b, c = k[0] * y[0], k[1] * y[1] * y[1], k[2] * y[1] * y[2]
    return xp.stack([c - a, a - b - c, b])


def orego(xp, t, y, p):
    s, q, w = p[0], p[1], p[2]
    return xp.stack(
        [s * (y[1] + y[0] * (1 - q * y[0] - y[1])), (y[2] - (1 + y[0]) * y[1]) / s, w * (y[0] - y[2])]
    )


def hires(xp, t, y, p):
    r = p[0] * y[5] * y[7]
    return xp.stack(
        [
            -1.71 * y[0] + 0.43 * y[1] + 8.32 * y[2] + p[1],
            1.71 * y[0] - 8.75 * y[1],
            -10.03 * y[2] + 0.43 * y[3] + 0.035 * y[4],
            8.32 * y[1] + 1.71 * y[2] - p[2] * y[3],
            -1.745 * y[4] + 0.43 * y[5] + 0.43 * y[6],
            -r + 0.69 * y[3] + 1.71 * y[4] - 0.43 * y[5] + 0.69 * y[6],
            r - 1.81 * y[6],
            -r + 1.81 * y[6],
        ]
    )


def vdpol(xp, t, y, p):
    return xp.stack([p[1] * y[1], p[0] * ((1 - y[0] * y[0]) * y[1] - y[0])])


def e5(xp, t, y, p):
    """Without the second of the four unknowns, which is the sum of the last two.

    Of four equations rounding makes y2 - y3 - y4 some 1e-20 when fluxes of 1e-7 balance each other, and that remains when y3 is
    1e-22: from t = 1e9 on the solution would be that of another problem.
    """
    a, b, c, mc = p[0] * y[0], p[1] * y[0] * y[1], p[2] * y[2], p[3] * (y[1] + y[2]) * y[1]
    return xp.stack([-a - b, (a - mc) - (b - c), b - c])


def pollu(xp, t, y, k):
    r1, r2, r3 = k[0] * y[0], k[1] * y[1] * y[3], k[2] * y[4] * y[1]
    r4, r5, r6 = k[3] * y[6], k[4] * y[6], k[5] * y[6] * y[5]
    r7, r8, r9 = k[6] * y[8], k[7] * y[8] * y[5], k[8] * y[10] * y[1]
    r10, r11, r12 = k[9] * y[10] * y[0], k[10] * y[12], k[11] * y[9] * y[1]
    r13, r14, r15 = k[12] * y[13], k[13] * y[0] * y[5], k[14] * y[2]
    r16, r17, r18, r19 = k[15] * y[3], k[16] * y[3], k[17] * y[15], k[18] * y[15]
    r20, r21, r22 = k[19] * y[16] * y[5], k[20] * y[18], k[21] * y[18]
    r23, r24, r25 = k[22] * y[0] * y[3], k[23] * y[18] * y[0], k[24] * y[19]
    return xp.stack(
        [
            -r1 - r10 - r14 - r23 - r24 + r2 + r3 + r9 + r11 + r12 + r22 + r25,
            -r2 - r3 - r9 - r12 + r1 + r21,
            -r15 + r1 + r17 + r19 + r22,
            -r2 - r16 - r17 - r23 + r15,
            -r3 + 2 * r4 + r6 + r7 + r13 + r20,
            -r6 - r8 - r14 - r20 + r3 + 2 * r18,
            -r4 - r5 - r6 + r13,
            r4 + r5 + r6 + r7,
            -r7 - r8,
            -r12 + r7 + r9,
            -r9 - r10 + r8 + r11,
            r9,
            -r11 + r10,
            -r13 + r12,
            r14,
            -r18 - r19 + r16,
            -r20,
            r20,
            -r21 - r22 - r24 + r23 + r25,
            -r25 + r24,
        ]
    )


def brusselator(xp, t, y, p):
    """On n points inside (0, 1), u = 1 and v = 3 at its ends; y holds u, then v."""
    n = y.shape[0] // 2
    u, v = y[:n], y[n:]
    stiffness = p[2] * (n + 1) ** 2

    def diffusion(w, edge):
        rim = 0 * w[:1] + edge
        wide = xp.concatenate([rim, w, rim])
        return stiffness * (wide[2:] - 2 * w + wide[:-2])

    uuv = u * u * v
    return xp.concatenate(
        [p[0] + uuv - (p[1] + 1) * u + diffusion(u, 1.0), p[1] * u - uuv + diffusion(v, 3.0)]
    )


def _pollu_start():
    y = np.zeros(20)
    y[[1, 3, 6, 7, 8, 16]] = [0.2, 0.04, 0.1, 0.3, 0.01, 0.007]
    return y


_POLLU_RATES = [
    *(
        0.35,
        26.6,
        1.23e4,
        8.6e-4,
        8.2e-4,
        1.5e4,
        1.3e-4,
        2.4e4,
        1.65e4,
        9e3,
        2.2e-2,
        1.2e4,
        1.88,
        1.63e4,
        4.8e6,
    ),
    *(3.5e-4, 1.75e-2, 1e8, 4.44e11, 1.24e3, 2.1, 5.78, 4.74e-2, 1.78e3, 3.12),
]
_X = np.arange(1, 21) / 21

PROBLEMS = {
    p.name: p
    for p in (
        Problem(
            "ROBER",
            rober,
            np.array([1.0, 0.0, 0.0]),
            np.array([0.04, 3e7, 1e4]),
            np.array([0.4, 4e2, 4e5, 1e11]),
            np.array([1e-4, 1e-8, 1e-4]),
            (0, 1, 2),
        ),
        Problem(
            "OREGO",
            orego,
            np.array([1.0, 2.0, 3.0]),
            np.array([77.27, 8.375e-6, 0.161]),
            np.array([30.0, 100.0, 360.0]),
            np.ones(3),
            (0, 1, 2),
        ),
        Problem(
            "HIRES",
            hires,
            np.array([1.0, 0, 0, 0, 0, 0, 0, 0.0057]),
            np.array([280.0, 0.0007, 1.12]),
            np.array([1.0, 50.0, 321.8122]),
            np.full(8, 1e-4),
            (0, 1, 2),
        ),
        Problem(
            "VDPOL",
            vdpol,
            np.array([2.0, 0.0]),
            np.array([1e6, 1.0]),
            np.array([0.5, 1.0, 2.0]),
            np.ones(2),
            (0, 1),
        ),
        Problem(
            "E5",
            e5,
            np.array([1.76e-3, 0.0, 0.0]),
            np.array([7.89e-10, 1.1e7, 1.13e3, 1.13e9]),
            np.array([1e1, 1e5, 1e9, 1e11, 1e13]),
            np.array([1e-6, 1e-18, 1e-18]),
            (0, 1, 3),
        ),
        Problem(
            "POLLU",
            pollu,
            _pollu_start(),
            np.array(_POLLU_RATES),
            np.array([1.0, 20.0, 60.0]),
            np.full(20, 1e-4),
            (0, 13, 22),
        ),
        Problem(
            "BRUSS",
            brusselator,
            np.concatenate([1 + np.sin(2 * np.pi * _X), np.full(20, 3.0)]),
            np.array([1.0, 3.0, 0.02]),
            np.array([1.0, 4.0, 10.0]),
            np.ones(40),
            (0, 1, 2),
        ),
    )
}


def reference(name: str) -> tuple[np.ndarray, np.ndarray]:
    """y [T, N] and dy/dlog p [T, N, varied] at the times of a problem, by tests/golden/make_stiff.py."""
    known = json.loads(GOLDEN.read_text())[name]
    return np.array(known["y"]), np.array(known["dy"])
