#include "core/program/row_cuts.h"

#include <algorithm>

#include "core/ops/sparse_rows.h"

namespace hesse {
namespace {

size_t at(int64_t v) { return static_cast<size_t>(v); }

/// For every pair of spaces and each row of the first: the last row of the second that it or one before it
/// meets.
class Reach {
 public:
  explicit Reach(const Dims& counts) : counts_(counts), last_(counts.size() * counts.size()) {}

  void link(int a, int b) {
    last_[pair(a, b)].resize(at(counts_[at(a)]), -1);
    last_[pair(b, a)].resize(at(counts_[at(b)]), -1);
  }
  /// False where there are no such rows.
  bool add(int a, int64_t i, int b, int64_t j) {
    if (!has(a, i) || !has(b, j)) return false;
    int64_t& there = last_[pair(a, b)][at(i)];
    there = std::max(there, j);
    int64_t& back = last_[pair(b, a)][at(j)];
    back = std::max(back, i);
    return true;
  }
  int64_t count(int a) const { return counts_[at(a)]; }
  bool has(int a, int64_t i) const { return i >= 0 && i < counts_[at(a)]; }
  void finish() {
    for (std::vector<int64_t>& rows : last_)
      for (size_t i = 1; i < rows.size(); ++i) rows[i] = std::max(rows[i], rows[i - 1]);
  }
  /// Moves a cut on until no link crosses it.
  void close(Dims& cut) const {
    for (bool changed = true; changed;) {
      changed = false;
      for (size_t a = 0; a < counts_.size(); ++a)
        for (size_t b = 0; b < counts_.size(); ++b) {
          const std::vector<int64_t>& rows = last_[a * counts_.size() + b];
          if (rows.empty() || cut[a] == 0 || rows[at(cut[a] - 1)] < cut[b]) continue;
          cut[b] = rows[at(cut[a] - 1)] + 1;
          changed = true;
        }
    }
  }

 private:
  size_t pair(int a, int b) const { return at(a) * counts_.size() + at(b); }
  const Dims& counts_;
  std::vector<std::vector<int64_t>> last_;
};

bool add_index(Reach& reach, const RowSpaces::IndexLink& l, const View& index) {
  reach.link(l.from, l.to);
  const sparse::Indices to(index);
  for (int64_t i = 0; i < index.shape[0]; ++i)
    if (!reach.add(l.from, i, l.to, to[i])) return false;
  return true;
}

bool add_pattern(Reach& reach, const RowSpaces::PatternLink& l, const View& starts, const View& column_of,
                 const View& entry_of) {
  if (l.columns >= 0) reach.link(l.rows, l.columns);
  if (l.entries >= 0) reach.link(l.rows, l.entries);
  const sparse::Indices start(starts), column(column_of), entry(entry_of);
  const int64_t positions = column_of.shape[0];
  const bool in_order = entry_of.shape[0] == 0;
  std::vector<bool> held(l.entries >= 0 ? at(reach.count(l.entries)) : 0, false);
  for (int64_t r = 0; r + 1 < starts.shape[0]; ++r) {
    const int64_t begin = start[r], end = start[r + 1];
    if (begin < 0 || begin > end || end > positions || !reach.has(l.rows, r)) return false;
    for (int64_t p = begin; p < end; ++p) {
      if (l.columns >= 0 && !reach.add(l.rows, r, l.columns, column[p])) return false;
      if (l.entries < 0) continue;
      const int64_t e = in_order ? p : entry[p];
      if (!reach.add(l.rows, r, l.entries, e)) return false;
      held[at(e)] = true;
    }
  }
  return std::find(held.begin(), held.end(), false) == held.end();
}

}  // namespace

std::optional<std::vector<Dims>> row_cuts(const Dims& counts, std::span<const RowSpaces::IndexLink> indices,
                                          std::span<const RowSpaces::PatternLink> patterns,
                                          std::span<const Array> operands, int64_t most) {
  Reach reach(counts);
  const auto view = [&](int operand) { return operands[at(operand)].view(); };
  for (const auto& l : indices)
    if (!add_index(reach, l, view(l.index))) return std::nullopt;
  for (const auto& l : patterns)
    if (!add_pattern(reach, l, view(l.starts), view(l.column_of), view(l.entry_of))) return std::nullopt;
  reach.finish();
  std::vector<Dims> cuts{Dims(counts.size(), 0)};
  while (cuts.back() != counts) {
    Dims next = cuts.back();
    size_t fewest = counts.size();  // of the spaces with rows left: the one that has few rows cuts finest
    for (size_t s = 0; s < counts.size(); ++s)
      if (next[s] < counts[s] && (fewest == counts.size() || counts[s] < counts[fewest])) fewest = s;
    ++next[fewest];
    reach.close(next);
    for (size_t s = 0; s < counts.size(); ++s)
      if (next[s] - cuts.back()[s] > most) return std::nullopt;
    cuts.push_back(std::move(next));
  }
  return cuts;
}

}  // namespace hesse
