#include "solvers/cvode.h"

#include <algorithm>
#include <array>

#include "core/node.h"
#include "core/ops.h"
#include "solvers/lists.h"
#include "solvers/spans.h"

#ifdef HESSE_HAVE_SUNDIALS
#include "solvers/reporter.h"
#include "solvers/sparse_solve.h"
#include "solvers/sundials/cvode_dense_op.h"
#include "solvers/sundials/cvode_events_op.h"
#include "solvers/sundials/cvode_op.h"
#include "solvers/sundials/flat_state.h"
#include "solvers/sundials/linear_solvers.h"
#endif

namespace hesse::solvers {

bool is_cvode_method(std::string_view method) {
  return method == "BDF" || method == "Adams" || method == "ARKODE_ERK" || method == "ARKODE_DIRK" ||
         method == "ARKODE_IMEX";
}

#ifndef HESSE_HAVE_SUNDIALS

bool has_cvode() { return false; }
int64_t live_sundials_objects() { return 0; }

Solution solve_cvode(const RecordedIvp&, const IvpOptions& options, const RecordedEvents*) {
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
Ref<const Graph> flat_field(const Ref<const Graph>& field, const RecordedIvp& problem,
                            const FlatState& state) {
  Avals avals{{{}, kFloat64}, {Shape{state.size()}, kFloat64}};
  for (const Array& c : problem.captures) avals.push_back(aval(c));
  return trace_closed(
      [&](std::span<const Array> x) {
        Arrays in{astype(x[0], field->input_aval(0).dtype)};
        for (const Array& y : state.arrays(x[1], false)) in.push_back(y);
        in.insert(in.end(), x.begin() + 2, x.end());
        return Arrays{FlatState::flat(field->call(in))};
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

// The conditions of events on a flat state.
sundials::Conditions flat_conditions(const RecordedEvents& r, const FlatState& state) {
  Avals avals{{{}, kFloat64}, {Shape{state.size()}, kFloat64}};
  for (size_t i = r.first; i < r.operands.size(); ++i) avals.push_back(aval(r.operands[i]));
  sundials::Conditions out;
  out.graph = trace_closed(
      [&](std::span<const Array> x) {
        Arrays operands(r.first, x[0]), values;  // of which none is read but those that events capture
        append(operands, x.subspan(2));
        const Arrays y = state.arrays(x[1], false);
        for (size_t k = 0; k < r.events.size(); ++k) values.push_back(r.events.value(k, x[0], y, operands));
        return values;
      },
      avals);
  for (size_t k = 0; k < r.events.size(); ++k) {
    out.terminal.push_back(r.events.terminal(k));
    out.direction.push_back(r.events.direction(k));
  }
  return out;
}

// Throws where how many rows there are depends on values that are not known.
void check_known(const Arrays& x, const Array& t1) {
  const auto known = [](const Array& a) { return !a.is_symbol(); };
  require<TraceError>(std::all_of(x.begin(), x.end(), known) && known(t1),
                      "solve_ivp: how many steps there are depends on values; give t_eval, the times of the "
                      "solution, under vmap, compile and in loops");
}

// The solution of every step at any time, and at the times asked for instead.
void add_dense(Solution& out, const Ref<const Graph>& field, const sundials::CvodeOptions& how,
               const FlatState& state, const Arrays& x, sundials::Polynomials& steps,
               const std::optional<Array>& times) {
  if (steps.empty()) steps.add(x[operand::t0].item<double>(), 0, x[operand::y0].to_vector<double>());
  out.dense =
      sundials::cvode_dense(field, how, state, x, getitem(out.t, {Index(-1)}), steps.arrays(state.size()));
  if (times) std::tie(out.t, out.y) = rows_at(*times, *out.dense, out.status.item<int64_t>() > 0);
}

namespace output = sundials::event_output;

/// A solve with events: `x` are the operands of one without.
class WithEvents final {
 public:
  WithEvents(const RecordedIvp& problem, const FlatState& state, Ref<const Graph> field,
             sundials::CvodeOptions how, const RecordedEvents& events, Arrays x)
      : problem_(problem),
        state_(state),
        field_(std::move(field)),
        how_(std::move(how)),
        conditions_(flat_conditions(events, state)),
        x_(std::move(x)),
        end_(reshape(problem.t1, {1})) {
    Arrays at_start;
    for (const Array& g : events.at_start) at_start.push_back(reshape(stop_gradient(g), {1}));
    x_.push_back(concatenate(at_start));
    x_.insert(x_.end(), events.operands.begin() + static_cast<int64_t>(events.first), events.operands.end());
  }

  /// To `times`; each event has as many rows as it may happen.
  Solution fixed(const Array& times, const Dims& most) {
    x_[operand::times] = concatenate({times, end_});
    const OpRef op = sundials::cvode_events_op(field_, how_, conditions_, most);
    return solution(hesse::apply(op, x_), times, rows(times.size()), most);
  }
  /// To `times`, as far as the solution comes; events have as many rows as they happened.
  Solution to(const Array& times) {
    x_[operand::times] = concatenate({times, end_});
    const sundials::FoundEvents found = sundials::find_events(field_, how_, conditions_, x_, false);
    const bool arrived = found.outputs[output::counts].item<int64_t>() == 0;
    const int64_t n = arrived ? std::min(found.t.size(), times.size()) : times.size();
    return solution(again(found), getitem(times, {rows(n)}), rows(n), found.most);
  }
  /// Every step, whose polynomials are kept, where they are asked for.
  Solution every_step(sundials::Polynomials* polynomials) {
    check_known(x_, problem_.t1);
    x_[operand::times] = end_;
    const sundials::FoundEvents found =
        sundials::find_events(field_, how_, conditions_, x_, true, polynomials);
    const int64_t n = found.t.size();
    const bool ended = found.outputs[output::ended].item<int64_t>() >= 0;
    if (!is_tracked()) return solution(found.outputs, found.t, rows(n), found.most);
    const bool arrived = !ended && found.outputs[output::counts].item<int64_t>() == 0;
    const Array steps =
        step_times(ended ? getitem(found.t, {rows(n - 1)}) : found.t, problem_.t0, problem_.t1, arrived);
    x_[operand::times] = ended ? concatenate({steps, end_}) : steps;
    Solution out = solution(again(found), steps, rows(steps.size()), found.most);
    if (!ended) return out;
    out.t = concatenate({steps, reshape(out.t_end, {1})});
    for (size_t i = 0; i < out.y.size(); ++i)
      out.y[i] = concatenate({out.y[i], expand_dims(out.y_end[i], {0})});
    return out;
  }

 private:
  static Index rows(int64_t n) { return Slice{0, n, {}}; }
  bool is_tracked() const {
    return std::any_of(x_.begin(), x_.end(), [](const Array& a) { return hesse::is_tracked(a); }) ||
           hesse::is_tracked(problem_.t1);
  }
  // What was found, with derivatives: the same steps again.
  Arrays again(const sundials::FoundEvents& found) const {
    if (!is_tracked()) return found.outputs;
    Arrays y = found.outputs;
    const Arrays with =
        hesse::apply(sundials::cvode_events_op(field_, how_.silent(), conditions_, found.most), x_);
    for (const size_t k : std::array<size_t, 3>{output::y, output::times, output::states}) y[k] = with[k];
    return y;
  }
  Solution solution(const Arrays& y, const Array& t, const Index& reached, const Dims& most) const {
    Solution out;
    out.t = t;
    out.y = state_.arrays(getitem(y[output::y], {reached}), true);
    const auto counts = std::span<const Array>(y).subspan(output::counts, sundials::kNumCounts);
    put_counts(out, counts);
    out.terminal_event = y[output::ended];
    Array t_end = problem_.t1, y_end = getitem(y[output::y], {Index(-1)});
    int64_t first = 0;
    for (size_t k = 0; k < most.size(); first += most[k++]) {
      const Index here = Slice{first, first + most[k], {}};
      out.t_events.push_back(getitem(y[output::times], {here}));
      const Array states = getitem(y[output::states], {here});
      out.y_events.push_back(state_.arrays(states, true));
      out.event_counts.push_back(getitem(y[output::event_counts], {Index(static_cast<int64_t>(k))}));
      const int64_t last = conditions_.terminal[k] - 1;
      if (last < 0 || last >= most[k]) continue;
      const Array ended = equal(out.terminal_event, static_cast<int64_t>(k));
      t_end = where(ended, getitem(out.t_events[k], {Index(last)}), t_end);
      y_end = where(ended, getitem(states, {Index(last)}), y_end);
    }
    const Array arrived = equal(out.status, static_cast<int64_t>(IvpStatus::Success));
    const Array ended = logical_and(arrived, out.terminal_event >= int64_t{0});
    out.t_end = where(arrived, t_end, nan_of(kFloat64));
    out.y_end = state_.arrays(where(arrived, y_end, nan_of(kFloat64)), false);
    out.status = where(ended, static_cast<int64_t>(IvpStatus::TerminalEvent), out.status);
    out.t_last = where(ended, t_end, out.t_last);
    sundials::put_diagnosis(out, counts, how_.reporting());
    return out;
  }

  const RecordedIvp& problem_;
  const FlatState& state_;
  Ref<const Graph> field_;
  sundials::CvodeOptions how_;
  sundials::Conditions conditions_;
  Arrays x_;
  Array end_;
};

}  // namespace

Solution solve_cvode(const RecordedIvp& problem, const IvpOptions& options, const RecordedEvents* events) {
  const std::string& linear = options.linear_solver;
  require(linear != "klu" || sundials::has_sparse_solver(), "solve_ivp: linear_solver 'klu' needs ",
          has_klu()
              ? "SUNDIALS' interface to KLU (the library sundials_sunlinsolklu), which was not found when "
                "this was built; build with a SUNDIALS that has it (Debian: libsundials-dev)"
              : "KLU of SuiteSparse, without which this build was made; build with -DHESSE_KLU=ON "
                "(Debian: libsuitesparse-dev)",
          ", or use another linear solver");
  for (size_t i = 0; i < problem.y0.size(); ++i)
    require<TypeError>(!is_complex(problem.y0[i].dtype()), "solve_ivp: array ", i, " of y0 is ",
                       describe(problem.y0[i]), "; ", options.method,
                       " solves real states: give real and imaginary parts as two arrays");
  const FlatState state(problem.y0);
  const Ref<const Graph> field = flat_field(problem.field, problem, state);
  StateNames names{options.names, {}};
  for (const Array& y : problem.y0) names.shapes.push_back(y.shape());
  sundials::CvodeOptions how{options.method, linear, options.max_steps, options.throw_on_failure,
                             std::move(names)};
  for (const Ref<const Graph>& part : problem.parts) how.parts.push_back(flat_field(part, problem, state));

  std::optional<Array> times;
  Array times_ok(true);
  if (options.t_eval) {
    times = real_times("solve_ivp", *options.t_eval);
    times_ok = in_order("solve_ivp", *times, problem.t0, problem.t1);
  }
  Arrays atol;
  for (size_t i = 0; i < problem.y0.size(); ++i)
    atol.push_back(broadcast_to(astype(problem.atol[i], kFloat64), problem.y0[i].shape()));
  const auto number = [](const std::optional<Array>& x) {
    return x ? stop_gradient(astype(*x, kFloat64)) : Array::from<double>(std::array{0.0}, {});
  };
  Arrays x(sundials::cvode_operand::parameters);
  x[operand::t0] = problem.t0;
  x[operand::times] = times.value_or(problem.t0);
  x[operand::y0] = FlatState::flat(problem.y0);
  x[operand::rtol] = stop_gradient(astype(problem.rtol, kFloat64));
  x[operand::atol] = stop_gradient(FlatState::flat(atol));
  x[operand::first_step] = number(options.first_step);
  x[operand::max_step] = number(options.max_step);
  x[operand::status] = stop_gradient(status_of_options(problem, options, times_ok));
  x[sundials::cvode_operand::breaks] =
      problem.breaks ? stack({problem.breaks->before, problem.breaks->after}) : zeros({2, 0}, kFloat64);
  x.insert(x.end(), problem.captures.begin(), problem.captures.end());
  Arrays inputs = x;  // all that may differ between the examples of a map
  inputs.push_back(problem.t1);
  if (events) append(inputs, events->operands);
  how.reporter = make_reporter("solve_ivp", options.progress, options.progress_interval, inputs);

  sundials::Polynomials steps;
  sundials::Polynomials* const kept = options.dense_output ? &steps : nullptr;
  const auto known = [](const Array& a) { return !a.is_symbol(); };
  require<TraceError>(!kept || std::all_of(inputs.begin(), inputs.end(), known),
                      "solve_ivp: dense_output keeps every step, whose number depends on values; give "
                      "t_eval, the times of the solution, under vmap, compile and in loops");
  Solution out;
  if (events) {
    require(state.size() > 0, "solve_ivp: ", options.method, " finds no events of a state without entries");
    WithEvents solve(problem, state, field, how, *events, x);
    out = !times || kept  ? solve.every_step(kept)
          : events->fixed ? solve.fixed(*times, Dims(events->most))
                          : solve.to(*times);
    if (kept) add_dense(out, field, how, state, x, steps, times);
    return out;
  }
  if (!times || kept) {
    check_known(x, problem.t1);
    x[operand::times] = reshape(problem.t1, {1});
    out = sundials::cvode_steps(field, how, x, problem.t1, kept);
    const bool tracked = std::any_of(x.begin(), x.end(), is_tracked);
    if (tracked && !times && out.t.size() > 0) {  // the same steps again, differentiably, at given times
      const bool arrived = out.status.item<int64_t>() == 0;
      x[operand::times] = out.t = step_times(out.t, problem.t0, problem.t1, arrived);
      out.y = {hesse::apply(sundials::cvode_op(field, how.silent()), x)[0]};
    }
    out.y = state.arrays(out.y[0], true);
    if (kept) add_dense(out, field, how, state, x, steps, times);
    return out;
  }
  const Arrays y = hesse::apply(sundials::cvode_op(field, how), x);
  out.t = *times;
  out.y = state.arrays(y[0], true);
  const auto counts = std::span<const Array>(y).subspan(1);
  put_counts(out, counts);
  sundials::put_diagnosis(out, counts, how.reporting());
  return out;
}

#endif

}  // namespace hesse::solvers
