#include "core/program/grouped_rows.h"

#include <algorithm>
#include <numeric>
#include <set>

#include "core/cpu/assign.h"
#include "core/cpu/threads.h"
#include "core/debug.h"
#include "core/op_table.h"
#include "core/program/batch.h"
#include "core/program/failed_rows.h"
#include "core/program/linked_rows.h"
#include "core/program/on_rows.h"
#include "core/program/prepared.h"
#include "core/program/row_cuts.h"
#include "core/program/strided_tiles.h"

namespace hesse {
namespace {

size_t at(int64_t v) { return static_cast<size_t>(v); }
using Label = RowSpaces::Label;

constexpr int64_t kGroupBytes = 64 << 10;  // of the largest value of a group, where several are joined
constexpr int64_t kMostBytes = 512 << 10;  // of a group: larger ones run at once
constexpr size_t kFewestGroups = 4;        // fewer are left to chunks, which more threads share

}  // namespace

/// The graph for groups of so many rows at most, and how it is laid out.
struct GroupedRows::Form {
  Form(Dims most_rows, Ref<const Graph> g, std::vector<bool> summed)
      : most(std::move(most_rows)),
        graph(std::move(g)),
        tiles(with_recomputation(as_recorded(*graph, graph->outputs(), {}, {})), std::move(summed), most) {}
  Dims most;
  Ref<const Graph> graph;
  StridedTiles tiles;
};

/// What the groups of one evaluation have in common.
struct GroupedRows::Run {
  /// Where an array begins, and how far its rows of a space lie apart.
  struct Base {
    char* first;
    int space;
    int64_t row_bytes;
  };
  std::vector<Dims> cuts;
  Arrays operands, out;
  std::vector<Base> bases;  // of operands, of the form's constants, of results but sums
  std::shared_ptr<const Form> form;
  std::shared_ptr<const Tile> tile;
};

GroupedRows::GroupedRows(Parts parts)
    : parts_(std::move(parts)),
      row_bytes_(parts_.counts.size(), 1),
      at_once_(std::make_unique<const Prepared>(parts_.whole, Prepared::Rows::AtOnce)) {
  const Graph& g = *parts_.whole;
  std::vector<Label> made(g.values().size());
  std::vector<bool> is_made(g.values().size(), false);
  for (size_t e = 0; e < parts_.members.size(); ++e) {
    const RowSpaces::Member& m = parts_.members[e];
    const Graph::Equation& eq = g.equations()[e];
    for (size_t i = 0; i < eq.in.size(); ++i) {
      const Operand x{eq.in[i], m.in[i]};
      if (!is_made[at(x.value)] && std::find(operands_.begin(), operands_.end(), x) == operands_.end())
        operands_.push_back(x);
    }
    for (size_t k = 0; k < eq.out.size(); ++k) {
      const int space = m.out[k].space;
      is_made[at(eq.out[k])] = true;
      made[at(eq.out[k])] = m.out[k];
      if (space < 0) continue;
      const Aval& y = g.values()[at(eq.out[k])];
      int64_t& bytes = row_bytes_[at(space)];
      bytes = std::max(bytes, num_elements(y.shape) / parts_.counts[at(space)] * itemsize(y.dtype));
    }
  }
  for (const int v : g.outputs()) results_.push_back(made[at(v)]);
}

GroupedRows::~GroupedRows() = default;

Params GroupedRows::params() const { return {{"body", parts_.whole}, {"rows", parts_.counts}}; }

MaybeArrays GroupedRows::jvp(std::span<const Array>, std::span<const Array>,
                             std::span<const MaybeArray>) const {
  throw Error("row_groups: belongs to a program that is run; differentiate the graph it was made from");
}

// Where groups begin and end: what hangs together, joined while it stays small. Empty: all rows at once.
std::vector<Dims> GroupedRows::groups_of(std::span<const Array> given) const {
  int64_t most = *std::max_element(parts_.counts.begin(), parts_.counts.end());
  for (const int64_t bytes : row_bytes_) most = std::min(most, kMostBytes / bytes);
  const auto cuts = row_cuts(parts_.counts, parts_.index_links, parts_.pattern_links, given, most);
  if (!cuts) return {};
  const int64_t joined = joining() == Joining::Groups ? 0 : kGroupBytes;
  std::vector<Dims> out{cuts->front()};
  for (size_t c = 1; c < cuts->size(); ++c) {
    bool small = c + 1 < cuts->size();
    for (size_t s = 0; small && s < row_bytes_.size(); ++s)
      small = ((*cuts)[c + 1][s] - out.back()[s]) * row_bytes_[s] <= joined;
    if (!small) out.push_back((*cuts)[c]);
  }
  if (joined > 0 && out.size() <= kFewestGroups) return {};
  return out;
}

// One with room for the largest group. Others come with later batches: rooms only grow, by steps of a third
// or more, and are lengths that no other axis has.
std::shared_ptr<const GroupedRows::Form> GroupedRows::form_for(const std::vector<Dims>& cuts) const {
  Dims rows(parts_.counts.size(), 0);
  for (size_t c = 1; c < cuts.size(); ++c)
    for (size_t s = 0; s < rows.size(); ++s) rows[s] = std::max(rows[s], cuts[c][s] - cuts[c - 1][s]);
  const std::lock_guard lock(mutex_);
  if (form_) {
    bool fits = true;
    for (size_t s = 0; s < rows.size(); ++s) {
      fits = fits && rows[s] <= form_->most[s];
      rows[s] = std::max(rows[s], form_->most[s]);
    }
    if (fits) return form_;
  }
  std::set<int64_t> taken;
  for (const Aval& a : parts_.whole->values()) taken.insert(a.shape.begin(), a.shape.end());
  Dims most;
  for (const int64_t n : rows) {
    int64_t room = 16;
    while (room < n) room = room & (room - 1) ? room / 3 * 4 : room / 2 * 3;
    while (!taken.insert(room).second) ++room;
    most.push_back(room);
  }
  std::vector<bool> summed;
  for (const Label& l : results_) summed.push_back(l.space < 0);
  form_ = std::make_shared<const Form>(most, recorded_for(most), summed);
  return form_;
}

// Of a value, with the rows of a group.
Aval GroupedRows::of_group(int v, const Label& label, const Dims& most) const {
  const Aval& whole = parts_.whole->values()[at(v)];
  if (label.space < 0) return whole;
  return {with_rows(whole.shape, label.axis, most[at(label.space)]), whole.dtype};
}

// What finds rows by index. Both pull-backs of a product are two ops here: they go through different rows.
Arrays GroupedRows::linked(const RowSpaces::Member& m, const Graph::Equation& eq, const Arrays& x,
                           const Dims& most) const {
  const auto space = [&](const Label& l) -> LinkedRows::Space {
    return l.space < 0 ? LinkedRows::Space{} : LinkedRows::Space{l.space, parts_.counts[at(l.space)]};
  };
  const auto recorded = [&](const OpRef& op, const std::vector<size_t>& operands, size_t tables,
                            size_t result, int range) {
    Arrays in;
    std::vector<LinkedRows::Space> spaces;
    for (size_t i = 0; i < operands.size(); ++i) {
      in.push_back(x[operands[i]]);
      spaces.push_back(i < tables ? space(m.in[operands[i]]) : LinkedRows::Space{});
    }
    return apply1(make_op<LinkedRows>(op, std::move(spaces), space(m.out[result]), range,
                                      of_group(eq.out[result], m.out[result], most)),
                  in);
  };
  std::vector<size_t> all(x.size());
  std::iota(all.begin(), all.end(), size_t{0});
  const auto space_of_rows = [&](size_t starts) {
    const auto it = std::find(parts_.counts.begin(), parts_.counts.end(), x[starts].shape()[0] - 1);
    return static_cast<int>(it - parts_.counts.begin());
  };
  if (eq.op->name() == "csr_sampled") return {recorded(eq.op, all, m.tables, 0, space_of_rows(2))};
  if (eq.op->name() != "csr_adjoint") return {recorded(eq.op, all, m.tables, 0, m.out[0].space)};
  const auto heads = static_cast<int64_t>(x[0].ndim()) - 1;
  return {recorded(make_listed_op("csr_sampled", {{"head_axes", heads}}), {2, 1, 3, 4, 5, 6, 7, 8}, 2, 0,
                   space_of_rows(3)),
          recorded(make_listed_op("csr_matmul", {}), {0, 2, 6, 7, 8, 3, 4, 5}, 2, 1, m.out[1].space)};
}

Ref<const Graph> GroupedRows::recorded_for(const Dims& most) const {
  const Graph& g = *parts_.whole;
  Avals avals;
  for (const Operand& x : operands_) {
    Aval a = g.values()[at(x.value)];
    if (x.rows.space >= 0) {
      a.shape.erase(at(x.rows.axis));
      a.shape.insert(0, most[at(x.rows.space)]);
    }
    avals.push_back(std::move(a));
  }
  const auto body = [&](std::span<const Array> args) {
    Arrays made(g.values().size());
    for (size_t e = 0; e < parts_.members.size(); ++e) {
      const RowSpaces::Member& m = parts_.members[e];
      const Graph::Equation& eq = g.equations()[e];
      const SourceScope line(eq.source);
      Arrays x;
      for (size_t i = 0; i < eq.in.size(); ++i) {
        const auto it = std::find(operands_.begin(), operands_.end(), Operand{eq.in[i], m.in[i]});
        if (it == operands_.end())
          x.push_back(made[at(eq.in[i])]);
        else if (const Array& a = args[at(it - operands_.begin())]; m.in[i].axis > 0)
          x.push_back(moveaxis(a, {0}, {m.in[i].axis}));
        else
          x.push_back(a);
      }
      const Arrays y =
          m.linked ? linked(m, eq, std::move(x), most)
                   : Arrays{applied_on_rows(eq.op, std::move(x), of_group(eq.out[0], m.out[0], most).shape)};
      for (size_t k = 0; k < y.size(); ++k) made[at(eq.out[k])] = y[k];
    }
    Arrays out;
    for (size_t k = 0; k < results_.size(); ++k) {
      const Array& y = made[at(g.outputs()[k])];
      out.push_back(results_[k].axis > 0 ? moveaxis(y, {results_[k].axis}, {0}) : y);
    }
    return out;
  };
  return trace_closed(body, avals);
}

// The form for these groups, and where it meets what is given; false where it cannot be made.
bool GroupedRows::lay_out(Run& run, const Arrays& given) const {
  for (const Operand& operand : operands_) {
    const Array& a = given[at(operand.value)];
    run.operands.push_back(operand.rows.axis > 0 ? moveaxis(a, {operand.rows.axis}, {0}) : a);
    Array& there = run.operands.back();
    if (operand.rows.space < 0 && a.ndim() > 1 && !a.contiguous()) {  // transposed weights: copied once
      there = Array::uninitialized(a.shape(), a.dtype());
      cpu::assign(a.view(), there.view());
    }
  }
  try {
    run.form = form_for(run.cuts);
    run.tile = run.form->tiles.of(run.operands);
  } catch (const Error&) {  // an equation that does not run on some of its rows only
    fits_ = false;
    return false;
  }
  const auto add_base = [&](const Array& a, int space) {
    run.bases.push_back({first_entry(a), space, space < 0 ? 0 : a.strides()[0] * itemsize(a.dtype())});
  };
  for (size_t i = 0; i < operands_.size(); ++i) add_base(run.operands[i], operands_[i].rows.space);
  for (const auto& [v, a] : run.form->graph->constants()) add_base(a, -1);
  const Avals avals = infer({});
  for (size_t k = 0; k < avals.size(); ++k) {
    const Label& rows = results_[k];
    Shape shape = avals[k].shape;
    if (rows.axis > 0) {  // rows first
      shape.erase(at(rows.axis));
      shape.insert(0, parts_.counts[at(rows.space)]);
    }
    run.out.push_back(Array::uninitialized(shape, avals[k].dtype));
    if (rows.space < 0)
      run.bases.push_back({});
    else
      add_base(run.out[k], rows.space);
  }
  return true;
}

Arrays GroupedRows::eval(std::span<const Array> x) const {
  if (debug_nans()) return parts_.whole->run(x);
  Arrays given(x.begin(), x.end());
  for (const auto& [v, a] : parts_.whole->constants()) given.push_back(a);
  Run run;
  if (fits_) run.cuts = groups_of(given);
  const bool grouped = run.cuts.size() > 1 && lay_out(run, given);
  const auto groups = grouped ? static_cast<int64_t>(run.cuts.size()) - 1 : 0;
  last_groups_ = groups;
  if (!grouped) return at_once_->program().run(x);

  // Of partial sums, which take time too: fixed by the problem, never by the number of threads.
  constexpr int64_t kMostSets = 16, kGroupsOfSet = 8;
  const int64_t sets = std::clamp(groups / kGroupsOfSet, std::min<int64_t>(groups, 2), kMostSets);
  std::vector<Arrays> sums(at(sets));
  std::vector<std::optional<FailedRows>> failures(at(sets));
  parallel_for(sets, [&](int64_t s) {
    const FailureScope scope;
    for (size_t k = 0; k < results_.size(); ++k)
      if (results_[k].space < 0) {
        sums[at(s)].push_back(Array::uninitialized(run.out[k].shape(), run.out[k].dtype()));
        cpu::set_zero(sums[at(s)].back().view());
      }
    run_set(run, at(groups * s / sets), at(groups * (s + 1) / sets), sums[at(s)]);
    failures[at(s)] = failed_rows(scope);
  });
  report_first(failures, [](size_t) { return "some graphs of a batch"; });
  for (size_t k = 0, i = 0; k < results_.size(); ++k) {
    if (results_[k].space < 0) {
      cpu::assign(sums[0][i].view(), run.out[k].view());
      for (size_t s = 1; s < sums.size(); ++s) cpu::accumulate(sums[s][i].view(), run.out[k].view());
      ++i;
    } else if (results_[k].axis > 0) {
      run.out[k] = moveaxis(run.out[k], {0}, {results_[k].axis});
    }
  }
  return std::move(run.out);
}

// The groups [first, last), in order, added to `sums`.
void GroupedRows::run_set(const Run& run, size_t first, size_t last, const Arrays& sums) const {
  const Ref<Buffer> arena = Buffer::allocate(at(std::max(run.tile->bytes(), int64_t{64})));
  std::vector<char*> bases(run.bases.size() + 1);
  bases[0] = static_cast<char*>(arena->data());
  const size_t results = bases.size() - results_.size();
  for (size_t k = 0, i = 0; k < results_.size(); ++k)
    if (results_[k].space < 0) bases[results + k] = first_entry(sums[i++]);
  Dims count(parts_.counts.size(), 0);
  for (size_t g = first; g < last; ++g) {
    const Dims &begin = run.cuts[g], &end = run.cuts[g + 1];
    for (size_t s = 0; s < begin.size(); ++s) count[s] = end[s] - begin[s];
    for (size_t b = 0; b < run.bases.size(); ++b)
      if (const Run::Base& base = run.bases[b]; base.first)
        bases[b + 1] = base.first + (base.space < 0 ? 0 : begin[at(base.space)] * base.row_bytes);
    const Tile::Rows rows{begin.begin(), count.begin()};
    run.tile->run(bases.data(), rows);
    for (const size_t k : run.tile->outputs_to_copy()) {
      const View y = run.tile->view(run.form->graph->outputs()[k], bases.data(), rows);
      const View to{bases[results + k], y.dtype, y.shape, contiguous_strides(y.shape)};
      if (results_[k].space < 0)
        cpu::accumulate(y, to);
      else
        cpu::assign(y, to);
    }
  }
}

}  // namespace hesse
