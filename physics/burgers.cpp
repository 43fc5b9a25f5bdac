#include "physics/burgers.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "core/ops.h"

namespace hesse::physics {
namespace {

// The Hermite functions psi_k(z) = H_k(z) exp(-z^2 / 2) / sqrt(2^k k! sqrt(pi)) of degrees n and n - 1, up to
// a common power of two that keeps them in range: psi_{k+1} = z sqrt(2 / (k+1)) psi_k - sqrt(k / (k+1))
// psi_{k-1}.
struct HermitePair {
  double last, before, log_scale;  // psi_n, psi_{n-1} = these * exp(log_scale)
};
HermitePair hermite_functions(int64_t n, double z) {
  double before = 0.0, last = std::pow(std::numbers::pi, -0.25), log_scale = -0.5 * z * z;
  for (int64_t k = 0; k < n; ++k) {
    const auto c = static_cast<double>(k);
    const double next = z * std::sqrt(2.0 / (c + 1.0)) * last - std::sqrt(c / (c + 1.0)) * before;
    before = last;
    last = next;
    if (std::abs(last) > 0x1p200) {
      last *= 0x1p-200;
      before *= 0x1p-200;
      log_scale += 200.0 * std::numbers::ln2;
    }
  }
  return {last, before, log_scale};
}

// The number of zeros of H_n above z is the number of sign changes in the sequence (Sturm).
int64_t zeros_above(int64_t n, double z) {
  double before = 0.0, last = 1.0;
  int64_t changes = 0;
  for (int64_t k = 0; k < n; ++k) {
    const auto c = static_cast<double>(k);
    const double next = z * std::sqrt(2.0 / (c + 1.0)) * last - std::sqrt(c / (c + 1.0)) * before;
    before = last;
    last = next;
    if (std::abs(last) > 0x1p200) {
      last *= 0x1p-200;
      before *= 0x1p-200;
    }
    changes += std::signbit(last) != std::signbit(before) ? 1 : 0;
  }
  return changes;
}

}  // namespace

GaussHermite gauss_hermite(int64_t n) {
  require(1 <= n && n <= 1000, "gauss_hermite: the number of nodes must be from 1 to 1000, got ", n);
  std::vector<double> nodes(static_cast<size_t>(n)), weights(static_cast<size_t>(n));
  const double bound = std::sqrt(2.0 * static_cast<double>(n) + 1.0);  // all zeros lie inside
  for (int64_t i = 0; i < (n + 1) / 2; ++i) {
    // The i-th zero from above: bisection until it is alone, then Newton with psi_n' ~ sqrt(2 n) psi_{n-1},
    // exact at a zero.
    double low = 0.0, high = bound;
    for (int k = 0; k < 20; ++k) {
      const double middle = 0.5 * (low + high);
      (zeros_above(n, middle) > i ? low : high) = middle;
    }
    const bool centre = n % 2 == 1 && i == n / 2;
    double z = centre ? 0.0 : 0.5 * (low + high);
    const double slope = std::sqrt(2.0 * static_cast<double>(n));
    for (int k = 0; k < 5 && !centre; ++k) {
      const HermitePair h = hermite_functions(n, z);
      z -= h.last / (slope * h.before - z * h.last);
    }
    // w_i = 1 / (n psi_{n-1}^2 exp(z^2)).
    const HermitePair h = hermite_functions(n, z);
    const double weight = std::exp(-2.0 * h.log_scale) / (static_cast<double>(n) * h.before * h.before);
    const auto up = static_cast<size_t>(n - 1 - i), down = static_cast<size_t>(i);
    nodes[up] = z;
    nodes[down] = -z;
    weights[up] = weights[down] = weight;
  }
  return {Array::from<double>(nodes, {n}), Array::from<double>(weights, {n})};
}

Array burgers_exact(const Array& t, const Array& x, double nu, int64_t nodes) {
  require(nu > 0.0, "burgers_exact: nu must be positive, got ", nu);
  const GaussHermite rule = gauss_hermite(nodes);
  const auto z = rule.nodes.to_vector<double>(), w = rule.scaled_weights.to_vector<double>();
  const Arrays both = broadcast_arrays({astype(t, kFloat64), astype(x, kFloat64)});
  const auto ts = both[0].to_vector<double>(), xs = both[1].to_vector<double>();
  std::vector<double> u(ts.size()), exponent(z.size());
  constexpr double pi = std::numbers::pi;
  for (size_t k = 0; k < ts.size(); ++k) {
    require(ts[k] >= 0.0, "burgers_exact: t must not be negative, got ", ts[k]);
    const double width = std::sqrt(4.0 * nu * ts[k]);
    // exp(-z^2) f(y) spans hundreds of orders of magnitude: relative to its largest value.
    double largest = -HUGE_VAL;
    for (size_t i = 0; i < z.size(); ++i) {
      exponent[i] = -z[i] * z[i] - std::cos(pi * (xs[k] - width * z[i])) / (2.0 * pi * nu);
      largest = std::max(largest, exponent[i]);
    }
    double above = 0.0, below = 0.0;
    for (size_t i = 0; i < z.size(); ++i) {
      const double f = w[i] * std::exp(exponent[i] - largest);
      above -= f * std::sin(pi * (xs[k] - width * z[i]));
      below += f;
    }
    u[k] = above / below;
  }
  return Array::from<double>(u, both[0].shape());
}

}  // namespace hesse::physics
