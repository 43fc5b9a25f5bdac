"""Stiff chemistry: three rates of Robertson's reactions from noisy concentrations.

    A -> B   k1 = 0.04,    B + B -> B + C   k2 = 3e7,    B + C -> A + C   k3 = 1e4

The rates differ by nine orders of magnitude: explicit methods would need some million steps to reach t = 1e4, Rodas5P needs
some hundreds; its Jacobian is derived from the equations as they are written. The fit is by Levenberg and Marquardt, with
the Jacobian of all concentrations in the rates through the solver.
"""

import hesse as hs

TIMES = hs.exp(hs.linspace(hs.log(1e-2), hs.log(1e4), 25))
SIZES = hs.array([1.0, 4e-5, 1.0])  # of A, B, C
NOISE = 0.01


def reactions(t, state, k1, k2, k3):
    a, b, c = state
    first, second, third = k1 * a, k2 * b * b, k3 * b * c
    return third - first, first - second - third, second


def concentrations(log_rates, times=TIMES):
    """[times, 3], in units of their sizes."""
    k = tuple(hs.unstack(hs.exp(log_rates)))
    sol = hs.solvers.solve_ivp(
        reactions,
        (0.0, times[-1]),
        (1.0, 0.0, 0.0),
        method="Rodas5P",
        t_eval=times,
        args=k,
        rtol=1e-9,
        atol=(1e-11, 1e-15, 1e-11),
        raise_on_failure=False,  # NaN where a trial of the fit is beyond solving: it tries a shorter step
    )
    return hs.stack(sol.y, axis=1) / SIZES


true = hs.log(hs.array([0.04, 3e7, 1e4]))
data = concentrations(true) + NOISE * hs.random.normal(hs.random.key(0), (25, 3))

total = hs.max(hs.abs(hs.sum(concentrations(true) * SIZES, axis=1) - 1.0))
print(f"the three add up to 1 within {float(total):.0e}")


@hs.compile
def fit(start, data):
    # Steps of the solver change with the rates, so that the residual is not smooth below some 1e-8.
    return hs.solvers.least_squares(lambda x: (concentrations(x) - data) / NOISE, start, rtol=1e-6).x


# Two orders of magnitude off.
found = fit(true + hs.log(hs.array([0.01, 100.0, 0.01])), data)
jacobian = hs.compile(hs.jacobian(concentrations))(found)  # [times, 3, 3]
information = hs.einsum("tsi,tsj->ij", jacobian, jacobian) / NOISE**2
sure = hs.sqrt(hs.diagonal(hs.linalg.inv(information)))
off = hs.abs(found - true) / sure
for i, name in enumerate(["k1", "k2", "k3"]):
    print(
        f"{name} = {float(hs.exp(found[i])):.4g}, {100 * float(sure[i]):.1f} % sure, {float(off[i]):.1f} standard deviations off"
    )
if not (float(hs.max(off)) < 3.5 and float(total) < 1e-8):
    raise SystemExit("the rates should be within 3.5 standard deviations of the truth")
