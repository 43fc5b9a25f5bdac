#include "solvers/ode.h"

#include <algorithm>
#include <cmath>

#include "core/op_table.h"
#include "core/ops.h"
#include "core/ops/control.h"
#include "core/ops/control_graph.h"
#include "solvers/cvode.h"
#include "solvers/outcome.h"
#include "solvers/split.h"
#include "solvers/stepper.h"
#include "solvers/switching.h"

namespace hesse::solvers {
namespace {

constexpr int64_t kSuccess = static_cast<int64_t>(IvpStatus::Success);

/// y where the solver came to the end. Inputs: y, status, t, step, and which entry of the state stood out
/// (the array, the entry, or -1).
class IvpCompleted final : public Completed {
 public:
  std::string_view name() const override { return "ivp_completed"; }

 private:
  std::string_view function() const override { return "solve_ivp"; }
  std::string reason(std::span<const Array> x) const override {
    const auto number = [&](size_t i) { return concat(x[i].item<double>()); };
    const int64_t leaf = x[4].item<int64_t>(), entry = x[5].item<int64_t>();
    std::string where;
    if (leaf >= 0)
      where = concat("; entry ", entry, " of ", leaf > 0 ? concat("array ", leaf, " of ") : std::string(),
                     "the state limits it");
    return concat(describe(static_cast<IvpStatus>(x[1].item<int64_t>())), " (t = ", number(2), ", step ",
                  number(3), where, ")");
  }
};

const bool registered = (register_ops({listed<IvpCompleted>()}), true);

template <class Range>
void append(Arrays& to, const Range& from) {
  to.insert(to.end(), from.begin(), from.end());
}
Array time_of(const Array& t, const char* name) {
  require(t.ndim() == 0, "solve_ivp: ", name, " has shape ", t.shape(), ", expected a scalar");
  require<TypeError>(!is_complex(t.dtype()) && t.dtype() != kBool && t.dtype() != DType::Key,
                     "solve_ivp: ", name, " has dtype ", t.dtype(), ", expected a real number");
  return astype(t, kFloat64);
}
void check_positive(const Array& x, const char* name, bool zero_allowed, bool scalar) {
  require(!scalar || x.ndim() == 0, "solve_ivp: ", name, " has shape ", x.shape(), ", expected a scalar");
  if (!is_constant(x)) return;
  for (const double v : astype(x, kFloat64).to_vector<double>())
    require(zero_allowed ? v >= 0 : v > 0, "solve_ivp: ", name, " is ", v, ", expected ",
            zero_allowed ? "a number not below 0" : "a positive number");
}

// Whether times ascend within the span, in its direction: an array of one bool.
Array in_order(const Array& times, const Array& t0, const Array& t1, const Array& direction) {
  const Array along = (times - t0) * direction;
  Array ok = all(logical_and(along >= 0.0, along <= (t1 - t0) * direction));
  if (times.size() > 1) ok = logical_and(ok, all(diff(along) > 0.0));
  return ok;
}

}  // namespace

std::string describe(IvpStatus status) {
  switch (status) {
    case IvpStatus::Success:
      return "the end of the span was reached";
    case IvpStatus::TooManySteps:
      return "max_steps attempts did not reach the end: raise max_steps or the tolerances; a stiff problem "
             "needs an implicit method";
    case IvpStatus::StepTooSmall:
      return "the step became smaller than the spacing of numbers at t: the solution may be singular there, "
             "or the tolerances too small for the dtype";
    case IvpStatus::NotFinite:
      return "f gives NaN or infinity however small the step: look at f there, at its arguments and at y0 "
             "(and atol must not be 0 where the state is)";
    case IvpStatus::BadTimes:
      return "t_eval does not ascend within t_span, in its direction";
    case IvpStatus::BadOptions:
      return "rtol and atol must not be below 0, first_step and max_step must be above 0, and the span "
             "finite";
  }
  return "unknown status";
}

Solution solve_ivp(const Rhs& f, const Array& t0, const Array& t1, const Arrays& y0,
                   const IvpOptions& options) {
  if (options.method != "auto") return solve_ivp(SplitRhs{f, {}}, t0, t1, y0, options);
  IvpOptions by = options;
  by.method = chosen_method(f, t0, t1, y0);
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
  const Array t0 = time_of(t0_in, "t0"), t1 = time_of(t1_in, "t1");
  require(!y0_in.empty(), "solve_ivp: y0 holds no arrays");
  Arrays y0;
  for (const Array& y : y0_in) y0.push_back(y.is_weak() ? astype(y, y.dtype()) : y);
  const size_t n = y0.size();
  require(options.atol.size() == 1 || options.atol.size() == n, "solve_ivp: atol holds ", options.atol.size(),
          " arrays, expected one, or one for each of the ", n, " of the state");
  check_positive(options.rtol, "rtol", true, true);
  for (const Array& a : options.atol) check_positive(a, "atol", true, false);
  if (options.first_step) check_positive(*options.first_step, "first_step", false, true);
  if (options.max_step) check_positive(*options.max_step, "max_step", false, true);
  require(options.max_steps > 0, "solve_ivp: max_steps is ", options.max_steps, ", expected 1 or more");
  if (is_constant(t0) && is_constant(t1))
    require(std::isfinite(t0.item<double>()) && std::isfinite(t1.item<double>()), "solve_ivp: the span from ",
            t0.item<double>(), " to ", t1.item<double>(), " is not finite");

  Arrays operands;
  const Field field = record(f, options.method, y0, operands);
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
  if (by_cvode) {
    const auto captured = operands.begin() + static_cast<int64_t>(field.num_captures);
    return solve_cvode(
        {field.graph, {operands.begin(), captured}, t0, t1, y0, options.rtol, {captured + 1, operands.end()}},
        options);
  }
  std::optional<Array> max_step;
  if (options.max_step) max_step = stop_gradient(astype(*options.max_step, kFloat64));
  const Stepper stepper(std::move(method), max_step);
  const bool interpolates = stepper.method().interpolates();

  const Array direction = stop_gradient(astype(where(t1 >= t0, 1.0, -1.0), kFloat64));
  const Arrays f0 = field(t0, y0, operands);
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
  const auto goes_on = [&](const State& s, const Array& end) {
    return logical_and(logical_and(equal(s.status, kSuccess), (end - s.t) * direction > 0.0),
                       s.accepted + s.rejected < options.max_steps);
  };
  const auto unfinished = [&](State& s, const Array& end) {
    s.status = where(logical_and(equal(s.status, kSuccess), (end - s.t) * direction > 0.0),
                     static_cast<int64_t>(IvpStatus::TooManySteps), s.status);
  };

  Solution out;
  if (options.t_eval) {
    const Array& given = *options.t_eval;
    require(given.ndim() == 1, "solve_ivp: t_eval has shape ", given.shape(), ", expected one axis");
    require<TypeError>(!is_complex(given.dtype()) && given.dtype() != kBool && given.dtype() != DType::Key,
                       "solve_ivp: t_eval has dtype ", given.dtype(), ", expected real numbers");
    out.t = astype(given, kFloat64);
    const Array ok = in_order(out.t, t0, t1, direction);
    require(!is_constant(ok) || ok.item<bool>(),
            "solve_ivp: t_eval must ascend within t_span, in its direction");
    state.status = where(logical_or(ok, not_equal(state.status, kSuccess)), state.status,
                         static_cast<int64_t>(IvpStatus::BadTimes));
    const Arrays all = scan(
        [&](std::span<const Array> x) {
          const Array& t = x.back();
          const Array end = interpolates ? t1 : t;
          const Arrays last =
              while_loop([&](std::span<const Array> c) { return Arrays{goes_on(stepper.unpack(c), t)}; },
                         [&](std::span<const Array> c) {
                           return stepper.pack(stepper.attempt(stepper.unpack(c), end, direction, operands));
                         },
                         Arrays(x.begin(), x.end() - 1));
          State s = stepper.unpack(last);
          unfinished(s, t);
          Arrays result = stepper.pack(s);
          const Arrays y = interpolates ? stepper.interpolate(s, t) : s.y;
          for (const Array& a : y)
            result.push_back(where(equal(s.status, kSuccess), a, astype(Array(std::nan("")), a.dtype())));
          return result;
        },
        stepper.pack(state), {out.t});
    state = stepper.unpack(std::span<const Array>(all).first(all.size() - n));
    out.y.assign(all.end() - static_cast<int64_t>(n), all.end());
  } else {
    Arrays inputs = stepper.pack(state);
    const size_t carries = inputs.size();
    for (const Array& a : {t1, direction}) inputs.push_back(a);
    append(inputs, operands);
    require<TraceError>(
        std::none_of(inputs.begin(), inputs.end(), [](const Array& a) { return a.is_symbol(); }),
        "solve_ivp: how many steps there are depends on values; give t_eval, the times of the "
        "solution, under vmap, compile and in loops");
    Avals avals;
    for (const Array& a : inputs) avals.push_back(aval(a));
    const Compiled step = compile(
        [&](std::span<const Array> x) {
          return stepper.pack(
              stepper.attempt(stepper.unpack(x), x[carries], x[carries + 1], x.subspan(carries + 2)));
        },
        avals);
    std::vector<Array> t{t0};
    std::vector<Arrays> y(n);
    for (size_t i = 0; i < n; ++i) y[i].push_back(y0[i]);
    while (goes_on(state, t1).item<bool>()) {
      poll_interrupt();
      const Arrays next = step(inputs);
      std::copy(next.begin(), next.end(), inputs.begin());
      const State s = stepper.unpack(next);
      if (s.accepted.item<int64_t>() > state.accepted.item<int64_t>()) {
        t.push_back(s.t);
        for (size_t i = 0; i < n; ++i) y[i].push_back(s.y[i]);
      }
      state = s;
    }
    unfinished(state, t1);
    out.t = stack(t);
    for (size_t i = 0; i < n; ++i) out.y.push_back(stack(y[i]));
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
  if (options.throw_on_failure) {
    const auto nothing = [] { return Arrays{Array(int64_t{-1}), Array(int64_t{-1})}; };
    const Array failed = logical_or(equal(out.status, static_cast<int64_t>(IvpStatus::StepTooSmall)),
                                    equal(out.status, static_cast<int64_t>(IvpStatus::NotFinite)));
    Arrays which = nothing();
    if (stepper.adapts() && !failed.has_data())
      which = cond(
          failed, [&](std::span<const Array>) { return stepper.limiting(state, direction, operands); },
          [&](std::span<const Array>) { return nothing(); }, {});
    else if (stepper.adapts() && failed.item<bool>())
      which = stepper.limiting(state, direction, operands);
    for (Array& y : out.y)
      y = apply1(the<IvpCompleted>(), {y, out.status, stop_gradient(state.t), stop_gradient(state.h),
                                       stop_gradient(which[0]), stop_gradient(which[1])});
  }
  return out;
}

}  // namespace hesse::solvers
