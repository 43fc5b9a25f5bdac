// Rows of a table set, added to, or replaced by the smaller or larger of both.
#include "core/ops.h"
#include "core/ops/elementwise.h"
#include "core/ops/index_gather.h"

namespace hesse {
namespace {

void check_update(std::span<const Aval> x, const IndexRule& rule) {
  require<TypeError>(x[1].dtype == DType::Int64, rule.function, ": indices must be int64, got ", x[1].dtype);
  require<TypeError>(x[0].dtype == x[2].dtype, rule.function, ": dtypes ", x[0].dtype, " and ", x[2].dtype,
                     " differ");
  const Shape rows = rows_shape(x[0].shape, x[1].shape, rule);
  require(rows == x[2].shape, rule.function, ": rows of shape ", x[2].shape, " do not fit, expected ", rows);
}

/// A mask of the index's shape, broadcast to that of the rows.
Array over_rows(const Array& mask, const Array& rows, const IndexRule& rule) {
  Shape shape = mask.shape();
  while (shape.size() + static_cast<size_t>(rule.axis) < rows.ndim()) shape.push_back(1);
  return broadcast_to(reshape(mask, shape), rows.shape());
}

/// For each index whether no later one names the same row.
Array is_last(const Array& index, int64_t length, const IndexRule& rule) {
  const IndexRule flat{rule.function};
  std::vector<int64_t> order(static_cast<size_t>(index.size()));
  for (size_t i = 0; i < order.size(); ++i) order[i] = static_cast<int64_t>(i);
  const Array position = Array::from<int64_t>(order, index.shape());
  const Array last = update_rows(zeros({length}, DType::Int64), index, position, Combine::Set, flat);
  return equal(gather_rows(last, index, flat), position);
}

/// The update where x lies, if nobody else holds x; else on a copy. Writing 10^5 entries of an array of 10^5
/// in a loop so takes linear time.
template <class Update>
Arrays in_place_or_copied(const Op& op, Arrays& x, Update update) {
  if (!x[0].is_sole_owner() || !x[0].contiguous()) return op.eval(x);
  Avals in;
  for (const Array& a : x) in.push_back(aval(a));
  (void)op.infer(in);  // refuses bad arguments
  update(x[0].view(), x[1].view(), x[2].view());
  return {std::move(x[0])};
}

/// y = x; y[index] = rows (Set: the last of equal indices stays) or y[index] += rows (Add). Inputs x, index,
/// rows.
class UpdateRows final : public Linear {
 public:
  UpdateRows(Combine how, IndexRule rule) : how_(how), rule_(std::move(rule)) {}
  std::string_view name() const override { return how_ == Combine::Set ? "set_rows" : "add_rows"; }
  double flops(std::span<const Aval> x, std::span<const Aval>) const override {
    return how_ == Combine::Set ? 0 : num_entries(x[2]);
  }
  Params params() const override { return rule_.params(); }
  Avals infer(std::span<const Aval> x) const override {
    check_update(x, rule_);
    require<TypeError>(how_ == Combine::Set || x[0].dtype != DType::Key, rule_.function,
                       ": keys cannot be added");
    return {x[0]};
  }
  bool may_overwrite() const override { return true; }
  Arrays eval_owned(Arrays& x) const override {
    return in_place_or_copied(*this, x, [this](const View& out, const View& index, const View& rows) {
      update(out, index, rows, 0);
    });
  }
  void kernel(std::span<const View> x, std::span<const View> out, int lane_axes) const override {
    copy_elements(x[0], out[0]);
    update(out[0], x[1], x[2], lane_axes);
  }
  bool has_lane_kernel() const override { return true; }
  bool reads_input(int i) const override { return i == 1; }
  // Set: x receives ct where no row was written, a row what it left in y. Add: x receives ct, rows ct[index].
  MaybeArray transpose(std::span<const Array> x, const Array& ct, int i) const override {
    const Array& index = x[1];
    if (i == 0)
      return how_ == Combine::Add ? ct : update_rows(ct, index, zeros(x[2].shape(), ct.dtype()), how_, rule_);
    if (i == 1) return std::nullopt;
    const Array rows = gather_rows(ct, index, rule_);
    if (how_ == Combine::Add || index.size() <= 1) return rows;
    const int64_t length = x[0].shape()[static_cast<size_t>(rule_.axis)];
    return where(over_rows(is_last(index, length, rule_), rows, rule_), rows, literal(0.0, rows));
  }

 private:
  void update(const View& out, const View& index, const View& rows, int lane_axes) const {
    if (how_ == Combine::Set) {
      visit_itemsize(out.dtype, [&](auto tag) {
        using T = typename decltype(tag)::type;
        combine_rows<T>(out, index, rows, rule_, lane_axes, [](T& t, const T& r) { t = r; });
      });
      return;
    }
    visit_dtype(out.dtype, [&](auto tag) {
      using T = typename decltype(tag)::type;
      if constexpr (std::is_same_v<T, bool>)
        combine_rows<T>(out, index, rows, rule_, lane_axes, [](T& t, T r) { t = t || r; });
      else if constexpr (!std::is_same_v<T, Key>)
        combine_rows<T>(out, index, rows, rule_, lane_axes, [](T& t, T r) { t = static_cast<T>(t + r); });
    });
  }
  Combine how_;
  IndexRule rule_;
};

/// y = x; y[index] = max(y[index], rows) or min. NaN wins.
class ExtremeRows final : public General {
 public:
  ExtremeRows(Combine how, IndexRule rule) : how_(how), rule_(std::move(rule)) {}
  std::string_view name() const override { return how_ == Combine::Max ? "max_rows" : "min_rows"; }
  double flops(std::span<const Aval> x, std::span<const Aval>) const override { return num_entries(x[2]); }
  Params params() const override { return rule_.params(); }
  Avals infer(std::span<const Aval> x) const override {
    check_update(x, rule_);
    require<TypeError>(!is_complex(x[0].dtype) && x[0].dtype != DType::Key, rule_.function, ": ", x[0].dtype,
                       " values have no order");
    return {x[0]};
  }
  bool may_overwrite() const override { return true; }
  Arrays eval_owned(Arrays& x) const override {
    return in_place_or_copied(*this, x, [this](const View& out, const View& index, const View& rows) {
      update(out, index, rows, 0);
    });
  }
  void kernel(std::span<const View> x, std::span<const View> out, int lane_axes) const override {
    copy_elements(x[0], out[0]);
    update(out[0], x[1], x[2], lane_axes);
  }
  bool has_lane_kernel() const override { return true; }
  // dy = sum of the tangents of those that attain y, divided by their number.
  MaybeArrays jvp(std::span<const Array> x, std::span<const Array> y,
                  std::span<const MaybeArray> dx) const override {
    const DType dtype = y[0].dtype();
    const auto attains = [](const Array& a, const Array& b) { return logical_or(equal(a, b), isnan(a)); };
    const Array from_table = attains(x[0], y[0]), from_rows = attains(x[2], gather_rows(y[0], x[1], rule_));
    const auto sum_of = [&](const MaybeArray& table, const MaybeArray& rows) -> MaybeArray {
      if (table && rows) return update_rows(*table, x[1], *rows, Combine::Add, rule_);
      if (rows) return scatter_add_rows(*rows, x[1], y[0].shape()[static_cast<size_t>(rule_.axis)], rule_);
      return table;
    };
    const auto chosen = [](const Array& mask, const MaybeArray& t) -> MaybeArray {
      if (!t) return std::nullopt;
      return where(mask, *t, literal(0.0, *t));
    };
    const MaybeArray total = sum_of(chosen(from_table, dx[0]), chosen(from_rows, dx[2]));
    if (!total) return {std::nullopt};
    return {divide(*total, *sum_of(astype(from_table, dtype), astype(from_rows, dtype)))};
  }

 private:
  void update(const View& out, const View& index, const View& rows, int lane_axes) const {
    visit_dtype(out.dtype, [&](auto tag) {
      using T = typename decltype(tag)::type;
      if constexpr (std::is_arithmetic_v<T>) {
        if (how_ == Combine::Max)
          combine_rows<T>(out, index, rows, rule_, lane_axes,
                          [](T& t, T r) { t = t >= r || t != t ? t : r; });
        else
          combine_rows<T>(out, index, rows, rule_, lane_axes,
                          [](T& t, T r) { t = t <= r || t != t ? t : r; });
      }
    });
  }
  Combine how_;
  IndexRule rule_;
};

}  // namespace

Array update_rows(const Array& table, const Array& indices, const Array& rows, Combine how,
                  const IndexRule& rule) {
  const Arrays in{table, indices, rows};
  if (how == Combine::Set || how == Combine::Add) return apply1(make_op<UpdateRows>(how, rule), in);
  return apply1(make_op<ExtremeRows>(how, rule), in);
}

OpFamily families::updates() {
  return {
      {"set_rows", [](const ReadParams& p) { return make_op<UpdateRows>(Combine::Set, index_rule(p)); }},
      {"add_rows", [](const ReadParams& p) { return make_op<UpdateRows>(Combine::Add, index_rule(p)); }},
      {"max_rows", [](const ReadParams& p) { return make_op<ExtremeRows>(Combine::Max, index_rule(p)); }},
      {"min_rows", [](const ReadParams& p) { return make_op<ExtremeRows>(Combine::Min, index_rule(p)); }}};
}

}  // namespace hesse
