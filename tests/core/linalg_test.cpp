#include "core/ops/linalg.h"

#include <gtest/gtest.h>

#include "core/graph.h"
#include "tests/core/random_arrays.h"
#include "tests/support/expect_derivatives.h"

namespace hesse {
namespace {

using Args = std::span<const Array>;
using namespace test;
using linalg::adjoint;

class LinAlg : public ::testing::TestWithParam<DType> {
 protected:
  std::mt19937_64 generator{11};
  DType dtype() const { return GetParam(); }
  bool single() const { return real_dtype(dtype()) == kFloat32; }
  double tolerance() const { return single() ? 3e-5 : 1e-12; }
  Array random(const Shape& shape) { return random_array(shape, dtype(), generator); }
  Array positive(const Shape& batch, int64_t n) {
    const Array a = random(linalg::with(batch, {n, n}));
    return matmul(a, adjoint(a)) + eye(n, {}, 0, dtype());
  }
  void expect_close(const Array& a, const Array& b) {
    ASSERT_EQ(a.shape(), b.shape());
    ASSERT_EQ(a.dtype(), b.dtype());
    EXPECT_LE(largest(a - b), tolerance() * (1 + largest(b))) << a << "\nand\n" << b;
  }
  void expect_orthonormal(const Array& q) {
    expect_close(matmul(adjoint(q), q),
                 broadcast_to(eye(q.dim(-1), {}, 0, dtype()),
                              linalg::with(linalg::batch_shape(q.shape()), {q.dim(-1), q.dim(-1)})));
  }
  /// At 8 x: the steps of the differences stay small beside the distances of eigenvalues and to singular
  /// matrices.
  void derivatives(const Fn& f, const Arrays& x, int order = 2) {
    if (single()) return;
    Arrays scaled;
    for (const Array& a : x) scaled.push_back(8.0 * a);
    expect_derivatives(f, scaled, order);
  }
};

TEST_P(LinAlg, Cholesky) {
  const Array a = positive({2, 3}, 4);
  const Array l = cholesky(a);
  expect_close(matmul(l, adjoint(l)), a);
  EXPECT_EQ(largest(triu(l, 1)), 0.0);
  expect_close(cholesky(a, true), adjoint(l));
  derivatives([](Args x) { return Arrays{cholesky(x[0])}; }, {a});
  derivatives([](Args x) { return Arrays{cholesky(x[0], true)}; }, {positive({}, 3)});
}

TEST_P(LinAlg, TriangularSolve) {
  const Array a = random({2, 4, 4}) + 3.0 * eye(4, {}, 0, dtype()), b = random({2, 4, 3});
  for (const bool lower : {false, true})
    for (const bool transpose : {false, true})
      for (const bool unit : {false, true}) {
        Array t = lower ? tril(a, unit ? -1 : 0) : triu(a, unit ? 1 : 0);
        if (unit) t = t + eye(4, {}, 0, dtype());
        const Array x = triangular_solve(a, b, lower, transpose, unit);
        expect_close(matmul(transpose ? matrix_transpose(t) : t, x), b);
        derivatives([=](Args v) { return Arrays{triangular_solve(v[0], v[1], lower, transpose, unit)}; },
                    {a, b});
      }
  // A vector; one matrix for a batch; a batch for one right-hand side.
  const Array one = slice(a, {0, 0, 0}, {1, 4, 4}, {1, 1, 1}), m = squeeze(one, Axes{0});
  const Array v = random({4});
  expect_close(matmul(tril(m), triangular_solve(m, v)), v);
  const Array shared = triangular_solve(m, b);
  expect_close(matmul(tril(m), shared), b);
  derivatives([](Args v) { return Arrays{triangular_solve(v[0], v[1])}; }, {m, b});
  derivatives([](Args v) { return Arrays{triangular_solve(v[0], v[1])}; }, {a, random({4, 2})});
}

TEST_P(LinAlg, LU) {
  for (const auto& [m, n] : {std::pair{4, 4}, {5, 3}, {3, 5}, {1, 1}, {40, 40}}) {
    const int64_t k = std::min(m, n);
    const Array a = random({2, m, n});
    const LU f = lu(a);
    const Array l = tril(linalg::columns(f.lu, 0, k), -1) + eye(m, k, 0, dtype()),
                u = triu(linalg::rows(f.lu, 0, k));
    expect_close(matmul(l, u),
                 take_along_axis(a, broadcast_to(expand_dims(f.permutation, {-1}), a.shape()), -2));
    EXPECT_EQ(f.pivots.shape(), (Shape{2, k}));
    EXPECT_LE(largest(tril(f.lu, -1)), 1.0 + 1e-6);
    if (m < 10) derivatives([](Args v) { return Arrays{lu(v[0]).lu}; }, {a});
  }
  // Pivots are the swaps that give the permutation.
  const LU f = lu(random({6, 6}));
  std::vector<int64_t> order{0, 1, 2, 3, 4, 5};
  const auto pivots = f.pivots.to_vector<int64_t>();
  for (size_t i = 0; i < 6; ++i) std::swap(order[i], order[static_cast<size_t>(pivots[i])]);
  EXPECT_EQ(order, f.permutation.to_vector<int64_t>());
}

TEST_P(LinAlg, Solve) {
  const Array a = random({2, 4, 4}), b = random({2, 4, 3}), v = random({4});
  expect_close(matmul(a, solve(a, b)), b);
  derivatives([](Args x) { return Arrays{solve(x[0], x[1])}; }, {a, b});
  const Array m = random({4, 4});
  expect_close(matmul(m, solve(m, v)), v);
  expect_close(matmul(m, solve(m, b)), b);
  derivatives([](Args x) { return Arrays{solve(x[0], x[1])}; }, {m, v});
  derivatives([](Args x) { return Arrays{solve(x[0], x[1])}; }, {m, b});
  derivatives([](Args x) { return Arrays{solve(x[0], x[1])}; }, {a, random({4, 2})});
  expect_close(matmul(a, inv(a)), broadcast_to(eye(4, {}, 0, dtype()), a.shape()));
  derivatives([](Args x) { return Arrays{inv(x[0])}; }, {m});
}

TEST_P(LinAlg, DetAndSlogdet) {
  const Array a = random({2, 4, 4});
  const auto [sign, logdet] = slogdet(a);
  expect_close(sign * exp(logdet), det(a));
  EXPECT_EQ(logdet.dtype(), real_dtype(dtype()));
  derivatives([](Args x) { return Arrays{det(x[0])}; }, {a});
  derivatives([](Args x) { return Arrays{slogdet(x[0]).first, slogdet(x[0]).second}; }, {a});
  // d det at singular matrices: rank n - 1 in the first column, and in general; rank n - 2.
  const Array b = random({4, 3}), c = random({3, 4}), d = random({4, 2}), e = random({2, 4});
  derivatives([](Args x) { return Arrays{det(x[0])}; }, {matmul(b, c)});
  derivatives([](Args x) { return Arrays{det(x[0])}; }, {concatenate({zeros({4, 1}, dtype()), b}, 1)});
  derivatives([](Args x) { return Arrays{det(x[0])}; }, {matmul(d, e)}, 1);
}

TEST_P(LinAlg, QR) {
  for (const auto& [m, n] : {std::pair{4, 4}, {5, 3}, {3, 5}, {1, 1}, {1, 3}, {3, 1}}) {
    const Array a = random({2, m, n});
    for (const std::string mode : {"reduced", "complete"}) {
      const auto [q, r] = qr(a, mode);
      expect_close(matmul(q, r), a);
      expect_orthonormal(q);
      EXPECT_EQ(largest(tril(r, -1)), 0.0);
    }
    derivatives([](Args x) { return Arrays{qr(x[0]).first, qr(x[0]).second}; }, {a});
    // A complete basis is determined up to rotations of what completes it.
    derivatives(
        [m = m, n = n](Args x) {
          const auto [q, r] = qr(x[0], "complete");
          const Array rest = linalg::columns(q, std::min(m, n), m);
          return Arrays{r, matmul(rest, adjoint(rest))};
        },
        {a});
  }
}

TEST_P(LinAlg, Eigh) {
  const Array a = positive({2}, 4);
  const auto [w, v] = eigh(a);
  EXPECT_EQ(w.dtype(), real_dtype(dtype()));
  expect_close(linalg::scale_columns(v, w), matmul(a, v));
  expect_orthonormal(v);
  EXPECT_TRUE(all(greater_equal(diff(w), 0.0)).item<bool>());
  expect_close(eigvalsh(a), w);
  derivatives([](Args x) { return Arrays{eigh(x[0]).first, eigh(x[0]).second}; }, {a});
  derivatives([](Args x) { return Arrays{eigvalsh(x[0])}; }, {a});
}

TEST_P(LinAlg, SVD) {
  for (const auto& [m, n] : {std::pair{3, 3}, {4, 2}, {2, 4}, {1, 1}, {1, 3}, {30, 20}}) {
    const int64_t k = std::min(m, n);
    const Array a = random({2, m, n});
    for (const bool full : {false, true}) {
      const auto [u, s, vh] = svd(a, full);
      expect_close(matmul(linalg::scale_columns(linalg::columns(u, 0, k), s), linalg::rows(vh, 0, k)), a);
      expect_orthonormal(u);
      expect_orthonormal(adjoint(vh));
      expect_close(svdvals(a), s);
    }
    if (m > 10) continue;
    derivatives(
        [](Args x) {
          const SVD f = svd(x[0], false);
          return Arrays{f.u, f.s, f.vh};
        },
        {a});
    derivatives(
        [m = m, n = n, k](Args x) {
          const SVD f = svd(x[0], true);
          const Array u = linalg::columns(f.u, k, m), v = linalg::rows(f.vh, k, n);
          return Arrays{matmul(u, adjoint(u)), f.s, matmul(adjoint(v), v)};
        },
        {a});
    derivatives([](Args x) { return Arrays{svdvals(x[0])}; }, {a});
  }
}

TEST_P(LinAlg, PseudoInverse) {
  for (const auto& [m, n] : {std::pair{3, 3}, {4, 2}, {2, 4}}) {
    const Array a = random({2, m, n}), p = pinv(a);
    expect_close(matmul(matmul(a, p), a), a);
    derivatives([](Args x) { return Arrays{pinv(x[0])}; }, {a});
  }
  // Rank two along directions that keep it.
  const Array b = random({4, 2}), c = random({2, 3});
  if (!single()) derivatives([](Args x) { return Arrays{pinv(matmul(x[0], x[1]), 1e-8)}; }, {b, c});
}

TEST_P(LinAlg, Norms) {
  const Array x = random({3, 4});
  const double inf = std::numeric_limits<double>::infinity();
  expect_close(square(norm(x)), sum(real(x * conj(x))));
  expect_close(norm(x, {}, NormOrder("fro")), norm(x));
  expect_close(norm(x, Axes{0}, NormOrder(inf)), max(abs(x), Axes{0}));
  expect_close(norm(x, Axes{1}, NormOrder(-inf), true), min(abs(x), Axes{1}, true));
  expect_close(norm(x, {}, NormOrder(1.0)), max(sum(abs(x), Axes{0})));
  expect_close(norm(x, {}, NormOrder(inf)), max(sum(abs(x), Axes{1})));
  expect_close(norm(x, {}, NormOrder(2.0)), max(svdvals(x)));
  expect_close(norm(x, {}, NormOrder("nuc")), sum(svdvals(x)));
  expect_close(norm(x, Axes{1, 0}, NormOrder(1.0)), norm(matrix_transpose(x), {}, NormOrder(1.0)));
  EXPECT_EQ(vector_norm(x, {}, 0.0).item<double>(), 12.0);
  EXPECT_EQ(norm(random({2, 3, 4}), Axes{2, 0}, NormOrder(2.0), true).shape(), (Shape{1, 3, 1}));
  for (const double p : {1.0, 2.0, 3.0, 0.5, -1.0, 2.5})
    derivatives([p](Args v) { return Arrays{vector_norm(v[0], Axes{1}, p)}; }, {x});
  for (const NormOrder& ord :
       {NormOrder(1.0), NormOrder(2.0), NormOrder(-2.0), NormOrder("nuc"), NormOrder("fro")})
    derivatives([&](Args v) { return Arrays{norm(v[0], {}, ord)}; }, {x});
  for (const double p : {1.0, 2.0, 3.0, 0.5}) {
    const Array zero = zeros({3}, dtype());
    const auto [value, pull] = vjp([p](Args v) { return Arrays{vector_norm(v[0], {}, p)}; }, {zero});
    EXPECT_EQ(largest(value[0]), 0.0);
    EXPECT_EQ(largest(filled(pull({ones({}, real_dtype(dtype()))}), {zero})[0]), 0.0) << p;
  }
}

TEST_P(LinAlg, MatrixPower) {
  const Array a = random({2, 3, 3});
  expect_close(matrix_power(a, 5), matmul(a, matmul(matmul(a, a), matmul(a, a))));
  expect_close(matrix_power(a, 0), broadcast_to(eye(3, {}, 0, dtype()), a.shape()));
  expect_close(matrix_power(a, -2), matmul(inv(a), inv(a)));
  derivatives([](Args x) { return Arrays{matrix_power(x[0], 3)}; }, {a});
}

TEST_P(LinAlg, EmptyMatricesAndBatches) {
  const Array none = zeros({0, 0}, dtype()), no_batch = zeros({0, 3, 3}, dtype()),
              flat = zeros({3, 0}, dtype());
  EXPECT_EQ(cholesky(none).shape(), (Shape{0, 0}));
  EXPECT_EQ(solve(none, zeros({0, 2}, dtype())).shape(), (Shape{0, 2}));
  EXPECT_EQ(solve(zeros({3, 3}, dtype()), flat).shape(), (Shape{3, 0}));
  EXPECT_EQ(largest(det(none) - 1.0), 0.0);
  EXPECT_EQ(inv(no_batch).shape(), (Shape{0, 3, 3}));
  EXPECT_EQ(eigh(no_batch).first.shape(), (Shape{0, 3}));
  EXPECT_EQ(svd(flat, true).u.shape(), (Shape{3, 3}));
  EXPECT_EQ(svd(flat, false).vh.shape(), (Shape{0, 0}));
  EXPECT_EQ(qr(flat).first.shape(), (Shape{3, 0}));
  EXPECT_EQ(pinv(flat).shape(), (Shape{0, 3}));
  EXPECT_EQ(lu(flat).permutation.to_vector<int64_t>(), (std::vector<int64_t>{0, 1, 2}));
}

INSTANTIATE_TEST_SUITE_P(Types, LinAlg, ::testing::Values(kFloat32, kFloat64, kComplex64, kComplex128),
                         [](const auto& info) { return std::string(name(info.param)); });

template <class E>
void expect_error(const std::function<void()>& f, const std::string& part) {
  try {
    f();
    ADD_FAILURE() << "did not throw: " << part;
  } catch (const E& e) {
    EXPECT_NE(std::string(e.what()).find(part), std::string::npos) << e.what();
  }
}

TEST(LinAlgErrors, DataAndArguments) {
  const Array singular = Array::from<double>(std::vector<double>{1, 2, 2, 4}, {2, 2});
  const Array batch = stack({eye(2), negative(eye(2))});
  expect_error<NumericalError>([&] { cholesky(batch); },
                               "cholesky: the matrix at batch index (1,) is not positive definite (pivot 0)");
  expect_error<NumericalError>([&] { solve(singular, ones({2})); },
                               "solve: the matrix is singular (pivot 1 is zero)");
  expect_error<NumericalError>([&] { inv(zeros({2, 2})); }, "singular");
  expect_error<NumericalError>([&] { triangular_solve(zeros({2, 2}), ones({2})); }, "zero at position 0");
  expect_error<NumericalError>(
      [&] {
        eigh(full({2, 2}, Array(NAN)));
      },
      "eigh: the matrix has an entry that is NaN or infinite");
  expect_error<NumericalError>([&] { svdvals(full({2, 2}, Array(INFINITY))); }, "NaN or infinite");
  EXPECT_EQ(det(singular).item<double>(), 0.0);
  expect_error<ValueError>(
      [&] {
        cholesky(ones({2, 3}));
      },
      "cholesky: expected square matrices in the last two axes, got float64[2,3]");
  expect_error<ValueError>([&] { det(ones({3})); }, "det: expected a matrix");
  expect_error<ValueError>([&] { solve(eye(3), ones({2})); }, "solve: b must have as many rows as a");
  expect_error<ValueError>([&] { qr(eye(3), "raw"); }, "mode must be 'reduced' or 'complete', got 'raw'");
  expect_error<ValueError>([&] { norm(ones({2, 2}), {}, NormOrder("max")); }, "got 'max'");
  expect_error<ValueError>([&] { norm(ones({2}), {}, NormOrder("nuc")); }, "give two axes");
  expect_error<TypeError>([&] { inv(Array(Key{0, 1})); }, "inv");
}

TEST(LinAlgRules, SolveFactorsOnceForAllDerivatives) {
  std::mt19937_64 generator(5);
  const Avals args{{{4, 4}, kFloat64}, {{4}, kFloat64}};
  const auto g = trace_closed(
      [](std::span<const Array> x) {
        const Fn loss = [b = x[1]](std::span<const Array> in) {
          return Arrays{sum(square(solve(in[0], b)))};
        };
        return hvp(loss, {x[0]}, {x[0]});
      },
      args);
  EXPECT_EQ(g->count("lu"), 1) << *g;
}

TEST(LinAlgRules, IntegersBecomeFloats) {
  const Array a = Array::from<int64_t>(std::vector<int64_t>{2, 0, 0, 4}, {2, 2});
  EXPECT_EQ(inv(a).to_vector<double>(), (std::vector<double>{0.5, 0, 0, 0.25}));
  EXPECT_EQ(norm(Array::from<int64_t>({3, 4})).item<double>(), 5.0);
}

}  // namespace
}  // namespace hesse
