#pragma once
#include <functional>

#include "core/array.h"

/// First-order optimisers as functions of lists of arrays, written with ops: they run on data, are recorded
/// by compile, and are differentiable. A missing gradient leaves its parameter alone. For complex parameters,
/// which move along the conjugate of hesse's gradient (docs/decisions.md), squares are |g|^2. L-BFGS:
/// core/nn/lbfgs.h. Every function throws ValueError where the numbers or shapes of its lists differ.
namespace hesse::optim {

/// A learning rate per step: from the number of steps done (a scalar, 0 at first) to a scalar.
using Schedule = std::function<Array(const Array& step)>;
Schedule constant(double rate);
/// rate * factor^(step / steps)
Schedule exponential_decay(double rate, double factor, double steps);
/// Half a cosine from `rate` at step 0 to `last` at `steps`, and `last` after that.
Schedule cosine_decay(double rate, int64_t steps, double last = 0.0);
/// rates[k] from step boundaries[k-1] on; one rate more than boundaries, which increase.
Schedule piecewise(std::vector<double> rates, std::vector<int64_t> boundaries);
/// Rises linearly to after(0) during `steps` steps, then after(step - steps).
Schedule warmup(int64_t steps, Schedule after);

struct SgdOptions {
  double momentum = 0.0;
  bool nesterov = false;      ///< needs momentum > 0
  double weight_decay = 0.0;  ///< added to the gradient: weight_decay * parameter
};
/// v <- momentum v + g; p <- p - rate v (with nesterov: p - rate (g + momentum v)). `velocity` is empty
/// without momentum.
struct SgdResult {
  Arrays parameters, velocity;
};
SgdResult sgd(const Arrays& parameters, const MaybeArrays& gradients, const Arrays& velocity,
              const Array& rate, const SgdOptions& options = {});

struct AdamOptions {
  double beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8;
  double weight_decay = 0.0;  ///< decoupled (AdamW): p <- p - rate * weight_decay * p
  double l2 = 0.0;            ///< added to the gradient: l2 * parameter
};
/// Adam (Kingma and Ba 2015): m <- b1 m + (1 - b1) g; v <- b2 v + (1 - b2) g^2;
/// p <- p - rate * (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + epsilon), t = step + 1.
struct AdamResult {
  Arrays parameters, first, second;
};
AdamResult adam(const Arrays& parameters, const MaybeArrays& gradients, const Arrays& first,
                const Arrays& second, const Array& step, const Array& rate, const AdamOptions& options = {});

/// The square root of the sum of all squares, as a scalar.
Array global_norm(const MaybeArrays& xs);
/// Gradients scaled by min(1, max_norm / global_norm), and that norm.
std::pair<MaybeArrays, Array> clip_by_global_norm(const MaybeArrays& gradients, double max_norm);

/// All entries in one vector (of their common dtype), and back to arrays of the shapes and dtypes of `like`.
Array ravel(const Arrays& xs);
Arrays unravel(const Array& flat, const Arrays& like);

}  // namespace hesse::optim
