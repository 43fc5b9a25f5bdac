#pragma once
#include "core/graph.h"

namespace hesse::solvers {

/// A solution between the ends of its steps: the polynomial of the method or, for methods without one (Dop853
/// and those with fixed steps), the step taken again as far as the time. Differentiable in the time and in
/// what the solution depends on.
class DenseOutput {
 public:
  /// What is looked up: rows of `tables`, one for each step, and where steps end (`ends`, [steps]).
  struct Steps {
    Array from, to;   ///< the span that is covered, float64 scalars
    Array direction;  ///< 1 or -1
    Array ends;
    Arrays tables;
    Arrays operands;
  };
  /// `at`: (t, one row of each table..., operands...) -> the state.
  DenseOutput(Ref<const Graph> at, const Steps& steps);
  /// As `graph()`, `num_tables()` and `arrays()` say.
  DenseOutput(Ref<const Graph> at, size_t num_tables, Arrays arrays)
      : at_(std::move(at)), num_tables_(num_tables), arrays_(std::move(arrays)) {}

  /// The state at times of any shape: [shape of t..., shape of y0[k]...]. Throws ValueError for times that
  /// are known to lie outside the span; where they are not (under vmap and compile) the state is NaN there.
  Arrays operator()(const Array& t) const;
  const Ref<const Graph>& graph() const { return at_; }
  size_t num_tables() const { return num_tables_; }
  const Arrays& arrays() const { return arrays_; }

 private:
  Ref<const Graph> at_;
  size_t num_tables_;
  Arrays arrays_;  // from, to, direction, ends, tables..., operands...
};

}  // namespace hesse::solvers
