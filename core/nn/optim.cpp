#include "core/nn/optim.h"

#include <cmath>
#include <numbers>

#include "core/ops.h"

namespace hesse::optim {
namespace {

void check_lists(const char* function, const Arrays& parameters, const MaybeArrays& gradients) {
  require(parameters.size() == gradients.size(), function, ": ", parameters.size(), " parameters but ",
          gradients.size(), " gradients");
  for (size_t i = 0; i < parameters.size(); ++i)
    if (gradients[i])
      require(gradients[i]->shape() == parameters[i].shape(), function, ": parameter ", i, " is ",
              describe(parameters[i]), " but its gradient is ", describe(*gradients[i]));
}
void check_state(const char* function, const char* what, const Arrays& parameters, const Arrays& state) {
  require(parameters.size() == state.size(), function, ": ", parameters.size(), " parameters but ",
          state.size(), " entries of ", what, "; make the state with init(parameters)");
  for (size_t i = 0; i < parameters.size(); ++i)
    require(state[i].shape() == parameters[i].shape(), function, ": parameter ", i, " is ",
            describe(parameters[i]), " but its ", what, " is ", describe(state[i]),
            "; make the state with init(parameters)");
}
void check_fraction(const char* function, const char* name, double value) {
  require(0.0 <= value && value < 1.0, function, ": ", name, " must be in [0, 1), got ", value);
}

// The direction of descent: the conjugate of the gradient, in the parameter's dtype.
Array descent(const Array& gradient, const Array& parameter) {
  return astype(is_complex(gradient.dtype()) ? conj(gradient) : gradient, parameter.dtype());
}
Array squared(const Array& g) { return is_complex(g.dtype()) ? real(g * conj(g)) : square(g); }
// A rate or factor in the real dtype of the parameter, so that float32 stays float32.
Array like(const Array& scalar, const Array& parameter) {
  require(scalar.ndim() == 0, "the learning rate must be a scalar, got ", describe(scalar));
  return astype(scalar, real_dtype(parameter.dtype()));
}

}  // namespace

Schedule constant(double rate) {
  return [=](const Array&) { return Array(rate); };
}

Schedule exponential_decay(double rate, double factor, double steps) {
  require(factor > 0.0 && steps > 0.0, "exponential_decay: factor and steps must be positive, got ", factor,
          " and ", steps);
  return [=](const Array& step) { return rate * exp(std::log(factor) / steps * step); };
}

Schedule cosine_decay(double rate, int64_t steps, double last) {
  require(steps > 0, "cosine_decay: steps must be positive, got ", steps);
  return [=](const Array& step) {
    const Array phase = minimum(step / static_cast<double>(steps), 1.0);
    return last + 0.5 * (rate - last) * (1.0 + cos(std::numbers::pi * phase));
  };
}

Schedule piecewise(std::vector<double> rates, std::vector<int64_t> boundaries) {
  require(rates.size() == boundaries.size() + 1, "piecewise: ", boundaries.size(), " boundaries need ",
          boundaries.size() + 1, " rates, got ", rates.size());
  for (size_t k = 1; k < boundaries.size(); ++k)
    require(boundaries[k - 1] < boundaries[k], "piecewise: boundaries must increase, got ", boundaries[k - 1],
            " before ", boundaries[k]);
  return [=](const Array& step) {
    Array rate = rates[0];
    for (size_t k = 0; k < boundaries.size(); ++k) rate = where(step >= boundaries[k], rates[k + 1], rate);
    return rate;
  };
}

Schedule warmup(int64_t steps, Schedule after) {
  require(steps > 0, "warmup: steps must be positive, got ", steps);
  return [=](const Array& step) {
    const Array rising = after(Array(int64_t{0})) * ((step + 1.0) / static_cast<double>(steps));
    return where(step < steps, rising, after(maximum(step - steps, int64_t{0})));
  };
}

SgdResult sgd(const Arrays& parameters, const MaybeArrays& gradients, const Arrays& velocity,
              const Array& rate, const SgdOptions& options) {
  check_lists("sgd", parameters, gradients);
  check_fraction("sgd", "momentum", options.momentum);
  require(!options.nesterov || options.momentum > 0.0, "sgd: nesterov needs momentum > 0");
  const bool has_velocity = options.momentum > 0.0;
  if (has_velocity) check_state("sgd", "velocity", parameters, velocity);
  SgdResult result{parameters, velocity};
  for (size_t i = 0; i < parameters.size(); ++i) {
    if (!gradients[i]) continue;
    const Array& p = parameters[i];
    Array g = descent(*gradients[i], p);
    if (options.weight_decay != 0.0) g = g + options.weight_decay * p;
    if (has_velocity) {
      const Array v = options.momentum * velocity[i] + g;
      result.velocity[i] = v;
      g = options.nesterov ? g + options.momentum * v : v;
    }
    result.parameters[i] = p - like(rate, p) * g;
  }
  return result;
}

AdamResult adam(const Arrays& parameters, const MaybeArrays& gradients, const Arrays& first,
                const Arrays& second, const Array& step, const Array& rate, const AdamOptions& o) {
  check_lists("adam", parameters, gradients);
  check_state("adam", "first moment", parameters, first);
  check_state("adam", "second moment", parameters, second);
  check_fraction("adam", "beta1", o.beta1);
  check_fraction("adam", "beta2", o.beta2);
  require(o.epsilon > 0.0, "adam: epsilon must be positive, got ", o.epsilon);
  require(o.l2 >= 0.0, "adam: l2 must not be negative, got ", o.l2);
  // 1 - b^t, and both corrections and the rate in one factor: two elementwise ops fewer per parameter.
  const Array t = step + 1.0;
  const Array c1 = 1.0 - pow(Array(o.beta1), t), c2 = 1.0 - pow(Array(o.beta2), t);
  AdamResult result{parameters, first, second};
  for (size_t i = 0; i < parameters.size(); ++i) {
    if (!gradients[i]) continue;
    const Array& p = parameters[i];
    Array g = descent(*gradients[i], p);
    if (o.l2 != 0.0) g = g + o.l2 * p;
    const Array m = o.beta1 * first[i] + (1.0 - o.beta1) * g;
    const Array v = o.beta2 * second[i] + (1.0 - o.beta2) * squared(g);
    Array next = p - like(rate / c1, p) * (m / (sqrt(v / like(c2, p)) + o.epsilon));
    if (o.weight_decay != 0.0) next = next - like(rate * o.weight_decay, p) * p;
    result.parameters[i] = next;
    result.first[i] = m;
    result.second[i] = v;
  }
  return result;
}

Array global_norm(const MaybeArrays& xs) {
  std::optional<Array> total;
  for (const MaybeArray& x : xs)
    if (x) total = total ? *total + sum(squared(*x)) : sum(squared(*x));
  if (!total) return Array(0.0);
  const Array zero = equal(*total, 0.0);  // there the derivative is 0, as that of a norm
  return where(zero, 0.0, sqrt(where(zero, 1.0, *total)));
}

std::pair<MaybeArrays, Array> clip_by_global_norm(const MaybeArrays& gradients, double max_norm) {
  require(max_norm > 0.0, "clip_by_global_norm: max_norm must be positive, got ", max_norm);
  const Array norm = global_norm(gradients);
  const Array scale = max_norm / maximum(norm, max_norm);
  MaybeArrays clipped = gradients;
  for (MaybeArray& g : clipped)
    if (g) g = *g * like(scale, *g);
  return {clipped, norm};
}

Array ravel(const Arrays& xs) {
  require(!xs.empty(), "ravel: there are no arrays");
  Arrays flat;
  DType dtype = xs[0].dtype();
  for (const Array& x : xs) dtype = promote(dtype, x.dtype());
  for (const Array& x : xs) flat.push_back(astype(reshape(x, {x.size()}), dtype));
  return flat.size() == 1 ? flat[0] : concatenate(flat);
}

Arrays unravel(const Array& flat, const Arrays& like) {
  int64_t total = 0;
  for (const Array& x : like) total += x.size();
  require(flat.ndim() == 1 && flat.dim(0) == total, "unravel: a vector of ", total,
          " entries is needed, got ", describe(flat));
  Arrays result;
  int64_t at = 0;
  for (const Array& x : like) {
    const Array part = slice(flat, {at}, {at + x.size()}, {1});
    result.push_back(astype(reshape(part, x.shape()), x.dtype()));
    at += x.size();
  }
  return result;
}

}  // namespace hesse::optim
