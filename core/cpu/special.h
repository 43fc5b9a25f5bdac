#pragma once
#include <cstdint>
#include <vector>

/// Special functions of one number that <cmath> lacks. Errors are relative, in units of the last place of a
/// double, and were measured against 50-digit values.
namespace hesse::cpu {

/// log |Gamma(x)|, without the global variable that std::lgamma writes.
double log_gamma(double x);

/// psi(x) = d/dx log Gamma(x). x > 0: within 4 units, at its root 1.46... too; x < 0: the error is absolute,
/// a few units of psi(1 - x), where cotangent and psi cancel. -inf at +0, inf at -0, NaN at the negative
/// integers and -inf.
double digamma(double x);

/// The n-th derivative of digamma. x > 0: within n + 10 units. Odd n has a pole (inf) at 0 and the negative
/// integers; even n has -inf at 0 and NaN at the negative integers.
class Polygamma {
 public:
  explicit Polygamma(int64_t n);
  double operator()(double x) const;

 private:
  double positive(double x) const;
  int64_t n_;
  std::vector<double> cotangent_;  // d^n/dz^n cot z as a polynomial in cot z
};

}  // namespace hesse::cpu
