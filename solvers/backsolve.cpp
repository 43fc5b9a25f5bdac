#include "solvers/backsolve.h"

#include <algorithm>

#include "core/derivatives.h"
#include "core/op_table.h"
#include "core/ops.h"
#include "core/ops/control.h"
#include "core/ops/control_graph.h"
#include "solvers/counts.h"
#include "solvers/graph_op.h"
#include "solvers/lists.h"
#include "solvers/method.h"
#include "solvers/outcome.h"
#include "solvers/reporter.h"
#include "solvers/split.h"
#include "solvers/switching.h"

namespace hesse::solvers {
namespace {

/// What the backward solve is, beside its operands.
struct BackwardSolve {
  std::string method;
  int64_t max_steps = 0;
  bool fixed_steps = false;  ///< of first_step
  bool throws = true, has_step = false, has_max_step = false, has_breakpoints = false;
};

/// The operands: t0, t1, times [N], y0..., what f captures..., and constants: rtol and one atol for each
/// array of the state, of the forward solve; rtol, one atol for each array of the state and one for all
/// adjoints, of the backward solve; steps and breakpoints, where there are any.
struct Operands {
  std::span<const Array> x;
  size_t n, m;  ///< arrays of the state, captures
  std::span<const Array> y0() const { return x.subspan(3, n); }
  std::span<const Array> captures() const { return x.subspan(3 + n, m); }
  const Array& rtol() const { return x[3 + n + m]; }
  std::span<const Array> atol() const { return x.subspan(4 + n + m, n); }
  const Array& back_rtol() const { return x[4 + 2 * n + m]; }
  std::span<const Array> back_atol() const { return x.subspan(5 + 2 * n + m, n); }
  const Array& adjoint_atol() const { return x[5 + 3 * n + m]; }
  std::span<const Array> rest() const { return x.subspan(6 + 3 * n + m); }
};

/// Options that are operands, in their order.
void set_rest(IvpOptions& options, const BackwardSolve& how, std::span<const Array> rest) {
  size_t i = 0;
  if (how.has_step) options.first_step = rest[i++];
  if (how.has_max_step) options.max_step = rest[i++];
  if (how.has_breakpoints) options.breakpoints = rest[i++];
}

// Re <x, y>, with the pairing of gradients.
Array paired(std::span<const Array> x, std::span<const Array> y) {
  Array total(0.0);
  for (size_t i = 0; i < x.size(); ++i) total = total + astype(sum(real(x[i] * y[i])), kFloat64);
  return total;
}

Solution solved(const SplitRhs& f, const Array& t0, const Array& t1, const Arrays& y0,
                const IvpOptions& options, bool backward_throws);

/// What the backward solve gives where it came to the end. Inputs: values, IvpStatus, t.
class BackwardCompleted final : public Completed {
 public:
  std::string_view name() const override { return "ivp_backsolve_completed"; }

 private:
  std::string_view function() const override { return "solve_ivp"; }
  std::string reason(std::span<const Array> x) const override {
    return concat(
        "the backward solve of the adjoint Backsolve() gave up at t = ", x[2].item<double>(), ": ",
        describe(static_cast<IvpStatus>(x[1].item<int64_t>())),
        "; a stiff or strongly contracting problem cannot be solved backwards: use Discrete() (with "
        "checkpoint_every where memory matters), or ask for more times");
  }
};

/// A solution, as a graph of its operands, whose reverse mode solves backwards. Outputs: y [N, ...] for each
/// array of the state, then what has no derivative.
class BacksolveOp final : public GraphOp<General> {
 public:
  BacksolveOp(Ref<const Graph> solve, Ref<const Graph> field, BackwardSolve how)
      : GraphOp(std::move(solve)), field_(std::move(field)), how_(std::move(how)) {}
  std::string_view name() const override { return "ivp_backsolve"; }
  Params params() const override {
    return {{"solve", graph()},
            {"field", field_},
            {"method", how_.method},
            {"max_steps", how_.max_steps},
            {"fixed_steps", how_.fixed_steps},
            {"throws", how_.throws},
            {"has_step", how_.has_step},
            {"has_max_step", how_.has_max_step},
            {"has_breakpoints", how_.has_breakpoints}};
  }
  MaybeArrays jvp(std::span<const Array> x, std::span<const Array> y,
                  std::span<const MaybeArray> dx) const override {
    MaybeArrays dy = tangents_of(graph(), x, dx);
    std::fill(dy.begin() + static_cast<int64_t>(num_arrays()), dy.end(), std::nullopt);
    dy.resize(y.size());
    return dy;
  }
  std::optional<MaybeArrays> vjp(std::span<const Array> x, std::span<const Array> y,
                                 std::span<const MaybeArray> ct,
                                 const std::vector<bool>& wanted) const override;
  bool reads_output(int k) const override {
    return static_cast<size_t>(k) < num_arrays() || static_cast<size_t>(k) == num_arrays() + kStep;
  }

 private:
  static constexpr size_t kStep = 6;  // behind the arrays of the state: h_last
  size_t num_arrays() const { return static_cast<size_t>(field_->num_outputs()); }

  Ref<const Graph> field_;  // (t, y..., captures...) -> dy/dt...
  BackwardSolve how_;
};

std::optional<MaybeArrays> BacksolveOp::vjp(std::span<const Array> x, std::span<const Array> y,
                                            std::span<const MaybeArray> ct,
                                            const std::vector<bool>& wanted) const {
  const size_t n = num_arrays(), m = static_cast<size_t>(field_->num_inputs()) - 1 - n;
  const Operands given{x, n, m};
  MaybeArrays out(x.size());
  Arrays c;
  bool some = false;
  for (size_t k = 0; k < n; ++k) {
    some = some || ct[k].has_value();
    c.push_back(ct[k] ? *ct[k] : zeros_like(y[k]));
  }
  if (!some || x[2].size() == 0) return out;

  // (t, y..., captures..., a...) -> a^T df/dy..., a^T df/dtheta..., for the theta that are wanted.
  std::vector<size_t> theta;
  std::vector<bool> want(1 + n + m, false);
  for (size_t i = 0; i < n + m; ++i) {
    want[1 + i] = i < n || (wanted[3 + i] && is_inexact(x[3 + i].dtype()));
    if (i >= n && want[1 + i]) theta.push_back(i - n);
  }
  const Ref<const Graph> field = without_effects(field_);
  const DerivedGraph adjoint = derivatives().vjp(*field, std::vector<bool>(n, true), want, want);
  const DType time = field_->input_aval(0).dtype;
  const auto inputs = [&](const Array& t, std::span<const Array> state) {
    Arrays in{astype(t, time)};
    append(in, state);
    append(in, given.captures());
    return in;
  };
  const Rhs backward = [&](const Array& t, std::span<const Array> s) {
    Arrays in = inputs(t, s.first(n)), out_now = field->call(in);
    append(in, s.subspan(n, n));
    for (const Array& d : adjoint.graph->call(in)) out_now.push_back(-d);
    return out_now;
  };

  // What adjoints are measured with: the tolerance times the largest cotangent, so that a gradient is as
  // accurate whatever the loss is multiplied by.
  Array size(0.0);
  for (const Array& a : c)
    if (a.size() > 0) size = maximum(size, astype(max(abs(stop_gradient(a))), kFloat64));
  const Array adjoint_atol =
      astype(given.adjoint_atol(), kFloat64) * where(logical_and(size > 0.0, isfinite(size)), size, 1.0);
  IvpOptions options{.method = how_.method,
                     .rtol = given.back_rtol(),
                     .atol = {given.back_atol().begin(), given.back_atol().end()},
                     .max_steps = how_.max_steps,
                     .throw_on_failure = false,
                     .adjoint = Backsolve{}};
  options.atol.resize(2 * n + theta.size(), adjoint_atol);
  set_rest(options, how_, given.rest());

  const Array times = astype(x[2], kFloat64), t0 = astype(x[0], kFloat64);
  const Array from_start = reshape(t0, {1});
  const Array before =
      times.size() == 1 ? from_start : concatenate({from_start, slice(times, {0}, {times.size() - 1}, {1})});
  Arrays carry, rows{times, before};
  for (const Array& a : given.y0()) carry.push_back(zeros_like(a));
  for (const size_t i : theta) carry.push_back(zeros_like(given.captures()[i]));
  // Each solve begins with the step that the one before would have taken next, the first one with that of
  // the solution.
  const Array h = stop_gradient(y[n + kStep]), whole = abs(astype(x[1], kFloat64) - t0);
  carry.push_back(stop_gradient(where(logical_and(h > 0.0, isfinite(h)), h, where(whole > 0.0, whole, 1.0))));
  const size_t carried = carry.size();
  append(rows, y.first(n));
  append(rows, c);
  const Arrays end = scan(
      [&](std::span<const Array> in) {
        const Array &t = in[carried], &previous = in[carried + 1];
        const std::span<const Array> state = in.subspan(carried + 2, n), joins = in.subspan(carried + 2 + n);
        Arrays start{state.begin(), state.end()};
        for (size_t j = 0; j < n; ++j) start.push_back(in[j] + joins[j]);
        append(start, in.subspan(n, carried - 1 - n));
        IvpOptions here = options;
        if (!how_.fixed_steps) here.first_step = in[carried - 1];
        here.t_eval = reshape(previous, {1});
        if (here.method == "auto") here.method = chosen_method(backward, t, previous, start, false);
        const Solution s = solved({backward, {}}, t, previous, start, here, how_.throws);
        Arrays result;
        for (size_t j = n; j < start.size(); ++j) {
          const Array there = reshape(s.y[j], start[j].shape());
          result.push_back(how_.throws ? apply1(the<BackwardCompleted>(), {there, s.status, s.t_last})
                                       : there);
        }
        result.push_back(how_.fixed_steps ? in[carried - 1] : stop_gradient(s.h_last));
        if (wanted[2]) result.push_back(paired(joins, field->call(inputs(t, state))));
        return result;
      },
      carry, rows, {}, true);

  for (size_t j = 0; j < n; ++j)
    if (wanted[3 + j]) out[3 + j] = end[j];
  for (size_t k = 0; k < theta.size(); ++k) out[3 + n + theta[k]] = end[n + k];
  if (wanted[0])
    out[0] = astype(-paired(std::span(end).first(n), field->call(inputs(t0, given.y0()))), x[0].dtype());
  if (wanted[2]) out[2] = astype(end[carried], x[2].dtype());
  return out;
}

const bool registered =
    (register_ops({listed<BackwardCompleted>(),
                   {"ivp_backsolve",
                    [](const ReadParams& p) {
                      return make_op<BacksolveOp>(
                          p["solve"], p["field"],
                          BackwardSolve{p["method"], p["max_steps"], p["fixed_steps"], p["throws"],
                                        p["has_step"], p["has_max_step"], p["has_breakpoints"]});
                    }}}),
     true);

// `backward_throws`: whether a failure of the backward solve is an error.
Solution solved(const SplitRhs& f, const Array& t0, const Array& t1, const Arrays& y0_in,
                const IvpOptions& options, bool backward_throws) {
  const Backsolve& back = std::get<Backsolve>(options.adjoint);
  const std::string name = "solve_ivp: adjoint Backsolve() ";
  require(options.events.empty(), name, "takes no events; use Discrete()");
  require(!options.save, name, "takes no save; apply it to the solution, or use Discrete()");
  require(!options.mass, name, "takes no mass matrix with ", options.method, "; use Discrete()");
  require(!y0_in.empty(), "solve_ivp: y0 holds no arrays");
  const Arrays y0 = strong(y0_in);
  Arrays captures;
  const Field field = record(f, options.method, y0, captures);
  BackwardSolve how{.method = back.method.empty() ? options.method : back.method,
                    .max_steps = options.max_steps,
                    .throws = backward_throws,
                    .has_step = options.first_step.has_value(),
                    .has_max_step = options.max_step.has_value(),
                    .has_breakpoints = options.breakpoints.has_value()};
  how.fixed_steps = make_method(how.method, field)->error_order() == 0;
  require(!how.fixed_steps || options.first_step, name, "solves backwards by ", how.method,
          ", which has no error estimate: its step is first_step, which is missing");

  const size_t n = y0.size();
  const auto spread = [&](const Arrays& atol) {
    require(atol.size() == 1 || atol.size() == n, "solve_ivp: atol holds ", atol.size(),
            " arrays, expected one, or one for each of the ", n, " of the state");
    return atol.size() == n ? atol : Arrays(n, atol[0]);
  };
  const auto largest = [](const Arrays& atol) {
    Array out(0.0);
    for (const Array& a : atol)
      if (a.size() > 0) out = maximum(out, astype(max(a), kFloat64));
    return out;
  };
  Arrays x{t0, t1, *options.t_eval};
  append(x, y0);
  append(x, captures);
  const size_t first = x.size();
  const Arrays back_atol = back.atol ? Arrays{*back.atol} : options.atol;
  x.push_back(options.rtol);
  append(x, spread(options.atol));
  x.push_back(back.rtol.value_or(options.rtol));
  append(x, spread(back_atol));
  x.push_back(largest(back_atol));
  for (const std::optional<Array>* a : {&options.first_step, &options.max_step, &options.breakpoints})
    if (*a) x.push_back(**a);
  for (size_t i = first; i < x.size(); ++i)
    x[i] = stop_gradient(x[i].is_weak() ? astype(x[i], x[i].dtype()) : x[i]);
  for (size_t i = 0; i < 3; ++i)
    if (x[i].is_weak()) x[i] = astype(x[i], x[i].dtype());

  // What is recorded below does not see that its operands are examples of a map.
  (void)make_reporter("solve_ivp", options.progress, options.progress_interval, x);
  Solution inside;  // as it is recorded
  Avals avals;
  for (const Array& a : x) avals.push_back(aval(a));
  const Traced solve = trace(
      [&](std::span<const Array> in) {
        const Operands here{in, n, captures.size()};
        const Rhs rhs = [&](const Array& t, std::span<const Array> y) {
          Arrays at{t};
          append(at, y);
          append(at, here.captures());
          return field.graph->call(at);
        };
        IvpOptions forward = options;
        forward.adjoint = {};
        forward.t_eval = in[2];
        forward.rtol = here.rtol();
        forward.atol = {here.atol().begin(), here.atol().end()};
        set_rest(forward, how, here.rest());
        inside = solve_ivp(SplitRhs{rhs, {}}, in[0], in[1], {here.y0().begin(), here.y0().end()}, forward);
        Arrays out = inside.y;
        append(out, facts_of(inside));
        return out;
      },
      avals, true);
  const Arrays out = hesse::apply(make_op<BacksolveOp>(solve.graph, field.graph, how), x);
  Solution s;
  s.t = astype(x[2], kFloat64);
  s.y.assign(out.begin(), out.begin() + static_cast<int64_t>(n));
  put_facts(s, std::span<const Array>(out).subspan(n), inside);
  return s;
}

}  // namespace

Solution solve_backsolve(const SplitRhs& f, const Array& t0, const Array& t1, const Arrays& y0,
                         const IvpOptions& options) {
  return solved(f, t0, t1, y0, options, options.throw_on_failure);
}

}  // namespace hesse::solvers
