"""Formulas of models of positions, edge by edge in NumPy. They take complex numbers, so that derivatives are complex steps.

A model's fields are arrays of NumPy here. `edges` is [2, E], sources above targets, `offsets` [E, 3] or 0.
"""

from __future__ import annotations

import functools
import math

import numpy as np
from scipy.optimize import brentq
from scipy.special import eval_legendre, spherical_jn


def silu(x):
    return x / (1 + np.exp(-x))


def linear(layer, x):
    y = layer.weight @ x
    return y if layer.bias is None else y + layer.bias


def mlp(net, x, f=silu):
    for layer in net.layers[:-1]:
        x = f(linear(layer, x))
    return linear(net.layers[-1], x)


def length(d):
    """The root of d . d, without a conjugate."""
    return np.sqrt(np.sum(d * d))


def egnn_conv(m, h, pos, edges, offsets, attr=None, start=None):
    n = len(h)
    sums = [np.zeros(m.message.layers[-1].weight.shape[0]) for _ in range(n)]
    moves, counts = [np.zeros(3) for _ in range(n)], np.zeros(n)
    for e, (j, i) in enumerate(edges.T):
        d = pos[i] - pos[j] - offsets[e]
        parts = [h[i], h[j], [np.sum(d * d)]]
        message = silu(mlp(m.message, np.concatenate(parts if attr is None else [*parts, attr[e]])))
        sums[i] = sums[i] + message
        counts[i] += 1
        if m.position is not None:
            moves[i] = moves[i] + d * mlp(m.position, message)
    new = np.array([h[i] + mlp(m.node, np.concatenate([h[i], sums[i]])) for i in range(n)])
    velocity = np.array(moves) / np.maximum(counts, 1)[:, None]
    if start is not None:
        velocity = velocity + np.array([mlp(m.velocity, h[i])[0] * start[i] for i in range(n)])
    return new, pos + velocity, velocity


def egnn(m, x, pos, edges, offsets, attr=None, start=None):
    """Features, positions, velocities; start: the velocities at first."""
    h = np.array([linear(m.first, row) for row in x])
    for layer in m.layers:
        h, pos, velocity = egnn_conv(layer, h, pos, edges, offsets, attr, start)
    return np.array([linear(m.last, row) for row in h]), pos, velocity


def ssp(x):
    return np.log(0.5 + 0.5 * np.exp(x))


def cfconv(m, x, pos, edges, offsets):
    y, spacing = [np.zeros(x.shape[1])] * len(x), m.cutoff / (m.gaussians - 1)
    for e, (j, i) in enumerate(edges.T):
        r = length(pos[j] - pos[i] + offsets[e])
        g = np.array([np.exp(-((r - k * spacing) ** 2) / (2 * spacing**2)) for k in range(m.gaussians)])
        w = linear(m.second, ssp(linear(m.first, g))) * (np.cos(np.pi * r / m.cutoff) + 1) / 2
        y[i] = y[i] + w * x[j]
    return np.array(y)


def schnet(m, z, pos, edges, offsets):
    """The energy of one molecule."""
    h = [m.embedding[k] for k in z]
    for block in m.interactions:
        y = cfconv(block.conv, np.array([block.before @ row for row in h]), pos, edges, offsets)
        h = [row + linear(block.last, ssp(linear(block.after, a))) for row, a in zip(h, y, strict=True)]
    return sum(linear(m.last, ssp(linear(m.hidden_layer, row)))[0] for row in h)


def painn(m, z, pos, edges, offsets):
    """The energy of one molecule."""
    s = [m.embedding[k] for k in z]
    v = [[np.zeros(len(s[0]))] * 3 for _ in z]
    for message, update in zip(m.messages, m.updates, strict=True):
        count = message.filter.weight.shape[1]
        phi = [mlp(message.net, row) for row in s]
        s_new, v_new = list(s), [list(rows) for rows in v]
        for e, (j, i) in enumerate(edges.T):
            d = pos[j] - pos[i] + offsets[e]
            r = length(d)
            if r.real >= m.cutoff:
                continue
            g = np.array([np.sin(n * np.pi * r / m.cutoff) / r for n in range(1, count + 1)])
            w = linear(message.filter, g) * (np.cos(np.pi * r / m.cutoff) + 1) / 2
            a, b, c = np.split(phi[j] * w, 3)
            s_new[i] = s_new[i] + a
            for k in range(3):
                v_new[i][k] = v_new[i][k] + v[j][k] * b + d[k] / r * c
        s, v = s_new, v_new
        s_new, v_new = [], []
        for i in range(len(z)):
            u = np.array([update.first.weight @ v[i][k] for k in range(3)])
            w = np.array([update.second.weight @ v[i][k] for k in range(3)])
            norm = np.sqrt(sum(w[k] ** 2 for k in range(3)) + 1e-8)
            vv, sv, ss = np.split(mlp(update.net, np.concatenate([s[i], norm])), 3)
            s_new.append(s[i] + ss + sv * sum(u[k] * w[k] for k in range(3)))
            v_new.append([v[i][k] + u[k] * vv for k in range(3)])
        s, v = s_new, v_new
    return sum(mlp(m.readout, row)[0] for row in s)


@functools.cache
def zeros_of_bessel(order: int, count: int) -> tuple[float, ...]:
    """By sign changes on a fine grid."""
    f = functools.partial(spherical_jn, order)
    grid = np.arange(0.5, np.pi * (count + order + 1), 0.01)
    at = np.flatnonzero(np.sign(f(grid[1:])) != np.sign(f(grid[:-1])))
    return tuple(brentq(f, grid[k], grid[k + 1], xtol=1e-15) for k in at[:count])


def bessel(order, x):
    """j_order(x), to first order in the imaginary part: SciPy's of complex numbers has rounding of the real part in it."""
    return spherical_jn(order, x.real) + 1j * x.imag * spherical_jn(order, x.real, derivative=True)


def dimenet(m, z, pos, edges, offsets):
    """The energy of one molecule."""
    cut, p = m.cutoff, m.exponent + 1
    count, orders, waves = edges.shape[1], m.spherical, m.radial

    def envelope(x):
        if x.real >= 1:
            return 0.0
        return (
            1 / x - (p + 1) * (p + 2) / 2 * x ** (p - 1) + p * (p + 2) * x**p - p * (p + 1) / 2 * x ** (p + 1)
        )

    vectors = [pos[j] - pos[i] + offsets[e] for e, (j, i) in enumerate(edges.T)]
    lengths = [length(d) for d in vectors]
    rbf = [np.array([envelope(r / cut) * np.sin(f * r / cut) for f in m.frequencies]) for r in lengths]

    def radial(r):
        found = np.zeros((orders, waves), complex)
        for l in range(orders):
            for n, root in enumerate(zeros_of_bessel(l, waves)):
                norm = math.sqrt(2) / abs(spherical_jn(l + 1, root))
                found[l, n] = envelope(r / cut) * norm * bessel(l, root * r / cut)
        return found if np.iscomplexobj(r) else found.real

    def output(block, x):
        sums = [0] * len(z)
        for e, i in enumerate(edges[1]):
            sums[i] = sums[i] + linear(block.radial, rbf[e]) * x[e]
        total = 0
        for s in sums:
            h = linear(block.up, s if np.ndim(s) else np.zeros(block.up.weight.shape[1]))
            for layer in block.hidden:
                h = silu(linear(layer, h))
            total = total + linear(block.last, h)[0]
        return total

    def residual(layer, x):
        return x + silu(linear(layer.second, silu(linear(layer.first, x))))

    sbf = [radial(r) for r in lengths]
    x = []
    for e, (j, i) in enumerate(edges.T):
        ends = [m.embedding[z[i]], m.embedding[z[j]], silu(linear(m.radial_embedding, rbf[e]))]
        x.append(silu(linear(m.edge_embedding, np.concatenate(ends))))
    energy = output(m.outputs[0], x)
    for block, out in zip(m.interactions, m.outputs[1:], strict=True):
        kj = []
        for e in range(count):
            filter_ = linear(block.radial[1], linear(block.radial[0], rbf[e]))
            kj.append(silu(linear(block.down, silu(linear(block.kj, x[e])) * filter_)))
        new = []
        for e in range(count):
            j, i = edges[:, e]
            total = np.zeros(block.down.weight.shape[0])
            for f in range(count):
                if edges[1, f] != j or np.abs((vectors[e] + vectors[f]).real).max() < 1e-9:
                    continue  # does not lead to e, or is its reverse
                cosine = np.sum(vectors[e] * vectors[f]) / (lengths[e] * lengths[f])
                y = [
                    math.sqrt((2 * l + 1) / 4 / np.pi) * eval_legendre_complex(l, cosine)
                    for l in range(orders)
                ]
                basis = np.concatenate([y[l] * sbf[f][l] for l in range(orders)])
                total = total + kj[f] * linear(block.spherical[1], linear(block.spherical[0], basis))
            h = silu(linear(block.ji, x[e])) + silu(linear(block.up, total))
            for layer in block.before_skip:
                h = residual(layer, h)
            h = silu(linear(block.skip, h)) + x[e]
            for layer in block.after_skip:
                h = residual(layer, h)
            new.append(h)
        x = new
        energy = energy + output(out, x)
    return energy


def eval_legendre_complex(l, x):
    """P_l(x) by its coefficients, which SciPy's values fix: a polynomial through l + 1 of them."""
    nodes = np.cos(np.pi * (np.arange(l + 1) + 0.5) / (l + 1))
    coefficients = np.linalg.solve(np.vander(nodes), eval_legendre(l, nodes))
    return np.polyval(coefficients, x)
