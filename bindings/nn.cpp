#include "core/nn/layers.h"

#include "bindings/bindings.h"
#include "bindings/convert.h"
#include "core/nn/init.h"

namespace hesse::python {

using namespace py::literals;

void init_nn(py::module_& m) {
  py::module_ n = m.def_submodule("nn");
  define(
      n, "linear",
      [](const Array& x, const Array& weight, const std::optional<Array>& bias) {
        return nn::linear(x, weight, bias);
      },
      "x"_a, "weight"_a, "bias"_a = py::none(), "x W^T + b over the last axis; weight [out, in].");
  define(
      n, "relu", [](const Array& x) { return nn::relu(x); }, "x"_a, py::pos_only(),
      "max(x, 0), with derivative 0 at 0.");
  define(
      n, "leaky_relu", [](const Array& x, double slope) { return nn::leaky_relu(x, slope); }, "x"_a,
      py::pos_only(), "slope"_a = 0.01, "x where x > 0, else slope * x.");
  define(
      n, "elu", [](const Array& x, double alpha) { return nn::elu(x, alpha); }, "x"_a, py::pos_only(),
      "alpha"_a = 1.0, "x where x > 0, else alpha * (exp(x) - 1).");
  define(
      n, "selu", [](const Array& x) { return nn::selu(x); }, "x"_a, py::pos_only(),
      "The scaled elu that keeps mean 0 and variance 1.");
  define(
      n, "gelu", [](const Array& x) { return nn::gelu(x); }, "x"_a, py::pos_only(),
      "x times the distribution function of the standard normal distribution.");
  define(
      n, "silu", [](const Array& x) { return nn::silu(x); }, "x"_a, py::pos_only(),
      "x * sigmoid(x), also called swish.");
  define(
      n, "mish", [](const Array& x) { return nn::mish(x); }, "x"_a, py::pos_only(), "x * tanh(softplus(x)).");

  py::module_ i = n.def_submodule("init");
  const auto initialiser = [&](const char* name, Array (*f)(const Array&, const Shape&, double, OptDType),
                               const char* doc) {
    define(
        i, name,
        [f](const Array& key, const Shape& shape, double gain, OptDType dtype) {
          return f(key, shape, gain, dtype);
        },
        "key"_a, "shape"_a, "gain"_a = 1.0, py::kw_only(), "dtype"_a = py::none(), doc);
  };
  initialiser("glorot_uniform", nn::init::glorot_uniform,
              "Uniform, variance 2 gain^2 / (fan_in + fan_out): for tanh.");
  initialiser("glorot_normal", nn::init::glorot_normal,
              "Normal, variance 2 gain^2 / (fan_in + fan_out): for tanh.");
  initialiser("he_uniform", nn::init::he_uniform, "Uniform, variance 2 gain^2 / fan_in: for relu.");
  initialiser("he_normal", nn::init::he_normal, "Normal, variance 2 gain^2 / fan_in: for relu.");
  initialiser("lecun_uniform", nn::init::lecun_uniform, "Uniform, variance gain^2 / fan_in: for selu.");
  initialiser("lecun_normal", nn::init::lecun_normal, "Normal, variance gain^2 / fan_in: for selu.");
}

}  // namespace hesse::python
