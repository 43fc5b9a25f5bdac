"""The op table: one row per public operation. Everything the suite checks, it checks for every row."""

from __future__ import annotations

import op_rows_elementwise
import op_rows_linalg
import op_rows_product
import op_rows_reduce
import op_rows_sparse
import op_rows_view

TABLE = [
    *op_rows_elementwise.ROWS,
    *op_rows_reduce.ROWS,
    *op_rows_view.ROWS,
    *op_rows_product.ROWS,
    *op_rows_linalg.ROWS,
    *op_rows_sparse.ROWS,
]

if len({e.name for e in TABLE}) != len(TABLE):
    raise ValueError("op table: two rows have one name")
