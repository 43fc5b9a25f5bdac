#pragma once
#include "core/derivatives.h"
#include "solvers/flat.h"
#include "solvers/ode.h"

namespace hesse::solvers {

/// A right-hand side as it was recorded. What it captures are operands of every step, so that derivatives
/// reach them.
struct Field {
  Ref<const Graph> graph;  ///< (t, y..., captures...) -> dy...
  size_t num_captures = 0;
  DType time = kFloat64;                     ///< the real dtype of the state
  int64_t entries = 0;                       ///< of all arrays of the state
  std::vector<Ref<const Graph>> parts = {};  ///< of a split right-hand side: as `graph` (solvers/split.h)
  /// Of M dy/dt = f (solvers/mass.h): which captures are M, [entries, entries], or [entries] where it is
  /// diagonal, and where it may be singular a projector P whose kernel is what it reaches.
  std::optional<size_t> mass = {}, unreached = {};

  /// f(t, y) of the state's shapes; `operands` begin with the captures.
  Arrays operator()(const Array& t, std::span<const Array> y, std::span<const Array> operands) const;
  /// dy/dt: f or, with a mass matrix, what follows from it where (t, y) satisfies its algebraic equations.
  Arrays slopes(const Array& t, std::span<const Array> y, std::span<const Array> operands) const;
  /// y moved onto the algebraic equations of a singular M, where f jumped; else y.
  Arrays consistent(const Array& t, std::span<const Array> y, std::span<const Array> operands) const;
  /// M x, or x without a mass matrix, for the state as a vector.
  Array times_mass(const Array& x, std::span<const Array> operands) const;
  /// M, or I without one, [entries, entries].
  Array mass_matrix(std::span<const Array> operands, DType dtype) const;
  /// One of the parts, as a field with the same captures.
  Field part(size_t i) const { return {parts[i], num_captures, time, entries}; }
  size_t num_arrays() const { return static_cast<size_t>(graph->num_outputs()); }
};

/// Records f for a state like y0 and appends what it captures to `captures`. Throws TypeError for a state of
/// integers, ValueError where f returns other shapes or dtypes than the state's.
Field record(const Rhs& f, const Arrays& y0, Arrays& captures);

/// The state as one vector [entries], for methods that solve systems with it. Throws TypeError for a complex
/// state; `method` is named.
Packing real_state(const Field& field, std::string_view method);

/// The derivatives of f that implicit methods need, from its graph.
class FieldJacobian {
 public:
  /// For a real state.
  FieldJacobian(const Field& field, Packing flat);
  /// df_i/dy_j, [entries, entries].
  Array by_state(const Array& t, std::span<const Array> y, std::span<const Array> operands) const;
  /// df/dt, [entries]; nullopt where f does not depend on t.
  std::optional<Array> by_time(const Array& t, std::span<const Array> y,
                               std::span<const Array> operands) const;

 private:
  Array tangent(const DerivedGraph& d, const Array& t, std::span<const Array> y,
                std::span<const Array> operands, const Arrays& direction) const;
  DType time_;
  size_t num_captures_;
  Packing flat_;
  DerivedGraph state_, time_derivative_;
};

}  // namespace hesse::solvers
