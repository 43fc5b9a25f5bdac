"""Compiled programs as files: what a file keeps beside the equations, and programs that were loaded."""

from __future__ import annotations

import dataclasses
import enum
import functools
import importlib
import json
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn

from . import _hesse
from ._dtypes import can_cast
from ._flat import check_callable, name_of, positional_parameters
from ._hesse import Graph, TreeDef

if TYPE_CHECKING:
    from ._compile import CompiledFunction

__all__ = ["LoadedProgram", "load_program", "save_program"]

_KINDS = ("leaf", "static", "none", "tuple", "list", "dict", "named tuple", "dataclass", "module")
# What a type of that kind must have, so that a file cannot ask for any other.
_MARKS = {
    "dict": lambda t: issubclass(t, dict),
    "named tuple": lambda t: issubclass(t, tuple) and hasattr(t, "_fields"),
    "dataclass": lambda t: hasattr(t, "__dataclass_fields__"),
    "module": lambda t: hasattr(t, "__hesse_module__"),
}


# values that are not arrays ----------------------------------------------------------------------------------------------


def _find(path: str) -> Any:
    """What `module:qualname` names; raises ImportError or AttributeError."""
    module, _, qualname = path.partition(":")
    return functools.reduce(getattr, qualname.split("."), importlib.import_module(module))


def _path_of(value: Any) -> str | None:
    """A path under which `value` is found again by another process."""
    name = getattr(value, "__qualname__", getattr(value, "__name__", ""))
    modules = [getattr(value, "__module__", None), "hesse", "hesse.nn", "hesse.linalg", "hesse.fft"]
    for path in (f"{m}:{n}" for m in modules if m for n in (name, name.rpartition(".")[2])):
        try:
            if _find(path) is value:
                return path
        except (ImportError, AttributeError, ValueError):
            continue
    return None


def _encode(value: Any, where: str) -> Any:
    """A value that is not an array, as JSON."""
    if value is None or isinstance(value, (bool, str)) or type(value) is int:
        return value
    if type(value) is float:
        return {"float": value.hex()}
    if type(value) is complex:
        return {"complex": [value.real.hex(), value.imag.hex()]}
    if isinstance(value, bytes):
        return {"bytes": value.hex()}
    if type(value) in (tuple, list):
        return {type(value).__name__: [_encode(v, where) for v in value]}
    if type(value) is dict:
        return {"dict": [[_encode(k, where), _encode(v, where)] for k, v in value.items()]}
    if isinstance(value, _hesse.DType):
        return {"dtype": str(value)}
    if isinstance(value, enum.Enum):
        return {"enum": [_encode(type(value), where), value.name]}
    if isinstance(value, type) or callable(value):
        path = _path_of(value)
        if path is not None:
            return {"import": path}
        raise _hesse.ArgumentTypeError(
            f"save_program: {where} holds {name_of(value)}, which no module has under its name; define it at "
            "the top of a module that the loading process can import"
        )
    raise _hesse.ArgumentTypeError(
        f"save_program: {where} holds a {type(value).__name__}, which is neither an array nor plain data; "
        "keep numbers, strings, tuples, dicts, dtypes, enums and importable functions there"
    )


def _decode(value: Any, where: str) -> Any:
    if not isinstance(value, dict):
        return value
    ((kind, what),) = value.items()
    if kind == "float":
        return float.fromhex(what)
    if kind == "complex":
        return complex(*map(float.fromhex, what))
    if kind == "bytes":
        return bytes.fromhex(what)
    if kind in ("tuple", "list"):
        items = [_decode(v, where) for v in what]
        return tuple(items) if kind == "tuple" else items
    if kind == "dict":
        return {_decode(k, where): _decode(v, where) for k, v in what}
    if kind == "dtype":
        return _hesse.dtype(what)
    if kind == "enum":
        return _decode(what[0], where)[what[1]]
    try:
        return _find(what)
    except (ImportError, AttributeError) as error:
        raise _hesse.FormatError(
            f"load_program: {where} needs {what}, which cannot be found ({error}); make the module that "
            "defines it importable here, or save the program with plain tuples and dicts"
        ) from None


# trees -------------------------------------------------------------------------------------------------------------------


def _encode_tree(parts: tuple[Any, ...], where: str) -> dict[str, Any]:
    kind, buffer, type_, names, value, children = parts
    out: dict[str, Any] = {"kind": _KINDS[kind]}
    if buffer:
        out["buffer"] = True
    if type_ is not None:
        out["type"] = _encode(type_, where)
    if names is not None:
        out["names"] = _encode(tuple(names), where)
    if value is not None:
        out["value"] = _encode(value, where)
    if children:
        out["children"] = [_encode_tree(child, where) for child in children]
    return out


def _decode_tree(tree: dict[str, Any], where: str) -> tuple[Any, ...]:
    kind = tree["kind"]
    type_ = _decode(tree.get("type"), where)
    names = _decode(tree.get("names"), where)
    if type_ is not None:
        path = tree["type"].get("import")
        if not isinstance(type_, type) or not _MARKS[kind](type_):
            raise _hesse.FormatError(f"load_program: {where} needs {path} as a {kind}, which it is not")
        fields = getattr(type_, "_fields", None) if kind == "named tuple" else None
        if kind == "dataclass":
            fields = tuple(f.name for f in dataclasses.fields(type_))
        if fields is not None and not set(names) <= set(fields):
            raise _hesse.FormatError(
                f"load_program: {where} needs {path} with the fields {list(names)}, here it has {list(fields)}"
            )
    children = tuple(_decode_tree(child, where) for child in tree.get("children", ()))
    return (
        _KINDS.index(kind),
        tree.get("buffer", False),
        type_,
        names,
        _decode(tree.get("value"), where),
        children,
    )


def _difference(a: tuple[Any, ...], b: tuple[Any, ...], place: str = "") -> tuple[str, str]:
    """Where two trees of equal looks differ: a class, or a value that is not an array."""
    if a[2] is not b[2]:
        return f"a {a[2]} there{place}", f"a {b[2]}"
    for i, (x, y) in enumerate(zip(a[5], b[5], strict=True)):
        if _hesse._tree_from_parts(x) != _hesse._tree_from_parts(y):
            return _difference(x, y, f"{place}.{a[3][i]}" if a[3] is not None else f"{place}[{i}]")
    return f"of {a[4]!r} at {place}", f"{b[4]!r}"


def save(
    path: str | os.PathLike[str],
    fun: Any,
    program: _hesse._Program,
    call: _hesse._Call,
    static: Any,
) -> None:
    """Writes one recorded program of `fun`."""
    name = name_of(fun)
    notes = {
        "args": _encode_tree(call.args._parts(), f"an argument of {name}"),
        "out": _encode_tree(program.out._parts(), f"the result of {name}"),
        "static": _encode(static, f"a static argument of {name}"),
        "parameters": positional_parameters(fun),
    }
    program.save(
        path, name, call.arrays[call.args.num_leaves :], {k: json.dumps(v) for k, v in notes.items()}
    )


# loaded programs ---------------------------------------------------------------------------------------------------------


class LoadedProgram:
    """A program from a file: a function of the arguments it was saved for.

    It is differentiable, mapped and nested like every compiled function. `load_program` makes it.

    Parameters
    ----------
    path : str or path
        What `save_program` wrote.

    Attributes
    ----------
    graph : Graph
        The equations that were saved.
    program : Graph
        The equations as they are run: maps over the same examples joined.

    Examples
    --------
    >>> import hesse as hs, os, tempfile
    >>> path = os.path.join(tempfile.mkdtemp(), "square.hesse")
    >>> hs.save_program(path, lambda x: x**2, 3.0)
    >>> square = hs.load_program(path)
    >>> square, square(4.0), hs.grad(square)(4.0)
    (<LoadedProgram '<lambda>'>, Array(16., dtype=float64), Array(8., dtype=float64))
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        name, library, notes, graph = _hesse._read_program(path)
        self.__name__ = name
        self._library = library
        if "args" in notes:
            try:
                self._in = self._tree(notes["args"], f"an argument of {name}")
                out = self._tree(notes["out"], f"the result of {name}")
                self._static = _decode(json.loads(notes["static"]), f"a static argument of {name}")
                self._parameters: list[str] = json.loads(notes["parameters"])
            except (KeyError, TypeError, json.JSONDecodeError) as error:
                raise _hesse.FormatError(
                    f"load_program: {os.fsdecode(path)}: its notes on arguments and results are not those of "
                    f"Python: {error!r}"
                ) from None
        else:  # saved by C++: flat lists
            self._in = _hesse.tree_structure(((0.0,) * graph.num_inputs, {}))
            out = _hesse.tree_structure([0.0] * graph.num_outputs)
            self._static, self._parameters = None, []
        self._program = _hesse._loaded_program(graph, self._in, out)

    @staticmethod
    def _tree(note: str, where: str) -> TreeDef:
        return _hesse._tree_from_parts(_decode_tree(json.loads(note), where))

    def __repr__(self) -> str:
        return f"<LoadedProgram {self.__name__!r}>"

    @property
    def graph(self) -> Graph:
        return self._program.graph

    @property
    def program(self) -> Graph:
        return self._program.program

    def explain(self) -> str:
        """What a call runs, as text: what was joined, and the arrays taken as constants."""
        from ._compile import explanation

        return explanation(self.__name__, self.graph, self.program, f"saved by hesse {self._library}")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self._static is not None:
            args, kwargs = self._without_static(args, kwargs)
        result = self._program.call_loaded((args, kwargs))
        if result is not ...:
            return result
        return self._program.call_loaded(self._converted(args, kwargs))

    def _label(self, i: int) -> str:
        name = f" ({self._parameters[i]})" if i < len(self._parameters) else ""
        return f"argument {i}{name}"

    def _refuse(self, what: str, wanted: str) -> NoReturn:
        raise _hesse.ArgumentError(
            f"{self.__name__}: {what}, but this program was saved for {wanted}; call it with arguments like "
            "those it was saved with, or save one for these"
        )

    def _without_static(
        self, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        rest, named = list(args), dict(kwargs)
        for i, value in self._static[0]:
            if i < len(rest):
                if rest[i] != value:
                    self._refuse(f"{self._label(i)} is static and is {rest[i]!r}", repr(value))
                rest[i] = None
        for key, value in self._static[1]:
            if key in named and named.pop(key) != value:
                self._refuse(f"argument {key} is static and is {kwargs[key]!r}", repr(value))
        return tuple(rest), named

    def _converted(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """The arguments with numbers as arrays of the dtypes wanted; raises for what does not fit."""
        call = _hesse._Call((args, kwargs), None, None)
        if call.args != self._in:
            self._refuse_structure(call.args)
        new = []
        for path, x, (shape, dtype) in zip(self._in.paths(), call.arrays, self.graph.inputs, strict=True):
            if x.shape == shape and x.dtype == dtype:
                new.append(x)
            elif (x.weak_type and shape == () and can_cast(x.dtype, dtype)) or (
                x.weak_type and shape == () and x.dtype.kind in "if" and dtype.kind in "fc"
            ):
                new.append(_hesse.astype(x, dtype))
            else:
                place = path[3:]
                if path.startswith("[0]"):
                    i, _, inner = place[1:].partition("]")
                    place = self._label(int(i)) + (f" at {inner}" if inner else "")
                else:
                    place = f"argument {place}"
                got = f"{x.dtype}{list(x.shape)}" if not x.weak_type else f"a Python {x.dtype.name} number"
                self._refuse(f"{place} is {got}", f"{dtype}{list(shape)}")
        return call.args.unflatten(new)

    def _refuse_structure(self, given: TreeDef) -> NoReturn:
        (args, kwargs), (want_args, want_kwargs) = given._parts()[5], self._in._parts()[5]
        if len(args[5]) != len(want_args[5]):
            self._refuse(f"{len(args[5])} positional argument(s) are given", f"{len(want_args[5])}")
        if list(kwargs[3]) != list(want_kwargs[3]):
            self._refuse(f"the keywords are {list(kwargs[3])}", f"{list(want_kwargs[3])}")
        labels = [self._label(i) for i in range(len(args[5]))] + [f"argument {k}" for k in kwargs[3]]
        for label, a, b in zip(labels, (*args[5], *kwargs[5]), (*want_args[5], *want_kwargs[5]), strict=True):
            got, wanted = _hesse._tree_from_parts(a), _hesse._tree_from_parts(b)
            if got != wanted:
                what, than = (str(got), str(wanted)) if str(got) != str(wanted) else _difference(a, b)
                self._refuse(f"{label} is {what}", than)
        self._refuse(f"the arguments are {given}", str(self._in))


def save_program(path: str | os.PathLike[str], fun: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
    """Saves the program that `fun` is for arguments like these.

    Parameters
    ----------
    path : str or path
        It is written whole or not at all.
    fun : callable
        A compiled function, or one that is compiled for this.
    *args, **kwargs : tree
        Arguments of the structure, shapes and dtypes that the program is for; values do not matter, but those
        of static arguments.

    Raises
    ------
    TypeError
        Where the program holds Python code: a `callback`, a `debug.print`; and where arguments or results
        hold objects that are neither arrays nor plain data.
    FileError
        Where writing fails.

    See Also
    --------
    load_program : the inverse.

    Notes
    -----
    A file holds equations, constants, and the structure of arguments and results: data, no code. Arrays that
    `fun` captured are constants with the values they have now. Dataclasses, named tuples and modules are
    noted by the import path of their class, which the loading process must find.

    Examples
    --------
    >>> import hesse as hs, os, tempfile
    >>> path = os.path.join(tempfile.mkdtemp(), "step.hesse")
    >>> def step(w, x):
    ...     return w - 0.1 * hs.grad(lambda w: hs.sum((w * x - 1.0) ** 2))(w)
    >>> x = hs.array([1.0, 2.0])
    >>> hs.save_program(path, step, 0.0, x)
    >>> hs.load_program(path)(0.0, x)
    Array(0.6, dtype=float64)
    """
    from ._compile import CompiledFunction, compile

    check_callable(fun, "save_program")
    compiled: CompiledFunction = fun if isinstance(fun, CompiledFunction) else compile(fun)
    compiled.save(path, *args, **kwargs)


def load_program(path: str | os.PathLike[str]) -> LoadedProgram:
    """The program in a file, as a function.

    Parameters
    ----------
    path : str or path
        What `save_program` wrote, here or in C++.

    Returns
    -------
    LoadedProgram
        Called like the function that was saved, with arguments of the same structure, shapes and dtypes.

    Raises
    ------
    FileNotFoundError
    ValueError
        For a file that is truncated, damaged, or of another format version, and where the class of an
        argument or result cannot be found: what is wrong, and what to do.

    Notes
    -----
    A checksum detects damage, not intent: as with any program, load what you trust.

    Examples
    --------
    >>> import hesse as hs, os, tempfile
    >>> path = os.path.join(tempfile.mkdtemp(), "f.hesse")
    >>> hs.save_program(path, lambda x: {"sum": hs.sum(x), "sin": hs.sin(x)}, hs.zeros((2,)))
    >>> f = hs.load_program(path)
    >>> f(hs.array([0.0, 1.0]))["sum"]
    Array(1., dtype=float64)
    >>> f(hs.array([0.0, 1.0, 2.0]))
    Traceback (most recent call last):
        ...
    hesse.ArgumentError: <lambda>: argument 0 (x) is float64[3], but ...
    """
    return LoadedProgram(path)
