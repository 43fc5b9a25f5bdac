#pragma once
#include "solvers/sde.h"
#include "solvers/trees.h"

/// Methods for right-hand sides in two parts, and stochastic equations, for states that are trees of arrays.
namespace hesse::solvers {

/// Solves dy/dt = f_explicit(t, y) + f_implicit(t, y) with ARK3, ARK4 or ARK5; both return a tree like the
/// state. Throws as the other does.
template <class F, class G, class State>
requires(std::invocable<const F&, const Array&, const detail::TreeOf<State>&>) auto solve_ivp(
    const F& f_explicit, const G& f_implicit, const Array& t0, const Array& t1, const State& y0,
    const IvpOptions& options) {
  const detail::TreeOf<State> state = detail::as_tree(y0);
  const SplitRhs f{detail::on_lists(f_explicit, state), detail::on_lists(f_implicit, state)};
  require(!options.save, "solve_ivp: save is for states that are lists of arrays");
  Solution sol = solve_ivp(f, t0, t1, leaves(state), options);
  return in_trees(state, std::move(sol));
}

/// As Solution, of positions and momenta.
template <class State>
struct SymplecticSolution {
  Array t;
  State q, p;
  Solution flat;
};
/// Solves dq/dt = velocity(t, p), dp/dt = force(t, q) with a symplectic method; q and p are like trees.
template <class F, class G, class State>
auto solve_ivp(const F& velocity, const G& force, const Array& t0, const Array& t1, const State& q0,
               const State& p0, const IvpOptions& options) {
  const detail::TreeOf<State> q = detail::as_tree(q0);
  const SplitRhs f{detail::on_lists(velocity, q), detail::on_lists(force, q)};
  Arrays both = leaves(q);
  for (const Array& a : leaves(detail::as_tree(p0))) both.push_back(a);
  require(!options.save, "solve_ivp: save is for states that are lists of arrays");
  Solution sol = solve_ivp(f, t0, t1, both, options);
  const std::span<const Array> y(sol.y);
  detail::TreeOf<State> q_out = with_leaves(q, y.first(y.size() / 2));
  detail::TreeOf<State> p_out = with_leaves(q, y.subspan(y.size() / 2));
  return SymplecticSolution<detail::TreeOf<State>>{sol.t, std::move(q_out), std::move(p_out), std::move(sol)};
}

/// As SdeSolution, with the state as a tree.
template <class State>
struct SdeTreeSolution {
  Array t;
  State y;
  Array status;
};
/// Solves dy = drift(t, y) dt + diffusion(t, y) dW for functions that return trees like the state; `noise` is
/// a key or a BrownianPath. Throws as the other does.
template <class F, class G, class State, class Noise>
requires(!std::same_as<State, Arrays> &&
         std::invocable<const F&, const Array&,
                        const detail::TreeOf<State>&>) auto solve_sde(const F& drift, const G& diffusion,
                                                                      const Array& t0, const Array& t1,
                                                                      const State& y0, const Noise& noise,
                                                                      const SdeOptions& options = {}) {
  const detail::TreeOf<State> state = detail::as_tree(y0);
  SdeSolution sol = solve_sde(detail::on_lists(drift, state), detail::on_lists(diffusion, state), t0, t1,
                              leaves(state), noise, options);
  return SdeTreeSolution<detail::TreeOf<State>>{sol.t, with_leaves(state, sol.y), sol.status};
}

}  // namespace hesse::solvers
