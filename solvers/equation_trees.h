#pragma once
#include <concepts>
#include <utility>

#include "core/tree_functions.h"
#include "solvers/linear.h"
#include "solvers/minimise.h"
#include "solvers/root.h"

/// Solvers of equations for unknowns that are trees of arrays (core/tree.h): one array, a struct, a tuple.
/// Each does what its namesake for lists does, and throws as that does.
namespace hesse::solvers {

/// The solution as a tree, and the rest: status, numbers of steps, and the solution as a list.
template <class Tree, class Flat>
struct TreeResult {
  Tree x;
  Flat flat;
};

namespace detail {
using hesse::detail::as_tree;
using hesse::detail::TreeOf;

template <class F, class Tree>
concept TreeFunction = !std::same_as<Tree, Arrays> && std::invocable<const F&, const TreeOf<Tree>&>;

/// f of a tree like `like` as a function of its arrays.
template <class F, class Tree>
Fn flat_function(const F& f, const Tree& like) {
  return [&f, &like](std::span<const Array> x) { return leaves(as_tree(f(with_leaves(like, x)))); };
}
template <class Tree, class Flat>
TreeResult<Tree, Flat> tree_result(const Tree& like, Flat flat) {
  return {with_leaves(like, flat.x), std::move(flat)};
}
}  // namespace detail

/// f(tree) returns a tree like x0 that is to be zero.
template <class F, class Tree>
requires detail::TreeFunction<F, Tree>
auto root_solve(const F& f, const Tree& x0, const RootOptions& options = {}) {
  const detail::TreeOf<Tree> x = detail::as_tree(x0);
  return detail::tree_result(x, root_solve(detail::flat_function(f, x), leaves(x), options));
}
template <class F, class Tree>
requires detail::TreeFunction<F, Tree>
auto fixed_point(const F& f, const Tree& x0,
                 const RootOptions& options = {.method = "anderson", .max_steps = 1000}) {
  const detail::TreeOf<Tree> x = detail::as_tree(x0);
  return detail::tree_result(x, fixed_point(detail::flat_function(f, x), leaves(x), options));
}
/// f(tree) returns the derivative of the state with respect to time.
template <class F, class Tree>
requires detail::TreeFunction<F, Tree>
auto steady_state(const F& f, const Tree& y0, const RootOptions& options = {.max_steps = 200}) {
  const detail::TreeOf<Tree> y = detail::as_tree(y0);
  return detail::tree_result(y, steady_state(detail::flat_function(f, y), leaves(y), options));
}
template <class F, class Tree>
requires detail::TreeFunction<F, Tree> detail::TreeOf<Tree> implicit_function(
    const F& f, const Tree& x_in, const ImplicitOptions& options = {}) {
  const detail::TreeOf<Tree> x = detail::as_tree(x_in);
  return with_leaves(x, implicit_function(detail::flat_function(f, x), leaves(x), options));
}
/// a: a linear function from trees like b to trees like b. The preconditioner and x0 of the options are of
/// lists.
template <class F, class Tree>
requires detail::TreeFunction<F, Tree>
auto linear_solve(const F& a, const Tree& b_in, const LinearOptions& options = {}) {
  const detail::TreeOf<Tree> b = detail::as_tree(b_in);
  return detail::tree_result(b, linear_solve(detail::flat_function(a, b), leaves(b), options));
}
/// f(tree) returns a real scalar.
template <class F, class Tree>
requires detail::TreeFunction<F, Tree>
auto minimise(const F& f, const Tree& x0, const MinimiseOptions& options = {}) {
  const detail::TreeOf<Tree> x = detail::as_tree(x0);
  return detail::tree_result(x, minimise(detail::flat_function(f, x), leaves(x), options));
}
/// residual(tree) returns any tree of arrays.
template <class F, class Tree>
requires detail::TreeFunction<F, Tree>
auto least_squares(const F& residual, const Tree& x0, const LeastSquaresOptions& options = {}) {
  const detail::TreeOf<Tree> x = detail::as_tree(x0);
  return detail::tree_result(x, least_squares(detail::flat_function(residual, x), leaves(x), options));
}

}  // namespace hesse::solvers
