"""Reaction and diffusion in one dimension: 10,000 unknowns, and how the end depends on the diffusion constants.

The Brusselator: on x in [0, 1], without flow through the ends,

    u_t = 1 + u^2 v - 4 u + D_u u_xx,    v_t = 3 u - u^2 v + D_v v_xx.

Differences in space make a stiff system of ordinary differential equations. Nobody says where its Jacobian has entries: that
is read off the right-hand side, four in a row of 10,000. It is filled from a few products, whatever the number of points,
and factored by KLU; the adjoint equations of the gradient are solved with its transpose.
"""

import sys
import time

import hesse as hs

quick = "--quick" in sys.argv
points = 200 if quick else 5000
x = hs.linspace(0.0, 1.0, points)


def laplacian(w):
    inside = w[2:] - 2.0 * w[1:-1] + w[:-2]
    return hs.concatenate([2.0 * (w[1:2] - w[:1]), inside, 2.0 * (w[-2:-1] - w[-1:])]) * (points - 1) ** 2


def reaction_diffusion(t, state, diffusion):
    u, v = state
    reaction = u * u * v
    return 1.0 + reaction - 4.0 * u + diffusion[0] * laplacian(u), 3.0 * u - reaction + diffusion[
        1
    ] * laplacian(v)


start = 1.0 + hs.sin(2.0 * hs.pi * x), hs.full(points, 3.0)
diffusion = hs.array([0.02, 0.02])


def solve(diffusion):
    return hs.solvers.solve_ivp(
        reaction_diffusion,
        (0.0, 10.0),
        start,
        args=(diffusion,),
        method="BDF",
        t_eval=[10.0],
        rtol=1e-6,
        atol=1e-8,
    )


def unevenness(diffusion):
    """The variance of u over x at the end."""
    return hs.var(solve(diffusion).y[0][-1])


def flat(y):
    return hs.concatenate(reaction_diffusion(0.0, (y[:points], y[points:]), diffusion))


jacobian = hs.sparse_jacobian(flat)(hs.concatenate(start))
print(f"{jacobian.shape[0]} unknowns, {jacobian.nnz} entries of the Jacobian")

begin = time.perf_counter()
sol = solve(diffusion)
print(
    f"solved in {time.perf_counter() - begin:.2f} s: {int(sol.stats['accepted'])} steps, "
    f"{int(sol.stats['factorisations'])} factorisations"
)

begin = time.perf_counter()
value, gradient = hs.value_and_grad(unevenness)(diffusion)
print(f"value {float(value):.6g} and gradient {gradient} in {time.perf_counter() - begin:.2f} s")

step = hs.array([1e-3, 1e-3]) * diffusion
difference = (unevenness(diffusion + step) - unevenness(diffusion - step)) / 2.0
along = hs.sum(gradient * step)
print(f"along (D_u, D_v): gradient {float(along):.6e}, differences {float(difference):.6e}")
assert abs(float(along - difference)) <= 1e-2 * abs(float(difference))
