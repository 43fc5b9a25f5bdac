"""Atoms and bonds of SMILES by PyTorch Geometric: run by the interpreter of the peers with a file of SMILES, one a line.

Writes, for molecule k, arrays "k|x" (atomic number, degree, charge, hydrogens, radical electrons, hybridisation, aromatic,
ring) and "k|edges", "k|bonds" (type, stereo, conjugated), the words as the index in lists that it writes too.
"""

import sys

import numpy as np
from torch_geometric.utils import from_smiles
from torch_geometric.utils.smiles import e_map, x_map

results = {
    "hybridisations": np.array(x_map["hybridization"]),
    "types": np.array(e_map["bond_type"]),
    "stereos": np.array(e_map["stereo"]),
    "charges": np.array(x_map["formal_charge"]),
}
with open(sys.argv[1]) as lines:
    for k, smiles in enumerate(lines.read().split("\n")[:-1]):
        data = from_smiles(smiles)
        results[f"{k}|x"] = data.x.numpy()[:, [0, 2, 3, 4, 5, 6, 7, 8]]
        results[f"{k}|edges"], results[f"{k}|bonds"] = data.edge_index.numpy(), data.edge_attr.numpy()
np.savez(sys.argv[2], **results)
