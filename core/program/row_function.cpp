#include "core/program/row_function.h"

#include <algorithm>
#include <functional>

namespace hesse {
namespace {

template <class In, class Out, class F>
void row1(const char* const* in, char* out, int64_t n) {
  const auto* x = reinterpret_cast<const In*>(in[0]);
  auto* y = reinterpret_cast<Out*>(out);
  for (int64_t i = 0; i < n; ++i) y[i] = F{}(x[i]);
}
template <class In, class Out, class F>
void row2(const char* const* in, char* out, int64_t n) {
  const auto *x = reinterpret_cast<const In*>(in[0]), *z = reinterpret_cast<const In*>(in[1]);
  auto* y = reinterpret_cast<Out*>(out);
  for (int64_t i = 0; i < n; ++i) y[i] = F{}(x[i], z[i]);
}
template <class T>
void row_where(const char* const* in, char* out, int64_t n) {
  const auto* c = reinterpret_cast<const bool*>(in[0]);
  const auto *x = reinterpret_cast<const T*>(in[1]), *z = reinterpret_cast<const T*>(in[2]);
  auto* y = reinterpret_cast<T*>(out);
  for (int64_t i = 0; i < n; ++i) y[i] = c[i] ? x[i] : z[i];
}
// In every lane the sum of all, in a fixed order.
template <class T>
void row_sum(const char* const* in, char* out, int64_t n) {
  constexpr int64_t kSums = 8;
  const auto* x = reinterpret_cast<const T*>(in[0]);
  T sums[kSums] = {};
  int64_t i = 0;
  for (; i + kSums <= n; i += kSums)
    for (int64_t k = 0; k < kSums; ++k) sums[k] += x[i + k];
  for (int64_t k = 0; i < n; ++i, ++k) sums[k] += x[i];
  const T sum = ((sums[0] + sums[4]) + (sums[1] + sums[5])) + ((sums[2] + sums[6]) + (sums[3] + sums[7]));
  std::fill_n(reinterpret_cast<T*>(out), n, sum);
}
// Integers wrap around, as in the kernels.
struct Plus {
  int64_t operator()(int64_t a, int64_t b) const {
    return static_cast<int64_t>(static_cast<uint64_t>(a) + static_cast<uint64_t>(b));
  }
};
struct Minus {
  int64_t operator()(int64_t a, int64_t b) const {
    return static_cast<int64_t>(static_cast<uint64_t>(a) - static_cast<uint64_t>(b));
  }
};
struct Times {
  int64_t operator()(int64_t a, int64_t b) const {
    return static_cast<int64_t>(static_cast<uint64_t>(a) * static_cast<uint64_t>(b));
  }
};
struct AsDouble {
  double operator()(int64_t a) const { return static_cast<double>(a); }
};
struct AsInteger {
  int64_t operator()(bool a) const { return a ? 1 : 0; }
};

}  // namespace

RowFunction row_function(std::string_view name, DType in, DType out) {
  if (in == kInt64) {
    if (name == "add") return row2<int64_t, int64_t, Plus>;
    if (name == "subtract") return row2<int64_t, int64_t, Minus>;
    if (name == "multiply") return row2<int64_t, int64_t, Times>;
    if (name == "equal") return row2<int64_t, bool, std::equal_to<>>;
    if (name == "not_equal") return row2<int64_t, bool, std::not_equal_to<>>;
    if (name == "less") return row2<int64_t, bool, std::less<>>;
    if (name == "less_equal") return row2<int64_t, bool, std::less_equal<>>;
    if (name == "where") return row_where<int64_t>;
    if (name == "convert" && out == kFloat64) return row1<int64_t, double, AsDouble>;
  } else if (name == "sum_over_rows") {
    return in == kFloat64 ? row_sum<double> : row_sum<float>;
  } else if (in == kBool) {
    if (name == "bitwise_and") return row2<bool, bool, std::logical_and<>>;
    if (name == "bitwise_or") return row2<bool, bool, std::logical_or<>>;
    if (name == "bitwise_invert") return row1<bool, bool, std::logical_not<>>;
    if (name == "where") return row_where<bool>;
    if (name == "convert" && out == kInt64) return row1<bool, int64_t, AsInteger>;
  }
  return nullptr;
}

}  // namespace hesse
