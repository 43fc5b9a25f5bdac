#pragma once
#include <optional>
#include <string>

#include "core/graph.h"
#include "core/sparse.h"
#include "solvers/flat.h"
#include "solvers/krylov.h"

/// Linear equations a x = b with a matrix, a sparse matrix or a linear function of arrays. The solution is
/// linear in b and differentiable in what a is computed from; its derivatives, of any order, are solutions
/// with a and, in reverse, its transpose.
namespace hesse::solvers {

struct LinearOptions {
  /// "lu" and "cholesky" (a Hermitian and positive definite) make a dense matrix, of a function by n calls;
  /// "klu" has sparse factors (solvers/sparse_solve.h), as "lu" of a sparse matrix in builds with KLU;
  /// "cg", "minres", "bicgstab" and "gmres" (solvers/krylov.h) use products alone. "auto": "lu" for a dense
  /// matrix, "klu" for a sparse one where the build has it and no option of Krylov methods is given, else
  /// "gmres".
  std::string method = "auto";
  /// About the inverse of a, a linear function of arrays like b, for Krylov methods.
  Fn preconditioner = {};
  /// Krylov methods are done when |b - a x| is at most max(atol, rtol |b|). rtol: by default 1e-8, 1e-5 in
  /// single precision.
  std::optional<Array> rtol = {};
  Array atol = 0.0;
  std::optional<Arrays> x0 = {};          ///< where to begin, by default at zero; it has no derivative
  std::optional<int64_t> max_steps = {};  ///< by default 10 n
  int64_t restart = 30;                   ///< gmres: vectors kept
  bool throw_on_failure = true;
};
struct LinearSolution {
  Arrays x;        ///< like b
  Array status;    ///< SolveStatus, an int64 scalar
  Array steps;     ///< int64
  Array residual;  ///< the largest |b - a x|, a real scalar without derivative
};
/// a: a linear function from arrays like b to arrays like b, recorded once. Throws ValueError where a is not
/// linear or returns other shapes, for unknown methods and options that do not fit; TypeError for integers;
/// NumericalError where it fails, if asked for: "cholesky" asks always. Derivatives of failed solutions are
/// NaN, or raise too.
LinearSolution linear_solve(const Fn& a, const Arrays& b, const LinearOptions& options = {});
/// a [n, n], b [n] or [n, k].
LinearSolution linear_solve(const Array& a, const Array& b, const LinearOptions& options = {});
LinearSolution linear_solve(const sparse::CSR& a, const Array& b, const LinearOptions& options = {});

/// How a Krylov method is run, when nothing depends on values.
struct KrylovSettings {
  std::string function = "linear_solve";  ///< whom failures name
  std::string method = "gmres";
  int64_t max_steps = 0, restart = 30;
  bool throws = true;
};
/// a x = b for vectors: the op behind it all. `m` may have no graph. rtol, atol: scalars.
KrylovResult linear_solve(const VectorFn& a, const VectorFn& m, const Array& b,
                          const std::optional<Array>& x0, const Array& rtol, const Array& atol,
                          const KrylovSettings& settings);

}  // namespace hesse::solvers
