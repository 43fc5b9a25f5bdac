#pragma once
#include <functional>

#include "solvers/breaks.h"
#include "solvers/events.h"
#include "solvers/reporter.h"
#include "solvers/stepper.h"

namespace hesse::solvers {

inline constexpr int64_t kSuccess = static_cast<int64_t>(IvpStatus::Success);

/// The loop of steps from one stop to the next: an output time that is reached, a step's end, or an event.
/// It knows how a step is taken and where events lie in it, and nothing of what is made of the stops.
class Stops {
 public:
  /// `t1` and `direction` are scalars, as for Stepper; `operands` are those of the field and the events.
  struct Problem {
    Array t1, direction;
    Arrays operands;
    std::optional<Breaks> breaks = {};
  };
  /// `most[k]`: how often event k may happen; -1: as often as it does. `looks_back`: states within the last
  /// step are asked for, with or without events. `checkpoint_every`: as of Discrete (solvers/adjoint.h).
  /// `reports`: where loops of steps report how far they are; reverse mode keeps no more of them than every
  /// so many.
  Stops(const Stepper& stepper, const Events& events, std::vector<int64_t> most, int64_t max_steps,
        bool looks_back, int64_t checkpoint_every, Reports reports = {});

  /// What the loop carries.
  struct State {
    Stepper::State steps;
    // Carried where the method does not interpolate and there are events, or states within steps are asked
    // for:
    Array t_begin;               // the beginning of the last step, which is taken again
    Arrays y_begin, kept_begin;  // as far as a time within it.
    // Carried where there are events:
    Arrays g;        // of each event at the end of the last step; 0: no sign yet
    Arrays pending;  // where in the last step it passes zero, in [0, 1]; infinity: it does not
    Arrays counts;   // how often it happened
    Array ended;     // the terminal event that ended the solution, or -1
    Array reported;  // of every step a stop: the steps that were
  };
  Arrays pack(const State& s) const;
  State unpack(std::span<const Array> x) const;
  /// `h`, `slopes`: the first step and the slopes at the start.
  State start(const Stepper::State& steps, const Arrays& slopes, const Problem& p) const;

  struct Stop {
    State state;
    Array kind;  ///< an int64 scalar: kTarget, kStep, the number of an event, or kNone: it goes no further
    Array t;     ///< where it stopped; at kNone without meaning
    Arrays y;
  };
  static constexpr int64_t kNone = -3, kStep = -2, kTarget = -1;
  /// Steps to `target`, where an event does not come first.
  Stop next(const State& from, const Array& target, const Problem& p) const;
  /// One step, or to the event that comes next within the last one; the end of the span is the target.
  Stop next_step(const State& from, const Problem& p) const;

  /// What is needed to know the state within the last step: its end is the second of the arrays.
  Arrays segment(const State& s) const;
  Arrays within(std::span<const Array> segment, const Array& t, const Problem& p) const;

  const Stepper& stepper() const { return stepper_; }
  size_t num_events() const { return events_.size(); }
  /// Null: nobody is told.
  Reporter* reporter() const { return reports_.to.get(); }

 private:
  Array goes_on(const State& s, const Array& target, const Problem& p) const;
  State attempt(const State& s, const Array& end, const Problem& p) const;
  Stepper::State afresh(const Stepper::State& s, const Problem& p) const;
  State judged(const State& before, State after, const Problem& p) const;
  Arrays at(const State& s, const Array& t, const Problem& p) const;
  Array begin(const State& s) const { return interpolates_ ? s.steps.t_last : s.t_begin; }
  Stop stopped(State s, const Array& target, const Array& arrived, int64_t what, const Problem& p) const;

  const Stepper& stepper_;
  const Events& events_;
  std::vector<int64_t> most_;
  int64_t max_steps_, checkpoint_every_;
  bool interpolates_, keeps_begin_;
  Reports reports_;
};

}  // namespace hesse::solvers
