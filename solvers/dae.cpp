#include "solvers/dae.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "core/derivatives.h"
#include "core/op_table.h"
#include "core/ops.h"
#include "core/ops/control.h"
#include "core/ops/control_graph.h"
#include "solvers/lists.h"
#include "solvers/outcome.h"
#include "solvers/root_steps.h"
#include "solvers/spans.h"

#ifdef HESSE_HAVE_SUNDIALS
#include "solvers/reporter.h"
#include "solvers/sundials/flat_state.h"
#include "solvers/sundials/ida_op.h"
#endif

namespace hesse::solvers {

#ifndef HESSE_HAVE_SUNDIALS

Solution solve_dae(const DaeResidual&, const Array&, const Array&, const Arrays&, const Arrays&,
                   const DaeOptions&) {
  throw ValueError(
      "solve_dae needs SUNDIALS, without which this build was made; build with -DHESSE_SUNDIALS=ON (Debian: "
      "libsundials-dev; pip: --config-settings=cmake.define.HESSE_SUNDIALS=ON)");
}

#else

namespace {

using sundials::FlatState;
namespace operand = sundials::dae_operand;

/// Initial values where they are consistent. Inputs: values, SolveStatus, the largest residual, where.
class DaeStarted final : public Completed {
 public:
  std::string_view name() const override { return "dae_started"; }

 private:
  std::string_view function() const override { return "solve_dae"; }
  std::string reason(std::span<const Array> x) const override {
    const std::string residual = concat("the largest residual, entry ", x[3].item<int64_t>(),
                                        " of what F returns, is ", x[2].item<double>());
    const auto status = static_cast<SolveStatus>(x[1].item<int64_t>());
    if (status == SolveStatus::BadOptions)
      return concat("y0 and yp0 are not consistent: ", residual,
                    ", above the tolerances; let them be found (find_start)");
    const char* why = status == SolveStatus::Singular
                          ? "the derivative of F by them is singular: is the index of the system 1, and is "
                            "`algebraic` right?"
                      : status == SolveStatus::NotFinite ? "NaN or infinity came up"
                                                         : "better guesses are needed";
    return concat(
        "y0 and yp0 are not consistent, and algebraic entries of y0 and derivatives of the others "
        "that make F zero were not found; ",
        why, " (", residual, ")");
  }
};

const bool registered = (register_ops({listed<DaeStarted>()}), true);

void check_states(const Arrays& y0, const Arrays& yp0) {
  require(!y0.empty(), "solve_dae: y0 holds no arrays");
  for (size_t i = 0; i < y0.size(); ++i)
    require<TypeError>(is_inexact(y0[i].dtype()) && !is_complex(y0[i].dtype()), "solve_dae: array ", i,
                       " of y0 is ", describe(y0[i]),
                       ", expected real floating numbers; convert integers with astype, and give real and "
                       "imaginary parts as two arrays");
  require(yp0.size() == y0.size(), "solve_dae: yp0 holds ", yp0.size(), " arrays, expected ", y0.size(),
          ", as y0");
  for (size_t i = 0; i < y0.size(); ++i)
    require(yp0[i].shape() == y0[i].shape(), "solve_dae: array ", i, " of yp0 has shape ", yp0[i].shape(),
            ", expected ", y0[i].shape(), ", as y0");
}

/// F on a flat state, with what it captures.
struct Recorded {
  Ref<const Graph> residual;  // (t, y [N], y' [N], captures...) -> [N]
  Arrays captures;
};

Recorded record(const DaeResidual& f, const Arrays& y0, const FlatState& state) {
  const Aval flat{Shape{state.size()}, kFloat64};
  DType time = y0[0].dtype();
  for (const Array& y : y0) time = promote(time, y.dtype());
  const Traced traced = trace(
      [&](std::span<const Array> x) {
        const Arrays y = state.arrays(x[1], false), yp = state.arrays(x[2], false);
        Arrays r = f(astype(x[0], time), y, yp);
        require(r.size() == y0.size(), "solve_dae: F returns ", r.size(), " arrays for ", y0.size(),
                " of the state");
        for (size_t i = 0; i < r.size(); ++i) {
          if (r[i].is_weak()) r[i] = astype(r[i], y0[i].dtype());
          require(aval(r[i]) == aval(y0[i]), "solve_dae: F returns ", describe(r[i]), " for array ", i,
                  " of the state, which is ", describe(y0[i]), "; it must return the same shapes and dtypes");
        }
        return Arrays{FlatState::flat(r)};
      },
      Avals{{{}, kFloat64}, flat, flat}, true);
  return {traced.graph, traced.captures};
}

Arrays broadcast_like(const Arrays& given, const Arrays& y0, const char* name, DType dtype) {
  require(given.size() == 1 || given.size() == y0.size(), "solve_dae: ", name, " holds ", given.size(),
          " arrays, expected one, or one for each of the ", y0.size(), " of the state");
  Arrays out;
  for (size_t i = 0; i < y0.size(); ++i) {
    const Array& a = given[given.size() == 1 ? 0 : i];
    try {
      require(broadcast_shapes("solve_dae", a.shape(), y0[i].shape()) == y0[i].shape(), "");
    } catch (const ValueError&) {
      throw ValueError(concat("solve_dae: ", name, " of shape ", a.shape(), " does not fit array ", i,
                              " of the state, of shape ", y0[i].shape()));
    }
    out.push_back(broadcast_to(astype(a, dtype), y0[i].shape()));
  }
  return out;
}

// 1 for entries whose derivative is in F at the start, else 0.
Array differential_entries(const Recorded& f, const Array& t0, const Array& y0, const Array& yp0) {
  std::vector<bool> marked(static_cast<size_t>(f.residual->num_inputs()), false);
  marked[2] = true;
  const int64_t n = y0.size();
  const DerivedGraph d = derivatives().jvp(*without_effects(f.residual), marked, {true}, false);
  Arrays in{t0, y0, yp0};
  for (const Array& c : f.captures) in.push_back(is_inexact(c.dtype()) ? stop_gradient(c) : c);
  std::vector<Access> access(in.size(), Access::uniform());
  in.push_back(eye(n, {}, 0, kFloat64));
  access.push_back(Access::each());
  const Array columns = map(d.graph, n, in, access, {Result::each()})[0];  // row j: dF/dy'_j
  return astype(any(not_equal(columns, 0.0), Axes{1}), kFloat64);
}

struct Start {
  Array y0, yp0;  // [N], without derivatives; NaN where they were not found
};

// Algebraic entries of y0 and derivatives of the others such that F = 0, from guesses.
Start consistent(const Recorded& f, const Array& t0, const Array& y0, const Array& yp0,
                 const Array& differential, const Array& weight, bool find, bool raise) {
  const Array is_differential = equal(differential, 1.0);
  const Array none = zeros_like(y0);
  const auto y_of = [&](const Array& z) { return where(is_differential, y0, z); };
  const auto yp_of = [&](const Array& z) { return where(is_differential, z, none); };
  const Arrays like{y0};
  const Packing packing("solve_dae", "y0", like, Packing::Empty::IsAllowed);
  Arrays constants;
  for (const Array& c : f.captures) constants.push_back(is_inexact(c.dtype()) ? stop_gradient(c) : c);
  const VectorFn residual = record(
      "solve_dae", "y0",
      [&](std::span<const Array> z) {
        Arrays in{t0, y_of(z[0]), yp_of(z[0])};
        in.insert(in.end(), constants.begin(), constants.end());
        return without_effects(f.residual)->call(in);
      },
      packing, packing);
  const Array z0 = where(is_differential, yp0, y0), r0 = residual(z0);
  RootIterate last{z0, r0, scalar(0), scalar(1),
                   where(all(isfinite(r0)), kRunning, code(SolveStatus::NotFinite))};
  if (find) {
    const Tolerances tolerances("solve_dae", Array(1e-8), {Array(1e-12)}, packing);
    last = newton(residual, tolerances, last, {.max_steps = 100});
    // Rounding may keep the last steps from being small.
    last.status =
        where(logical_and(equal(last.status, code(SolveStatus::NoProgress)), max_abs(last.f) <= 1e-10),
              code(SolveStatus::Success), last.status);
  } else {
    last.status = where(all(abs(r0) <= weight), code(SolveStatus::Success), code(SolveStatus::BadOptions));
  }
  const Array worst = max_abs(last.f), which = argmax(abs(last.f));
  const Array z = raise ? apply1(the<DaeStarted>(), {last.v, last.status, worst, which})
                        : where(equal(last.status, code(SolveStatus::Success)), last.v, nan_of(kFloat64));
  return {stop_gradient(y_of(z)), stop_gradient(yp_of(z))};
}

}  // namespace

Solution solve_dae(const DaeResidual& f, const Array& t0_in, const Array& t1_in, const Arrays& y0_in,
                   const Arrays& yp0_in, const DaeOptions& options) {
  const std::string& linear = options.linear_solver;
  require(linear == "auto" || linear == "dense" || linear == "krylov", "solve_dae: linear_solver is '",
          linear, "', expected auto, dense or krylov");
  const Array t0 = real_scalar("solve_dae", t0_in, "t0"), t1 = real_scalar("solve_dae", t1_in, "t1");
  if (is_constant(t0) && is_constant(t1))
    require(std::isfinite(t0.item<double>()) && std::isfinite(t1.item<double>()), "solve_dae: the span from ",
            t0.item<double>(), " to ", t1.item<double>(), " is not finite");
  const Arrays y0 = strong(y0_in);
  check_states(y0, yp0_in);
  const Array rtol = real_scalar("solve_dae", options.rtol, "rtol");
  check_positive("solve_dae", rtol, "rtol", true);
  const Array atol = FlatState::flat(broadcast_like(options.atol, y0, "atol", kFloat64));
  check_positive("solve_dae", atol, "atol", true);
  const auto step = [&](const std::optional<Array>& x, const char* name) {
    if (!x) return Array::from<double>(std::array{0.0}, {});
    check_positive("solve_dae", *x, name, false);
    return stop_gradient(real_scalar("solve_dae", *x, name));
  };
  require(options.max_steps > 0, "solve_dae: max_steps is ", options.max_steps, ", expected 1 or more");

  const FlatState state(y0);
  const Recorded recorded = record(f, y0, state);
  const Array flat = FlatState::flat(y0), guess = stop_gradient(flat);
  const Array guess_p = stop_gradient(FlatState::flat(yp0_in));
  Array differential;
  if (options.algebraic) {
    for (const Array& a : *options.algebraic)
      require<TypeError>(a.dtype() == kBool, "solve_dae: algebraic is ", describe(a), ", expected bools");
    differential = astype(
        equal(FlatState::flat(broadcast_like(*options.algebraic, y0, "algebraic", kFloat64)), 0.0), kFloat64);
  } else if (state.size() == 0) {
    differential = zeros({0}, kFloat64);
  } else {
    differential = differential_entries(recorded, stop_gradient(t0), guess, guess_p);
  }
  Start start{guess, guess_p};
  if (state.size() > 0)
    start = consistent(recorded, stop_gradient(t0), guess, guess_p, differential,
                       10.0 * (stop_gradient(atol) + stop_gradient(rtol) * (abs(guess) + abs(guess_p))),
                       options.find_start, options.throw_on_failure);

  Array times = t0, times_ok(true);
  if (options.t_eval) {
    times = real_times("solve_dae", *options.t_eval);
    times_ok = in_order("solve_dae", times, t0, t1);
  }
  Array options_ok =
      logical_and(isfinite(t1 - t0), logical_and(greater_equal(rtol, 0.0), all(greater_equal(atol, 0.0))));
  for (const auto& h : {options.first_step, options.max_step})
    if (h) options_ok = logical_and(options_ok, greater(*h, 0.0));
  const auto status = [](IvpStatus s) { return Array(static_cast<int64_t>(s)); };

  Arrays x(operand::p);
  x[operand::t0] = t0;
  x[operand::times] = times;
  x[operand::y0] = where(equal(differential, 1.0), flat, start.y0);
  x[operand::yp0] = start.yp0;
  x[operand::rtol] = stop_gradient(rtol);
  x[operand::atol] = stop_gradient(atol);
  x[operand::first_step] = step(options.first_step, "first_step");
  x[operand::max_step] = step(options.max_step, "max_step");
  x[operand::status] = stop_gradient(
      astype(where(options_ok, where(times_ok, status(IvpStatus::Success), status(IvpStatus::BadTimes)),
                   status(IvpStatus::BadOptions)),
             kInt64));
  x[operand::differential] = stop_gradient(differential);
  x.insert(x.end(), recorded.captures.begin(), recorded.captures.end());

  StateNames names{options.names, {}};
  for (const Array& y : y0) names.shapes.push_back(y.shape());
  const sundials::IdaOptions how{linear, options.max_steps, options.throw_on_failure, names,
                                 make_reporter("solve_dae", options.progress, options.progress_interval, x)};
  Solution out;
  if (!options.t_eval) {
    const auto known = [](const Array& a) { return !a.is_symbol(); };
    require<TraceError>(
        std::all_of(x.begin(), x.end(), known) && known(t1),
        "solve_dae: how many steps there are depends on values; give t_eval, the times of the "
        "solution, under vmap, compile and in loops");
    out = sundials::ida_steps(recorded.residual, how, x, t1);
    const bool tracked = std::any_of(x.begin(), x.end(), is_tracked) || is_tracked(t1);
    if (tracked && out.t.size() > 0) {  // the same steps again, differentiably, with their times given
      x[operand::times] = out.t = step_times(out.t, t0, t1, out.status.item<int64_t>() == 0);
      out.y = {hesse::apply(sundials::ida_op(recorded.residual, how.silent()), x)[0]};
    }
    out.y = state.arrays(out.y[0], true);
    return out;
  }
  const Arrays y = hesse::apply(sundials::ida_op(recorded.residual, how), x);
  out.t = times;
  out.y = state.arrays(y[0], true);
  const auto counts = std::span<const Array>(y).subspan(2);
  put_counts(out, counts);
  sundials::put_diagnosis(out, counts, how.reporting());
  return out;
}

#endif

}  // namespace hesse::solvers
