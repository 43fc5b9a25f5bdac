"""Poisson's equation on the unit square with a physics-informed network.

    u_xx + u_yy = f in (0, 1)^2,   u = 0 on the boundary

f is chosen so that the solution is u = sin(pi x) sin(2 pi y) e^x.
"""

import hesse as hs

pi = hs.pi
exact = lambda x, y: hs.sin(pi * x) * hs.sin(2.0 * pi * y) * hs.exp(x)


def f(x, y):
    along_x = (1.0 - 5.0 * pi**2) * hs.sin(pi * x) + 2.0 * pi * hs.cos(pi * x)
    return along_x * hs.exp(x) * hs.sin(2.0 * pi * y)


# The factor x (1 - x) y (1 - y) vanishes on the boundary: the condition holds whatever the network says.
def solution(net):
    def u(x, y):
        return x * (1.0 - x) * y * (1.0 - y) * net(hs.stack([2.0 * x - 1.0, 2.0 * y - 1.0]))[0]

    return u


# What should vanish, at one point. vmap takes it to all points.
def residual(net, x, y):
    u_xx, u_yy = hs.partials(solution(net), (x, y), ["xx", "yy"])
    return u_xx + u_yy - f(x, y)


xs, ys = hs.unstack(hs.physics.sobol(hs.random.key(1), 256, 2), axis=1)


@hs.compile
@hs.value_and_grad
def loss(net):
    return hs.mean(hs.vmap(residual, in_axes=(None, 0, 0))(net, xs, ys) ** 2)


net = hs.nn.MLP([2, 16, 16, 1], hs.tanh, key=hs.random.key(0))
lbfgs = hs.optim.lbfgs(loss, net)
while lbfgs.iterations < 600 and lbfgs.step():
    if lbfgs.iterations % 100 == 0:
        print(f"iteration {lbfgs.iterations}: loss {lbfgs.value:.2e}")

x, y = map(hs.ravel, hs.meshgrid(hs.linspace(0.0, 1.0, 41), hs.linspace(0.0, 1.0, 41)))
error = float(hs.physics.relative_l2(hs.vmap(solution(lbfgs.params))(x, y), exact(x, y)))
print(f"relative L2 error on 41 x 41 points: {error:.2e}")
if not error < 1e-3:
    raise SystemExit("it should be below 1e-3")
