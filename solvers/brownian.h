#pragma once
#include "core/array.h"

namespace hesse::solvers {

/// A path of Brownian motion, a function of a key and of time: W(t0) = 0, and increments are independent and
/// normal, of variance the time between. Nothing is stored, and it does not matter in which order and how
/// often it is evaluated: solvers with other steps see the same path.
///
/// Levy and Ciesielski's series: with u = (t - t0) / (t1 - t0), hats of width 2^-l and independent normal
/// numbers Z, one for each hat (of the key, its level l and its place k),
///   W(t) = sqrt(t1 - t0) (u Z + sum_l 2^(-l/2 - 1) hat(2^l u - k) Z_lk),   hat(x) = 1 - |2 x - 1|, k =
///   floor(2^l u).
/// It ends with intervals of at most `tolerance`, a part of the span; a last term sqrt(x (1 - x)) Z in each
/// of them makes it exact in distribution at any times of which no two lie in the same one.
class BrownianPath {
 public:
  /// A path of arrays of that shape, of float64 or float32. t0 < t1: scalars; 2^-50 <= tolerance <= 1. Throws
  /// TypeError where `key` is no key and for other dtypes, ValueError for times and tolerances that do not
  /// fit.
  BrownianPath(const Array& key, const Array& t0, const Array& t1, Shape shape = {}, DType dtype = kFloat64,
               double tolerance = 1e-6);
  /// times.shape + shape. It is constant in the times: paths have no derivative. NaN outside of the span.
  Array operator()(const Array& times) const;

  const Shape& shape() const { return shape_; }
  DType dtype() const { return dtype_; }
  const Array& t0() const { return t0_; }
  const Array& t1() const { return t1_; }
  /// Where intervals end: 2^-levels of the span.
  int levels() const { return levels_; }

 private:
  Array at(const Array& t, const Array& keys) const;
  Array key_, t0_, t1_;
  Shape shape_;
  DType dtype_;
  int levels_;
};

}  // namespace hesse::solvers
