#pragma once
#include <functional>
#include <vector>

/// Rooted trees: one for each condition on the coefficients of a method (Butcher; Hairer, Norsett, Wanner,
/// Solving Ordinary Differential Equations I, II.2).
namespace hesse::solvers {

using Real = long double;

/// A rooted tree: the trees that hang from its root, which come before it in the list of all.
struct Tree {
  std::vector<size_t> children;
  int order;
  Real gamma;  // the density: product of the orders of all subtrees
  int colour;  // of its root
};

/// All rooted trees of up to `last` nodes, each of one of so many colours, by order.
inline std::vector<Tree> rooted_trees(int last, int colours = 1) {
  std::vector<Tree> trees;
  for (int order = 1; order <= last; ++order) {
    const size_t smaller = trees.size();
    std::vector<size_t> children;
    // Children in descending order, so that each multiset of them comes once.
    const std::function<void(int, size_t)> add = [&](int nodes, size_t end) {
      if (nodes == 0) {
        Real gamma = static_cast<Real>(order);
        for (const size_t child : children) gamma *= trees[child].gamma;
        for (int colour = 0; colour < colours; ++colour) trees.push_back({children, order, gamma, colour});
        return;
      }
      for (size_t child = 0; child < end; ++child) {
        if (trees[child].order > nodes) break;
        children.push_back(child);
        add(nodes - trees[child].order, child + 1);
        children.pop_back();
      }
    };
    add(order - 1, smaller);
  }
  return trees;
}

inline const std::vector<Tree>& trees() {
  static const std::vector<Tree> all = rooted_trees(9);
  return all;
}

}  // namespace hesse::solvers
