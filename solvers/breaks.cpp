#include "solvers/breaks.h"

#include <cmath>

#include "core/ops.h"

namespace hesse::solvers {

Breaks breaks_at(const Array& given, const Array& t0, const Array& t1, const Array& direction, DType dtype) {
  require(given.ndim() == 1, "solve_ivp: breakpoints have shape ", given.shape(), ", expected one axis");
  require<TypeError>(!is_complex(given.dtype()) && given.dtype() != kBool && given.dtype() != DType::Key,
                     "solve_ivp: breakpoints have dtype ", given.dtype(), ", expected real numbers");
  const Array times = stop_gradient(astype(given, kFloat64));
  const Array inside = logical_and((times - t0) * direction > 0.0, (t1 - times) * direction > 0.0);
  const Array at = astype(times, dtype), far = astype(direction * INFINITY, dtype);
  const auto beside = [&](const Array& towards) {
    return stop_gradient(where(inside, astype(nextafter(at, towards), kFloat64), std::nan("")));
  };
  return {beside(-far), beside(far)};
}

}  // namespace hesse::solvers
