"""Sparse matrices as graphs: edges in any order, hubs, several heads, sums and products of matrices, reductions by
segment."""

import numpy as np
import pytest

import hesse as hs

RNG = np.random.default_rng(5)


def close(got, expected, rtol=1e-12):
    np.testing.assert_allclose(np.asarray(got), np.asarray(expected), rtol=rtol, atol=rtol * 10)


def edges(nodes, count, rng=RNG):
    return rng.integers(0, nodes, count), rng.integers(0, nodes, count)


def dense_of(row, col, w, shape):
    out = np.zeros((*shape, *w.shape[1:]), w.dtype)
    np.add.at(out, (row, col), w)
    return out


# ---- indices and duplicates ----------------------------------------------------------------------------------------
@pytest.mark.parametrize("dtype", ["int32", "int64"])
def test_indices_stay_as_given(dtype):
    row, col = (i.astype(dtype) for i in edges(6, 20))
    w = RNG.normal(size=20)
    for duplicates in ("sum", "keep"):
        a = hs.sparse.coo(w, row, col, (6, 7), duplicates=duplicates)
        assert {a.indptr.dtype, a.indices.dtype, a.entries.dtype, a.by_col_indices.dtype} == {
            getattr(hs, dtype)
        }
        close(a.todense(), dense_of(row, col, w, (6, 7)))
        x, y = RNG.normal(size=(7, 65)), RNG.normal(size=6)
        close(a @ x, dense_of(row, col, w, (6, 7)) @ x)
        close(a.T @ y, dense_of(row, col, w, (6, 7)).T @ y)
    row, col = row.astype("uint8"), col.astype("int16")
    assert hs.sparse.coo(w, row, col, (6, 7)).indices.dtype == hs.int64


def test_weights_of_edges_keep_their_order():
    row, col = edges(5, 30)
    w = hs.asarray(RNG.normal(size=30))
    a = hs.sparse.coo(w, row, col, (5, 5), duplicates="keep")
    np.testing.assert_array_equal(np.asarray(a.data), np.asarray(w))
    for got, expected in zip(a.coords, (row, col), strict=True):
        np.testing.assert_array_equal(np.asarray(got), expected)
    g = hs.grad(lambda w: hs.sum(hs.sin(a.replace(data=w) @ hs.arange(5.0))))(w)
    expected = hs.grad(lambda w: hs.sum(hs.sin(hs.segment_sum(w * hs.asarray(1.0 * col), row, 5))))(w)
    close(g, expected)
    assert a.entries.shape == (30,)
    by_place = np.lexsort((col, row))
    assert hs.sparse.coo(w, row[by_place], col[by_place], (5, 5), duplicates="keep").entries.shape == (0,)


def test_csr_with_duplicates():
    parts = [1.0, 2.0, 4.0], [1, 1, 0], [0, 2, 3], (2, 2)
    kept, summed = (hs.sparse.csr(*parts, duplicates=d) for d in ("keep", "sum"))
    assert (kept.nnz, summed.nnz) == (3, 2)
    for a in (kept, summed):
        close(a.todense(), [[0, 3], [4, 0]])
        close(a @ hs.asarray([1.0, 10.0]), [30, 4])
        close(a.sum(axis=0), [4, 3])
    with pytest.raises(ValueError, match="row 0 has column 1 twice"):
        hs.sparse.csr(*parts)


def test_scipy_formats_and_dtypes():
    sparse = pytest.importorskip("scipy.sparse")
    s = sparse.random_array((8, 5), density=0.4, rng=1, format="csc")
    a = hs.sparse.from_scipy(s)
    assert a.indices.dtype == hs.int32
    np.testing.assert_array_equal(np.asarray(a.data), s.data)  # values of a csc stay where they are
    for form in ("csr", "csc", "coo"):
        back = a.to_scipy(form)
        assert back.format == form
        close(back.toarray(), s.toarray())
    for m in (sparse.csr_matrix(s), sparse.coo_matrix(s), s.astype("float32"), s.astype("complex64")):
        assert np.asarray(hs.sparse.from_scipy(m).data).dtype == m.dtype
        close(hs.sparse.from_scipy(m).todense(), m.toarray())
    with pytest.raises(ValueError, match="several matrices"):
        hs.sparse.csr(np.ones((1, 2)), [0], [0, 1], (1, 1)).to_scipy()
    with pytest.raises(ValueError, match="two axes"):
        hs.sparse.from_scipy(sparse.coo_array(np.ones(3)))


# ---- graphs --------------------------------------------------------------------------------------------------------
def test_normalised_adjacency_with_self_loops():
    """D^-1/2 (A + I) D^-1/2 X W of a graph convolution, and its gradients."""
    n = 9
    row, col = edges(n, 25)
    w, x, weight = (hs.asarray(RNG.normal(size=s)) for s in (25, (n, 6), (6, 4)))
    w = w * w

    def layer(w, x, weight):
        a = hs.sparse.coo(w, row, col, (n, n)) + hs.sparse.identity(n)
        d = a.sum(axis=1) ** -0.5
        return (d[:, None] * a * d) @ (x @ weight)

    def dense(w, x, weight):
        a = hs.zeros((n, n)).at[row, col].add(w) + hs.eye(n)
        d = hs.sum(a, axis=1) ** -0.5
        return (d[:, None] * a * d) @ (x @ weight)

    close(layer(w, x, weight), dense(w, x, weight))
    gradients = [
        hs.grad(lambda *p, f=f: hs.sum(hs.tanh(f(*p))), (0, 1, 2))(w, x, weight) for f in (layer, dense)
    ]
    for got, expected in zip(*gradients, strict=True):
        close(got, expected, 1e-11)
    # Where patterns come from outside of a compiled function, their sum is found there too.
    a, loops = hs.sparse.coo(w, row, col, (n, n), duplicates="keep"), hs.sparse.identity(n)
    add = hs.sparse.AddStructure(a, loops)

    @hs.compile
    def compiled(w, x, weight):
        s = add(a.replace(data=w), loops)
        d = s.sum(axis=1) ** -0.5
        return (d[:, None] * s * d) @ (x @ weight)

    close(compiled(w, x, weight), dense(w, x, weight))


def test_attention_over_neighbours():
    """Scores of edges, softmax by destination and a sum with heads, as in a graph attention layer."""
    n, m, heads, k = 7, 30, 3, 5
    source, target = edges(n, m)
    scores, h = hs.asarray(RNG.normal(size=(m, heads))), hs.asarray(RNG.normal(size=(n, heads, k)))
    a = hs.sparse.coo(scores, target, source, (n, n), duplicates="keep")

    def attend(scores, h):
        return a.replace(data=hs.segment_softmax(scores, target, n)) @ h

    alpha = np.exp(np.asarray(scores))
    total = np.zeros((n, heads))
    np.add.at(total, target, alpha)
    expected = np.zeros((n, heads, k))
    np.add.at(expected, target, (alpha / total[target])[:, :, None] * np.asarray(h)[source])
    close(attend(scores, h), expected)
    v, u = RNG.normal(size=(n, heads, k)), (RNG.normal(size=(m, heads)), RNG.normal(size=(n, heads, k)))
    _, forward = hs.jvp(attend, (scores, h), tuple(map(hs.asarray, u)))
    back = hs.vjp(attend, scores, h)[1](hs.asarray(v))
    close(
        np.sum(v * np.asarray(forward)),
        sum(np.sum(np.asarray(b) * t) for b, t in zip(back, u, strict=True)),
        1e-11,
    )
    batch = hs.asarray(RNG.normal(size=(4, m, heads)))
    for run in (hs.vmap(attend, (0, None)), hs.compile(hs.vmap(attend, (0, None)))):
        close(run(batch, h), np.stack([np.asarray(attend(s, h)) for s in batch]))


@pytest.mark.parametrize("shape", [(0, 0), (0, 4), (4, 0), (5, 5)])
def test_no_edges(shape):
    none = np.zeros(0, np.int32)
    a = hs.sparse.coo(np.zeros(0), none, none, shape, duplicates="keep")
    close(a @ np.ones((shape[1], 3)), np.zeros((shape[0], 3)))
    close(a.T @ np.ones(shape[0]), np.zeros(shape[1]))
    close(a.sum(axis=1), np.zeros(shape[0]))
    close(a.diagonal(), np.zeros(min(shape)))
    assert (a + a).nnz == 0 and (a @ a.T).nnz == 0
    assert hs.sparse.sampled_outer(a, np.ones((shape[0], 2)), np.ones((shape[1], 2))).shape == (0,)


def test_nan_stays_in_its_row():
    a = hs.sparse.coo([1.0, 0.0, 2.0], [0, 1, 2], [0, 1, 1], (4, 3))
    x = np.array([[1.0] * 9, [np.nan] * 9, [np.inf] * 9])
    y = np.asarray(a @ x)
    assert np.all(y[0] == 1.0) and np.all(np.isnan(y[1:3])) and np.all(y[3] == 0.0)


# ---- determinism and large graphs ----------------------------------------------------------------------------------
def on_threads(f):
    before, results = hs.get_num_threads(), []
    for threads in (1, 2, 5):
        hs.set_num_threads(threads)
        results.append([np.asarray(y) for y in f()])
    hs.set_num_threads(before)
    for r in results[1:]:
        for y, e in zip(r, results[0], strict=True):
            np.testing.assert_array_equal(y, e)
    return results[0]


@pytest.mark.parametrize("dtype, width", [("float32", 16), ("float64", 7), ("float64", 1)])
def test_hubs_and_isolated_nodes_on_any_number_of_threads(dtype, width):
    """A node with half of the edges is cut into pieces that do not depend on the threads."""
    sparse = pytest.importorskip("scipy.sparse")
    n, m = 3000, 60_000
    rng = np.random.default_rng(8)
    source, target = rng.integers(0, n, m), rng.integers(n // 2, n, m)
    target[: m // 2] = 7
    source[m // 2 :: 3] = 11
    w, x, g = (rng.normal(size=s).astype(dtype) for s in (m, (n, width), (n, width)))
    a = hs.sparse.coo(w, target.astype("int32"), source.astype("int32"), (n, n), duplicates="keep")
    f = lambda: (a @ x, a.T @ g, hs.sparse.sampled_outer(a, g, x))
    y, of_x, of_w = on_threads(f)
    s = sparse.csr_array((w.astype("float64"), (target, source)), (n, n))
    tolerance = 2e-5 if dtype == "float32" else 1e-11
    close(y, s @ x, tolerance * 10)
    close(of_x, s.T @ g, tolerance * 10)
    close(of_w, np.sum(g[target].astype("float64") * x[source], axis=1), tolerance)
    assert not y[:7].any()


def test_heads_on_any_number_of_threads():
    n, m, heads, k = 500, 20_000, 4, 10
    source, target = edges(n, m)
    target[:9000] = 3
    w, x = RNG.normal(size=(m, heads)), RNG.normal(size=(n, heads, k))
    a = hs.sparse.coo(w, target, source, (n, n), duplicates="keep")
    y, d = on_threads(lambda: (a @ x, hs.sparse.sampled_outer(a, x, x)))
    expected = np.zeros((n, heads, k))
    np.add.at(expected, target, w[:, :, None] * x[source])
    close(y, expected, 1e-11)
    close(d, np.sum(x[target] * x[source], axis=2), 1e-11)


@pytest.mark.parametrize("is_sorted", [True, False])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_large_reductions_by_segment(dtype, is_sorted):
    m, n = 30_000, 700
    rng = np.random.default_rng(4)
    ids = rng.integers(0, n - 3, m)
    ids[:12_000] = 5
    ids = np.sort(ids) if is_sorted else ids
    x = rng.normal(size=(m, 6)).astype(dtype)
    names = ("sum", "mean", "max", "min", "logsumexp", "softmax", "std")
    found = on_threads(lambda: [getattr(hs, f"segment_{r}")(x, ids, n) for r in names])
    wide = hs.asarray(x.astype("float64"))
    pieces = [hs.asarray(np.flatnonzero(ids == s)) for s in range(n)]
    tolerance = 1e-4 if dtype == "float32" else 1e-11
    for name, y in zip(names, found, strict=True):
        if name == "softmax":
            close(hs.segment_sum(y, ids, n)[: n - 3], np.ones((n - 3, 6)), tolerance)
            continue
        reduce = getattr(hs, name)
        for s in (0, 5, 100, 600):
            close(y[s], reduce(hs.take(wide, pieces[s], axis=0), axis=0), tolerance)
        empty = {"max": -np.inf, "min": np.inf, "logsumexp": -np.inf}.get(name, 0.0)
        assert np.all(y[n - 3 :] == empty)
    # Gathering is the transpose: its derivative adds rows in the same way.
    table = hs.asarray(rng.normal(size=(n, 6)))
    g = hs.grad(lambda t: hs.sum(hs.take(t, hs.asarray(ids), axis=0) * wide))(table)
    close(g, hs.segment_sum(wide, ids, n))


def test_isolated_nodes_have_derivative_zero():
    x, ids = hs.asarray([1.0, 2.0, 2.0]), hs.asarray([0, 1, 1])
    for name in ("sum", "mean", "max", "min", "logsumexp", "std"):
        f = lambda x, name=name: hs.sum(
            hs.where(hs.asarray([True, True, False]), getattr(hs, f"segment_{name}")(x, ids, 3), 0.0)
        )
        g, t = hs.grad(f)(x), hs.jvp(f, (x,), (hs.ones(3),))[1]
        assert np.all(np.isfinite(np.asarray(g))) and np.isfinite(float(t)), name
        close(np.sum(np.asarray(g)), t)


@pytest.mark.parametrize("reduce", ["sum", "mean", "max", "min", "logsumexp", "softmax", "std"])
def test_nan_of_a_segment(reduce):
    y = np.asarray(
        getattr(hs, f"segment_{reduce}")(np.array([1.0, np.nan, 2.0, 3.0]), np.array([0, 0, 1, 1]), 2)
    )
    assert np.isnan(y[0]) and np.all(np.isfinite(y[-1:]))


# ---- sums and products of matrices ---------------------------------------------------------------------------------
@pytest.mark.parametrize("density", [0.0, 0.2, 1.0])
def test_products_and_sums_of_matrices(density):
    sparse = pytest.importorskip("scipy.sparse")
    make = lambda shape, seed, form: sparse.random_array(shape, density=density, rng=seed, format=form)
    p, q, r = make((30, 20), 1, "csr"), make((20, 40), 2, "csc"), make((30, 20), 3, "coo")
    a, b, c = map(hs.sparse.from_scipy, (p, q, r))
    close((a @ b).todense(), (p @ q).toarray())
    close((b.T @ a.T).todense(), (p @ q).toarray().T)
    close((a + c).todense(), (p + r).toarray())
    close((a - c).todense(), (p - r).toarray())
    close((a.T + c.T).todense(), (p + r).toarray().T)
    close((2.0 * a / 4.0).todense(), p.toarray() / 2.0)
    product = a @ b
    assert product.nnz == (p @ q).nnz or density == 0.0
    columns = np.asarray(product.indices)
    for begin, end in zip(np.asarray(product.indptr)[:-1], np.asarray(product.indptr)[1:], strict=True):
        assert np.all(np.diff(columns[begin:end]) > 0)


def test_derivatives_of_products_of_matrices():
    a = hs.sparse.from_dense(RNG.normal(size=(5, 6)) * (RNG.random((5, 6)) < 0.5))
    b = hs.sparse.from_dense(RNG.normal(size=(6, 4)) * (RNG.random((6, 4)) < 0.6))
    multiply = hs.sparse.MatmulStructure(a, b)
    f = lambda v, w: hs.sum(hs.sin(multiply(a.replace(data=v), b.replace(data=w)).data))
    g = lambda v, w: hs.sum(hs.sin(a.replace(data=v).todense() @ b.replace(data=w).todense()))
    for i in (0, 1):
        close(hs.grad(f, i)(a.data, b.data), hs.grad(g, i)(a.data, b.data), 1e-11)
        for j in (0, 1):
            second = [hs.jacfwd(hs.grad(h, i), j)(a.data, b.data) for h in (f, g)]
            close(*second, 1e-10)
            reverse = [hs.jacrev(hs.grad(h, i), j)(a.data, b.data) for h in (f, g)]
            close(*reverse, 1e-10)
    values = hs.asarray(RNG.normal(size=(3, a.nnz)))
    for run in (hs.vmap(f, (0, None)), hs.compile(hs.vmap(f, (0, None)))):
        close(run(values, b.data), [float(g(v, b.data)) for v in values])


def test_structures_serve_compiled_functions():
    a = hs.sparse.from_dense(RNG.normal(size=(4, 4)) * (RNG.random((4, 4)) < 0.6))
    square, twice = hs.sparse.MatmulStructure(a, a), hs.sparse.AddStructure(a, a.T)
    f = hs.compile(lambda a, s, t: hs.sum(s(a, a).data) + hs.sum(t(a, a.T).data))
    d = np.asarray(a.todense())
    close(f(a, square, twice), np.sum(d @ d) + 2 * np.sum(d))
    with pytest.raises(hs.TraceError, match="MatmulStructure"):
        hs.compile(lambda a: (a @ a).data)(a)
    with pytest.raises(hs.TraceError, match="AddStructure"):
        hs.compile(lambda a: (a + a).data)(a)
    with pytest.raises(ValueError, match="structure"):
        square(a.replace(data=a.data[:1]), a)
    with pytest.raises(TypeError, match="AddStructure"):
        hs.sparse.AddStructure(a, d)
    with pytest.raises(TypeError):
        a + d


def test_sparse_features_cost_what_is_stored():
    """A bag of words, 1% full, times a dense weight: the gradient is the product with the transpose."""
    sparse = pytest.importorskip("scipy.sparse")
    s = sparse.random_array((200, 300), density=0.01, rng=2, format="csr").astype("float32")
    a, w = hs.sparse.from_scipy(s), hs.asarray(RNG.normal(size=(300, 16)).astype("float32"))
    y = RNG.normal(size=(200, 16)).astype("float32")
    g = hs.grad(lambda w: hs.sum((a @ w) * hs.asarray(y)))(w)
    close(g, s.T @ y, 1e-5)


# ---- MatrixMarket --------------------------------------------------------------------------------------------------
def write(tmp_path, text):
    file = tmp_path / "a.mtx"
    file.write_text(text)
    return file


HEAD = "%%MatrixMarket matrix coordinate real general\n"
BAD_FILES = [
    (HEAD + "% c\n2 2 2\n1 1 1.0\n3 1 2.0\n", ["a.mtx", "Line 5", "out of bounds"]),
    (HEAD + "2 2 2\n1 1 1.0\n", ["a.mtx", "Truncated"]),
    (HEAD + "2 2 1\n1 1 abc\n", ["a.mtx", "Line 3"]),
    (HEAD + "2 2 1\n0 1 1.0\n", ["a.mtx", "Line 3"]),
    (HEAD + "2 2 1\n1 1 1.0\n1 2 3.0\n", ["a.mtx", "too"]),
    (HEAD + "2 2 1000000000000\n1 1 2\n", ["a.mtx", "1000000000000", "bytes"]),
    (HEAD + "2 -2 1\n1 1 2\n", ["a.mtx", "negative"]),
    ("nonsense\n", ["a.mtx", "Line 1"]),
    ("", ["a.mtx"]),
    ("%%MatrixMarket matrix array real general\n1 2\n1\n2\n", ["a.mtx", "dense", "(1, 2)"]),
]


@pytest.mark.parametrize("text, says", BAD_FILES, ids=range(len(BAD_FILES)))
def test_malformed_matrix_market(tmp_path, text, says):
    pytest.importorskip("scipy.io")
    with pytest.raises(ValueError) as raised:
        hs.sparse.mmread(write(tmp_path, text))
    for part in ["mmread", *says]:
        assert part in str(raised.value)


def test_every_cut_of_a_matrix_market_file_is_refused_or_read(tmp_path):
    pytest.importorskip("scipy.io")
    text = HEAD + "3 2 3\n1 1 1.5\n3 2 -2.0\n2 1 4.0\n"
    for end in range(len(text) - 3):
        with pytest.raises(ValueError):
            hs.sparse.mmread(write(tmp_path, text[:end]))
    assert hs.sparse.mmread(write(tmp_path, text)).nnz == 3


def test_matrix_market_files(tmp_path):
    pytest.importorskip("scipy.io")
    symmetric = (
        "%%MatrixMarket matrix coordinate integer symmetric\n% a comment\n3 3 3\n1 1 2\n3 1 5\n2 2 7\n"
    )
    close(hs.sparse.mmread(write(tmp_path, symmetric)).todense(), [[2, 0, 5], [0, 7, 0], [5, 0, 0]])
    pattern = "%%MatrixMarket matrix coordinate pattern general\n2 3 2\n1 3\n2 1\n"
    close(hs.sparse.mmread(write(tmp_path, pattern)).todense(), [[0, 0, 1], [1, 0, 0]])
    for dtype in ("float32", "float64", "complex128"):
        a = hs.sparse.from_dense((RNG.normal(size=(5, 4)) * (RNG.random((5, 4)) < 0.5)).astype(dtype))
        hs.sparse.mmwrite(tmp_path / "b.mtx", a, comment="of a test")
        back = np.asarray(hs.sparse.mmread(tmp_path / "b.mtx").todense()).astype(dtype)
        np.testing.assert_array_equal(back, np.asarray(a.todense()))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.mtx", "b.mtx"]
    with pytest.raises(FileNotFoundError):
        hs.sparse.mmread(tmp_path / "none.mtx")
    with pytest.raises(TypeError, match="mmwrite"):
        hs.sparse.mmwrite(tmp_path / "c.mtx", np.eye(2))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("heads", [1, 2, 7, 8, 16, 19, 33, 64, 70, 131])
def test_one_number_for_each_head(heads, dtype):
    """y[i, h] = sum of w[e, h] x[j, h], and its gradients: vectors that are whole and not, rows that are long."""
    n, m = 9, 3000
    row, col = np.concatenate([RNG.integers(1, n, m // 2), np.zeros(m // 2, int)]), RNG.integers(0, n, m)
    w, x, ct = (RNG.normal(size=(k, heads)).astype(dtype) for k in (m, n, n))

    def f(w, x):
        return hs.sparse.coo(w, row, col, (n, n), duplicates="keep") @ x

    y, pull = hs.vjp(f, hs.asarray(w), hs.asarray(x))
    of_w, of_x = pull(hs.asarray(ct))
    expected_y, expected_x = np.zeros((n, heads)), np.zeros((n, heads))
    np.add.at(expected_y, row, w * x[col].astype(np.float64))
    np.add.at(expected_x, col, w * ct[row].astype(np.float64))
    np.testing.assert_array_equal(of_w, ct[row] * x[col])
    rtol = 1e-12 if dtype is np.float64 else 2e-5
    np.testing.assert_allclose(y, expected_y, rtol=rtol, atol=100 * rtol)
    np.testing.assert_allclose(of_x, expected_x, rtol=rtol, atol=100 * rtol)
