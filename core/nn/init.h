#pragma once
#include "core/ops.h"

/// Initial weights of shape [out, in, window...]: fan_in = in * window, fan_out = out * window.
/// Each throws ValueError for fewer than two dimensions or a negative gain.
namespace hesse::nn::init {

/// Variance gain^2 * 2 / (fan_in + fan_out) (Glorot and Bengio 2010): for tanh, sin, sigmoid.
Array glorot_uniform(const Array& key, const Shape& shape, double gain = 1.0, OptDType dtype = {});
Array glorot_normal(const Array& key, const Shape& shape, double gain = 1.0, OptDType dtype = {});
/// Variance gain^2 * 2 / fan_in (He et al. 2015): for relu and its relatives.
Array he_uniform(const Array& key, const Shape& shape, double gain = 1.0, OptDType dtype = {});
Array he_normal(const Array& key, const Shape& shape, double gain = 1.0, OptDType dtype = {});
/// Variance gain^2 / fan_in (LeCun 1998): for selu.
Array lecun_uniform(const Array& key, const Shape& shape, double gain = 1.0, OptDType dtype = {});
Array lecun_normal(const Array& key, const Shape& shape, double gain = 1.0, OptDType dtype = {});

}  // namespace hesse::nn::init
