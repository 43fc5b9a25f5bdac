#include "core/nn/init.h"

#include <cmath>

namespace hesse::nn::init {
namespace {

struct Fans {
  double in, out;
};
Fans fans(const char* function, const Shape& shape, double gain) {
  require(shape.size() >= 2, function, ": the shape must be (out, in, window...), got ", shape,
          "; biases and other vectors start at zeros");
  require(gain >= 0.0, function, ": gain must not be negative, got ", gain);
  double window = 1.0;
  for (size_t i = 2; i < shape.size(); ++i) window *= static_cast<double>(shape[i]);
  return {static_cast<double>(shape[1]) * window, static_cast<double>(shape[0]) * window};
}
double deviation(double gain, double variance) {
  return gain * std::sqrt(std::isfinite(variance) ? variance : 0.0);
}

Array normal(const Array& key, const Shape& shape, double deviation, OptDType dtype) {
  return deviation * random::normal(key, shape, dtype);
}
// Uniform on [-a, a) has the variance a^2 / 3.
Array uniform(const Array& key, const Shape& shape, double deviation, OptDType dtype) {
  const double a = std::sqrt(3.0) * deviation;
  return random::uniform(key, shape, -a, a, dtype);
}

}  // namespace

Array glorot_uniform(const Array& key, const Shape& shape, double gain, OptDType dtype) {
  const Fans f = fans("glorot_uniform", shape, gain);
  return uniform(key, shape, deviation(gain, 2.0 / (f.in + f.out)), dtype);
}
Array glorot_normal(const Array& key, const Shape& shape, double gain, OptDType dtype) {
  const Fans f = fans("glorot_normal", shape, gain);
  return normal(key, shape, deviation(gain, 2.0 / (f.in + f.out)), dtype);
}
Array he_uniform(const Array& key, const Shape& shape, double gain, OptDType dtype) {
  return uniform(key, shape, deviation(gain, 2.0 / fans("he_uniform", shape, gain).in), dtype);
}
Array he_normal(const Array& key, const Shape& shape, double gain, OptDType dtype) {
  return normal(key, shape, deviation(gain, 2.0 / fans("he_normal", shape, gain).in), dtype);
}
Array lecun_uniform(const Array& key, const Shape& shape, double gain, OptDType dtype) {
  return uniform(key, shape, deviation(gain, 1.0 / fans("lecun_uniform", shape, gain).in), dtype);
}
Array lecun_normal(const Array& key, const Shape& shape, double gain, OptDType dtype) {
  return normal(key, shape, deviation(gain, 1.0 / fans("lecun_normal", shape, gain).in), dtype);
}

}  // namespace hesse::nn::init
