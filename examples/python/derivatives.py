"""Derivatives of functions of numbers and arrays, each compared with the exact value."""

import hesse as hs


def check(what, value, exact, tolerance=1e-12):
    error = float(hs.max(hs.abs(value - exact)))
    print(f"{what:<55} error {error:.1e}")
    if not error <= tolerance:
        raise SystemExit(f"{what}: {value}, should be {exact}")


# A derivative is a function again, so derivatives nest.
f = lambda x: hs.sin(x) ** 2
check("grad", hs.grad(f)(0.7), hs.sin(1.4))
check("grad of grad of grad", hs.grad(hs.grad(hs.grad(f)))(0.7), -4.0 * hs.sin(1.4))


# F: R^2 -> R^2. jvp is the Jacobian matrix times a vector, vjp its transpose times a vector.
def F(x):
    return hs.stack([x[0] * x[1], hs.exp(x[1])])


x = hs.array([2.0, 0.5])
J = hs.array([[0.5, 2.0], [0.0, hs.exp(0.5)]])
v, w = hs.array([1.0, -1.0]), hs.array([3.0, 1.0])
y, Jv = hs.jvp(F, (x,), (v,))
check("jvp", Jv, J @ v)
y, pull_back = hs.vjp(F, x)
(wJ,) = pull_back(w)
check("vjp", wJ, w @ J)
check("jacobian", hs.jacobian(F)(x), J)

# g: R^2 -> R
g = lambda x: x[0] ** 3 * x[1]
H = hs.array([[6.0 * 2.0 * 0.5, 3.0 * 4.0], [3.0 * 4.0, 0.0]])
check("hessian", hs.hessian(g)(x), H)
check("hvp, the Hessian times a vector", hs.hvp(g, x, v), H @ v)

# Some partial derivatives at once: u solves the heat equation u_t = u_xx / pi^2.
u = lambda t, x: hs.exp(-t) * hs.sin(hs.pi * x)
u0, u_t, u_xx, u_tx = hs.partials(u, (0.3, 0.2), ["", "t", "xx", "tx"])
check("partials: u_t", u_t, -u0)
check("partials: u_t - u_xx / pi^2", u_t - u_xx / hs.pi**2, 0.0)
check("partials: u_tx", u_tx, -hs.pi * hs.exp(-0.3) * hs.cos(0.2 * hs.pi))

# The Laplacian of |x|^4 in three dimensions is 20 |x|^2.
value, laplacian = hs.laplacian(lambda x: hs.sum(x**2) ** 2, hs.array([1.0, 2.0, 3.0]))
check("laplacian", laplacian, 20.0 * 14.0)

# A derivative inside a function that is differentiated: d/da of (d/dx)^2 sin(a x) at a = 2, x = 1.
inner = lambda a: hs.grad(hs.grad(lambda x: hs.sin(a * x)))(1.0)
check("grad of a second derivative", hs.grad(inner)(2.0), -4.0 * hs.sin(2.0) - 4.0 * hs.cos(2.0))


# Ordinary `if` and `while` on values: Newton's method for the root of a, with the derivative of the root.
def root(a):
    if a == 0.0:
        return a
    x = a
    while hs.abs(x * x - a) > 1e-14 * a:
        x = 0.5 * (x + a / x)
    return x


check("grad through if and while", hs.grad(root)(2.0), 0.5 / hs.sqrt(2.0))


# A rule of one's own: log(1 + e^x) overflows at 1000, and so would its derivative.
@hs.custom_jvp
def log1pexp(x):
    return hs.where(x > 30.0, x, hs.log1p(hs.exp(hs.minimum(x, 30.0))))


@log1pexp.defjvp
def rule(primals, tangents):
    (x,), (dx,) = primals, tangents
    return log1pexp(x), hs.sigmoid(x) * dx


check("custom_jvp", hs.grad(log1pexp)(1000.0), 1.0)
check("custom_jvp, second derivative", hs.grad(hs.grad(log1pexp))(0.0), 0.25)

# vmap: a function of one example, applied to many. The derivative of f at four points:
points = hs.array([0.0, 0.5, 1.0, 1.5])
check("vmap of grad", hs.vmap(hs.grad(f))(points), hs.sin(2.0 * points))
total = lambda x: hs.sum(hs.vmap(f)(x))
check("hessian of a vmap", hs.hessian(total)(points), hs.diag(2.0 * hs.cos(2.0 * points)))
