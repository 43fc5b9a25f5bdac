#pragma once
#include <algorithm>

#include "tests/core/random_arrays.h"

namespace hesse::test {

inline Avals avals_of(const Arrays& x) {
  Avals out;
  for (const Array& a : x) out.push_back(aval(a));
  return out;
}
/// The largest difference, in units of the largest entry of `b` or of one.
inline double difference(const Array& a, const Array& b) {
  return largest(subtract(a, b)) / std::max(1.0, largest(b));
}

}  // namespace hesse::test
