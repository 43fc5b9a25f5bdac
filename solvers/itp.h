#pragma once
#include <algorithm>
#include <cmath>

#include "core/ops.h"

/// The ITP method for a zero in [a, b] of a function whose values at a and b differ in sign (Oliveira and
/// Takahashi, ACM TOMS 47, 2020, with kappa_1 = 0.2, kappa_2 = 2, n_0 = 1): superlinear, and never slower
/// than bisection by more than one step.
namespace hesse::solvers::itp {

// Numbers as arrays have them.
inline double where(bool condition, double x, double y) { return condition ? x : y; }
inline double maximum(double x, double y) { return std::max(x, y); }
inline double abs(double x) { return std::abs(x); }
inline double exp2(double x) { return std::exp2(x); }
inline double log2(double x) { return std::log2(x); }
inline double ceil(double x) { return std::ceil(x); }
inline double sign(double x) { return x > 0 ? 1.0 : x < 0 ? -1.0 : 0.0; }

inline constexpr int64_t kMostSteps = 200;

/// How many steps it may take to come within `tolerance`: bisection takes log2(1 / (2 tolerance)).
template <class T>
T steps_for(const T& tolerance) {
  return ceil(log2(0.5 / tolerance)) + 1.0;
}
/// Where to look next after `done` steps, of doubles or of arrays: the secant's zero, moved towards the
/// middle, and no further from that than bisection would allow.
template <class T>
T next(const T& a, const T& b, const T& ga, const T& gb, const T& tolerance, const T& done) {
  const T width = b - a, middle = 0.5 * (a + b), secant = (gb * a - ga * b) / (gb - ga);
  const T side = sign(middle - secant), truncated = maximum(0.2 * width * width, tolerance);
  const T shifted = where(truncated <= abs(middle - secant), secant + side * truncated, middle);
  const T stray = tolerance * exp2(steps_for(tolerance) - done) - 0.5 * width;
  return where(abs(shifted - middle) <= stray, shifted, middle - side * maximum(stray, T(0.0)));
}

}  // namespace hesse::solvers::itp
