#pragma once
#include <memory>
#include <optional>

#include "solvers/method.h"

namespace hesse::solvers {

/// Attempts of a method, and the choice of the next step. It knows nothing of output times.
/// The operands of a step are the captures of the field, then rtol, then one atol for each array of the
/// state.
class Stepper {
 public:
  Stepper(std::unique_ptr<const Method> method, std::optional<Array> max_step);

  const Method& method() const { return *method_; }
  bool adapts() const { return method_->error_order() > 0; }

  /// What a loop carries.
  struct State {
    Array t, h;  ///< h: the size of the next step, without a sign
    Array norm;  ///< of the last accepted step
    Array accepted, rejected, status;
    Array evaluations;  ///< of methods that iterate; else it is not carried
    Arrays y, kept;
    Array t_last;  ///< the last step, to interpolate in: its beginning
    Arrays y_last, dense;
  };
  Arrays pack(const State& s) const;
  State unpack(std::span<const Array> x) const;
  State start(const Array& t0, const Arrays& y0, const Arrays& f0, const Array& h) const;

  /// One attempt from s; a step that would pass `end` ends there.
  State attempt(const State& s, const Array& end, const Array& direction,
                std::span<const Array> operands) const;
  /// The state at a time within the last step.
  Arrays interpolate(const State& s, const Array& t) const {
    return method_->interpolate({s.t_last, s.t, s.y_last, s.y, s.kept, s.dense}, t);
  }
  /// A first step: from the sizes of y, f and a difference of f (Hairer, Norsett, Wanner I, II.4).
  Array guess(const Array& t0, const Array& t1, const Array& direction, const Arrays& y0, const Arrays& f0,
              std::span<const Array> operands) const;
  /// An attempt of size h, to see what is wrong with it: the array and the entry of the state whose error is
  /// largest, that over its tolerance (infinity: not finite; NaN: steps are fixed), and whether the equations
  /// of its stages were solved.
  struct Attempted {
    Array array, entry, excess, solved;
  };
  Attempted attempted_once(const Array& t, const Array& h, const Array& direction, const Arrays& y,
                           const Arrays& kept, const Arrays& operands) const;

 private:
  struct Parts;
  Parts parts(std::span<const Array> in) const;
  Arrays inputs(const State& s, const Array& step, std::span<const Array> operands) const;
  Arrays attempted(std::span<const Array> in) const;
  Arrays gated(const Arrays& in) const;
  Array scale(const Array& y, const Array& y_next, size_t j, std::span<const Array> operands) const;
  Array squares(const Arrays& x, std::span<const Array> y, std::span<const Array> y_next,
                std::span<const Array> operands) const;
  void control(State& next, const State& s, const Array& norm, const Array& accept, const Array& clipped,
               const Array& step) const;

  std::unique_ptr<const Method> method_;
  std::optional<Array> max_step_;
  size_t n_;           // arrays of the state
  bool interpolates_;  // whether the last step is carried
};

/// What Diagnosis::found() holds, of the next attempt from s, where `status` says that the solve gave up.
/// Nothing is recorded or evaluated for that, in a map neither, where it did not.
Arrays diagnose(const Stepper& stepper, const Array& direction, const Stepper::State& s, const Array& status,
                std::span<const Array> operands);

}  // namespace hesse::solvers
