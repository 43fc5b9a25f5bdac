#include "core/program/row_chunks.h"

#include <algorithm>
#include <map>
#include <set>

#include "core/error.h"
#include "core/ops.h"
#include "core/ops/map_split.h"
#include "core/program/batch.h"
#include "core/program/chunked_rows.h"
#include "core/program/entry_rows.h"
#include "core/program/on_rows.h"
#include "core/program/rewrite.h"

namespace hesse {
namespace {

size_t at(int64_t v) { return static_cast<size_t>(v); }

constexpr int64_t kFewestRows = 512;
constexpr double kLeastEntries = 1 << 18;  // of the largest value: smaller ones stay in cache as they are
constexpr double kWide = 8;                // entries of a row: narrow ones are for lanes
constexpr int64_t kValueBytes = 48 << 10;  // of the largest value of a chunk

bool is_gather(const Graph::Equation& eq) { return eq.op->name() == "gather"; }
bool is_product(const Graph::Equation& eq) { return eq.op->name() == "matmul"; }

/// The equations on so many rows, in chunks.
class Chunking {
 public:
  Chunking(const Graph& g, int64_t n) : g_(g), n_(n), batch_(g, {n, false}, Batch::Layout::AsTheyAre) {
    for (const auto& [level, members] : batch_.groups())
      if (pays(members)) parts_.push_back({level, members, members, {}});
  }
  bool pays() const { return !parts_.empty(); }
  /// Whether gathers of rows are left to run alone.
  bool leaves_gathers() const {
    for (size_t e = 0; e < g_.equations().size(); ++e)
      if (is_gather(equation(e)) && value(equation(e).out[0]).shape.size() > 1 &&
          value(equation(e).out[0]).shape[0] == n_ &&
          std::none_of(parts_.begin(), parts_.end(),
                       [&](const Part& p) { return std::binary_search(p.own.begin(), p.own.end(), e); }))
        return true;
    return false;
  }
  Ref<const Graph> result() {
    find_least_bytes();
    for (Part& p : parts_) recompute_in(p);
    find_wanted();
    return trace_closed([this](std::span<const Array> args) { return rebuild(args); }, g_.input_avals());
  }

 private:
  /// What runs together.
  struct Part {
    int level;
    std::vector<size_t> own;  // equations whose results it may give
    std::vector<size_t> all;  // and those of earlier parts that it computes again, in order
    std::set<int> read;       // values that others make
  };
  using Operand = std::pair<int, RowAxis>;  // a value, and where it has its rows

  const Graph::Equation& equation(size_t e) const { return g_.equations()[e]; }
  const Aval& value(int v) const { return g_.values()[at(v)]; }
  static bool works(const Graph::Equation& eq) { return !eq.op->is_view(); }
  bool has_rows(size_t e) const { return batch_.rows_of(equation(e).out[0]) != kShared; }

  bool pays(const std::vector<size_t>& members) const {
    double entries = 0, largest = 0, work = 0;
    bool product = false;
    for (const size_t e : members) {
      const Graph::Equation& eq = equation(e);
      if (map_parts(*eq.op) || !fits(e)) return false;
      if (!works(eq)) continue;
      ++work;
      product = product || is_product(eq);
      entries += num_entries(value(eq.out[0]));
      if (has_rows(e)) largest = std::max(largest, num_entries(value(eq.out[0])));
    }
    if (joining() == Joining::Chunks) return work > 1;
    return product && work > 2 && largest >= kLeastEntries &&
           entries >= kWide * work * static_cast<double>(n_);
  }

  // ---- an equation on fewer rows -------------------------------------------------------------------------
  bool fits(size_t e) const {
    const Graph::Equation& eq = equation(e);
    if (eq.out.size() != 1) return false;
    Avals x;
    for (const int v : eq.in) x.push_back(value(v));
    const int v = eq.out[0];
    return fits_other_rows(*eq.op, std::move(x), batch_.operand_rows(e), value(v), batch_.rows_of(v));
  }
  Array applied(size_t e, Arrays in, int64_t rows) const {
    const Graph::Equation& eq = equation(e);
    const SourceScope line(eq.source);
    const int v = eq.out[0];
    return applied_on_rows(eq.op, std::move(in), with_rows(value(v).shape, batch_.rows_of(v), rows));
  }

  // ---- what is computed again ----------------------------------------------------------------------------
  // What part p reads of earlier ones is computed again where that reads no more: what works entry by entry,
  // from the end on.
  void recompute_in(Part& p) const {
    std::set<int> made, whole;  // here, and read by every row as a whole
    for (const size_t e : p.own) made.insert(equation(e).out[0]);
    const auto meet = [&](size_t e) {
      for (size_t i = 0; i < equation(e).in.size(); ++i) {
        const int v = equation(e).in[i];
        if (!made.count(v)) p.read.insert(v);
        if (batch_.operand_rows(e)[i] == kShared) whole.insert(v);
      }
    };
    for (const size_t e : p.own) meet(e);
    for (bool changed = true; changed;) {
      changed = false;
      const std::vector<int> now(p.read.rbegin(), p.read.rend());
      for (const int v : now) {
        const int e = batch_.maker(v);
        if (e < 0 || whole.count(v) || !can_recompute(at(e))) continue;
        double more = 0;
        bool reads_whole = false;
        std::set<int> met;
        for (size_t i = 0; i < equation(at(e)).in.size(); ++i) {
          const int u = equation(at(e)).in[i];
          if (batch_.operand_rows(at(e))[i] == kShared)
            reads_whole = reads_whole || made.count(u);
          else if (!p.read.count(u) && !made.count(u) && met.insert(u).second)
            more += least_bytes_[at(u)];
        }
        if (reads_whole || more > bytes_read(v)) continue;
        p.read.erase(v);
        made.insert(v);
        p.all.push_back(at(e));
        meet(at(e));
        changed = true;
      }
    }
    std::sort(p.all.begin(), p.all.end());
  }
  // Of a value, or of what it can be computed again from.
  void find_least_bytes() {
    for (size_t v = 0; v < g_.values().size(); ++v) least_bytes_.push_back(bytes_read(static_cast<int>(v)));
    for (size_t e = 0; e < g_.equations().size(); ++e) {
      if (!can_recompute(e)) continue;
      double operands = 0;
      for (size_t i = 0; i < equation(e).in.size(); ++i)
        if (batch_.operand_rows(e)[i] != kShared) operands += least_bytes_[at(equation(e).in[i])];
      double& least = least_bytes_[at(equation(e).out[0])];
      least = std::min(least, operands);
    }
  }
  bool can_recompute(size_t e) const {
    const Graph::Equation& eq = equation(e);
    if (!batch_.is_member(e) || map_parts(*eq.op) || !has_rows(e) || !fits(e)) return false;
    if (is_gather(eq)) return num_entries(value(eq.in[0])) < num_entries(value(eq.out[0]));
    return eq.op->is_view() || eq.op->entry_kernel(value(eq.in.back()).dtype).kind != EntryKernel::Kind::None;
  }
  // What is the same for all rows stays in cache.
  double bytes_read(int v) const {
    const int e = batch_.maker(v);
    const bool repeated = e >= 0 && equation(at(e)).op->name() == "broadcast_to";
    double entries = num_entries(value(repeated ? equation(at(e)).in[0] : v));
    for (const auto& [id, a] : g_.constants())
      for (size_t d = 0; id == v && d < a.ndim(); ++d)
        if (a.strides()[d] == 0) entries /= static_cast<double>(a.shape()[d]);
    return entries < static_cast<double>(n_) ? 0 : entries * static_cast<double>(itemsize(value(v).dtype));
  }

  // Values that equations outside parts, or other parts, read.
  void find_wanted() {
    wanted_.assign(g_.values().size(), false);
    part_of_.assign(g_.equations().size(), -1);
    for (const int v : g_.outputs()) wanted_[at(v)] = true;
    for (size_t p = 0; p < parts_.size(); ++p) {
      for (const size_t e : parts_[p].own) part_of_[e] = static_cast<int>(p);
      for (const int v : parts_[p].read) wanted_[at(v)] = true;
    }
    for (size_t e = g_.equations().size(); e-- > 0;)
      if (part_of_[e] < 0 && is_wanted(e))
        for (const int v : equation(e).in) wanted_[at(v)] = true;
  }
  bool is_wanted(size_t e) const {
    const Graph::Equation& eq = equation(e);
    return eq.op->has_effect() ||
           std::any_of(eq.out.begin(), eq.out.end(), [&](int v) { return wanted_[at(v)]; });
  }

  // ---- the new graph -------------------------------------------------------------------------------------
  Arrays rebuild(std::span<const Array> args) {
    env_.assign(g_.values().size(), Array());
    std::copy(args.begin(), args.end(), env_.begin());
    for (const auto& [id, a] : g_.constants()) env_[at(id)] = a;
    auto part = parts_.begin();
    for (int level = 0; level <= batch_.last_level(); ++level) {
      std::vector<size_t> after;  // maps and the like of the level's own rows
      for (size_t e = 0; e < g_.equations().size(); ++e)
        if (part_of_[e] < 0 && batch_.level(e) == level && is_wanted(e)) {
          if (batch_.is_member(e))
            after.push_back(e);
          else
            alone(e);
        }
      for (const size_t e : after) alone(e);
      if (part != parts_.end() && part->level == level) together(*part++);
    }
    Arrays out;
    for (const int v : g_.outputs()) out.push_back(env_[at(v)]);
    return out;
  }
  void alone(size_t e) {
    const Graph::Equation& eq = equation(e);
    Arrays in;
    for (const int v : eq.in) in.push_back(env_[at(v)]);
    const SourceScope line(eq.source);
    const Arrays out = hesse::apply(eq.op, std::move(in));
    for (size_t k = 0; k < out.size(); ++k) env_[at(eq.out[k])] = out[k];
  }

  void together(const Part& p) {
    std::set<int> wanted, made;
    std::vector<size_t> views;  // taken of what comes out
    for (size_t i = p.own.size(); i-- > 0;) {
      const Graph::Equation& eq = equation(p.own[i]);
      if (!wanted_[at(eq.out[0])] && !wanted.count(eq.out[0])) continue;
      if (eq.op->is_view()) {
        wanted.insert(eq.in[0]);
        views.insert(views.begin(), p.own[i]);
      } else {
        wanted.insert(eq.out[0]);
      }
    }
    std::vector<int> given;
    for (const size_t e : p.own)
      if (works(equation(e)) && wanted.count(equation(e).out[0])) given.push_back(equation(e).out[0]);
    for (const size_t e : p.all) made.insert(equation(e).out[0]);
    std::vector<Operand> met;
    for (const size_t e : p.all)
      for (size_t i = 0; i < equation(e).in.size(); ++i) {
        const Operand x{equation(e).in[i], batch_.operand_rows(e)[i]};
        if (!made.count(x.first) && std::find(met.begin(), met.end(), x) == met.end()) met.push_back(x);
      }
    if (!given.empty()) run_together(p, met, given);
    for (const size_t e : views) alone(e);
  }

  void run_together(const Part& p, const std::vector<Operand>& met, const std::vector<int>& given) {
    ChunkedRows::Parts parts;
    parts.n = n_;
    parts.rows = rows_of_chunk(p);
    parts.chunk = of_rows(p, met, given, parts.rows);
    if (n_ % parts.rows) parts.rest = of_rows(p, met, given, n_ % parts.rows);
    Arrays operands;
    for (const auto& [v, axis] : met) {
      operands.push_back(axis > 0 ? moveaxis(env_[at(v)], {axis}, {0}) : env_[at(v)]);
      parts.by_row.push_back(axis >= 0);
    }
    for (const int v : given) parts.summed.push_back(batch_.rows_of(v) == kShared);
    const SourceScope line(equation(p.own[0]).source);
    const Arrays out = hesse::apply(make_op<ChunkedRows>(std::move(parts)), operands);
    for (size_t k = 0; k < given.size(); ++k) {
      const RowAxis axis = batch_.rows_of(given[k]);
      env_[at(given[k])] = axis > 0 ? moveaxis(out[k], {0}, {axis}) : out[k];
    }
  }

  int64_t rows_of_chunk(const Part& p) const {
    constexpr int64_t kFew = 3, kMultiple = 16, kLeast = 32, kMost = 512;
    if (joining() == Joining::Chunks) return kFew;
    int64_t row = 1;  // bytes
    for (const size_t e : p.all)
      if (const Aval& a = value(equation(e).out[0]); has_rows(e))
        row = std::max(row, num_elements(a.shape) / n_ * itemsize(a.dtype));
    return std::clamp(kValueBytes / row / kMultiple * kMultiple, kLeast, kMost);
  }

  Ref<const Graph> of_rows(const Part& p, const std::vector<Operand>& met, const std::vector<int>& given,
                           int64_t rows) const {
    Avals avals;
    for (const auto& [v, axis] : met) {
      Shape s = value(v).shape;
      if (axis >= 0) {
        s.erase(at(axis));
        s.insert(0, rows);
      }
      avals.push_back({s, value(v).dtype});
    }
    const auto body = [&](std::span<const Array> args) {
      std::map<Operand, Array> operand;
      for (size_t i = 0; i < met.size(); ++i)
        operand[met[i]] = met[i].second > 0 ? moveaxis(args[i], {0}, {met[i].second}) : args[i];
      std::map<int, Array> here;
      for (const size_t e : p.all) {
        Arrays in;
        for (size_t i = 0; i < equation(e).in.size(); ++i) {
          const int v = equation(e).in[i];
          const auto made = here.find(v);
          in.push_back(made != here.end() ? made->second : operand.at({v, batch_.operand_rows(e)[i]}));
        }
        here[equation(e).out[0]] = applied(e, std::move(in), rows);
      }
      Arrays out;
      for (const int v : given) {
        const RowAxis axis = batch_.rows_of(v);
        out.push_back(axis > 0 ? moveaxis(here.at(v), {axis}, {0}) : here.at(v));
      }
      return out;
    };
    return trace_closed(body, avals);
  }

  const Graph& g_;
  int64_t n_;
  Batch batch_;
  std::vector<double> least_bytes_;  // by value
  std::vector<Part> parts_;          // by level
  std::vector<bool> wanted_;         // by value
  std::vector<int> part_of_;         // by equation; -1: none
  Arrays env_;                       // by value
};

// The numbers of rows that products have, those with the most entries first.
std::vector<int64_t> possible_counts(const Graph& g) {
  const bool any = joining() == Joining::Chunks;
  std::map<int64_t, double> entries;
  for (const Graph::Equation& eq : g.equations()) {
    if (!any && !is_product(eq)) continue;
    std::set<int64_t> here;
    for (const int v : eq.in)
      for (const int64_t n : g.values()[at(v)].shape)
        if (n >= (any ? 2 : kFewestRows)) here.insert(n);
    for (const int64_t n : here) entries[n] += num_entries(g.values()[at(eq.out[0])]);
  }
  std::vector<std::pair<double, int64_t>> order;
  for (const auto& [n, found] : entries) order.emplace_back(-found, n);
  std::sort(order.begin(), order.end());
  constexpr size_t kMost = 4;  // each costs a walk over the graph
  std::vector<int64_t> out;
  for (size_t i = 0; i < std::min(kMost, order.size()); ++i) out.push_back(order[i].second);
  return out;
}

}  // namespace

Ref<const Graph> with_row_chunks(const Ref<const Graph>& g) {
  Ref<const Graph> out = g;
  if (g->is_dynamic() || joining() == Joining::Maps) return out;
  for (const int64_t n : possible_counts(*g)) {
    const bool maps_take_it = joining() == Joining::AsPays && Batch(*out, {n, false}).worth() > 0;
    if (maps_take_it) continue;
    if (const Ref<const Graph> by_rows = with_entries_as_rows(out, n); by_rows != out)
      if (Chunking chunking(*by_rows, n); chunking.pays() && !chunking.leaves_gathers()) {
        out = chunking.result();
        continue;
      }
    if (Chunking chunking(*out, n); chunking.pays()) out = chunking.result();
  }
  return out;
}

}  // namespace hesse
