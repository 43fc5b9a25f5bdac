"""Rows of the op table: sparse matrices, whose places are fixed, and reductions of rows by segment."""

from __future__ import annotations

import numpy as np
from op_entry import Entry, S, refuse
from sampling import F, I, distinct

SHAPE = (4, 5)
INDPTR = np.array([0, 2, 2, 5, 6])
INDICES = np.array([3, 0, 1, 4, 2, 3])
ROWS_OF = np.repeat(np.arange(4), np.diff(INDPTR))
TRIPLETS = np.array([2, 0, 2, 3, 0, 2]), np.array([1, 4, 1, 0, 4, 0])  # with places that repeat


def dense(v, row=ROWS_OF, col=INDICES):
    out = np.zeros(SHAPE, v.dtype)
    np.add.at(out, (row, col), v)
    return out


def csr(hs, v):
    return hs.sparse.csr(v, INDICES, INDPTR, SHAPE)


def csr32(hs, v, **kw):
    return hs.sparse.csr(v, INDICES.astype("int32"), INDPTR.astype("int32"), SHAPE, **kw)


def heads(v):
    return np.moveaxis(np.stack([dense(v[:, h]) for h in range(v.shape[1])]), 0, -1)  # (rows, cols, heads)


EDGES = np.array([3, 0, 3, 1, 0, 3]), np.array([1, 1, 4, 0, 1, 2])  # in no order, one of them twice
OTHER = np.array([0, 1, 2, 2, 4]), np.array([1, 0, 0, 2, 1])  # of a matrix (5, 3)


def other(hs, v):
    return hs.sparse.coo(v, *OTHER, (5, 3), duplicates="refuse")


def dense_other(v):
    out = np.zeros((5, 3), v.dtype)
    out[OTHER] = v
    return out


def near(hs, v):
    return hs.sparse.coo(v, np.array([0, 1, 2]), np.array([3, 1, 4]), SHAPE)


def by_segment(reduce, empty=0.0):
    """reduce(rows of a segment) for every segment."""

    def reference(x, i, n):
        return np.stack(
            [reduce(x[i == s]) if np.any(i == s) else np.full(x.shape[1:], empty) for s in range(n)]
        )

    return reference


def softmax_of_segments(x, i, n):
    y = np.empty_like(x)
    for s in range(n):
        e = np.exp(x[i == s] - x[i == s].max(axis=0, initial=-np.inf)) if np.any(i == s) else x[i == s]
        y[i == s] = e / e.sum(axis=0)
    return y


SEGMENTS = (
    S(F(6), I(6, hi=4), 4),
    S(F(7, 2), I(7, hi=3), 5),
    S(F(0, 2), I(0), 3),
    S(F(200), I(200, hi=7), 7),
)
DISTINCT = (S(F(6, domain=distinct(0)), I(6, hi=3), 3), S(F(6, 2, domain=distinct(0)), I(6, hi=3), 3))


def segments(name, reference, samples=SEGMENTS, takes="f", **kw):
    kw.setdefault("out", "same")
    return Entry(name, reference, samples, takes=takes, diff="fc", cpp=(),
                 refusals=(refuse(lambda hs: getattr(hs, name)(hs.ones((2,)), hs.asarray([0, 7]), 5), IndexError, name, "7", "position 1", "num_segments=8"),
                           refuse(lambda hs: getattr(hs, name)(hs.ones((2,)), hs.asarray([0, -1]), 5), IndexError, name, "-1", "negative"),
                           refuse(lambda hs: getattr(hs, name)(hs.ones((2,)), hs.asarray([0, 1, 1]), 5), ValueError, name, "(2,)", "(3,)"),
                           refuse(lambda hs: getattr(hs, name)(hs.ones((2,)), hs.asarray([0.0, 1.0]), 5), TypeError, name)), **kw)  # fmt: skip


ALL = {"takes": "fci", "out": "same", "cpp": (), "rtol": 4.0}
ROWS = [
    Entry("sparse.csr", lambda v, x: dense(v) @ x, (S(F(6), F(5)), S(F(6), F(5, 3)), S(F(6), F(5, 9)), S(F(6), F(5, 0))), call=lambda hs, v, x: csr(hs, v) @ x, **ALL,
          refusals=(refuse(lambda hs: hs.sparse.csr([1.0], [7], [0, 1], (1, 2)), IndexError, "csr", "7", "2 columns"),
                    refuse(lambda hs: hs.sparse.csr([1.0, 1.0], [1, 1], [0, 2], (1, 2)), ValueError, "csr", "column 1", "coo"))),
    Entry("sparse.csr#transposed", lambda v, x: dense(v).T @ x, (S(F(6), F(4)), S(F(6), F(4, 3))), call=lambda hs, v, x: csr(hs, v).T @ x, **ALL),
    Entry("sparse.coo", lambda v, x: dense(v, *TRIPLETS) @ x, (S(F(6), F(5)), S(F(6), F(5, 2))), call=lambda hs, v, x: hs.sparse.coo(v, *TRIPLETS, SHAPE) @ x, **ALL,
          refusals=(refuse(lambda hs: hs.sparse.coo([1.0], [0], [7], (1, 2)), IndexError, "coo", "7"),)),
    Entry("sparse.sampled_outer", lambda x, y: (x @ y.T if x.ndim == 2 else np.outer(x, y))[ROWS_OF, INDICES], (S(F(4), F(5)), S(F(4, 3), F(5, 3)), S(F(4, 0), F(5, 0))),
          call=lambda hs, x, y: hs.sparse.sampled_outer(csr(hs, np.zeros(6)), x, y), **ALL,
          refusals=(refuse(lambda hs: hs.sparse.sampled_outer(csr(hs, np.zeros(6)), hs.ones(5), hs.ones(4)), ValueError, "sampled_outer", "(4, 5)", "(5,)"),)),
    Entry("sparse.csr#int32", lambda v, x: dense(v) @ x, (S(F(6), F(5)), S(F(6), F(5, 70)), S(F(6), F(5, 33))), call=lambda hs, v, x: csr32(hs, v) @ x, **ALL),
    Entry("sparse.csr#heads", lambda v, x: np.einsum("rch,ch...->rh...", heads(v), x), (S(F(6, 2), F(5, 2, 3)), S(F(6, 3), F(5, 3)), S(F(6, 2), F(5, 2, 0)), S(F(6, 2), F(5, 2, 17))),
          call=lambda hs, v, x: csr32(hs, v) @ x, **ALL,
          refusals=(refuse(lambda hs: csr32(hs, np.ones((6, 2))) @ hs.ones((5, 3, 2)), ValueError, "matmul", "2 heads", "(5, 3, 2)"),
                    refuse(lambda hs: csr32(hs, np.ones((6, 2))) @ hs.ones(5), ValueError, "matmul", "2 heads", "(5,)"))),
    Entry("sparse.csr#heads transposed", lambda v, x: np.einsum("rch,rh...->ch...", heads(v), x), (S(F(6, 2), F(4, 2, 3)), S(F(6, 3), F(4, 3))), call=lambda hs, v, x: csr(hs, v).T @ x, **ALL),
    Entry("sparse.csr#sum", lambda v: dense(v).sum(axis=1), (S(F(6)),), call=lambda hs, v: csr(hs, v).sum(axis=1), **ALL,
          refusals=(refuse(lambda hs: csr(hs, np.ones(6)).sum(axis=2), ValueError, "sum", "axis=2"),)),
    Entry("sparse.csr#sum of columns", lambda v: heads(v).sum(axis=0), (S(F(6, 2)),), call=lambda hs, v: csr(hs, v).sum(axis=0), **ALL),
    Entry("sparse.csr#diagonal", lambda v: np.diag(dense(v)), (S(F(6)),), call=lambda hs, v: csr(hs, v).diagonal(), **ALL),
    Entry("sparse.csr#dense", lambda v: heads(v), (S(F(6, 2)),), call=lambda hs, v: csr(hs, v).todense(), **ALL),
    Entry("sparse.csr#scaled", lambda v, r, c: (r[:, None] * dense(v) * c)[ROWS_OF, INDICES], (S(F(6), F(4), F(5)),), call=lambda hs, v, r, c: (r[:, None] * csr(hs, v) * c).data, **ALL,
          refusals=(refuse(lambda hs: csr(hs, np.ones(6)) * hs.ones(4), ValueError, "multiply", "(4,)", "(4, 5)"),)),
    Entry("sparse.csr#times dense", lambda v, d: (dense(v) * d)[ROWS_OF, INDICES], (S(F(6), F(4, 5)), S(F(6), F(1, 1)), S(F(6), F())), call=lambda hs, v, d: (csr(hs, v) * d).data, **ALL),
    Entry("sparse.csc", lambda v, x: dense(v).T @ x, (S(F(6), F(4)), S(F(6), F(4, 3))), call=lambda hs, v, x: hs.sparse.csc(v, INDICES, INDPTR, SHAPE[::-1]) @ x, **ALL,
          refusals=(refuse(lambda hs: hs.sparse.csc([1.0], [7], [0, 1], (2, 1)), IndexError, "7"),)),
    Entry("sparse.coo#edges", lambda w, x: dense(w, *EDGES) @ x, (S(F(6), F(5)), S(F(6), F(5, 9))), call=lambda hs, w, x: hs.sparse.coo(w, *EDGES, SHAPE, duplicates="keep") @ x, **ALL,
          refusals=(refuse(lambda hs: hs.sparse.coo(np.ones(6), *EDGES, SHAPE, duplicates="refuse"), ValueError, "coo", "(0, 1)", "twice"),
                    refuse(lambda hs: hs.sparse.coo(np.ones(6), *EDGES, SHAPE, duplicates="drop"), ValueError, "coo", "drop", "keep"))),
    Entry("sparse.sampled_outer#heads", lambda x, y: np.einsum("rhk,chk->rch", x, y)[ROWS_OF, INDICES], (S(F(4, 2, 3), F(5, 2, 3)), S(F(4, 2, 20), F(5, 2, 20)), S(F(4, 1, 1), F(5, 1, 1))),
          call=lambda hs, x, y: hs.sparse.sampled_outer(csr32(hs, np.zeros(6)), x, y), **ALL),
    Entry("sparse.AddStructure", lambda v, w: dense(v) + dense(w, np.array([0, 1, 2]), np.array([3, 1, 4])), (S(F(6), F(3)),), call=lambda hs, v, w: (csr(hs, v) + near(hs, w)).todense(), **ALL,
          refusals=(refuse(lambda hs: csr(hs, np.ones(6)) + csr(hs, np.ones(6)).T, ValueError, "add", "(4, 5)", "(5, 4)"),)),
    Entry("sparse.MatmulStructure", lambda v, w: dense(v) @ dense_other(w), (S(F(6), F(5)),), call=lambda hs, v, w: (csr32(hs, v) @ other(hs, w)).todense(), **ALL,
          refusals=(refuse(lambda hs: csr(hs, np.ones(6)) @ csr(hs, np.ones(6)), ValueError, "matmul", "(4, 5)"),)),
    Entry("sparse.MatmulStructure#transposed", lambda v, w: np.einsum("rch,rc->ch", heads(v), dense(w[:, 0])), (S(F(6, 2), F(6, 2)),),
          call=lambda hs, v, w: (csr(hs, v).T @ csr(hs, hs.broadcast_to(w[:, :1], w.shape))).diagonal(), **ALL),
    segments("segment_mean", by_segment(lambda rows: rows.mean(axis=0)), takes="fc"),
    segments("segment_min", by_segment(lambda rows: rows.min(axis=0), np.inf), DISTINCT),
    segments("segment_logsumexp", by_segment(lambda rows: np.log(np.exp(rows).sum(axis=0)), -np.inf), (S(F(6), I(6, hi=2), 2), S(F(9, 2), I(9, hi=3), 3), S(F(6), I(6, hi=2), 4, diff=False), S(F(0, 2), I(0), 3, diff=False))),
    segments("segment_softmax", softmax_of_segments),
    segments("segment_std", by_segment(lambda rows: rows.std(axis=0)), (S(F(9), I(9, hi=2), 2), S(F(12, 2), I(12, hi=2), 2), S(F(4), I(4, hi=4), 5, diff=False)), rtol=4.0),
]  # fmt: skip
