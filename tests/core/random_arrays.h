#pragma once
#include <random>

#include "core/ops.h"

namespace hesse::test {

/// Independent standard normal entries (complex: in both parts).
inline Array random_array(const Shape& shape, DType dtype, std::mt19937_64& generator) {
  std::normal_distribution<double> normal;
  const auto draw = [&] {
    std::vector<double> v(static_cast<size_t>(num_elements(shape)));
    for (double& x : v) x = normal(generator);
    return Array::from<double>(std::span<const double>(v), shape);
  };
  if (!is_complex(dtype)) return astype(draw(), dtype);
  const Array imaginary = draw(), real = draw();  // in this order on every machine
  return astype(make_complex(real, imaginary), dtype);
}

/// The largest modulus.
inline double largest(const Array& a) { return a.size() == 0 ? 0.0 : max(abs(a)).item<double>(); }

}  // namespace hesse::test
