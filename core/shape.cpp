#include "core/shape.h"

#include <algorithm>
#include <ostream>

namespace hesse {

std::ostream& operator<<(std::ostream& out, const Dims& d) {
  out << '(';
  for (size_t i = 0; i < d.size(); ++i) {
    if (i) out << ", ";
    if (d[i] == kDynamic)
      out << '?';
    else
      out << d[i];
  }
  if (d.size() == 1) out << ',';
  return out << ')';
}

int64_t num_elements(const Shape& s) {
  int64_t n = 1;
  for (int64_t d : s) n *= d;
  return n;
}

Strides contiguous_strides(const Shape& s) {
  Strides out(s.size(), 1);
  int64_t step = 1;
  for (size_t i = s.size(); i-- > 0;) {
    out[i] = step;
    step *= std::max<int64_t>(s[i], 1);
  }
  return out;
}

Shape broadcast_shapes(std::string_view function, const Shape& a, const Shape& b) {
  const size_t n = std::max(a.size(), b.size());
  Shape out(n, 1);
  for (size_t i = 0; i < n; ++i) {
    const int64_t x = i < n - a.size() ? 1 : a[i - (n - a.size())];
    const int64_t y = i < n - b.size() ? 1 : b[i - (n - b.size())];
    if (x == kDynamic || y == kDynamic) {  // a run-time count meets its own value
      out[i] = x == kDynamic && y != 1 ? y : x;
      continue;
    }
    require(x == y || x == 1 || y == 1, function, ": shapes ", a, " and ", b, " do not broadcast: axis ", i,
            " has lengths ", x, " and ", y, "; each must be equal or 1");
    out[i] = x == 1 ? y : x;
  }
  return out;
}

int64_t normalize_axis(std::string_view function, int64_t axis, size_t ndim) {
  const auto n = static_cast<int64_t>(ndim);
  require<IndexError>(axis >= -n && axis < n, function, ": axis ", axis, " is out of range for ", n,
                      " dimension(s); expected ", -n, " <= axis < ", n);
  return axis < 0 ? axis + n : axis;
}

Axes normalize_axes(std::string_view function, const Axes& axes, size_t ndim) {
  Axes out;
  for (int64_t a : axes) out.push_back(normalize_axis(function, a, ndim));
  std::sort(out.begin(), out.end());
  for (size_t i = 1; i < out.size(); ++i)
    require(out[i] != out[i - 1], function, ": axis ", out[i], " is given twice in ", axes);
  return out;
}

Axes all_axes(size_t n) {
  Axes out(n, 0);
  for (size_t i = 0; i < n; ++i) out[i] = static_cast<int64_t>(i);
  return out;
}

}  // namespace hesse
