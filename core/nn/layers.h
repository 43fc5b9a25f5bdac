#pragma once
#include <functional>
#include <vector>

#include "core/nn/activations.h"
#include "core/ops.h"
#include "core/tree.h"

/// Layers: structs of arrays (trees, core/tree.h) that are functions of an array. Features are the last axis.
namespace hesse::nn {

/// x W^T + b; weight [out, in], x [..., in] -> [..., out]. Throws ValueError naming both shapes where they do
/// not fit.
Array linear(const Array& x, const Array& weight, const std::optional<Array>& bias = {});

struct Linear {
  Array weight;               ///< [out, in], as PyTorch stores it
  std::optional<Array> bias;  ///< [out]

  /// Glorot-uniform weights and zero bias.
  static Linear create(const Array& key, int64_t in, int64_t out, bool with_bias = true, OptDType dtype = {});
  Array operator()(const Array& x) const { return linear(x, weight, bias); }
  auto fields() { return hesse::fields("weight", weight, "bias", bias); }
};

/// Linear layers with an activation between them: sizes {2, 20, 20, 1} make 2 inputs, two hidden layers of
/// 20, 1 output.
struct MLP {
  std::vector<Linear> layers;
  std::function<Array(const Array&)> activation = [](const Array& x) { return tanh(x); };

  static MLP create(const Array& key, const std::vector<int64_t>& sizes, Activation activation = tanh,
                    OptDType dtype = {});
  Array operator()(Array x) const;
  auto fields() { return hesse::fields("layers", layers); }
};

}  // namespace hesse::nn
