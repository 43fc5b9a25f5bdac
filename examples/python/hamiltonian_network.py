"""A Hamiltonian network (Greydanus, Dzamba, Yosinski, 2019): two networks become the energies of a pendulum.

They are trained on trajectories, through a symplectic solver: gradients of T(p) and V(q) make the equations of motion. The
energy that was learnt then stays constant however long one looks.
"""

import sys

import hesse as hs

quick = "--quick" in sys.argv
steps = 400 if quick else 3000
times = hs.linspace(0.0, 2.0, 11)[1:]
h = 0.1


class Energies(hs.nn.Module):
    kinetic: hs.nn.MLP
    potential: hs.nn.MLP

    def T(self, p):
        return self.kinetic(hs.reshape(p, (1,)))[0]

    def V(self, q):
        return self.potential(hs.reshape(q, (1,)))[0]


def solution(T, V, start, times, step=h):
    """[times, 2]: q and p."""
    equations = hs.solvers.hamiltonian(T, V)
    sol = hs.solvers.solve_ivp(
        equations, (0.0, times[-1]), (start[0], start[1]), "Yoshida4", times, first_step=step
    )
    return hs.stack(sol.y, axis=1)


def true_T(p):
    return 0.5 * p**2


def true_V(q):
    return -hs.cos(q)


keys = hs.unstack(hs.random.split(hs.random.key(0), num=3))
starts = hs.random.uniform(keys[0], (32, 2), -1.5, 1.5)
data = hs.vmap(lambda s: solution(true_T, true_V, s, times, 0.02))(starts)
model = Energies(hs.nn.MLP([1, 24, 1], hs.tanh, key=keys[1]), hs.nn.MLP([1, 24, 1], hs.tanh, key=keys[2]))
adam = hs.optim.adam(hs.optim.cosine_decay(1e-2, steps))


def loss(model):
    return hs.mean((hs.vmap(lambda s: solution(model.T, model.V, s, times))(starts) - data) ** 2)


@hs.compile
def step(model, state):
    value, gradient = hs.value_and_grad(loss)(model)
    model, state = adam.update(gradient, state, model)
    return model, state, value


state = adam.init(model)
for i in range(steps):
    model, state, value = step(model, state)
    if i == 0 or (i + 1) % (steps // 5) == 0:
        print(f"step {i + 1:5}: loss {float(value):.2e}")

# A hundred times as long as the data, from where they never were.
long = hs.linspace(0.0, 200.0, 101)[1:]
start = hs.array([1.0, 0.3])
learnt = solution(model.T, model.V, start, long)
energy = true_T(learnt[:, 1]) + true_V(learnt[:, 0])
drift = float(hs.max(hs.abs(energy - (true_T(start[1]) + true_V(start[0])))))
print(f"true energy along the learnt trajectory to t = 200: within {drift:.3f}")
if not drift < 0.1:
    raise SystemExit("it should be within 0.1")
