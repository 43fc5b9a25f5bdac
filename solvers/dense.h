#pragma once
#include "core/graph.h"

namespace hesse::solvers {

/// A solution between the ends of its steps: the polynomial of the method or, for methods without one (Dop853
/// and those with fixed steps), the step taken again as far as the time. Differentiable in the time and in
/// what the solution depends on; derivatives of methods of SUNDIALS are solves of their own, one for all
/// times that are asked for together.
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
  /// `at`: (times [k], operands...) -> the states at them, [k, ...], recorded for k = 1 and right for any.
  /// From `from` to `to`, in that direction.
  DenseOutput(Ref<const Graph> at, const Array& from, const Array& to, const Array& direction,
              const Arrays& operands);
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
  Arrays one_by_one(const Array& t, const Array& inside) const;
  Arrays all_at_once(const Array& t, const Array& inside) const;
  size_t num_tables_;  // 0: `at_` takes all times at once
  Arrays arrays_;      // from, to, direction; ends, tables...; operands...
};

/// A solution at output times: those within it, or all and NaN at others where the solver gave up.
std::pair<Array, Arrays> rows_at(const Array& times, const DenseOutput& dense, bool failed);

}  // namespace hesse::solvers
