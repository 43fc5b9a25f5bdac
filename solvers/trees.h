#pragma once
#include <concepts>
#include <utility>

#include "core/tree_functions.h"
#include "solvers/ode.h"

/// Solvers for states that are trees of arrays (core/tree.h): a struct of populations, a tuple, a network.
namespace hesse::solvers {

namespace detail {
using hesse::detail::as_tree;
using hesse::detail::TreeOf;

/// f(t, tree) on lists.
template <class Tree, class F>
Rhs on_lists(const F& f, const Tree& like) {
  return
      [&](const Array& t, std::span<const Array> y) { return leaves(as_tree(f(t, with_leaves(like, y)))); };
}
}  // namespace detail

/// As Solution, with the state as a tree: every array has time as its first axis.
template <class State>
struct TreeSolution {
  Array t;
  State y;
  std::vector<State> y_events = {};  ///< with events, as in Solution
  std::optional<State> y_end = {};
  Solution flat;  ///< status, numbers of steps, times of events, and the state as a list
};

/// A solution whose states are trees like `state`.
template <class State>
TreeSolution<State> in_trees(const State& state, Solution sol) {
  TreeSolution<State> out{sol.t, with_leaves(state, sol.y), {}, {}, {}};
  for (const Arrays& y : sol.y_events) out.y_events.push_back(with_leaves(state, y));
  if (!sol.y_end.empty()) out.y_end = with_leaves(state, sol.y_end);
  out.flat = std::move(sol);
  return out;
}

/// An event of a function g(t, state), for states like `like`: what solve_ivp takes in its options.
template <class State, class G>
requires std::invocable < const G&, const Array&, const detail::TreeOf<State>
& > Event event(const State& like, G g, int64_t terminal = 0, int direction = 0) {
  return {[state = detail::as_tree(like), g = std::move(g)](const Array& t, std::span<const Array> y) {
            return detail::as_tree(g(t, with_leaves(state, y)));
          },
          terminal, direction};
}

/// Solves dy/dt = f(t, y) for f(t, state) that returns a tree like the state. Throws as the other does.
template <class F, class State>
requires(!std::same_as<State, Arrays> &&
         std::invocable<const F&, const Array&,
                        const detail::TreeOf<State>&>) auto solve_ivp(const F& f, const Array& t0,
                                                                      const Array& t1, const State& y0,
                                                                      const IvpOptions& options = {}) {
  const detail::TreeOf<State> state = detail::as_tree(y0);
  require(!options.save, "solve_ivp: save is for states that are lists of arrays");
  Solution sol = solve_ivp(detail::on_lists(f, state), t0, t1, leaves(state), options);
  return in_trees(state, std::move(sol));
}

}  // namespace hesse::solvers
