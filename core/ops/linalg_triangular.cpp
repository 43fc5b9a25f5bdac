// Cholesky factors and triangular systems.
#include "core/op_table.h"
#include "core/ops/linalg.h"

namespace hesse {
namespace {

using namespace linalg;

/// Lower triangle with ones, and halves on the diagonal.
Array half_lower(int64_t n, DType dtype) {
  Array mask = Array::uninitialized({n, n}, dtype);
  visit_inexact(dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    T* out = mask.view().template as<T>();
    for (int64_t i = 0; i < n; ++i)
      for (int64_t j = 0; j < n; ++j) *out++ = i > j ? T(1) : i == j ? T(0.5f) : T(0);
  });
  return mask;
}

/// l with l l^H = a for a Hermitian a, of which the lower triangle is read.
class Cholesky final : public General {
 public:
  std::string_view name() const override { return "cholesky"; }
  double flops(std::span<const Aval> x, std::span<const Aval>) const override {
    return of_matrices(x[0], [](double m, double n) { return m * n * n / 3; });
  }
  Avals infer(std::span<const Aval> x) const override {
    check_square("cholesky", x[0]);
    return {x[0]};
  }
  void kernel(std::span<const View> x, std::span<const View> out, int) const override {
    visit_inexact(x[0].dtype, [&](auto tag) {
      using T = typename decltype(tag)::type;
      for (Batch b(x[0], 2); !b.done(); b.next()) {
        const int64_t bad =
            cpu::decompositions<T>().cholesky(x[0].shape.back(), b.matrix<T>(x[0]), b.at<T>(out[0]));
        if (bad >= 0)
          b.fail(name(), out,
                 concat("is not positive definite (pivot ", bad,
                        "); add a small multiple of the identity, or use eigh or lu"));
      }
    });
  }
  // dl = l phi(l^-1 da l^-H), phi: the lower triangle with half the diagonal (Murray 2016, arXiv:1602.07527,
  // eq. 10)
  MaybeArrays jvp(std::span<const Array>, std::span<const Array> y,
                  std::span<const MaybeArray> dx) const override {
    const Array& l = y[0];
    const Array inner = adjoint(solve_triangle(l, adjoint(solve_triangle(l, *dx[0], true)), true));
    return {matmul(l, inner * half_lower(l.dim(-1), l.dtype()))};
  }
  bool reads_input(int) const override { return false; }
};

/// x with t x = b or t^T x = b, where t is a triangle of a: inputs a [..., n, n] and b [..., n, k].
class TriangularSolve final : public Op {
 public:
  TriangularSolve(bool lower, bool transpose, bool unit_diagonal)
      : lower_(lower), transpose_(transpose), unit_diagonal_(unit_diagonal) {}
  std::string_view name() const override { return "triangular_solve"; }
  double flops(std::span<const Aval> x, std::span<const Aval>) const override {
    return of_matrices(x[1], [](double m, double n) { return m * m * n; });
  }
  Params params() const override {
    return {{"lower", lower_}, {"transpose", transpose_}, {"unit_diagonal", unit_diagonal_}};
  }
  Avals infer(std::span<const Aval> x) const override {
    check_square(name(), x[0]);
    check_matrix(name(), x[1]);
    const auto both = [&] {
      return concat(describe(x[0].shape, x[0].dtype), " and ", describe(x[1].shape, x[1].dtype));
    };
    require<TypeError>(x[0].dtype == x[1].dtype, name(), ": a and b must be of one dtype, got ", both(),
                       "; convert one with astype");
    require(batch_shape(x[0].shape) == batch_shape(x[1].shape) &&
                x[1].shape[x[1].shape.size() - 2] == x[0].shape.back(),
            name(), ": b must have as many rows as a, got ", both());
    return {x[1]};
  }
  void kernel(std::span<const View> x, std::span<const View> out, int) const override {
    visit_inexact(x[0].dtype, [&](auto tag) {
      using T = typename decltype(tag)::type;
      for (Batch b(x[0], 2); !b.done(); b.next()) {
        const int64_t bad = cpu::decompositions<T>().triangular_solve(
            x[0].shape.back(), x[1].shape.back(), b.matrix<T>(x[0]), lower_, transpose_, unit_diagonal_,
            b.matrix<T>(x[1]), b.at<T>(out[0]));
        if (bad >= 0)
          b.fail(name(), out,
                 concat("is singular: zero at position ", bad,
                        " of the diagonal; pinv gives a least-squares solution"));
      }
    });
  }
  // dx = t^-1 (db - dt x); for the transposed system t^T stands for t.
  MaybeArrays jvp(std::span<const Array> x, std::span<const Array> y,
                  std::span<const MaybeArray> dx) const override {
    MaybeArray rhs = dx[1];
    if (dx[0]) {
      const Array dt = triangle(*dx[0]);
      const Array moved = matmul(transpose_ ? matrix_transpose(dt) : dt, y[0]);
      rhs = rhs ? *rhs - moved : -moved;
    }
    if (!rhs) return {std::nullopt};
    return {apply1(OpRef(this), {x[0], *rhs})};
  }
  // With g = t^-T ct: ct_b = g, and <ct, -t^-1 dt x> = <-g x^T, dt>.
  std::optional<MaybeArrays> vjp(std::span<const Array> x, std::span<const Array> y,
                                 std::span<const MaybeArray> ct,
                                 const std::vector<bool>& wanted) const override {
    if (!ct[0]) return MaybeArrays(2);
    const Array g = apply1(make_op<TriangularSolve>(lower_, !transpose_, unit_diagonal_), {x[0], *ct[0]});
    MaybeArrays out(2);
    if (wanted[0])
      out[0] =
          triangle(-(transpose_ ? matmul(y[0], matrix_transpose(g)) : matmul(g, matrix_transpose(y[0]))));
    if (wanted[1]) out[1] = g;
    return out;
  }
  bool is_linear_in(const std::vector<bool>& marked) const override { return !marked[0]; }
  bool reads_input(int i) const override { return i == 0; }

 private:
  Array triangle(const Array& a) const {
    const int64_t k = unit_diagonal_ ? 1 : 0;
    return lower_ ? tril(a, -k) : triu(a, k);
  }
  bool lower_, transpose_, unit_diagonal_;
};

}  // namespace

namespace linalg {

Array solve_system(std::string_view function, const Array& a, const Array& b, const LinearSolver& solver) {
  const Arrays xs{a, b};
  const DType dtype = common_dtype(function, xs);
  const Array matrices = square_matrix(function, converted(a, dtype));
  Array rhs = inexact(function, converted(b, dtype));
  require(rhs.ndim() >= 1, function, ": b must have at least one axis, got ", describe(rhs),
          "; a vector is one right-hand side");
  const bool vector = rhs.ndim() == 1;
  if (vector) rhs = expand_dims(rhs, {1});
  require(rhs.dim(-2) == matrices.dim(-1), function, ": b must have as many rows as a, got a ",
          describe(matrices), " and b ", describe(b),
          rhs.ndim() == 2 ? "; a matrix b holds the right-hand sides in its columns"
                          : "; write a stack of vectors as matrices of one column");
  const int64_t n = rhs.dim(-2), k = rhs.dim(-1);
  Array x;
  if (matrices.ndim() == 2 && rhs.ndim() > 2) {  // one matrix: the batch of b is just more columns
    const Array side = moveaxis(rhs, {-2}, {0});
    const int64_t columns = num_elements(batch_shape(rhs.shape())) * k;
    x = moveaxis(reshape(solver(matrices, reshape(side, {n, columns})), side.shape()), {0}, {-2});
  } else {
    const Shape batch = broadcast_shapes(function, batch_shape(matrices.shape()), batch_shape(rhs.shape()));
    x = solver(broadcast_to(matrices, with(batch, {n, n})), broadcast_to(rhs, with(batch, {n, k})));
  }
  return vector ? squeeze(x, Axes{-1}) : x;
}

}  // namespace linalg

Array cholesky(const Array& a, bool upper) {
  const Array l = apply1(the<Cholesky>(), {hermitian_part(square_matrix("cholesky", a))});
  return upper ? adjoint(l) : l;
}

Array triangular_solve(const Array& a, const Array& b, bool lower, bool transpose, bool unit_diagonal) {
  return solve_system("triangular_solve", a, b, [&](const Array& t, const Array& rhs) {
    return apply1(make_op<TriangularSolve>(lower, transpose, unit_diagonal), {t, rhs});
  });
}

OpFamily families::triangular() {
  return {listed<Cholesky>(),
          listed<TriangularSolve>("triangular_solve", "lower", "transpose", "unit_diagonal")};
}

}  // namespace hesse
