#pragma once
#include <array>
#include <functional>
#include <vector>

#include "tests/support/rooted_trees.h"

/// Rooted trees whose nodes have one of two colours: one for each condition on the coefficients of an
/// additive method (Araujo, Murua, Sanz-Serna, SIAM J. Numer. Anal. 34 (1997) 1926; Kennedy and Carpenter
/// 2003).
namespace hesse::solvers {

struct ColouredTree {
  int colour;
  std::vector<size_t> children;
  int order;
  Real gamma;  // the density, as without colours
};

/// All of up to `last` nodes, by order.
inline std::vector<ColouredTree> coloured_trees(int last) {
  std::vector<ColouredTree> trees;
  for (int order = 1; order <= last; ++order) {
    const size_t smaller = trees.size();
    std::vector<size_t> children;
    const std::function<void(int, size_t)> add = [&](int nodes, size_t end) {
      if (nodes == 0) {
        Real gamma = static_cast<Real>(order);
        for (const size_t child : children) gamma *= trees[child].gamma;
        for (const int colour : {0, 1}) trees.push_back({colour, children, order, gamma});
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

/// The largest |sum_i w_i phi_i(tree) - 1 / density(tree)| over the trees of an order, where a node of colour
/// k has the coefficients a[k], and each of the w[k] is for roots of colour k.
inline Real coloured_residual(const std::array<std::vector<std::vector<Real>>, 2>& a,
                              const std::array<std::vector<Real>, 2>& w, int order) {
  std::vector<std::vector<Real>> phi;
  Real worst = 0;
  const std::vector<ColouredTree> trees = coloured_trees(order);
  for (const ColouredTree& tree : trees) {
    std::vector<Real> p(w[0].size(), 1);
    for (size_t i = 0; i < p.size(); ++i)
      for (const size_t child : tree.children) {
        Real value = 0;
        const std::vector<Real>& row = a[static_cast<size_t>(trees[child].colour)][i];
        for (size_t j = 0; j < row.size(); ++j) value += row[j] * phi[child][j];
        p[i] *= value;
      }
    phi.push_back(p);
    if (tree.order < order) continue;
    Real total = 0;
    for (size_t i = 0; i < p.size(); ++i) total += w[static_cast<size_t>(tree.colour)][i] * p[i];
    worst = std::max(worst, std::abs(total - 1 / tree.gamma));
  }
  return worst;
}

}  // namespace hesse::solvers
