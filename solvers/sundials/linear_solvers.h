#pragma once
#include <cstdint>
#include <string>

#include "solvers/sundials/handles.h"

/// How CVODES solves the linear equations of its Newton steps, (I - gamma J) x = b.
namespace hesse::solvers::sundials {

class Calls;
class FlatField;

/// LU of dense, banded or sparse matrices (the last by KLU), or GMRES with Jacobian products.
enum class LinearKind : uint8_t { Dense, Band, Sparse, Krylov };

/// Whether there is KLU: this build and that of SUNDIALS have it.
bool has_sparse_solver();
/// What "dense", "banded", "klu" and "krylov" ask for. "auto" looks where the Jacobian of a larger system has
/// entries: a narrow band and few entries are used, else dense matrices to 500 unknowns and then GMRES.
/// Throws ValueError where the structure that was asked for is not to be found.
LinearKind linear_kind(const std::string& asked, const FlatField& field);
/// Whether J is computed; else CVODES takes differences.
bool has_jacobian(LinearKind kind, const FlatField& field);

/// No matrix for Krylov. `adjoint`: for -J^T instead of J.
Matrix make_matrix(LinearKind kind, const FlatField& field, bool adjoint, const Context& context);
LinearSolver make_linear_solver(LinearKind kind, N_Vector like, const Matrix& matrix, const Context& context);
/// J, or for the adjoint -J^T, at (t, y); returns as Calls::run.
int fill_jacobian(Calls& calls, double t, N_Vector y, SUNMatrix matrix, bool adjoint) noexcept;

}  // namespace hesse::solvers::sundials
