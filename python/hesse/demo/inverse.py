"""Coefficients of Burgers' equation from measurements of its solution.

    u_t + lambda1 u u_x = lambda2 u_xx,   truth: lambda1 = 1, lambda2 = 0.01 / pi

The unknown coefficients are part of the model and are trained together with the network, as in Raissi, Perdikaris and
Karniadakis (2019), section 4.1.1. Measurements weigh a hundred times more than the equation: the network then follows
them early, and the coefficients, which only the equation sees, settle ten times sooner than with equal weights. The
equation is divided by sqrt(1 + u_x^2 / 100) as in the forward problem.
"""

from __future__ import annotations

import argparse
import os
import time
from typing import Any

import hesse as hs
from hesse import physics

from .burgers import domain, nu, points

__all__ = ["TITLE", "equation", "measurements", "recover", "run"]

TITLE = "Burgers' equation: both coefficients from measurements of the solution"


def equation(u: Any, t: Any, x: Any) -> Any:
    u0, u_t, u_x, u_xx = hs.partials(u, (t, x), ["", "t", "x", "xx"])
    lambda1, lambda2 = u.model["lambda1"], hs.exp(u.model["log_lambda2"])
    return (u_t + lambda1 * u0 * u_x - lambda2 * u_xx) / hs.sqrt(1.0 + 0.01 * u_x**2)


def measurements(key: Any, n: int, noise: float) -> tuple[tuple[Any, Any], Any]:
    """The exact solution at n random points, with noise in units of its standard deviation."""
    where, error = hs.unstack(hs.random.split(key))
    t, x = domain.interior(where, n, method="uniform")
    u = physics.burgers_exact(t, x, nu)
    return (t, x), u + noise * hs.std(u) * hs.random.normal(error, (n,))


def recover(
    seed: int,
    noise: float,
    samples: int = 2000,
    n: int = 2000,
    adam: int = 500,
    lbfgs: int = 3000,
    **training: Any,
) -> tuple[float, float, physics.Training]:
    """lambda1 and lambda2 from so many measurements, and the training that found them."""
    weights, data, residual = hs.unstack(hs.random.split(hs.random.key(seed), num=3))
    where, u = measurements(data, samples, noise)
    model = {
        "net": hs.nn.MLP([2, 20, 20, 20, 1], hs.tanh, key=weights),
        "lambda1": hs.array(0.0),
        "log_lambda2": hs.array(-6.0),
    }
    problem = physics.PINN(
        domain,
        [physics.Data(where, u, weight=100.0), physics.Residual(equation, n, points=points)],
        network=lambda model: model["net"],
    )
    stages = [physics.Adam(adam), physics.Lbfgs(lbfgs)]
    tag = f"problem=burgers-inverse points={n} samples={samples} noise={noise} seed={seed}"
    trained = physics.train(problem, model, stages, key=residual, tag=tag, **training)
    return float(trained.model["lambda1"]), float(hs.exp(trained.model["log_lambda2"])), trained


def run(options: argparse.Namespace) -> int:
    """Recovers the coefficients and prints them."""
    given = {"n": options.points, "adam": options.adam, "lbfgs": options.lbfgs}
    begin = time.perf_counter()
    try:
        lambda1, lambda2, trained = recover(
            options.seed,
            options.noise,
            options.samples,
            progress=not options.quiet,
            checkpoint=os.path.join(options.out, "checkpoint.safetensors"),
            resume=options.resume,
            **{name: value for name, value in given.items() if value is not None},
        )
    except KeyboardInterrupt as stop:
        raise KeyboardInterrupt(f"{stop}\nto go on: the same command with --resume") from None
    seconds = time.perf_counter() - begin
    facts = {"lambda1": lambda1, "lambda2": lambda2, "noise": options.noise, "seed": options.seed}
    hs.io.save_safetensors(
        os.path.join(options.out, "weights.safetensors"),
        trained.model,
        {name: str(value) for name, value in facts.items()},
    )
    print(
        f"seed {options.seed}, {options.samples} measurements, noise {100 * options.noise:g} %, {seconds:.0f} s"
    )
    print(f"lambda1 = {lambda1:.6f} (truth 1), error {100 * abs(lambda1 - 1):.3f} %")
    print(f"lambda2 = {lambda2:.7f} (truth {nu:.7f}), error {100 * abs(lambda2 / nu - 1):.3f} %")
    return 0
