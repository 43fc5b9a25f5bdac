#pragma once
#include "solvers/field.h"
#include "solvers/ode.h"

namespace hesse::solvers {

/// The events of a solve as they were recorded: what they are at a time, and where in a step they pass zero.
/// What they capture are operands, as for the field.
class Events {
 public:
  /// Records them for a state like y0 and appends what they capture to `operands`. Throws ValueError for an
  /// event that does not return a scalar or whose `terminal` or `direction` does not fit, TypeError for one
  /// that returns integers or complex numbers.
  Events(const std::vector<Event>& events, const Field& field, const Arrays& y0, Arrays& operands);

  size_t size() const { return recorded_.size(); }
  /// Event k ends the solution when it happens for the terminal(k)-th time; 0: never.
  int64_t terminal(size_t k) const { return recorded_[k].terminal; }
  int direction(size_t k) const { return recorded_[k].direction; }
  /// g_k(t, y), a float64 scalar.
  Array value(size_t k, const Array& t, std::span<const Array> y, std::span<const Array> operands) const;
  /// What value(k, ...) counts as at the beginning, given the slopes and a first step there: 0, and so no
  /// sign that could change, where g is zero within rounding of the time.
  Array value_at_start(size_t k, const Array& t, const Array& h, std::span<const Array> y,
                       std::span<const Array> slopes, std::span<const Array> operands) const;
  /// Whether g_k passes zero in its direction from one value to another: a bool scalar.
  Array passes(size_t k, const Array& from, const Array& to) const;
  /// Where in [0, 1] g passes zero, given its values at both ends, by the ITP method (Oliveira and Takahashi
  /// 2020): superlinear, and never slower than bisection by more than one step. Nothing is evaluated where
  /// not `active`. `tolerance`: a float64 scalar.
  static Array locate(const std::function<Array(const Array& x)>& g, const Array& from, const Array& to,
                      const Array& active, const Array& tolerance);

 private:
  struct Recorded {
    Ref<const Graph> graph;  // (t, y..., captures...) -> g
    size_t first, count;     // its captures among the operands
    int64_t terminal;
    int direction;
  };
  DType time_;
  std::vector<Recorded> recorded_;
};

}  // namespace hesse::solvers
