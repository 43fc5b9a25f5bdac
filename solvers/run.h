#pragma once
#include "solvers/stops.h"

namespace hesse::solvers {

/// What is kept of a state at an output time: (t, y, operands) -> arrays. Empty: the state itself.
using Keep = std::function<Arrays(const Array& t, std::span<const Array> y, std::span<const Array> operands)>;

/// The same of rows: states y [n, ...] at times t [n]; NaN where a row holds NaN. `y0`: one state.
Arrays kept_of_rows(const Keep& keep, const Array& t, const Arrays& y, const Arrays& y0,
                    const Arrays& operands);

/// What became of the stops of a solve.
struct Run {
  Stops::State last;
  Array t;   ///< [n]
  Arrays y;  ///< [n, ...]
  std::vector<Array> t_events;
  std::vector<Arrays> y_events;
  Array t_end;
  Arrays y_end;
  std::vector<Arrays> segments;  ///< of every step (Stops::segment), where they were asked for
};

/// To the times [n] one after the other, as one loop: shapes do not depend on values. Where there are
/// events, then to the end of the span; event k has `most[k]` rows, and rows of what did not happen are NaN.
Run run_to(const Array& times, const Stops& stops, const Stops::State& start, const Stops::Problem& p,
           const Keep& keep, const std::vector<int64_t>& most);

/// Stop after stop, as values say: to the times or, without, to the ends of steps. Times after a terminal
/// event are left out, those after a failure are NaN.
Run run_stop_by_stop(const std::optional<Array>& times, const Stops& stops, const Stops::State& start,
                     const Stops::Problem& p, const Keep& keep, bool keeps_segments);

}  // namespace hesse::solvers
