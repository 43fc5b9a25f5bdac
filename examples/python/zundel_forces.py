"""Energies and forces of a molecule with SchNet: trains it, checks its symmetries, and runs molecular dynamics.

    python zundel_forces.py zundel.h5 [--epochs 300] [--seeds 10] [--nve]

The file has structures of a molecule with energies (eV) and forces (eV/Angstrom): extended XYZ, or HDF5 as
hs.io.load_structures reads it. 80 % of them are trained on. Without a file (or HESSE_ZUNDEL) structures are drawn whose
atoms attract each other by Morse potentials. Expected for the Zundel cation H5O2+ (1001 structures): an error of
forces of 1 to 2 % of their mean size (below 5 % after some 60 epochs); total energies of 10 ps within 1e-4 eV per atom.
"""

import argparse
import os

import numpy as np

import hesse as hs
from hesse import gnn

parser = argparse.ArgumentParser()
parser.add_argument("file", nargs="?", default=os.environ.get("HESSE_ZUNDEL"))
parser.add_argument("--epochs", type=int)
parser.add_argument("--width", type=int, default=64)
parser.add_argument("--seed", type=int, default=0, help="of the split and of the first weights")
parser.add_argument(
    "--seeds", type=int, default=1, help="how many trainings; what follows them is of the first"
)
parser.add_argument("--nve", action="store_true", help="10 ps of dynamics of constant energy")
parser.add_argument("--quick", action="store_true", help="a small network, and short dynamics")
options = parser.parse_args()
CUTOFF, BATCH = 6.0, 10  # Angstrom: no two atoms of the cation are farther apart than 4.6
MASSES = {1: 1.008, 6: 12.011, 8: 15.999}


def draw(count=200):
    """Five atoms near the places where their Morse potentials, 2 (1 - e^(1.3 - r))^2, come to rest."""
    corners = np.array([[0, 0, 0], [1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]) * 0.8
    pos = corners + 0.12 * np.random.default_rng(0).normal(size=(count, 5, 3))
    i, j = np.triu_indices(5, k=1)

    def energy(pos):
        return 2.0 * hs.sum((1.0 - hs.exp(1.3 - hs.linalg.vector_norm(pos[i] - pos[j], axis=1))) ** 2)

    found = zip(pos, *map(np.asarray, hs.vmap(hs.value_and_grad(energy))(hs.asarray(pos))), strict=True)
    numbers = np.array([6, 1, 1, 1, 1])
    return [hs.io.Structure(numbers, x, arrays={"forces": -g}, info={"energy": e}) for x, e, g in found]


load = hs.io.load_structures if str(options.file).endswith((".h5", ".hdf5")) else hs.io.load_extxyz
frames = load(options.file) if options.file else draw()
energies = np.array([s.info["energy"] for s in frames])
start = frames[energies.argmin()]
if (options.nve or options.quick) and not set(start.numbers) <= set(MASSES):
    raise SystemExit(f"add the masses of {set(start.numbers.tolist()) - set(MASSES)} to MASSES")
largest = 1 + max(s.numbers.max() for s in frames)
epochs = options.epochs or (30 if options.quick else 300)
width, depth = (min(options.width, 32), 2) if options.quick else (options.width, 3)
predict = hs.compile(gnn.energy_and_forces)


def loss(model, batch):
    e, f = gnn.energy_and_forces(model, batch)
    return hs.mean((f - batch.node_data["forces"]) ** 2) + 0.3 * hs.mean((e - batch.y) ** 2)


def trained(seed):
    """A model, a structure that it has not seen, and the error of forces in units of their mean size."""
    train, test = np.split(np.random.default_rng(seed).permutation(len(frames)), [len(frames) * 4 // 5])
    # Each pair of atoms is one edge: SchNet's filter is the same in both directions.
    graphs = gnn.from_structures(
        frames, CUTOFF, energies - energies[train].mean(), pairs=True, dtype=hs.float32
    )
    batches = gnn.DataLoader([graphs[k] for k in train], BATCH, shuffle=True, key=seed, drop_last=True)
    unseen = gnn.DataLoader([graphs[k] for k in test], BATCH)
    model = gnn.SchNet(
        width, width, depth, 25, CUTOFF, largest=largest, key=hs.random.key(seed), dtype=hs.float32
    )
    adam = hs.optim.adam(hs.optim.warmup(100, hs.optim.cosine_decay(2e-3, epochs * len(batches), 2e-5)))

    @hs.compile
    def step(model, state, batch):
        value, gradient = hs.value_and_grad(loss)(model, batch)
        return *adam.update(gradient, state, model), value

    state = adam.init(model)
    print(
        f"seed {seed}: {len(train)} structures to train on, {len(test)} to test: {graphs[0]}; SchNet of width {width}"
    )
    for epoch in range(1, epochs + 1):
        for batch in batches:
            model, state, value = step(model, state, batch)
        if epoch % max(epochs // 10, 1) == 0:
            found = [(*predict(model, b), b.y, b.node_data["forces"]) for b in unseen]
            e, f, true_e, true_f = map(np.concatenate, zip(*found, strict=True))
            rmse, mae = gnn.root_mean_square_error(e, true_e), gnn.mean_absolute_error(f, true_f)
            error = mae / np.abs(true_f).mean()
            print(f"epoch {epoch}: loss {float(value):.5f}, test: energies {1e3 * rmse:.1f} meV, forces "
                  f"{1e3 * mae:.1f} meV/Angstrom, {100 * error:.2f} % of their mean size", flush=True)  # fmt: skip
    return model, frames[test[0]], error


runs = [trained(options.seed + k) for k in range(options.seeds)]
(model, one, _), errors = runs[0], np.array([error for *_, error in runs])
if options.seeds > 1:
    print(
        f"{options.seeds} seeds: forces {100 * errors.mean():.2f} +- {100 * errors.std(ddof=1):.2f} % of their mean size"
    )

# ---- symmetries, in double precision: of x and of x[order] q^T + shift -------------------------------------------------
model = hs.tree_map(lambda a: hs.astype(a, hs.float64), model)
at = lambda x, z: map(np.asarray, gnn.energy_and_forces(model, gnn.radius_graph(x, CUTOFF, z=z, pairs=True)))
rng, x, z = np.random.default_rng(0), np.float64(one.positions), one.numbers
order, turn, off = rng.permutation(len(z)), np.linalg.qr(rng.normal(size=(3, 3)))[0], 0.0
e, f = at(x, z)
for q in (turn, -turn):  # one of them is a reflection too
    e2, f2 = at(x[order] @ q.T + [3.0, -1.0, 2.0], z[order])
    off = max(off, np.abs(e2 - e).max(), np.abs(f2 - f[order] @ q.T).max())
print(f"energy and forces of copies, turned, reflected, moved and renumbered, differ by {off:.1e}")
if off > 1e-10:
    raise SystemExit("the copies should have the same energy and forces to 1e-10")

# ---- dynamics of constant energy, in eV, Angstrom and atomic mass units ------------------------------------------------
if options.nve or options.quick:
    fs, kelvin = 1 / 10.180506, 8.617333e-5  # the latter times k_B
    x, z, m = np.float64(start.positions), start.numbers, np.array([[MASSES[z]] for z in start.numbers])
    graph = gnn.radius_graph(x, CUTOFF, z=z, pairs=True)
    T, V = lambda p: hs.sum(p**2 / (2 * m)), lambda x: model(graph.replace(pos=x))[0]
    p = np.random.default_rng(2).normal(size=x.shape) * np.sqrt(300 * kelvin * m)
    p -= m * p.sum(axis=0) / m.sum()
    times, motion = 25 * fs * np.arange(5 if options.quick else 401), hs.solvers.hamiltonian(T, V)
    x, p = hs.solvers.solve_ivp(motion, (0, times[-1]), (x, p), "Leapfrog", times, first_step=0.25 * fs).y
    total = np.array([float(T(b) + V(a)) for a, b in zip(x, p, strict=True)]) / len(z)
    off = np.abs(total - total[0]).max()
    print(f"{times[-1] / fs / 1000:.2f} ps from 300 K: total energy off by {off:.1e} eV per atom at most")
    if off > 1e-3 or hs.max(hs.linalg.vector_norm(x[:, :, None] - x[:, None], axis=-1)) > CUTOFF:
        raise SystemExit("the total energy should stay within 1e-3 eV per atom, and the molecule together")
limit = 0.05 if options.file and not options.quick else 0.3
if errors.max() > limit:
    raise SystemExit(f"the error of forces should be below {100 * limit:.0f} % of their mean size")
