#pragma once
#include <memory>

#include "core/program/scalar_function.h"
#include "solvers/sundials/integrate.h"

/// Solves that events are looked for in, on numbers.
namespace hesse::solvers::sundials {

/// Conditions g_k on a flat state (solvers/events.h), and how they count.
struct Conditions {
  Ref<const Graph> graph;  ///< (t, y [N], q...) -> K float64 scalars
  Dims terminal;           ///< [K]: the solution ends where it happens for this many times; 0: never
  Dims direction;          ///< [K]: 1: only where g rises through zero; -1: where it falls; 0: both
  size_t size() const { return terminal.size(); }
};

/// Their values, as code or a program. Immutable.
class ConditionValues final {
 public:
  explicit ConditionValues(const Ref<const Graph>& graph) : program_(graph) {}
  /// At one solve's q. Throws what g throws.
  class Call {
   public:
    Call(const ConditionValues& values, std::span<const Array> q);
    void operator()(double t, const double* y, std::span<double> g);

   private:
    const ConditionValues& values_;
    std::span<const Array> q_;
    std::optional<ScalarFunction::Call> code_;
  };

 private:
  Prepared program_;
  mutable std::once_flag once_;
  mutable std::unique_ptr<const ScalarFunction> code_;
};

/// What is watched in one solve.
struct Watch {
  const Conditions& conditions;
  const ConditionValues& values;
  std::span<const Array> q;
  std::span<const double> start;  ///< g at t0; 0: no sign yet (Events::value_at_start)
  Dims most;                      ///< [K]: how often each may happen; -1: as often as it does
};

/// The solution, and what happened.
struct Watched {
  Report report;
  std::vector<double> t, y;  ///< [rows], [rows, N]: at the times that were reached or after every step
  struct Occurrences {
    std::vector<double> t, y;
    int64_t count = 0;  ///< with the one that was too many
  };
  std::vector<Occurrences> events;  ///< of each
  int64_t ended = -1;               ///< the terminal event that ended it
};

/// Solves to each of the times, the last of which is the end of the span, unless a terminal event comes
/// first; with `every_step` there is a row for t0, every step and the end instead. An event happens where its
/// g passes zero from one end of a step to the other; it is found on the polynomial between them, to
/// rounding.
Watched integrate_watched(const Problem& problem, std::span<const double> times, bool every_step,
                          const Watch& watch);

}  // namespace hesse::solvers::sundials
