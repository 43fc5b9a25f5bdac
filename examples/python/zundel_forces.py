"""Energies and forces of a molecule with SchNet: trains it, checks its symmetries, and runs molecular dynamics.

    python zundel_forces.py zundel.h5 [--epochs 300] [--nve]

The file has structures of one molecule with energies (eV) and forces (eV/Angstrom): extended XYZ, or HDF5 as
hs.io.load_structures reads it. 80 % of them are trained on. Without a file (or HESSE_ZUNDEL) structures of a molecule
are drawn whose atoms attract each other by Morse potentials. Expected for the Zundel cation H5O2+ (1001 structures):
an error of forces of 1 to 2 % of their mean size (below 5 % after some 60 epochs); total energies of 10 ps that stay
within 1e-4 eV per atom.
"""

import argparse
import os
import time

import numpy as np

import hesse as hs
from hesse import gnn

parser = argparse.ArgumentParser()
parser.add_argument("file", nargs="?", default=os.environ.get("HESSE_ZUNDEL"))
parser.add_argument("--epochs", type=int)
parser.add_argument("--width", type=int, default=64)
parser.add_argument("--seed", type=int, default=0)
parser.add_argument("--nve", action="store_true", help="10 ps of dynamics with velocity Verlet")
parser.add_argument("--quick", action="store_true", help="a small network, and short dynamics")
options = parser.parse_args()
CUTOFF, BATCH = 6.0, 10  # Angstrom: no two atoms of the cation are farther apart than 4.6
F32 = {"dtype": hs.float32}


def read(path):
    """Atomic numbers, [N]; positions and forces, [frames, N, 3]; energies."""
    load = hs.io.load_structures if str(path).endswith((".h5", ".hdf5")) else hs.io.load_extxyz
    frames = load(path)
    numbers = frames[0].numbers
    if any(f.numbers.tolist() != numbers.tolist() for f in frames):
        raise SystemExit(f"{path}: the structures must have the same atoms in the same order")
    pos, forces = (
        np.stack([get(f) for f in frames]) for get in (lambda f: f.positions, lambda f: f.arrays["forces"])
    )
    return numbers, pos, forces, np.array([f.info["energy"] for f in frames])


def draw(count=200):
    """Five atoms near the places where their Morse potentials, 2 (1 - e^(1.3 - r))^2, come to rest."""
    rng = np.random.default_rng(0)
    corners = np.array([[0, 0, 0], [1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]) * 0.8

    def energy(pos):
        away = pos[:, None] - pos[None] + 10.0 * hs.eye(5)[:, :, None]  # an atom and itself: far away
        r = hs.sqrt(hs.sum(away**2, axis=-1))
        return hs.sum(hs.triu((1 - hs.exp(1.3 - r)) ** 2, k=1)) * 2.0

    pos = corners + 0.12 * rng.normal(size=(count, 5, 3))
    energies, slopes = hs.vmap(hs.value_and_grad(energy))(hs.asarray(pos))
    return np.array([6, 1, 1, 1, 1]), pos, -np.asarray(slopes), np.asarray(energies)


numbers, pos, forces, energies = read(options.file) if options.file else draw()
atoms, frames = len(numbers), len(pos)
if np.linalg.norm(pos[:, :, None] - pos[:, None], axis=-1).max() > CUTOFF:
    raise SystemExit(f"two atoms are farther apart than the cutoff of {CUTOFF}")
shuffled = np.random.default_rng(options.seed).permutation(frames)
train, test = shuffled[: frames * 4 // 5], shuffled[frames * 4 // 5 :]
mean = energies[train].mean()

# All batches join the same atoms: one graph, into which positions are put, and so one program. Each pair of atoms is
# one edge: SchNet's filter is the same in both directions.
pairs = np.array([(j, i) for i in range(atoms) for j in range(i)]).T
molecule = gnn.Graph(pairs, pos=np.float32(pos[0]), node_data={"z": numbers}, paired=True)
together = gnn.batch([molecule] * BATCH)
small = options.quick
width = min(options.width, 32) if small else options.width
model = gnn.SchNet(
    width,
    width,
    2 if small else 3,
    25,
    CUTOFF,
    largest=int(numbers.max()) + 1,
    key=hs.random.key(options.seed),
    **F32,
)
epochs = options.epochs or (30 if small else 300)
per_epoch = len(train) // BATCH
adam = hs.optim.adam(hs.optim.warmup(100, hs.optim.cosine_decay(2e-3, epochs * per_epoch, 2e-5)))


def loss(model, pos, forces, energies):
    e, f = gnn.energy_and_forces(model, together.replace(pos=pos))
    return hs.mean((f - forces) ** 2) + 0.3 * hs.mean((e - energies) ** 2)


@hs.compile
def step(model, state, *batch):
    value, gradient = hs.value_and_grad(loss)(model, *batch)
    model, state = adam.update(gradient, state, model)
    return model, state, value


@hs.compile
def predict(model, pos):
    return gnn.energy_and_forces(model, together.replace(pos=pos))


def batch(which):
    rows = (pos[which].reshape(-1, 3), forces[which].reshape(-1, 3), energies[which] - mean)
    return [hs.array(r.astype(np.float32)) for r in rows]


def errors(model, which):
    """Mean error of forces over their mean size, and the root mean square error of energies; the last batch is full."""
    found_e, found_f = [], []
    for k in range(0, len(which), BATCH):
        some = np.resize(which[k : k + BATCH], BATCH)
        e, f = predict(model, batch(some)[0])
        found_e.append(np.asarray(e) + mean)
        found_f.append(np.asarray(f).reshape(BATCH, atoms, 3))
    e, f = np.concatenate(found_e)[: len(which)], np.concatenate(found_f)[: len(which)]
    relative = np.abs(f - forces[which]).mean() / np.abs(forces[which]).mean()
    return relative, np.sqrt(np.mean((e - energies[which]) ** 2))


state = adam.init(model)
order = np.random.default_rng(options.seed + 1)
print(f"{len(train)} structures of {atoms} atoms to train on, {len(test)} to test; SchNet of width {width}")
begin = time.perf_counter()
for epoch in range(1, epochs + 1):
    mixed = order.permutation(train)
    for k in range(per_epoch):
        model, state, value = step(model, state, *batch(mixed[k * BATCH : (k + 1) * BATCH]))
    if epoch % max(epochs // 10, 1) == 0:
        relative, energy_error = errors(model, test)
        print(f"epoch {epoch}: loss {float(value):.5f}, test: forces {100 * relative:.2f} % of their mean size, "
              f"energies {1e3 * energy_error:.1f} meV, {time.perf_counter() - begin:.0f} s", flush=True)  # fmt: skip
print(f"force MAE {100 * relative:.2f} % = {1e3 * relative * np.abs(forces[test]).mean():.1f} meV/Angstrom, "
      f"energy RMSE {1e3 * energy_error:.1f} meV, {(time.perf_counter() - begin) / 60:.1f} minutes")  # fmt: skip

# ---- symmetries, in double precision -----------------------------------------------------------------------------------
model = hs.tree_map(lambda a: hs.astype(a, hs.float64), model)


def energy_of(pos, numbers=numbers):
    e, f = gnn.energy_and_forces(model, gnn.radius_graph(pos, CUTOFF, z=numbers))
    return float(e[0]), np.asarray(f)


one = pos[test[0]].astype(np.float64)
turn = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]
turn *= np.sign(np.linalg.det(turn))
mixed = np.random.default_rng(1).permutation(atoms)
e, f = energy_of(one)
copies = {
    "turned": (energy_of(one @ turn.T), f @ turn.T),
    "reflected": (energy_of(one * [1, 1, -1]), f * [1, 1, -1]),
    "moved": (energy_of(one + np.array([3.0, -1.0, 2.0])), f),
    "renumbered": (energy_of(one[mixed], numbers[mixed]), f[mixed]),
}
differences = {name: max(abs(e2 - e), np.abs(f2 - f3).max()) for name, ((e2, f2), f3) in copies.items()}
print("energy and forces of a copy:", ", ".join(f"{name} {d:.1e}" for name, d in differences.items()))
if max(differences.values()) > 1e-10:
    raise SystemExit("the copies should have the same energy and forces to 1e-10")

# ---- dynamics of constant energy ---------------------------------------------------------------------------------------
if options.nve or options.quick:
    MASSES = {1: 1.008, 6: 12.011, 8: 15.999}  # atomic mass units
    PER_FS2 = 9.648533212e-3  # eV / Angstrom / mass unit, in Angstrom / fs^2
    KELVIN = 8.617333e-5  # eV
    dt, every = 0.25, 100
    records = 4 if options.quick else 400  # of 25 fs
    if not set(numbers.tolist()) <= set(MASSES):
        raise SystemExit(f"add the masses of {sorted(set(numbers.tolist()) - set(MASSES))} to MASSES")
    masses = np.array([MASSES[int(z)] for z in numbers])[:, None]
    fixed = gnn.Graph(pairs, pos=np.zeros((atoms, 3)), node_data={"z": numbers}, paired=True)
    rate = hs.asarray(PER_FS2 / masses)

    def potential(model, x):
        e, f = gnn.energy_and_forces(model, fixed.replace(pos=x))
        return e[0], f

    @hs.compile
    def run(model, x, v):
        def verlet(_, state):
            x, v, _, f = state
            v = v + (0.5 * dt) * rate * f
            x = x + dt * v
            e, f = potential(model, x)
            return x, v + (0.5 * dt) * rate * f, e, f

        x, v, e, _ = hs.fori_loop(0, every, verlet, (x, v, *potential(model, x)))
        return x, v, e

    def total(v, e):
        return float(e) + 0.5 * float(np.sum(masses * np.asarray(v) ** 2)) / PER_FS2

    x = pos[np.argmin(energies)].astype(np.float64)
    v = np.random.default_rng(2).normal(size=x.shape) * np.sqrt(300 * KELVIN * PER_FS2 / masses)
    v -= (masses * v).sum(axis=0) / masses.sum()
    x, v = hs.asarray(x), hs.asarray(v)
    begin = time.perf_counter()
    found = [total(v, potential(model, x)[0])]
    farthest = 0.0
    for _ in range(records):
        x, v, e = run(model, x, v)
        found.append(total(v, e))
        at = np.asarray(x)
        farthest = max(farthest, np.linalg.norm(at[:, None] - at[None], axis=-1).max())
    off = np.abs(np.array(found) - found[0]).max() / atoms
    trend = np.polyfit(np.arange(len(found)), found, 1)[0] * records / atoms
    print(f"{records * every * dt / 1000:.2f} ps from 300 K in {time.perf_counter() - begin:.0f} s: total energy off by "
          f"{off:.1e} eV per atom at most, trend {trend:+.1e}; atoms at most {farthest:.1f} Angstrom apart")  # fmt: skip
    if farthest > CUTOFF or off > 1e-3:
        raise SystemExit("the total energy should stay within 1e-3 eV per atom")
limit = 0.05 if options.file and not options.quick else 0.3
if relative > limit:
    raise SystemExit(f"the error of forces should be below {100 * limit:.0f} % of their mean size")
