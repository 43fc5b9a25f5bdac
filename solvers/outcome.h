#pragma once
#include <string>
#include <string_view>

#include "core/op.h"

/// How a solver of equations ended, and what becomes of its solution then.
namespace hesse::solvers {

/// The same for linear and nonlinear equations, fixed points and minima.
enum class SolveStatus : int64_t {
  Success = 0,
  TooManySteps = 1,
  NoProgress = 2,
  NotFinite = 3,
  Singular = 4,
  BadOptions = 5
};
/// What a status means and what to try, in a sentence.
std::string describe(SolveStatus status);

/// x[0] where the status x[1] (int64, a scalar; of an enum whose success is 0) says so. Else NaN, and the
/// failure is reported. Derivatives pass through x[0].
class Completed : public General {
 public:
  Avals infer(std::span<const Aval> x) const final { return {x[0]}; }
  Arrays eval(std::span<const Array> x) const final;
  bool has_lane_kernel() const final { return true; }
  void kernel(std::span<const View> x, std::span<const View> out, int lane_axes) const final;
  MaybeArrays jvp(std::span<const Array> x, std::span<const Array> y,
                  std::span<const MaybeArray> dx) const final;
  bool is_linear_in(const std::vector<bool>& marked) const final;
  bool reads_input(int) const final { return false; }
  bool reads_output(int) const final { return false; }

 protected:
  /// Who failed, and what is said about it.
  virtual std::string_view function() const = 0;
  virtual std::string reason(std::span<const Array> x) const = 0;
};

/// x where status (int64, a scalar) is 0. Else NaN, and a NumericalError of `function` that says why, after
/// how many steps (int64) and with which residual (a real scalar): at once, or from the program that runs it.
/// Derivatives pass through x.
Array completed(std::string_view function, const Array& x, const Array& status, const Array& steps,
                const Array& residual);

}  // namespace hesse::solvers
