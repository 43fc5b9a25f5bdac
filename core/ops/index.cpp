// NumPy's indexing: x[...] and x.at[...]. An index becomes a plan: a regular part of x, a reshape, and rows
// chosen by integer arrays; reading applies the plan, updating applies it and its inverse.
#include <algorithm>
#include <optional>

#include "core/ops.h"
#include "core/ops/elementwise.h"
#include "core/ops/index_gather.h"
#include "core/ops/view_slice.h"

namespace hesse {
namespace {

struct Plan {
  Part part;        ///< of x
  Shape shape;      ///< of that part with integers' axes dropped and new axes inserted
  Arrays indices;   ///< integer arrays of one shape
  Axes axes;        ///< of `shape`: which axis each of them indexes
  Axes shown_axes;  ///< the same axes of x, for messages
  size_t at = 0;    ///< where the axes of the indices stand in the result
};

/// Python's rules for a:b:c on an axis of length n.
void add_slice(const std::string& function, Plan& plan, const Slice& s, int64_t n) {
  int64_t step = s.step.value_or(1);
  require(step != 0, function, ": the step of a slice is zero");
  if (n == kDynamic) {
    require(!s.start && !s.stop && step == 1, function,
            ": an axis of run-time length takes only the slice ':'");
    plan.part.start.push_back(0), plan.part.size.push_back(n), plan.part.step.push_back(1);
    plan.shape.push_back(n);
    return;
  }
  step = std::clamp(step, -n - 1, n + 1);  // beyond the axis only one entry is left anyway
  const int64_t lowest = step > 0 ? 0 : -1, highest = step > 0 ? n : n - 1;
  const auto bound = [&](const std::optional<int64_t>& b, int64_t missing) {
    return b ? std::clamp(*b < 0 ? *b + n : *b, lowest, highest) : missing;
  };
  const int64_t start = bound(s.start, step > 0 ? 0 : n - 1), stop = bound(s.stop, step > 0 ? n : -1);
  const int64_t span = step > 0 ? stop - start : start - stop, s_abs = std::abs(step);
  const int64_t size = span <= 0 ? 0 : (span + s_abs - 1) / s_abs;
  plan.part.start.push_back(size == 0 ? 0 : start);
  plan.part.size.push_back(size);
  plan.part.step.push_back(size <= 1 ? 1 : step);
  plan.shape.push_back(size);
}

Plan make_plan(const std::string& function, const Array& x, const std::vector<Index>& index) {
  const auto mask_of = [](const Index& e) -> const Array* {
    const Array* a = std::get_if<Array>(&e);
    return a && is_bool(a->dtype()) ? a : nullptr;
  };
  size_t consumed = 0, ellipses = 0;
  bool has_arrays = false;
  for (const Index& e : index) {
    const Array* mask = mask_of(e);
    if (std::holds_alternative<Ellipsis>(e))
      ++ellipses;
    else if (mask)
      consumed += mask->ndim();
    else if (!std::holds_alternative<NewAxis>(e))
      ++consumed;
    has_arrays = has_arrays || std::holds_alternative<Array>(e);
  }
  require<IndexError>(ellipses <= 1, function, ": an index can have only one '...'");
  require<IndexError>(consumed <= x.ndim(), function, ": too many indices: ", consumed, " for the ", x.ndim(),
                      " axes of x of shape ", x.shape());
  std::vector<Index> entries = index;
  if (ellipses == 0) entries.emplace_back(Ellipsis{});

  Plan plan;
  std::vector<bool> indexed;  // per axis of plan.shape
  enum {
    Before,
    Within,
    After,
    Apart
  } run = Before;  // are integer arrays and integers one run of neighbours?
  const auto next_length = [&] { return x.shape()[plan.part.start.size()]; };
  const auto add_array = [&](const Array& a) {
    const int64_t n = next_length();
    require(n != kDynamic, function, ": an axis of run-time length takes only the slice ':'");
    plan.indices.push_back(a);
    plan.axes.push_back(static_cast<int64_t>(plan.shape.size()));
    plan.shown_axes.push_back(static_cast<int64_t>(plan.part.start.size()));
    add_slice(function, plan, {}, n);
  };
  for (const Index& e : entries) {
    const bool advanced =
        has_arrays && (std::holds_alternative<Array>(e) || std::holds_alternative<int64_t>(e));
    if (advanced && run == Before) plan.at = plan.shape.size();
    if (advanced)
      run = run == Before || run == Within ? Within : Apart;
    else if (run == Within)
      run = After;

    if (const auto* i = std::get_if<int64_t>(&e)) {
      const int64_t n = next_length(), k = *i < 0 ? *i + n : *i;
      require(n != kDynamic, function, ": an axis of run-time length takes only the slice ':'");
      require<IndexError>(k >= 0 && k < n, function, ": index ", *i, " is out of range for axis ",
                          plan.part.start.size(), " of length ", n);
      plan.part.start.push_back(k), plan.part.size.push_back(1), plan.part.step.push_back(1);
    } else if (const auto* s = std::get_if<Slice>(&e)) {
      add_slice(function, plan, *s, next_length());
    } else if (std::holds_alternative<NewAxis>(e)) {
      plan.shape.push_back(1);
    } else if (std::holds_alternative<Ellipsis>(e)) {
      for (size_t rest = x.ndim() - consumed; rest > 0; --rest) add_slice(function, plan, {}, next_length());
    } else if (const Array* mask = mask_of(e)) {
      require<TraceError>(
          !mask->is_symbol(), function, ": the boolean mask ", describe(*mask),
          " is a symbol, and the shape of the result would depend on its values; use where(mask, x, y)");
      if (mask->ndim() == 0) {  // a new axis of length one or zero
        plan.indices.push_back(zeros({mask->item<bool>() ? 1 : 0}, DType::Int64));
        plan.axes.push_back(static_cast<int64_t>(plan.shape.size()));
        plan.shown_axes.push_back(0);
        plan.shape.push_back(1);
        continue;
      }
      for (size_t d = 0; d < mask->ndim(); ++d)
        require<IndexError>(mask->shape()[d] == x.shape()[plan.part.start.size() + d], function,
                            ": the boolean mask of shape ", mask->shape(), " does not fit axis ",
                            plan.part.start.size() + d, " of x of shape ", x.shape());
      for (const Array& a : nonzero(*mask)) add_array(a);
    } else {
      const Array& a = std::get<Array>(e);
      require<IndexError>(is_integer(a.dtype()), function, ": an index must be integers or bools, got ",
                          describe(a), "; convert with astype(index, int64)");
      add_array(checked_indices(function, a));
    }
  }
  if (run == Apart) plan.at = 0;
  Shape common;
  for (const Array& a : plan.indices) common = broadcast_shapes(function, common, a.shape());
  for (Array& a : plan.indices) a = broadcast_to(a, common);
  return plan;
}

/// The table whose rows (axis plan.at) the indices choose, and one index into them.
struct Rows {
  Array table, index;
  Shape moved;  ///< the table before its indexed axes were joined
  IndexRule rule;
};

Axes destination(const Plan& plan) {
  Axes to;
  for (size_t i = 0; i < plan.axes.size(); ++i) to.push_back(static_cast<int64_t>(plan.at + i));
  return to;
}

Rows rows_of(const std::string& function, const Plan& plan, const Array& part) {
  const Array moved = moveaxis(part, plan.axes, destination(plan));
  const auto at = static_cast<int64_t>(plan.at);
  if (plan.indices.size() == 1)
    return {moved, plan.indices[0], moved.shape(), {function, at, false, true, plan.shown_axes[0]}};
  Dims lengths;
  Shape joined = moved.shape();
  for (size_t i = 0; i < plan.axes.size(); ++i) {
    lengths.push_back(joined[plan.at]);
    joined.erase(plan.at);
  }
  joined.insert(plan.at, num_elements(lengths));
  return {reshape(moved, joined),
          ravel_indices(plan.indices, lengths, plan.shown_axes, function),
          moved.shape(),
          {function, at, false, true, plan.shown_axes[0]}};
}

/// y in the dtype of x, where its kind fits.
Array fitting(const std::string& function, const Array& y, DType dtype) {
  const auto kind = [](DType t) {
    return is_bool(t) ? 0 : is_integer(t) ? 1 : is_floating(t) ? 2 : is_complex(t) ? 3 : 4;
  };
  const bool keys = y.dtype() == DType::Key || dtype == DType::Key;
  require<TypeError>(keys ? y.dtype() == dtype : kind(y.dtype()) <= kind(dtype), function,
                     ": values of dtype ", y.dtype(), " do not fit an array of dtype ", dtype,
                     "; convert one of them with astype");
  return converted(y, dtype);
}

Array fitting(const std::string& function, const Array& y, const Shape& shape) {
  bool ok = y.ndim() <= shape.size();
  for (size_t i = 0; ok && i < y.ndim(); ++i) {
    const int64_t n = y.shape()[y.ndim() - 1 - i];
    ok = n == 1 || n == shape[shape.size() - 1 - i];
  }
  require(ok, function, ": values of shape ", y.shape(), " do not broadcast to the indexed shape ", shape);
  return broadcast_to(y, shape);
}

/// The table with its rows multiplied by the given rows of equal index. The rows are sorted by index; then a
/// segmented prefix product in log2(K) doubling steps leaves each segment's product in its last row, which is
/// the one that `Set` keeps. All of it is made of differentiable ops, so zeros among the factors are no
/// special case; rows that no index names are not touched.
Array multiplied_rows(const Array& rows, const Rows& to) {
  const auto axis = static_cast<size_t>(to.rule.axis);
  const int64_t length = to.table.shape()[axis], count = to.index.size();
  // Checked, and negative ones counted from the end.
  const Array ids = ravel_indices({to.index}, {length}, {to.rule.shown_axis}, to.rule.function);
  const Array order = argsort(reshape(ids, {count})), sorted = take(ids, order);
  Shape flat = rows.shape();
  for (size_t i = 0; i < to.index.ndim(); ++i) flat.erase(axis);
  flat.insert(axis, count);
  Array v = take(moveaxis(reshape(rows, flat), {to.rule.axis}, {0}), order, 0);
  for (int64_t d = 1; d < count; d *= 2) {
    const auto from = [&](const Array& a) { return getitem(a, {Slice{d, {}, {}}}); };
    const auto until = [&](const Array& a) { return getitem(a, {Slice{{}, count - d, {}}}); };
    Shape mask(v.ndim(), 1);
    mask[0] = count - d;
    const Array same = reshape(equal(from(sorted), until(sorted)), mask);
    v = concatenate({getitem(v, {Slice{{}, d, {}}}), where(same, multiply(from(v), until(v)), from(v))}, 0);
  }
  IndexRule rule = to.rule;
  rule.axis = 0;
  const Array table = moveaxis(to.table, {to.rule.axis}, {0});
  const Array products = multiply(gather_rows(table, sorted, rule), v);
  return moveaxis(update_rows(table, sorted, products, Combine::Set, rule), {0}, {to.rule.axis});
}

std::string update_name(Update how) {
  switch (how) {
    case Update::Set:
      return "at[].set";
    case Update::Add:
      return "at[].add";
    case Update::Multiply:
      return "at[].mul";
    case Update::Min:
      return "at[].min";
    case Update::Max:
      break;
  }
  return "at[].max";
}

Array updated(const Array& x, const Array& y, Update how) {
  switch (how) {
    case Update::Set:
      return y;
    case Update::Add:
      return add(x, y);
    case Update::Multiply:
      return multiply(x, y);
    case Update::Min:
      return minimum(x, y);
    case Update::Max:
      break;
  }
  return maximum(x, y);
}

Array updated(const Rows& to, const Array& y, Update how) {
  switch (how) {
    case Update::Set:
      return update_rows(to.table, to.index, y, Combine::Set, to.rule);
    case Update::Add:
      return update_rows(to.table, to.index, y, Combine::Add, to.rule);
    case Update::Multiply:
      return multiplied_rows(y, to);
    case Update::Min:
      return update_rows(to.table, to.index, y, Combine::Min, to.rule);
    case Update::Max:
      break;
  }
  return update_rows(to.table, to.index, y, Combine::Max, to.rule);
}

}  // namespace

Array getitem(const Array& x, const std::vector<Index>& index) {
  const Plan plan = make_plan("getitem", x, index);
  const Array part = reshape(slice_part(x, plan.part), plan.shape);
  if (plan.indices.empty()) return part;
  const Rows rows = rows_of("getitem", plan, part);
  return gather_rows(rows.table, rows.index, rows.rule);
}

Array at_update(const Array& x, const std::vector<Index>& index, const Array& y, Update how) {
  const std::string function = update_name(how);
  const Plan plan = make_plan(function, x, index);
  const Array values = fitting(function, y, x.dtype());
  const Array part = reshape(slice_part(x, plan.part), plan.shape);
  Array result;
  if (plan.indices.empty()) {
    result = converted(updated(part, fitting(function, values, plan.shape), how), x.dtype());
  } else {
    const Rows to = rows_of(function, plan, part);
    const Shape shape = rows_shape(to.table.shape(), to.index.shape(), to.rule);
    const Array table = converted(updated(to, fitting(function, values, shape), how), x.dtype());
    result = moveaxis(reshape(table, to.moved), destination(plan), plan.axes);
  }
  return update_part(x, reshape(result, plan.part.size), plan.part);
}

}  // namespace hesse
