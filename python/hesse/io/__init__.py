"""Files: weights in safetensors, fields in HDF5 and MATLAB's format, atomic structures. Nothing is ever unpickled.

Files are written whole or not at all, and what is read is checked first.
"""

from ._hdf5 import load_hdf5, save_hdf5
from ._mat import load_mat
from ._safetensors import leaf_names, load_safetensors, read_metadata, save_safetensors
from ._structures import Structure, load_extxyz, load_structures
from ._write_extxyz import save_extxyz
from ._write_structures import save_structures

__all__ = [
    "Structure",
    "leaf_names",
    "load_extxyz",
    "load_hdf5",
    "load_mat",
    "load_safetensors",
    "load_structures",
    "read_metadata",
    "save_extxyz",
    "save_hdf5",
    "save_safetensors",
    "save_structures",
]
