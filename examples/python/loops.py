"""Gradients through loops: a differential equation solved in a `scan`, Newton's method in a `while_loop`."""

import hesse as hs


def check(what, value, exact, tolerance):
    error = float(hs.max(hs.abs(value - exact)))
    print(f"{what:<55} error {error:.1e}")
    if not error <= tolerance:
        raise SystemExit(f"{what}: {value}, should be {exact}")


# The logistic equation y' = r y (1 - y), y(0) = 0.1, until t = 2, by 200 steps of the classical Runge-Kutta method.
# A scan is a loop that is recorded once: its derivatives are loops too, forwards and backwards.
y0, T, steps = 0.1, 2.0, 200
h = T / steps


def solve(r):
    def rate(y):
        return r * y * (1.0 - y)

    def step(y, t):
        k1 = rate(y)
        k2 = rate(y + 0.5 * h * k1)
        k3 = rate(y + 0.5 * h * k2)
        k4 = rate(y + h * k3)
        y = y + h / 6.0 * (k1 + 2.0 * k2 + 2.0 * k3 + k4)
        return y, y  # carried to the next step, and kept

    return hs.scan(step, hs.array(y0), hs.arange(steps) * h)


def exact(r, t):
    return 1.0 / (1.0 + (1.0 / y0 - 1.0) * hs.exp(-r * t))


final = lambda r: solve(r)[0]
end, path = solve(hs.array(1.5))
y = exact(1.5, T)
check("y(2)", end, y, 1e-10)
check("y at all times", path, exact(1.5, h * hs.arange(1.0, steps + 1.0)), 1e-10)
check("dy(2)/dr, reverse mode", hs.grad(final)(1.5), T * y * (1.0 - y), 1e-9)
check("dy(2)/dr, forward mode", hs.jvp(final, (1.5,), (1.0,))[1], T * y * (1.0 - y), 1e-9)
check("d2y(2)/dr2", hs.grad(hs.grad(final))(1.5), T**2 * y * (1.0 - y) * (1.0 - 2.0 * y), 1e-9)

# Which r gives y(2) = 1/2? Newton's method outside, its derivative through the scan. Exact: log(9) / 2.
r = 1.5
value_and_slope = hs.compile(hs.value_and_grad(final))
for _ in range(8):
    value, slope = value_and_slope(r)
    r = r - (value - 0.5) / slope
check("the r for which y(2) = 1/2", r, hs.log(9.0) / 2.0, 1e-9)

# Many r at once.
rates = hs.array([0.5, 1.0, 2.0])
ys = exact(rates, T)
check("dy(2)/dr for many r", hs.vmap(hs.grad(final))(rates), T * ys * (1.0 - ys), 1e-9)


# Kepler's equation E - e sin(E) = M by Newton's method; how often the loop turns is known when it runs.
def kepler(M, e):
    def error(E):
        return E - e * hs.sin(E) - M

    return hs.while_loop(
        lambda E: hs.abs(error(E)) > 1e-14,
        lambda E: E - error(E) / (1.0 - e * hs.cos(E)),
        M,
    )


M, e = hs.array(0.8), hs.array(0.6)
E = kepler(M, e)
dM, de = hs.grad(kepler, argnums=(0, 1))(M, e)
check("Kepler's equation", E - e * hs.sin(E), M, 1e-13)
check("dE/dM through the while_loop", dM, 1.0 / (1.0 - e * hs.cos(E)), 1e-12)
check("dE/de through the while_loop", de, hs.sin(E) / (1.0 - e * hs.cos(E)), 1e-12)

# fori_loop: a product of 20 factors, whose logarithm has the derivative sum k / (1 + k x).
product = lambda x: hs.fori_loop(1, 21, lambda k, p: p * (1.0 + k * x), hs.array(1.0))
k = hs.arange(1.0, 21.0)
check("fori_loop", hs.grad(lambda x: hs.log(product(x)))(0.3), hs.sum(k / (1.0 + 0.3 * k)), 1e-12)
