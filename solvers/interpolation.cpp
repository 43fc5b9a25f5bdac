#include "solvers/interpolation.h"

#include "core/node.h"
#include "core/ops.h"

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
  require(kind == "linear" || kind == "cubic", "interpolate: kind is '", kind, "', expected linear or cubic");
  times_ = astype(times, kFloat64);
  const Array ascends = all(diff(times_) > 0.0);
  require(!is_constant(ascends) || ascends.item<bool>(), "interpolate: times do not ascend");
  if (kind == "cubic") slopes_ = three_point_slopes(times_, values_);
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
