#pragma once
#include <vector>

#include "core/op.h"

/// What ops share that solve a differential equation, and ops that solve its adjoint. They are closed under
/// differentiation, whatever the solver: the tangent of a solution is the solution of another equation, the
/// transpose of that is the adjoint, and the derivative of an adjoint is the adjoint of a tangent.
namespace hesse::solvers {

/// An equation and its solution y [n, N], a function of num_operands() operands.
class SolutionRules {
 public:
  virtual ~SolutionRules() = default;
  virtual size_t num_operands() const = 0;
  /// Whether the solution has a derivative with respect to an operand; tolerances, for example, are
  /// constants.
  virtual bool is_differentiable(size_t operand) const = 0;
  /// The tangent of y; nullopt: zero. `solution`: the outputs of its op where they are known, else empty.
  virtual MaybeArray solution_tangent(std::span<const Array> x, std::span<const Array> solution,
                                      std::span<const MaybeArray> dx) const = 0;
};

/// How large the tangents of a state and of parameters are, relative to what they are tangents of: 1 for
/// none. The errors of a tangent solution are measured with atol times this, so that they scale with it.
Array relative_size(const MaybeArray& ds, const Array& state, std::span<const Array> p,
                    std::span<const MaybeArray> dp);

/// The derivative of the adjoint: of the gradient A = J^T c of <c, y> with respect to theta, some of the
/// operands, where J = dy/dtheta. Operands of the adjoint: those of the solution, then c [n, N]; outputs: one
/// for each of theta.
class AdjointRules final {
 public:
  /// `theta`: by operand, whether it is one of them.
  AdjointRules(const SolutionRules& equation, const std::vector<bool>& theta)
      : equation_(equation), theta_(theta) {}
  /// `op` is the adjoint itself.
  MaybeArrays jvp(const Op& op, std::span<const Array> x, std::span<const MaybeArray> dx) const;
  MaybeArrays vjp(std::span<const Array> x, std::span<const MaybeArray> ct,
                  const std::vector<bool>& wanted) const;

 private:
  std::vector<bool> differentiable(std::vector<bool> marked) const;
  std::vector<bool> differentiable(std::span<const MaybeArray> dx) const;
  Ref<const Graph> tangent_graph(std::span<const Array> x, const std::vector<bool>& marked) const;
  MaybeArrays gradient_of_tangent(std::span<const Array> x, std::span<const MaybeArray> dx,
                                  const std::vector<bool>& marked, const std::vector<bool>& want) const;
  const SolutionRules& equation_;
  const std::vector<bool>& theta_;
};

}  // namespace hesse::solvers
