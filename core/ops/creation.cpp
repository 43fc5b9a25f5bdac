#include <algorithm>
#include <cmath>
#include <limits>

#include "core/op_table.h"
#include "core/ops/elementwise_op.h"

/// New arrays. What has one value everywhere is stored as one element and broadcast.
namespace hesse {
namespace {

/// Throws ValueError for a negative length or more elements than can be counted.
void check_shape(std::string_view function, const Shape& shape) {
  int64_t n = 1;
  for (const int64_t length : shape) {
    require(length >= 0, function, ": negative length in shape ", shape);
    require(length == 0 || n <= std::numeric_limits<int64_t>::max() / 32 / length, function, ": shape ",
            shape, " has too many elements");
    n *= std::max<int64_t>(length, 1);
  }
}

Array constant(std::string_view function, double value, const Shape& shape, OptDType dtype) {
  const DType t = dtype.value_or(default_dtype());
  require<TypeError>(t != kKey, function, ": keys are made by random.key, not filled with numbers");
  check_shape(function, shape);
  return literal(complex128(value), shape, t);
}

Array constant_like(std::string_view function, double value, const Array& x, OptDType dtype) {
  const DType t = dtype.value_or(x.dtype());
  require<TypeError>(t != kKey, function, ": keys are made by random.key, not filled with numbers");
  if (!x.shape().empty() && x.shape().front() == kDynamic) return literal(value, converted(x, t));
  return literal(complex128(value), x.shape(), t);
}

/// mask[i, j] = holds(j - i).
template <class F>
Array band(int64_t rows, int64_t cols, F holds) {
  Array mask = Array::uninitialized({rows, cols}, kBool);
  bool* out = mask.view().as<bool>();
  if (cols == 0) return mask;  // however many rows there are
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t j = 0; j < cols; ++j) *out++ = holds(j - i);
  return mask;
}

/// x where holds(column - row), 0 elsewhere, in the last two axes.
template <class F>
Array banded(std::string_view function, const Array& x, F holds) {
  require(x.ndim() >= 2, function, ": expected a matrix or a stack of them, got ", describe(x));
  require<TypeError>(x.dtype() != kKey, function, ": keys are not numbers; got ", describe(x));
  if (num_elements(x.shape()) == 0) return x;  // a mask may not be empty
  return where(band(x.dim(-2), x.dim(-1), holds), x, literal(0.0, x));
}

/// How many entries the diagonal has, and where it starts.
struct DiagonalLine {
  int64_t row, col, length;
};
DiagonalLine diagonal_line(int64_t rows, int64_t cols, int64_t offset) {
  const int64_t row =
      offset < 0 ? std::min(rows, offset == std::numeric_limits<int64_t>::min() ? rows : -offset) : 0;
  const int64_t col = offset > 0 ? std::min(cols, offset) : 0;
  return {row, col, std::min(rows - row, cols - col)};
}

/// Matrices [..., rows, cols] with v [..., length] on a diagonal and 0 elsewhere.
Array on_diagonal(const Array& v, int64_t rows, int64_t cols, int64_t offset) {
  // Entry k stands in row k of an upper diagonal, in column k of a lower one: spread v along the other axis,
  // then mask.
  const bool upper = offset >= 0;
  std::vector<std::pair<int64_t, int64_t>> widths(v.ndim(), {0, 0});
  widths.back().second = (upper ? rows : cols) - v.dim(-1);
  const Array padded = widths.back().second > 0 ? pad(v, widths, literal(complex128(0.0), {}, v.dtype())) : v;
  Shape shape = v.shape();
  shape.back() = rows;
  shape.push_back(cols);
  const Array spread = broadcast_to(expand_dims(padded, {upper ? int64_t{-1} : int64_t{-2}}), shape);
  return where(band(rows, cols, [offset](int64_t d) { return d == offset; }), spread, literal(0.0, spread));
}

/// The entries (i, i + offset) of the last two axes, as a view.
class Diagonal final : public Linear {
 public:
  explicit Diagonal(int64_t offset) : offset_(offset) {}
  std::string_view name() const override { return "diagonal"; }
  double flops(std::span<const Aval>, std::span<const Aval>) const override { return 0; }
  Params params() const override { return {{"offset", offset_}}; }
  Avals infer(std::span<const Aval> x) const override {
    const Shape& from = x[0].shape;
    require(from.size() >= 2, "diagonal: expected a matrix or a stack of them, got ",
            describe(from, x[0].dtype));
    Shape to = from;
    to.pop_back();
    to.back() = diagonal_line(from[from.size() - 2], from.back(), offset_).length;
    return {{to, x[0].dtype}};
  }
  bool is_view() const override { return true; }
  std::optional<View> alias(const View& x, int lane_axes) const override {
    const size_t row = x.shape.size() - static_cast<size_t>(lane_axes) - 2, col = row + 1;
    const DiagonalLine line = diagonal_line(x.shape[row], x.shape[col], offset_);
    View v = x;
    if (line.length > 0)
      v.data = x.as<char>() + (line.row * x.strides[row] + line.col * x.strides[col]) * itemsize(x.dtype);
    v.shape[row] = line.length;
    v.strides[row] = x.strides[row] + x.strides[col];
    v.shape.erase(col);
    v.strides.erase(col);
    return v;
  }
  MaybeArray transpose(std::span<const Array> x, const Array& ct, int) const override {
    return on_diagonal(ct, x[0].dim(-2), x[0].dim(-1), offset_);
  }

 private:
  int64_t offset_;
};

}  // namespace

Array full(const Shape& shape, const Array& value, OptDType dtype) {
  check_shape("full", shape);
  const size_t lead = shape.size() - std::min(shape.size(), value.ndim());
  for (size_t i = 0; i < value.ndim(); ++i)
    require(value.ndim() <= shape.size() && (value.shape()[i] == 1 || value.shape()[i] == shape[lead + i]),
            "full: the value of shape ", value.shape(), " does not broadcast to shape ", shape);
  return broadcast_to(converted(value, dtype.value_or(value.dtype())), shape);
}
Array zeros(const Shape& shape, OptDType dtype) { return constant("zeros", 0.0, shape, dtype); }
Array ones(const Shape& shape, OptDType dtype) { return constant("ones", 1.0, shape, dtype); }
Array empty(const Shape& shape, OptDType dtype) { return constant("empty", 0.0, shape, dtype); }
Array zeros_like(const Array& x, OptDType dtype) { return constant_like("zeros_like", 0.0, x, dtype); }
Array ones_like(const Array& x, OptDType dtype) { return constant_like("ones_like", 1.0, x, dtype); }
Array full_like(const Array& x, const Array& value, OptDType dtype) {
  return full(x.shape(), value, dtype.value_or(x.dtype()));
}

Array arange(double start, double stop, double step, DType dtype) {
  require<TypeError>(contains(kReal, dtype), "arange: ", dtype,
                     " is not supported; expected integers or floats");
  require(std::isfinite(start) && std::isfinite(stop) && std::isfinite(step) && step != 0.0, "arange: start ",
          start, ", stop ", stop, ", step ", step, "; all must be finite and the step not zero");
  const double count = std::max(0.0, std::ceil((stop - start) / step));
  require(count < 0x1p52, "arange: ", count, " elements are too many");
  const auto n = static_cast<int64_t>(count);
  Array out = Array::uninitialized({n}, dtype);
  visit_in<kReal>(dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    if constexpr (contains(kReal, dtype_of<T>)) {
      T* const p = out.view().as<T>();
      if constexpr (is_integer(dtype_of<T>)) {
        constexpr auto kLeast = static_cast<double>(std::numeric_limits<T>::min());
        constexpr double kMost = static_cast<double>(std::numeric_limits<T>::max() / 2 + 1) * 2.0;
        for (const double end : {start, start + step * (count - 1.0)})
          require(n == 0 || (end >= kLeast && end < kMost), "arange: ", end, " does not fit ", dtype);
        // As in NumPy, an integer range steps by the difference of its first two elements.
        const auto first = static_cast<int64_t>(static_cast<T>(start));
        const auto second = n > 1 ? static_cast<int64_t>(static_cast<T>(start + step)) : first;
        const uint64_t by = static_cast<uint64_t>(second) - static_cast<uint64_t>(first);
        for (int64_t i = 0; i < n; ++i)
          p[i] = static_cast<T>(static_cast<uint64_t>(first) + static_cast<uint64_t>(i) * by);
      } else {
        for (int64_t i = 0; i < n; ++i) p[i] = static_cast<T>(start + static_cast<double>(i) * step);
      }
    }
  });
  return out;
}

Array linspace(const Array& start, const Array& stop, int64_t num, bool endpoint, OptDType dtype) {
  require(num >= 0, "linspace: num = ", num, " must not be negative");
  const Arrays ends = promote_inexact("linspace", {start, stop});
  const DType t = ends[0].dtype();
  Shape steps(ends[0].ndim() + 1, 1);
  steps[0] = num;
  const Array index = reshape(arange(0.0, static_cast<double>(num), 1.0, real_dtype(t)), steps);
  const int64_t intervals = endpoint ? num - 1 : num;
  Array y = expand_dims(ends[0], {0});
  Shape shape = ends[0].shape();
  shape.insert(0, num);
  if (intervals > 0) {
    const Array step = expand_dims((ends[1] - ends[0]) / static_cast<double>(intervals), {0});
    y = index * step + y;
    // The last point is `stop` exactly.
    if (endpoint) y = where(equal(index, static_cast<double>(num - 1)), expand_dims(ends[1], {0}), y);
  }
  y = broadcast_to(y, shape);
  if (!dtype || *dtype == t) return y;
  return converted(is_integer(*dtype) ? floor(y) : y, *dtype);
}

Array logspace(const Array& start, const Array& stop, int64_t num, bool endpoint, double base,
               OptDType dtype) {
  require(num >= 0, "logspace: num = ", num, " must not be negative");
  const Array y = pow(base, linspace(start, stop, num, endpoint));
  return dtype ? converted(y, *dtype) : y;
}

Array eye(int64_t rows, std::optional<int64_t> cols, int64_t k, OptDType dtype) {
  check_shape("eye", {rows, cols.value_or(rows)});
  return converted(band(rows, cols.value_or(rows), [k](int64_t d) { return d == k; }),
                   dtype.value_or(default_dtype()));
}

Arrays meshgrid(const Arrays& axes, const std::string& indexing) {
  require(indexing == "xy" || indexing == "ij", "meshgrid: indexing is '", indexing,
          "'; expected 'xy' or 'ij'");
  Shape shape;
  for (const Array& a : axes) {
    require(a.ndim() <= 1, "meshgrid: expected vectors, got ", describe(a));
    shape.push_back(a.size());
  }
  // "xy": the first vector runs along axis 1, the second along axis 0.
  const bool swapped = indexing == "xy" && axes.size() >= 2;
  if (swapped) std::swap(shape[0], shape[1]);
  Arrays out;
  for (size_t i = 0; i < axes.size(); ++i) {
    Shape along(axes.size(), 1);
    along[swapped && i < 2 ? 1 - i : i] = axes[i].size();
    out.push_back(broadcast_to(reshape(axes[i], along), shape));
  }
  return out;
}

Array tril(const Array& x, int64_t k) {
  return banded("tril", x, [k](int64_t d) { return d <= k; });
}
Array triu(const Array& x, int64_t k) {
  return banded("triu", x, [k](int64_t d) { return d >= k; });
}

Array diag(const Array& x, int64_t k) {
  require(x.ndim() == 1 || x.ndim() == 2, "diag: expected a vector or a matrix, got ", describe(x));
  if (x.ndim() == 2) return diagonal(x, k);
  require<TypeError>(x.dtype() != kKey, "diag: keys are not numbers; got ", describe(x));
  require(k > -(int64_t{1} << 40) && k < (int64_t{1} << 40), "diag: k = ", k, " is out of range");
  const int64_t n = x.size() + (k < 0 ? -k : k);
  check_shape("diag", {n, n});
  return on_diagonal(x, n, n, k);
}

Array diagonal(const Array& x, int64_t offset) { return apply1(make_op<Diagonal>(offset), {x}); }

OpFamily families::creation() { return {listed<Diagonal>("diagonal", "offset")}; }

}  // namespace hesse
