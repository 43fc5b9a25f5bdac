#pragma once
#include <optional>
#include <string_view>

#include "core/array.h"

namespace hesse::solvers {

/// Data at times as a function of the time, for right-hand sides that are driven by measurements.
/// Differentiable in the values, the times and the time it is asked at. Outside the data it is the value at
/// their end.
class Interpolation {
 public:
  /// `times` [n], ascending, n >= 2; `values` [n, ...], floating or complex. `kind`: "linear"; "cubic": the
  /// cubics with the slopes at both ends of an interval that are those of the parabola through three
  /// neighbours (Fritsch and Carlson 1980 call it the three-point difference): continuous with its slope,
  /// exact for parabolas, O(h^3); "natural" and "not-a-knot": the cubic splines whose second derivative is
  /// zero at both ends, or whose first two and last two cubics are one (de Boor, A practical guide to
  /// splines, IV): continuous with two derivatives, O(h^4) for the latter. Throws ValueError for shapes that
  /// do not fit, times that are known not to ascend and other kinds; TypeError for integers.
  Interpolation(const Array& times, const Array& values, std::string_view kind = "cubic");
  /// Of parts that were made before. Without slopes: linear.
  Interpolation(Array times, Array values, std::optional<Array> slopes)
      : times_(std::move(times)), values_(std::move(values)), slopes_(std::move(slopes)) {}

  /// At a time of any shape: [shape of t..., ...].
  Array operator()(const Array& t) const;
  const Array& times() const { return times_; }
  const Array& values() const { return values_; }
  const std::optional<Array>& slopes() const { return slopes_; }

 private:
  Array times_, values_;
  std::optional<Array> slopes_;
};

}  // namespace hesse::solvers
