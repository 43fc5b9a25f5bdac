#pragma once
#include "solvers/flat.h"
#include "solvers/outcome.h"
#include "solvers/root.h"

/// The iterations of root_solve, on a vector.
namespace hesse::solvers {

inline int64_t code(SolveStatus s) { return static_cast<int64_t>(s); }
/// Solvers go on while this is their status: it is right when they run out of steps.
inline constexpr int64_t kRunning = static_cast<int64_t>(SolveStatus::TooManySteps);
inline Array scalar(int64_t n) { return Array::from<int64_t>(std::span<const int64_t>(&n, 1), {}); }

/// What their loops carry first.
struct RootIterate {
  Array v, f, steps, evaluations, status;
  static constexpr size_t kSize = 5;
  Arrays pack() const { return {v, f, steps, evaluations, status}; }
  static RootIterate unpack(std::span<const Array> x) { return {x[0], x[1], x[2], x[3], x[4]}; }
};

/// From a start whose f is known, while its status is kRunning.
RootIterate newton(const VectorFn& f, const Tolerances& tolerances, const RootIterate& start,
                   const RootOptions& options);
RootIterate anderson(const VectorFn& f, const Tolerances& tolerances, const RootIterate& start,
                     const RootOptions& options);
RootIterate transient(const VectorFn& f, const Tolerances& tolerances, const RootIterate& start,
                      const RootOptions& options);

}  // namespace hesse::solvers
