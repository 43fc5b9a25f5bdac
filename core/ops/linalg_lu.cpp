// LU factors, and what is built on them: solve, inv, det, slogdet, matrix_power.
#include "core/op_table.h"
#include "core/ops/linalg.h"

namespace hesse {
namespace {

using namespace linalg;

/// a's rows (axis -2) or columns (axis -1) in the order of `permutation` [..., n].
Array permuted(const Array& a, const Array& permutation, int64_t axis) {
  return take_along_axis(a, broadcast_to(expand_dims(permutation, {axis == -2 ? -1 : -2}), a.shape()), axis);
}

/// [n, n]: true on the diagonal from position `begin` on.
Array diagonal_mask(int64_t n, int64_t begin) {
  Array mask = Array::uninitialized({n, n}, kBool);
  bool* out = mask.view().as<bool>();
  for (int64_t i = 0; i < n; ++i)
    for (int64_t j = 0; j < n; ++j) *out++ = i == j && i >= begin;
  return mask;
}

/// The square matrices with `a` in their top left corner.
Array framed(const Array& a, int64_t n) {
  if (a.dim(-1) == n && a.dim(-2) == n) return a;
  std::vector<std::pair<int64_t, int64_t>> widths(a.ndim(), {0, 0});
  widths[a.ndim() - 2].second = n - a.dim(-2);
  widths[a.ndim() - 1].second = n - a.dim(-1);
  return pad(a, widths);
}

// The tangent of packed factors l u = a [m, n] from that of a, its rows and columns permuted already:
//   dl u + l du = da,  c = l^-1 da,  m = c u^-1:  dl = l m_,  du = upper(c - m_ u),  m_ = strictly_lower(m)
// (de Hoog, Anderssen, Lukas 2011, "Differentiation of matrix functionals using triangular factorization").
// Where a is not tall, m_ does not depend on the last pivot: it is replaced by one, so that a may have rank n
// - 1. With `skip_zeros` other pivots that are zero are replaced too: factors of u's diagonal, whose product
// vanishes.
Array lu_tangent(const Array& lu, const Array& da, bool skip_zeros) {
  const int64_t m = lu.dim(-2), n = lu.dim(-1), k = std::min(m, n);
  const Array l = framed(columns(lu, 0, k), m);
  Array u = framed(rows(lu, 0, k), n);
  const Array one = literal(1.0, u);
  if (n >= m) u = where(diagonal_mask(n, std::max<int64_t>(m - 1, 0)), one, u);
  if (skip_zeros) u = where(logical_and(diagonal_mask(n, 0), equal(u, 0.0)), one, u);
  const Array c = solve_triangle(l, da, true, false, true);
  const Array inner = strictly_lower(divide_by_upper(c, u));
  const Array dl = matmul(strictly_lower(l), inner) + inner;
  return dl + upper(c - matmul(columns(inner, 0, k), upper(rows(lu, 0, k))));
}

/// Packed factors of a [m, n], with partial pivoting: unit lower triangular l below the diagonal, u on and
/// above it.
class LUFactor final : public General {
 public:
  std::string_view name() const override { return "lu"; }
  double flops(std::span<const Aval> x, std::span<const Aval>) const override {
    return of_matrices(x[0], [](double m, double n) { return m * n * n * 2 / 3; });
  }
  Avals infer(std::span<const Aval> x) const override {
    check_matrix(name(), x[0]);
    const Shape& a = x[0].shape;
    const Shape batch = batch_shape(a);
    const int64_t m = a[a.size() - 2], n = a.back();
    return {x[0], {with(batch, {std::min(m, n)}), kInt64}, {with(batch, {m}), kInt64}};
  }
  void kernel(std::span<const View> x, std::span<const View> out, int) const override {
    visit_inexact(x[0].dtype, [&](auto tag) {
      using T = typename decltype(tag)::type;
      const Shape& a = x[0].shape;
      for (Batch b(x[0], 2); !b.done(); b.next())
        cpu::decompositions<T>().lu(a[a.size() - 2], a.back(), b.matrix<T>(x[0]), b.at<T>(out[0]),
                                    b.at<int64_t>(out[1]), b.at<int64_t>(out[2]));
    });
  }
  // The permutation stays as it is: l u = p a.
  MaybeArrays jvp(std::span<const Array>, std::span<const Array> y,
                  std::span<const MaybeArray> dx) const override {
    return {lu_tangent(y[0], permuted(*dx[0], y[2], -2), false), std::nullopt, std::nullopt};
  }
  bool reads_input(int) const override { return false; }
};

/// Packed factors with (l u)[i, j] = a[rows[i], columns[j]] for square a, and the sign of both permutations
/// together. The columns stay in place, unless a pivot would vanish: then those that vanish come last
/// (complete pivoting), so that the determinant of a singular matrix has its derivatives.
class LURevealing final : public General {
 public:
  std::string_view name() const override { return "lu_revealing"; }
  double flops(std::span<const Aval> x, std::span<const Aval>) const override {
    return of_matrices(x[0], [](double m, double n) { return m * n * n * 2 / 3; });
  }
  Avals infer(std::span<const Aval> x) const override {
    check_square("det", x[0]);
    const Shape batch = batch_shape(x[0].shape), order = with(batch, {x[0].shape.back()});
    return {x[0], {order, kInt64}, {order, kInt64}, {batch, x[0].dtype}};
  }
  void kernel(std::span<const View> x, std::span<const View> out, int) const override {
    visit_inexact(x[0].dtype, [&](auto tag) {
      using T = typename decltype(tag)::type;
      for (Batch b(x[0], 2); !b.done(); b.next())
        *b.at<T>(out[3]) = static_cast<T>(static_cast<float>(
            cpu::decompositions<T>().lu_revealing(x[0].shape.back(), b.matrix<T>(x[0]), b.at<T>(out[0]),
                                                  b.at<int64_t>(out[1]), b.at<int64_t>(out[2]))));
    });
  }
  MaybeArrays jvp(std::span<const Array>, std::span<const Array> y,
                  std::span<const MaybeArray> dx) const override {
    const Array da = permuted(permuted(*dx[0], y[1], -2), y[2], -1);
    return {lu_tangent(y[0], da, true), std::nullopt, std::nullopt, std::nullopt};
  }
  bool reads_input(int) const override { return false; }
};

/// x with a x = b or a^T x = b: inputs a, b, and the factors and permutation of a. The factors count as a
/// function of a whose part in the derivative is taken through `a`: no rule differentiates them, and every
/// order of derivative uses them.
class FactoredSolve final : public Op {
 public:
  /// `asked` is the function of the user, for messages. `quiet`: a singular matrix gives NaN and no failure.
  explicit FactoredSolve(bool transpose, std::string_view asked = "solve", bool quiet = false)
      : transpose_(transpose), quiet_(quiet), asked_(asked) {}
  static OpRef quiet(bool transpose) { return make_op<FactoredSolve>(transpose, "solve", true); }
  std::string_view name() const override { return quiet_ ? "solve_or_nan" : "solve"; }
  double flops(std::span<const Aval> x, std::span<const Aval>) const override {
    return of_matrices(x[1], [](double m, double n) { return 2 * m * m * n; });
  }
  Params params() const override { return {{"transpose", transpose_}}; }
  Avals infer(std::span<const Aval> x) const override {
    check_square(name(), x[0]);
    check_matrix(name(), x[1]);
    const auto both = [&] {
      return concat(describe(x[0].shape, x[0].dtype), " and ", describe(x[1].shape, x[1].dtype));
    };
    require<TypeError>(x[0].dtype == x[1].dtype, name(), ": a and b must be of one dtype, got ", both());
    require(batch_shape(x[0].shape) == batch_shape(x[1].shape) &&
                x[1].shape[x[1].shape.size() - 2] == x[0].shape.back(),
            name(), ": b must have as many rows as a, got ", both());
    return {x[1]};
  }
  void kernel(std::span<const View> x, std::span<const View> out, int) const override {
    visit_inexact(x[0].dtype, [&](auto tag) {
      using T = typename decltype(tag)::type;
      for (Batch b(x[1], 2); !b.done(); b.next()) {
        const int64_t bad = cpu::decompositions<T>().lu_solve(
            x[1].shape[x[1].shape.size() - 2], x[1].shape.back(), b.matrix<T>(x[2]),
            b.at<const int64_t>(x[3]), x[3].strides.back(), transpose_, b.matrix<T>(x[1]), b.at<T>(out[0]));
        if (bad >= 0 && quiet_)
          b.poison(out[0]);
        else if (bad >= 0)
          b.fail(asked_, out,
                 concat("is singular (pivot ", bad, " is zero); pinv gives ",
                        asked_ == "solve" ? "a least-squares solution" : "the Moore-Penrose inverse"));
      }
    });
  }
  // dx = a^-1 (db - da x); for the transposed system a^T stands for a.
  MaybeArrays jvp(std::span<const Array> x, std::span<const Array> y,
                  std::span<const MaybeArray> dx) const override {
    MaybeArray rhs = dx[1];
    if (dx[0]) {
      const Array moved = matmul(transpose_ ? matrix_transpose(*dx[0]) : *dx[0], y[0]);
      rhs = rhs ? *rhs - moved : -moved;
    }
    if (!rhs) return {std::nullopt};
    return {apply1(OpRef(this), {x[0], *rhs, x[2], x[3]})};
  }
  // With g = a^-T ct: ct_b = g, and <ct, -a^-1 da x> = <-g x^T, da>.
  std::optional<MaybeArrays> vjp(std::span<const Array> x, std::span<const Array> y,
                                 std::span<const MaybeArray> ct,
                                 const std::vector<bool>& wanted) const override {
    if (!ct[0]) return MaybeArrays(4);
    const Array g = apply1(make_op<FactoredSolve>(!transpose_, asked_, quiet_), {x[0], *ct[0], x[2], x[3]});
    MaybeArrays out(4);
    if (wanted[0])
      out[0] = -(transpose_ ? matmul(y[0], matrix_transpose(g)) : matmul(g, matrix_transpose(y[0])));
    if (wanted[1]) out[1] = g;
    return out;
  }
  bool is_linear_in(const std::vector<bool>& marked) const override { return !marked[0]; }
  bool reads_input(int i) const override { return i != 1; }

 private:
  bool transpose_, quiet_;
  std::string_view asked_;  // a literal
};

Array solved(std::string_view function, const Array& a, const Array& b) {
  // Factored before the batch of b is known, so that a matrix shared by the batch is factored once.
  const Array matrices = square_matrix(function, converted(a, common_dtype(function, Arrays{a, b})));
  const Arrays factors = apply(the<LUFactor>(), {stop_gradient(matrices)});
  return solve_system(function, matrices, b, [&](const Array& m, const Array& rhs) {
    const Shape batch = batch_shape(rhs.shape());
    return apply1(
        make_op<FactoredSolve>(false, function),
        {m, rhs, broadcast_to(factors[0], m.shape()), broadcast_to(factors[2], with(batch, {m.dim(-1)}))});
  });
}
Array inverse(std::string_view function, const Array& a) {
  const Array matrices = square_matrix(function, a);
  return solved(function, matrices,
                broadcast_to(eye(matrices.dim(-1), {}, 0, matrices.dtype()), matrices.shape()));
}

}  // namespace

LU lu(const Array& a) {
  const Arrays out = apply(the<LUFactor>(), {matrix("lu", a)});
  return {out[0], out[1], out[2]};
}

Array solve(const Array& a, const Array& b) { return solved("solve", a, b); }

Factored::Factored(const Array& a, Singular singular) : a_(square_matrix("solve", a)), singular_(singular) {
  require(a_.ndim() == 2, "Factored: expected a matrix, got ", describe(a_));
  const Arrays factors = apply(the<LUFactor>(), {stop_gradient(a_)});
  factors_ = factors[0];
  permutation_ = factors[2];
}
Array Factored::solve(const Array& b) const {
  const OpRef op =
      singular_ == Singular::GivesNaN ? FactoredSolve::quiet(false) : make_op<FactoredSolve>(false);
  return reshape(apply1(op, {a_, reshape(b, {b.size(), 1}), factors_, permutation_}), {b.size()});
}

Array inv(const Array& a) { return inverse("inv", a); }

// det a = sign * prod diag(u), log |det a| = sum log |diag(u)|
Array det(const Array& a) {
  const Arrays f = apply(the<LURevealing>(), {square_matrix("det", a)});
  return f[3] * prod(diagonal(f[0]), Axes{-1});
}

std::pair<Array, Array> slogdet(const Array& a) {
  const Arrays f = apply(the<LURevealing>(), {square_matrix("slogdet", a)});
  const Array pivots = diagonal(f[0]);
  return {f[3] * prod(sign(pivots), Axes{-1}), sum(log(abs(pivots)), Axes{-1})};
}

Array matrix_power(const Array& a, int64_t n) {
  require(a.ndim() >= 2 && a.dim(-1) == a.dim(-2),
          "matrix_power: expected square matrices in the last two axes, got ", describe(a));
  if (n == 0) return broadcast_to(eye(a.dim(-1), {}, 0, a.dtype()), a.shape());
  Array base = n < 0 ? inverse("matrix_power", a) : a;
  std::optional<Array> out;
  for (uint64_t left = n < 0 ? -static_cast<uint64_t>(n) : static_cast<uint64_t>(n);;) {
    if (left & 1) out = out ? matmul(*out, base) : base;
    left >>= 1;
    if (left == 0) return *out;
    base = matmul(base, base);
  }
}

OpFamily families::lu() {
  return {listed<LUFactor>(),
          listed<LURevealing>(),
          listed<FactoredSolve>("solve", "transpose"),
          {"solve_or_nan", [](const ReadParams& p) { return FactoredSolve::quiet(p["transpose"]); }}};
}

}  // namespace hesse
