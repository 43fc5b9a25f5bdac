#pragma once
#include <cmath>
#include <span>

#include "core/ops.h"

/// What solvers do with lists of arrays.
namespace hesse::solvers {

template <class List, class Range>
void append(List& to, const Range& from) {
  to.insert(to.end(), from.begin(), from.end());
}
/// where(condition, x[i], y[i])
inline Arrays select(const Array& condition, std::span<const Array> x, std::span<const Array> y) {
  Arrays out;
  for (size_t i = 0; i < x.size(); ++i) out.push_back(where(condition, x[i], y[i]));
  return out;
}
/// stop_gradient(x[i])
inline Arrays stopped(std::span<const Array> x) {
  Arrays out;
  for (const Array& a : x) out.push_back(stop_gradient(a));
  return out;
}
inline Array nan_of(DType dtype) { return astype(Array(std::nan("")), dtype); }

}  // namespace hesse::solvers
