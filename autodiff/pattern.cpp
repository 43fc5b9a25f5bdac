#include "autodiff/pattern.h"

#include <algorithm>
#include <iterator>

#include "autodiff/dependence.h"

namespace hesse {

Pattern transposed(const Pattern& p) {
  Pattern out{p.cols, p.rows, std::vector<int64_t>(static_cast<size_t>(p.cols) + 1, 0), {}};
  for (const int64_t c : p.columns) ++out.starts[static_cast<size_t>(c) + 1];
  for (size_t c = 0; c + 1 < out.starts.size(); ++c) out.starts[c + 1] += out.starts[c];
  out.columns.resize(p.columns.size());
  std::vector<int64_t> next(out.starts.begin(), out.starts.end() - 1);
  for (int64_t r = 0; r < p.rows; ++r)
    for (int64_t at = p.starts[static_cast<size_t>(r)]; at < p.starts[static_cast<size_t>(r) + 1]; ++at)
      out.columns[static_cast<size_t>(next[static_cast<size_t>(p.columns[static_cast<size_t>(at)])]++)] = r;
  return out;
}

Pattern symmetric_part(const Pattern& p) {
  const Pattern t = transposed(p);
  Pattern out{p.rows, p.cols, {0}, {}};
  for (size_t r = 0; r + 1 < p.starts.size(); ++r) {
    std::set_intersection(p.columns.begin() + p.starts[r], p.columns.begin() + p.starts[r + 1],
                          t.columns.begin() + t.starts[r], t.columns.begin() + t.starts[r + 1],
                          std::back_inserter(out.columns));
    out.starts.push_back(out.nnz());
  }
  return out;
}

std::pair<int64_t, int64_t> bandwidths(const Pattern& p) {
  int64_t upper = 0, lower = 0;
  for (int64_t r = 0; r < p.rows; ++r)
    for (int64_t at = p.starts[static_cast<size_t>(r)]; at < p.starts[static_cast<size_t>(r) + 1]; ++at) {
      upper = std::max(upper, p.columns[static_cast<size_t>(at)] - r);
      lower = std::max(lower, r - p.columns[static_cast<size_t>(at)]);
    }
  return {upper, lower};
}

Pattern with_diagonal(const Pattern& p) {
  Pattern out{p.rows, p.cols, {0}, {}};
  for (int64_t r = 0; r < p.rows; ++r) {
    const auto first = p.columns.begin() + p.starts[static_cast<size_t>(r)],
               last = p.columns.begin() + p.starts[static_cast<size_t>(r) + 1];
    const auto at = std::lower_bound(first, last, r);
    out.columns.insert(out.columns.end(), first, at);
    if (at == last || *at != r) out.columns.push_back(r);
    out.columns.insert(out.columns.end(), at, last);
    out.starts.push_back(out.nnz());
  }
  return out;
}

std::optional<Pattern> jacobian_pattern_within(int64_t most, const Graph& g,
                                               const std::vector<bool>& marked) {
  const Avals in = g.input_avals();
  Pattern out;
  for (size_t i = 0; i < in.size(); ++i)
    if (marked[i]) out.cols += num_elements(in[i].shape);
  IndexSets sets(out.cols);
  Dependences on(in.size());
  int64_t at = 0;
  for (size_t i = 0; i < in.size(); ++i) {
    if (!marked[i]) continue;
    std::vector<int> of;
    for (int64_t e = 0; e < num_elements(in[i].shape); ++e) of.push_back(sets.single(at++));
    on[i] = Dependence(std::move(of));
  }
  const StagedRegion none(nullptr);  // ops are evaluated here, whoever is tracing
  MaybeArrays values;
  values.resize(in.size());
  const Dependences y = DependenceWalk(sets).outputs(g, std::move(on), std::move(values));
  int64_t places = 0;
  for (size_t k = 0; k < y.size(); ++k)
    for (int64_t e = 0, n = num_elements(g.output_aval(static_cast<int>(k)).shape); e < n; ++e)
      places += static_cast<int64_t>(sets.members(y[k][e]).size());
  if (places > most) return std::nullopt;
  out.columns.reserve(static_cast<size_t>(places));
  for (size_t k = 0; k < y.size(); ++k)
    for (int64_t e = 0, n = num_elements(g.output_aval(static_cast<int>(k)).shape); e < n; ++e) {
      const auto members = sets.members(y[k][e]);
      out.columns.insert(out.columns.end(), members.begin(), members.end());
      out.starts.push_back(out.nnz());
      ++out.rows;
    }
  return out;
}

}  // namespace hesse
