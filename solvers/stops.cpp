#include "solvers/stops.h"

#include <cmath>
#include <limits>

#include "core/ops.h"
#include "core/ops/control.h"
#include "solvers/adjoint.h"
#include "solvers/lists.h"
#include "solvers/root.h"

namespace hesse::solvers {
namespace {

Array infinity() { return Array::from<double>(std::array{std::numeric_limits<double>::infinity()}, {}); }

}  // namespace

Stops::Stops(const Stepper& stepper, const Events& events, std::vector<int64_t> most, int64_t max_steps,
             bool looks_back, int64_t checkpoint_every, Reports reports)
    : stepper_(stepper),
      events_(events),
      most_(std::move(most)),
      max_steps_(max_steps),
      checkpoint_every_(checkpoint_every),
      interpolates_(stepper.method().interpolates()),
      keeps_begin_(!interpolates_ && (looks_back || events.size() > 0)),
      reports_(std::move(reports)) {}

Arrays Stops::pack(const State& s) const {
  Arrays out = stepper_.pack(s.steps);
  if (keeps_begin_) {
    out.push_back(s.t_begin);
    append(out, s.y_begin);
    append(out, s.kept_begin);
  }
  if (events_.size() == 0) return out;
  for (const Arrays* part : {&s.g, &s.pending, &s.counts}) append(out, *part);
  append(out, Arrays{s.ended, s.reported});
  return out;
}

Stops::State Stops::unpack(std::span<const Array> x) const {
  State s{stepper_.unpack(x), x[0], {}, {}, {}, {}, {}, x[0], x[3]};
  size_t at = stepper_.pack(s.steps).size();
  const auto next = [&](size_t count) {
    at += count;
    return Arrays(x.begin() + static_cast<int64_t>(at - count), x.begin() + static_cast<int64_t>(at));
  };
  if (keeps_begin_) {
    s.t_begin = x[at++];
    s.y_begin = next(s.steps.y.size());
    s.kept_begin = next(s.steps.kept.size());
  }
  if (events_.size() == 0) return s;
  for (Arrays* part : {&s.g, &s.pending, &s.counts}) *part = next(events_.size());
  s.ended = x[at];
  s.reported = x[at + 1];
  return s;
}

Stops::State Stops::start(const Stepper::State& steps, const Arrays& slopes, const Problem& p) const {
  State s{steps, steps.t, steps.y, steps.kept, {}, {}, {}, Array(int64_t{-1}), steps.accepted};
  for (size_t k = 0; k < events_.size(); ++k) {
    s.g.push_back(events_.value_at_start(k, steps.t, steps.h, steps.y, slopes, p.operands));
    s.pending.push_back(infinity());
    s.counts.push_back(Array(int64_t{0}));
    s.steps.status = where(logical_and(isnan(s.g[k]), equal(s.steps.status, kSuccess)),
                           static_cast<int64_t>(IvpStatus::EventNotFinite), s.steps.status);
  }
  return s;
}

Array Stops::goes_on(const State& s, const Array& target, const Problem& p) const {
  const Stepper::State& now = s.steps;
  Array on = logical_and(logical_and(equal(now.status, kSuccess), (target - now.t) * p.direction > 0.0),
                         now.accepted + now.rejected < max_steps_);
  for (const Array& x : s.pending) on = logical_and(on, logical_not(isfinite(x)));
  return events_.size() == 0 ? on : logical_and(on, s.ended < int64_t{0});
}

// The state at a time within the last step. A method that does not interpolate takes the step again, as far
// as that: as accurate as the method, and differentiable in the time.
Arrays Stops::at(const State& s, const Array& t, const Problem& p) const { return within(segment(s), t, p); }

Stops::State Stops::attempt(const State& from, const Array& end, const Problem& p) const {
  State s = from;
  Array until = end;
  if (p.breaks) {
    s.steps = afresh(from.steps, p);
    const Array ahead = (p.breaks->before - s.steps.t) * p.direction;
    const Array distance = where(ahead > 0.0, ahead, infinity());
    const Array next = take(p.breaks->before, argmin(distance), 0);
    until = where(min(distance) < (end - s.steps.t) * p.direction, next, end);
  }
  State after = s;
  after.steps = stepper_.attempt(s.steps, until, p.direction, p.operands);
  if (keeps_begin_) {
    const Array accepted = after.steps.accepted > s.steps.accepted;
    after.t_begin = where(accepted, s.steps.t, s.t_begin);
    after.y_begin = select(accepted, s.steps.y, s.y_begin);
    after.kept_begin = select(accepted, s.steps.kept, s.kept_begin);
  }
  return events_.size() == 0 ? after : judged(s, std::move(after), p);
}

// Behind a breakpoint f may be another: its slope and the size of the step are taken anew.
Stepper::State Stops::afresh(const Stepper::State& s, const Problem& p) const {
  const Array here = equal(s.t, p.breaks->before);
  const Array t = take(p.breaks->after, argmax(astype(here, kInt64)), 0);
  const Method& method = stepper_.method();
  const Arrays old{s.t, s.h, s.norm};
  const bool moves = method.field().unreached.has_value();  // algebraic entries jump with f
  const auto begin = [&](std::span<const Array>) {
    const Arrays y = method.field().consistent(t, s.y, p.operands);
    const Arrays slopes = method.field().slopes(t, y, p.operands);
    const Array h = stepper_.adapts() ? stepper_.guess(t, p.t1, p.direction, y, slopes, p.operands) : s.h;
    const Stepper::State start = stepper_.start(t, y, slopes, h);
    Arrays out{t, start.h, start.norm};
    if (moves) append(out, y);
    append(out, method.kept_afresh(slopes, s.kept));
    return out;
  };
  const auto go_on = [&](std::span<const Array>) {
    Arrays out = old;
    if (moves) append(out, s.y);
    append(out, s.kept);
    return out;
  };
  const Arrays out = cond(any(here), begin, go_on, {});
  Stepper::State next = s;
  next.t = out[0];
  next.h = out[1];
  next.norm = out[2];
  const auto kept = out.end() - static_cast<int64_t>(s.kept.size());
  if (moves) next.y.assign(out.begin() + 3, kept);
  next.kept.assign(kept, out.end());
  return next;
}

Arrays Stops::segment(const State& s) const {
  const Stepper::State& step = s.steps;
  Arrays out{interpolates_ ? step.t_last : s.t_begin, step.t};
  append(out, interpolates_ ? step.y_last : s.y_begin);
  append(out, interpolates_ ? step.kept : s.kept_begin);
  append(out, step.y);
  if (interpolates_) append(out, step.dense);
  return out;
}

Arrays Stops::within(std::span<const Array> x, const Array& t, const Problem& p) const {
  const Method& method = stepper_.method();
  const size_t n = method.field().num_arrays(), kept = method.num_kept();
  size_t at = 2;
  const auto next = [&](size_t count) {
    at += count;
    return Arrays(x.begin() + static_cast<int64_t>(at - count), x.begin() + static_cast<int64_t>(at));
  };
  const Arrays y_begin = next(n), between = next(kept), y_end = next(n);
  if (!interpolates_) return method.step(x[0], t - x[0], y_begin, between, p.operands).y;
  return method.interpolate({x[0], x[1], y_begin, y_end, between, next(method.num_dense())}, t);
}

// Where events lie in the step that was taken, if one was. What is found are constants.
Stops::State Stops::judged(const State& before, State after, const Problem& p) const {
  const Array accepted = after.steps.accepted > before.steps.accepted;
  const Arrays fixed = solvers::stopped(pack(after));
  const State still = unpack(fixed);
  const Problem constant{p.t1, p.direction, solvers::stopped(p.operands)};
  const Array t0 = begin(still), width = still.steps.t - t0;
  const double eps = stepper_.method().field().time == kFloat32 ? std::numeric_limits<float>::epsilon()
                                                                : std::numeric_limits<double>::epsilon();
  const Array rounding = 2.3e-16 * abs(still.steps.t) / where(equal(width, 0.0), 1.0, abs(width));
  const Array tolerance = minimum(eps + rounding, 0.1);
  for (size_t k = 0; k < events_.size(); ++k) {
    const Array g = events_.value(k, still.steps.t, still.steps.y, constant.operands);
    const Array passes = logical_and(accepted, events_.passes(k, before.g[k], g));
    const auto within = [&](const Array& x) {
      const Array t = t0 + x * width;
      return events_.value(k, t, at(still, t, constant), constant.operands);
    };
    after.pending[k] = where(passes, Events::locate(within, before.g[k], g, passes, tolerance), infinity());
    after.g[k] = where(accepted, g, before.g[k]);
    after.steps.status = where(logical_and(isnan(after.g[k]), equal(after.steps.status, kSuccess)),
                               static_cast<int64_t>(IvpStatus::EventNotFinite), after.steps.status);
  }
  return after;
}

Stops::Stop Stops::next(const State& from, const Array& target, const Problem& p) const {
  const State s = unpack(checkpointed_loop(
      [&](std::span<const Array> c) { return Arrays{goes_on(unpack(c), target, p)}; },
      [&](std::span<const Array> c) { return pack(attempt(unpack(c), interpolates_ ? p.t1 : target, p)); },
      pack(from), reports_.to && checkpoint_every_ == 0 ? reports_.every : checkpoint_every_,
      [&](std::span<const Array> c) {
        const Stepper::State now = stepper_.unpack(c);
        if (reports_.to) Reporter::step(reports_.to, now.t, now.h, now.accepted, now.rejected);
      }));
  return stopped(s, target, logical_not((target - s.steps.t) * p.direction > 0.0), kTarget, p);
}

Stops::Stop Stops::next_step(const State& from, const Problem& p) const {
  const State s = unpack(while_loop(
      [&](std::span<const Array> c) {
        const State now = unpack(c);
        return Arrays{logical_and(goes_on(now, p.t1, p), equal(now.steps.accepted, from.reported))};
      },
      [&](std::span<const Array> c) { return pack(attempt(unpack(c), p.t1, p)); }, pack(from)));
  return stopped(s, s.steps.t, s.steps.accepted > from.reported, kStep, p);
}

// The solution at a time t_e where g(t_e, y(t_e)) = 0: dt_e follows from the equation (solvers/root.h), with
// y as the last step has it.
Stops::Stop Stops::stopped(State s, const Array& target, const Array& arrived, int64_t what,
                           const Problem& p) const {
  Array& status = s.steps.status;
  Array runs = equal(status, kSuccess), first = infinity(), which(int64_t{0});
  for (size_t k = 0; k < events_.size(); ++k) {
    const Array earlier = s.pending[k] < first;
    first = where(earlier, s.pending[k], first);
    which = where(earlier, static_cast<int64_t>(k), which);
  }
  if (events_.size() > 0) runs = logical_and(runs, s.ended < int64_t{0});
  const Array found = isfinite(first);
  const Array lost =
      logical_and(runs, logical_not(events_.size() > 0 ? logical_or(found, arrived) : arrived));
  status = where(lost, static_cast<int64_t>(IvpStatus::TooManySteps), status);
  runs = logical_and(runs, logical_not(lost));
  if (events_.size() == 0)
    return {s, where(runs, what, kNone), target, interpolates_ ? at(s, target, p) : s.steps.y};

  const Array t0 = begin(s), t_found = stop_gradient(where(equal(first, 1.0), s.steps.t,
                                                           t0 + where(found, first, 0.0) * (s.steps.t - t0)));
  const Array happens =
      logical_and(logical_and(runs, found), (stop_gradient(target) - t_found) * p.direction >= 0.0);
  const auto equation = [&](std::span<const Array> x) {
    Arrays in{x[0]};
    append(in, at(s, x[0], p));
    std::vector<Fn> branches;
    for (size_t k = 0; k < events_.size(); ++k)
      branches.push_back([&, k](std::span<const Array> v) {
        return Arrays{events_.value(k, v[0], v.subspan(1), p.operands)};
      });
    const Array g = branches.size() == 1 ? branches[0](in)[0] : switch_(which, branches, in)[0];
    return Arrays{where(happens, g, x[0] - t_found)};  // the other has a derivative that is not zero
  };
  const Array t_event = implicit_function(
      equation, {t_found}, {.linear_solver = "lu", .singular = Factored::Singular::GivesNaN})[0];
  Stop out{s,
           where(happens, which, where(logical_and(runs, arrived), what, kNone)),
           where(happens, t_event, target),
           {}};
  if (interpolates_) {
    out.y = at(s, out.t, p);
  } else {
    out.y = cond(
        happens, [&](std::span<const Array>) { return at(s, out.t, p); },
        [&](std::span<const Array>) { return s.steps.y; }, {});
  }
  State& after = out.state;
  if (what == kStep) after.reported = where(equal(out.kind, kStep), s.steps.accepted, s.reported);
  for (size_t k = 0; k < events_.size(); ++k) {
    const Array now = logical_and(happens, equal(which, static_cast<int64_t>(k)));
    after.pending[k] = where(now, infinity(), s.pending[k]);
    after.counts[k] = s.counts[k] + where(now, Array(int64_t{1}), Array(int64_t{0}));
    if (const int64_t terminal = events_.terminal(k); terminal > 0)
      after.ended =
          where(logical_and(now, equal(after.counts[k], terminal)), static_cast<int64_t>(k), after.ended);
    if (most_[k] >= 0) {
      const Array above = logical_and(now, after.counts[k] > most_[k]);
      after.steps.status = where(above, static_cast<int64_t>(IvpStatus::TooManyEvents), after.steps.status);
      out.kind = where(above, kNone, out.kind);
    }
  }
  return out;
}

}  // namespace hesse::solvers
