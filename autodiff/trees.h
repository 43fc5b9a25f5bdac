#pragma once
#include <utility>

#include "autodiff/autodiff.h"
#include "core/ops.h"
#include "core/tree.h"

/// Derivatives with respect to trees of arrays (core/tree.h).
namespace hesse {

/// The value of a scalar function of a tree and its gradient, a tree of the same kind.
template <class F, class Tree>
std::pair<Array, Tree> value_and_grad(const F& loss, const Tree& tree) {
  const Arrays arrays = leaves(tree);
  std::vector<int> argnums(arrays.size());
  for (size_t i = 0; i < arrays.size(); ++i) argnums[i] = static_cast<int>(i);
  const Fn flat = [&](std::span<const Array> x) { return Arrays{loss(with_leaves(tree, x))}; };
  auto [values, gradients] = value_and_grad(flat, arrays, argnums);
  return {values.at(0), with_leaves(tree, gradients)};
}

/// The gradient of a scalar function of a tree.
template <class F, class Tree>
Tree grad(const F& loss, const Tree& tree) {
  return value_and_grad(loss, tree).second;
}

/// f(tree) and its derivative in the direction `tangent`, a tree of the same kind; f returns one array.
template <class F, class Tree>
std::pair<Array, Array> jvp(const F& f, const Tree& tree, const Tree& tangent) {
  const Arrays directions = leaves(tangent);
  const Fn flat = [&](std::span<const Array> x) { return Arrays{f(with_leaves(tree, x))}; };
  auto [values, tangents] = jvp(flat, leaves(tree), MaybeArrays(directions.begin(), directions.end()));
  const Array& value = values.at(0);
  return {value, tangents.at(0) ? *tangents[0] : zeros_like(value)};
}

}  // namespace hesse
