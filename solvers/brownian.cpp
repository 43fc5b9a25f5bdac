#include "solvers/brownian.h"

#include <cmath>

#include "core/ops.h"
#include "core/ops/control.h"
#include "solvers/spans.h"

namespace hesse::solvers {
namespace {

Array time_of(const Array& t, const char* name) {
  return stop_gradient(real_scalar("BrownianPath", t, name));
}

}  // namespace

BrownianPath::BrownianPath(const Array& key, const Array& t0, const Array& t1, Shape shape, DType dtype,
                           double tolerance)
    : key_(key), t0_(time_of(t0, "t0")), t1_(time_of(t1, "t1")), shape_(std::move(shape)), dtype_(dtype) {
  require<TypeError>(key.dtype() == DType::Key && key.ndim() == 0, "BrownianPath: key is ", describe(key),
                     ", expected one random key; make one with random.key(seed)");
  require<TypeError>(dtype == kFloat64 || dtype == kFloat32, "BrownianPath: dtype is ", dtype,
                     ", expected float64 or float32");
  require(tolerance >= std::ldexp(1.0, -50) && tolerance <= 1, "BrownianPath: tolerance is ", tolerance,
          ", expected a part of the span between 2^-50 and 1");
  if (is_constant(t0_) && is_constant(t1_)) {
    const double begin = t0_.item<double>(), end = t1_.item<double>();
    require(begin < end && std::isfinite(begin) && std::isfinite(end), "BrownianPath: the span from ", begin,
            " to ", end, " does not ascend, or is not finite");
  }
  levels_ = static_cast<int>(std::ceil(-std::log2(tolerance)));
}

Array BrownianPath::operator()(const Array& times) const {
  require<TypeError>(!is_complex(times.dtype()) && times.dtype() != kBool && times.dtype() != DType::Key,
                     "BrownianPath: times have dtype ", times.dtype(), ", expected real numbers");
  const Array keys = random::split(key_, levels_ + 2);
  const Array t = stop_gradient(astype(times, kFloat64));
  if (t.ndim() == 0) return at(t, keys);
  const Array w =
      vmap([&](std::span<const Array> x) { return Arrays{at(x[0], keys)}; }, {reshape(t, {-1})}, {0}, {0})[0];
  Shape shape = times.shape();
  for (const int64_t n : shape_) shape.push_back(n);
  return reshape(w, shape);
}

Array BrownianPath::at(const Array& t, const Array& keys) const {
  const auto normal = [&](int64_t level, const std::optional<Array>& place) {
    const Array key = getitem(keys, {Index(level)});
    return random::normal(place ? random::fold_in(key, astype(*place, DType::Int64)) : key, shape_, dtype_);
  };
  const auto weighted = [&](const Array& weight, const Array& z) { return astype(weight, dtype_) * z; };
  const Array u = (t - t0_) / (t1_ - t0_);
  Array sum = weighted(u, normal(0, {}));
  for (int level = 0; level <= levels_; ++level) {
    const Array scaled = std::ldexp(1.0, level) * u, place = floor(scaled), x = scaled - place;
    const Array shape = level < levels_ ? 0.5 * (1.0 - abs(2.0 * x - 1.0)) : sqrt(x * (1.0 - x));
    sum = sum + weighted(std::exp2(-0.5 * level) * shape, normal(level + 1, place));
  }
  const Array inside = logical_and(u >= 0.0, u <= 1.0);
  return weighted(where(inside, sqrt(t1_ - t0_), std::nan("")), sum);
}

}  // namespace hesse::solvers
