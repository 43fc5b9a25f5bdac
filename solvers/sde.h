#pragma once
#include <optional>
#include <string>

#include "solvers/brownian.h"
#include "solvers/ode.h"

/// Initial value problems of stochastic differential equations. A solution is made of ordinary equations in
/// loops, and the path of the noise is a function of a key: it can be compiled, mapped over keys and
/// parameters, and differentiated to any order, path by path.
namespace hesse::solvers {

struct SdeOptions {
  /// EulerMaruyama and Milstein solve in the sense of Ito, ReversibleHeun in that of Stratonovich.
  std::string method = "EulerMaruyama";
  /// Equal steps over the span or, with t_eval, from each of its times to the next (and from t0 to the
  /// first).
  int64_t num_steps = 100;
  /// Times at which the state is given, [n], ascending within the span. nullopt: both ends and every step.
  std::optional<Array> t_eval = {};
  /// nullopt: every entry of the state has its own noise, and the diffusion is like the state. {}: all have
  /// the same one, and the diffusion is like the state, too. {m}: a vector of m, and the arrays of the
  /// diffusion have the state's shapes with an axis of m at the end.
  std::optional<Shape> noise_shape = {};
  double tolerance = 1e-6;  ///< of the path (solvers/brownian.h), where a key is given
  bool throw_on_failure = true;
};

/// Time comes first: y[k] is [n, shape of y0[k]...].
struct SdeSolution {
  Array t;  ///< [n], float64
  Arrays y;
  Array status;  ///< IvpStatus (Success, NotFinite, BadTimes), an int64 scalar
};

/// Solves dy = drift(t, y) dt + diffusion(t, y) dW, y(t0) = y0, from t0 to t1 > t0. With one array of noise
/// the path is BrownianPath(key, t0, t1, its shape, the state's real dtype, tolerance); with diagonal noise
/// and several arrays in the state it is one path for each, of the keys of a split. Times are constants for
/// derivatives: paths have none.
/// Throws ValueError for shapes that do not fit, times that do not ascend within the span, steps shorter than
/// the path's intervals and unknown methods; TypeError for a state of integers; NumericalError where the
/// solution is not finite, if asked for.
SdeSolution solve_sde(const Rhs& drift, const Rhs& diffusion, const Array& t0, const Array& t1,
                      const Arrays& y0, const Array& key, const SdeOptions& options = {});
/// The same with a given path, whose span holds that of the equation and whose shape is that of the noise.
SdeSolution solve_sde(const Rhs& drift, const Rhs& diffusion, const Array& t0, const Array& t1,
                      const Arrays& y0, const BrownianPath& path, const SdeOptions& options = {});

}  // namespace hesse::solvers
