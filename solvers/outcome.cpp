#include "solvers/outcome.h"

#include <algorithm>
#include <cmath>

#include "core/op_table.h"
#include "core/ops.h"
#include "core/status.h"
#include "solvers/lanes.h"
#include "solvers/lists.h"

namespace hesse::solvers {
namespace {

/// Inputs: x, status, steps, residual.
class SolveCompleted final : public Completed {
 public:
  explicit SolveCompleted(std::string function) : function_(std::move(function)) {}
  std::string_view name() const override { return "solve_completed"; }
  Params params() const override { return {{"function", function_}}; }

 private:
  std::string_view function() const override { return function_; }
  std::string reason(std::span<const Array> x) const override {
    return concat(describe(static_cast<SolveStatus>(x[1].item<int64_t>())), " (steps: ", x[2].item<int64_t>(),
                  ", residual: ", x[3].item<double>(), ")");
  }
  std::string function_;
};

const bool registered = (register_ops({listed<SolveCompleted>("solve_completed", "function")}), true);

}  // namespace

Arrays Completed::eval(std::span<const Array> x) const {
  if (x[1].item<int64_t>() == 0) return {x[0]};
  report_failure(Failure::Numerical, function(), reason(x));
  return {full(x[0].shape(), nan_of(x[0].dtype()))};
}
void Completed::kernel(std::span<const View> x, std::span<const View> out, int) const {
  cpu::assign(x[0], out[0]);
  for_each_failure(x[1], [&](const Dims& lane) {
    const View at = at_lane(out[0], lane);
    if (lane.size() < 2) return cpu::assign(eval(copied(x, lane))[0].view(), at);
    std::string message;
    {
      const FailureScope scope;
      cpu::assign(eval(copied(x, lane))[0].view(), at);
      message = scope.message();
    }
    // Which example of the outermost map it was that map finds out.
    for (size_t d = 0; d + 1 < lane.size(); ++d)
      message = concat("example ", lane[d], ": ", d > 0 ? "map: " : "", message);
    report_failure(Failure::Numerical, "map", message);
  });
}
MaybeArrays Completed::jvp(std::span<const Array>, std::span<const Array>,
                           std::span<const MaybeArray> dx) const {
  return {dx[0]};
}
bool Completed::is_linear_in(const std::vector<bool>& marked) const {
  return std::find(marked.begin() + 1, marked.end(), true) == marked.end();
}

std::string describe(SolveStatus status) {
  switch (status) {
    case SolveStatus::Success:
      return "the solution was found";
    case SolveStatus::TooManySteps:
      return "max_steps steps did not lead to the tolerances: raise max_steps or the tolerances, or start "
             "closer";
    case SolveStatus::NoProgress:
      return "no step improves it any more: the tolerances may be below what rounding allows, there may be "
             "no "
             "solution near, or another start or method is needed";
    case SolveStatus::NotFinite:
      return "NaN or infinity came up: look at the function where it starts, and at its arguments";
    case SolveStatus::Singular:
      return "the matrix, or the Jacobian where the solver is, is singular or unfit for the method: another "
             "start or method is needed";
    case SolveStatus::BadOptions:
      return "rtol and atol must not be below 0";
  }
  return "unknown status";
}

Array completed(std::string_view function, const Array& x, const Array& status, const Array& steps,
                const Array& residual) {
  return apply1(make_op<SolveCompleted>(std::string(function)),
                {x, stop_gradient(status), stop_gradient(steps), stop_gradient(residual)});
}

}  // namespace hesse::solvers
