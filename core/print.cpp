#include <algorithm>
#include <cmath>
#include <iomanip>
#include <ostream>

#include "core/array.h"

namespace hesse {
namespace {

// The shortest text that reads back as the same value, at most 8 (float64) or 7 digits after which NumPy also
// rounds.
template <class T>
std::string element(T v) {
  std::ostringstream out;
  if constexpr (std::is_same_v<T, bool>)
    out << (v ? "True" : "False");
  else if constexpr (std::is_same_v<T, Key>)
    out << "key(" << v.hi << ", " << v.lo << ")";
  else if constexpr (std::is_same_v<T, complex64> || std::is_same_v<T, complex128>) {
    const std::string im = element(v.imag());
    out << element(v.real()) << (im[0] == '-' ? "" : "+") << im << "j";
  } else if constexpr (std::is_floating_point_v<T>) {
    if (std::isnan(v)) return "nan";
    out << std::setprecision(8) << v;
    std::string s = out.str();
    if (std::isfinite(v) && s.find_first_of(".e") == std::string::npos) s += ".";
    return s;
  } else {
    out << +v;
  }
  return out.str();
}

struct Printer {
  const View& v;
  int64_t edge;  // entries shown at each end of an axis; -1: all
  std::string text(const char* p) const {
    return visit_dtype(v.dtype, [&](auto tag) {
      using T = typename decltype(tag)::type;
      return element(*reinterpret_cast<const T*>(p));
    });
  }
  template <class F>
  void each(size_t axis, F&& f) const {
    const int64_t n = v.shape[axis];
    for (int64_t i = 0; i < n; ++i) {
      if (edge >= 0 && n > 2 * edge && i == edge) {
        f(int64_t{-1});
        i = n - edge;
      }
      f(i);
    }
  }
  void widths(size_t axis, const char* p, size_t& width) const {
    if (axis == v.shape.size()) {
      width = std::max(width, text(p).size());
      return;
    }
    each(axis, [&](int64_t i) {
      if (i >= 0) widths(axis + 1, p + i * v.strides[axis] * itemsize(v.dtype), width);
    });
  }
  void print(std::ostream& out, size_t axis, const char* p, size_t width, size_t indent) const {
    if (axis == v.shape.size()) {
      out << std::setw(static_cast<int>(width)) << text(p);
      return;
    }
    out << '[';
    bool first = true;
    const bool last_axis = axis + 1 == v.shape.size();
    each(axis, [&](int64_t i) {
      if (!first)
        out << (last_axis
                    ? ", "
                    : ",\n" + std::string(v.shape.size() - axis - 2, '\n') + std::string(indent + 1, ' '));
      first = false;
      if (i < 0)
        out << "...";
      else
        print(out, axis + 1, p + i * v.strides[axis] * itemsize(v.dtype), width, indent + 1);
    });
    out << ']';
  }
};

}  // namespace

std::string to_string(const Array& a, int64_t max_items) {
  if (!a.defined()) return "undefined";
  if (!a.has_data()) return concat("symbol ", describe(a));
  const View v = a.view();
  const Printer printer{v, a.size() > max_items ? 3 : -1};
  size_t width = 0;
  std::ostringstream out;
  const char* p = static_cast<const char*>(v.data);
  printer.widths(0, p, width);
  printer.print(out, 0, p, width, 0);
  return out.str();
}

std::ostream& operator<<(std::ostream& out, const Array& a) { return out << to_string(a); }

}  // namespace hesse
