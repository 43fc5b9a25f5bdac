#include "solvers/interpolation.h"

#include "core/node.h"
#include "core/ops.h"
#include "core/ops/control.h"

namespace hesse::solvers {
namespace {

Array rows(const Array& x, int64_t begin, int64_t end) {
  Dims first(x.shape().size(), 0), last, step(x.shape().size(), 1);
  for (const int64_t n : x.shape()) last.push_back(n);
  first[0] = begin;
  last[0] = end;
  return slice(x, first, last, step);
}
// [n] as [n, 1, ...], to go with values.
Array beside(const Array& x, const Array& values) {
  Shape shape = x.shape();
  for (size_t d = x.shape().size(); d < values.shape().size(); ++d) shape.push_back(1);
  return astype(reshape(x, shape), real_dtype(values.dtype()));
}

// The slopes of the parabolas through three neighbours; at the ends, of the first and the last.
Array three_point_slopes(const Array& times, const Array& values) {
  const int64_t n = times.size();
  const Array h = beside(diff(times), values);
  const Array d = (rows(values, 1, n) - rows(values, 0, n - 1)) / h;
  if (n == 2) return concatenate({d, d});
  const Array h0 = rows(h, 0, n - 2), h1 = rows(h, 1, n - 1);
  const Array d0 = rows(d, 0, n - 2), d1 = rows(d, 1, n - 1);
  const Array inner = (h1 * d0 + h0 * d1) / (h0 + h1);
  const Array first = 2.0 * rows(d, 0, 1) - rows(inner, 0, 1);
  const Array last = 2.0 * rows(d, n - 2, n - 1) - rows(inner, n - 3, n - 2);
  return concatenate({first, inner, last});
}

// The solution of a_i s_{i-1} + b_i s_i + c_i s_{i+1} = r_i by elimination without exchanges: a, b, c [n, 1,
// ...], r [n, ...], where what lies outside the matrix is not read.
Array tridiagonal_solution(const Array& a, const Array& b, const Array& c, const Array& r) {
  const auto zeros_of_row = [](const Array& x) { return zeros_like(getitem(x, {Index(int64_t{0})})); };
  const Arrays eliminated = scan(
      [](std::span<const Array> x) {  // s_i = r' - c' s_{i+1}
        const Array &c_before = x[0], &r_before = x[1], &below = x[2];
        const Array pivot = x[3] - below * c_before;
        const Array c_now = x[4] / pivot, r_now = (x[5] - below * r_before) / pivot;
        return Arrays{c_now, r_now, c_now, r_now};
      },
      {zeros_of_row(c), zeros_of_row(r)}, {a, b, c, r});
  return scan(
      [](std::span<const Array> x) {
        const Array s = x[2] - x[1] * x[0];
        return Arrays{s, s};
      },
      {zeros_of_row(r)}, {eliminated[2], eliminated[3]}, {}, true)[1];
}

// The slopes of the cubic spline, whose second derivative is continuous: with h_i the lengths of intervals
// and d_i the slopes of chords,
//   h_i s_{i-1} + 2 (h_{i-1} + h_i) s_i + h_{i-1} s_{i+1} = 3 (h_i d_{i-1} + h_{i-1} d_i),
// and at the ends 2 s_0 + s_1 = 3 d_0 ("natural": no second derivative) or
//   h_1 s_0 + (h_0 + h_1) s_1 = ((2 h_1 + 3 h_0) h_1 d_0 + h_0^2 d_1) / (h_0 + h_1)
// ("not-a-knot": one cubic over the first two intervals); pivots are positive.
Array spline_slopes(const Array& times, const Array& values, bool natural) {
  const int64_t n = times.size();
  if (n == 2 || (n == 3 && !natural)) return three_point_slopes(times, values);  // the line, the parabola
  const Array h = beside(diff(times), values);
  const Array d = (rows(values, 1, n) - rows(values, 0, n - 1)) / h;
  const Array h0 = rows(h, 0, n - 2), h1 = rows(h, 1, n - 1);
  const Array inner = 3.0 * (h1 * rows(d, 0, n - 2) + h0 * rows(d, 1, n - 1));
  const auto at = [](const Array& x, int64_t i) { return rows(x, i, i + 1); };
  struct End {
    Array own, other, right;  // own s + other s_next = right
  };
  const auto end = [&](int64_t i, int64_t next) -> End {
    const Array l = at(h, i), m = at(h, next), one = ones_like(l);
    if (natural) return {2.0 * one, one, 3.0 * at(d, i)};
    return {m, l + m, ((2.0 * m + 3.0 * l) * m * at(d, i) + l * l * at(d, next)) / (l + m)};
  };
  const End first = end(0, 1), last = end(n - 2, n - 3);
  const Array none = zeros_like(at(h, 0));
  return tridiagonal_solution(
      concatenate({none, h1, last.other}), concatenate({first.own, 2.0 * (h0 + h1), last.own}),
      concatenate({first.other, h0, none}), concatenate({first.right, inner, last.right}));
}

}  // namespace

Interpolation::Interpolation(const Array& times, const Array& values, std::string_view kind)
    : times_(times), values_(values) {
  require(times.ndim() == 1 && times.size() >= 2, "interpolate: times have shape ", times.shape(),
          ", expected one axis with 2 times or more");
  require<TypeError>(!is_complex(times.dtype()) && times.dtype() != kBool && times.dtype() != DType::Key,
                     "interpolate: times have dtype ", times.dtype(), ", expected real numbers");
  require(values.ndim() >= 1 && values.shape()[0] == times.size(), "interpolate: values have shape ",
          values.shape(), " for ", times.size(), " times; expected a row for each");
  require<TypeError>(is_inexact(values.dtype()), "interpolate: values are ", describe(values),
                     ", expected floating or complex numbers; convert them with astype");
  require(kind == "linear" || kind == "cubic" || kind == "natural" || kind == "not-a-knot",
          "interpolate: kind is '", kind, "', expected linear, cubic, natural or not-a-knot");
  times_ = astype(times, kFloat64);
  const Array ascends = all(diff(times_) > 0.0);
  require(!is_constant(ascends) || ascends.item<bool>(), "interpolate: times do not ascend");
  if (kind == "cubic") slopes_ = three_point_slopes(times_, values_);
  if (kind == "natural" || kind == "not-a-knot") slopes_ = spline_slopes(times_, values_, kind == "natural");
}

// With x from 0 to 1 in an interval of length h, ends a and b, slopes s and e (Hermite):
//   a + x (h s + x (3 (b - a) - h (2 s + e) + x (h (s + e) - 2 (b - a))))
Array Interpolation::operator()(const Array& t_in) const {
  require<TypeError>(!is_complex(t_in.dtype()) && t_in.dtype() != kBool && t_in.dtype() != DType::Key,
                     "interpolate: t has dtype ", t_in.dtype(), ", expected a real number");
  const int64_t n = times_.size();
  const Array first = getitem(times_, {Index(int64_t{0})}), last = getitem(times_, {Index(n - 1)});
  const Array t = minimum(maximum(astype(t_in, kFloat64), first), last);
  const Array i = clip(searchsorted(stop_gradient(times_), stop_gradient(t), "right") - int64_t{1},
                       Array(int64_t{0}), Array(n - 2));
  const Array next = i + int64_t{1};
  const auto at = [&](const Array& x, const Array& index) { return take(x, index, 0); };
  const Array a = at(values_, i), b = at(values_, next);
  const Array begin = at(times_, i), width = at(times_, next) - begin;
  const auto wide = [&](const Array& x) {  // [t...] as [t..., 1, ...]
    Shape shape = x.shape();
    for (size_t d = 1; d < values_.shape().size(); ++d) shape.push_back(1);
    return astype(reshape(x, shape), real_dtype(values_.dtype()));
  };
  const Array x = wide((t - begin) / width), rise = b - a;
  if (!slopes_) return a + x * rise;
  const Array h = wide(width), s = h * at(*slopes_, i), e = h * at(*slopes_, next);
  return a + x * (s + x * (3.0 * rise - 2.0 * s - e + x * (s + e - 2.0 * rise)));
}

}  // namespace hesse::solvers
