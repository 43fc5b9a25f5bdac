"""Molecules from SMILES: features by hand and against PyTorch Geometric, rows that cannot be read, scaffold splits.

HESSE_PEERS_PYTHON names an interpreter that has torch_geometric and rdkit, as for the benchmarks.
"""

import csv
import os
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

import hesse as hs
from hesse import gnn

Chem = pytest.importorskip("rdkit.Chem", reason="RDKit is not installed: pip install rdkit")

DATA = Path(__file__).parents[3] / "shared" / "data" / "molecules"
WORKER = Path(__file__).parents[1] / "support" / "pyg_molecules.py"
# Charges, radicals, all bond orders, aromatic and other rings, stereo of atoms and of bonds, a salt, isotopes, odd elements.
SMILES = [
    "C", "[Na+].[Cl-]", "CC(=O)[O-]", "C#N", "c1ccccc1", "Cn1cnc2c1c(=O)n(C)c(=O)n2C", "C/C=C/C", "C/C=C\\C", "CC=CC",
    "N[C@@H](C)C(=O)O", "N[C@H](C)C(=O)O", "FS(F)(F)(F)(F)F", "O=P(Cl)(Cl)Cl", "[CH3]", "[2H]C([2H])[2H]", "[Fe]",
    "C[N+](C)(C)C", "C1CC1C2CCCC2", "O=C1C=CC(=O)C=C1", "BrCC(I)[SiH3]", "[H][H]", "C[Hg]C", "c1ccc2[nH]ccc2c1", "N->[Pt]",
]  # fmt: skip


def table(graph):
    """Names of the groups to names of the entries that are 1, atom by atom; other columns as numbers."""
    return [dict(zip(gnn.ATOM_FEATURES, row, strict=True)) for row in np.asarray(graph.x).tolist()]


def on(row):
    return {name for name, value in row.items() if value == 1.0}


def test_atoms_by_hand():
    graph = gnn.from_smiles("C[C@H](N)C(=O)[O-]")  # L-alanine's ion: S
    rows = table(graph)
    assert on(rows[0]) == {
        "element C",
        "degree 1",
        "charge 0",
        "hydrogens 3",
        "hybridisation SP3",
        "chirality other",
    }
    assert on(rows[1]) == {
        "element C",
        "degree 3",
        "charge 0",
        "hydrogens 1",
        "hybridisation SP3",
        "chirality S",
    }
    assert on(rows[4]) == {
        "element O",
        "degree 1",
        "charge 0",
        "hydrogens 0",
        "hybridisation SP2",
        "chirality other",
    }
    assert {"charge -1", "element O", "hydrogens 0"} <= on(rows[5])
    assert rows[2]["mass / 100"] == pytest.approx(0.14007)
    assert graph.node_data["z"].tolist() == [6, 6, 7, 6, 8, 8]
    assert {"chirality R"} <= on(table(gnn.from_smiles("C[C@@H](N)C(=O)[O-]"))[1])
    assert {"aromatic", "ring", "hybridisation SP2", "hydrogens 1"} <= on(
        table(gnn.from_smiles("c1ccccc1"))[0]
    )
    assert {"element other", "hydrogens 0"} <= on(table(gnn.from_smiles("[Fe]"))[0])
    assert table(gnn.from_smiles("[CH3]"))[0]["radical electrons"] == 1.0
    assert {"charge other"} <= on(table(gnn.from_smiles("[Fe+3]"))[0])


def test_bonds_by_hand():
    graph = gnn.from_smiles("C/C=C/C#N")
    edges, bonds = np.asarray(graph.edge_index), np.asarray(graph.edge_attr)
    found = {}
    for (s, t), row in zip(edges.T.tolist(), bonds.tolist(), strict=True):
        found[s, t] = {n for n, v in zip(gnn.BOND_FEATURES, row, strict=True) if v == 1.0}
    assert len(found) == 8 and all(found[s, t] == found[t, s] for s, t in found)
    assert found[0, 1] == {"bond SINGLE", "stereo NONE"}
    assert found[1, 2] == {"bond DOUBLE", "stereo E", "conjugated"}
    assert found[2, 3] == {"bond SINGLE", "stereo NONE", "conjugated"}
    assert found[3, 4] == {"bond TRIPLE", "stereo NONE", "conjugated"}
    ring = np.asarray(gnn.from_smiles("c1ccccc1").edge_attr)[:, gnn.BOND_FEATURES.index("ring")]
    assert ring.tolist() == [1.0] * 12
    assert np.asarray(gnn.from_smiles("N->[Pt]").edge_attr)[0, gnn.BOND_FEATURES.index("bond other")] == 1.0


def test_every_group_has_one_entry():
    assert len(set(gnn.ATOM_FEATURES)) == len(gnn.ATOM_FEATURES) == 46
    assert len(set(gnn.BOND_FEATURES)) == len(gnn.BOND_FEATURES) == 11
    for graph in gnn.molecules(SMILES):
        for names, rows in ((gnn.ATOM_FEATURES, graph.x), (gnn.BOND_FEATURES, graph.edge_attr)):
            assert rows.shape[1] == len(names)
            for group in {n.split()[0] for n in names if n.endswith(" other")}:
                columns = [k for k, n in enumerate(names) if n.split()[0] == group]
                np.testing.assert_array_equal(np.asarray(rows)[:, columns].sum(axis=1), 1.0)


def test_molecules_without_bonds_and_in_parts():
    methane, salt, hydrogen = gnn.from_smiles("C"), gnn.from_smiles("[Na+].[Cl-]"), gnn.from_smiles("[H][H]")
    assert (methane.num_nodes, methane.num_edges, methane.edge_attr.shape) == (1, 0, (0, 11))
    assert (salt.num_nodes, salt.num_edges, salt.num_graphs) == (2, 0, 1)
    assert (hydrogen.num_nodes, hydrogen.num_edges) == (2, 2)
    layer = gnn.GINEConv(
        hs.nn.MLP([46, 8, 4], key=hs.random.key(0)), in_features=46, edge_features=11, key=hs.random.key(1)
    )
    all_ = gnn.batch([methane, salt, hydrogen])
    np.testing.assert_allclose(
        np.asarray(layer(all_.x, all_))[0], np.asarray(layer(methane.x, methane))[0], rtol=1e-12
    )


def test_hydrogens_positions_and_dtypes():
    graph = gnn.from_smiles("CO", hydrogens=True, y=[[1.0, 2.0]], dtype=hs.float32)
    assert graph.node_data["z"].tolist() == [6, 8, 1, 1, 1, 1] and graph.num_edges == 10
    assert (
        graph.x.dtype == graph.edge_attr.dtype == hs.float32 and graph.y.shape == (1, 2) and graph.pos is None
    )
    assert {"hydrogens 3", "degree 4"} <= on(table(graph)[0])
    assert gnn.from_smiles("CO").x.dtype == hs.float64
    from rdkit.Chem import AllChem

    mol = Chem.AddHs(Chem.MolFromSmiles("CO"))
    assert AllChem.EmbedMolecule(mol, randomSeed=1) == 0
    made = gnn.from_rdkit(mol, dtype=hs.float32)
    np.testing.assert_allclose(np.asarray(made.pos), mol.GetConformer().GetPositions(), rtol=1e-6)
    assert made.pos.dtype == hs.float32
    np.testing.assert_array_equal(np.asarray(made.x), np.asarray(graph.x))
    with pytest.raises(TypeError, match="from_rdkit: mol must be a molecule of RDKit, got None"):
        gnn.from_rdkit(Chem.MolFromSmiles("C1CC", sanitize=False))


@pytest.mark.parametrize("smiles", ["N[C@@H](C)C(=O)O", "C/C=C/C(Cl)c1ccncc1", "Cn1cnc2c1c(=O)n(C)c(=O)n2C"])
def test_the_order_in_which_atoms_are_written_does_not_matter(smiles):
    """Another SMILES of the same molecule gives the same rows, in its own order."""
    mol = Chem.MolFromSmiles(smiles)
    graph = gnn.from_rdkit(mol)
    for seed in range(4):
        order = np.random.default_rng(seed).permutation(mol.GetNumAtoms())
        text = Chem.MolToSmiles(Chem.RenumberAtoms(mol, order.tolist()), canonical=False)
        other = gnn.from_smiles(text)
        for a, b in ((graph.x, other.x), (graph.edge_attr, other.edge_attr)):
            np.testing.assert_array_equal(*(np.asarray(v)[np.lexsort(np.asarray(v).T)] for v in (a, b)))


# ---- tables ------------------------------------------------------------------------------------------------------------
BAD = ["CCO", "C1CC", float("nan"), "CN(C)(C)C", "", "c1ccccc1", "c1cccc1", None]


def test_rows_that_cannot_be_read():
    with pytest.raises(ValueError) as error:
        gnn.molecules(BAD)
    message = str(error.value)
    assert message.startswith(
        "molecules: 6 of 8 SMILES cannot be read: row 1: 'C1CC' is no valid SMILES; row 2: nan "
    )
    for words in (
        "row 2: nan is no string", "row 3: 'CN(C)(C)C': Explicit valence for atom # 1 N", "row 4: '' has no atoms",
        "row 6: 'c1cccc1'", "row 7: None is no string", "; invalid='skip' leaves them out",
    ):  # fmt: skip
        assert words in message
    y = np.arange(8.0)
    with pytest.warns(
        UserWarning, match="molecules: 6 of 8 SMILES cannot be read: row 1: .* they are left out"
    ) as record:
        graphs = gnn.molecules(BAD, y, invalid="skip")
    assert len(record) == 1 and record[0].filename == __file__
    assert [int(g.graph_data["row"][0]) for g in graphs] == [0, 5] and [float(g.y[0]) for g in graphs] == [
        0.0,
        5.0,
    ]
    with pytest.warns(UserWarning, match=r"row 9: 'C1CC' is no valid SMILES; and rows 10, 11; they"):
        assert gnn.molecules(["C1CC"] * 12, invalid="skip") == []
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert gnn.molecules([]) == []
        assert len(gnn.molecules(SMILES, invalid="skip")) == len(SMILES)


def test_nothing_is_printed(capfd):
    with pytest.warns(UserWarning):
        gnn.molecules(BAD, invalid="skip")
    captured = capfd.readouterr()
    assert captured.out == captured.err == ""


@pytest.mark.parametrize(
    "call, error, words",
    [
        (
            lambda: gnn.molecules(["C"], invalid="ignore"),
            ValueError,
            "invalid must be 'raise' or 'skip', got 'ignore'",
        ),
        (lambda: gnn.molecules("CCO"), TypeError, "smiles is one string; use from_smiles"),
        (
            lambda: gnn.molecules(["C", "N"], y=[1.0]),
            ValueError,
            r"a row for each of 2 SMILES, got shape \(1,\)",
        ),
        (lambda: gnn.molecules(["C"], y=1.0), ValueError, r"got shape \(\)"),
        (lambda: gnn.from_smiles("C1CC"), ValueError, "from_smiles: 'C1CC' is no valid SMILES"),
        (lambda: gnn.scaffold_split("CCO"), TypeError, "smiles is one string"),
        (
            lambda: gnn.scaffold_split(["C", "C1CC"]),
            ValueError,
            "scaffold_split: 1 of 2 SMILES cannot be read: row 1",
        ),
        (lambda: gnn.scaffold_split(["C"], (0.9, 0.2)), ValueError, "sum to at most 1"),
    ],
)
def test_refusals(call, error, words):
    with pytest.raises(error, match=words):
        call()


def test_without_rdkit(monkeypatch):
    for name in [n for n in sys.modules if n == "rdkit" or n.startswith("rdkit.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "rdkit", None)
    for call in (
        lambda: gnn.from_smiles("C"),
        lambda: gnn.molecules(["C"]),
        lambda: gnn.scaffold_split(["C"]),
    ):
        with pytest.raises(ImportError, match=r"needs the package rdkit: pip install 'hesse\[molecules\]'"):
            call()


# ---- against PyTorch Geometric, and the published tables -----------------------------------------------------------------
def test_against_pyg(tmp_path):
    python = os.environ.get("HESSE_PEERS_PYTHON")
    if not python:
        pytest.skip("set HESSE_PEERS_PYTHON to an interpreter that has torch_geometric and rdkit")
    (tmp_path / "smiles.txt").write_text("\n".join(SMILES) + "\n")
    done = subprocess.run(
        [python, str(WORKER), str(tmp_path / "smiles.txt"), str(tmp_path / "peer.npz")],
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    peer = np.load(tmp_path / "peer.npz")

    def group(names, rows, kind, words):
        """The entry of a group that is 1, for words that it knows, else "other"."""
        entries = [n.removeprefix(f"{kind} ") for n in names if n.startswith(f"{kind} ")]
        columns = [k for k, n in enumerate(names) if n.startswith(f"{kind} ")]
        return [entries[k] for k in np.asarray(rows)[:, columns].argmax(axis=1)], [
            w if w in entries else "other" for w in words
        ]

    for k, graph in enumerate(gnn.molecules(SMILES)):
        z, _degree, charge, hydrogens, radicals, hybridisation, aromatic, ring = peer[f"{k}|x"].T
        x, names = np.asarray(graph.x), gnn.ATOM_FEATURES
        np.testing.assert_array_equal(np.asarray(graph.node_data["z"]), z)
        for kind, words in (
            ("charge", [str(peer["charges"][c]) for c in charge]),
            ("hybridisation", [peer["hybridisations"][h] for h in hybridisation]),
        ):
            found, expected = group(names, x, kind, words)
            assert found == expected, (SMILES[k], kind)
        if SMILES[k] not in ("[2H]C([2H])[2H]", "[H][H]"):  # there it does not count hydrogens that are nodes
            found, expected = group(names, x, "hydrogens", [str(h) for h in hydrogens])
            assert found == expected, SMILES[k]
        for name, values in (("radical electrons", radicals), ("aromatic", aromatic), ("ring", ring)):
            np.testing.assert_array_equal(x[:, names.index(name)], values, err_msg=f"{SMILES[k]} {name}")
        # Bonds, in one order: by target, then source.
        ours, theirs = np.asarray(graph.edge_index), peer[f"{k}|edges"]
        a, b = np.lexsort(ours), np.lexsort(theirs)
        np.testing.assert_array_equal(ours[:, a], theirs[:, b])
        bonds = peer[f"{k}|bonds"][b]
        for kind, words in (
            ("bond", [peer["types"][t] for t in bonds[:, 0]]),
            ("stereo", [peer["stereos"][t].removeprefix("STEREO") for t in bonds[:, 1]]),
        ):
            found, expected = group(gnn.BOND_FEATURES, np.asarray(graph.edge_attr)[a], kind, words)
            assert found == expected, (SMILES[k], kind)
        conjugated = np.asarray(graph.edge_attr)[a, gnn.BOND_FEATURES.index("conjugated")]
        np.testing.assert_array_equal(conjugated, bonds[:, 2])


def published(name, column):
    if not (DATA / name).is_file():
        pytest.skip(f"no {name}: the folder shared/data is not beside this repository")
    with open(DATA / name, newline="") as file:
        rows = list(csv.DictReader(file))
    return [row["smiles"] for row in rows], np.array([float(row[column]) for row in rows])


@pytest.mark.parametrize(
    "name, column, count",
    [
        ("delaney-processed.csv", "measured log solubility in mols per litre", 1128),
        ("FreeSolv_SAMPL.csv", "expt", 642),
    ],
)
def test_published_tables(name, column, count):
    smiles, y = published(name, column)
    graphs = gnn.molecules(smiles, y)
    assert len(graphs) == count
    np.testing.assert_array_equal(np.concatenate([np.asarray(g.y) for g in graphs]), y)
    assert min(g.num_nodes for g in graphs) == 1 and all(g.is_undirected() for g in graphs[:50])
    loader = gnn.DataLoader(graphs, 32, shuffle=True, key=0, pad=True)
    seen = np.concatenate([np.asarray(b.graph_data["row"])[np.asarray(b.graph_mask)] for b in loader])
    assert sorted(seen.tolist()) == list(range(count)) and len(loader.sizes) == 3


# ---- scaffolds -----------------------------------------------------------------------------------------------------------
def scaffolds(smiles):
    from rdkit.Chem.Scaffolds.MurckoScaffold import GetScaffoldForMol

    def of(text):
        core = GetScaffoldForMol(Chem.MolFromSmiles(text))
        Chem.RemoveStereochemistry(core)
        return Chem.MolToSmiles(core)

    return [of(s) for s in smiles]


def test_scaffold_split_by_hand():
    smiles = ["c1ccccc1", "CCO", "c1ccccc1C", "Oc1ccccc1", "C1CCCC1", "CC1CCCC1", "C", "N", "CO", "c1ccncc1"]
    # Without rings: 1, 6, 7, 8; benzene: 0, 2, 3; cyclopentane: 4, 5; pyridine: 9.
    train, val, test = gnn.scaffold_split(smiles, (0.7, 0.2, 0.1))
    assert (train.tolist(), val.tolist(), test.tolist()) == ([0, 1, 2, 3, 6, 7, 8], [4, 5], [9])
    halves = gnn.scaffold_split(smiles, (0.5, 0.5))
    assert [h.tolist() for h in halves] == [[1, 6, 7, 8, 9], [0, 2, 3, 4, 5]]
    # A set that finds room nowhere is in no part, where the parts are not all.
    (only,) = gnn.scaffold_split(smiles, (0.3,))
    assert only.tolist() == [0, 2, 3]
    assert [p.tolist() for p in gnn.scaffold_split([], (0.8, 0.2))] == [[], []]


def test_scaffold_split_of_a_published_table():
    smiles, _ = published("delaney-processed.csv", "measured log solubility in mols per litre")
    parts = gnn.scaffold_split(smiles)
    assert [len(p) for p in parts] == [902, 113, 113]
    rows = [np.asarray(p) for p in parts]
    assert sorted(np.concatenate(rows).tolist()) == list(range(1128))
    of = np.array(scaffolds(smiles))
    for a, b in ((0, 1), (0, 2), (1, 2)):
        assert not set(of[rows[a]]) & set(of[rows[b]])
    assert len(set(of[rows[2]])) > len(rows[2]) / 2 > len(set(of[rows[0]])) / 4  # rare ones are tested on
