#pragma once
#include <cstdint>
#include <functional>

namespace hesse::solvers {

/// How far a solve is.
struct IvpProgress {
  double t0, t1;   ///< the span
  double t, step;  ///< where it is, and the size of the next step
  int64_t accepted, rejected;
  double elapsed;    ///< wall time since its beginning, s
  double remaining;  ///< an estimate from the speed of late, s; infinity where nothing is known yet
  bool done;         ///< the last report of this solve
};
/// Called from the thread that solves.
using ProgressFn = std::function<void(const IvpProgress&)>;

}  // namespace hesse::solvers
