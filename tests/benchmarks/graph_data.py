"""Graphs and molecules of the workloads: the same numbers for every library, from fixed seeds."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

# ---- w5: a random graph of the size of Cora ------------------------------------------------------------------------
NODES, PAIRS, WORDS, HIDDEN, CLASSES, LABELLED = 2708, 5278, 1433, 16, 7, 140
DENSITY = 0.0127  # of the words of a document
GCN_RATE = 1e-2


class Citations(NamedTuple):
    """D^-1/2 (A + I) D^-1/2 by rows, documents as rows of words that sum to one, and weights [in, out]."""

    indptr: np.ndarray  # [N + 1]
    source: np.ndarray  # [E], sorted by target and source
    weights: np.ndarray  # [E]
    x: np.ndarray  # [N, words], mostly zeros
    labels: np.ndarray  # [N]
    labelled: np.ndarray  # [140]
    layers: list[tuple[np.ndarray, np.ndarray]]

    def target(self) -> np.ndarray:
        return np.repeat(np.arange(NODES), np.diff(self.indptr))


def glorot(rng: np.random.Generator, m: int, n: int, dtype: str) -> np.ndarray:
    return (rng.uniform(-1.0, 1.0, (m, n)) * np.sqrt(6.0 / (m + n))).astype(dtype)


def citations(dtype: str) -> Citations:
    rng = np.random.default_rng(5)
    pairs: set[tuple[int, int]] = set()
    while len(pairs) < PAIRS:
        i, j = sorted(int(v) for v in rng.integers(0, NODES, 2))
        if i != j:
            pairs.add((i, j))
    i, j = np.array(sorted(pairs)).T
    loops = np.arange(NODES)
    source, target = np.concatenate([i, j, loops]), np.concatenate([j, i, loops])
    order = np.lexsort((source, target))
    source, target = source[order], target[order]
    degree = np.bincount(target, minlength=NODES)
    weights = (1.0 / np.sqrt(degree[source] * degree[target])).astype(dtype)
    x = (rng.random((NODES, WORDS)) < DENSITY).astype(dtype)
    x /= np.maximum(x.sum(1, keepdims=True), 1)
    labels, labelled = rng.integers(0, CLASSES, NODES), np.sort(rng.permutation(NODES)[:LABELLED])
    sizes = ((WORDS, HIDDEN), (HIDDEN, CLASSES))
    layers = [(glorot(rng, m, n, dtype), np.zeros(n, dtype)) for m, n in sizes]
    indptr = np.concatenate([[0], np.cumsum(degree)])
    return Citations(indptr, source, weights, x, labels, labelled, layers)


# ---- w7: molecules that are random points --------------------------------------------------------------------------
MOLECULES, ATOMS, WIDTH, INTERACTIONS, GAUSSIANS, CUTOFF = 64, 20, 64, 3, 50, 5.0
ELEMENTS = (1, 6, 7, 8)
SCHNET_RATE = 1e-4

Weights = dict[str, np.ndarray]


class Molecules(NamedTuple):
    """Edges join atoms of a molecule within the cutoff, sorted by target."""

    pos: np.ndarray  # [N, 3]
    z: np.ndarray  # [N], atomic numbers
    molecule: np.ndarray  # [N]
    source: np.ndarray  # [E]
    target: np.ndarray  # [E]
    energies: np.ndarray  # [molecules]
    forces: np.ndarray  # [N, 3]
    weights: Weights  # [in, out], and biases


def _points(rng: np.random.Generator) -> np.ndarray:
    """Atoms in a box of 6.6, no two of them within 1.2: some 12 neighbours each."""
    found = np.empty((0, 3))
    while len(found) < ATOMS:
        p = rng.uniform(0.0, 6.6, 3)
        if not len(found) or np.linalg.norm(found - p, axis=1).min() > 1.2:
            found = np.vstack([found, p])
    return found


def molecules(dtype: str, count: int = MOLECULES) -> Molecules:
    rng = np.random.default_rng(7)
    each = [_points(rng) for _ in range(count)]
    sources, targets = [], []
    for m, p in enumerate(each):
        distance = np.linalg.norm(p[:, None] - p[None], axis=-1)
        i, j = np.nonzero((distance < CUTOFF) & (distance > 0))
        targets.append(i + m * ATOMS)
        sources.append(j + m * ATOMS)
    n = count * ATOMS
    z, molecule = rng.choice(ELEMENTS, n), np.repeat(np.arange(count), ATOMS)
    energies, forces = rng.standard_normal(count).astype(dtype), rng.standard_normal((n, 3)).astype(dtype)
    h, half = WIDTH, WIDTH // 2
    w: Weights = {"embedding": rng.standard_normal((100, h)).astype(dtype)}
    for k in range(INTERACTIONS):
        w |= {f"{k}.{name}": glorot(rng, m, h, dtype) for name, m in
              (("first", GAUSSIANS), ("second", h), ("before", h), ("after", h), ("last", h))}  # fmt: skip
        w |= {f"{k}.{name}.bias": np.zeros(h, dtype) for name in ("first", "second", "after", "last")}
    w |= {"hidden": glorot(rng, h, half, dtype), "hidden.bias": np.zeros(half, dtype)}
    w |= {"last": glorot(rng, half, 1, dtype), "last.bias": np.zeros(1, dtype)}
    pos = np.concatenate(each).astype(dtype)
    return Molecules(pos, z, molecule, np.concatenate(sources), np.concatenate(targets), energies, forces, w)
