#pragma once
#include "solvers/sundials/flat_field.h"

namespace hesse::solvers::sundials {

/// The residual of a differential-algebraic equation on a flat state, F: (t, y [N], y' [N], p...) -> [N], all
/// but p of float64, of index 1: the matrix K of the columns dF/dy'_i of differential entries i and dF/dy_i
/// of algebraic ones, whose dF/dy'_i are zero, is regular. And the programs derived of it. Their input
/// `differential` [N] is 1 for differential entries, 0 for algebraic ones.
///
/// Programs of the adjoint equations (Cao, Li, Petzold and Serban, SIAM J. Sci. Comput. 24, 2003), whose
/// state is z = (mu, lambda) [2 N]:
///   mu' = F_y^T lambda, mu = F_y'^T lambda,   where mu is 0 in algebraic entries.
class FlatResidual final {
 public:
  /// `wanted`: for which of p there are cotangents.
  explicit FlatResidual(Ref<const Graph> graph, std::vector<bool> wanted = {});
  int64_t size() const { return size_; }
  const Ref<const Graph>& graph() const { return graph_; }
  const FlatParameters& parameters() const { return parameters_; }

  // They throw what the rules of F throw, when first asked for; IDAS must not be the one who asks.
  /// F itself.
  const Graph& residual() const;
  /// (t, y, y', p..., c) -> [N, N], whose row j is dF/dy_j + c dF/dy'_j; null where F has no such derivative.
  const Graph* jacobian() const;
  /// (t, y, y', p..., c, v [N]) -> (F_y + c F_y') v; null likewise.
  const Graph* product() const;
  /// (t, y, y', p..., differential, z, z') -> [2 N], the residual of the adjoint equations.
  const Graph& adjoint() const;
  /// (t, y, y', p..., differential, c) -> [2 N, 2 N], whose row j is that of their derivative by z_j + c
  /// z'_j: they are linear.
  const Graph& adjoint_jacobian() const;
  /// (t, y, y', p..., differential, c, v [2 N]) -> [2 N]
  const Graph& adjoint_product() const;
  /// (t, y, y', p..., lambda) -> -F_p^T lambda for the wanted p, as numbers.
  const Graph& parameter_product() const;
  /// What a cotangent c [N] of the solution at a time adds to the adjoint state there:
  ///   (t, y, y', p..., differential, c, mu) -> (z, z', nu),  [2 N], [2 N], [N]
  /// With K^T nu = (0, c_alg): mu grows by c - F_y^T nu in differential entries, the gradient with respect to
  /// p by -F_p^T nu. Then K^T lambda = (mu, 0).
  const Graph& start() const;

 private:
  Avals with_differential() const;
  Ref<const Graph> product_graph() const;
  Ref<const Graph> adjoint_graph() const;
  Ref<const Graph> adjoint_product_graph() const;
  Ref<const Graph> graph_, silent_;
  FlatParameters parameters_;
  int64_t size_;
  LazyProgram residual_, jacobian_, product_, adjoint_, adjoint_jacobian_, adjoint_product_,
      parameter_product_, start_;
};

}  // namespace hesse::solvers::sundials
