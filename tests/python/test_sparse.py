"""Sparse matrices: products, derivatives and maps are those of the dense matrix with the same entries."""

import numpy as np
import pytest

import hesse as hs

RNG = np.random.default_rng(11)


def random_dense(rows, cols, density=0.3, dtype="float64"):
    return (RNG.normal(size=(rows, cols)) * (RNG.random((rows, cols)) < density)).astype(dtype)


DENSE = random_dense(7, 5)
A = hs.sparse.from_dense(DENSE)
X = hs.asarray(RNG.normal(size=5))
Y = hs.asarray(RNG.normal(size=7))


def close(got, expected, rtol=1e-12):
    np.testing.assert_allclose(np.asarray(got), np.asarray(expected), rtol=rtol, atol=rtol * 10)


@pytest.mark.parametrize("shape", [(7, 5), (1, 1), (5, 1), (1, 6), (0, 3), (3, 0), (0, 0), (40, 60)])
@pytest.mark.parametrize("density", [0.0, 0.2, 1.0])
def test_products_with_vectors_and_matrices_from_either_side(shape, density):
    dense = random_dense(*shape, density)
    a = hs.sparse.from_dense(dense)
    assert a.shape == shape and a.nnz == np.count_nonzero(dense) and a.dtype == hs.float64
    close(a.todense(), dense)
    close(a.T.todense(), dense.T)
    for k in ((), (0,), (1,), (3,), (17,)):
        x, y = RNG.normal(size=(shape[1], *k)), RNG.normal(size=(shape[0], *k))
        close(a @ x, dense @ x)
        close(a.T @ y, dense.T @ y)
        close(y.T @ a, y.T @ dense)  # a NumPy array on the left
        close(hs.asarray(y).T @ a, y.T @ dense)


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64", "complex128", "int32"])
def test_dtypes(dtype):
    dense = random_dense(6, 8, 0.5) * 4
    dense = (dense + 1j * random_dense(6, 8) if "complex" in dtype else dense).astype(dtype)
    x = (RNG.normal(size=(8, 9)) * 4).astype(dtype)
    y = hs.sparse.from_dense(dense) @ x
    assert np.asarray(y).dtype == dtype
    close(y, dense @ x, 1e-5 if dtype in ("float32", "complex64") else 1e-12)


def test_mixed_dtypes_promote_as_dense_ones_do():
    a = hs.sparse.from_dense(DENSE.astype("float32"))
    assert (a @ X).dtype == hs.float64
    close(a @ X, DENSE.astype("float32") @ np.asarray(X))


def test_every_format_of_scipy_and_back():
    sparse = pytest.importorskip("scipy.sparse")
    for form in ("csr", "csc", "coo", "bsr", "dia", "lil", "dok"):
        a = hs.sparse.from_scipy(sparse.coo_array(DENSE).asformat(form))
        close(a.todense(), DENSE)
    for a in (A, A.T, A.T.T):
        assert a.to_scipy().shape == a.shape
        close(a.to_scipy().toarray(), a.todense())


def test_triplets_at_one_place_are_added_and_differentiated():
    row, col = np.array([2, 0, 2, 1, 2]), np.array([1, 0, 1, 3, 0])
    v = hs.asarray([1.0, 2.0, 4.0, 8.0, 16.0])
    dense = np.zeros((3, 4))
    np.add.at(dense, (row, col), np.asarray(v))
    close(hs.sparse.coo(v, row, col, (3, 4)).todense(), dense)
    x = hs.asarray([1.0, 10.0, 100.0, 1000.0])
    g = hs.grad(lambda v: hs.sum(hs.sparse.coo(v, row, col, (3, 4)) @ x))(v)
    close(g, np.asarray(x)[col])


def test_columns_of_a_row_may_come_in_any_order():
    a = hs.sparse.csr([1.0, 2.0, 3.0, 4.0], [3, 0, 2, 1], [0, 3, 3, 4], (3, 4))
    close(a.todense(), [[2, 0, 3, 1], [0, 0, 0, 0], [0, 4, 0, 0]])
    y = hs.asarray([1.0, 2.0, 3.0])
    close(a.T @ y, a.todense().T @ y)
    close(a.to_scipy().toarray(), a.todense())


def dense_of(values, pattern=A):
    rows = np.repeat(np.arange(pattern.shape[0]), np.diff(np.asarray(pattern.indptr)))
    return hs.zeros(pattern.shape).at[rows, np.asarray(pattern.indices)].set(values)


def test_the_gradient_of_a_matrix_is_a_matrix():
    loss = lambda a, x: hs.sum(hs.sin(a @ x) ** 2)
    g = hs.grad(loss)(A, X)
    assert isinstance(g, hs.sparse.CSR) and g.indices is None
    of_values = hs.grad(lambda v: loss(dense_of(v), X))(A.data)
    close(g.data, of_values)
    close(hs.grad(loss, 1)(A, X), hs.grad(loss, 1)(hs.asarray(DENSE), X))


def test_second_derivatives_mixed_and_through_the_transpose():
    def f(v, x, m):
        y = m(v)
        return hs.sum(hs.tanh(y.T @ hs.sin(y @ x)))

    sparse, dense = (lambda v: A.replace(data=v)), dense_of
    for arguments in ((0, 0), (0, 1), (1, 0), (1, 1)):
        hessians = [
            hs.jacfwd(hs.jacrev(lambda v, x, m=m: f(v, x, m), arguments[0]), arguments[1])(A.data, X)
            for m in (sparse, dense)
        ]
        close(*hessians, rtol=1e-10)
    third = [hs.jacfwd(hs.jacfwd(hs.grad(lambda v, m=m: f(v, X, m))))(A.data) for m in (sparse, dense)]
    close(*third, rtol=1e-9)


def test_sampled_products_and_their_derivatives():
    u, v = (hs.asarray(RNG.normal(size=(n, 3))) for n in A.shape)
    rows = np.repeat(np.arange(7), np.diff(np.asarray(A.indptr)))
    entries = lambda u, v: (u @ v.T)[rows, np.asarray(A.indices)]
    close(hs.sparse.sampled_outer(A, u, v), entries(u, v))
    close(hs.sparse.sampled_outer(A, Y, X), hs.outer(Y, X)[rows, np.asarray(A.indices)])
    for f in (lambda u, v: hs.sparse.sampled_outer(A, u, v), entries):
        value = hs.jacfwd(hs.grad(lambda u, v, f=f: hs.sum(hs.sin(f(u, v)))))(u, v)
        expected = hs.jacfwd(hs.grad(lambda u, v: hs.sum(hs.sin(entries(u, v)))))(u, v)
        close(value, expected, 1e-11)
    # by the other side of the pattern, in the order of its own values
    t = hs.sparse.sampled_outer(A.T, v, u)
    close(A.replace(data=t).todense(), A.replace(data=entries(u, v)).todense())


@pytest.mark.parametrize("n", [1, 3, 40])
def test_maps_over_values_and_over_vectors(n):
    values = hs.asarray(RNG.normal(size=(n, A.nnz)))
    xs, ms = hs.asarray(RNG.normal(size=(n, 5))), hs.asarray(RNG.normal(size=(n, 5, 4)))
    product = lambda v, x: A.replace(data=v) @ x
    for x in (xs, ms):
        for axes in ((0, 0), (0, None), (None, 0)):
            v = values if axes[0] == 0 else A.data
            y = x if axes[1] == 0 else x[0]
            for run in (hs.vmap(product, axes), hs.compile(hs.vmap(product, axes))):
                got = np.asarray(run(v, y))
                for i in range(n):
                    close(got[i], product(v[i] if axes[0] == 0 else v, y[i] if axes[1] == 0 else y))
    gradient = hs.vmap(hs.grad(lambda v, x: hs.sum(product(v, x) ** 3)))
    for run in (gradient, hs.compile(gradient)):
        got = np.asarray(run(values, xs))
        for i in range(n):
            close(got[i], hs.grad(lambda v, x: hs.sum(product(v, x) ** 3))(values[i], xs[i]), 1e-10)


def test_maps_over_patterns_of_one_size():
    dense = np.stack([np.roll(np.eye(4), i, 1) for i in range(3)])
    matrices = [hs.sparse.from_dense(d) for d in dense]
    stacked = hs.tree_map(lambda *parts: hs.stack(parts), *matrices)
    x = hs.asarray([1.0, 2.0, 3.0, 4.0])
    for run in (hs.vmap(lambda a: a @ x), hs.compile(hs.vmap(lambda a: a @ x))):
        close(run(stacked), dense @ np.asarray(x))


def test_a_compiled_function_takes_matrices_of_any_pattern():
    f = hs.compile(lambda a, x: hs.sum((a @ x) ** 2))
    other = hs.sparse.from_dense(np.roll(DENSE, 1, axis=0))
    for a in (A, other):
        close(f(a, X), np.sum((np.asarray(a.todense()) @ np.asarray(X)) ** 2))
    assert f.cache_size == 1


def test_a_program_with_a_matrix_is_saved(tmp_path):
    f = hs.compile(hs.grad(lambda v, x: hs.sum(hs.sin(A.replace(data=v) @ x))))
    f.save(tmp_path / "gradient.hesse", A.data, X)
    close(hs.load_program(tmp_path / "gradient.hesse")(A.data, X), f(A.data, X))


def test_large_products_do_not_depend_on_threads():
    sparse = pytest.importorskip("scipy.sparse")
    s = sparse.random_array((3000, 2000), density=0.01, rng=3, format="csr")
    a, x = hs.sparse.from_scipy(s), RNG.normal(size=(2000, 32))
    results = []
    before = hs.get_num_threads()
    for threads in (1, 2, 7):
        hs.set_num_threads(threads)
        results.append(
            (np.asarray(a @ x), np.asarray(a.T @ (a @ x)), np.asarray(hs.sparse.sampled_outer(a, a @ x, x)))
        )
    hs.set_num_threads(before)
    close(results[0][0], s @ x, 1e-11)
    close(results[0][1], s.T @ (s @ x), 1e-10)
    for r in results[1:]:
        for y, e in zip(r, results[0], strict=True):
            np.testing.assert_array_equal(y, e)


def test_conjugate_gradients_with_a_sparse_laplacian():
    """A user's loop: -u'' = f on [0, 1] by CG, and the derivative of the solution with respect to a coefficient."""
    n = 60
    index = np.arange(n)
    row, col = np.concatenate([index, index[1:], index[:-1]]), np.concatenate([index, index[:-1], index[1:]])
    parts = np.concatenate([2 * np.ones(n), -np.ones(n - 1), -np.ones(n - 1)]) * (n + 1.0) ** 2
    x = np.linspace(0, 1, n + 2)[1:-1]
    b = hs.asarray(np.pi**2 * np.sin(np.pi * x))

    def solution(c):
        a = hs.sparse.coo(c * hs.asarray(parts), row, col, (n, n))

        def step(state, _):
            u, r, p, rr = state
            ap = a @ p
            alpha = rr / hs.sum(p * ap)
            u, r = u + alpha * p, r - alpha * ap
            new = hs.sum(r * r)
            return (u, r, r + new / rr * p, new), None

        return hs.scan(step, (hs.zeros(n), b, b, hs.sum(b * b)), None, length=3)[0][0]

    u, du = hs.jvp(solution, (hs.asarray(2.0),), (hs.asarray(1.0),))
    close(u, np.sin(np.pi * x) / 2, 1e-3)
    close(du, -np.sin(np.pi * x) / 4, 1e-3)  # u = sin(pi x) / c


def turned_back(indptr):
    """Rows that do not follow each other."""
    p = np.array(indptr)
    p[1] = p[-1]
    return hs.asarray(p)


REFUSALS = [
    (lambda: hs.sparse.csr([1.0], [0, 1], [0, 1], (1, 2)), ValueError, ["csr", "(1)", "(2)"]),
    (lambda: hs.sparse.csr([1.0], [0], [0, 1], (2, 2)), ValueError, ["csr", "indptr", "3"]),
    (lambda: hs.sparse.csr([1.0], [0], [0, 2], (1, 2)), ValueError, ["csr", "indptr", "nnz=1"]),
    (lambda: hs.sparse.csr([1.0, 2.0], [0, 1], [0, 2, 1, 2], (3, 2)), ValueError, ["csr", "ascend", "row 1"]),
    (lambda: hs.sparse.csr([1.0], [2], [0, 1], (1, 2)), IndexError, ["csr", "2", "position 0", "2 columns"]),
    (lambda: hs.sparse.csr([1.0], [-1], [0, 1], (1, 2)), IndexError, ["csr", "-1"]),
    (lambda: hs.sparse.csr([1.0, 2.0], [1, 1], [0, 2], (1, 2)), ValueError, ["csr", "row 0", "column 1", "coo"]),
    (lambda: hs.sparse.csr([1.0], [0.0], [0, 1], (1, 2)), TypeError, ["csr"]),
    (lambda: hs.sparse.csr([[[1.0]]], [0], [0, 1], (1, 2)), ValueError, ["csr", "data", "(1, 1, 1)"]),
    (lambda: hs.sparse.csr([1.0], [0], [0, 1], (1, -2)), ValueError, ["csr", "-2"]),
    (lambda: hs.sparse.csr([1.0], [0], [0, 1], (1,)), ValueError, ["csr", "shape"]),
    (lambda: hs.sparse.coo([1.0], [0], [5], (1, 2)), IndexError, ["coo", "(0, 5)", "position 0"]),
    (lambda: hs.sparse.coo([1.0], [0, 1], [0], (1, 2)), ValueError, ["coo", "(2)"]),
    (lambda: hs.sparse.coo([1.0, 2.0], [0, -1], [1, 1], (1, 2)), IndexError, ["coo", "(-1, 1)", "position 1"]),
    (lambda: hs.sparse.coo([1.0], [0], [-2], (1, 2), duplicates="keep"), IndexError, ["coo", "(0, -2)", "position 0"]),
    (lambda: hs.sparse.csc([1.0], [-1], [0, 1], (2, 1)), IndexError, ["csr", "-1", "position 0"]),
    (lambda: hs.sparse.identity(-2), ValueError, ["identity", "negative", "-2"]),
    (lambda: hs.sparse.identity(2, index_dtype=hs.int16), TypeError, ["identity", "int32 or int64", "int16"]),
    (lambda: hs.sparse.identity(2, index_dtype=hs.float64), TypeError, ["identity", "index_dtype", "float64"]),
    (lambda: hs.sparse.identity(2.0), TypeError, ["identity"]),
    (lambda: hs.sparse.from_dense([1.0, 2.0]), ValueError, ["from_dense", "(2)"]),
    (lambda: hs.sparse.from_scipy([[1.0]]), TypeError, ["from_scipy", "list", "from_dense"]),
    (lambda: A @ hs.ones(4), ValueError, ["matmul", "(7, 5)", "(4)"]),
    (lambda: A @ hs.ones((5, 2, 2)), ValueError, ["matmul", "(5, 2, 2)"]),
    (lambda: hs.ones((2, 2, 7)) @ A, ValueError, ["matmul", "(2, 2, 7)"]),
    (lambda: A.replace(data=hs.ones(3)) @ X, ValueError, ["matmul", "(3)"]),
    (lambda: A.replace(indices=A.indices + 5) @ X, IndexError, ["csr_matmul", "pattern"]),
    (lambda: A.replace(indptr=A.indptr * 1000) @ X, IndexError, ["csr_matmul", "pattern"]),
    (lambda: A.replace(indptr=-A.indptr) @ X, IndexError, ["csr_matmul", "pattern"]),
    (lambda: A.replace(indptr=turned_back(A.indptr)) @ X, IndexError, ["csr_matmul", "pattern"]),
    (lambda: A.replace(by_col_entries=A.by_col_entries - 1).T @ Y, IndexError, ["csr_matmul", "pattern"]),
    (lambda: A.replace(indices=A.indices[:1]) @ X, ValueError, ["matmul", "data"]),
    (lambda: hs.sparse.sampled_outer(DENSE, X, Y), TypeError, ["sampled_outer", "ndarray", "from_dense"]),
    (lambda: hs.sparse.sampled_outer(A, X, Y), ValueError, ["sampled_outer", "(7, 5)"]),
    (lambda: hs.sparse.sampled_outer(A, Y[:, None], X), ValueError, ["sampled_outer"]),
]  # fmt: skip


@pytest.mark.parametrize("call, error, says", REFUSALS, ids=range(len(REFUSALS)))
def test_bad_input(call, error, says):
    with pytest.raises(error) as raised:
        call()
    for part in says:
        assert part in str(raised.value).replace(",)", ")"), str(raised.value)


@pytest.mark.parametrize("dtype", ["int32", "int64"])
def test_a_wrong_index_is_found_wherever_it_stands(dtype):
    n = 71  # several vectors, and a rest
    indices, indptr = np.arange(n, dtype=dtype), np.array([0, n], dtype)
    a, x = hs.sparse.csr(np.ones(n), indices, indptr, (1, n)), np.ones((n, 3))
    np.testing.assert_allclose(np.asarray(a @ x), n)
    for at in range(n):
        for wrong in (n, -1):
            bad = indices.copy()
            bad[at] = wrong
            with pytest.raises(IndexError, match="csr_matmul"):
                a.replace(indices=hs.asarray(bad)) @ x
