"""diffrax's Kvaerno5 on the problems of tests/support/stiff_problems.py: requests and replies are lines of JSON."""

from __future__ import annotations

import json
import statistics
import sys
import time
from typing import Any

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
import optimistix
from stiff_problems import PROBLEMS

jax.config.update("jax_enable_x64", True)


def solver(name: str) -> Any:
    problem = PROBLEMS[name]
    rates, times = problem.rates, jnp.asarray(problem.times)
    # Its default root finder takes many times as long.
    method = diffrax.Kvaerno5(root_finder=diffrax.with_stepsize_controller_tols(optimistix.Newton)())
    term = diffrax.ODETerm(lambda t, y, p: rates(jnp, t, y, p))

    @jax.jit
    def solve(y0: Any, p: Any, rtol: Any) -> Any:
        control = diffrax.PIDController(
            rtol=rtol, atol=rtol * jnp.asarray(problem.scale), pcoeff=0.3, icoeff=0.4
        )
        found = diffrax.diffeqsolve(
            term, method, 0.0, times[-1], None, y0, p,
            saveat=diffrax.SaveAt(ts=times), stepsize_controller=control, max_steps=200_000, throw=False,
        )  # fmt: skip
        return found.ys, found.stats["num_steps"]

    return lambda rtol: jax.block_until_ready(solve(problem.y0, problem.p, rtol))


def main() -> None:
    for line in sys.stdin:
        request = json.loads(line)
        solve = solver(request["problem"])
        for rtol in request["rtols"]:
            y, steps = solve(rtol)
            times: list[float] = []
            while len(times) < 3 or sum(times) < request["seconds"]:
                begin = time.perf_counter()
                solve(rtol)
                times.append(time.perf_counter() - begin)
            reply = {"seconds": statistics.median(times), "steps": int(steps), "y": np.asarray(y).tolist()}
            print(json.dumps(reply), flush=True)


if __name__ == "__main__":
    main()
