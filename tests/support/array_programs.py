"""Straight-line programs on arrays: their text as Python, and their meaning in the numbers of bounded.py.

A program is inputs, steps and outputs. A step names its result, an operation of `OPS`, its arguments (names of values, or Python
numbers) and its parameters. The text is what runs with Hesse and what is shown when it fails; the reference is `run`.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field

import bounded as bd
import bounded_arrays as ba
import numpy as np


@dataclass(frozen=True)
class Input:
    """`code` makes the value when evaluated with NumPy."""

    code: str
    value: np.ndarray

    @staticmethod
    def of(code):
        with np.errstate(all="ignore"):
            return Input(code, eval(code, {"np": np, "inf": np.inf, "nan": np.nan}))

    @staticmethod
    def literal(value):
        value = np.asarray(value)
        if value.size > 4 and np.array_equal(value, np.broadcast_to(value.flat[0], value.shape)):
            return Input(f"np.full({value.shape}, {value.flat[0].item()!r}, '{value.dtype}')", value)
        return Input(f"np.array({value.tolist()!r}, '{value.dtype}').reshape({value.shape})", value)


@dataclass(frozen=True)
class Step:
    name: str
    op: str
    args: tuple
    kw: dict = field(default_factory=dict)

    def reads(self) -> set[str]:
        names = {a for a in self.args if isinstance(a, str)}
        if self.op == "vmap":
            body = self.kw["body"]
            made = {*body.inputs, *(s.name for s in body.steps)}
            names |= set().union(*(s.reads() for s in body.steps), body.outputs) - made
        return names


@dataclass(frozen=True)
class Program:
    inputs: dict[str, Input]
    steps: tuple[Step, ...]
    outputs: tuple[str, ...]

    def values(self) -> list[np.ndarray]:
        return [i.value for i in self.inputs.values()]


# The vocabulary ----------------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Op:
    template: str
    reference: Callable


def index_text(index):
    def part(i):
        if isinstance(i, slice):
            ends = ["" if e is None else str(e) for e in (i.start, i.stop, i.step)]
            return ":".join(ends if i.step is not None else ends[:2])
        return "..." if i is Ellipsis else str(i)

    return ", ".join(map(part, index))


def _view(f):
    return lambda x, **kw: ba.view(x, lambda a: f(a, **kw))


def _discrete(f):
    return lambda *x, **kw: bd.discrete(lambda *a: f(*a, **kw), *x)


UNARY = {"neg": "-{0}", "absolute": "hs.abs({0})", "reciprocal": "1.0 / {0}", "rint": "hs.round({0})"} | {
    f: f"hs.{f}({{0}})"
    for f in "sin cos tanh exp expm1 log log1p sqrt square atan sigmoid softplus floor sign".split()  # noqa: SIM905
}
BINARY = {
    "add": "{0} + {1}",
    "sub": "{0} - {1}",
    "mul": "{0} * {1}",
    "div": "{0} / {1}",
    "maximum": "hs.maximum({0}, {1})",
    "minimum": "hs.minimum({0}, {1})",
    "hypot": "hs.hypot({0}, {1})",
}
COMPARE = {
    "less": "<",
    "less_equal": "<=",
    "greater": ">",
    "greater_equal": ">=",
    "equal": "==",
    "not_equal": "!=",
}
REDUCE = ("sum", "mean", "max", "min", "var", "logsumexp", "any", "all", "argmax")

OPS = {name: Op(t, getattr(bd, name)) for name, t in (UNARY | BINARY).items()}
OPS |= {
    name: Op(f"{{0}} {sign} {{1}}", lambda x, y, f=getattr(np, name): bd.compare(f, x, y))
    for name, sign in COMPARE.items()
}
OPS |= {
    name: Op(
        f"hs.{name}({{0}}, axis={{axis}}, keepdims={{keepdims}})",
        getattr(ba, name, None) or getattr(ba, name + "_"),
    )
    for name in REDUCE
}
OPS |= {
    "isnan": Op("hs.isnan({0})", bd.isnan),
    "isfinite": Op("hs.isfinite({0})", bd.isfinite),
    "and": Op("{0} & {1}", _discrete(np.logical_and)),
    "or": Op("{0} | {1}", _discrete(np.logical_or)),
    "xor": Op("{0} ^ {1}", _discrete(np.logical_xor)),
    "not": Op("~{0}", _discrete(np.logical_not)),
    "int_add": Op("{0} + {1}", _discrete(np.add)),
    "int_mul": Op("{0} * {1}", _discrete(np.multiply)),
    "int_max": Op("hs.maximum({0}, {1})", _discrete(np.maximum)),
    "int_rem": Op("{0} % {1}", _discrete(np.remainder)),
    "int_div": Op("{0} // {1}", _discrete(np.floor_divide)),
    "int_less": Op("{0} < {1}", _discrete(np.less)),
    "int_equal": Op("{0} == {1}", _discrete(np.equal)),
    "astype": Op("hs.astype({0}, '{dtype}')", bd.astype),
    "where": Op("hs.where({0}, {1}, {2})", bd.where),
    "matmul": Op("{0} @ {1}", ba.matmul),
    "outer": Op("hs.outer({0}, {1})", ba.outer),
    "cumsum": Op("hs.cumsum({0}, axis={axis})", ba.cumsum),
    "sort": Op("hs.sort({0}, axis={axis})", ba.sort),
    "softmax": Op("hs.softmax({0}, axis={axis})", ba.softmax),
    "permute": Op("hs.permute_dims({0}, {axes})", _view(lambda a, axes: np.transpose(a, axes))),
    "reshape": Op("hs.reshape({0}, {shape})", _view(lambda a, shape: np.reshape(a, shape))),
    "index": Op("{0}[{index}]", _view(lambda a, index: a[index])),
    "flip": Op("hs.flip({0}, axis={axis})", _view(lambda a, axis: np.flip(a, axis))),
    "roll": Op("hs.roll({0}, {shift}, axis={axis})", _view(lambda a, shift, axis: np.roll(a, shift, axis))),
    "expand": Op("hs.expand_dims({0}, {axis})", _view(lambda a, axis: np.expand_dims(a, axis))),
    "squeeze": Op("hs.squeeze({0}, {axis})", _view(lambda a, axis: np.squeeze(a, axis))),
    "broadcast": Op("hs.broadcast_to({0}, {shape})", _view(lambda a, shape: np.broadcast_to(a, shape))),
    "concat": Op("hs.concat([{all}], axis={axis})", ba.concat),
    "stack": Op("hs.stack([{all}], axis={axis})", ba.stack),
    "take": Op("hs.take({0}, {1}, axis={axis})", ba.take),
    "segment_sum": Op("hs.segment_sum({0}, {1}, {segments})", ba.segment_sum),
}  # fmt: skip


def run_steps(steps, env):
    for s in steps:
        args = [env[a] if isinstance(a, str) else a for a in s.args]
        env[s.name] = run_vmap(args, s.kw, env) if s.op == "vmap" else OPS[s.op].reference(*args, **s.kw)
    return env


def run_vmap(args, kw, env):
    body, axes = kw["body"], kw["axes"]
    (n,) = {a.shape[0] for a, axis in zip(args, axes, strict=True) if axis is not None}
    rows = []
    for i in range(n):
        row = [
            a if axis is None else ba.view(a, lambda b, i=i: b[i]) for a, axis in zip(args, axes, strict=True)
        ]
        inner = run_steps(body.steps, {**env, **dict(zip(body.inputs, row, strict=True))})
        rows.append(inner[body.outputs[0]])
    return ba.stack(*rows)


def run(program, numbers) -> list[bd.Num]:
    """The outputs for inputs that are Nums."""
    env = run_steps(program.steps, dict(zip(program.inputs, numbers, strict=True)))
    return [env[o] for o in program.outputs]


# Text --------------------------------------------------------------------------------------------------------------------
def step_text(s) -> list[str]:
    if s.op == "vmap":
        lines = function_text(s.kw["body"], s.name + "_row")
        return [*lines, f"{s.name} = hs.vmap({s.name}_row, {s.kw['axes']})({', '.join(s.args)})"]
    kw = {k: index_text(v) if k == "index" else v for k, v in s.kw.items()}
    return [f"{s.name} = {OPS[s.op].template.format(*s.args, all=', '.join(map(str, s.args)), **kw)}"]


def function_text(program, name) -> list[str]:
    inside = [line for s in program.steps for line in step_text(s)]
    result = ", ".join(program.outputs) + (
        "," if program.inputs and len(program.outputs) == 1 and name == "f" else ""
    )
    return [
        f"def {name}({', '.join(program.inputs)}):",
        *("    " + line for line in [*inside, f"return {result}"]),
    ]


def text(program) -> str:
    """Python that runs: the inputs and the function."""
    head = ["import numpy as np", "from numpy import inf, nan", "import hesse as hs", ""]
    args = [f"{name} = hs.asarray({i.code})" for name, i in program.inputs.items()]
    return "\n".join([*head, *function_text(program, "f"), "", *args])


def function(program, hs):
    scope = {"hs": hs}
    exec("\n".join(function_text(program, "f")), scope)
    return scope["f"]


# Changes ---------------------------------------------------------------------------------------------------------------------
def rename(program, new):
    """With new names for values, those that bodies of maps capture included."""

    def step(s):
        kw = dict(s.kw)
        if s.op == "vmap":
            own = {*kw["body"].inputs, *(b.name for b in kw["body"].steps)}
            kw["body"] = rename(kw["body"], lambda n: n if n in own else new(n))
        return Step(new(s.name), s.op, tuple(new(a) if isinstance(a, str) else a for a in s.args), kw)

    return Program(program.inputs, tuple(map(step, program.steps)), tuple(map(new, program.outputs)))


def pruned(program, inputs=False):
    """Without steps, and if asked inputs, that nothing reads."""
    wanted, steps = set(program.outputs), []
    for s in reversed(program.steps):
        if s.name in wanted:
            steps.insert(0, s)
            wanted |= s.reads()
    kept = {k: i for k, i in program.inputs.items() if k in wanted} if inputs else program.inputs
    return Program(kept or dict(itertools.islice(program.inputs.items(), 1)), tuple(steps), program.outputs)
