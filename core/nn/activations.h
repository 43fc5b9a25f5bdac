#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "core/array.h"

/// Activation functions, entry by entry. Those that NumPy's vocabulary has (tanh, sigmoid, softplus, sin) are
/// in core/ops.h.
namespace hesse::nn {

Array relu(const Array& x);                             ///< max(x, 0), derivative 0 at 0
Array leaky_relu(const Array& x, double slope = 0.01);  ///< x where x > 0, else slope * x
Array elu(const Array& x, double alpha = 1.0);          ///< x where x > 0, else alpha * (e^x - 1)
Array selu(const Array& x);                             ///< scaled elu that keeps mean 0 and variance 1
Array gelu(const Array& x);                             ///< x Phi(x), with the exact normal distribution
Array silu(const Array& x);                             ///< x sigmoid(x), also called swish
Array mish(const Array& x);                             ///< x tanh(softplus(x))
Array identity(const Array& x);

using Activation = Array (*)(const Array&);
/// The function of that name: any above, or tanh, sin, sigmoid, softplus. Throws ValueError listing the
/// names.
Activation activation(std::string_view name);
std::vector<std::string> activation_names();

}  // namespace hesse::nn
