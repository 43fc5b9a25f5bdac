#include "solvers/cvode.h"

#include <algorithm>
#include <array>

#include "core/node.h"
#include "core/ops.h"
#include "solvers/spans.h"

#ifdef HESSE_HAVE_SUNDIALS
#include "solvers/sundials/cvode_op.h"
#include "solvers/sundials/flat_state.h"
#include "solvers/sundials/linear_solvers.h"
#endif

namespace hesse::solvers {

bool is_cvode_method(std::string_view method) { return method == "BDF" || method == "Adams"; }

#ifndef HESSE_HAVE_SUNDIALS

bool has_cvode() { return false; }
int64_t live_sundials_objects() { return 0; }

Solution solve_cvode(const RecordedIvp&, const IvpOptions& options) {
  throw ValueError(concat("solve_ivp: method ", options.method,
                          " needs SUNDIALS, without which this build was made; build with "
                          "-DHESSE_SUNDIALS=ON (Debian: libsundials-dev; pip: --config-settings=cmake.define."
                          "HESSE_SUNDIALS=ON), or use another method"));
}

#else

bool has_cvode() { return true; }

namespace {

namespace operand = sundials::operand;
using sundials::FlatState;

// (t, y [N], captures...) -> dy [N], of float64.
Ref<const Graph> flat_field(const RecordedIvp& problem, const FlatState& state) {
  Avals avals{{{}, kFloat64}, {Shape{state.size()}, kFloat64}};
  for (const Array& c : problem.captures) avals.push_back(aval(c));
  return trace_closed(
      [&](std::span<const Array> x) {
        Arrays in{astype(x[0], problem.field->input_aval(0).dtype)};
        for (const Array& y : state.arrays(x[1], false)) in.push_back(y);
        in.insert(in.end(), x.begin() + 2, x.end());
        return Arrays{FlatState::flat(problem.field->call(in))};
      },
      avals);
}

// IvpStatus of what cannot be known before the values are.
Array status_of_options(const RecordedIvp& problem, const IvpOptions& options, const Array& times_ok) {
  Array ok = logical_and(isfinite(problem.t1 - problem.t0), greater_equal(problem.rtol, 0.0));
  for (const Array& a : problem.atol) ok = logical_and(ok, all(greater_equal(a, 0.0)));
  for (const auto& step : {options.first_step, options.max_step})
    if (step) ok = logical_and(ok, greater(*step, 0.0));
  const auto code = [](IvpStatus s) { return Array(static_cast<int64_t>(s)); };
  return astype(where(ok, where(times_ok, code(IvpStatus::Success), code(IvpStatus::BadTimes)),
                      code(IvpStatus::BadOptions)),
                kInt64);
}

}  // namespace

Solution solve_cvode(const RecordedIvp& problem, const IvpOptions& options) {
  const std::string& linear = options.linear_solver;
  require(linear != "klu" || sundials::has_sparse_solver(),
          "solve_ivp: linear_solver 'klu' needs KLU of SuiteSparse, without which this build was made; build "
          "with "
          "-DHESSE_KLU=ON (Debian: libsuitesparse-dev), or use another linear solver");
  for (size_t i = 0; i < problem.y0.size(); ++i)
    require<TypeError>(!is_complex(problem.y0[i].dtype()), "solve_ivp: array ", i, " of y0 is ",
                       describe(problem.y0[i]), "; ", options.method,
                       " solves real states: give real and imaginary parts as two arrays");
  const FlatState state(problem.y0);
  const Ref<const Graph> field = flat_field(problem, state);
  const sundials::CvodeOptions how{options.method, linear, options.max_steps, options.throw_on_failure,
                                   state.sizes()};

  Array times = problem.t0, times_ok(true);
  if (options.t_eval) {
    times = real_times("solve_ivp", *options.t_eval);
    times_ok = in_order("solve_ivp", times, problem.t0, problem.t1);
  }
  Arrays atol;
  for (size_t i = 0; i < problem.y0.size(); ++i)
    atol.push_back(broadcast_to(astype(problem.atol[i], kFloat64), problem.y0[i].shape()));
  const auto number = [](const std::optional<Array>& x) {
    return x ? stop_gradient(astype(*x, kFloat64)) : Array::from<double>(std::array{0.0}, {});
  };
  Arrays x(operand::more);
  x[operand::t0] = problem.t0;
  x[operand::times] = times;
  x[operand::y0] = FlatState::flat(problem.y0);
  x[operand::rtol] = stop_gradient(astype(problem.rtol, kFloat64));
  x[operand::atol] = stop_gradient(FlatState::flat(atol));
  x[operand::first_step] = number(options.first_step);
  x[operand::max_step] = number(options.max_step);
  x[operand::status] = stop_gradient(status_of_options(problem, options, times_ok));
  x.insert(x.end(), problem.captures.begin(), problem.captures.end());

  Solution out;
  if (!options.t_eval) {
    const auto known = [](const Array& a) { return !a.is_symbol(); };
    require<TraceError>(
        std::all_of(x.begin(), x.end(), known) && known(problem.t1),
        "solve_ivp: how many steps there are depends on values; give t_eval, the times of the "
        "solution, under vmap, compile and in loops");
    out = sundials::cvode_steps(field, how, x, problem.t1);
    const bool tracked = std::any_of(x.begin(), x.end(), is_tracked) || is_tracked(problem.t1);
    if (tracked && out.t.size() > 0) {  // the same steps again, differentiably, with their times given
      const bool arrived = out.status.item<int64_t>() == 0;
      x[operand::times] = out.t = step_times(out.t, problem.t0, problem.t1, arrived);
      out.y = {hesse::apply(sundials::cvode_op(field, how), x)[0]};
    }
    out.y = state.arrays(out.y[0], true);
    return out;
  }
  const Arrays y = hesse::apply(sundials::cvode_op(field, how), x);
  out.t = times;
  out.y = state.arrays(y[0], true);
  sundials::put_counts(out, std::span<const Array>(y).subspan(1));
  return out;
}

#endif

}  // namespace hesse::solvers
