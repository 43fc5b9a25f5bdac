"""Trees of arrays in the safetensors layout. Reading and writing is in core/io/safetensors.h."""

from __future__ import annotations

import ast
import os
import re
from typing import Any

from .. import _hesse
from .._hesse import Array, TreeDef, tree_flatten
from .._hesse import io as _io

__all__ = ["leaf_names", "load_safetensors", "read_metadata", "save_safetensors"]

Path = str | os.PathLike[str]

_STEP = re.compile(r"\.(?P<field>\w+)|\[(?P<index>\d+)\]|\[(?P<key>'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\")\]")


def _name(path: str) -> str:
    """layers.0.weight for .layers[0].weight; "array" for a tree that is one array."""
    steps, at = [], 0
    while at < len(path):
        step = _STEP.match(path, at)
        if step is None:
            raise _hesse.ArgumentError(
                f"save_safetensors: the leaf {path} has no name in a file; dict keys must be strings"
            )
        key = step["key"]
        steps.append(str(ast.literal_eval(key)) if key else step["field"] or step["index"])
        at = step.end()
    return ".".join(steps) or "array"


def _names(treedef: TreeDef) -> list[str]:
    return [_name(path) for path in treedef.paths()]


def leaf_names(tree: Any) -> list[str]:
    """The names that the leaves of a tree have in a file.

    Parameters
    ----------
    tree : tree

    Returns
    -------
    list of str

    Raises
    ------
    ValueError
        For dict keys that are no strings.

    Examples
    --------
    >>> import hesse as hs
    >>> hs.io.leaf_names({"net": [hs.zeros(2), hs.ones(3)], "scale": hs.array(1.0)})
    ['net.0', 'net.1', 'scale']
    """
    return _names(tree_flatten(tree)[1])


def save_safetensors(path: Path, tree: Any, metadata: dict[str, str] | None = None) -> None:
    """Writes the arrays of a tree, named by their places in it.

    Parameters
    ----------
    path : path
    tree : tree of arrays
    metadata : dict of str to str, optional

    Raises
    ------
    ValueError
        For two leaves of the same name, such as those of ``{"a.b": x, "a": {"b": y}}``.
    TypeError
        For complex128 arrays and keys, which the layout lacks.
    OSError
        Where the file cannot be written; what was there before is left as it was.

    Examples
    --------
    >>> import hesse as hs, tempfile, os
    >>> path = os.path.join(tempfile.mkdtemp(), "net.safetensors")
    >>> net = hs.nn.MLP([2, 8, 1], key=hs.random.key(0))
    >>> hs.io.save_safetensors(path, net, {"made by": "an example"})
    >>> same = hs.io.load_safetensors(path, like=net)
    >>> bool(hs.all(same.layers[0].weight == net.layers[0].weight))
    True
    """
    leaves, treedef = tree_flatten(tree)
    tensors = [(name, _hesse.asarray(leaf)) for name, leaf in zip(_names(treedef), leaves, strict=True)]
    about = dict(metadata or {})
    for text in (*(name for name, _ in tensors), *about.keys(), *about.values()):
        _check_text(text)
    _io.save_safetensors(path, tensors, about)


def _check_text(text: Any) -> None:
    if not isinstance(text, str):
        raise _hesse.ArgumentTypeError(
            f"save_safetensors: metadata maps strings to strings, got {text!r}; str() makes one of it"
        )
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise _hesse.ArgumentError(f"save_safetensors: {text!r} cannot be written as UTF-8") from error


def load_safetensors(path: Path, like: Any = None) -> Any:
    """The arrays of a file.

    Parameters
    ----------
    path : path
    like : tree of arrays, optional
        What the file must hold: the same names, shapes and dtypes.

    Returns
    -------
    tree
        `like` with the arrays of the file, or a dict from names to arrays.

    Raises
    ------
    ValueError
        Where the file is malformed (the message names the defect), or does not hold what `like` does.
    FileNotFoundError, OSError

    Examples
    --------
    >>> import hesse as hs
    >>> import tempfile, os
    >>> path = os.path.join(tempfile.mkdtemp(), "net.safetensors")
    >>> hs.io.save_safetensors(path, {"w": hs.array([1.0, 2.0])})
    >>> hs.io.load_safetensors(path)
    {'w': Array([1., 2.], dtype=float64)}
    """
    tensors: dict[str, Array] = dict(_io.load_safetensors(path)[0])
    if like is None:
        return tensors
    leaves, treedef = tree_flatten(like)
    names = _names(treedef)
    missing, unexpected = sorted(set(names) - tensors.keys()), sorted(tensors.keys() - set(names))
    if missing or unexpected:
        parts = [
            f"{what} {', '.join(map(repr, some[:5]))}{' ...' if len(some) > 5 else ''}"
            for what, some in (("lacks", missing), ("has besides", unexpected))
            if some
        ]
        raise _hesse.ArgumentError(f"load_safetensors: {os.fspath(path)} {' and '.join(parts)}")
    for name, leaf in zip(names, leaves, strict=True):
        expected, got = _hesse.asarray(leaf), tensors[name]
        if (got.shape, got.dtype) != (expected.shape, expected.dtype):
            raise _hesse.ArgumentError(
                f"load_safetensors: {os.fspath(path)}: {name!r} is {got.dtype}{list(got.shape)} in the file "
                f"but {expected.dtype}{list(expected.shape)} in the model"
            )
    return treedef.unflatten([tensors[name] for name in names])


def read_metadata(path: Path) -> dict[str, str]:
    """The metadata of a file: strings by name.

    Parameters
    ----------
    path : path

    Returns
    -------
    dict of str to str

    Raises
    ------
    ValueError
        Where the file is malformed.
    FileNotFoundError, OSError

    Examples
    --------
    >>> import hesse as hs
    >>> import tempfile, os
    >>> path = os.path.join(tempfile.mkdtemp(), "net.safetensors")
    >>> hs.io.save_safetensors(path, {"w": hs.array([1.0])}, {"made by": "an example"})
    >>> hs.io.read_metadata(path)
    {'made by': 'an example'}
    """
    return dict(_io.load_safetensors(path)[1])
