#pragma once
#include "solvers/sundials/cvode_op.h"
#include "solvers/sundials/watch.h"

/// The op that solves with CVODES and finds events. Operands: those of `cvode`, whose last time is the end of
/// the span, then the values of the conditions at t0 as they count [K] (Events::value_at_start), q... It
/// gives what `cvode` does, where rows after a terminal event are NaN, too; then the times of the events [M]
/// and the states at them [M, N], those of event 0 before those of event 1, as many rows as each may have,
/// NaN where it did not happen; how often each happened [K] (int64); the terminal event that ended the
/// solution, or -1 (int64). Derivatives are those of solutions of their own, as of `cvode`; that of the time
/// of an event follows from its equation.
namespace hesse::solvers::sundials {

namespace event_output {
enum : size_t { y, counts, times = counts + kNumCounts, states, event_counts, ended };
}

/// `most` [K]: the rows of each event; more are a failure.
OpRef cvode_events_op(const Ref<const Graph>& field, const CvodeOptions& options,
                      const Conditions& conditions, const Dims& most);

/// The outputs of that op with as many rows of each event as it happened, and the times that were reached.
/// `every_step`: there is a row of y for t0, every step and the end. `x`: its operands, with data.
/// `polynomials` takes those of the steps; null: nobody.
struct FoundEvents {
  Arrays outputs;
  Array t;
  Dims most;  ///< how often each event happened
};
FoundEvents find_events(const Ref<const Graph>& field, const CvodeOptions& options,
                        const Conditions& conditions, const Arrays& x, bool every_step,
                        Polynomials* polynomials = nullptr);

}  // namespace hesse::solvers::sundials
