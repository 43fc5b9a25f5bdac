"""Molecules as graphs: atoms and bonds with the features that are customary, read from SMILES by RDKit."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import _hesse
from .._extras import require
from .._hesse import Array
from ._graph import Graph
from ._splits import _fractions

__all__ = ["ATOM_FEATURES", "BOND_FEATURES", "from_rdkit", "from_smiles", "molecules", "scaffold_split"]

_ELEMENTS = ("H", "B", "C", "N", "O", "F", "Si", "P", "S", "Cl", "Se", "Br", "I")
_DEGREES = (0, 1, 2, 3, 4, 5)
_CHARGES = (-2, -1, 0, 1, 2)
_HYDROGENS = (0, 1, 2, 3, 4)
_HYBRIDISATIONS = ("SP", "SP2", "SP3", "SP3D", "SP3D2")
_CHIRALITIES = ("R", "S")
_BONDS = ("SINGLE", "DOUBLE", "TRIPLE", "AROMATIC")
_STEREO = ("STEREONONE", "STEREOZ", "STEREOE")


def _names(kind: str, values: Sequence[Any]) -> list[str]:
    return [f"{kind} {v}" for v in values] + [f"{kind} other"]


# Columns of `x` and of `edge_attr`; "other" is 1 where none of its group is.
ATOM_FEATURES: tuple[str, ...] = (
    *_names("element", _ELEMENTS), *_names("degree", _DEGREES), *_names("charge", _CHARGES),
    *_names("hydrogens", _HYDROGENS), *_names("hybridisation", _HYBRIDISATIONS),
    *_names("chirality", _CHIRALITIES), "aromatic", "ring", "radical electrons", "mass / 100",
)  # fmt: skip
BOND_FEATURES: tuple[str, ...] = (
    *_names("bond", _BONDS), *_names("stereo", [s.removeprefix("STEREO") for s in _STEREO]),
    "conjugated", "ring",
)  # fmt: skip


def _one_hot(value: Any, values: Sequence[Any]) -> list[float]:
    """1 where the value is, in a place of its own where it is none of them."""
    place = values.index(value) if value in values else len(values)
    return [float(k == place) for k in range(len(values) + 1)]


def _atom(atom: Any) -> list[float]:
    return [
        *_one_hot(atom.GetSymbol(), _ELEMENTS),
        *_one_hot(atom.GetDegree(), _DEGREES),
        *_one_hot(atom.GetFormalCharge(), _CHARGES),
        *_one_hot(atom.GetTotalNumHs(includeNeighbors=True), _HYDROGENS),
        *_one_hot(str(atom.GetHybridization()), _HYBRIDISATIONS),
        *_one_hot(atom.GetProp("_CIPCode") if atom.HasProp("_CIPCode") else None, _CHIRALITIES),
        float(atom.GetIsAromatic()),
        float(atom.IsInRing()),
        float(atom.GetNumRadicalElectrons()),
        0.01 * atom.GetMass(),
    ]


def _bond(bond: Any) -> list[float]:
    return [
        *_one_hot(str(bond.GetBondType()), _BONDS),
        *_one_hot(str(bond.GetStereo()), _STEREO),
        float(bond.GetIsConjugated()),
        float(bond.IsInRing()),
    ]


def from_rdkit(mol: Any, *, y: Any = None, dtype: Any = None) -> Graph:
    """The graph of a molecule of RDKit: its atoms in their order, and every bond in both directions.

    Parameters
    ----------
    mol : rdkit.Chem.Mol
        Sanitised, as its readers return it. Hydrogens are nodes where they are atoms of it (``Chem.AddHs``).
    y : array, optional
        As for `Graph`: (1, ...) for the molecule.
    dtype : optional
        Of features and positions; float64 unless `hs.set_default_dtype` says otherwise.

    Returns
    -------
    Graph
        ``x`` has the columns `hs.gnn.ATOM_FEATURES`: groups of which one entry is 1 (element; number of neighbours;
        formal charge; hydrogens, also those that are nodes; hybridisation; chirality by Cahn, Ingold and Prelog),
        whether the atom is aromatic and in a ring, radical electrons, and the mass over 100 u. ``edge_attr`` has the
        columns `hs.gnn.BOND_FEATURES`: type, stereo, conjugated, in a ring. ``node_data["z"]`` has the atomic
        numbers, and ``pos`` the positions (Angstrom) of the first conformer, where there is one.

    Raises
    ------
    ImportError
        Where RDKit is not installed: it comes with ``pip install 'hesse[molecules]'``.
    TypeError
        For what is no molecule, such as the None of a reader that failed.

    References
    ----------
    Gilmer, Schoenholz, Riley, Vinyals and Dahl, arXiv:1704.01212 (2017), table 1; Yang et al., "Analyzing learned
    molecular representations for property prediction", J. Chem. Inf. Model. 59 (2019) 3370, tables 1 and 2.

    Examples
    --------
    >>> import hesse as hs
    >>> from rdkit import Chem
    >>> hs.gnn.from_rdkit(Chem.MolFromSmiles("C=O"))
    Graph(2 nodes, 2 edges, x=float64[2,46], edge_attr=float64[2,11], z=int64[2])
    """
    chem = require("rdkit.Chem", "molecules", "from_rdkit")
    if not isinstance(mol, chem.Mol):
        raise _hesse.ArgumentTypeError(f"from_rdkit: mol must be a molecule of RDKit, got {mol!r}")
    n = mol.GetNumAtoms()
    bonds = list(mol.GetBonds())
    ends = [(b.GetBeginAtomIdx(), b.GetEndAtomIdx()) for b in bonds]
    one_way = np.array(ends, np.int64).reshape(-1, 2).T
    features = np.array([_bond(b) for b in bonds], float).reshape(len(bonds), len(BOND_FEATURES))
    atoms = np.array([_atom(a) for a in mol.GetAtoms()], float).reshape(n, len(ATOM_FEATURES))
    kind = _hesse.zeros(0, dtype=dtype).dtype
    pos = mol.GetConformer().GetPositions() if mol.GetNumConformers() else None
    return Graph(
        np.concatenate([one_way, one_way[::-1]], axis=1),
        _hesse.asarray(atoms, dtype=kind),
        edge_attr=_hesse.asarray(np.concatenate([features, features]), dtype=kind),
        pos=None if pos is None else _hesse.asarray(np.array(pos), dtype=kind),
        y=y,
        node_data={"z": np.array([a.GetAtomicNum() for a in mol.GetAtoms()], np.int64)},
    )


def _parsed(smiles: Any, hydrogens: bool = False) -> tuple[Any, str]:
    """A molecule, or None and why there is none: what follows the text in a message."""
    chem = require("rdkit.Chem", "molecules", "molecules from SMILES")
    if not isinstance(smiles, str):
        return None, " is no string"
    with require("rdkit.rdBase", "molecules", "molecules from SMILES").BlockLogs():
        mol = chem.MolFromSmiles(smiles)
        if mol is None:
            unchecked = chem.MolFromSmiles(smiles, sanitize=False)
            problems = [] if unchecked is None else chem.DetectChemistryProblems(unchecked)
            return None, f": {problems[0].Message()}" if problems else " is no valid SMILES"
    if mol.GetNumAtoms() == 0:
        return None, " has no atoms"
    return (chem.AddHs(mol) if hydrogens else mol), ""


def from_smiles(smiles: str, *, y: Any = None, hydrogens: bool = False, dtype: Any = None) -> Graph:
    """The graph of a molecule that is written as SMILES; see `from_rdkit` for what belongs to atoms and bonds.

    Parameters
    ----------
    smiles : str
    y, dtype
        As for `from_rdkit`.
    hydrogens : bool
        Whether hydrogens are nodes; else atoms count them.

    Returns
    -------
    Graph
        A molecule of one atom has no edges; several molecules in one string are one graph.

    Raises
    ------
    ImportError
        Where RDKit is not installed: it comes with ``pip install 'hesse[molecules]'``.
    ValueError
        For a string that RDKit does not read, with RDKit's reason, and one without atoms.

    References
    ----------
    Weininger, "SMILES, a chemical language and information system", J. Chem. Inf. Comput. Sci. 28 (1988) 31.

    Examples
    --------
    >>> import hesse as hs
    >>> hs.gnn.from_smiles("CCO", y=[-0.77])
    Graph(3 nodes, 4 edges, x=float64[3,46], edge_attr=float64[4,11], y=float64[1], z=int64[3])
    """
    mol, problem = _parsed(smiles, hydrogens)
    if mol is None:
        raise _hesse.ArgumentError(f"from_smiles: {smiles!r}{problem}")
    return from_rdkit(mol, y=y, dtype=dtype)


def _refused(function: str, refused: list[tuple[int, Any, str]], total: int) -> str:
    """What to say of the rows that are no molecules: the first ten by row, text and reason."""
    listed = "; ".join(f"row {row}: {smiles!r}{problem}" for row, smiles, problem in refused[:10])
    rest = f"; and rows {', '.join(str(row) for row, _, _ in refused[10:])}" if len(refused) > 10 else ""
    return f"{function}: {len(refused)} of {total} SMILES cannot be read: {listed}{rest}"


def molecules(
    smiles: Sequence[str],
    y: Any = None,
    *,
    invalid: str = "raise",
    hydrogens: bool = False,
    dtype: Any = None,
) -> list[Graph]:
    """A graph for every SMILES of a table; see `from_rdkit` for what belongs to atoms and bonds.

    Parameters
    ----------
    smiles : sequence of str
        Counted from row 0.
    y : array, (rows, ...), optional
        Targets; every molecule gets its row, (1, ...).
    invalid : str
        What to do about rows that RDKit does not read, that are no strings or have no atoms: "raise" refuses the
        table, "skip" leaves them out with a warning. Both list them by row, with the text and the reason.
    hydrogens, dtype
        As for `from_smiles`.

    Returns
    -------
    list of Graph
        Each with its row in ``graph_data["row"]``, int64 (1,).

    Raises
    ------
    ImportError
        Where RDKit is not installed: it comes with ``pip install 'hesse[molecules]'``.
    ValueError
        For rows that cannot be read under "raise", another word for `invalid`, and targets of another length.

    Examples
    --------
    >>> import hesse as hs
    >>> graphs = hs.gnn.molecules(["CCO", "C", "c1ccccc1"], y=[-0.77, -0.9, -1.64])
    >>> [(g.num_nodes, g.num_edges) for g in graphs]
    [(3, 4), (1, 0), (6, 12)]
    >>> hs.gnn.molecules(["CCO", "C1CC"])
    Traceback (most recent call last):
    hesse.ArgumentError: molecules: 1 of 2 SMILES cannot be read: row 1: 'C1CC' is no valid SMILES; ...
    """
    if invalid not in ("raise", "skip"):
        raise _hesse.ArgumentError(f"molecules: invalid must be 'raise' or 'skip', got {invalid!r}")
    if isinstance(smiles, str):
        raise _hesse.ArgumentTypeError(
            "molecules: smiles is one string; use from_smiles, or a list of strings"
        )
    rows = list(smiles)
    targets = None if y is None else _hesse.asarray(y)
    if targets is not None and (targets.ndim == 0 or targets.shape[0] != len(rows)):
        raise _hesse.ArgumentError(
            f"molecules: y must have a row for each of {len(rows)} SMILES, got shape {targets.shape}"
        )
    parsed = [_parsed(text, hydrogens) for text in rows]
    refused = [(k, rows[k], problem) for k, (mol, problem) in enumerate(parsed) if mol is None]
    if refused:
        message = _refused("molecules", refused, len(rows))
        if invalid == "raise":
            raise _hesse.ArgumentError(f"{message}; invalid='skip' leaves them out")
        warnings.warn(f"{message}; they are left out", UserWarning, stacklevel=2)
    values = None if targets is None else np.asarray(targets)
    return [
        _with_row(from_rdkit(mol, y=None if values is None else values[k : k + 1], dtype=dtype), k)
        for k, (mol, _) in enumerate(parsed)
        if mol is not None
    ]


def _with_row(graph: Graph, row: int) -> Graph:
    return graph.replace(graph_data={"row": _hesse.asarray(np.array([row], np.int64))})


def scaffold_split(smiles: Sequence[str], fractions: Sequence[float] = (0.8, 0.1, 0.1)) -> list[Array]:
    """Rows cut into parts so that molecules with the same ring systems are in the same part.

    The scaffold of a molecule is what Bemis and Murcko keep of it: rings and the chains between them, without
    stereochemistry. Sets of molecules with the same one are dealt out from the largest to the smallest (of equal
    sizes, that with the latest first row first) to the first part in which they find room: no key, always the same
    parts. Validation and test then have the rare scaffolds, which is harder than a random split.

    Parameters
    ----------
    smiles : sequence of str
    fractions : sequence of float
        Of the rows, for every part. With a sum of 1 the last part takes what finds no room before; with less, a set
        that finds no room is in no part.

    Returns
    -------
    list of Array
        int64, sorted.

    Raises
    ------
    ImportError
        Where RDKit is not installed: it comes with ``pip install 'hesse[molecules]'``.
    ValueError
        For rows that cannot be read (listed as by `molecules`), and for fractions that are negative or sum to more
        than 1.

    References
    ----------
    Bemis and Murcko, "The properties of known drugs. 1. Molecular frameworks", J. Med. Chem. 39 (1996) 2887; Wu et
    al., "MoleculeNet: a benchmark for molecular machine learning", Chem. Sci. 9 (2018) 513.

    Examples
    --------
    >>> import hesse as hs
    >>> smiles = ["c1ccccc1", "CCO", "c1ccccc1C", "Oc1ccccc1", "C1CCCC1"]
    >>> hs.gnn.scaffold_split(smiles, (0.6, 0.2, 0.2))
    [Array([0, 2, 3], dtype=int64), Array([4], dtype=int64), Array([1], dtype=int64)]
    """
    f = _fractions("scaffold_split", fractions)
    murcko = require("rdkit.Chem.Scaffolds.MurckoScaffold", "molecules", "scaffold_split")
    if isinstance(smiles, str):
        raise _hesse.ArgumentTypeError("scaffold_split: smiles is one string; expected a sequence of strings")
    rows = list(smiles)
    parsed = [_parsed(text) for text in rows]
    refused = [(k, rows[k], problem) for k, (mol, problem) in enumerate(parsed) if mol is None]
    if refused:
        raise _hesse.ArgumentError(_refused("scaffold_split", refused, len(rows)))
    sets: dict[str, list[int]] = {}
    for k, (mol, _) in enumerate(parsed):
        sets.setdefault(murcko.MurckoScaffoldSmiles(mol=mol, includeChirality=False), []).append(k)
    ends = np.cumsum(f) * len(rows) + 1e-9
    parts: list[list[int]] = [[] for _ in f]
    for some in sorted(sets.values(), key=lambda s: (len(s), s[0]), reverse=True):
        filled = np.cumsum([len(p) for p in parts])
        room = np.flatnonzero(filled + len(some) <= ends)
        if len(room):
            parts[int(room[0])] += some
    return [_hesse.asarray(np.sort(np.array(p, np.int64))) for p in parts]
