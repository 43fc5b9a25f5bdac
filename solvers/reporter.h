#pragma once
#include <chrono>
#include <memory>
#include <mutex>

#include "core/array.h"
#include "solvers/progress.h"

namespace hesse::solvers {

/// Tells a function how far solves are, one after another, at most once in an interval. What stands between
/// two reports costs a look at the clock.
class Reporter final {
 public:
  Reporter(ProgressFn report, double interval) : report_(std::move(report)), interval_(interval) {}
  void begin(double t0, double t1);
  void step(double t, double h, int64_t accepted, int64_t rejected) { tell(t, h, accepted, rejected, false); }
  void end(double t, double h, int64_t accepted, int64_t rejected) { tell(t, h, accepted, rejected, true); }

  // The same as effects of a program, where what they take are symbols.
  static void begin(const std::shared_ptr<Reporter>& r, const Array& t0, const Array& t1);
  static void step(const std::shared_ptr<Reporter>& r, const Array& t, const Array& h, const Array& accepted,
                   const Array& rejected, bool last = false);

 private:
  using Clock = std::chrono::steady_clock;
  void tell(double t, double h, int64_t accepted, int64_t rejected, bool done);

  ProgressFn report_;
  double interval_;
  std::mutex mutex_;
  Clock::time_point begin_, last_;
  double t0_ = 0, t1_ = 0, t_last_ = 0, speed_ = 0;
};
/// Null without a function. Throws ValueError, named by `function`, unless the interval is 0 or more, and
/// TraceError where one of `inputs` is an example of vmap: reports are of one solve.
std::shared_ptr<Reporter> make_reporter(std::string_view function, const ProgressFn& report, double interval,
                                        std::span<const Array> inputs);

/// What a loop of steps reports to, and after how many attempts it looks at the clock.
struct Reports {
  std::shared_ptr<Reporter> to = {};
  int64_t every = 1;
};

}  // namespace hesse::solvers
