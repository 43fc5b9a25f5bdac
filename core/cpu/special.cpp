#include "core/cpu/special.h"

#include <array>
#include <cmath>
#include <limits>
#include <numbers>

namespace hesse::cpu {
namespace {

constexpr double kInf = std::numeric_limits<double>::infinity(),
                 kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kPi = std::numbers::pi;

/// cot(pi x) with the argument reduced exactly.
double cot_pi(double x) { return 1.0 / std::tan(kPi * (x - std::nearbyint(x))); }

/// psi on [1, 2]: psi(x) = (x - root) P(2x - 3) / (x (x + 1)), where the poles at 0 and -1 are taken out and
/// P is the Chebyshev interpolant of degree 14 (error 3e-18), by falling importance: constant term first.
double digamma_1_2(double x) {
  constexpr double kRoot = 0x1.762d86356be3fp+0, kRootRest = 0x1.b86a722197829p-54;
  constexpr std::array kP = {3.5664595351193733,     1.1078103371609274,      0.03964512670223546,
                             -0.0022469932213115104, 0.00019565679522153413,  -2.0563281613948855e-05,
                             2.3956036707373167e-06, -2.9715359300833194e-07, 3.839146947676053e-08,
                             -5.098977722992053e-09, 6.903658717512204e-10,   -9.454323123274129e-11,
                             1.310695949084843e-11,  -1.977422976036799e-12,  2.7782452245508475e-13};
  const double t = 2.0 * x - 3.0;
  double p = 0.0;
  for (size_t i = kP.size(); i-- > 0;) p = p * t + kP[i];
  return ((x - kRoot) - kRootRest) * p / (x * (x + 1.0));
}

/// (2j)! / B_2j of the Euler-Maclaurin sum, j = 1 ... 12.
constexpr std::array kBernoulli = {12.0,
                                   -720.0,
                                   30240.0,
                                   -1209600.0,
                                   47900160.0,
                                   -1307674368000.0 / 691.0,
                                   74724249600.0,
                                   -10670622842880000.0 / 3617.0,
                                   5109094217170944000.0 / 43867.0,
                                   -802857662698291200000.0 / 174611.0,
                                   14101100039391805440000.0 / 77683.0,
                                   -1693824136731743669452800000.0 / 236364091.0};

}  // namespace

double log_gamma(double x) {
  int sign = 0;
  return ::lgamma_r(x, &sign);
}

double digamma(double x) {
  if (x != x || x == kInf) return x;
  if (x == 0.0) return std::copysign(kInf, -x);
  if (x < 0.0) {
    // psi(x) = psi(1 - x) - pi cot(pi x).
    if (x == std::floor(x)) return kNan;
    return digamma(1.0 - x) - kPi * cot_pi(x);
  }
  if (x < 1.0) return digamma_1_2(x + 1.0) - 1.0 / x;
  if (x < 12.0) {
    double below = 0.0;
    while (x > 2.0) {
      x -= 1.0;
      below += 1.0 / x;
    }
    return digamma_1_2(x) + below;
  }
  // ln x - 1/(2x) - sum_j B_2j / (2j x^2j).
  constexpr std::array kTail = {1.0 / 12,  -1.0 / 120,     1.0 / 252, -1.0 / 240,
                                1.0 / 132, -691.0 / 32760, 1.0 / 12};
  const double r = 1.0 / (x * x);
  double tail = 0.0;
  for (size_t j = kTail.size(); j-- > 0;) tail = (tail + kTail[j]) * r;
  return std::log(x) - (0.5 / x + tail);
}

Polygamma::Polygamma(int64_t n) : n_(n) {
  if (n_ == 0) return;
  // With c = cot z: dc/dz = -(1 + c^2), so P_0 = c and P_(k+1) = -(1 + c^2) P_k'.
  cotangent_ = {0.0, 1.0};
  for (int64_t k = 0; k < n_; ++k) {
    std::vector<double> next(cotangent_.size() + 1, 0.0);
    for (size_t j = 1; j < cotangent_.size(); ++j) {
      const double d = static_cast<double>(j) * cotangent_[j];
      next[j - 1] -= d;
      next[j + 1] -= d;
    }
    cotangent_ = std::move(next);
  }
}

double Polygamma::operator()(double x) const {
  if (n_ == 0) return digamma(x);
  if (x != x) return x;
  if (x > 0.0) return x == kInf ? 0.0 : positive(x);
  const bool odd = n_ % 2 != 0;
  if (x == 0.0) return odd ? kInf : -kInf;
  if (x == std::floor(x)) return odd && x != -kInf ? kInf : kNan;
  // psi_n(x) = (-1)^n psi_n(1 - x) - pi d^n/dx^n cot(pi x).
  const double c = cot_pi(x);
  double p = 0.0;
  for (size_t j = cotangent_.size(); j-- > 0;) p = p * c + cotangent_[j];
  for (int64_t k = 0; k <= n_; ++k) p *= kPi;
  return (odd ? -positive(1.0 - x) : positive(1.0 - x)) - p;
}

/// psi_n(x) = (-1)^(n+1) n! sum_k (x + k)^-(n+1): the first terms one by one until q = x + k is at least n +
/// 12, then Euler-Maclaurin with s = n + 1: n! q^-s (q / (s - 1) + 1/2 + sum_j B_2j / (2j)! s (s + 1) ... (s
/// + 2j - 2) / q^(2j - 1)).
double Polygamma::positive(double x) const {
  const auto s = static_cast<double>(n_ + 1);
  // n! q^-s, factor by factor: the product leaves the range only where the result does.
  const auto term = [this](double q) {
    double t = 1.0 / q;
    for (int64_t i = 1; i <= n_; ++i) t *= static_cast<double>(i) / q;
    return t;
  };
  double sum = 0.0, q = x;
  for (; q < s + 11.0; q += 1.0) sum += term(q);
  double tail = 0.0, rising = s / q, j2 = 0.0;
  for (const double b : kBernoulli) {
    tail += rising / b;
    rising *= (s + j2 + 1.0) / q * ((s + j2 + 2.0) / q);
    j2 += 2.0;
  }
  sum += term(q) * (q / (s - 1.0) + 0.5 + tail);
  return n_ % 2 != 0 ? sum : -sum;
}

}  // namespace hesse::cpu
