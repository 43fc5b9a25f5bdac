#include "core/program/batch.h"

#include <algorithm>
#include <atomic>
#include <set>

#include "core/ops.h"
#include "core/ops/map_split.h"
#include "core/ops/rows.h"

namespace hesse {
namespace {

size_t at(int v) { return static_cast<size_t>(v); }
using RK = Result::Kind;

constexpr int64_t kFewestRows = 128;     // of programs in batched form
constexpr double kLeastWorth = 1 << 16;  // entries: below, blocks of small equations serve
// Of one row, and of what all share: more are left to kernels for large arrays.
constexpr int64_t kMostRowEntries = 256, kMostFactorEntries = 1024;  // a factor: of a product of matrices
constexpr int64_t kMostSharedEntries = 1 << 16;
constexpr double kTransposeCost = 2;  // an entry that becomes one of a lane, in entries that an op writes

std::atomic<Joining> g_joining{Joining::AsPays};

Joining joining_of(Batch::Layout layout) {
  return layout == Batch::Layout::Lanes ? Joining::Maps : Joining::Chunks;
}

// Views cost nothing where they stand.
bool is_work(const Graph::Equation& eq) { return !eq.op->is_view(); }

}  // namespace

void set_joining(Joining how) { g_joining = how; }
Joining joining() { return g_joining; }

Batch::Batch(const Graph& g, Rows rows, Layout layout)
    : g_(g), rows_(rows), layout_(layout), trace_(make_ref<Trace>()), alone_(g.equations().size(), false) {
  struct Closer {
    const Ref<Trace>& t;
    ~Closer() { t->close(); }
  } closer{trace_};
  std::tie(maker_, uses_) = producers_and_uses(g);
  do find_levels();
  while (dissolve());
}

int Batch::last_level() const {
  return at_level_.empty() ? 0 : *std::max_element(at_level_.begin(), at_level_.end());
}

Aval Batch::row_of(int v, RowAxis axis) const {
  const Aval& a = value(v);
  if (axis == kShared) return a;
  return {axis == kEveryEntry ? Shape() : in_row(a.shape, axis), a.dtype};
}

// Level of an equation: how many sums over all rows lie behind it. A value that is given row by row belongs
// to the map of its level and is complete after it.
void Batch::find_levels() {
  const size_t n = g_.equations().size(), values = g_.values().size();
  level_.assign(values, 0);
  rows_of_.assign(values, kShared);
  summed_.assign(values, false);
  outer_.assign(values, false);
  member_.assign(n, false);
  at_level_.assign(n, 0);
  marks_.assign(n, {});
  groups_.clear();
  int last_effect = 0;
  for (size_t e = 0; e < n; ++e) {
    const Graph::Equation& eq = equation(e);
    const MapParts* map = map_parts(*eq.op);
    const bool member = joins(e), sums = member && !map && adds_sums(eq);
    int need = 0;
    for (size_t i = 0; i < eq.in.size(); ++i) {
      const int v = eq.in[i];
      const bool by_row = sums || (member && marks_[e][i] != kShared);
      // A sum is complete one level after its rows, which are added on.
      const int complete = level_[at(v)] + (rows_of(v) != kShared && !by_row ? 1 : 0);
      need = std::max(need, sums ? complete - 1 : complete);
    }
    if (eq.op->has_effect()) need = last_effect = std::max(need, last_effect);
    at_level_[e] = need;
    member_[e] = member;
    for (size_t k = 0; k < eq.out.size(); ++k) {
      const int v = eq.out[k];
      if (map && member) rows_of_[at(v)] = map->results[k].kind == RK::Each ? 0 : kShared;
      level_[at(v)] = need + (member && rows_of(v) == kShared ? 1 : 0);
    }
    if (member) groups_[need].push_back(e);
  }
}

bool Batch::joins(size_t e) {
  const Graph::Equation& eq = equation(e);
  marks_[e].assign(eq.in.size(), kShared);
  if (const MapParts* map = map_parts(*eq.op)) {
    if (map->n != rows_.count || rows_.entries) return false;
    for (size_t i = 0; i < map->access.size(); ++i)
      if (map->access[i].kind == Access::Kind::Each && (rows_of(eq.in[i]) <= 0)) marks_[e][i] = 0;
    return true;
  }
  if (alone_[e] || eq.op->has_effect() || eq.out.size() != 1) return false;
  std::vector<RowAxis> marks;
  bool any = false;
  for (int v : eq.in) {
    marks.push_back(rows_of(v));
    any = any || marks.back() != kShared;
  }
  if (any && works_on_rows(e, marks)) return true;
  if (!any && adds_sums(eq)) {
    summed_[at(eq.out[0])] = outer_[at(eq.out[0])] = true;
    return true;
  }
  // Views of arrays that no member makes may as well be taken before.
  if (!any && (!is_work(eq) || eq.in.empty())) return false;
  return works_on_rows(e, with_rows_beside(eq, marks));
}

// sum(a) + sum(b) = sum(a + b): one accumulator for all outer products that are added, as a weight gradient
// is, if nothing else wants the sums.
bool Batch::adds_sums(const Graph::Equation& eq) const {
  return eq.op->name() == "add" && std::all_of(eq.in.begin(), eq.in.end(), [&](int v) {
           return outer_[at(v)] && uses_[at(v)] == 1 && level_[at(v)] == level_[at(eq.in[0])];
         });
}

// An operand that no member makes is met row by row where another is met so.
std::vector<RowAxis> Batch::with_rows_beside(const Graph::Equation& eq,
                                             const std::vector<RowAxis>& marks) const {
  std::vector<RowAxis> out = marks;
  for (size_t i = 0; i < eq.in.size(); ++i) {
    if (marks[i] != kShared) continue;
    const Shape& shape = value(eq.in[i]).shape;
    for (size_t j = 0; j < eq.in.size() && out[i] == kShared; ++j)
      if (marks[j] >= 0 && value(eq.in[j]).shape.size() == shape.size() &&
          shape[static_cast<size_t>(marks[j])] == rows_.count)
        out[i] = marks[j];
    if (out[i] == kShared) out[i] = likely_rows(eq.in[i]);
  }
  return out;
}

// Its only axis of that length. Values that members have summed, or that are met whole, have none.
RowAxis Batch::likely_rows(int v) const {
  const Shape& shape = value(v).shape;
  if (rows_.entries) {
    if (shape.empty() || num_elements(shape) != rows_.count) return kShared;
    // Broadcast arrays would have to be written out.
    return is_broadcast(v) && num_elements(value(equation(at(maker(v))).in[0]).shape) > 1 ? kShared
                                                                                          : kEveryEntry;
  }
  RowAxis out = kShared;
  for (size_t d = 0; d < shape.size(); ++d) {
    if (shape[d] != rows_.count) continue;
    if (out != kShared) return kShared;
    out = static_cast<RowAxis>(d);
  }
  return out;
}

bool Batch::works_on_rows(size_t e, const std::vector<RowAxis>& marks) {
  if (std::all_of(marks.begin(), marks.end(), [](RowAxis a) { return a == kShared; })) return false;
  const auto [known, added] = answers_.try_emplace({e, marks});
  if (added) known->second = on_row(equation(e), marks);
  const std::optional<Answer>& answer = known->second;
  if (!answer) return false;
  const int out = equation(e).out[0];
  summed_[at(out)] = answer->summed;
  outer_[at(out)] = answer->summed && equation(e).op->name() == "matmul";
  rows_of_[at(out)] = answer->summed ? kShared : answer->axis;
  marks_[e] = marks;
  return true;
}

std::optional<Batch::Answer> Batch::on_row(const Graph::Equation& eq,
                                           const std::vector<RowAxis>& marks) const {
  Arrays x;
  Avals whole;
  // On lanes every entry of a row would be fetched from elsewhere.
  const bool gathers = eq.op->name() == "gather";
  if (gathers && layout_ == Layout::Lanes) return std::nullopt;
  const int64_t most = eq.op->name() == "matmul" ? kMostFactorEntries : kMostRowEntries;
  for (size_t i = 0; i < eq.in.size(); ++i) {
    const Aval row = row_of(eq.in[i], marks[i]);
    if (!gathers && num_elements(row.shape) > (marks[i] == kShared ? kMostSharedEntries : most))
      return std::nullopt;
    x.push_back(trace_->symbol(row));
    whole.push_back(value(eq.in[i]));
  }
  const auto row = eq.op->on_row(x, marks, whole);
  if (!row || num_elements(row->value.shape()) > (row->summed ? kMostSharedEntries : most))
    return std::nullopt;
  return Answer{row->axis, row->summed};
}

// Without a map among them, equations are joined only where that saves much; else they stay as they are.
// Others may then not be joined either.
bool Batch::dissolve() {
  bool changed = false;
  worth_ = 0;
  for (const auto& [level, members] : groups_) {
    double entries = 0;
    size_t work = 0;
    bool has_map = false;
    for (size_t e : members) {
      has_map = has_map || map_parts(*equation(e).op);
      if (!is_work(equation(e))) continue;
      ++work;
      entries += static_cast<double>(num_elements(value(equation(e).in[0]).shape));
    }
    if (layout_ == Layout::Lanes) entries -= kTransposeCost * transposed_entries(members);
    const bool pays = entries >= kLeastWorth && rows_.count >= kFewestRows;
    const bool anyway =
        has_map || (work > 1 && joining() == joining_of(layout_));  // maps are joined in any case
    if (anyway || (work > 1 && pays)) {
      if (work > 1) worth_ += anyway ? std::max(entries, 1.0) : entries;
      continue;
    }
    changed = true;
    for (size_t e : members) alone_[e] = true;
  }
  return changed;
}

// What comes in or goes out with several entries a row, which lie elsewhere in a tile.
double Batch::transposed_entries(const std::vector<size_t>& members) const {
  std::vector<bool> made(g_.values().size(), false), met(g_.values().size(), false),
      here(member_.size(), false);
  double out = 0;
  const auto meet = [&](int v, RowAxis axis) {
    if (axis < 0 || met[at(v)] || num_elements(row_of(v, axis).shape) == 1) return;
    met[at(v)] = true;
    out += static_cast<double>(num_elements(value(v).shape));
  };
  for (size_t e : members) {
    here[e] = true;
    for (size_t i = 0; i < equation(e).in.size(); ++i)
      if (const int v = equation(e).in[i]; !made[at(v)] && !is_broadcast(v)) meet(v, marks_[e][i]);
    for (int v : equation(e).out) made[at(v)] = true;
  }
  const auto give = [&](int v) {
    if (made[at(v)]) meet(v, rows_of(v));
  };
  for (size_t e = 0; e < member_.size(); ++e)
    if (!here[e])
      for (int v : equation(e).in) give(v);
  for (int v : g_.outputs()) give(v);
  return out;
}

bool Batch::is_broadcast(int v) const {
  const int e = maker(v);
  return e >= 0 && equation(at(e)).op->name() == "broadcast_to";
}

std::vector<Rows> possible_rows(const Graph& g) {
  std::set<int64_t> of_maps;
  struct Count {
    int equations = 0;
    double entries = 0;
  };
  std::map<std::pair<int64_t, bool>, Count> found;  // by length, and whether all entries are rows
  for (const Graph::Equation& eq : g.equations()) {
    if (const MapParts* map = map_parts(*eq.op)) {
      if (map->n > 0) of_maps.insert(map->n);
      continue;
    }
    if (!is_work(eq)) continue;
    std::set<std::pair<int64_t, bool>> here;
    double entries = 0;
    for (int v : eq.in) {
      const Shape& shape = g.values()[at(v)].shape;
      const int64_t size = num_elements(shape);
      if (static_cast<double>(size) * 4 < kLeastWorth && joining() != Joining::Maps) continue;
      for (int64_t n : shape)
        if (n >= (joining() == Joining::Maps ? 2 : kFewestRows)) here.emplace(n, false);
      here.emplace(size, true);
      entries = std::max(entries, static_cast<double>(size));
    }
    for (const auto& key : here) {
      ++found[key].equations;
      found[key].entries += entries;
    }
  }
  std::vector<Rows> out;
  for (int64_t n : of_maps) out.push_back({n, false});
  std::vector<std::pair<double, Rows>> others;
  for (const auto& [key, count] : found)
    if (count.equations > 1 && (key.second || !of_maps.count(key.first)))
      others.push_back({count.entries, {key.first, key.second}});
  // Each costs a walk over the graph: those with the most to save, the others in a later round.
  constexpr size_t kAtOnce = 6;
  std::stable_sort(others.begin(), others.end(),
                   [](const auto& a, const auto& b) { return a.first > b.first; });
  for (size_t i = 0; i < std::min(kAtOnce, others.size()); ++i) out.push_back(others[i].second);
  std::stable_sort(out.begin(), out.end(),
                   [](const Rows& a, const Rows& b) { return a.entries < b.entries; });
  return out;
}

}  // namespace hesse
