// Order: sort, argsort, topk, searchsorted; and, outside tracing, unique and nonzero.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/op.h"
#include "core/op_table.h"
#include "core/ops.h"
#include "core/ops/elementwise.h"
#include "core/ops/rows.h"
#include "core/ops/view_loops.h"

namespace hesse {
namespace {

/// The order of sorting: NaN after everything else, whichever way; complex numbers by real, then by imaginary
/// part.
template <bool descending = false, class T>
bool precedes(const T& a, const T& b) {
  if constexpr (std::is_floating_point_v<T>) {
    if (a != a) return false;
    return b != b || (descending ? b < a : a < b);
  } else if constexpr (std::is_same_v<T, complex64> || std::is_same_v<T, complex128>) {
    const bool a_nan = a != a, b_nan = b != b;
    if (a_nan || b_nan) return b_nan && !a_nan;
    return a.real() != b.real() ? a.real() < b.real() : a.imag() < b.imag();
  } else if constexpr (std::is_same_v<T, Key>) {
    return std::pair(a.hi, a.lo) < std::pair(b.hi, b.lo);
  } else {
    return descending ? b < a : a < b;
  }
}

void require_ordered(std::string_view function, DType dtype) {
  require<TypeError>(!is_complex(dtype) && dtype != DType::Key, function, ": ", dtype,
                     " values have no order", is_complex(dtype) ? "; sort the real part or abs" : "");
}

/// Calls f(offset of x, offset of y) for every line along `axis`; lane axes are lines of their own.
template <class F>
void for_each_line(const View& x, const View& y, size_t axis, F&& f) {
  Shape shape = x.shape;
  shape[axis] = shape[axis] == 0 ? 0 : 1;
  for_each_run<2>(shape, {x.strides, y.strides},
                  [&](const Offsets<2>& at, int64_t length, const Offsets<2>& step) {
                    for (int64_t k = 0; k < length; ++k) f(at[0] + k * step[0], at[1] + k * step[1]);
                  });
}

struct Sorting {
  int64_t axis;
  bool descending;
  Params params() const { return {{"axis", axis}, {"descending", descending}}; }
  /// About how many a line takes, for each of its items.
  double comparisons(const Shape& shape) const {
    return std::log2(std::max<double>(1, static_cast<double>(shape[static_cast<size_t>(axis)])));
  }
  /// Stable; `value` gives what an item is ordered by.
  template <class T, class F>
  void operator()(std::vector<T>& items, F&& value) const {
    if (descending)
      std::stable_sort(items.begin(), items.end(),
                       [&](const T& a, const T& b) { return precedes<true>(value(a), value(b)); });
    else
      std::stable_sort(items.begin(), items.end(),
                       [&](const T& a, const T& b) { return precedes(value(a), value(b)); });
  }
};

/// Where each entry of the sorted line came from; equal entries keep their order.
class ArgSort final : public NonDifferentiable {
 public:
  explicit ArgSort(Sorting how) : how_(how) {}
  std::string_view name() const override { return "argsort"; }
  double flops(std::span<const Aval> x, std::span<const Aval>) const override {
    return num_entries(x[0]) * how_.comparisons(x[0].shape);
  }
  Params params() const override { return how_.params(); }
  Avals infer(std::span<const Aval> x) const override {
    require_ordered("argsort", x[0].dtype);
    return {{x[0].shape, DType::Int64}};
  }
  void kernel(std::span<const View> x, std::span<const View> out, int) const override {
    const auto axis = static_cast<size_t>(how_.axis);
    std::vector<int64_t> order(static_cast<size_t>(x[0].shape[axis]));
    visit_dtype(x[0].dtype, [&](auto tag) {
      using T = typename decltype(tag)::type;
      for_each_line(x[0], out[0], axis, [&](int64_t from, int64_t to) {
        const T* const line = x[0].as<const T>() + from;
        const int64_t step = x[0].strides[axis];
        std::iota(order.begin(), order.end(), int64_t{0});
        how_(order, [&](int64_t i) { return line[i * step]; });
        for (size_t i = 0; i < order.size(); ++i)
          out[0].as<int64_t>()[to + static_cast<int64_t>(i) * out[0].strides[axis]] = order[i];
      });
    });
  }
  bool has_lane_kernel() const override { return true; }
  std::optional<Row> on_row(std::span<const Array> x, std::span<const RowAxis> axes,
                            std::span<const Aval>) const override {
    return on_row_along(x, axes, how_.axis, [&](int64_t a) {
      return make_op<ArgSort>(Sorting{a, how_.descending});
    });
  }

 private:
  Sorting how_;
};

/// Every line along the axis in order.
class Sort final : public General {
 public:
  explicit Sort(Sorting how) : how_(how) {}
  std::string_view name() const override { return "sort"; }
  double flops(std::span<const Aval> x, std::span<const Aval>) const override {
    return num_entries(x[0]) * how_.comparisons(x[0].shape);
  }
  Params params() const override { return how_.params(); }
  Avals infer(std::span<const Aval> x) const override {
    require_ordered("sort", x[0].dtype);
    return {x[0]};
  }
  void kernel(std::span<const View> x, std::span<const View> out, int) const override {
    const auto axis = static_cast<size_t>(how_.axis);
    visit_dtype(x[0].dtype, [&](auto tag) {
      using T = std::conditional_t<std::is_same_v<typename decltype(tag)::type, bool>, uint8_t,
                                   typename decltype(tag)::type>;
      std::vector<T> line(static_cast<size_t>(x[0].shape[axis]));
      for_each_line(x[0], out[0], axis, [&](int64_t from, int64_t to) {
        for (size_t i = 0; i < line.size(); ++i)
          line[i] = x[0].as<const T>()[from + static_cast<int64_t>(i) * x[0].strides[axis]];
        how_(line, [](const T& v) { return v; });
        for (size_t i = 0; i < line.size(); ++i)
          out[0].as<T>()[to + static_cast<int64_t>(i) * out[0].strides[axis]] = line[i];
      });
    });
  }
  bool has_lane_kernel() const override { return true; }
  std::optional<Row> on_row(std::span<const Array> x, std::span<const RowAxis> axes,
                            std::span<const Aval>) const override {
    return on_row_along(x, axes, how_.axis, [&](int64_t a) {
      return make_op<Sort>(Sorting{a, how_.descending});
    });
  }
  bool reads_output(int) const override { return false; }
  // dy = dx in the order of x
  MaybeArrays jvp(std::span<const Array> x, std::span<const Array>,
                  std::span<const MaybeArray> dx) const override {
    if (!dx[0]) return {std::nullopt};
    return {take_along_axis(*dx[0], argsort(x[0], how_.axis, how_.descending), how_.axis)};
  }

 private:
  Sorting how_;
};

/// How many entries of a sorted vector come before each value (left) or do not come after it (right).
class SearchSorted final : public NonDifferentiable {
 public:
  explicit SearchSorted(bool right) : right_(right) {}
  std::string_view name() const override { return "searchsorted"; }
  Params params() const override { return {{"right", right_}}; }
  Avals infer(std::span<const Aval> x) const override {
    require_ordered("searchsorted", x[0].dtype);
    require(x[0].shape.size() == 1, "searchsorted: the sorted array must have one axis, got shape ",
            x[0].shape);
    return {{x[1].shape, DType::Int64}};
  }
  void kernel(std::span<const View> x, std::span<const View> out, int lane_axes) const override {
    Strides lanes(x[1].shape.size(), 0);  // of the sorted vector, beside the values' axes
    const size_t values = lanes.size() - static_cast<size_t>(lane_axes);
    for (size_t d = values; d < lanes.size(); ++d) lanes[d] = x[0].strides[1 + d - values];
    const int64_t n = x[0].shape[0], stride = x[0].strides[0];
    visit_dtype(x[0].dtype, [&](auto tag) {
      using T = typename decltype(tag)::type;
      for_each_run<3>(x[1].shape, {lanes, x[1].strides, out[0].strides},
                      [&](const Offsets<3>& at, int64_t length, const Offsets<3>& step) {
                        for (int64_t k = 0; k < length; ++k) {
                          const T* const sorted = x[0].as<const T>() + at[0] + k * step[0];
                          const T value = x[1].as<const T>()[at[1] + k * step[1]];
                          int64_t lo = 0, hi = n;
                          while (lo < hi) {
                            const int64_t mid = lo + (hi - lo) / 2;
                            const T& entry = sorted[mid * stride];
                            const bool before = right_ ? !precedes(value, entry) : precedes(entry, value);
                            before ? lo = mid + 1 : hi = mid;
                          }
                          out[0].as<int64_t>()[at[2] + k * step[2]] = lo;
                        }
                      });
    });
  }
  bool has_lane_kernel() const override { return true; }

 private:
  bool right_;
};

int64_t sort_axis(std::string_view function, const Array& x, int64_t axis) {
  require(x.ndim() > 0, function, ": x must have at least one axis, got a scalar");
  return normalize_axis(function, axis, x.ndim());
}

void require_data(std::string_view function, const Array& x, std::string_view remedy) {
  require<TraceError>(!x.is_symbol(), function, ": x is a symbol, ", describe(x),
                      ", and the shape of the result would depend on its values; ", remedy);
}

Array int64s(const std::vector<int64_t>& v) {
  return Array::from<int64_t>(v, {static_cast<int64_t>(v.size())});
}

}  // namespace

Array sort(const Array& x, int64_t axis, bool descending, bool /*stable*/) {
  return apply1(make_op<Sort>(Sorting{sort_axis("sort", x, axis), descending}), {x});
}

Array argsort(const Array& x, int64_t axis, bool descending, bool /*stable*/) {
  return apply1(make_op<ArgSort>(Sorting{sort_axis("argsort", x, axis), descending}), {x});
}

std::pair<Array, Array> topk(const Array& x, int64_t k, int64_t axis, bool largest) {
  const int64_t a = sort_axis("topk", x, axis), n = x.dim(a);
  require_ordered("topk", x.dtype());
  require(k >= 0 && k <= n, "topk: k=", k, " must be between 0 and the length ", n, " of axis ", a);
  const Array order = split(argsort(x, a, largest), std::vector<int64_t>{k}, a)[0];
  return {take_along_axis(x, order, a), order};
}

Array searchsorted(const Array& sorted, const Array& values, const std::string& side) {
  require(side == "left" || side == "right", "searchsorted: side '", side, "' is neither left nor right");
  DType dtype = sorted.dtype();
  if (values.dtype() != dtype && !values.is_weak())
    dtype = promote(dtype, values.dtype());
  else if (is_inexact(values.dtype()) && !is_inexact(dtype))
    dtype = values.dtype();
  return apply1(make_op<SearchSorted>(side == "right"), {converted(sorted, dtype), converted(values, dtype)});
}

Arrays unique(const Array& x) {
  require_data("unique", x, "call it outside the traced function, or use sort");
  require<TypeError>(x.dtype() != DType::Key, "unique: keys have no order");
  const Array flat = packed(x);
  const View v = flat.view();
  const int64_t n = flat.size();
  std::vector<int64_t> order(static_cast<size_t>(n)), first, inverse(order.size()), counts;
  std::iota(order.begin(), order.end(), int64_t{0});
  visit_dtype(x.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    const auto entry = [&](int64_t i) -> const T& { return v.as<const T>()[i]; };
    std::stable_sort(order.begin(), order.end(),
                     [&](int64_t a, int64_t b) { return precedes(entry(a), entry(b)); });
    for (const int64_t i : order) {
      if (first.empty() || !(entry(i) == entry(first.back()))) {  // NaN differs from NaN
        first.push_back(i);
        counts.push_back(0);
      }
      ++counts.back();
      inverse[static_cast<size_t>(i)] = static_cast<int64_t>(first.size()) - 1;
    }
  });
  return {take(x, int64s(first)), int64s(first), Array::from<int64_t>(inverse, x.shape()), int64s(counts)};
}

Arrays nonzero(const Array& x) {
  require_data("nonzero", x, "use where(condition, x, y) instead of selecting");
  require<TypeError>(x.dtype() != DType::Key, "nonzero: keys are not numbers");
  require(x.ndim() > 0, "nonzero: x must have at least one axis, got a scalar");
  const View v = x.view();
  std::vector<std::vector<int64_t>> found(x.ndim());
  visit_dtype(x.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    int64_t position = 0;
    for_each_run<1>(v.shape, {v.strides}, [&](const Offsets<1>& at, int64_t length, const Offsets<1>& step) {
      for (int64_t k = 0; k < length; ++k, ++position) {
        if (v.as<const T>()[at[0] + k * step[0]] == T{}) continue;
        int64_t rest = position;
        for (size_t d = x.ndim(); d-- > 0; rest /= v.shape[d]) found[d].push_back(rest % v.shape[d]);
      }
    });
  });
  Arrays out;
  for (const auto& f : found) out.push_back(int64s(f));
  return out;
}

OpFamily families::sorting() {
  return {{"argsort",
           [](const ReadParams& p) {
             return make_op<ArgSort>(Sorting{p["axis"], p["descending"]});
           }},
          {"sort",
           [](const ReadParams& p) {
             return make_op<Sort>(Sorting{p["axis"], p["descending"]});
           }},
          listed<SearchSorted>("searchsorted", "right")};
}

}  // namespace hesse
