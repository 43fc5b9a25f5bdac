#include "autodiff/coloring.h"

#include <algorithm>
#include <numeric>
#include <span>

namespace hesse {
namespace {

constexpr int64_t kNone = -1;

std::span<const int64_t> row_of(const Pattern& p, int64_t r) {
  return std::span<const int64_t>(p.columns).subspan(
      static_cast<size_t>(p.starts[static_cast<size_t>(r)]),
      static_cast<size_t>(p.starts[static_cast<size_t>(r) + 1] - p.starts[static_cast<size_t>(r)]));
}

/// The smallest colour that was not forbidden for `vertex`.
class Palette {
 public:
  void forbid(int64_t color, int64_t vertex) {
    if (color < 0) return;
    if (color >= static_cast<int64_t>(by_.size())) by_.resize(static_cast<size_t>(color) + 1, kNone);
    by_[static_cast<size_t>(color)] = vertex;
  }
  bool forbidden(int64_t color, int64_t vertex) const {
    return color < static_cast<int64_t>(by_.size()) && by_[static_cast<size_t>(color)] == vertex;
  }
  int64_t free(int64_t vertex) const {
    const auto it = std::find_if(by_.begin(), by_.end(), [&](int64_t v) { return v != vertex; });
    return it - by_.begin();
  }

 private:
  std::vector<int64_t> by_;  // by colour: for whom it was forbidden last
};

std::vector<int64_t> fullest_first(const Pattern& p) {
  std::vector<int64_t> order(static_cast<size_t>(p.rows));
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](int64_t a, int64_t b) { return row_of(p, a).size() > row_of(p, b).size(); });
  return order;
}
std::vector<int64_t> in_order(int64_t n) {
  std::vector<int64_t> order(static_cast<size_t>(n));
  std::iota(order.begin(), order.end(), 0);
  return order;
}

Coloring greedy_columns(const Pattern& p, const Pattern& t, const std::vector<int64_t>& order) {
  Coloring out{std::vector<int64_t>(static_cast<size_t>(p.cols), kNone), 0};
  Palette palette;
  for (const int64_t c : order) {
    for (const int64_t r : row_of(t, c))
      for (const int64_t other : row_of(p, r)) palette.forbid(out.of[static_cast<size_t>(other)], c);
    const int64_t color = palette.free(c);
    out.of[static_cast<size_t>(c)] = color;
    out.count = std::max(out.count, color + 1);
  }
  return out;
}

}  // namespace

Coloring color_columns(const Pattern& p) {
  // Where a row is full, no two columns may share a colour.
  for (int64_t r = 0; r < p.rows; ++r)
    if (static_cast<int64_t>(row_of(p, r).size()) == p.cols) return {in_order(p.cols), p.cols};
  const Pattern t = transposed(p);
  Coloring a = greedy_columns(p, t, in_order(p.cols)), b = greedy_columns(p, t, fullest_first(t));
  return b.count < a.count ? b : a;
}

// Algorithm 4.1 of Gebremedhin, Manne and Pothen, from the vertices of largest degree.
Coloring color_symmetric(const Pattern& p) {
  if (p.nnz() == p.rows * p.rows) return {in_order(p.rows), p.rows};  // every two meet
  Coloring out{std::vector<int64_t>(static_cast<size_t>(p.rows), kNone), 0};
  const auto color = [&](int64_t v) { return out.of[static_cast<size_t>(v)]; };
  Palette palette;
  for (const int64_t v : fullest_first(p)) {
    for (const int64_t w : row_of(p, v))
      if (w != v) palette.forbid(color(w), v);
    for (const int64_t w : row_of(p, v)) {
      if (w == v) continue;
      for (const int64_t x : row_of(p, w)) {
        if (x == w || x == v || color(x) == kNone || palette.forbidden(color(x), v)) continue;
        if (color(w) == kNone) {
          palette.forbid(color(x), v);
          continue;
        }
        const auto of_x = row_of(p, x);
        if (std::any_of(of_x.begin(), of_x.end(),
                        [&](int64_t y) { return y != w && y != x && color(y) == color(w); }))
          palette.forbid(color(x), v);
      }
    }
    const int64_t chosen = palette.free(v);
    out.of[static_cast<size_t>(v)] = chosen;
    out.count = std::max(out.count, chosen + 1);
  }
  return out;
}

SymmetricPlaces symmetric_places(const Pattern& p, const Coloring& colors) {
  const auto color = [&](int64_t v) { return colors.of[static_cast<size_t>(v)]; };
  // How many of a row's columns have a colour.
  std::vector<int64_t> count(static_cast<size_t>(colors.count), 0);
  std::vector<bool> alone(p.columns.size());
  for (int64_t r = 0; r < p.rows; ++r) {
    for (const int64_t c : row_of(p, r)) ++count[static_cast<size_t>(color(c))];
    for (int64_t at = p.starts[static_cast<size_t>(r)]; at < p.starts[static_cast<size_t>(r) + 1]; ++at)
      alone[static_cast<size_t>(at)] =
          count[static_cast<size_t>(color(p.columns[static_cast<size_t>(at)]))] == 1;
    for (const int64_t c : row_of(p, r)) count[static_cast<size_t>(color(c))] = 0;
  }
  SymmetricPlaces out;
  for (int64_t r = 0; r < p.rows; ++r)
    for (int64_t at = p.starts[static_cast<size_t>(r)]; at < p.starts[static_cast<size_t>(r) + 1]; ++at) {
      const int64_t c = p.columns[static_cast<size_t>(at)];
      const bool here = alone[static_cast<size_t>(at)];
      out.row.push_back(here ? r : c);
      out.color.push_back(here ? color(c) : color(r));
    }
  return out;
}

}  // namespace hesse
