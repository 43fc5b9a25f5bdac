#pragma once
#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "core/array.h"
#include "solvers/outcome.h"

/// Krylov methods for a x = b on a real vector, made of ordinary equations in a loop.
namespace hesse::solvers {

using LinearMap = std::function<Array(const Array&)>;

/// What is solved. m: about the inverse of a, or nothing.
struct KrylovProblem {
  LinearMap a, m;
  Array b, x0;      ///< [n]
  Array tolerance;  ///< a scalar: done when |b - a x| is not above it
  int64_t max_steps = 0;
  int64_t restart = 30;  ///< gmres: how many vectors are kept
};
struct KrylovResult {
  Array x, status, steps, residual;  ///< residual: the largest |b - a x|, computed from x
};

/// "cg": a and m symmetric positive definite (Hestenes and Stiefel 1952). "minres": a symmetric, m positive
/// definite (Paige and Saunders 1975, SIAM J. Numer. Anal. 12). "bicgstab" (van der Vorst 1992, SIAM J. Sci.
/// Stat. Comput. 13) and "gmres" (Saad and Schultz 1986, SIAM J. Sci. Stat. Comput. 7): any a; m from the
/// right.
std::span<const std::string> krylov_methods();
bool is_krylov(std::string_view method);
/// Whether the method wants a symmetric matrix: its transposed equation is the same one.
bool is_symmetric_method(std::string_view method);
KrylovResult krylov(std::string_view method, const KrylovProblem& p);

}  // namespace hesse::solvers
