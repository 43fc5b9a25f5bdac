#include "solvers/events.h"
#include "solvers/itp.h"

#include <cmath>
#include <limits>

#include "autodiff/autodiff.h"
#include "core/ops.h"
#include "core/ops/control.h"
#include "core/ops/control_graph.h"

namespace hesse::solvers {

Events::Events(const std::vector<Event>& events, const Field& field, const Arrays& y0, Arrays& operands)
    : time_(field.time) {
  Avals avals{{{}, time_}};
  for (const Array& y : y0) avals.push_back(aval(y));
  for (const Event& event : events) {
    const size_t k = recorded_.size();
    require(event.g != nullptr, "solve_ivp: event ", k, " has no function");
    require(event.terminal >= 0, "solve_ivp: terminal of event ", k, " is ", event.terminal,
            ", expected 0 (never) or how many times it happens before the solution ends");
    require(event.direction >= -1 && event.direction <= 1, "solve_ivp: direction of event ", k, " is ",
            event.direction, ", expected -1, 0 or 1");
    const Traced traced = trace(
        [&](std::span<const Array> x) {
          const Array g = event.g(x[0], x.subspan(1));
          require(g.ndim() == 0, "solve_ivp: event ", k, " returns shape ", g.shape(),
                  ", expected a scalar that passes zero where it happens");
          require<TypeError>(is_inexact(g.dtype()) && !is_complex(g.dtype()), "solve_ivp: event ", k,
                             " returns ", describe(g),
                             ", expected a floating number that passes zero where it happens");
          return Arrays{astype(g, kFloat64)};
        },
        avals, true);
    recorded_.push_back(
        {traced.graph, operands.size(), traced.captures.size(), event.terminal, event.direction});
    operands.insert(operands.end(), traced.captures.begin(), traced.captures.end());
  }
}

Array Events::value(size_t k, const Array& t, std::span<const Array> y,
                    std::span<const Array> operands) const {
  const Recorded& event = recorded_[k];
  Arrays in{astype(t, time_)};
  in.insert(in.end(), y.begin(), y.end());
  const std::span<const Array> captures = operands.subspan(event.first, event.count);
  in.insert(in.end(), captures.begin(), captures.end());
  return event.graph->call(in)[0];
}

// By dg/dt along the solution, the zero of the tangent lies |g| / |dg/dt| away in time. A solution that
// starts where another was ended by the same event is off zero by rounding, to either side.
Array Events::value_at_start(size_t k, const Array& t, const Array& h, std::span<const Array> y,
                             std::span<const Array> slopes, std::span<const Array> operands) const {
  Arrays at{t};
  MaybeArrays along{ones_like(t)};
  at.insert(at.end(), y.begin(), y.end());
  along.insert(along.end(), slopes.begin(), slopes.end());
  const auto [g, rate] = jvp(
      [&](std::span<const Array> x) { return Arrays{value(k, x[0], x.subspan(1), operands)}; }, at, along);
  const double eps =
      time_ == kFloat32 ? std::numeric_limits<float>::epsilon() : std::numeric_limits<double>::epsilon();
  const Array near = rate[0] ? abs(*rate[0]) * (1000.0 * eps * (abs(t) + h)) : Array(0.0);
  return stop_gradient(where(abs(g[0]) <= near, 0.0, g[0]));
}

Array Events::passes(size_t k, const Array& from, const Array& to) const {
  const Array falls = logical_and(from > 0.0, to <= 0.0), rises = logical_and(from < 0.0, to >= 0.0);
  const int direction = recorded_[k].direction;
  return direction < 0 ? falls : direction > 0 ? rises : logical_or(falls, rises);
}

Array Events::locate(const std::function<Array(const Array& x)>& g, const Array& from, const Array& to,
                     const Array& active, const Array& tolerance) {
  const Array none(int64_t{0}), one(int64_t{1});
  const auto number = [](double x) { return Array::from<double>(std::array{x}, {}); };
  const Array arrived = equal(to, 0.0);
  const Arrays start{where(arrived, number(1), number(0)),     number(1), from, to, none,
                     logical_and(active, logical_not(arrived))};
  const Arrays end = while_loop(
      [](std::span<const Array> x) { return Arrays{x[5]}; },
      [&](std::span<const Array> x) {
        const Array &a = x[0], &b = x[1], &ga = x[2], &gb = x[3], &done = x[4];
        const Array at = itp::next(a, b, ga, gb, tolerance, astype(done, kFloat64));
        const Array value = g(at), zero = equal(value, 0.0);
        const Array before = equal(sign(value), sign(ga));  // at lies before the zero
        const Array a_next = where(logical_or(before, zero), at, a), b_next = where(before, b, at);
        const Array runs = logical_and(b_next - a_next > 2.0 * tolerance, done < itp::kMostSteps);
        return Arrays{a_next, b_next, where(before, value, ga), where(before, gb, value), done + one, runs};
      },
      start);
  return 0.5 * (end[0] + end[1]);
}

}  // namespace hesse::solvers
