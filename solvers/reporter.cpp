#include "solvers/reporter.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/node.h"
#include "core/ops.h"
#include "core/ops/control.h"

namespace hesse::solvers {
namespace {

// Of a trace that is not, or not within, the current staged region: vmap records without staging.
bool is_mapped(const Array& a) {
  if (!a.is_symbol() || !a.node() || !a.node()->trace()) return false;
  const Ref<Trace>& region = current_region();
  return !region || a.node()->trace()->level() > region->level();
}

}  // namespace

void Reporter::begin(double t0, double t1) {
  const std::lock_guard lock(mutex_);
  begin_ = last_ = Clock::now();
  t0_ = t_last_ = t0;
  t1_ = t1;
  speed_ = 0;
}

void Reporter::tell(double t, double h, int64_t accepted, int64_t rejected, bool done) {
  const std::lock_guard lock(mutex_);
  const Clock::time_point now = Clock::now();
  const auto seconds = [](Clock::duration d) { return std::chrono::duration<double>(d).count(); };
  const double since = seconds(now - last_);
  if (!done && since < interval_) return;
  const double speed = std::abs(t - t_last_) / std::max(since, 1e-9);
  speed_ = speed_ == 0 ? speed : (speed_ + speed) / 2;
  last_ = now;
  t_last_ = t;
  const double left = std::abs(t1_ - t);
  const double remaining = done ? 0.0 : speed_ > 0 ? left / speed_ : std::numeric_limits<double>::infinity();
  report_({t0_, t1_, t, h, accepted, rejected, seconds(now - begin_), remaining, done});
}

void Reporter::begin(const std::shared_ptr<Reporter>& r, const Array& t0, const Array& t1) {
  callback(
      [r](std::span<const Array> x) {
        r->begin(x[0].item<double>(), x[1].item<double>());
        return Arrays{};
      },
      {}, {stop_gradient(t0), stop_gradient(t1)}, "solve_ivp: progress");
}

void Reporter::step(const std::shared_ptr<Reporter>& r, const Array& t, const Array& h, const Array& accepted,
                    const Array& rejected, bool last) {
  Arrays in;
  for (const Array& a : {t, h, accepted, rejected}) in.push_back(stop_gradient(a));
  callback(
      [r, last](std::span<const Array> x) {
        r->tell(x[0].item<double>(), x[1].item<double>(), x[2].item<int64_t>(), x[3].item<int64_t>(), last);
        return Arrays{};
      },
      {}, in, "solve_ivp: progress");
}

std::shared_ptr<Reporter> make_reporter(std::string_view function, const ProgressFn& report, double interval,
                                        std::span<const Array> inputs) {
  if (!report) return nullptr;
  require(interval >= 0, function, ": progress_interval is ", interval, ", expected seconds, 0 or more");
  require<TraceError>(std::none_of(inputs.begin(), inputs.end(), is_mapped), function,
                      ": progress is that of one solve, and under vmap there are many; leave it out there");
  return std::make_shared<Reporter>(report, interval);
}

}  // namespace hesse::solvers
