"""Predators and prey: the rates of Lotka's and Volterra's equations from noisy counts.

    hare' = (a - b lynx) hare,   lynx' = (-c + d hare) lynx

Six numbers, the four rates and both populations in the first year, are fitted by maximum likelihood with errors that are
normal in the logarithm; the gradient goes through the solver. The counts are generated, or read:

    python lynx_hare.py --data hudson-bay-lynx-hare.csv      # a file with the columns year, lynx, hare
"""

import sys

import hesse as hs


def rates(t, state, a, b, c, d):
    hare, lynx = state
    return (a - b * lynx) * hare, (-c + d * hare) * lynx


def populations(log_parameters, years):
    a, b, c, d, hare, lynx = hs.unstack(hs.exp(log_parameters))
    span = (years[0], years[-1])
    sol = hs.solvers.solve_ivp(
        rates, span, (hare, lynx), t_eval=years, args=(a, b, c, d), rtol=1e-8, atol=1e-8
    )
    return hs.stack(sol.y, axis=1)  # [years, 2]


def read(path):
    with open(path) as file:
        rows = [line.split(",") for line in file if not line.startswith("#") and line.strip()]
    years, lynx, hare = hs.transpose(hs.array([[float(x) for x in row] for row in rows[1:]]))
    return years - years[0], hs.stack([hare, lynx], axis=1)


true = hs.array([0.55, 0.028, 0.8, 0.024, 34.0, 6.0])
if "--data" in sys.argv:
    years, counts = read(sys.argv[sys.argv.index("--data") + 1])
else:
    years = hs.arange(21.0)
    noise = hs.random.normal(hs.random.key(0), (21, 2))
    counts = populations(hs.log(true), years) * hs.exp(0.1 * noise)


@hs.compile
@hs.value_and_grad
def negative_log_likelihood(log_parameters):
    error = hs.log(populations(log_parameters, years)) - hs.log(counts)
    return hs.sum(
        0.5 * len(years) * hs.log(hs.mean(error**2, axis=0))
    )  # the sizes of the errors are the best ones


fit = hs.optim.lbfgs(negative_log_likelihood, hs.log(hs.array([0.5, 0.025, 0.75, 0.025, 30.0, 5.0])))
while fit.iterations < 200 and fit.step():
    pass
found = hs.exp(fit.params)
scatter = hs.sqrt(hs.mean((hs.log(populations(fit.params, years)) - hs.log(counts)) ** 2, axis=0))
for name, value in zip(["a", "b", "c", "d", "hare", "lynx"], found, strict=True):
    print(f"{name:<5}{float(value):8.4f}")
print(f"relative errors of the counts: hare {float(scatter[0]):.3f}, lynx {float(scatter[1]):.3f}")

if "--data" not in sys.argv:
    # Second derivatives say how sure the numbers are: the inverse of the Hessian is their covariance.
    hessian = hs.hessian(lambda p: negative_log_likelihood(p)[0])(fit.params)
    sure = hs.sqrt(hs.diagonal(hs.linalg.inv(hessian)))
    off = hs.abs(fit.params - hs.log(true)) / sure
    print("distance from the truth, in standard deviations:", off)
    if not float(hs.max(off)) < 3.5:
        raise SystemExit("the fit should be within 3.5 standard deviations of the truth")
