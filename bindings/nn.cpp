#include "core/nn/layers.h"

#include "bindings/bindings.h"
#include "bindings/convert.h"
#include "bindings/docs_nn.h"
#include "core/nn/init.h"
#include "core/nn/losses.h"
#include "core/nn/normalisation.h"

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

  using A = const Array&;
  using Maybe = const std::optional<Array>&;
  define_heavy(
      n, "softmax_cross_entropy",
      [](A logits, A labels, Maybe weights) { return nn::softmax_cross_entropy(logits, labels, weights); },
      "logits"_a, "labels"_a, "weights"_a = py::none(), "See hesse.nn.softmax_cross_entropy.");
  define_heavy(
      n, "binary_cross_entropy_with_logits",
      [](A logits, A targets, Maybe weights) {
        return nn::binary_cross_entropy_with_logits(logits, targets, weights);
      },
      "logits"_a, "targets"_a, "weights"_a = py::none(), "See hesse.nn.binary_cross_entropy_with_logits.");
  define_heavy(
      n, "dropout", [](A x, double rate, Maybe key) { return nn::dropout(x, rate, key); }, "x"_a, "rate"_a,
      "key"_a = py::none(), "See hesse.nn.dropout.");
  define_heavy(
      n, "normalise",
      [](A x, A mean, A variance, Maybe scale, Maybe shift, double epsilon) {
        return nn::normalise(x, mean, variance, scale, shift, epsilon);
      },
      "x"_a, "mean"_a, "variance"_a, "scale"_a, "shift"_a, "epsilon"_a, "What BatchNorm does in evaluation.");
  define_heavy(
      n, "layer_norm",
      [](A x, Maybe scale, Maybe shift, double epsilon) { return nn::layer_norm(x, scale, shift, epsilon); },
      "x"_a, "scale"_a, "shift"_a, "epsilon"_a, "What LayerNorm does.");
  define_heavy(
      n, "batch_norm",
      [](A x, Maybe scale, Maybe shift, double epsilon) {
        nn::BatchNormResult r = nn::batch_norm(x, scale, shift, epsilon);
        return std::tuple(r.y, r.mean, r.variance);
      },
      "x"_a, "scale"_a, "shift"_a, "epsilon"_a, "What BatchNorm does in training: y, mean, variance.");

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
