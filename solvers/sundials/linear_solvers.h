#pragma once
#include <cstdint>
#include <string>

#include "solvers/sundials/handles.h"

/// How CVODES solves the linear equations of its Newton steps, (I - gamma J) x = b.
namespace hesse::solvers::sundials {

class Calls;
class FlatField;
class IncompleteLU;

/// LU of dense, banded or sparse matrices (the last by KLU), or GMRES with Jacobian products: as it is, or
/// preconditioned with incomplete factors (solvers/sundials/incomplete_lu.h).
enum class LinearKind : uint8_t { Dense, Band, Sparse, Krylov, Preconditioned };
inline bool is_krylov(LinearKind kind) {
  return kind == LinearKind::Krylov || kind == LinearKind::Preconditioned;
}

/// Whether there is KLU: this build and that of SUNDIALS have it.
bool has_sparse_solver();
/// What "dense", "banded", "klu", "krylov" and "ilu" ask for. "auto" looks where the Jacobian of a larger
/// system has entries: a narrow band and few entries are used, else dense matrices to 500 unknowns and then
/// GMRES. Throws ValueError where the structure that was asked for is not to be found.
LinearKind linear_kind(const std::string& asked, const FlatField& field);
/// Whether J is computed; else CVODES takes differences.
bool has_jacobian(LinearKind kind, const FlatField& field);

/// No matrix for Krylov methods. `adjoint`: for -J^T instead of J.
Matrix make_matrix(LinearKind kind, const FlatField& field, bool adjoint, const Context& context);
LinearSolver make_linear_solver(LinearKind kind, N_Vector like, const Matrix& matrix, const Context& context);
/// J, or for the adjoint -J^T, at (t, y); returns as Calls::run.
int fill_jacobian(Calls& calls, double t, N_Vector y, SUNMatrix matrix, bool adjoint) noexcept;
/// J, likewise.
int fill_jacobian(Calls& calls, double t, N_Vector y, IncompleteLU& out) noexcept;

}  // namespace hesse::solvers::sundials
