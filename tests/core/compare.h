#pragma once
#include <algorithm>

#include "tests/core/random_arrays.h"

namespace hesse::test {

inline Avals avals_of(const Arrays& x) {
  Avals out;
  for (const Array& a : x) out.push_back(aval(a));
  return out;
}
template <class T>
Array vector_of(const std::vector<T>& v) {
  return Array::from<T>(std::span<const T>(v), {static_cast<int64_t>(v.size())});
}
/// The largest difference, in units of the largest entry of `b` or of one.
inline double difference(const Array& a, const Array& b) {
  return largest(subtract(a, b)) / std::max(1.0, largest(b));
}

}  // namespace hesse::test
