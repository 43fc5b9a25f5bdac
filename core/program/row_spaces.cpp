#include "core/program/row_spaces.h"

#include <algorithm>

#include "core/ops/index_gather.h"
#include "core/ops/map_split.h"

namespace hesse {
namespace {

size_t at(int64_t v) { return static_cast<size_t>(v); }

// Shorter axes are as likely to be of features.
constexpr int64_t kFewestGuessed = 32;

bool is_gather(const Graph::Equation& eq) { return eq.op->name() == "gather"; }
bool is_segment_sum(const Graph::Equation& eq) { return eq.op->name() == "scatter_add"; }
bool is_segment_op(const Graph::Equation& eq) {
  const std::string_view name = eq.op->name();
  return is_segment_sum(eq) || name == "segment_max" || name == "segment_min";
}
/// The operands of an op on a sparse matrix: where its pattern begins; of arrays with a row for each row,
/// each column and each entry of it, the number among operands, or behind them among results.
struct SparseOp {
  const char* name;
  size_t pattern;
  std::vector<size_t> rows, columns, entries;
};
const SparseOp* sparse_op(const Graph::Equation& eq) {
  static const std::vector<SparseOp> ops{{"csr_matmul", 2, {8}, {1}, {0}},
                                         {"csr_sampled", 2, {0}, {1}, {8}},
                                         {"csr_adjoint", 3, {2}, {1, 10}, {0, 9}}};
  const auto it =
      std::find_if(ops.begin(), ops.end(), [&](const SparseOp& op) { return eq.op->name() == op.name; });
  return it == ops.end() ? nullptr : &*it;
}
int operand_or_result(const Graph::Equation& eq, size_t i) {
  return i < eq.in.size() ? eq.in[i] : eq.out[i - eq.in.size()];
}
bool indexes_rows(const Op& op) {
  const Params params = op.params();
  const ReadParams p(params);
  if (!p.has("axis")) return true;  // the largest of segments
  const IndexRule rule = index_rule(p);
  return rule.axis == 0 && !rule.along;
}

template <class T>
void add_once(std::vector<T>& all, const T& one) {
  if (std::find(all.begin(), all.end(), one) == all.end()) all.push_back(one);
}

}  // namespace

RowSpaces::RowSpaces(const Graph& g)
    : g_(g),
      follows_(g.equations().size(), false),
      maker_(g.values().size(), -1),
      late_(g.values().size(), false),
      label_(g.values().size()) {
  uses_ = producers_and_uses(g).second;
  find_counts();
  if (counts_.empty()) return;
  for (size_t e = 0; e < g.equations().size(); ++e) {
    const Graph::Equation& eq = g.equations()[e];
    if (const auto m = member(e)) {
      for (size_t k = 0; k < eq.out.size(); ++k) {
        const int v = eq.out[k];
        maker_[at(v)] = static_cast<int>(members_.size());
        label_[at(v)] = m->out[k];
        late_[at(v)] = m->summed;
      }
      members_.push_back(*m);
      continue;
    }
    follows_[e] =
        std::any_of(eq.in.begin(), eq.in.end(), [&](int v) { return late_[at(v)] || !is_given(v); });
    for (const int v : eq.out) late_[at(v)] = follows_[e];
  }
}

int RowSpaces::space_of(int64_t count) const {
  const auto it = std::find(counts_.begin(), counts_.end(), count);
  return it == counts_.end() ? -1 : static_cast<int>(it - counts_.begin());
}

// Those that patterns and indices have; segments only where their sums come back to the rows they are of.
void RowSpaces::find_counts() {
  const auto add = [&](int64_t count, bool guessed) {
    if (count < 2 || space_of(count) >= 0) return;
    counts_.push_back(count);
    guessed_.push_back(guessed && count >= kFewestGuessed);
  };
  const auto length = [&](int v) { return value(v).shape[0]; };
  for (const Graph::Equation& eq : g_.equations())
    if (const SparseOp* op = sparse_op(eq))
      for (const std::vector<size_t>* arrays : {&op->rows, &op->columns, &op->entries})
        add(length(operand_or_result(eq, arrays->front())), true);
  for (size_t e = 0; e < g_.equations().size(); ++e) {
    const Graph::Equation& eq = g_.equations()[e];
    if (!(is_gather(eq) || is_segment_op(eq)) || !indexes_rows(*eq.op) || value(eq.in[1]).shape.size() != 1)
      continue;
    add(length(eq.in[1]), true);
    if (is_segment_op(eq) && feeds_its_gather(e)) add(length(eq.out[0]), false);
  }
}

bool RowSpaces::feeds_its_gather(size_t e) const {
  std::vector<bool> reached(g_.values().size(), false);
  const Graph::Equation& sums = g_.equations()[e];
  reached[at(sums.out[0])] = true;
  for (size_t f = e + 1; f < g_.equations().size(); ++f) {
    const Graph::Equation& eq = g_.equations()[f];
    if (std::none_of(eq.in.begin(), eq.in.end(), [&](int v) { return reached[at(v)]; })) continue;
    if (is_gather(eq) && eq.in[1] == sums.in[1]) return true;
    for (const int v : eq.out) reached[at(v)] = true;
  }
  return false;
}

std::optional<RowSpaces::Member> RowSpaces::member(size_t e) {
  const Graph::Equation& eq = g_.equations()[e];
  if (eq.in.empty() || eq.op->has_effect()) return std::nullopt;
  if (std::any_of(eq.in.begin(), eq.in.end(), [&](int v) { return late_[at(v)]; })) return sum_of_sums(e);
  const bool given = std::all_of(eq.in.begin(), eq.in.end(), [&](int v) { return is_given(v); });
  // Indices are to be known before, and views of what is given may as well be taken before.
  if (given && (eq.op->is_view() || is_integer(value(eq.out[0]).dtype))) return std::nullopt;
  if (is_gather(eq)) return gather(e);
  if (is_segment_op(eq)) return segments(e);
  if (sparse_op(eq)) return sparse(e);
  return eq.out.size() == 1 ? row_by_row(e) : std::nullopt;
}

// Of a value that is given, or made by a member with its rows there.
RowSpaces::Label RowSpaces::first_axis(int v, int space) const {
  const Label rows{space, 0};
  if (is_given(v)) return !value(v).shape.empty() && value(v).shape[0] == counts_[at(space)] ? rows : Label();
  return label(v) == rows ? rows : Label();
}

std::optional<RowSpaces::Member> RowSpaces::gather(size_t e) {
  const Graph::Equation& eq = g_.equations()[e];
  const int table = eq.in[0], index = eq.in[1];
  if (!indexes_rows(*eq.op) || value(index).shape.size() != 1 || !is_given(index)) return std::nullopt;
  const int from = space_of(value(index).shape[0]);
  if (from < 0) return std::nullopt;
  Member m{e, {{}, {from, 0}}, {{from, 0}}};
  if (is_given(table)) return m;  // all of it is there
  m.in[0] = label(table);
  if (m.in[0].space < 0 || m.in[0].axis != 0) return std::nullopt;
  m.linked = true;
  m.tables = 1;
  add_once(index_links_, {from, m.in[0].space, index});
  return m;
}

std::optional<RowSpaces::Member> RowSpaces::segments(size_t e) {
  const Graph::Equation& eq = g_.equations()[e];
  const int rows = eq.in[0], index = eq.in[1];
  if (!indexes_rows(*eq.op) || value(index).shape.size() != 1 || !is_given(index)) return std::nullopt;
  const int from = space_of(value(index).shape[0]), to = space_of(value(eq.out[0]).shape[0]);
  if (from < 0 || first_axis(rows, from).space < 0 || (to < 0 && !is_segment_sum(eq))) return std::nullopt;
  Member m{e, {{from, 0}, {from, 0}}, {{to, to < 0 ? kShared : 0}}, to < 0, true};
  if (to >= 0) add_once(index_links_, {from, to, index});
  return m;
}

std::optional<RowSpaces::Member> RowSpaces::sparse(size_t e) {
  const Graph::Equation& eq = g_.equations()[e];
  const SparseOp& op = *sparse_op(eq);
  if (!std::all_of(eq.in.begin() + static_cast<std::ptrdiff_t>(op.pattern), eq.in.end(),
                   [&](int v) { return is_given(v); }))
    return std::nullopt;
  Member m{e, std::vector<Label>(eq.in.size()), std::vector<Label>(eq.out.size()), false, true, op.pattern};
  // The space of the arrays that are made here, which is linked; of what is given all rows are there.
  const auto space = [&](const std::vector<size_t>& arrays) -> std::optional<int> {
    const int there = space_of(value(operand_or_result(eq, arrays.front())).shape[0]);
    int out = -1;
    for (const size_t i : arrays) {
      const bool result = i >= eq.in.size();
      if (!result && is_given(eq.in[i])) continue;
      if (there < 0 || (!result && label(eq.in[i]) != Label{there, 0})) return std::nullopt;
      (result ? m.out[i - eq.in.size()] : m.in[i]) = {there, 0};
      out = there;
    }
    return out;
  };
  const auto columns = space(op.columns), entries = space(op.entries);
  const int rows = space_of(value(operand_or_result(eq, op.rows.front())).shape[0]);
  if (!space(op.rows) || !columns || !entries || rows < 0) return std::nullopt;
  add_once(pattern_links_,
           {rows, *columns, *entries, eq.in[op.pattern], eq.in[op.pattern + 1], eq.in[op.pattern + 2]});
  return m;
}

// sum(a) + sum(b) = sum(a + b), where nothing else wants the sums: one accumulator for a weight's gradient.
std::optional<RowSpaces::Member> RowSpaces::sum_of_sums(size_t e) const {
  const Graph::Equation& eq = g_.equations()[e];
  if (eq.op->name() != "add" || !std::all_of(eq.in.begin(), eq.in.end(), [&](int v) {
        return !is_given(v) && members_[at(maker_[at(v)])].summed && uses_[at(v)] == 1;
      }))
    return std::nullopt;
  return Member{e, std::vector<Label>(eq.in.size()), {Label()}, true};
}

// Its only axis of a length that is taken for rows.
RowSpaces::Label RowSpaces::likely(int v) const {
  const Shape& shape = value(v).shape;
  for (size_t s = 0; s < counts_.size(); ++s)
    if (guessed_[s] && std::count(shape.begin(), shape.end(), counts_[s]) == 1)
      return {static_cast<int>(s), std::find(shape.begin(), shape.end(), counts_[s]) - shape.begin()};
  return {};
}

std::optional<RowSpaces::Member> RowSpaces::row_by_row(size_t e) {
  const Graph::Equation& eq = g_.equations()[e];
  std::vector<Label> known;
  int space = -1;
  for (const int v : eq.in) {
    known.push_back(label(v));
    if (known.back().space < 0) continue;
    if (space >= 0 && known.back().space != space) return std::nullopt;
    space = known.back().space;
  }
  for (size_t i = 0; i < known.size() && space < 0; ++i) space = likely(eq.in[i]).space;
  if (space < 0) return std::nullopt;
  // What is given is met row by row where another operand is, or where it has one such axis.
  std::vector<Label> beside = known;
  for (size_t i = 0; i < beside.size(); ++i) {
    if (!is_given(eq.in[i])) continue;
    const Shape& shape = value(eq.in[i]).shape;
    for (size_t j = 0; j < known.size() && beside[i].space < 0; ++j)
      if (known[j].space >= 0 && value(eq.in[j]).shape.size() == shape.size() &&
          shape[at(known[j].axis)] == counts_[at(space)])
        beside[i] = known[j];
    if (const Label l = likely(eq.in[i]); beside[i].space < 0 && l.space == space) beside[i] = l;
  }
  for (const std::vector<Label>* labels : {&beside, &known}) {
    Avals whole;
    std::vector<RowAxis> axes;
    for (size_t i = 0; i < eq.in.size(); ++i) {
      whole.push_back(value(eq.in[i]));
      axes.push_back((*labels)[i].axis);
    }
    if (std::all_of(axes.begin(), axes.end(), [](RowAxis a) { return a < 0; })) break;
    const auto row = questions_.ask(*eq.op, whole, axes);
    if (!row) continue;
    const RowAxis axis = row->summed ? kShared : row->axis;
    const bool first = axis <= 0 || eq.op->is_view();  // results have their rows along the first axis
    if (!first || axis == kEveryEntry || !fits_other_rows(*eq.op, whole, axes, value(eq.out[0]), axis))
      continue;
    return Member{e, *labels, {{row->summed ? -1 : space, axis}}, row->summed};
  }
  return std::nullopt;
}

}  // namespace hesse
