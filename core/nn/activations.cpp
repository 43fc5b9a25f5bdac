#include "core/nn/activations.h"

#include <map>
#include <numbers>

#include "core/ops.h"

namespace hesse::nn {

// NaN stays NaN.
Array relu(const Array& x) { return where(x <= 0.0, 0.0, x); }
Array leaky_relu(const Array& x, double slope) { return where(x > 0.0, x, slope * x); }

// The exponential is taken of min(x, 0), so that the branch not selected cannot overflow.
Array elu(const Array& x, double alpha) { return where(x > 0.0, x, alpha * expm1(where(x > 0.0, 0.0, x))); }

// Constants of Klambauer et al., Self-Normalizing Neural Networks (2017).
Array selu(const Array& x) { return 1.0507009873554805 * elu(x, 1.6732632423543772); }
Array gelu(const Array& x) { return 0.5 * x * erfc(-x * (1.0 / std::numbers::sqrt2)); }
Array silu(const Array& x) { return x * sigmoid(x); }
Array mish(const Array& x) { return x * tanh(softplus(x)); }
Array identity(const Array& x) { return x; }

namespace {
const std::map<std::string, Activation, std::less<>>& table() {
  static const std::map<std::string, Activation, std::less<>> functions{
      {"tanh", tanh},
      {"sin", sin},
      {"sigmoid", sigmoid},
      {"softplus", softplus},
      {"relu", relu},
      {"leaky_relu", [](const Array& x) { return leaky_relu(x); }},
      {"elu", [](const Array& x) { return elu(x); }},
      {"selu", selu},
      {"gelu", gelu},
      {"silu", silu},
      {"mish", mish},
      {"identity", identity}};
  return functions;
}
}  // namespace

std::vector<std::string> activation_names() {
  std::vector<std::string> names;
  for (const auto& [name, function] : table()) names.push_back(name);
  return names;
}

Activation activation(std::string_view name) {
  const auto it = table().find(name);
  if (it != table().end()) return it->second;
  std::string known;
  for (const auto& n : activation_names()) known += (known.empty() ? "" : ", ") + n;
  throw ValueError(concat("activation: there is none named \"", name, "\"; known: ", known));
}

}  // namespace hesse::nn
