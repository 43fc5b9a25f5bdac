#include "solvers/sparse_solve.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "core/node.h"
#include "core/op_table.h"
#include "core/ops.h"
#include "core/status.h"

#ifdef HESSE_HAVE_KLU
#include "solvers/klu/factors.h"
#endif

namespace hesse::solvers {

#ifndef HESSE_HAVE_KLU

bool has_klu() { return false; }
KluCounts klu_counts() { return {}; }

SparseSolution sparse_solve(const sparse::CSR&, const Array&, bool) {
  throw ValueError(
      "sparse_solve: direct solutions of sparse systems need KLU of SuiteSparse, without which this build "
      "was "
      "made; build with -DHESSE_KLU=ON (Debian: libsuitesparse-dev; pip: "
      "--config-settings=cmake.define.HESSE_KLU=ON), or use a Krylov method");
}

#else

bool has_klu() { return true; }
KluCounts klu_counts() {
  const klu::Counts c = klu::counts();
  return {c.analyses, c.factorisations};
}

namespace {

/// Operands: data [nnz], b [n, k], the pattern by rows and by columns (as the sparse products have them).
/// Outputs: x [n, k] and whether a is singular, a bool scalar.
class SparseSolveOp final : public Op {
 public:
  SparseSolveOp(bool transpose, bool throws) : transpose_(transpose), throws_(throws) {}
  std::string_view name() const override { return "sparse_solve"; }
  Params params() const override { return {{"transpose", transpose_}, {"throws", throws_}}; }
  Avals infer(std::span<const Aval> x) const override {
    require(x.size() == 8 && x[1].shape.size() == 2 && x[0].dtype == x[1].dtype && is_inexact(x[0].dtype) &&
                x[2].shape == x[5].shape && x[2].shape[0] == x[1].shape[0] + 1,
            "sparse_solve: the operands do not fit");
    return {x[1], {{}, kBool}};
  }
  Arrays eval(std::span<const Array> x) const override {
    return is_complex(x[0].dtype()) ? solved<complex128>(x, kComplex128) : solved<double>(x, kFloat64);
  }

  // a x = b:  a dx = db - da x
  MaybeArrays jvp(std::span<const Array> x, std::span<const Array> y,
                  std::span<const MaybeArray> dx) const override {
    MaybeArray rhs = dx[1];
    if (dx[0]) {
      const sparse::CSR da = matrix(x, *dx[0]);
      const Array moved = sparse::matmul(transpose_ ? da.transpose() : da, y[0]);
      rhs = rhs ? *rhs - moved : negative(moved);
    }
    if (!rhs) return {std::nullopt, std::nullopt};
    return {again(x, *rhs, transpose_), std::nullopt};
  }
  // <c, a^-1 db> = <a^-T c, db>
  std::optional<MaybeArrays> vjp(std::span<const Array> x, std::span<const Array>,
                                 std::span<const MaybeArray> ct,
                                 const std::vector<bool>& wanted) const override {
    if (wanted[0]) return std::nullopt;
    MaybeArrays out(x.size());
    if (ct[0]) out[1] = again(x, *ct[0], !transpose_);
    return out;
  }
  bool is_linear_in(const std::vector<bool>& marked) const override {
    return !marked[0] && std::find(marked.begin() + 2, marked.end(), true) == marked.end();
  }
  bool reads_input(int i) const override { return i != 1; }
  bool reads_output(int k) const override { return k == 0; }

 private:
  static sparse::CSR matrix(std::span<const Array> x, const Array& data) {
    return {data, {x[2], x[3], x[4]}, {x[5], x[6], x[7]}};
  }
  Array again(std::span<const Array> x, const Array& b, bool transpose) const {
    Arrays in(x.begin(), x.end());
    in[1] = b;
    return hesse::apply(make_op<SparseSolveOp>(transpose, throws_), in)[0];
  }
  static std::vector<int64_t> indices(const Array& a) {
    const StagedRegion none(nullptr);
    return sparse::index_values(a);
  }
  template <class T>
  Arrays solved(std::span<const Array> x, DType wide) const {
    const int64_t n = x[1].shape()[0], k = x[1].shape()[1];
    klu::Places places{n, indices(x[2]), indices(x[3])};
    const std::vector<int64_t> entries = indices(x[4]);
    std::vector<T> values = wider<T>(x[0], wide);
    if (!entries.empty()) {
      std::vector<T> ordered;
      for (const int64_t e : entries) ordered.push_back(values.at(static_cast<size_t>(e)));
      values = std::move(ordered);
    }
    check(places, values.size());
    // Right-hand sides one after another.
    const std::vector<T> rows = wider<T>(x[1], wide);
    std::vector<T> b(rows.size());
    for (int64_t i = 0; i < n; ++i)
      for (int64_t j = 0; j < k; ++j)
        b[static_cast<size_t>(j * n + i)] = rows[static_cast<size_t>(i * k + j)];
    const klu::Borrowed factors(std::move(places));
    const bool regular = factors->factor(std::span<const T>(values));
    if (regular)
      factors->solve(std::span<T>(b), transpose_);
    else
      std::fill(b.begin(), b.end(), T(NAN));
    if (!regular && throws_)
      report_failure(Failure::Numerical, "linear_solve",
                     "the sparse matrix is singular, or has entries that are not finite");
    std::vector<T> out(rows.size());
    for (int64_t i = 0; i < n; ++i)
      for (int64_t j = 0; j < k; ++j) out[static_cast<size_t>(i * k + j)] = b[static_cast<size_t>(j * n + i)];
    return {narrower(Array::from<T>(std::span<const T>(out), {n, k}), x[1].dtype()), Array(!regular)};
  }
  template <class T>
  static std::vector<T> wider(const Array& a, DType wide) {
    const DType t = a.dtype();
    if (t == wide) return a.to_vector<T>();
    std::vector<T> out;
    if constexpr (std::is_same_v<T, double>)
      for (const float v : a.to_vector<float>()) out.push_back(v);
    else
      for (const complex64 v : a.to_vector<complex64>()) out.emplace_back(v);
    return out;
  }
  static Array narrower(const Array& a, DType t) {
    const StagedRegion none(nullptr);
    return a.dtype() == t ? a : astype(a, t);
  }
  // A pattern may have been changed by hand.
  static void check(const klu::Places& p, size_t nnz) {
    bool ok = static_cast<int64_t>(p.starts.size()) == p.n + 1 && p.columns.size() == nnz &&
              p.starts.front() == 0 && p.starts.back() == static_cast<int64_t>(nnz) &&
              std::is_sorted(p.starts.begin(), p.starts.end());
    for (const int64_t c : p.columns) ok = ok && c >= 0 && c < p.n;
    require<IndexError>(ok,
                        "linear_solve: the pattern of the sparse matrix has a start or a column out of "
                        "range; make it with csr or coo");
    std::vector<int64_t> seen(static_cast<size_t>(p.n), -1);
    for (int64_t r = 0; r < p.n; ++r)
      for (int64_t k = p.starts[static_cast<size_t>(r)]; k < p.starts[static_cast<size_t>(r) + 1]; ++k) {
        const int64_t c = p.columns[static_cast<size_t>(k)];
        require(std::exchange(seen[static_cast<size_t>(c)], r) != r, "linear_solve: row ", r, " has column ",
                c, " twice; make the matrix with duplicates='sum' (C++: Duplicates::Sum)");
      }
  }
  bool transpose_, throws_;
};

const bool registered =
    (register_ops(
         {{"sparse_solve",
           [](const ReadParams& p) { return make_op<SparseSolveOp>(p["transpose"], p["throws"]); }}}),
     true);

}  // namespace

SparseSolution sparse_solve(const sparse::CSR& a, const Array& b, bool throws) {
  require(a.rows() == a.cols(), "sparse_solve: a has shape (", a.rows(), ", ", a.cols(),
          "), expected a square matrix");
  require((b.ndim() == 1 || b.ndim() == 2) && b.dim(0) == a.rows(), "sparse_solve: b has shape ", b.shape(),
          ", expected (", a.rows(), ",) or (", a.rows(), ", k), the rows of a");
  require<TypeError>(is_inexact(a.data.dtype()) && a.data.dtype() == b.dtype(), "sparse_solve: a is of ",
                     a.data.dtype(), " and b of ", b.dtype(), ", expected one inexact dtype");
  const Array columns = b.ndim() == 1 ? expand_dims(b, {1}) : b;
  const Arrays out = hesse::apply(make_op<SparseSolveOp>(false, throws),
                                  {a.data, columns, a.by_row.starts, a.by_row.columns, a.by_row.entries,
                                   a.by_col.starts, a.by_col.columns, a.by_col.entries});
  return {b.ndim() == 1 ? squeeze(out[0], Axes{1}) : out[0], stop_gradient(out[1])};
}

#endif

}  // namespace hesse::solvers
