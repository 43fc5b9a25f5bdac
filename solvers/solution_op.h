#pragma once
#include <algorithm>
#include <vector>

#include "core/derivatives.h"
#include "core/ops.h"
#include "core/ops/control_graph.h"

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

/// Operands of a solution: these, what else its solver needs and, from Base::kFirstParameter on, p.
namespace solution_operand {
enum : size_t { t0, times, y0 };
}

/// The op of a solution: y [n, N] is its first output. `Base` is an op with SolutionRules for
/// field().graph(): (t, kStateInputs vectors [N], p...) -> [N], and knows the slopes of a solution,
/// slope_at_start(x) [N] and slope_at_times(x, outputs) [n, N]. Its options() have a silent() form, which
/// derivatives take: they tell nobody how far they are.
template <class Base>
class SolutionOf : public Base {
 public:
  using Base::Base;
  MaybeArrays jvp(std::span<const Array> x, std::span<const Array> y,
                  std::span<const MaybeArray> dx) const final {
    MaybeArrays dy(y.size());
    dy[0] = this->solution_tangent(x, y, dx);
    return dy;
  }
  std::optional<MaybeArrays> vjp(std::span<const Array> x, std::span<const Array> y,
                                 std::span<const MaybeArray> ct, const std::vector<bool>& wanted) const final;
  // Where f is linear in the state and in the p marked, jointly, the solution is in y0 and these.
  bool is_linear_in(const std::vector<bool>& marked) const final {
    for (size_t i = 0; i < Base::kFirstParameter; ++i)
      if (marked[i] && i != solution_operand::y0) return false;
    std::vector<bool> of{false};
    of.resize(1 + Base::kStateInputs, true);
    of.insert(of.end(), marked.begin() + Base::kFirstParameter, marked.end());
    return is_linear(*this->field().graph(), of);
  }
};

/// The op of its adjoint: the gradient of <c, y> with respect to y0 and to the p that are wanted. Operands:
/// those of the solution, then c [n, N]. `Base` finds it: gradients(x); the op is called Base::kAdjoint.
template <class Base>
class AdjointOf final : public Base {
 public:
  AdjointOf(Ref<const Graph> graph, const typename Base::Options& options, const std::vector<bool>& wanted)
      : Base(std::move(graph), options, wanted), theta_(this->num_operands(), false) {
    theta_[solution_operand::y0] = true;
    std::copy(wanted.begin(), wanted.end(), theta_.begin() + Base::kFirstParameter);
  }
  std::string_view name() const override { return Base::kAdjoint; }
  Params params() const override {
    Params out = Base::params();
    Dims wanted;
    for (size_t i = Base::kFirstParameter; i < theta_.size(); ++i) wanted.push_back(theta_[i]);
    out.emplace_back("wanted", wanted);
    return out;
  }
  Avals infer(std::span<const Aval> x) const override {
    this->check_operands(x, 1);
    Avals out{x[solution_operand::y0]};
    const Avals& p = this->field().parameters().avals();
    out.insert(out.end(), p.begin(), p.end());
    return out;
  }
  Arrays eval(std::span<const Array> x) const override { return this->gradients(x); }
  MaybeArrays jvp(std::span<const Array> x, std::span<const Array>,
                  std::span<const MaybeArray> dx) const override {
    return AdjointRules(*this, theta_).jvp(*this, x, dx);
  }
  std::optional<MaybeArrays> vjp(std::span<const Array> x, std::span<const Array>,
                                 std::span<const MaybeArray> ct,
                                 const std::vector<bool>& wanted) const override {
    return AdjointRules(*this, theta_).vjp(x, ct, wanted);
  }
  bool is_linear_in(const std::vector<bool>& marked) const override {
    return std::find(marked.begin(), marked.end() - 1, true) == marked.end() - 1;
  }
  bool reads_output(int) const override { return false; }

 private:
  std::vector<bool> theta_;  // by operand: whether its gradient is an output
};

// With lambda and the gradients of p from the adjoint, for the cotangent c of y:
//   d/dt0 = -<lambda(t0), y'(t0)>, d/dt_k = <c_k, y'(t_k)>.
template <class Base>
std::optional<MaybeArrays> SolutionOf<Base>::vjp(std::span<const Array> x, std::span<const Array> y,
                                                 std::span<const MaybeArray> ct,
                                                 const std::vector<bool>& wanted) const {
  using namespace solution_operand;
  MaybeArrays out(x.size());
  if (!ct[0]) return out;
  if (wanted[times]) out[times] = sum(*ct[0] * this->slope_at_times(x, y), Axes{1});
  const std::vector<bool> want(wanted.begin() + Base::kFirstParameter, wanted.end());
  const bool any = std::find(want.begin(), want.end(), true) != want.end();
  if (!any && !wanted[t0] && !wanted[y0]) return out;
  Arrays in(x.begin(), x.end());
  in.push_back(*ct[0]);
  const Arrays g = hesse::apply(
      make_op<AdjointOf<Base>>(without_effects(this->field().graph()), this->options().silent(), want), in);
  if (wanted[y0]) out[y0] = g[0];
  if (wanted[t0]) out[t0] = negative(sum(g[0] * this->slope_at_start(x)));
  for (size_t j = 0, k = 1; j < want.size(); ++j)
    if (want[j]) out[Base::kFirstParameter + j] = g[k++];
  return out;
}

}  // namespace hesse::solvers
