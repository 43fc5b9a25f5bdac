#pragma once
#include <optional>

#include "core/array.h"

/// Dropout and normalisations, functions of arrays; features are the last axis. Scale and shift are
/// [features] or absent. Each throws ValueError naming the shapes where they do not fit.
namespace hesse::nn {

/// Entries are 0 with probability `rate` in [0, 1), others divided by 1 - rate; without a key x as it is
/// (Srivastava et al. 2014).
Array dropout(const Array& x, double rate, const std::optional<Array>& key);

/// (x - mean) / sqrt(variance + epsilon) * scale + shift, with mean and variance [features] given.
Array normalise(const Array& x, const Array& mean, const Array& variance, const std::optional<Array>& scale,
                const std::optional<Array>& shift, double epsilon = 1e-5);

/// The same with mean and variance over the last axis (Ba, Kiros and Hinton 2016).
Array layer_norm(const Array& x, const std::optional<Array>& scale = {},
                 const std::optional<Array>& shift = {}, double epsilon = 1e-5);

/// The same with mean and variance over all axes but the last, of two rows at least (Ioffe and Szegedy 2015).
struct BatchNormResult {
  Array y, mean, variance;  ///< the variance is the unbiased one, for running averages
};
BatchNormResult batch_norm(const Array& x, const std::optional<Array>& scale = {},
                           const std::optional<Array>& shift = {}, double epsilon = 1e-5);

}  // namespace hesse::nn
