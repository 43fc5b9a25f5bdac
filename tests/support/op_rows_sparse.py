"""Rows of the op table: products with sparse matrices, whose places are fixed."""

from __future__ import annotations

import numpy as np
from op_entry import Entry, S, refuse
from sampling import F

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
]  # fmt: skip
