#include "core/nn/normalisation.h"

#include "core/ops.h"

namespace hesse::nn {
namespace {

void check(const char* function, const Array& x, const std::optional<Array>& scale,
           const std::optional<Array>& shift, double epsilon) {
  require(x.ndim() >= 1, function, ": x must have its features as the last axis, got ", describe(x));
  require<TypeError>(is_floating(x.dtype()), function, ": x must be real floating numbers, got ",
                     describe(x));
  require(epsilon >= 0.0, function, ": epsilon must not be negative, got ", epsilon);
  for (const auto& [name, a] : {std::pair{"scale", &scale}, std::pair{"shift", &shift}})
    if (*a)
      require((*a)->shape() == Shape{x.dim(-1)}, function, ": ", name, " must be a vector of ", x.dim(-1),
              ", the features of x ", describe(x), "; got ", describe(**a));
}

Array scaled(Array y, const std::optional<Array>& scale, const std::optional<Array>& shift) {
  if (scale) y = y * *scale;
  return shift ? y + *shift : y;
}

}  // namespace

Array dropout(const Array& x, double rate, const std::optional<Array>& key) {
  require(rate >= 0.0 && rate < 1.0, "dropout: rate must be in [0, 1), got ", rate);
  require<TypeError>(is_inexact(x.dtype()), "dropout: x must be floating or complex numbers, got ",
                     describe(x));
  if (!key || rate == 0.0) return x;
  const Array kept = random::uniform(*key, x.shape(), 0.0, 1.0, kFloat32) >= rate;
  return where(kept, x * (1.0 / (1.0 - rate)), 0.0);
}

Array normalise(const Array& x, const Array& mean, const Array& variance, const std::optional<Array>& scale,
                const std::optional<Array>& shift, double epsilon) {
  check("normalise", x, scale, shift, epsilon);
  for (const auto& [name, a] : {std::pair{"mean", &mean}, std::pair{"variance", &variance}})
    require(a->shape() == Shape{x.dim(-1)}, "normalise: ", name, " must be a vector of ", x.dim(-1), ", got ",
            describe(*a));
  return scaled((x - mean) * rsqrt(variance + epsilon), scale, shift);
}

Array layer_norm(const Array& x, const std::optional<Array>& scale, const std::optional<Array>& shift,
                 double epsilon) {
  check("layer_norm", x, scale, shift, epsilon);
  const Array centred = x - mean(x, Axes{-1}, true);
  return scaled(centred * rsqrt(mean(centred * centred, Axes{-1}, true) + epsilon), scale, shift);
}

BatchNormResult batch_norm(const Array& x, const std::optional<Array>& scale,
                           const std::optional<Array>& shift, double epsilon) {
  check("batch_norm", x, scale, shift, epsilon);
  Axes axes;
  int64_t rows = 1;
  for (int64_t axis = 0; axis + 1 < static_cast<int64_t>(x.ndim()); ++axis) {
    axes.push_back(axis);
    rows *= x.dim(axis);
  }
  require(rows >= 2, "batch_norm: statistics need two rows at least, got x ", describe(x),
          "; normalise by running averages instead (training=False)");
  const Array centre = mean(x, axes), centred = x - centre;
  const Array variance = mean(centred * centred, axes);
  const double n = static_cast<double>(rows);
  return {scaled(centred * rsqrt(variance + epsilon), scale, shift), centre, variance * (n / (n - 1.0))};
}

}  // namespace hesse::nn
