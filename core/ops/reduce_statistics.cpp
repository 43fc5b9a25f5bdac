#include <algorithm>

#include "core/ops/elementwise.h"
#include "core/ops/reduce.h"

/// Means, variances and exponential sums: compositions of reductions and elementwise ops, which have their
/// derivatives from those.
namespace hesse {
namespace {

double count_of(const Array& x, const Axes& axes) {
  return static_cast<double>(ReduceParams{axes, false}.count(x.shape()));
}

Array real_inexact(std::string_view function, const Array& x) {
  require<TypeError>(!is_complex(x.dtype()), function, ": x must be real, got ", describe(x));
  return inexact(function, x);
}

/// The maximum over axes as a constant shift that leaves infinities where they are.
Array finite_shift(const Array& x, const Axes& axes) {
  const Array m = max(stop_gradient(x), axes, true);
  return where(isfinite(m), m, literal(0.0, m));
}

}  // namespace

Array mean(const Array& x, const OptAxes& axes, bool keepdims) {
  const Axes which = reduced_axes("mean", x, axes);
  const Array total = sum(inexact("mean", x), which, keepdims);
  return divide(total, literal(count_of(x, which), total));
}

namespace {

// sum (x - mean)^2 / max(n - correction, 0)
Array variance(std::string_view function, const Array& x, const OptAxes& axes, double correction,
               bool keepdims) {
  const Axes which = reduced_axes(function, x, axes);
  const Array v = real_inexact(function, x);
  const Array total = sum(square(subtract(v, mean(v, which, true))), which, keepdims);
  return divide(total, literal(std::max(count_of(x, which) - correction, 0.0), total));
}

}  // namespace

Array var(const Array& x, const OptAxes& axes, double correction, bool keepdims) {
  return variance("var", x, axes, correction, keepdims);
}

Array std(const Array& x, const OptAxes& axes, double correction, bool keepdims) {
  return sqrt(variance("std", x, axes, correction, keepdims));
}

// log sum exp(x - m) + m with m the maximum where that is finite: all -inf gives -inf, an inf gives inf.
Array logsumexp(const Array& x, const OptAxes& axes, bool keepdims) {
  const Axes which = reduced_axes("logsumexp", x, axes);
  const Array v = real_inexact("logsumexp", x);
  if (which.empty()) return v;
  if (ReduceParams{which, false}.count(v.shape()) == 0) return log(sum(exp(v), which, keepdims));
  const Array m = finite_shift(v, which);
  const Array y = add(log(sum(exp(subtract(v, m)), which, true)), m);
  return keepdims ? y : squeeze(y, which);
}

Array softmax(const Array& x, int64_t axis) {
  const Axes which{normalize_axis("softmax", axis, x.ndim())};
  const Array v = real_inexact("softmax", x);
  if (v.size() == 0) return v;
  const Array e = exp(subtract(v, finite_shift(v, which)));
  return divide(e, sum(e, which, true));
}

Array log_softmax(const Array& x, int64_t axis) {
  const Axes which{normalize_axis("log_softmax", axis, x.ndim())};
  const Array v = real_inexact("log_softmax", x);
  if (v.size() == 0) return v;
  const Array d = subtract(v, finite_shift(v, which));
  return subtract(d, log(sum(exp(d), which, true)));
}

}  // namespace hesse
