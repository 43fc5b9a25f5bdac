#include "core/program/one_row.h"

#include <algorithm>
#include <map>

#include "core/cpu/assign.h"
#include "core/ops.h"
#include "core/ops/control.h"
#include "core/ops/elementwise.h"
#include "core/ops/loop.h"
#include "core/ops/map_split.h"
#include "core/ops/rows.h"
#include "core/program/rewrite.h"
#include "core/program/unroll.h"

namespace hesse {
namespace {

size_t at(int64_t v) { return static_cast<size_t>(v); }

class SumOverRows final : public Op, public ActsOnEntries {
 public:
  explicit SumOverRows(int64_t n) : n_(n) {}
  std::string_view name() const override { return "sum_over_rows"; }
  Params params() const override { return {{"n", n_}}; }
  Avals infer(std::span<const Aval> x) const override { return {x.begin(), x.end()}; }
  /// Of a constant, which is the same in all rows.
  Arrays eval(std::span<const Array> x) const override {
    return {multiply(x[0], literal(static_cast<double>(n_), {}, x[0].dtype()))};
  }
  void kernel(std::span<const View> x, std::span<const View> out, int) const override {
    x[0].dtype == kFloat64 ? add<double>(x[0], out[0]) : add<float>(x[0], out[0]);
  }
  bool has_lane_kernel() const override { return true; }
  MaybeArrays jvp(std::span<const Array>, std::span<const Array>,
                  std::span<const MaybeArray>) const override {
    throw Error("sum_over_rows: belongs to a program that is run; differentiate the graph it was made from");
  }
  bool is_linear_in(const std::vector<bool>&) const override { return true; }

 private:
  template <class T>
  void add(const View& x, const View& out) const {
    T sum = 0;
    for (int64_t i = 0; i < n_; ++i) sum += x.as<const T>()[i * x.strides.back()];
    for (int64_t i = 0; i < n_; ++i) out.as<T>()[i * out.strides.back()] = sum;
  }
  int64_t n_;
};

/// Thrown inside this file only: rows meet.
struct RowsMeet {};
/// An operand of the graph, or of a loop in it, that was taken to be shared is met row by row.
struct MetByRow {
  int equation;  // -1: of the graph
  size_t operand;
  RowAxis axis;
};
/// What has been met so in a graph's loops: axes by equation and operand.
using Met = std::map<std::pair<int, size_t>, RowAxis>;

Aval without(Aval a, RowAxis rows) {
  if (rows >= 0) a.shape.erase(at(rows));
  return a;
}

LoopOfOneRow loop_of_one_row(const LoopParts& loop, int64_t n, std::vector<RowAxis> operands,
                             const std::vector<bool>& may_be_partial);

/// Records the equations of a graph for one of its rows.
class OneRow {
 public:
  OneRow(const Graph& g, int64_t n, const Met& met) : g_(g), n_(n), met_(met), values_(g.values().size()) {
    std::tie(maker_, uses_) = producers_and_uses(g);
  }

  /// `x`: the operands of one row, where axes[i] says which axis is gone. wanted[k]: the axis of rows that
  /// output k is to have lost even if all rows are the same; found[k]: that which it has.
  Arrays run(std::span<const Array> x, const std::vector<RowAxis>& axes, const std::vector<RowAxis>& wanted,
             std::vector<RowAxis>& found) {
    for (size_t i = 0; i < x.size(); ++i) values_[i] = {x[i], axes[i]};
    for (const auto& [v, a] : g_.constants()) values_[at(v)] = {a, kShared};
    for (size_t e = 0; e < g_.equations().size(); ++e) {
      const Graph::Equation& eq = g_.equations()[e];
      const SourceScope line(eq.source);
      if (eq.op->has_effect()) throw RowsMeet{};
      if (const auto parts = loop_parts(*eq.op))
        loop(static_cast<int>(e), *parts);
      else
        equation(eq);
    }
    Arrays out;
    found.clear();
    for (size_t k = 0; k < g_.outputs().size(); ++k) {
      const int v = g_.outputs()[k];
      const RowAxis axis = k < wanted.size() && wanted[k] >= 0 ? wanted[k] : values_[at(v)].axis;
      out.push_back(axis < 0 ? *values_[at(v)].array : row_of(v, axis));
      found.push_back(axis);
    }
    return out;
  }

  /// Whether output k is input k, which nothing else reads, and a sum over rows.
  bool adds_rows(size_t k) const {
    const int v = g_.outputs()[k], e = maker_[at(v)];
    if (e < 0 || uses_[at(v)] != 1 || uses_[k] != 1) return false;
    const Graph::Equation& eq = g_.equations()[at(e)];
    if (eq.op->name() != "add") return false;
    const auto carry = static_cast<int>(k);
    return (eq.in[0] == carry && is_sum(eq.in[1])) || (eq.in[1] == carry && is_sum(eq.in[0]));
  }

 private:
  /// A value as a whole, or one row of it.
  struct Value {
    MaybeArray array;
    RowAxis axis = kShared;
    MaybeArray summed = {};  // of a sum over rows: what it adds
  };
  const Aval& aval_of(int v) const { return g_.values()[at(v)]; }
  const Array& whole(int v) const {
    if (values_[at(v)].axis != kShared) throw RowsMeet{};
    return *values_[at(v)].array;
  }

  // A row of a value; of one that is shared, where all its rows are the same.
  Array row_of(int v, RowAxis axis) {
    const Value& value = values_[at(v)];
    if (value.axis == axis) return *value.array;
    const Shape& shape = aval_of(v).shape;
    if (at(axis) >= shape.size() || shape[at(axis)] != n_) throw RowsMeet{};
    if (value.axis != kShared) throw RowsMeet{};
    if (v < g_.num_inputs()) throw MetByRow{-1, at(v), axis};
    const int e = maker_[at(v)];
    if (e < 0) {
      const View all = value.array->view();
      if (all.strides[at(axis)] != 0 && !equal_rows(*value.array, axis)) throw RowsMeet{};
      return value.array->viewed(cpu::at(all, at(axis), 0));
    }
    const Graph::Equation& eq = g_.equations()[at(e)];
    if (const auto parts = loop_parts(*eq.op)) {
      const auto k = at(std::find(eq.out.begin(), eq.out.end(), v) - eq.out.begin());
      if (k >= parts->num_carry) throw RowsMeet{};
      throw MetByRow{e, k, axis};
    }
    if (eq.op->name() == "broadcast_to") {
      const Shape &from = aval_of(eq.in[0]).shape, &to = aval_of(v).shape;
      const auto d = axis - static_cast<RowAxis>(to.size() - from.size());
      const Array& x = whole(eq.in[0]);
      if (d < 0) return broadcast_to(x, in_row(to, axis));
      if (from[at(d)] == 1) return broadcast_to(squeeze(x, Axes{d}), in_row(to, axis));
    }
    if (!dynamic_cast<const ActsOnEntries*>(eq.op.get())) throw RowsMeet{};
    Arrays x;
    Avals wholes;
    for (const int i : eq.in) {
      x.push_back(row_of(i, axis));
      wholes.push_back(aval_of(i));
    }
    const auto row = eq.op->on_row(x, std::vector<RowAxis>(x.size(), axis), wholes);
    if (!row || row->summed || row->axis != axis) throw RowsMeet{};
    return row->value;
  }
  static bool equal_rows(const Array& a, RowAxis axis) {
    if (a.size() > kMostCompared) return false;
    const Array flat = Array::uninitialized(moved(a, axis).shape(), a.dtype());
    cpu::assign(moved(a, axis).view(), flat.view());
    const auto n = at(a.shape()[at(axis)]), bytes = at(a.size()) * itemsize(a.dtype()) / n;
    const auto* p = static_cast<const char*>(flat.view().data);
    for (size_t i = 1; i < n; ++i)
      if (!std::equal(p, p + bytes, p + i * bytes)) return false;
    return true;
  }
  static Array moved(const Array& a, RowAxis axis) {
    View v = a.view();
    std::rotate(v.shape.begin(), v.shape.begin() + axis, v.shape.begin() + axis + 1);
    std::rotate(v.strides.begin(), v.strides.begin() + axis, v.strides.begin() + axis + 1);
    return a.viewed(v);
  }

  void equation(const Graph::Equation& eq) {
    std::vector<RowAxis> axes;
    for (const int v : eq.in) axes.push_back(values_[at(v)].axis);
    if (const auto part = std::find(axes.begin(), axes.end(), kPartial); part != axes.end()) {
      const auto i = at(part - axes.begin());
      if (eq.op->name() != "add" || !is_sum(eq.in[1 - i])) throw RowsMeet{};
      values_[at(eq.out[0])] = {add(*values_[at(eq.in[i])].array, *values_[at(eq.in[1 - i])].summed),
                                kPartial};
      return;
    }
    if (std::all_of(axes.begin(), axes.end(), [](RowAxis a) { return a == kShared; })) {
      if (const MaybeArray rows = rows_of_sum(eq)) return sum(eq, *rows);
      Arrays x;
      for (const int v : eq.in) x.push_back(whole(v));
      const Arrays y = hesse::apply(eq.op, x);
      for (size_t k = 0; k < y.size(); ++k) values_[at(eq.out[k])] = {y[k], kShared};
      return;
    }
    if (eq.out.size() != 1) throw RowsMeet{};
    std::optional<Op::Row> row = on_row(eq, axes);
    if (!row) row = on_row(eq, with_rows_beside(eq, axes));
    if (!row) throw RowsMeet{};
    if (row->summed)
      sum(eq, row->value);
    else
      values_[at(eq.out[0])] = {row->value, row->axis};
  }
  void sum(const Graph::Equation& eq, const Array& rows) {
    values_[at(eq.out[0])] = {apply1(sum_over_rows(n_), {rows}), kShared, rows};
  }
  bool is_sum(int v) const { return values_[at(v)].summed.has_value() && uses_[at(v)] == 1; }
  // sum(a) + sum(b) = sum(a + b), and where(c, sum(a), 0) = sum(where(c, a, 0)): what is added.
  MaybeArray rows_of_sum(const Graph::Equation& eq) const {
    const auto rows = [&](size_t i) { return *values_[at(eq.in[i])].summed; };
    if (eq.op->name() == "add" && is_sum(eq.in[0]) && is_sum(eq.in[1])) return add(rows(0), rows(1));
    if (eq.op->name() != "where") return std::nullopt;
    if (is_sum(eq.in[1]) && is_zero(eq.in[2])) return where(whole(eq.in[0]), rows(1), whole(eq.in[2]));
    if (is_sum(eq.in[2]) && is_zero(eq.in[1])) return where(whole(eq.in[0]), whole(eq.in[1]), rows(2));
    return std::nullopt;
  }
  bool is_zero(int v) const {
    const Value& value = values_[at(v)];
    return value.axis == kShared && hesse::is_zero(*value.array);
  }
  std::optional<Op::Row> on_row(const Graph::Equation& eq, const std::vector<RowAxis>& axes) {
    Arrays x;
    Avals wholes;
    for (size_t i = 0; i < axes.size(); ++i) {
      x.push_back(axes[i] == kShared ? whole(eq.in[i]) : row_of(eq.in[i], axes[i]));
      wholes.push_back(aval_of(eq.in[i]));
    }
    return eq.op->on_row(x, axes, wholes);
  }
  // What is shared is met row by row where another operand of as many axes is.
  std::vector<RowAxis> with_rows_beside(const Graph::Equation& eq, std::vector<RowAxis> axes) const {
    const auto first = std::find_if(axes.begin(), axes.end(), [](RowAxis a) { return a != kShared; });
    const Shape& rows = aval_of(eq.in[at(first - axes.begin())]).shape;
    for (size_t i = 0; i < axes.size(); ++i) {
      const Shape& shape = aval_of(eq.in[i]).shape;
      if (axes[i] == kShared && shape.size() == rows.size() && shape[at(*first)] == n_) axes[i] = *first;
    }
    return axes;
  }

  void loop(int e, const LoopParts& parts) {
    const Graph::Equation& eq = g_.equations()[at(e)];
    const size_t nc = parts.num_carry, xs_end = nc + parts.num_xs;
    std::vector<RowAxis> axes;
    for (size_t i = 0; i < eq.in.size(); ++i) {
      RowAxis a = values_[at(eq.in[i])].axis;
      if (i >= nc && i < xs_end && a != kShared && --a < 0) throw RowsMeet{};  // of a slice
      const auto met = met_.find({e, i});
      axes.push_back(met == met_.end() ? a : met->second);
    }
    std::vector<bool> zeros;
    for (size_t i = 0; i < nc; ++i) zeros.push_back(is_zero(eq.in[i]));
    const LoopOfOneRow row = loop_of_one_row(parts, n_, axes, zeros);
    Arrays x;
    for (size_t i = 0; i < eq.in.size(); ++i) {
      const RowAxis a = row.operands[i];
      x.push_back(a < 0 ? whole(eq.in[i]) : row_of(eq.in[i], i >= nc && i < xs_end ? a + 1 : a));
    }
    const Arrays y = hesse::apply(row.parts.op(), x);
    for (size_t k = 0; k < y.size(); ++k) {
      const size_t saved = k - row.results.size();  // where it is one
      const RowAxis a = k < row.results.size() ? row.results[k] : row.results[saved];
      if (a == kPartial)
        values_[at(eq.out[k])] = {apply1(sum_over_rows(n_), {y[k]}), kShared, y[k]};
      else
        values_[at(eq.out[k])] = {y[k], k < nc || a == kShared ? a : a + 1};
    }
  }

  static constexpr int64_t kMostCompared = 1 << 16;
  const Graph& g_;
  const int64_t n_;
  const Met& met_;
  std::vector<Value> values_;
  std::vector<int> maker_, uses_;
};

// The least marks under which carries keep theirs. may_be_partial[i]: carry i begins with 0.
LoopOfOneRow loop_of_one_row(const LoopParts& loop, int64_t n, std::vector<RowAxis> operands,
                             const std::vector<bool>& may_be_partial) {
  const auto prepared = [](const Ref<const Graph>& g) { return with_prepared_loops(merged(expanded(g))); };
  const Ref<const Graph> body = prepared(loop.body), cond = loop.cond ? prepared(loop.cond) : nullptr;
  const size_t nc = loop.num_carry, of_cond = cond ? at(cond->num_inputs()) - nc : 0;
  LoopOfOneRow out{loop, std::move(operands), {}};
  const auto operand = [&](size_t input) { return input < nc ? input : input + of_cond; };
  Met in_body;
  std::vector<bool> adds(nc, false);
  const auto record = [&](const Graph& g, const std::vector<RowAxis>& axes,
                          const std::vector<RowAxis>& wanted, const Met& met, std::vector<RowAxis>& found) {
    Avals avals;
    for (size_t i = 0; i < axes.size(); ++i)
      avals.push_back(without(g.input_aval(static_cast<int>(i)), axes[i]));
    return trace_closed(
        [&](std::span<const Array> x) {
          OneRow row(g, n, met);
          Arrays y = row.run(x, axes, wanted, found);
          for (size_t i = 0; &g == &*body && i < nc; ++i) adds[i] = axes[i] == kShared && row.adds_rows(i);
          return y;
        },
        avals);
  };
  for (bool stable = false; !stable;) {
    stable = true;
    std::vector<RowAxis> axes;
    for (size_t i = 0; i < at(body->num_inputs()); ++i) axes.push_back(out.operands[operand(i)]);
    const std::vector<RowAxis> carry(axes.begin(), axes.begin() + static_cast<int64_t>(nc));
    try {
      out.parts.body = record(*body, axes, carry, in_body, out.results);
    } catch (const MetByRow& met) {
      if (met.equation >= 0) {
        if (!in_body.insert({{met.equation, met.operand}, met.axis}).second) throw RowsMeet{};
      } else {
        out.operands[operand(met.operand)] = met.axis;
      }
      stable = false;
      continue;
    }
    for (size_t i = 0; i < nc; ++i)
      if (out.results[i] != carry[i]) {
        out.operands[i] = out.results[i];
        stable = false;
      }
    if (!stable || loop.save) continue;
    const std::vector<int> of_cond_uses = cond ? producers_and_uses(*cond).second : std::vector<int>(nc, 0);
    for (size_t i = 0; i < nc; ++i)
      if (adds[i] && may_be_partial[i] && of_cond_uses[i] == 0) {
        out.operands[i] = kPartial;
        stable = false;
      }
  }
  if (!cond) return out;
  std::vector<RowAxis> axes(out.operands.begin(), out.operands.begin() + static_cast<int64_t>(nc + of_cond)),
      found;
  try {
    out.parts.cond = record(*cond, axes, {}, {}, found);
  } catch (const MetByRow&) {
    throw RowsMeet{};
  }
  if (found[0] != kShared) throw RowsMeet{};
  return out;
}

}  // namespace

std::vector<size_t> carries_with_rows(const Graph& body, size_t num_carry) {
  constexpr int64_t kFewest = 4, kMost = 64;  // rows: below, a vector is not full; above, kernels have enough
  constexpr size_t kTries = 2;
  std::map<int64_t, std::vector<size_t>> by_length;
  for (size_t i = 0; i < num_carry; ++i) {
    const Aval& a = body.input_aval(static_cast<int>(i));
    if (!a.shape.empty() && is_floating(a.dtype) && a.shape.front() >= kFewest && a.shape.front() <= kMost)
      by_length[a.shape.front()].push_back(i);
  }
  std::vector<std::pair<size_t, size_t>> found;
  for (const auto& [length, carries] : by_length) found.emplace_back(carries.size(), carries[0]);
  std::ranges::stable_sort(found, std::greater<>(), &std::pair<size_t, size_t>::first);
  std::vector<size_t> out;
  for (size_t k = 0; k < std::min(found.size(), kTries); ++k) out.push_back(found[k].second);
  return out;
}

OpRef sum_over_rows(int64_t n) { return make_op<SumOverRows>(n); }

std::optional<LoopOfOneRow> of_one_row(const LoopParts& loop, size_t seed) {
  const size_t of_cond = loop.cond ? at(loop.cond->num_inputs()) - loop.num_carry : 0;
  std::vector<RowAxis> operands(at(loop.body->num_inputs()) + of_cond, kShared);
  const Aval state = loop.body->input_aval(static_cast<int>(seed));
  for (size_t i = 0; i < at(loop.body->num_inputs()); ++i)  // a guess, which saves time
    if (loop.body->input_aval(static_cast<int>(i)) == state)
      operands[i < loop.num_carry ? i : i + of_cond] = 0;
  try {
    return loop_of_one_row(loop, state.shape.front(), operands, std::vector<bool>(loop.num_carry, true));
  } catch (const RowsMeet&) {
    return std::nullopt;
  }
}

}  // namespace hesse
