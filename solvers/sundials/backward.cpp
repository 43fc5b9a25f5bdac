#include "solvers/sundials/backward.h"

#include <algorithm>
#include <cmath>

namespace hesse::solvers::sundials {

double largest(std::span<const double> x) {
  double out = 0;
  for (const double v : x) out = std::max(out, std::abs(v));
  return out;
}

long points_between_checkpoints(int64_t numbers) {
  constexpr int64_t kKeptNumbers = int64_t{1} << 22;
  return std::clamp<long>(kKeptNumbers / numbers, 16, 500);
}

Vector quadrature_tolerances(const FlatParameters& parameters, std::span<const Array> p,
                             std::span<const double> y0, double tiny, const Context& context) {
  const double state = std::max(largest(y0), 1e-100);
  Vector out = make_vector(parameters.size(), context);
  double* at = entries(out.get());
  for (size_t j = 0; j < p.size(); ++j) {
    if (!parameters.is_wanted(j)) continue;
    const double most = largest(magnitudes(p[j]));
    at = std::fill_n(at, num_numbers(aval(p[j])),
                     tiny * state / (most > 0 && std::isfinite(most) ? most : 1.0));
  }
  return out;
}

}  // namespace hesse::solvers::sundials
