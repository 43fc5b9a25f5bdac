"""Solubilities of molecules (ESOL), or their free energies of hydration (FreeSolv), with a message-passing network.

    python esol.py [delaney-processed.csv | FreeSolv_SAMPL.csv --freesolv] [--seeds 10]

The file has columns of SMILES and targets (Delaney 2004: log10 of mol per litre; Mobley and Guthrie 2014: kcal/mol); without
it (or HESSE_ESOL, HESSE_FREESOLV) Crippen's partition coefficients of molecules that are drawn. Each seed trains on 80 %, at
random, and chooses the epoch by 10 % and tests on 10 %, as in MoleculeNet (Wu et al. 2018): test RMSE 0.58 +- 0.03, 1.15 +- 0.12.
"""

import argparse
import csv
import os

import numpy as np

import hesse as hs
from hesse import gnn

parser = argparse.ArgumentParser()
parser.add_argument("file", nargs="?")
parser.add_argument("--freesolv", action="store_true")
parser.add_argument("--seeds", type=int, default=10)
parser.add_argument("--quick", action="store_true", help="one seed, few epochs")
options = parser.parse_args()
file = options.file or os.environ.get("HESSE_FREESOLV" if options.freesolv else "HESSE_ESOL")
TARGET = "expt" if options.freesolv else "measured log solubility in mols per litre"
BATCH, LAYERS, WIDTH, F32 = 32, 4, 64, {"dtype": hs.float32}


def read(path):
    with open(path, newline="") as text:
        rows = list(csv.DictReader(text))
    try:
        return [row["smiles"] for row in rows], np.array([float(row[TARGET]) for row in rows])
    except (KeyError, ValueError, TypeError) as error:
        raise SystemExit(f"{path}: expected columns 'smiles' and {TARGET!r} with numbers: {error}") from error


def draw(count=300):
    from rdkit.Chem import Crippen, MolFromSmiles

    rng = np.random.default_rng(0)

    def grow(size):  # chains with branches and rings
        if size <= 1:
            return str(rng.choice(["C", "C", "N", "O", "F", "Cl"]))
        if rng.random() < 0.3:
            return f"c1ccc({grow(size - 6)})cc1"
        first = int(rng.integers(size - 1))
        return f"C({grow(first)}){grow(size - 1 - first)}" if first else f"C{grow(size - 1)}"

    smiles = [grow(int(rng.integers(1, 14))) for _ in range(count)]
    return smiles, np.array([Crippen.MolLogP(MolFromSmiles(s)) for s in smiles])


class Network(hs.nn.Module):
    """Residual layers with messages relu(h_j + V e_ij); then sum and mean over atoms, and a dense network."""

    __buffers__ = ("centre", "spread")  # of the targets trained on

    def __init__(self, y, key):
        keys = iter(hs.unstack(hs.random.split(key, num=2 + 2 * LAYERS)))
        net = lambda *sizes: hs.nn.MLP(sizes, hs.nn.relu, key=next(keys), **F32)
        bonds = {"in_features": WIDTH, "edge_features": len(gnn.BOND_FEATURES)}
        conv = lambda: gnn.GINEConv(net(WIDTH, 2 * WIDTH, WIDTH), **bonds, key=next(keys), **F32)
        self.centre, self.spread = hs.asarray(np.mean(y), **F32), hs.asarray(np.std(y), **F32)
        self.embed = hs.nn.Linear(len(gnn.ATOM_FEATURES), WIDTH, key=next(keys), **F32)
        self.layers = [conv() for _ in range(LAYERS)]
        self.norms = [hs.nn.LayerNorm(WIDTH, **F32) for _ in range(LAYERS)]
        self.head = net(2 * WIDTH, WIDTH, 1)

    def __call__(self, batch, key=None):  # without a key: evaluation
        keys = [None] * LAYERS if key is None else hs.unstack(hs.random.split(key, num=LAYERS))
        h = hs.nn.relu(self.embed(batch.x))
        for layer, norm, k in zip(self.layers, self.norms, keys, strict=True):
            h = h + hs.nn.dropout(hs.nn.relu(norm(layer(h, batch))), 0.1, k)
        pooled = hs.concat([0.1 * gnn.global_sum_pool(h, batch), gnn.global_mean_pool(h, batch)], axis=-1)
        return self.centre + self.spread * self.head(pooled)[:, 0]


smiles, y = read(file) if file else draw()
graphs = gnn.molecules(smiles, np.float32(y), dtype=hs.float32)
# One choice of sizes for all parts of all splits, so that each function is recorded once for each.
sizes = gnn.DataLoader(graphs, BATCH, shuffle=True, key=0, pad=True).sizes
seeds, epochs = (1, 15) if options.quick else (options.seeds, 60)
steps = epochs * (round(0.8 * len(graphs)) // BATCH)
adam = hs.optim.adam(hs.optim.warmup(100, hs.optim.cosine_decay(1e-3, steps, 2e-5)))


@hs.compile
def step(model, state, batch, key):
    off = lambda model: (model(batch, key) - batch.y) / model.spread
    loss = lambda model: hs.sum(batch.graph_mask * off(model) ** 2) / hs.sum(batch.graph_mask)
    value, gradient = hs.value_and_grad(loss)(model)
    return *adam.update(gradient, state, model), value


predict = hs.compile(lambda model, batch: model(batch))
every = lambda model, loader: hs.concat([predict(model, batch)[batch.graph_mask] for batch in loader])
print(f"{len(graphs)} molecules, {epochs} epochs, batches of {BATCH} padded to {sizes} atoms and bonds")
results = []
for seed in range(seeds):
    splitting, weights, order, dropping = hs.unstack(hs.random.split(hs.random.key(seed), num=4))
    rows = [np.asarray(part) for part in gnn.random_split(splitting, len(graphs))]
    parts = [[graphs[k] for k in part] for part in rows]
    train = gnn.DataLoader(parts[0], BATCH, shuffle=True, key=order, drop_last=True, pad=sizes)
    val, test = (gnn.DataLoader(part, BATCH, pad=sizes) for part in parts[1:])
    model = Network(y[rows[0]], weights)
    state, best, count = adam.init(model), gnn.EarlyStopping(patience=epochs), 0
    for _ in range(epochs):
        for batch in train:
            model, state, _ = step(model, state, batch, hs.random.fold_in(dropping, count))
            count += 1
        best.stop(gnn.root_mean_square_error(every(model, val), y[rows[1]]), model)
    results.append(gnn.root_mean_square_error(every(best.model, test), y[rows[2]]))
    print(f"seed {seed}: epoch {best.epoch}: validation {best.best:.3f}, test {results[-1]:.3f}", flush=True)
print(f"test RMSE {np.mean(results):.3f} +- {np.std(results):.3f} over {seeds} splits")
if not file and np.mean(results) > 0.5 * np.std(y):
    raise SystemExit("the error on the drawn molecules should be below half of their spread")
