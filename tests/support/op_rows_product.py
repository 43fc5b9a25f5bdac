"""Rows of the op table: products, convolution, Fourier transforms."""

from __future__ import annotations

import itertools

import numpy as np
from op_entry import Entry, S, refuse
from sampling import F, distinct

LIN = {"takes": "fc", "out": "same", "rtol": 4.0}


def shapes_refused(name, a, b, error=ValueError, **kw):
    def call(hs):
        f = hs
        for part in name.split("."):
            f = getattr(f, part)
        return f(hs.ones(a), hs.ones(b), **kw)

    return refuse(call, error, name.rsplit(".", 1)[-1], str(a), str(b))


def pairs(*shapes, **kw):
    return tuple(S(F(*a), F(*b), **kw) for a, b in shapes)


MATMUL = [((2, 3), (3, 4)), ((3,), (3,)), ((2, 3), (3,)), ((3,), (3, 2)), ((2, 2, 3), (3, 4)), ((2, 1, 2, 3), (5, 3, 2)),
          ((0, 3), (3, 2)), ((2, 0), (0, 3)), ((3,), (2, 3, 2)), ((1, 1), (1, 1)), ((17, 33), (33, 9))]  # fmt: skip


def cross_(x, y, axis=-1):
    return np.cross(x, y, axis=axis)


PRODUCTS = [
    Entry("matmul", np.matmul, pairs(*MATMUL), also=("linalg.matmul",), **{**LIN, "takes": "fci"},
          refusals=(shapes_refused("matmul", (2, 3), (2, 3)), shapes_refused("matmul", (3,), (4,)), shapes_refused("matmul", (), (3,)),
                    shapes_refused("matmul", (2, 2, 3), (3, 3, 2)))),
    Entry("dot", np.dot, pairs(((3,), (3,)), ((2, 3), (3,)), ((2, 3), (3, 2)), ((0,), (0,))), **LIN, refusals=(shapes_refused("dot", (3,), (4,)),)),
    Entry("vecdot", lambda x, y, axis=-1: np.vecdot(x, y, axis=axis), (S(F(3), F(3)), S(F(2, 3), F(3)), S(F(2, 3), F(2, 3), axis=-1), S(F(0), F(0))), also=("linalg.vecdot",), **LIN,
          refusals=(shapes_refused("vecdot", (3,), (4,)),)),
    Entry("outer", np.outer, pairs(((3,), (2,)), ((1,), (4,)), ((0,), (2,))), also=("linalg.outer",), **LIN, refusals=(shapes_refused("outer", (2, 2), (3,)),)),
    Entry("tensordot", lambda x, y, axes=2: np.tensordot(x, y, axes), (S(F(2, 3), F(3, 4), axes=1), S(F(2, 3, 4), F(3, 4, 2), axes=2), S(F(2), F(3), axes=0), S(F(2, 3, 4), F(4, 2), axes=((2, 0), (0, 1)))),
          also=("linalg.tensordot",), **LIN, refusals=(shapes_refused("tensordot", (2, 3), (4, 2), axes=1),)),
    Entry("einsum", lambda *a: np.einsum(*a),
          (S("ij,jk->ik", F(2, 3), F(3, 4)), S("ij->ji", F(2, 3)), S("ii->i", F(3, 3)), S("ii", F(3, 3)), S("ij,ij->", F(2, 3), F(2, 3)), S("bij,bjk->bik", F(2, 3, 2), F(2, 2, 4)),
           S("...i,...i->...", F(2, 3), F(2, 3)), S("i,j->ij", F(2), F(3)), S("ij,jk,kl->il", F(2, 3), F(3, 2), F(2, 4)), S("ij->", F(2, 3)), S("ij,jk", F(2, 3), F(3, 2)), S("i,i->", F(0), F(0)),
           S("ijk,k->ji", F(2, 3, 4), F(4))), **LIN,
          refusals=(refuse(lambda hs: hs.einsum("ij,jk->ik", hs.ones((2, 3)), hs.ones((4, 2))), ValueError, "einsum", "j", "3", "4"),
                    refuse(lambda hs: hs.einsum("ij->ik", hs.ones((2, 3))), ValueError, "einsum", "k"), refuse(lambda hs: hs.einsum("ij", hs.ones((2,))), ValueError, "einsum"))),
    Entry("kron", np.kron, pairs(((2, 3), (3, 2)), ((2,), (3,)), ((2, 2), (2,))), **LIN),
    Entry("cross", cross_, (S(F(3), F(3)), S(F(2, 3), F(3)), S(F(3, 2), F(3, 2), axis=0)), also=("linalg.cross",), **LIN,
          refusals=(shapes_refused("cross", (2,), (2,)),)),
]  # fmt: skip


# Convolution: the definition, entry by entry ----------------------------------------------------------------------------
def dims(v, n, default):
    return (default,) * n if v is None else ((v,) * n if isinstance(v, int) else tuple(v))


def conv_ref(x, w, stride=None, padding=None, dilation=None, groups=1):
    n = x.ndim - 2
    stride, dilation = dims(stride, n, 1), dims(dilation, n, 1)
    padding = padding or [(0, 0)] * n
    x = np.pad(x, [(0, 0), (0, 0), *padding])
    out_shape = [(x.shape[2 + d] - dilation[d] * (w.shape[2 + d] - 1) - 1) // stride[d] + 1 for d in range(n)]
    y = np.zeros((x.shape[0], w.shape[0], *out_shape), np.result_type(x, w))
    per_in, per_out = x.shape[1] // groups, w.shape[0] // groups
    for position in itertools.product(*map(range, out_shape)):
        for tap in itertools.product(*map(range, w.shape[2:])):
            at = tuple(p * s + t * d for p, s, t, d in zip(position, stride, tap, dilation, strict=True))
            for g in range(groups):
                xs = x[(slice(None), slice(g * per_in, (g + 1) * per_in), *at)]
                ws = w[(slice(g * per_out, (g + 1) * per_out), slice(None), *tap)]
                y[(slice(None), slice(g * per_out, (g + 1) * per_out), *position)] += xs @ ws.T
    return y


def conv_transpose_ref(y, w, stride=None, padding=None, dilation=None, groups=1, output_padding=None):
    """The transpose of conv_ref in x: <conv(x, w), y> = <x, conv_transpose(y, w)>; w is [O, C/groups, ...]."""
    n = y.ndim - 2
    s, d, extra = dims(stride, n, 1), dims(dilation, n, 1), dims(output_padding, n, 0)
    pads = padding or [(0, 0)] * n
    shape = (y.shape[0], w.shape[1] * groups, *(
        (y.shape[2 + i] - 1) * s[i] + d[i] * (w.shape[2 + i] - 1) + 1 - sum(pads[i]) + extra[i] for i in range(n)
    ))  # fmt: skip
    out = np.zeros(shape, np.result_type(y, w))
    flat = np.zeros(int(np.prod(shape)))
    for k in range(flat.size):
        flat[:] = 0
        flat[k] = 1
        out.reshape(-1)[k] = np.sum(conv_ref(flat.reshape(shape), w, stride, padding, dilation, groups) * y)
    return out


def pool_ref(reduce, pad_value):
    def f(x, window, stride=None, padding=None):
        n = x.ndim - 2
        window = dims(window, n, 1)
        stride = window if stride is None else dims(stride, n, 1)
        x = np.pad(x, [(0, 0), (0, 0), *(padding or [(0, 0)] * n)], constant_values=pad_value)
        shape = [(x.shape[2 + d] - window[d]) // stride[d] + 1 for d in range(n)]
        y = np.zeros((*x.shape[:2], *shape), x.dtype)
        for p in itertools.product(*map(range, shape)):
            block = x[
                (
                    slice(None),
                    slice(None),
                    *(slice(q * s, q * s + w) for q, s, w in zip(p, stride, window, strict=True)),
                )
            ]
            y[(slice(None), slice(None), *p)] = reduce(block, axis=tuple(range(2, 2 + n)))
        return y

    return f


CONV = [
    Entry("conv", conv_ref,
          (S(F(2, 3, 7), F(4, 3, 3)), S(F(1, 2, 5, 4), F(3, 2, 2, 3)), S(F(1, 1, 4, 3, 3), F(2, 1, 2, 2, 2)), S(F(1, 2, 7), F(2, 2, 3), stride=(2,), padding=[(1, 2)]),
           S(F(1, 2, 8), F(2, 2, 3), dilation=(2,)), S(F(1, 4, 6), F(4, 2, 3), groups=2), S(F(2, 2, 5, 5), F(2, 1, 3, 3), groups=2, padding=[(1, 1), (1, 1)], stride=(2, 2)), S(F(0, 2, 4), F(1, 2, 2))),
          **LIN,
          refusals=(shapes_refused("conv", (1, 2, 5), (3, 4, 3)), shapes_refused("conv", (1, 2, 2), (1, 2, 3)), refuse(lambda hs: hs.conv(hs.ones((1, 3, 5)), hs.ones((2, 1, 2)), groups=2), ValueError, "conv", "groups", "2"),
                    refuse(lambda hs: hs.conv(hs.ones((1, 2, 5)), hs.ones((2, 2, 2)), stride=(0,)), ValueError, "conv", "stride", "0"))),
    Entry("conv_transpose", conv_transpose_ref,
          (S(F(1, 2, 4), F(2, 3, 3)), S(F(1, 2, 3), F(2, 1, 3), stride=(2,), padding=[(1, 1)]), S(F(1, 2, 3), F(2, 1, 2), stride=(2,), output_padding=(1,)), S(F(1, 1, 2, 3), F(1, 2, 2, 2)), S(F(1, 4, 3), F(4, 1, 2), groups=2), S(F(1, 1, 3), F(1, 1, 2), dilation=(2,))),
          **LIN, refusals=(shapes_refused("conv_transpose", (1, 2, 5), (3, 4, 3)),)),
    Entry("max_pool", pool_ref(np.max, -np.inf), (S(F(2, 2, 6, domain=distinct(0)), (2,)), S(F(1, 2, 5, 4, domain=distinct(0)), (2, 2)), S(F(1, 1, 6, domain=distinct(0)), (3,), stride=(1,)), S(F(1, 1, 5, domain=distinct(0)), (2,), stride=(2,), padding=[(1, 0)])),
          takes="f", diff="f", out="same", refusals=(refuse(lambda hs: hs.max_pool(hs.ones((1, 1, 2)), (3,)), ValueError, "max_pool", "3", "2"), refuse(lambda hs: hs.max_pool(hs.ones((1, 1, 4)), (0,)), ValueError, "max_pool", "0"))),
    Entry("avg_pool", pool_ref(np.mean, 0.0), (S(F(2, 2, 6), (2,)), S(F(1, 2, 5, 4), (2, 2)), S(F(1, 1, 6), (3,), stride=(1,)), S(F(1, 1, 5), (2,), stride=(2,), padding=[(1, 0)])),
          **LIN, refusals=(refuse(lambda hs: hs.avg_pool(hs.ones((1, 1, 2)), (3,)), ValueError, "avg_pool", "3", "2"),)),
]  # fmt: skip


# Fourier transforms -----------------------------------------------------------------------------------------------------
def fft_row(name, samples, takes="fc", out="complex", **kw):
    def ref(x, *args, **k):
        return getattr(np.fft, name)(x, *args, **k)

    axis = {"axes": (7,)} if name.endswith("n") else {"axis": 7}
    refusals = (
        refuse(lambda hs: getattr(hs.fft, name)(hs.ones((2, 3)), **axis), IndexError, name, "7"),
        refuse(
            lambda hs: getattr(hs.fft, name)(hs.ones((4,)), norm="wrong"), ValueError, name, "norm", "wrong"
        ),
        refuse(
            lambda hs: getattr(hs.fft, name)(
                hs.ones((4,)), **({"s": (0,)} if name.endswith("n") else {"n": 0})
            ),
            ValueError,
            name,
            "0",
        ),
    )
    return Entry(
        "fft." + name, ref, samples, takes=takes, out=out, diff=takes, rtol=8.0, refusals=refusals, **kw
    )


ONE = [
    ((8,), {}),
    ((5,), {}),
    ((1,), {}),
    ((2, 6), {"axis": 0}),
    ((6,), {"n": 4}),
    ((6,), {"n": 9}),
    ((7,), {"norm": "ortho"}),
    ((6,), {"norm": "forward"}),
    ((2, 12), {}),
]
MANY = [
    ((4, 6), {}),
    ((3, 5), {}),
    ((2, 4, 3), {"axes": (0, 2)}),
    ((4, 4), {"s": (3, 5)}),
    ((2, 3, 4), {}),
    ((4, 6), {"norm": "ortho"}),
]


def fft_samples(cases, **kw):
    return tuple(S(F(*s), **k) for s, k in cases)


def halves(cases):
    """Arguments of irfft: what rfft gives."""
    return tuple(S(F(*s), **k) for s, k in cases)


FFT = [
    fft_row("fft", fft_samples(ONE)),
    fft_row("ifft", fft_samples(ONE)),
    fft_row("rfft", fft_samples(ONE), takes="f"),
    fft_row("irfft", halves([((5,), {}), ((4,), {"n": 7}), ((2, 4), {}), ((4, 2), {"axis": 0}), ((5,), {"n": 4}), ((3,), {"n": 8}), ((4,), {"norm": "ortho"}), ((2,), {})]), takes="fc", out="real"),
    fft_row("fftn", fft_samples(MANY)),
    fft_row("ifftn", fft_samples(MANY)),
    fft_row("rfftn", fft_samples(MANY), takes="f"),
    fft_row("irfftn", halves([((4, 4), {}), ((3, 3), {"s": (3, 5)}), ((2, 3, 3), {"axes": (0, 2)}), ((3, 4), {"norm": "ortho"})]), takes="fc", out="real"),
    Entry("fft.fft2", np.fft.fft2, fft_samples(MANY[:2]), out="complex", rtol=8.0, cpp=()),
    Entry("fft.ifft2", np.fft.ifft2, fft_samples(MANY[:2]), out="complex", rtol=8.0, cpp=()),
    Entry("fft.rfft2", np.fft.rfft2, fft_samples(MANY[:2]), takes="f", diff="f", out="complex", rtol=8.0, cpp=()),
    Entry("fft.irfft2", np.fft.irfft2, fft_samples(MANY[:2]), out="real", rtol=8.0, cpp=()),
    Entry("fft.hfft", np.fft.hfft, fft_samples([((5,), {}), ((4,), {"n": 7}), ((2, 4), {})]), out="real", rtol=8.0, cpp=()),
    Entry("fft.ihfft", np.fft.ihfft, fft_samples([((6,), {}), ((5,), {}), ((2, 4), {})]), takes="f", diff="f", out="complex", rtol=8.0, cpp=()),
    Entry("fft.fftshift", np.fft.fftshift, fft_samples([((5,), {}), ((2, 4), {}), ((2, 4), {"axes": (1,)})]), out="same", cpp=()),
    Entry("fft.ifftshift", np.fft.ifftshift, fft_samples([((5,), {}), ((2, 4), {}), ((2, 4), {"axes": (1,)})]), out="same", cpp=()),
    Entry("fft.fftfreq", lambda n, d=1.0: np.fft.fftfreq(n, d), (S(5), S(8, d=0.5), S(1)), takes="f", dtypes=("float64",), diff="", vmap=False,
          refusals=(refuse(lambda hs: hs.fft.fftfreq(0), ValueError, "fftfreq", "0"),)),
    Entry("fft.rfftfreq", lambda n, d=1.0: np.fft.rfftfreq(n, d), (S(5), S(8, d=0.5), S(1)), takes="f", dtypes=("float64",), diff="", vmap=False,
          refusals=(refuse(lambda hs: hs.fft.rfftfreq(0), ValueError, "rfftfreq", "0"),)),
]  # fmt: skip

ROWS = [*PRODUCTS, *CONV, *FFT]
