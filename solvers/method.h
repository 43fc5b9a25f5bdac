#pragma once
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "solvers/field.h"

namespace hesse::solvers {

/// A one-step method on a recorded right-hand side: what one step computes, as ordinary equations. It knows
/// nothing of step sizes, loops and output times.
class Method {
 public:
  explicit Method(Field field) : field_(std::move(field)) {}
  Method(const Method&) = delete;
  Method& operator=(const Method&) = delete;
  virtual ~Method() = default;

  /// What a step from (t, y) to (t + h, y_next) gives.
  struct Step {
    Arrays y;      ///< y_next
    Arrays kept;   ///< what the next step takes of this one (its slope at the end): num_kept()
    Arrays dense;  ///< what the interpolant needs beside both ends and `kept`: num_dense()
    /// Estimates of the error, each like the state: one, or two (Dop853). None where steps are fixed.
    std::vector<Arrays> errors;
    Array evaluations = {};            ///< of f, an int64 scalar, where the method iterates()
    std::optional<Array> solved = {};  ///< whether the iterations converged, of methods with iterations
  };
  /// The last step, to interpolate in. Before the first one both ends are y0.
  struct Segment {
    Array t_begin, t_end;
    Arrays y_begin, y_end, kept, dense;
  };

  virtual std::string_view name() const = 0;
  /// The estimate of a step's error is O(h^(error_order + 1)); 0: none, steps are fixed.
  virtual int error_order() const = 0;
  virtual size_t num_kept() const = 0;
  virtual size_t num_dense() const = 0;
  /// Whether times between steps are interpolated; else steps end there.
  virtual bool interpolates() const = 0;
  /// Whether the number of evaluations of f depends on values: it comes with each step then.
  virtual bool iterates() const { return false; }
  /// Evaluations of f in one step, else, and factorisations of matrices.
  virtual int64_t evaluations() const = 0;
  virtual int64_t factorisations() const { return 0; }
  /// Where the method changes between an explicit and an implicit one: accepted steps of the latter.
  virtual std::optional<Array> implicit_steps(std::span<const Array> /*kept*/) const { return std::nullopt; }
  /// What a step at t0 takes and what there is to interpolate before it, given f there.
  virtual Arrays kept_at_start(const Arrays& f0) const = 0;
  /// The same where the solution goes on behind a jump of f, from what the last step kept.
  virtual Arrays kept_afresh(const Arrays& f, std::span<const Array> /*kept*/) const {
    return kept_at_start(f);
  }
  virtual Arrays dense_at_start(const Arrays& y0, const Arrays& f0) const = 0;
  virtual Step step(const Array& t, const Array& h, std::span<const Array> y, std::span<const Array> kept,
                    std::span<const Array> operands) const = 0;
  /// The state at a time within the segment; its derivative with respect to the time is that of the
  /// solution, at both ends too.
  virtual Arrays interpolate(const Segment& s, const Array& t) const = 0;

  const Field& field() const { return field_; }

 protected:
  /// y + h slope, in the dtype of y.
  static Array moved(const Array& y, const Array& h, const std::optional<Array>& slope);
  /// The position of t in the segment, from 0 to 1; 0 in a segment without length.
  static Array position(const Segment& s, const Array& t);
  /// One array of the state at both ends of a segment, with its slopes there and what it is in the middle.
  struct Nodes {
    const Array &begin, &end, &slope_begin, &slope_end, &middle;
  };
  /// The polynomial of degree 4 through them, at t. At the end itself the state, with its slope.
  static Array quartic(const Nodes& n, const Segment& s, const Array& t);
  /// What the cubic with the slopes at both ends is in the middle.
  static Array cubic_middle(const Array& begin, const Array& end, const Array& h, const Array& slope_begin,
                            const Array& slope_end);
  const Field field_;
};

/// sum_i w_i x_i[j]; nullopt where all weights are zero.
std::optional<Array> combined(const std::vector<Arrays>& x, std::span<const double> w, size_t j);

/// The method of a name of solvers/tableau.h, rosenbrock.h, esdirk.h, imex.h, symplectic.h or switching.h.
/// Throws ValueError naming the known ones otherwise.
std::unique_ptr<const Method> make_method(std::string_view name, Field field);
/// The names of all methods, each once (without SciPy's).
std::vector<std::string> method_names();
/// Throws ValueError naming the known ones unless there is a method of that name.
void check_method(std::string_view name);

}  // namespace hesse::solvers
