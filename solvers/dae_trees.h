#pragma once
#include "solvers/dae.h"
#include "solvers/trees.h"

/// solve_dae for states that are trees of arrays (core/tree.h).
namespace hesse::solvers {

/// Solves f(t, y, y') = 0 for f(t, state, slopes) that returns a tree like the state. Throws as the other
/// does.
template <class F, class State>
requires(!std::same_as<State, Arrays> &&
         std::invocable<const F&, const Array&, const detail::TreeOf<State>&,
                        const detail::TreeOf<State>&>) auto solve_dae(const F& f, const Array& t0,
                                                                      const Array& t1, const State& y0,
                                                                      const State& yp0,
                                                                      const DaeOptions& options = {}) {
  const detail::TreeOf<State> state = detail::as_tree(y0), slopes = detail::as_tree(yp0);
  const DaeResidual flat = [&](const Array& t, std::span<const Array> y, std::span<const Array> yp) {
    return leaves(detail::as_tree(f(t, with_leaves(state, y), with_leaves(slopes, yp))));
  };
  Solution sol = solve_dae(flat, t0, t1, leaves(state), leaves(slopes), options);
  return in_trees(state, std::move(sol));
}

}  // namespace hesse::solvers
