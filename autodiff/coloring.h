#pragma once
#include <cstdint>
#include <vector>

#include "autodiff/pattern.h"

/// Which columns of a sparse matrix can be found together from one product with it (Curtis, Powell and Reid,
/// 1974; Gebremedhin, Manne and Pothen, SIAM Review 47, 2005).
namespace hesse {

struct Coloring {
  std::vector<int64_t> of;  ///< the colour of each column
  int64_t count = 0;
};
/// Columns of one colour have no row in common: entry (r, c) is row r of the product with the sum of the unit
/// vectors of c's colour. Greedy, in the columns' order and from the fullest (the better of both).
Coloring color_columns(const Pattern& p);
/// Star colouring of a symmetric pattern: neighbours differ, and every path of four vertices has three
/// colours, so that of entry (i, j) and (j, i) one at least is alone in its row among the columns of its
/// colour.
Coloring color_symmetric(const Pattern& p);

/// For every place of a symmetric pattern, where its value is among products with the colours' sums:
/// (row, colour).
struct SymmetricPlaces {
  std::vector<int64_t> row, color;
};
SymmetricPlaces symmetric_places(const Pattern& p, const Coloring& colors);

}  // namespace hesse
