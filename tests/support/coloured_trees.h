#pragma once
#include <array>
#include <vector>

#include "tests/support/rooted_trees.h"

/// Rooted trees whose nodes have one of two colours: one for each condition on the coefficients of an
/// additive method (Araujo, Murua, Sanz-Serna, SIAM J. Numer. Anal. 34 (1997) 1926; Kennedy and Carpenter
/// 2003).
namespace hesse::solvers {

/// The largest |sum_i w_i phi_i(tree) - 1 / density(tree)| over the trees of an order, where a node of colour
/// k has the coefficients a[k], and each of the w[k] is for roots of colour k.
inline Real coloured_residual(const std::array<std::vector<std::vector<Real>>, 2>& a,
                              const std::array<std::vector<Real>, 2>& w, int order) {
  std::vector<std::vector<Real>> phi;
  Real worst = 0;
  const std::vector<Tree> trees = rooted_trees(order, 2);
  for (const Tree& tree : trees) {
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
