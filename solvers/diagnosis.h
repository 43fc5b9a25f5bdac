#pragma once
#include <optional>
#include <string>
#include <vector>

#include "core/graph.h"

/// Why a solve of an initial value problem gave up, as data.
namespace hesse::solvers {

struct Solution;
enum class IvpStatus : int64_t;

/// What ended it: finer than IvpStatus.
enum class IvpCause : int64_t {
  None = 0,             ///< it did not give up
  Steps = 1,            ///< max_steps attempts were not enough
  ErrorTest = 2,        ///< the error is above the tolerance however small the step
  Equations = 3,        ///< the iteration for the equations of a step does not converge
  Singular = 4,         ///< f is finite, but the Jacobian or the matrix of a step is not, or is singular
  NotFinite = 5,        ///< f gives NaN or infinity at t, or the state is not finite there
  NotFiniteBeyond = 6,  ///< f gives NaN or infinity within the smallest step from t
  Precision = 7         ///< the tolerances are below what the precision allows
};
/// What a cause means, in a phrase; what to try, in a sentence or "". `stiffness`: that of Diagnosis;
/// `implicit`: whether the method is.
std::string describe(IvpCause cause);
std::string advice(IvpCause cause, double stiffness, bool implicit);

/// What the entries of a state are called in messages.
struct StateNames {
  std::vector<std::string> paths = {};  ///< of the arrays: how the caller reaches them; empty: by number
  std::vector<Shape> shapes = {};
  /// "y['prey'][3, 2]", or "entry 5 of array 1 of the state"; "" where the array is below 0.
  std::string of(int64_t array, int64_t entry) const;
  /// As parameters of an op, and back.
  Params params() const;
  static StateNames read(const std::string& paths, const Dims& shapes);
};

/// Why a solve gave up. Fields are scalars: with data after a solve that ran; where it was recorded (under
/// vmap and compile) they are results as others, and `cause` is None where it succeeded.
struct Diagnosis {
  Array cause;         ///< IvpCause, int64
  Array t, step;       ///< how far it came, and the size of the step that it would have taken next
  Array array, entry;  ///< int64, the component that limits it: which array of the state, and where in that
                       ///< in row-major order; -1: unknown
  Array excess;        ///< its error in a step of that size over its tolerance; NaN: unknown
  /// The spectral radius of df/dy at (t, y), estimated by 24 products with it (the power method; the
  /// geometric mean of the growth in the last 12); of f itself, where there is a mass matrix. NaN where f has
  /// no derivative, and for solve_dae.
  Array radius;
  bool implicit = false;  ///< whether the method is
  StateNames names = {};

  /// step * radius. Explicit methods are stable up to about 3: near that, and with an error far below the
  /// tolerance, the problem is stiff.
  Array stiffness() const;
  /// cause, array, entry, excess, radius: what is computed where a solve gives up. `nothing`: of a success.
  Arrays found() const { return {cause, array, entry, excess, radius}; }
  static Arrays nothing();
};
/// With t and the step of a solution; nullopt where that ran and did not give up on its steps.
std::optional<Diagnosis> diagnosis_of(const Solution& s, const Arrays& found, bool implicit,
                                      StateNames names);
/// A sentence: the cause, t, the step, the component, the stiffness, and what to try. Throws TraceError
/// where its fields hold no data.
std::string describe(const Diagnosis& d);
/// The same behind other words for the cause.
std::string explained(const std::string& what, const Diagnosis& d);

/// Whether a status says that a solve gave up on its steps: TooManySteps, StepTooSmall or NotFinite. The
/// others say all that there is to say.
bool is_diagnosed(IvpStatus status);
bool gave_up(const Array& status);  ///< the same of an int64 scalar with data

/// An estimate of the spectral radius of df/dy, a float64 scalar: see Diagnosis::radius. `f`: (t, y...,
/// more...)
/// -> dy..., as many as there are y; `in`: its inputs.
Array spectral_radius(const Ref<const Graph>& f, std::span<const Array> in);
/// The same of data, in kernels too; NaN where that fails.
double spectral_radius_at(const Ref<const Graph>& f, std::span<const Array> in);

}  // namespace hesse::solvers
