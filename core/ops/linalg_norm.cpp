// Norms, by composition. Where a norm is zero its derivative is zero: selected with `where`, inside and
// outside the root.
#include <cmath>

#include "core/ops/linalg.h"

namespace hesse {
namespace {

using namespace linalg;

Array squared_modulus(const Array& x) {
  return is_complex(x.dtype()) ? square(real(x)) + square(imag(x)) : square(x);
}

/// total^power, with derivative zero where total is zero.
Array root(const Array& total, double power) {
  const Array zero = equal(total, 0.0);
  const Array safe = where(zero, 1.0, total);
  return where(zero, literal(std::pow(0.0, power), total), power == 0.5 ? sqrt(safe) : pow(safe, power));
}

}  // namespace

Array vector_norm(const Array& x, const OptAxes& axes, double ord, bool keepdims) {
  const Array v = inexact("vector_norm", x);
  require(ord == ord, "vector_norm: ord is NaN");
  const Axes over = axes ? normalize_axes("vector_norm", *axes, v.ndim()) : all_axes(v.ndim());
  if (ord == 2.0) return root(sum(squared_modulus(v), over, keepdims), 0.5);
  const Array size = abs(v);
  if (std::isinf(ord)) return ord > 0 ? max(size, over, keepdims) : min(size, over, keepdims);
  if (ord == 1.0) return sum(size, over, keepdims);
  if (ord == 0.0) return sum(astype(not_equal(size, 0.0), size.dtype()), over, keepdims);
  if (ord < 0) return root(sum(pow(size, ord), over, keepdims), 1.0 / ord);
  // |x|^p has an infinite slope at 0 for p < 1: entries that are zero are left out.
  const Array zero = equal(size, 0.0);
  return root(sum(where(zero, 0.0, pow(where(zero, 1.0, size), ord)), over, keepdims), 1.0 / ord);
}

Array matrix_norm(const Array& x, const NormOrder& ord, bool keepdims) {
  const Array a = matrix("matrix_norm", x);
  const auto restored = [&](const Array& v) { return keepdims ? expand_dims(v, {-2, -1}) : v; };
  if (const auto* name = std::get_if<std::string>(&ord)) {
    if (*name == "fro") return vector_norm(a, Axes{-2, -1}, 2.0, keepdims);
    require(*name == "nuc", "matrix_norm: ord must be 1, 2, inf, their negatives, 'fro' or 'nuc', got '",
            *name, "'");
    return restored(sum(svdvals(a), Axes{-1}));
  }
  const double p = std::get<double>(ord), size = std::fabs(p);
  require(size == 1 || size == 2 || std::isinf(p),
          "matrix_norm: ord must be 1, 2, inf, their negatives, 'fro' or 'nuc', got ", p);
  const auto extreme = [&](const Array& v) { return restored(p > 0 ? max(v, Axes{-1}) : min(v, Axes{-1})); };
  if (size == 2) return extreme(svdvals(a));
  return extreme(sum(abs(a), Axes{size == 1 ? -2 : -1}));
}

Array norm(const Array& x, const OptAxes& axes, const std::optional<NormOrder>& ord, bool keepdims) {
  if (!ord) return vector_norm(x, axes, 2.0, keepdims);
  const size_t count = axes ? axes->size() : x.ndim();
  if (count == 1) {
    const double* p = std::get_if<double>(&*ord);
    require(p != nullptr, "norm: '", p ? "" : std::get<std::string>(*ord),
            "' is a norm of matrices; give two axes");
    return vector_norm(x, axes, *p, keepdims);
  }
  require(count == 2, "norm: ord is for vectors and matrices: give one or two axes, got ", describe(x),
          " and ", count, " axes; without ord it is the 2-norm of all entries");
  const Axes pair = axes ? *axes : Axes{0, 1};
  const Array moved = moveaxis(x, pair, {-2, -1});
  const Array out = matrix_norm(moved, *ord, keepdims);
  return keepdims ? moveaxis(out, {-2, -1}, pair) : out;
}

}  // namespace hesse
