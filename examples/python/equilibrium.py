"""Equations as functions: a chemical reactor's steady state, its sensitivities, its best operation, and a fit."""

import hesse as hs
from hesse.solvers import least_squares, linear_solve, minimise, solve_ivp, steady_state


def check(what, value, exact, tolerance):
    error = float(hs.max(hs.abs(value - exact)))
    print(f"{what:<60} error {error:.1e}")
    if not error <= tolerance:
        raise SystemExit(f"{what}: {value}, should be {exact}")


# A -> B -> C in a stirred tank that is fed with A (concentration 1) at rate q: B is what we want.
RATES = hs.array([2.0, 0.5])


def reactor(t, y, q, k):
    a, b = y["a"], y["b"]
    return {"a": q * (1.0 - a) - k[0] * a, "b": k[0] * a - k[1] * b - q * b}


def steady(q, k):
    return steady_state(reactor, {"a": 1.0, "b": 0.0}, args=(q, k)).x


def exact_b(q, k):
    return k[0] * q / ((q + k[0]) * (q + k[1]))


check("b where the reactor settles", steady(0.3, RATES)["b"], exact_b(0.3, RATES), 1e-12)
late = solve_ivp(
    reactor, (0.0, 100.0), {"a": 1.0, "b": 0.0}, t_eval=[100.0], args=(0.3, RATES), rtol=1e-9, atol=1e-11
)
check("b after a long time", late.y["b"][0], steady(0.3, RATES)["b"], 1e-8)

# How it moves with the rates of the reactions: by the equation, not by the steps that led there.
b = lambda k: steady(0.3, k)["b"]
check("db/dk, reverse mode", hs.grad(b)(RATES), hs.grad(lambda k: exact_b(0.3, k))(RATES), 1e-12)
check("db/dk, forward mode", hs.jacfwd(b)(RATES), hs.grad(lambda k: exact_b(0.3, k))(RATES), 1e-12)
check("d2b/dk2", hs.hessian(b)(RATES), hs.hessian(lambda k: exact_b(0.3, k))(RATES), 1e-11)

# The feed that makes most B: a minimum of a function with an equation inside. Exact: q^2 = k0 k1.
best = lambda k: hs.exp(minimise(lambda log_q: -steady(hs.exp(log_q), k)["b"], 0.5, gtol=1e-10).x)
check("the best feed", best(RATES), hs.sqrt(RATES[0] * RATES[1]), 1e-8)
check(
    "how it moves with the rates", hs.grad(best)(RATES), hs.grad(lambda k: hs.sqrt(k[0] * k[1]))(RATES), 1e-7
)

# The rates from measured steady states, at many feeds at once; and what an error of each measurement does to them.
feeds = hs.linspace(0.1, 3.0, 12)
measured = exact_b(feeds, RATES)


def fit(data):
    predict = hs.vmap(lambda q, k: steady(q, k)["b"], (0, None))
    return least_squares(lambda log_k: predict(feeds, hs.exp(log_k)) - data, hs.log(hs.array([1.0, 1.0]))).x


check("fitted rates", hs.exp(fit(measured)), RATES, 1e-7)
print("d log k / d data:", hs.round(hs.jacrev(fit)(measured)[:, :3], 3))

# Diffusion along a rod, by products with the matrix alone: -u'' = 1, u = 0 at both ends; u = x (1 - x) / 2.
n = 99


def minus_second_derivative(u):
    return (2.0 * u - hs.pad(u[1:], [(0, 1)]) - hs.pad(u[:-1], [(1, 0)])) * (n + 1) ** 2


u = linear_solve(minus_second_derivative, hs.ones(n), method="cg", rtol=1e-10).x
x = hs.linspace(0.0, 1.0, n + 2)[1:-1]
check("the rod", u, 0.5 * x * (1.0 - x), 1e-10)
