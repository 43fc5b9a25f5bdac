"""Burgers' equation u_t + u u_x = nu u_xx with a physics-informed network.

    x in [-1, 1], t in [0, 1], nu = 0.01 / pi, u(0, x) = -sin(pi x), u(t, -1) = u(t, 1) = 0

The solution steepens into a shock of width nu at x = 0. Initial and boundary values hold by construction (`constrained`),
so the loss is the equation alone. It is divided by sqrt(1 + u_x^2 / 100): inside the shock its terms are a hundred times
larger than elsewhere, and without this they are all that the optimiser sees. With u_x^2 / 10 it sees too little of them:
in half of the trials the shock then settled beside x = 0, where the rest of the equation hardly tells.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

import hesse as hs
from hesse import physics

from ._figure import save_figure

__all__ = ["QUICK", "TITLE", "Budget", "constrained", "equation", "make_problem", "points", "run"]

TITLE = "Burgers' equation: a network that satisfies it, compared with the exact solution"

nu = 0.01 / hs.pi
domain = physics.TimeBox(physics.Interval(-1.0, 1.0), 0.0, 1.0)


def equation(u: Any, t: Any, x: Any) -> Any:
    u0, u_t, u_x, u_xx = hs.partials(u, (t, x), ["", "t", "x", "xx"])
    return (u_t + u0 * u_x - nu * u_xx) / hs.sqrt(1.0 + 0.01 * u_x**2)


def constrained(u: Any, t: Any, x: Any) -> Any:
    return -(1.0 - t) * hs.sin(hs.pi * x) + t * (1.0 - x**2) * u


def points(key: Any, n: int) -> tuple[Any, Any]:
    t, x = domain.interior(key, n)
    return t, 0.15 * x + 0.85 * x**3  # seven times denser at x = 0, where the shock will be


def make_problem(n: int) -> physics.PINN:
    return physics.PINN(domain, [physics.Residual(equation, n, points=points)], transform=constrained)


class Budget(NamedTuple):
    """How much to compute, and the relative L2 error that it must reach."""

    hidden: tuple[int, ...]
    points: int
    adam: int
    lbfgs: int
    bound: float


FULL = Budget((20, 20, 20), 2000, 500, 8000, 3e-3)
QUICK = Budget((20, 20, 20), 1000, 300, 1500, 2.5e-2)


class Reference(NamedTuple):
    """A solution u[i_x, i_t] on a grid, and where it comes from."""

    t: Any
    x: Any
    u: Any
    source: str


def exact_reference() -> Reference:
    """The exact solution on 256 x 100 points."""
    x, t = hs.linspace(-1.0, 1.0, 256), 0.01 * hs.arange(100.0)
    u = physics.burgers_exact(hs.expand_dims(t, axis=0), hs.expand_dims(x, axis=1), nu)
    return Reference(t, x, u, "exact (Cole-Hopf, Gauss-Hermite)")


def stored_reference(path: str) -> Reference:
    """x, t and u (or usol) from an HDF5 or MATLAB file."""

    def require(ok: Any, what: str) -> None:
        if not bool(ok):
            raise hs.ArgumentError(f"--reference {path}: {what}")

    if not os.path.isfile(path):
        what = "a folder" if os.path.isdir(path) else "there is no such file"
        raise hs.FileMissingError(f"--reference {path}: {what}; give an .h5 or .mat file with x, t and u")
    arrays = hs.io.load_mat(path) if path.endswith(".mat") else hs.io.load_hdf5(path)
    name = "usol" if "usol" in arrays and "u" not in arrays else "u"
    for needed in ("t", "x", name):
        require(
            needed in arrays, f"there is no {needed!r}; it holds {', '.join(sorted(arrays)) or 'nothing'}"
        )
    t, x, u = hs.ravel(arrays["t"]), hs.ravel(arrays["x"]), arrays[name]
    for label, a in (("t", t), ("x", x), (name, u)):
        require(
            a.size > 0 and hs.isdtype(a.dtype, "real floating"),
            f"{label} must hold real numbers, got {a.dtype}{list(a.shape)}",
        )
        require(hs.all(hs.isfinite(a)), f"{label} holds NaN or infinity")
    require(
        u.shape == (x.size, t.size),
        f"{name} must have the shape (len(x), len(t)) = ({x.size}, {t.size}), got {u.shape}",
    )
    for label, z, low, high in (("t", t, 0.0, 1.0), ("x", x, -1.0, 1.0)):
        least, most = float(hs.min(z)), float(hs.max(z))
        require(
            low <= least and most <= high,
            f"{label} must lie in [{low:g}, {high:g}], got {least:g} to {most:g}",
        )
    if float(t[0]) == 0.0:
        start = float(hs.max(hs.abs(u[:, 0] + hs.sin(hs.pi * x))))
        require(start < 1e-2, f"u(0, x) differs from -sin(pi x) by {start:.3g}: another problem's solution?")
    return Reference(t, x, u, os.path.basename(path))


def predict(problem: physics.PINN, net: Any, reference: Reference, stride: int = 1) -> Any:
    t, x = reference.t[::stride], reference.x[::stride]
    return problem.predict(net, hs.expand_dims(t, axis=0), hs.expand_dims(x, axis=1))


def run(options: argparse.Namespace) -> int:
    """Trains, compares and writes the results."""
    budget = QUICK if options.quick else FULL
    tuned = [options.points, options.adam, options.lbfgs, options.batch, options.resample]
    budget = budget._replace(
        points=options.points or budget.points,
        adam=options.adam or budget.adam,
        lbfgs=options.lbfgs or budget.lbfgs,
    )
    reference = exact_reference() if options.reference is None else stored_reference(options.reference)
    checkpoint = os.path.join(options.out, "checkpoint.safetensors")

    weights_key, points_key = hs.unstack(hs.random.split(hs.random.key(options.seed)))
    problem = make_problem(budget.points)
    sizes = [2, *budget.hidden, 1]
    shape = "-".join(map(str, sizes))
    net = hs.nn.MLP(sizes, hs.tanh, key=weights_key)
    stages = [
        physics.Adam(budget.adam, batch=options.batch, resample=options.resample),
        physics.Lbfgs(budget.lbfgs, resample=options.resample),
    ]
    coarse = reference.u[::4, ::4]
    print(
        f"Burgers' equation, seed {options.seed}: network {shape} (tanh, float64), "
        f"{budget.points} points, {budget.adam} iterations of Adam and {budget.lbfgs} of L-BFGS"
    )
    begin = time.perf_counter()
    try:
        trained = physics.train(
            problem,
            net,
            stages,
            key=points_key,
            error=lambda model: physics.relative_l2(predict(problem, model, reference, 4), coarse),
            progress=not options.quiet,
            checkpoint=checkpoint,
            resume=options.resume,
            tag=f"problem=burgers network={shape} points={budget.points} seed={options.seed}",
        )
    except KeyboardInterrupt as stop:
        raise KeyboardInterrupt(f"{stop}\nto go on: the same command with --resume") from None
    seconds = time.perf_counter() - begin

    u = predict(problem, trained.model, reference)
    error, worst = float(physics.relative_l2(u, reference.u)), float(physics.max_error(u, reference.u))
    write_results(options.out, trained, reference, u, error, options.seed)
    judged = not any(tuned)
    print(f"compared with: {reference.source}, {u.shape[0]} x {u.shape[1]} points")
    print(f"seed {options.seed}: relative L2 error {error:.3e}, maximum error {worst:.3e}, {seconds:.0f} s")
    print("(Raissi, Perdikaris and Karniadakis 2019 report 6.7e-04)")
    print(f"written: {', '.join(sorted(os.listdir(options.out)))} in {options.out}")
    if judged and not error <= budget.bound:
        print(f"the error is above the bound {budget.bound:g}", file=sys.stderr)
        return 1
    return 0


def write_results(
    folder: str, trained: physics.Training, reference: Reference, u: Any, error: float, seed: int
) -> None:
    """The field in HDF5, the weights in safetensors, a figure in PNG."""
    about = {"equation": "u_t + u u_x = nu u_xx", "nu": nu, "seed": seed, "relative_l2": error}
    hs.io.save_safetensors(
        os.path.join(folder, "weights.safetensors"),
        trained.model,
        {name: str(value) for name, value in about.items()},
    )
    t, x, exact, field = (np.asarray(a) for a in (reference.t, reference.x, reference.u, u))
    writers: dict[str, Callable[[], None]] = {
        "field.h5": lambda: _write_field(folder, t, x, field, exact, reference.source, about),
        "burgers.png": lambda: save_figure(
            os.path.join(folder, "burgers.png"), t, x, field, exact, trained.records
        ),
    }
    for name, write in writers.items():
        try:
            write()
        except ImportError as error:
            print(f"not written: {name}: {error}", file=sys.stderr)


def _write_field(folder: str, t: Any, x: Any, u: Any, exact: Any, source: str, about: dict[str, Any]) -> None:
    layout = "u[i_x, i_t]"
    hs.io.save_hdf5(
        os.path.join(folder, "field.h5"),
        {"t": t, "x": x, "u": u, "u_exact": exact},
        {**about, "layout": layout},
        {"u": {"layout": layout}, "u_exact": {"layout": layout, "source": source}},
    )
