#include "core/nn/layers.h"

#include "core/nn/init.h"

namespace hesse::nn {

Array linear(const Array& x, const Array& weight, const std::optional<Array>& bias) {
  require(weight.ndim() == 2, "linear: weight must be a matrix [out, in], got ", describe(weight));
  require(x.ndim() >= 1 && x.dim(-1) == weight.dim(1), "linear: the weight ", describe(weight), " takes ",
          weight.dim(1), " features in the last axis, x is ", describe(x));
  if (bias)
    require(bias->ndim() == 1 && bias->dim(0) == weight.dim(0), "linear: the bias must be a vector of ",
            weight.dim(0), ", one per output of the weight, got ", describe(*bias));
  const Array y = x.ndim() == 1 ? matmul(weight, x) : matmul(x, matrix_transpose(weight));
  return bias ? y + *bias : y;
}

Linear Linear::create(const Array& key, int64_t in, int64_t out, bool with_bias, OptDType dtype) {
  require(in >= 1 && out >= 1, "Linear: the numbers of features must be positive, got in=", in,
          ", out=", out);
  Linear layer{init::glorot_uniform(key, {out, in}, 1.0, dtype), {}};
  if (with_bias) layer.bias = zeros({out}, dtype);
  return layer;
}

MLP MLP::create(const Array& key, const std::vector<int64_t>& sizes, Activation activation, OptDType dtype) {
  require(sizes.size() >= 2, "MLP: sizes needs at least an input and an output, got ", sizes.size(),
          " numbers");
  MLP net;
  net.activation = activation;
  const Arrays keys = unstack(random::split(key, static_cast<int64_t>(sizes.size()) - 1));
  for (size_t i = 0; i + 1 < sizes.size(); ++i)
    net.layers.push_back(Linear::create(keys[i], sizes[i], sizes[i + 1], true, dtype));
  return net;
}

Array MLP::operator()(Array x) const {
  for (size_t i = 0; i < layers.size(); ++i) {
    x = layers[i](x);
    if (i + 1 < layers.size()) x = activation(x);
  }
  return x;
}

}  // namespace hesse::nn
