#pragma once
#include <utility>

#include "core/sparse.h"

/// Sparse direct solutions, by KLU.
namespace hesse::solvers {

/// Whether this build has KLU (HESSE_KLU).
bool has_klu();

/// Orderings found and factorisations in this process: for tests.
struct KluCounts {
  int64_t analyses = 0, factorisations = 0;
};
KluCounts klu_counts();

struct SparseSolution {
  Array x;         ///< like b
  Array singular;  ///< bool: x is NaN then
};
/// x with a x = b for a square sparse matrix with LU factors, b [n] or [n, k], of one inexact dtype (in
/// single precision solved in double). Linear in b and differentiable to any order in both: derivatives are
/// solutions with a and, in reverse, its transpose, from the same factors. The ordering is found once for a
/// pattern, and pivots are used again while they are good, also between the examples of a map. A singular
/// matrix is reported (NumericalError) where `throws`. Throws ValueError where the build has no KLU, and for
/// shapes that do not fit.
SparseSolution sparse_solve(const sparse::CSR& a, const Array& b, bool throws = true);

}  // namespace hesse::solvers
