#include "core/nn/layers.h"

#include "bindings/bindings.h"
#include "bindings/convert.h"
#include "bindings/docs_nn.h"
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
      "x"_a, "weight"_a, "bias"_a = py::none(), text(docs::kLinear));
  define(
      n, "relu", [](const Array& x) { return nn::relu(x); }, "x"_a, py::pos_only(), text(docs::kRelu));
  define(
      n, "leaky_relu", [](const Array& x, double slope) { return nn::leaky_relu(x, slope); }, "x"_a,
      py::pos_only(), "slope"_a = 0.01, text(docs::kLeakyRelu));
  define(
      n, "elu", [](const Array& x, double alpha) { return nn::elu(x, alpha); }, "x"_a, py::pos_only(),
      "alpha"_a = 1.0, text(docs::kElu));
  define(
      n, "selu", [](const Array& x) { return nn::selu(x); }, "x"_a, py::pos_only(), text(docs::kSelu));
  define(
      n, "gelu", [](const Array& x) { return nn::gelu(x); }, "x"_a, py::pos_only(), text(docs::kGelu));
  define(
      n, "silu", [](const Array& x) { return nn::silu(x); }, "x"_a, py::pos_only(), text(docs::kSilu));
  define(
      n, "mish", [](const Array& x) { return nn::mish(x); }, "x"_a, py::pos_only(), text(docs::kMish));

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
  initialiser("glorot_uniform", nn::init::glorot_uniform, text(docs::kGlorotUniform));
  initialiser("glorot_normal", nn::init::glorot_normal, text(docs::kGlorotNormal));
  initialiser("he_uniform", nn::init::he_uniform, text(docs::kHeUniform));
  initialiser("he_normal", nn::init::he_normal, text(docs::kHeNormal));
  initialiser("lecun_uniform", nn::init::lecun_uniform, text(docs::kLecunUniform));
  initialiser("lecun_normal", nn::init::lecun_normal, text(docs::kLecunNormal));
}

}  // namespace hesse::python
