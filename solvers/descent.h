#pragma once
#include "solvers/flat.h"
#include "solvers/minimise.h"
#include "solvers/root_steps.h"

/// The iterations of minimise, on a vector.
namespace hesse::solvers {

/// What their loops carry first: where they are, f and its gradient there.
struct Descent {
  Array v, f, g, steps, evaluations, status;
  static constexpr size_t kSize = 6;
  Arrays pack() const { return {v, f, g, steps, evaluations, status}; }
  static Descent unpack(std::span<const Array> x) { return {x[0], x[1], x[2], x[3], x[4], x[5]}; }
};
/// A scalar function of a vector, and how large an entry of its gradient may be at a minimum.
struct Objective {
  VectorFn f;
  Array gtol;
  std::pair<Array, Array> value_and_gradient(const Array& v) const;
  Array gradient(const Array& v) const { return value_and_gradient(v).second; }
};

/// From a start whose f and g are known, while its status is kRunning. By a line search along the directions
/// of "bfgs", "lbfgs" or "newton-cg".
Descent line_search_descent(const Objective& objective, const Descent& start, const MinimiseOptions& options);
Descent trust_region(const Objective& objective, const Descent& start, const MinimiseOptions& options);

}  // namespace hesse::solvers
