"""Cuts a failing program of array_programs.py down to one with less in it that fails in the same way."""

from __future__ import annotations

from dataclasses import replace

import array_programs as ap
import bounded as bd
import numpy as np


def kind_of(message):
    return message.split(",")[0].split(":")[0]


def cut(program, k):
    """The program with step k as an input."""
    with np.errstate(all="ignore"):
        env = ap.run_steps(
            program.steps[: k + 1],
            dict(zip(program.inputs, [bd.Num(v, bits=True) for v in program.values()], strict=True)),
        )
    step = program.steps[k]
    value = ap.Input.literal(np.asarray(env[step.name].v, env[step.name].dtype))
    return replace(
        program, inputs={**program.inputs, step.name: value}, steps=program.steps[:k] + program.steps[k + 1 :]
    )


def without(program, k):
    """Programs in which an argument of step k stands for its result."""
    step = program.steps[k]
    for a in step.args:
        if isinstance(a, str):
            rest = replace(program, steps=program.steps[:k] + program.steps[k + 1 :])
            yield ap.rename(rest, lambda n, a=a: a if n == step.name else n)


def shorter_axes(program):
    """Programs whose axes of one length are shorter everywhere."""
    lengths = {n for i in program.inputs.values() for n in i.value.shape if n > 1}
    for n in sorted(lengths, reverse=True):
        for m in {1, 2, n // 2, n - 1}:
            if 0 < m < n:
                inputs = {}
                for name, i in program.inputs.items():
                    value = i.value[tuple(slice(m) if k == n else slice(None) for k in i.value.shape)]
                    inputs[name] = ap.Input.literal(
                        np.minimum(value, m - 1) if value.dtype.kind == "i" else value
                    )
                new = lambda shape, m=m, n=n: tuple(m if k == n else k for k in shape)
                steps = tuple(
                    replace(s, kw={**s.kw, "shape": new(s.kw["shape"])}) if "shape" in s.kw else s
                    for s in program.steps
                )
                yield replace(program, inputs=inputs, steps=steps)


def simpler_values(program):
    for name, i in program.inputs.items():
        if i.value.dtype.kind == "f":
            for value in (
                np.zeros_like(i.value),
                np.ones_like(i.value),
                np.round(i.value),
                np.round(i.value, 2),
            ):
                if not np.array_equal(value, i.value, equal_nan=True):
                    yield replace(program, inputs={**program.inputs, name: ap.Input.literal(value)})
    for name, i in program.inputs.items():
        yield replace(program, inputs={**program.inputs, name: ap.Input.literal(i.value)})


def smaller(program):
    """Programs with less in them, the boldest first."""
    if len(program.outputs) > 1:
        for o in program.outputs:
            yield replace(program, outputs=(o,))
        for k in range(len(program.outputs)):
            yield replace(program, outputs=program.outputs[:k] + program.outputs[k + 1 :])
    for k in reversed(range(len(program.steps))):
        yield cut(program, k)
    for k, step in enumerate(program.steps):
        yield from without(program, k)
        if step.op == "vmap":
            for simpler in simpler_maps(step):
                yield replace(program, steps=(*program.steps[:k], simpler, *program.steps[k + 1 :]))
    yield from shorter_axes(program)
    yield from simpler_values(program)


def simpler_maps(step):
    """Maps with a step less in the body, or an operand less."""
    body = step.kw["body"]
    for k in range(len(body.steps)):
        yield from (replace(step, kw={**step.kw, "body": ap.pruned(b)}) for b in without(body, k))
    read = set(body.outputs).union(*(s.reads() for s in body.steps))
    for k, name in enumerate(body.inputs):
        if name not in read:
            drop = lambda t, k=k: t[:k] + t[k + 1 :]
            fewer = replace(body, inputs={n: i for n, i in body.inputs.items() if n != name})
            yield replace(step, args=drop(step.args), kw={"axes": drop(step.kw["axes"]), "body": fewer})


def weight(program):
    """What must fall: operations, then outputs and entries, then how values look."""
    maps = [s for s in program.steps if s.op == "vmap"]
    inner = sum(len(s.args) + len(s.kw["body"].steps) for s in maps)
    entries = sum(i.value.size for i in program.inputs.values())
    return (
        len(program.steps) + inner,
        len(program.outputs),
        entries,
        sum(len(i.code) for i in program.inputs.values()),
    )


def minimised(program, message, fails, tries=400):
    """The smallest program found that fails in the same way, and its message; fails(program) gives that, or None."""
    kind, progress = kind_of(message), True
    while progress and tries > 0:
        progress = False
        for candidate in smaller(program):
            candidate = ap.pruned(candidate, inputs=True)
            if weight(candidate) >= weight(program):
                continue
            tries -= 1
            if tries <= 0:
                break
            try:
                found = fails(candidate)
            except Exception:  # it became ill-formed
                continue
            if found and kind_of(found) == kind:
                program, message, progress = candidate, found, True
                break
    return program, message
