#include "solvers/sundials/linear_solvers.h"

#include <sunlinsol/sunlinsol_band.h>
#include <sunmatrix/sunmatrix_band.h>
#include <sunmatrix/sunmatrix_sparse.h>
#ifdef HESSE_HAVE_SUNDIALS_KLU
#include <sunlinsol/sunlinsol_klu.h>

#include "solvers/klu/factors.h"
#endif

#include <algorithm>
#include <cmath>
#include <vector>

#include "solvers/sundials/incomplete_lu.h"
#include "solvers/sundials/session.h"

namespace hesse::solvers::sundials {

#ifdef HESSE_HAVE_SUNDIALS_KLU
bool has_sparse_solver() { return true; }
#else
bool has_sparse_solver() { return false; }
#endif

namespace {

double factor_flops(const Pattern& p) {
#ifdef HESSE_HAVE_SUNDIALS_KLU
  return klu::factor_flops({p.rows, p.starts, p.columns});
#else
  return INFINITY + static_cast<double>(p.rows);
#endif
}

LinearKind found_kind(const FlatField& field) {
  const int64_t n = field.size();
  constexpr int64_t kSmall = 32, kLargestDense = 500, kNarrow = 16;
  constexpr double kMostFlops = 3e8;  // a tenth of a second: more where factors fill, as in three dimensions
  const LinearKind unstructured = n > kLargestDense ? LinearKind::Krylov : LinearKind::Dense;
  if (n <= kSmall || !field.sparse_jacobian()) return unstructured;
  const Pattern& p = field.sparsity()->pattern();
  const auto [upper, lower] = bandwidths(p);
  const bool band = 4 * (2 * lower + upper + 1) <= n;  // of the factors
  if (band && (lower + upper <= kNarrow || !has_sparse_solver())) return LinearKind::Band;
  return factor_flops(p) <= kMostFlops ? LinearKind::Sparse : unstructured;
}

}  // namespace

LinearKind linear_kind(const std::string& asked, const FlatField& field) {
  const int64_t n = field.size();
  if (asked == "dense" || n == 0) return LinearKind::Dense;
  if (asked == "krylov") return LinearKind::Krylov;
  if (asked == "banded" || asked == "klu" || asked == "ilu") {
    if (n == 1) return LinearKind::Dense;
    require(
        field.sparse_jacobian() != nullptr, "solve_ivp: linear_solver '", asked,
        "' needs a Jacobian of which nine tenths are known to be zero, and that of f is not; use dense or "
        "krylov");
    return asked == "klu"   ? LinearKind::Sparse
           : asked == "ilu" ? LinearKind::Preconditioned
                            : LinearKind::Band;
  }
  return field.linear_kind([&] { return found_kind(field); });
}

bool has_jacobian(LinearKind kind, const FlatField& field) {
  return kind == LinearKind::Dense ? field.jacobian() != nullptr : !is_krylov(kind);
}

Matrix make_matrix(LinearKind kind, const FlatField& field, bool adjoint, const Context& context) {
  const int64_t n = field.size();
  if (is_krylov(kind)) return {};
  if (kind == LinearKind::Dense) return Matrix(SUNDenseMatrix(n, n, context.get()));
  const Pattern& p = field.sparsity()->pattern();
  if (kind == LinearKind::Sparse)  // rows of J are columns of J^T
    return Matrix(SUNSparseMatrix(n, n, p.nnz(), adjoint ? CSC_MAT : CSR_MAT, context.get()));
  const auto [upper, lower] = bandwidths(p);
  return Matrix(adjoint ? SUNBandMatrix(n, lower, upper, context.get())
                        : SUNBandMatrix(n, upper, lower, context.get()));
}

LinearSolver make_linear_solver(LinearKind kind, N_Vector like, const Matrix& matrix,
                                const Context& context) {
  switch (kind) {
    case LinearKind::Krylov:
      return LinearSolver(SUNLinSol_SPGMR(like, SUN_PREC_NONE, 20, context.get()));
    case LinearKind::Preconditioned:
      return LinearSolver(SUNLinSol_SPGMR(like, SUN_PREC_LEFT, 20, context.get()));
    case LinearKind::Band:
      return LinearSolver(SUNLinSol_Band(like, matrix.get(), context.get()));
    case LinearKind::Sparse: {
#ifdef HESSE_HAVE_SUNDIALS_KLU
      LinearSolver klu(SUNLinSol_KLU(like, matrix.get(), context.get()));
      constexpr int kAmd = 0;  // less fill than COLAMD where the pattern is about symmetric, as of PDEs
      SUNLinSol_KLUSetOrdering(klu.get(), kAmd);
      return klu;
#endif
    }
    case LinearKind::Dense:
      break;
  }
  return LinearSolver(SUNLinSol_Dense(like, matrix.get(), context.get()));
}

namespace {

// Row j of the program's result is df/dy_j: column j of J, which is stored by columns.
int fill_dense(Calls& c, double t, N_Vector y, SUNMatrix matrix, bool adjoint) noexcept {
  const int64_t n = c.field().size();
  double* a = SUNDenseMatrix_Data(matrix);
  const int flag = c.jacobian(t, y, a);
  if (adjoint)
    for (int64_t i = 0; i < n; ++i)
      for (int64_t j = 0; j <= i; ++j) {
        const double lower = a[i + j * n];
        a[i + j * n] = -a[j + i * n];
        a[j + i * n] = -lower;
      }
  return flag;
}

// Of each place.
std::vector<int64_t> rows_of(const Pattern& p) {
  std::vector<int64_t> rows(p.columns.size());
  for (int64_t r = 0; r < p.rows; ++r)
    std::fill(rows.begin() + p.starts[static_cast<size_t>(r)],
              rows.begin() + p.starts[static_cast<size_t>(r) + 1], r);
  return rows;
}

int fill_structured(Calls& c, double t, N_Vector y, SUNMatrix matrix, bool adjoint) {
  const Pattern& p = c.field().sparsity()->pattern();
  const bool sparse = SUNMatGetID(matrix) == SUNMATRIX_SPARSE;
  std::vector<double> kept(sparse ? 0 : p.columns.size());
  double* values = sparse ? SUNSparseMatrix_Data(matrix) : kept.data();
  const std::vector<int64_t> rows = rows_of(p);
  const int flag = c.run(*c.field().sparse_jacobian(), t, y, nullptr, values, p.nnz(), rows.data());
  if (flag != 0) return flag;
  if (adjoint) std::transform(values, values + p.nnz(), values, [](double v) { return -v; });
  if (sparse) {
    std::copy(p.starts.begin(), p.starts.end(), SUNSparseMatrix_IndexPointers(matrix));
    std::copy(p.columns.begin(), p.columns.end(), SUNSparseMatrix_IndexValues(matrix));
    return 0;
  }
  for (size_t at = 0; at < rows.size(); ++at) {
    const int64_t i = adjoint ? p.columns[at] : rows[at], j = adjoint ? rows[at] : p.columns[at];
    SM_COLUMN_ELEMENT_B(SUNBandMatrix_Column(matrix, j), i, j) = values[at];
  }
  return 0;
}

}  // namespace

int fill_jacobian(Calls& calls, double t, N_Vector y, IncompleteLU& out) noexcept {
  return calls.guarded([&] {
    const Pattern& p = calls.field().sparsity()->pattern();
    const std::vector<int64_t> rows = rows_of(p);
    return calls.run(*calls.field().sparse_jacobian(), t, y, nullptr, out.jacobian().data(), p.nnz(),
                     rows.data());
  });
}

int fill_jacobian(Calls& calls, double t, N_Vector y, SUNMatrix matrix, bool adjoint) noexcept {
  if (SUNMatGetID(matrix) == SUNMATRIX_DENSE) return fill_dense(calls, t, y, matrix, adjoint);
  return calls.guarded([&] { return fill_structured(calls, t, y, matrix, adjoint); });
}

}  // namespace hesse::solvers::sundials
