#include "core/ops/elementwise.h"
#include "core/ops/reduce.h"
#include "core/ops/view_slice.h"

/// Differences, traces and interpolation: compositions of slices, gathers and arithmetic.
namespace hesse {

Array diff(const Array& x, int64_t n, int64_t axis) {
  const auto a = static_cast<size_t>(normalize_axis("diff", axis, x.ndim()));
  require(n >= 0, "diff: n must not be negative, got ", n);
  Array y = x;
  for (int64_t i = 0; i < n && y.shape()[a] > 0; ++i) {
    Part later = Part::whole(y.shape()), earlier = later;
    later.size[a] = earlier.size[a] = y.shape()[a] - 1;
    later.start[a] = 1;
    const Array from = slice_part(y, later), less = slice_part(y, earlier);
    y = is_bool(y.dtype()) ? logical_xor(from, less) : subtract(from, less);
  }
  return y;
}

Array trace(const Array& x, int64_t offset) {
  require(x.ndim() >= 2, "trace: x must have at least two axes, got shape ", x.shape());
  return sum(diagonal(x, offset), Axes{-1});
}

// y = f_i + (x - x_i) / (x_{i+1} - x_i) (f_{i+1} - f_i) in the interval that x lies in. Outside, x is
// replaced before the division so that what is not selected has finite derivatives.
Array interp(const Array& x, const Array& xp, const Array& fp) {
  require(xp.ndim() == 1 && xp.shape() == fp.shape(),
          "interp: xp and fp must be vectors of one length, got shapes ", xp.shape(), " and ", fp.shape());
  const int64_t n = xp.dim(0);
  require(n > 0, "interp: xp and fp are empty; give at least one point");
  for (const Array* a : {&x, &xp})
    require<TypeError>(!is_complex(a->dtype()) && a->dtype() != kKey, "interp: x and xp must be real, got ",
                       describe(*a));
  DType dtype = common_dtype("interp", Arrays{x, xp, fp});
  if (!is_inexact(dtype)) dtype = default_dtype();
  const Array at = converted(x, real_dtype(dtype)), points = converted(xp, real_dtype(dtype)),
              values = converted(fp, dtype);
  const auto entry = [](const Array& a, int64_t i) { return squeeze(slice(a, {i}, {i + 1}, {1}), Axes{0}); };
  if (n == 1) return broadcast_to(entry(values, 0), x.shape());
  const Array below = less(at, entry(points, 0)), above = greater_equal(at, entry(points, n - 1));
  const Array outside = logical_or(below, above);
  const Array i = clip(subtract(searchsorted(points, at, "right"), 1), Array(0), Array(n - 2));
  const Array x0 = gather(points, i), x1 = gather(points, add(i, 1));
  const Array f0 = gather(values, i), f1 = gather(values, add(i, 1));
  const Array fraction =
      divide(subtract(where(outside, x0, at), x0), where(outside, literal(1.0, x0), subtract(x1, x0)));
  const Array inside = add(f0, multiply(fraction, subtract(f1, f0)));
  return where(below, entry(values, 0), where(above, entry(values, n - 1), inside));
}

}  // namespace hesse
