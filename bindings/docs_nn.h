#pragma once
#include "bindings/docs.h"

/// Docstrings: activations and initial weights.
namespace hesse::python::docs {

constexpr Doc kLinear{
    .meaning = "x W^T + b over the last axis.",
    .parameters = {"x : array, (..., in)", "weight : array, (out, in)", "bias : array, (out,), optional"},
    .returns = "Array, (..., out)",
    .raises = "ValueError\n    Where shapes do not fit.",
    .example = R"(
>>> hs.nn.linear(hs.array([1.0, 2.0]), hs.array([[1.0, 1.0], [0.0, 2.0]]), hs.array([0.5, 0.0]))
Array([3.5, 4. ], dtype=float64))",
};
constexpr Doc kRelu{
    .meaning = "max(x, 0).",
    .parameters = {param::kReal},
    .returns = "Array",
    .notes = "The derivative at 0 is 0.",
    .example = R"(
>>> hs.nn.relu(hs.array([-1.0, 0.0, 2.0]))
Array([0., 0., 2.], dtype=float64))",
};
constexpr Doc kLeakyRelu{
    .meaning = "x where x > 0, else slope * x.",
    .parameters = {param::kReal, "slope : float"},
    .returns = "Array",
    .notes = "The derivative at 0 is slope.",
    .source =
        "Maas, Hannun and Ng, \"Rectifier nonlinearities improve neural network acoustic models\" (2013).",
    .example = R"(
>>> hs.nn.leaky_relu(hs.array([-1.0, 2.0]), slope=0.5)
Array([-0.5,  2. ], dtype=float64))",
};
constexpr Doc kElu{
    .meaning = "x where x > 0, else alpha * (exp(x) - 1).",
    .parameters = {param::kReal, "alpha : float"},
    .returns = "Array",
    .notes = "The derivative at 0 is alpha.",
    .source = "Clevert, Unterthiner and Hochreiter, arXiv:1511.07289 (2015).",
    .example = R"(
>>> hs.round(hs.nn.elu(hs.array([-1.0, 2.0])), 4)
Array([-0.6321,  2.    ], dtype=float64))",
};
constexpr Doc kSelu{
    .meaning = "The scaled elu that keeps mean 0 and variance 1: 1.0507 * elu(x, 1.6733).",
    .parameters = {param::kReal},
    .returns = "Array",
    .notes = "The derivative at 0 is that from the left, 1.7581.",
    .source = "Klambauer, Unterthiner, Mayr and Hochreiter, \"Self-normalizing neural networks\" (2017).",
    .example = R"(
>>> hs.round(hs.nn.selu(hs.array([-1.0, 1.0])), 4)
Array([-1.1113,  1.0507], dtype=float64))",
};
constexpr Doc kGelu{
    .meaning = "x times the distribution function of the standard normal distribution.",
    .parameters = {param::kReal},
    .returns = "Array",
    .notes = "The exact function, not its approximation by tanh.",
    .source = "Hendrycks and Gimpel, arXiv:1606.08415 (2016).",
    .example = R"(
>>> hs.round(hs.nn.gelu(hs.array([-1.0, 1.0])), 4)
Array([-0.1587,  0.8413], dtype=float64))",
};
constexpr Doc kSilu{
    .meaning = "x * sigmoid(x), also called swish.",
    .parameters = {param::kReal},
    .returns = "Array",
    .source = "Elfwing, Uchibe and Doya, arXiv:1702.03118 (2017).",
    .example = R"(
>>> hs.round(hs.nn.silu(hs.array([-1.0, 1.0])), 4)
Array([-0.2689,  0.7311], dtype=float64))",
};
constexpr Doc kMish{
    .meaning = "x * tanh(softplus(x)).",
    .parameters = {param::kReal},
    .returns = "Array",
    .source = "Misra, arXiv:1908.08681 (2019).",
    .example = R"(
>>> hs.round(hs.nn.mish(hs.array([-1.0, 1.0])), 4)
Array([-0.3034,  0.8651], dtype=float64))",
};
constexpr Doc kGlorotUniform{
    .meaning =
        "Uniform numbers of mean 0 and variance 2 gain^2 / (fan_in + fan_out): for tanh, sin and sigmoid.",
    .parameters =
        {param::kKey,
         "shape : tuple of int\n    (out, in, window...): fan_in = in * window, fan_out = out * window.",
         "gain : float\n    Scales the standard deviation.", param::kNewDtype},
    .returns = "Array",
    .raises = "ValueError\n    For fewer than two dimensions or a negative gain.",
    .source =
        "Glorot and Bengio, \"Understanding the difficulty of training deep feedforward neural "
        "networks\"\n(2010).",
    .example = R"(
>>> w = hs.nn.init.glorot_uniform(hs.random.key(0), (6, 2))
>>> w.shape, bool(hs.all(hs.abs(w) <= 3 ** 0.5 / 2))
((6, 2), True))",
};
constexpr Doc kGlorotNormal{
    .meaning =
        "Normal numbers of mean 0 and variance 2 gain^2 / (fan_in + fan_out): for tanh, sin and sigmoid.",
    .parameters =
        {param::kKey,
         "shape : tuple of int\n    (out, in, window...): fan_in = in * window, fan_out = out * window.",
         "gain : float\n    Scales the standard deviation.", param::kNewDtype},
    .returns = "Array",
    .raises = "ValueError\n    For fewer than two dimensions or a negative gain.",
    .source =
        "Glorot and Bengio, \"Understanding the difficulty of training deep feedforward neural "
        "networks\"\n(2010).",
    .example = R"(
>>> w = hs.nn.init.glorot_normal(hs.random.key(0), (6, 2))
>>> w.shape, w.dtype
((6, 2), hesse.float64))",
};
constexpr Doc kHeUniform{
    .meaning = "Uniform numbers of mean 0 and variance 2 gain^2 / fan_in: for relu and its relatives.",
    .parameters =
        {param::kKey,
         "shape : tuple of int\n    (out, in, window...): fan_in = in * window, fan_out = out * window.",
         "gain : float\n    Scales the standard deviation.", param::kNewDtype},
    .returns = "Array",
    .raises = "ValueError\n    For fewer than two dimensions or a negative gain.",
    .source = "He, Zhang, Ren and Sun, \"Delving deep into rectifiers\" (2015), arXiv:1502.01852.",
    .example = R"(
>>> w = hs.nn.init.he_uniform(hs.random.key(0), (5, 2))
>>> w.shape, bool(hs.all(hs.abs(w) <= 3 ** 0.5))
((5, 2), True))",
};
constexpr Doc kHeNormal{
    .meaning = "Normal numbers of mean 0 and variance 2 gain^2 / fan_in: for relu and its relatives.",
    .parameters =
        {param::kKey,
         "shape : tuple of int\n    (out, in, window...): fan_in = in * window, fan_out = out * window.",
         "gain : float\n    Scales the standard deviation.", param::kNewDtype},
    .returns = "Array",
    .raises = "ValueError\n    For fewer than two dimensions or a negative gain.",
    .source = "He, Zhang, Ren and Sun, \"Delving deep into rectifiers\" (2015), arXiv:1502.01852.",
    .example = R"(
>>> w = hs.nn.init.he_normal(hs.random.key(0), (5, 2))
>>> w.shape, w.dtype
((5, 2), hesse.float64))",
};
constexpr Doc kLecunUniform{
    .meaning = "Uniform numbers of mean 0 and variance gain^2 / fan_in: for selu.",
    .parameters =
        {param::kKey,
         "shape : tuple of int\n    (out, in, window...): fan_in = in * window, fan_out = out * window.",
         "gain : float\n    Scales the standard deviation.", param::kNewDtype},
    .returns = "Array",
    .raises = "ValueError\n    For fewer than two dimensions or a negative gain.",
    .source = "LeCun, Bottou, Orr and Mueller, \"Efficient backprop\" (1998).",
    .example = R"(
>>> w = hs.nn.init.lecun_uniform(hs.random.key(0), (5, 3))
>>> w.shape, bool(hs.all(hs.abs(w) <= 1.0))
((5, 3), True))",
};
constexpr Doc kLecunNormal{
    .meaning = "Normal numbers of mean 0 and variance gain^2 / fan_in: for selu.",
    .parameters =
        {param::kKey,
         "shape : tuple of int\n    (out, in, window...): fan_in = in * window, fan_out = out * window.",
         "gain : float\n    Scales the standard deviation.", param::kNewDtype},
    .returns = "Array",
    .raises = "ValueError\n    For fewer than two dimensions or a negative gain.",
    .source = "LeCun, Bottou, Orr and Mueller, \"Efficient backprop\" (1998).",
    .example = R"(
>>> w = hs.nn.init.lecun_normal(hs.random.key(0), (5, 3))
>>> w.shape, w.dtype
((5, 3), hesse.float64))",
};

}  // namespace hesse::python::docs
