#include "solvers/sundials/watch.h"

#include <algorithm>
#include <cmath>

#include "solvers/itp.h"
#include "solvers/sundials/ark_session.h"
#include "solvers/sundials/march.h"
#include "solvers/sundials/session.h"

namespace hesse::solvers::sundials {

ConditionValues::Call::Call(const ConditionValues& values, std::span<const Array> q)
    : values_(values), q_(q) {
  constexpr int64_t kLanes = 4;  // a register of them takes the time of one
  std::call_once(values.once_,
                 [&] { values.code_ = ScalarFunction::make(values.program_.program(), kLanes); });
  if (!values.code_) return;
  code_.emplace(*values.code_);
  for (size_t j = 0; j < q.size(); ++j) code_->set(static_cast<int>(j) + 2, q[j]);
}

void ConditionValues::Call::operator()(double t, const double* y, std::span<double> g) {
  if (code_) {
    code_->set(0, &t);
    code_->set(1, y);
    code_->run();
    code_->get(0, g.data());
    return;
  }
  const Graph& program = values_.program_.program();
  const Shape& shape = program.input_aval(1).shape;
  Arrays in{scalar_of(t),
            Array::from<double>(std::span<const double>(y, static_cast<size_t>(shape[0])), shape)};
  in.insert(in.end(), q_.begin(), q_.end());
  const Arrays out = program.run(in);
  for (size_t k = 0; k < g.size(); ++k) g[k] = out[k].item<double>();
}

namespace {

bool passes(double from, double to, int64_t direction) {
  const bool falls = from > 0 && to <= 0, rises = from < 0 && to >= 0;
  return direction < 0 ? falls : direction > 0 ? rises : falls || rises;
}

// Where in [0, 1] g passes zero, from `ga` to `gb`, as Events::locate finds it.
template <class G>
double located(G g, double ga, double gb, double tolerance) {
  if (gb == 0) return 1;
  double a = 0, b = 1;
  for (int64_t done = 0; b - a > 2 * tolerance && done < itp::kMostSteps; ++done) {
    const double at = itp::next(a, b, ga, gb, tolerance, static_cast<double>(done)), value = g(at);
    if (value == 0) return at;
    if ((value > 0) == (ga > 0)) {
      a = at;
      ga = value;
    } else {
      b = at;
      gb = value;
    }
  }
  return 0.5 * (a + b);
}

struct Passing {
  double t;
  size_t event;
};

/// One solve's events and rows.
class Watcher final {
 public:
  Watcher(const Problem& problem, std::span<const double> times, bool every_step, const Watch& watch,
          Watched& out)
      : problem_(problem),
        times_(times),
        every_step_(every_step),
        watch_(watch),
        out_(out),
        value_(watch.values, watch.q),
        g_(watch.start.begin(), watch.start.end()),
        next_g_(g_.size()),
        before_(problem.t0),
        direction_(times.back() >= problem.t0 ? 1.0 : -1.0) {
    out.events.resize(g_.size());
  }
  /// Whether g at t0 is a number for every event.
  bool starts() { return all_numbers(g_); }
  void emit(double t, const double* y) {
    out_.t.push_back(t);
    out_.y.insert(out_.y.end(), y, y + problem_.y0.size());
  }
  /// Times up to t, or those before it.
  template <class StateAt>
  void emit_until(double t, bool with_t, StateAt state_at) {
    if (every_step_) return;
    for (; next_ < times_.size(); ++next_) {
      const double ahead = (times_[next_] - t) * direction_;
      if (with_t ? ahead > 0 : ahead >= 0) return;
      emit(times_[next_], state_at(times_[next_]));
    }
  }
  /// The step to t was taken, where the state holds until `until`: whether to go on.
  template <class AnySession>
  bool after(const AnySession& session, const Vector& y, double t, double until) {
    const auto state_at = [&](double at) {
      session.state_at((at - t) * direction_ < 0 ? at : t, y.get());
      return static_cast<const double*>(entries(y.get()));
    };
    value_(t, entries(session.y()), next_g_);
    if (!all_numbers(next_g_)) return false;
    for (const Passing& p : passings(t, state_at)) {
      emit_until(p.t, false, state_at);
      if (happens(p, state_at(p.t))) return false;
    }
    emit_until(until, true, state_at);
    if (every_step_) emit(t, entries(session.y()));
    std::swap(g_, next_g_);
    before_ = until;
    return true;
  }

 private:
  bool all_numbers(std::span<const double> g) {
    if (std::none_of(g.begin(), g.end(), [](double v) { return std::isnan(v); })) return true;
    out_.report.status = IvpStatus::EventNotFinite;
    return false;
  }
  // In the order of their times.
  template <class StateAt>
  std::vector<Passing> passings(double t, StateAt state_at) {
    std::vector<Passing> found;
    const double width = t - before_;
    const double tolerance = std::min(2.3e-16 * (1 + std::abs(t / width)), 0.1);
    for (size_t k = 0; k < g_.size(); ++k) {
      if (!passes(g_[k], next_g_[k], watch_.conditions.direction[k])) continue;
      std::vector<double> g(g_.size());
      const double x = located(
          [&](double at) {
            const double time = before_ + at * width;
            value_(time, state_at(time), g);
            return g[k];
          },
          g_[k], next_g_[k], tolerance);
      found.push_back({x == 1 ? t : before_ + x * width, k});
    }
    std::stable_sort(found.begin(), found.end(),
                     [&](const Passing& a, const Passing& b) { return (b.t - a.t) * direction_ > 0; });
    return found;
  }
  // Whether it ends the solution.
  bool happens(const Passing& p, const double* y) {
    Watched::Occurrences& event = out_.events[p.event];
    const int64_t count = ++event.count;
    if (watch_.most[p.event] >= 0 && count > watch_.most[p.event]) {
      out_.report.status = IvpStatus::TooManyEvents;
      return true;
    }
    event.t.push_back(p.t);
    event.y.insert(event.y.end(), y, y + problem_.y0.size());
    if (count != watch_.conditions.terminal[p.event]) return false;
    out_.ended = static_cast<int64_t>(p.event);
    if (every_step_) emit(p.t, y);
    return true;
  }

  const Problem& problem_;
  std::span<const double> times_;
  bool every_step_;
  const Watch& watch_;
  Watched& out_;
  ConditionValues::Call value_;
  std::vector<double> g_, next_g_;
  double before_, direction_;
  size_t next_ = 0;
};

template <class AnySession>
void watch_by(const Problem& problem, double end, Watcher& watcher, Watched& out) {
  Calls calls(problem);
  AnySession session(calls);
  const Vector y = make_vector(problem.field.size(), session.context());
  march_through(session, end, out.report,
                [&](double t, double until) { return watcher.after(session, y, t, until); });
  session.examine(out.report);
}

}  // namespace

Watched integrate_watched(const Problem& problem, std::span<const double> times, bool every_step,
                          const Watch& watch) {
  Watched out;
  Watcher watcher(problem, times, every_step, watch, out);
  if (without_steps(problem.t0, problem.y0, out.report) || !watcher.starts()) return out;
  const auto at_start = [&](double) { return problem.y0.data(); };
  const double end = times.back();
  if (every_step) watcher.emit(problem.t0, problem.y0.data());
  watcher.emit_until(problem.t0, true, at_start);
  if (end == problem.t0) return out;
  const Telling telling(problem.settings.reporter, problem.t0, end, out.report);
  if (problem.settings.by_arkode)
    watch_by<ArkSession>(problem, end, watcher, out);
  else
    watch_by<Session>(problem, end, watcher, out);
  if (out.ended >= 0) out.report.t = out.events[static_cast<size_t>(out.ended)].t.back();
  return out;
}

}  // namespace hesse::solvers::sundials
