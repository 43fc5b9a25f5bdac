#pragma once
#include <concepts>
#include <utility>

#include "core/tree_functions.h"
#include "solvers/ode.h"

/// Solvers for states that are trees of arrays (core/tree.h): a struct of populations, a tuple, a network.
namespace hesse::solvers {

/// As Solution, with the state as a tree: every array has time as its first axis.
template <class State>
struct TreeSolution {
  Array t;
  State y;
  Solution flat;  ///< status, numbers of steps, and the state as a list
};

/// Solves dy/dt = f(t, y) for f(t, state) that returns a tree like the state. Throws as the other does.
template <class F, class State>
requires(!std::same_as<State, Arrays> &&
         std::invocable<const F&, const Array&,
                        const detail::TreeOf<State>&>) auto solve_ivp(const F& f, const Array& t0,
                                                                      const Array& t1, const State& y0,
                                                                      const IvpOptions& options = {}) {
  const detail::TreeOf<State> state = detail::as_tree(y0);
  const Rhs flat = [&](const Array& t, std::span<const Array> y) {
    return leaves(detail::as_tree(f(t, with_leaves(state, y))));
  };
  Solution sol = solve_ivp(flat, t0, t1, leaves(state), options);
  detail::TreeOf<State> y = with_leaves(state, sol.y);
  return TreeSolution<detail::TreeOf<State>>{sol.t, std::move(y), std::move(sol)};
}

}  // namespace hesse::solvers
