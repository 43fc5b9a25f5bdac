#pragma once
#include <algorithm>
#include <utility>
#include <vector>

#include "core/nn/lbfgs.h"
#include "core/nn/optim.h"
#include "core/ops.h"
#include "core/tree.h"

/// The optimisers for trees of parameters (core/tree.h), as in Python:
///
///     auto adam = optim::adam(optim::cosine_decay(1e-2, 1000));
///     auto state = adam.init(net);
///     std::tie(net, state) = adam.update(gradient, state, net);
///
/// The state is a tree too: it goes through compile, derivatives and files as the parameters do.
namespace hesse::optim {
namespace detail {
template <class Tree>
Tree zeros_of_tree(const Tree& tree) {
  Arrays zeros;
  for (const Array& a : leaves(tree)) zeros.push_back(zeros_like(a));
  return with_leaves(tree, zeros);
}
template <class Tree>
MaybeArrays gradients_of(const Tree& gradient) {
  const Arrays g = leaves(gradient);
  return {g.begin(), g.end()};
}
}  // namespace detail

/// The number of steps done, and the velocity (nothing in it without momentum).
template <class Tree>
struct SgdState {
  Array step;
  std::optional<Tree> velocity;
  auto fields() { return hesse::fields("step", step, "velocity", velocity); }
};

class Sgd {
 public:
  Sgd(Schedule rate, const SgdOptions& options) : rate_(std::move(rate)), options_(options) {
    (void)optim::sgd(Arrays{}, {}, {}, 0.0, options_);  // checks the options
  }
  /// The state before the first step.
  template <class Tree>
  SgdState<Tree> init(const Tree& params) const {
    SgdState<Tree> state{zeros({}, kInt64), {}};
    if (options_.momentum > 0.0) state.velocity = detail::zeros_of_tree(params);
    return state;
  }
  /// One step: the new parameters and the new state.
  template <class Tree>
  std::pair<Tree, SgdState<Tree>> update(const Tree& gradient, SgdState<Tree> state,
                                         const Tree& params) const {
    const Arrays velocity = state.velocity ? leaves(*state.velocity) : Arrays{};
    const SgdResult next =
        optim::sgd(leaves(params), detail::gradients_of(gradient), velocity, rate_(state.step), options_);
    state.step = state.step + 1;
    if (state.velocity) state.velocity = with_leaves(*state.velocity, next.velocity);
    return {with_leaves(params, next.parameters), std::move(state)};
  }

 private:
  Schedule rate_;
  SgdOptions options_;
};
inline Sgd sgd(Schedule rate, const SgdOptions& options = {}) { return {std::move(rate), options}; }
inline Sgd sgd(double rate, const SgdOptions& options = {}) { return {constant(rate), options}; }

/// The number of steps done, and both moments.
template <class Tree>
struct AdamState {
  Array step;
  Tree first, second;
  auto fields() { return hesse::fields("step", step, "first", first, "second", second); }
};

class Adam {
 public:
  Adam(Schedule rate, const AdamOptions& options) : rate_(std::move(rate)), options_(options) {
    (void)optim::adam(Arrays{}, {}, {}, {}, 0.0, 0.0, options_);  // checks the options
  }
  /// The state before the first step.
  template <class Tree>
  AdamState<Tree> init(const Tree& params) const {
    return {zeros({}, kInt64), detail::zeros_of_tree(params), detail::zeros_of_tree(params)};
  }
  /// One step: the new parameters and the new state.
  template <class Tree>
  std::pair<Tree, AdamState<Tree>> update(const Tree& gradient, const AdamState<Tree>& state,
                                          const Tree& params) const {
    const AdamResult next = optim::adam(leaves(params), detail::gradients_of(gradient), leaves(state.first),
                                        leaves(state.second), state.step, rate_(state.step), options_);
    return {with_leaves(params, next.parameters),
            {state.step + 1, with_leaves(state.first, next.first), with_leaves(state.second, next.second)}};
  }

 private:
  Schedule rate_;
  AdamOptions options_;
};
inline Adam adam(Schedule rate, const AdamOptions& options = {}) { return {std::move(rate), options}; }
inline Adam adam(double rate, const AdamOptions& options = {}) { return {constant(rate), options}; }

/// One minimisation by L-BFGS over a tree of real floating arrays; made by `lbfgs`.
template <class F, class Tree>
class TreeLbfgs {
 public:
  TreeLbfgs(F value_and_grad, Tree params, const LbfgsOptions& options)
      : value_and_grad_(std::move(value_and_grad)), like_(std::move(params)), engine_(flat(like_), options) {}

  /// One iteration: a direction, a line search, an update of the history. Returns whether to go on; status()
  /// says why not. Throws NumericalError where the function is NaN or infinite.
  bool step() {
    status_ = engine_.step([&](std::span<const double> x, std::span<double> gradient) {
      const auto [value, g] = value_and_grad_(tree(x));
      const std::vector<double> entries = flat(g);
      require(entries.size() == gradient.size(), "lbfgs: the gradient has ", entries.size(), " entries, the ",
              "parameters have ", gradient.size());
      std::copy(entries.begin(), entries.end(), gradient.begin());
      return value.template item<double>();
    });
    return status_ == LbfgsStatus::Running;
  }
  /// Steps until it converges or max_iterations are done; returns the parameters.
  Tree minimise(int64_t max_iterations) {
    while (iterations() < max_iterations && step()) {
    }
    return params();
  }
  /// The function has changed (other points, other weights): see Lbfgs.
  void function_changed(bool forget = false) { engine_.function_changed(forget); }

  Tree params() const { return tree(engine_.x()); }
  double value() const { return engine_.value(); }
  int64_t iterations() const { return engine_.state().iterations; }
  int64_t evaluations() const { return engine_.state().evaluations; }
  LbfgsStatus status() const { return status_; }

 private:
  static std::vector<double> flat(const Tree& tree) {
    return astype(ravel(leaves(tree)), kFloat64).template to_vector<double>();
  }
  Tree tree(std::span<const double> x) const {
    return with_leaves(like_,
                       unravel(Array::from<double>(x, {static_cast<int64_t>(x.size())}), leaves(like_)));
  }
  F value_and_grad_;
  Tree like_;
  Lbfgs engine_;
  LbfgsStatus status_ = LbfgsStatus::Running;
};
/// value_and_grad goes from the parameters to a scalar and its gradient, such as
/// compile(value_and_grad(loss)).
template <class F, class Tree>
TreeLbfgs<F, Tree> lbfgs(F value_and_grad, Tree params, const LbfgsOptions& options = {}) {
  return {std::move(value_and_grad), std::move(params), options};
}

}  // namespace hesse::optim
