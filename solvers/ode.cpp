#include "solvers/ode.h"

#include <algorithm>
#include <cmath>

#include "core/op_table.h"
#include "core/ops.h"
#include "core/ops/control.h"
#include "core/ops/control_graph.h"
#include "solvers/backsolve.h"
#include "solvers/cvode.h"
#include "solvers/flat.h"
#include "solvers/forward.h"
#include "solvers/lists.h"
#include "solvers/mass.h"
#include "solvers/outcome.h"
#include "solvers/reporter.h"
#include "solvers/run.h"
#include "solvers/spans.h"
#include "solvers/split.h"
#include "solvers/switching.h"

namespace hesse::solvers {
namespace {

/// y where the solver came to the end. Inputs: y, status, t, step, and the fields of Diagnosis: cause, array,
/// entry, excess, radius.
class IvpCompleted final : public Completed {
 public:
  IvpCompleted(StateNames names, bool implicit) : names_(std::move(names)), implicit_(implicit) {}
  std::string_view name() const override { return "ivp_completed"; }
  Params params() const override {
    Params out = names_.params();
    out.emplace_back("implicit", implicit_);
    return out;
  }

 private:
  std::string_view function() const override { return "solve_ivp"; }
  std::string reason(std::span<const Array> x) const override {
    const auto status = static_cast<IvpStatus>(x[1].item<int64_t>());
    const Diagnosis d{x[4], x[2], x[3], x[5], x[6], x[7], x[8], implicit_, names_};  // see found()
    if (!is_diagnosed(status))
      return concat(describe(status), " (t = ", x[2].item<double>(), ", step ", x[3].item<double>(), ")");
    return explained(describe(status), d);
  }
  StateNames names_;
  bool implicit_;
};

const bool registered =
    (register_ops({{"ivp_completed",
                    [](const ReadParams& p) {
                      return make_op<IvpCompleted>(StateNames::read(p["paths"], p["shapes"]),
                                                   static_cast<bool>(p["implicit"]));
                    }}}),
     true);

void check_numbers(const IvpOptions& options) {
  const auto check_scalar = [](const Array& x, const char* name, bool zero_allowed) {
    require(x.ndim() == 0, "solve_ivp: ", name, " has shape ", x.shape(), ", expected a scalar");
    check_positive("solve_ivp", x, name, zero_allowed);
  };
  check_scalar(options.rtol, "rtol", true);
  for (const Array& a : options.atol) check_positive("solve_ivp", a, "atol", true);
  if (options.first_step) check_scalar(*options.first_step, "first_step", false);
  if (options.max_step) check_scalar(*options.max_step, "max_step", false);
  require(options.max_steps > 0, "solve_ivp: max_steps is ", options.max_steps, ", expected 1 or more");
}

// What is wrong with values, while they are known: the adjoints that are an op make operands of them.
void check_operands(const Array& t0, const Array& t1, const IvpOptions& options) {
  check_numbers(options);
  (void)in_order("solve_ivp", real_times("solve_ivp", *options.t_eval), real_scalar("solve_ivp", t0, "t0"),
                 real_scalar("solve_ivp", t1, "t1"));
}

Arrays joined(std::initializer_list<Arrays> parts) {
  Arrays out;
  for (const Arrays& part : parts) append(out, part);
  return out;
}

// A look at the clock for about a million operations.
int64_t attempts_between_reports(const Field& field, const Method& method) {
  const double operations =
      field.graph->flops() * static_cast<double>(std::max<int64_t>(method.evaluations(), 8));
  return static_cast<int64_t>(std::clamp(1e6 / (operations + 1.0), 1.0, 64.0));
}

std::vector<Shape> shapes_of(std::span<const Array> y) {
  std::vector<Shape> out;
  for (const Array& a : y) out.push_back(a.shape());
  return out;
}

// How often each event may happen: as often as there are rows for it, -1 where there is no limit.
std::vector<int64_t> rows_of_events(const IvpOptions& options, bool fixed, bool traced) {
  std::vector<int64_t> rows;
  for (const Event& event : options.events) {
    const bool limited = event.terminal > 0 || options.max_events;
    require<TraceError>(
        limited || !traced, "solve_ivp: how often event ", rows.size(),
        " happens depends on values; give max_events, the most there is room for, under vmap, "
        "compile and in loops");
    rows.push_back(!fixed ? -1 : event.terminal > 0 ? event.terminal : *options.max_events);
  }
  return rows;
}

// The events of a solve by CVODES. A guess of the first step says what is rounding at t0.
RecordedEvents recorded_events(const RecordedIvp& problem, const IvpOptions& options, const Field& field,
                               Arrays operands) {
  const Array &t0 = problem.t0, &t1 = problem.t1;
  const Arrays& y0 = problem.y0;
  const Arrays f0 = field(t0, y0, operands);
  const Stepper stepper(make_method("Tsit5", field), {});
  const Array h = options.first_step ? astype(*options.first_step, kFloat64)
                                     : stepper.guess(t0, t1, direction_of(t0, t1), y0, f0, operands);
  const size_t first = operands.size();
  Events events(options.events, field, y0, operands);
  Arrays at_start;
  for (size_t k = 0; k < events.size(); ++k)
    at_start.push_back(events.value_at_start(k, t0, h, y0, f0, operands));
  Arrays all = operands;
  append(all, y0);
  append(all, Arrays{t0, t1});
  if (options.t_eval) all.push_back(*options.t_eval);
  if (problem.breaks) all.push_back(problem.breaks->before);
  const bool traced = std::any_of(all.begin(), all.end(), [](const Array& a) { return a.is_symbol(); });
  const bool fixed = options.t_eval && (traced || options.max_events);
  require<TraceError>(options.t_eval || !traced,
                      "solve_ivp: how many steps there are depends on values; give t_eval, the times of the "
                      "solution, under vmap, compile and in loops");
  std::vector<int64_t> most = rows_of_events(options, fixed, traced);
  return {std::move(events), std::move(operands), first, std::move(at_start), fixed, std::move(most)};
}

// What is kept of a state, recorded: what it captures joins the operands.
Keep recorded_save(const Rhs& save, const Field& field, const Arrays& y0, Arrays& operands) {
  if (!save) return {};
  Avals avals{{{}, field.time}};
  for (const Array& y : y0) avals.push_back(aval(y));
  const Traced traced = trace(
      [&](std::span<const Array> x) {
        const Arrays out = save(x[0], x.subspan(1));
        require(!out.empty(), "solve_ivp: save returns no arrays");
        return out;
      },
      avals, true);
  for (const Aval& a : traced.graph->output_avals())
    require<TypeError>(is_inexact(a.dtype), "solve_ivp: save returns ", describe(a.shape, a.dtype),
                       ", expected floating or complex numbers; convert it with astype");
  const size_t first = operands.size(), count = traced.captures.size();
  operands.insert(operands.end(), traced.captures.begin(), traced.captures.end());
  return [graph = traced.graph, first, count, time = field.time](const Array& t, std::span<const Array> y,
                                                                 std::span<const Array> all) {
    Arrays in{astype(t, time)};
    append(in, y);
    append(in, all.subspan(first, count));
    return graph->call(in);
  };
}

std::optional<Breaks> breaks_of(const IvpOptions& options, const Array& t0, const Array& t1, DType time) {
  if (!options.breakpoints) return std::nullopt;
  const Breaks out = breaks_at(*options.breakpoints, t0, t1, direction_of(t0, t1), time);
  return out.before.size() > 0 ? std::optional(out) : std::nullopt;
}

DenseOutput dense_output(const Stops& stops, const Run& run, const Stops::Problem& p) {
  const size_t columns = run.segments[0].size();
  Arrays tables;
  for (size_t i = 0; i < columns; ++i) {
    Arrays column;
    for (const Arrays& row : run.segments) column.push_back(row[i]);
    tables.push_back(stack(column));
  }
  Avals avals{{{}, kFloat64}};
  for (const Array& a : run.segments[0]) avals.push_back(aval(a));
  for (const Array& a : p.operands) avals.push_back(aval(a));
  const Ref<const Graph> at = trace_closed(
      [&](std::span<const Array> x) {
        const Stops::Problem here{p.t1, p.direction,
                                  Arrays(x.begin() + 1 + static_cast<int64_t>(columns), x.end())};
        return stops.within(x.subspan(1, columns), x[0], here);
      },
      avals);
  const auto end = [&](int64_t i) { return getitem(run.t, {Index(i)}); };
  return {at, {end(0), end(-1), p.direction, tables[1], tables, p.operands}};
}

}  // namespace

std::string describe(IvpStatus status) {
  switch (status) {
    case IvpStatus::TerminalEvent:
      return "a terminal event ended the solution";
    case IvpStatus::Success:
      return "the end of the span was reached";
    case IvpStatus::TooManySteps:
      return describe(IvpCause::Steps) +
             ": raise max_steps or the tolerances; a stiff problem needs an implicit method";
    case IvpStatus::StepTooSmall:
      return "the step became smaller than the spacing of numbers at t: the solution may be singular there, "
             "or the tolerances too small for the dtype";
    case IvpStatus::NotFinite:
      return "f gives NaN or infinity however small the step: look at f there, at its arguments and at y0 "
             "(atol must not be 0 where the state is, and a mass matrix must have an inverse, or index 1)";
    case IvpStatus::BadTimes:
      return "t_eval does not ascend within t_span, in its direction";
    case IvpStatus::BadOptions:
      return "rtol and atol must not be below 0, first_step and max_step must be above 0, and the span "
             "finite";
    case IvpStatus::TooManyEvents:
      return "an event happened more than max_events times: raise max_events";
    case IvpStatus::EventNotFinite:
      return "an event gives NaN: look at its function there";
    case IvpStatus::Inconsistent:
      return "y0 does not satisfy the algebraic equations of a singular mass matrix, or these have no index "
             "of 1: solve_dae finds a consistent start";
  }
  return "unknown status";
}

Solution solve_ivp(const Rhs& f, const Array& t0, const Array& t1, const Arrays& y0,
                   const IvpOptions& options) {
  if (options.method != "auto") return solve_ivp(SplitRhs{f, {}}, t0, t1, y0, options);
  IvpOptions by = options;
  const bool multistep = has_cvode() && !std::holds_alternative<Discrete>(options.adjoint) &&
                         !std::holds_alternative<Backsolve>(options.adjoint);
  by.method = options.mass ? "Rodas5P" : chosen_method(f, t0, t1, y0, multistep);
  Solution out = solve_ivp(SplitRhs{f, {}}, t0, t1, y0, by);
  out.chosen = by.method;
  if (by.method != "auto")
    out.implicit_steps = by.method == "Tsit5" ? zeros_like(out.accepted) : out.accepted;
  return out;
}

Solution solve_ivp(const SplitRhs& f, const Array& t0_in, const Array& t1_in, const Arrays& y0_in,
                   const IvpOptions& options) {
  const bool by_cvode = is_cvode_method(options.method);
  if (!by_cvode) check_method(options.method);
  const std::string& linear = options.linear_solver;
  require(linear == "auto" || linear == "dense" || linear == "banded" || linear == "klu" ||
              linear == "krylov" || linear == "ilu",
          "solve_ivp: linear_solver is '", linear, "', expected auto, dense, banded, klu, krylov or ilu");
  check_adjoint(options.adjoint, options.method, by_cvode, options.t_eval.has_value(), options.dense_output);
  if (options.mass && !takes_mass(options.method)) {
    IvpOptions by = options;
    by.mass.reset();
    return solve_ivp(over_mass(f, *options.mass, y0_in, options.method), t0_in, t1_in, y0_in, by);
  }
  if (std::holds_alternative<Forward>(options.adjoint) || std::holds_alternative<Backsolve>(options.adjoint))
    check_operands(t0_in, t1_in, options);
  if (std::holds_alternative<Forward>(options.adjoint)) return solve_forward(f, t0_in, t1_in, y0_in, options);
  if (std::holds_alternative<Backsolve>(options.adjoint))
    return solve_backsolve(f, t0_in, t1_in, y0_in, options);
  const auto* discrete = std::get_if<Discrete>(&options.adjoint);
  const int64_t checkpoint_every = discrete ? discrete->checkpoint_every : 0;
  const Array t0 = real_scalar("solve_ivp", t0_in, "t0"), t1 = real_scalar("solve_ivp", t1_in, "t1");
  require(!y0_in.empty(), "solve_ivp: y0 holds no arrays");
  Arrays y0;
  for (const Array& y : y0_in) y0.push_back(y.is_weak() ? astype(y, y.dtype()) : y);
  const size_t n = y0.size();
  require(options.atol.size() == 1 || options.atol.size() == n, "solve_ivp: atol holds ", options.atol.size(),
          " arrays, expected one, or one for each of the ", n, " of the state");
  check_numbers(options);
  if (is_constant(t0) && is_constant(t1))
    require(std::isfinite(t0.item<double>()) && std::isfinite(t1.item<double>()), "solve_ivp: the span from ",
            t0.item<double>(), " to ", t1.item<double>(), " is not finite");

  Arrays operands;
  Field field = record(f, options.method, y0, operands);
  if (options.mass) add_mass(field, *options.mass, y0, operands, options.method);
  std::unique_ptr<const Method> method = by_cvode ? nullptr : make_method(options.method, field);
  require(by_cvode || method->error_order() > 0 || options.first_step, "solve_ivp: ", options.method,
          " has no error estimate: its step is first_step, which is missing");
  operands.push_back(options.rtol);
  for (size_t i = 0; i < n; ++i) {
    const Array& a = options.atol[options.atol.size() == 1 ? 0 : i];
    try {
      require(broadcast_shapes("solve_ivp", a.shape(), y0[i].shape()) == y0[i].shape(), "");
    } catch (const ValueError&) {
      throw ValueError(concat("solve_ivp: atol of shape ", a.shape(), " does not fit array ", i,
                              " of the state, of shape ", y0[i].shape()));
    }
    operands.push_back(a);
  }
  for (size_t i = field.num_captures; i < operands.size(); ++i) operands[i] = stop_gradient(operands[i]);
  require(
      !options.save || !options.dense_output,
      "solve_ivp: save and dense_output exclude one another; apply save to the values of the dense output");
  require(!options.max_events || *options.max_events >= 0, "solve_ivp: max_events is ",
          options.max_events.value_or(0), ", expected a number not below 0");
  require(!options.max_events || !options.dense_output,
          "solve_ivp: max_events fixes the shapes of results, which with dense_output depend on the steps");
  require(!options.max_events || options.t_eval,
          "solve_ivp: max_events fixes the shapes of results, which without t_eval depend on the steps: give "
          "t_eval as well");
  if (by_cvode) {
    const auto captured = operands.begin() + static_cast<int64_t>(field.num_captures);
    const RecordedIvp problem{field.graph,
                              {operands.begin(), captured},
                              t0,
                              t1,
                              y0,
                              options.rtol,
                              {captured + 1, operands.end()},
                              field.parts,
                              breaks_of(options, t0, t1, field.time)};
    const Keep save = recorded_save(options.save, field, y0, operands);
    std::optional<RecordedEvents> events;
    if (!options.events.empty()) events.emplace(recorded_events(problem, options, field, operands));
    Solution out = solve_cvode(problem, options, events ? &*events : nullptr);
    if (save) out.y = kept_of_rows(save, out.t, out.y, y0, operands);
    return out;
  }
  std::optional<Array> max_step;
  if (options.max_step) max_step = stop_gradient(astype(*options.max_step, kFloat64));
  const Stepper stepper(std::move(method), max_step);

  const Array direction = direction_of(t0, t1);
  std::optional<MassStart> found;
  if (field.unreached) {
    found = consistent_start(field, t0, y0, operands, options.throw_on_failure);
    y0 = found->y;
  }
  const Arrays f0 = field.slopes(t0, y0, operands);
  Array h = options.first_step ? stop_gradient(astype(*options.first_step, kFloat64))
                               : stepper.guess(t0, t1, direction, y0, f0, operands);
  if (max_step) h = minimum(h, *max_step);
  using State = Stepper::State;
  State state = stepper.start(t0, y0, f0, h);
  Array allowed = logical_and(isfinite(t1 - t0), all(options.rtol >= 0.0));
  for (const Array& a : options.atol) allowed = logical_and(allowed, all(a >= 0.0));
  if (options.first_step) allowed = logical_and(allowed, *options.first_step > 0.0);
  if (options.max_step) allowed = logical_and(allowed, *options.max_step > 0.0);
  state.status =
      stop_gradient(where(allowed, where(h > 0.0, state.status, static_cast<int64_t>(IvpStatus::NotFinite)),
                          static_cast<int64_t>(IvpStatus::BadOptions)));

  if (found) state.status = where(equal(state.status, kSuccess), stop_gradient(found->status), state.status);

  const Events events(options.events, field, y0, operands);
  const Keep save = recorded_save(options.save, field, y0, operands);
  const std::optional<Breaks> breaks = breaks_of(options, t0, t1, field.time);
  const auto is_traced = [](std::initializer_list<const Arrays*> parts) {
    return std::any_of(parts.begin(), parts.end(), [](const Arrays* part) {
      return std::any_of(part->begin(), part->end(), [](const Array& a) { return a.is_symbol(); });
    });
  };
  std::optional<Array> times;
  if (options.t_eval) {
    times = real_times("solve_ivp", *options.t_eval);
    const Array ok = in_order("solve_ivp", *times, t0, t1);
    state.status = where(logical_or(ok, not_equal(state.status, kSuccess)), state.status,
                         static_cast<int64_t>(IvpStatus::BadTimes));
  }
  const Arrays start = stepper.pack(state), span{t1, direction},
               jumps = breaks ? Arrays{breaks->before} : Arrays{};
  const bool traced = is_traced({&start, &span, &operands, &jumps});
  require<TraceError>(times || !traced,
                      "solve_ivp: how many steps there are depends on values; give t_eval, the times of the "
                      "solution, under vmap, compile and in loops");
  require<TraceError>(
      !options.dense_output || !traced,
      "solve_ivp: dense_output keeps every step, whose number depends on values; give t_eval, "
      "the times of the solution, under vmap, compile and in loops");
  const bool dense = options.dense_output;
  const bool fixed = times && !dense && (traced || events.size() == 0 || options.max_events);
  const std::vector<int64_t> most = rows_of_events(options, fixed, traced);
  const Reports reports{make_reporter("solve_ivp", options.progress, options.progress_interval,
                                      joined({start, span, operands})),
                        attempts_between_reports(field, stepper.method())};
  if (reports.to) Reporter::begin(reports.to, t0, t1);
  const Stops stops(stepper, events, most, options.max_steps, dense, checkpoint_every, reports);
  const Stops::Problem problem{t1, direction, operands, breaks};
  const Stops::State begin = stops.start(state, f0, problem);
  Run run = fixed ? run_to(*times, stops, begin, problem, save, most)
                  : run_stop_by_stop(dense ? std::nullopt : times, stops, begin, problem, save, dense);
  state = run.last.steps;
  if (reports.to) Reporter::step(reports.to, state.t, state.h, state.accepted, state.rejected, true);

  Solution out;
  if (dense) {
    out.dense = dense_output(stops, run, problem);
    if (times) {
      const bool failed = run.last.steps.status.item<int64_t>() != kSuccess;
      std::tie(run.t, run.y) = rows_at(*times, *out.dense, failed);
    }
  }
  out.t = run.t;
  out.y = run.y;
  if (events.size() > 0) {
    out.t_events = run.t_events;
    out.y_events = run.y_events;
    out.event_counts = run.last.counts;
    out.terminal_event = run.last.ended;
    out.t_end = run.t_end;
    out.y_end = run.y_end;
    const Array ended = logical_and(equal(state.status, kSuccess), run.last.ended >= int64_t{0});
    state.status = where(ended, static_cast<int64_t>(IvpStatus::TerminalEvent), state.status);
    state.t = where(ended, run.t_end, state.t);
  }
  out.status = stop_gradient(state.status);
  out.accepted = state.accepted;
  out.rejected = state.rejected;
  const Array attempts = state.accepted + state.rejected;
  const Method& used = stepper.method();
  out.evaluations = (used.iterates() ? state.evaluations : attempts * used.evaluations()) +
                    int64_t{options.first_step ? 1 : 2};
  out.factorisations = attempts * stepper.method().factorisations();
  if (const std::optional<Array> implicit = used.implicit_steps(state.kept))
    out.factorisations = *(out.implicit_steps = implicit);
  out.t_last = state.t;
  out.h_last = state.h;
  const bool implicit = used.factorisations() > 0 || used.iterates();
  const StateNames names{options.names, shapes_of(y0)};
  const bool may_fail = !out.status.has_data() || gave_up(out.status);
  if (may_fail)
    out.diagnosis =
        diagnosis_of(out, diagnose(stepper, direction, state, out.status, operands), implicit, names);
  if (options.throw_on_failure) {
    const Array code = events.size() > 0 ? maximum(out.status, kSuccess) : out.status;
    const Arrays why = out.diagnosis ? out.diagnosis->found() : Diagnosis::nothing();
    out.diagnosis.reset();
    const OpRef completed = make_op<IvpCompleted>(names, implicit);
    const auto complete = [&](Array& y) {
      Arrays in{y, code, stop_gradient(state.t), stop_gradient(state.h)};
      append(in, why);
      y = apply1(completed, in);
    };
    const auto complete_all = [&](Arrays& x) { std::for_each(x.begin(), x.end(), complete); };
    complete_all(out.y);
    if (events.size() > 0) {
      complete_all(out.t_events);
      std::for_each(out.y_events.begin(), out.y_events.end(), complete_all);
      complete_all(out.y_end);
      complete(out.t_end);
    }
  }
  return out;
}

}  // namespace hesse::solvers
