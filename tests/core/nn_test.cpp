#include <gtest/gtest.h>

#include <cmath>

#include "autodiff/trees.h"
#include "core/nn/init.h"
#include "core/nn/layers.h"
#include "core/nn/optim.h"

namespace hesse {
namespace {

Array f64(const std::vector<double>& v, const Shape& shape) { return Array::from<double>(v, shape); }
Array f64(const std::vector<double>& v) { return f64(v, {static_cast<int64_t>(v.size())}); }
double value(const Array& a) { return a.item<double>(); }

template <class E, class F>
void expect_error(F&& f, const std::string& part) {
  try {
    f();
    FAIL() << "expected an error with: " << part;
  } catch (const E& e) {
    EXPECT_NE(std::string(e.what()).find(part), std::string::npos) << e.what();
  }
}

TEST(Layers, LinearOnAVectorAndOnRows) {
  const Array w = f64({1, 2, 3, 4, 5, 6}, {2, 3}), b = f64({10, 20}), x = f64({1, 0, -1});
  EXPECT_EQ(nn::linear(x, w, b).to_vector<double>(), (std::vector<double>{8, 18}));
  const Array rows = f64({1, 0, -1, 0, 1, 0}, {2, 3});
  EXPECT_EQ(nn::linear(rows, w, b).to_vector<double>(), (std::vector<double>{8, 18, 12, 25}));
  EXPECT_EQ(nn::linear(x, w).to_vector<double>(), (std::vector<double>{-2, -2}));
  expect_error<ValueError>([&] { (void)nn::linear(f64({1, 2}), w, b); }, "takes 3 features");
  expect_error<ValueError>([&] { (void)nn::linear(x, w, x); }, "a vector of 2");
  expect_error<ValueError>([&] { (void)nn::linear(x, b); }, "must be a matrix");
}

TEST(Layers, MlpIsATreeAndDifferentiable) {
  const nn::MLP net = nn::MLP::create(random::key(0), {2, 5, 3});
  EXPECT_EQ(leaf_names(net), (std::vector<std::string>{"layers.0.weight", "layers.0.bias", "layers.1.weight",
                                                       "layers.1.bias"}));
  const Array x = f64({0.3, -0.2});
  const Array hidden = tanh(net.layers[0](x));
  EXPECT_EQ(net(x).to_vector<double>(), net.layers[1](hidden).to_vector<double>());
  const auto loss = [&](const nn::MLP& m) { return sum(square(m(x))); };
  const auto [l, g] = value_and_grad(loss)(net);
  nn::MLP moved = net;
  const double h = 1e-6;
  moved.layers[0].weight = net.layers[0].weight + h;
  const double up = value(loss(moved));
  moved.layers[0].weight = net.layers[0].weight - h;
  EXPECT_NEAR(value(sum(g.layers[0].weight)), (up - value(loss(moved))) / (2 * h), 1e-8);
  expect_error<ValueError>([] { (void)nn::MLP::create(random::key(0), {2}); },
                           "at least an input and an output");
  expect_error<ValueError>([] { (void)nn::Linear::create(random::key(0), 0, 2); }, "must be positive");
}

TEST(Layers, InitialVariances) {
  const Array key = random::key(7);
  const Shape shape{200, 300};
  const double glorot = 2.0 / 500, he = 2.0 / 300, lecun = 1.0 / 300;
  EXPECT_NEAR(value(var(nn::init::glorot_uniform(key, shape))), glorot, 0.03 * glorot);
  EXPECT_NEAR(value(var(nn::init::glorot_normal(key, shape, 2.0))), 4 * glorot, 0.12 * glorot);
  EXPECT_NEAR(value(var(nn::init::he_uniform(key, shape))), he, 0.03 * he);
  EXPECT_NEAR(value(var(nn::init::he_normal(key, shape))), he, 0.03 * he);
  EXPECT_NEAR(value(var(nn::init::lecun_uniform(key, shape))), lecun, 0.03 * lecun);
  EXPECT_NEAR(value(var(nn::init::lecun_normal(key, shape))), lecun, 0.03 * lecun);
  EXPECT_EQ(nn::init::he_normal(key, {4, 3, 2}, 1.0, kFloat32).dtype(), kFloat32);
  expect_error<ValueError>([&] { (void)nn::init::he_normal(key, {4}); },
                           "he_normal: the shape must be (out, in, window...)");
  expect_error<ValueError>(
      [&] {
        (void)nn::init::he_normal(key, {4, 4}, -1.0);
      },
      "gain must not be negative");
}

TEST(Layers, Activations) {
  const double x = 0.7, phi = 0.5 * std::erfc(-x / std::sqrt(2.0)), sigmoid = 1 / (1 + std::exp(-x));
  const auto check = [&](const char* name, double at, double expected) {
    EXPECT_NEAR(value(nn::activation(name)(f64({at}, {}))), expected, 1e-15) << name;
  };
  check("tanh", x, std::tanh(x));
  check("sin", x, std::sin(x));
  check("relu", -x, 0);
  check("relu", x, x);
  check("leaky_relu", -x, -0.01 * x);
  check("elu", -x, std::expm1(-x));
  check("selu", x, 1.0507009873554805 * x);
  check("gelu", x, x * phi);
  check("silu", x, x * sigmoid);
  check("mish", x, x * std::tanh(std::log1p(std::exp(x))));
  check("identity", x, x);
  EXPECT_EQ(value(grad([](const Array& a) { return nn::relu(a); })(f64({0.0}, {}))), 0.0);
  EXPECT_EQ(value(grad([](const Array& a) { return nn::elu(a); })(f64({800.0}, {}))), 1.0)
      << "no overflow from the other branch";
  expect_error<ValueError>([] { (void)nn::activation("tan"); }, "known: elu, gelu");
}

TEST(Optim, SgdAgainstTheFormula) {
  const Arrays p{f64({1.0, -2.0})};
  const MaybeArrays g{f64({0.5, 0.25})};
  auto r = optim::sgd(p, g, {}, 0.1);
  EXPECT_EQ(r.parameters[0].to_vector<double>(), (std::vector<double>{1.0 - 0.1 * 0.5, -2.0 - 0.1 * 0.25}));
  const Arrays v{f64({1.0, 0.0})};
  r = optim::sgd(p, g, v, 0.1, {.momentum = 0.9});
  EXPECT_NEAR(r.velocity[0].to_vector<double>()[0], 1.4, 1e-15);
  EXPECT_NEAR(r.parameters[0].to_vector<double>()[0], 1.0 - 0.14, 1e-15);
  r = optim::sgd(p, g, v, 0.1, {.momentum = 0.9, .nesterov = true, .weight_decay = 0.1});
  const double gd = 0.5 + 0.1, vd = 0.9 + gd;
  EXPECT_NEAR(r.parameters[0].to_vector<double>()[0], 1.0 - 0.1 * (gd + 0.9 * vd), 1e-15);
  r = optim::sgd({p[0], p[0]}, {std::nullopt, g[0]}, {}, 0.1);
  EXPECT_EQ(r.parameters[0].to_vector<double>(), p[0].to_vector<double>()) << "no gradient, no change";
  expect_error<ValueError>([&] { (void)optim::sgd(p, {}, {}, 0.1); }, "1 parameters but 0 gradients");
  expect_error<ValueError>([&] { (void)optim::sgd(p, {f64({1})}, {}, 0.1); }, "its gradient is float64[1]");
  expect_error<ValueError>([&] { (void)optim::sgd(p, g, {}, 0.1, {.momentum = 0.9}); },
                           "entries of velocity");
  expect_error<ValueError>([&] { (void)optim::sgd(p, g, {}, 0.1, {.momentum = 1.5}); },
                           "momentum must be in [0, 1)");
  expect_error<ValueError>([&] { (void)optim::sgd(p, g, {}, 0.1, {.nesterov = true}); },
                           "nesterov needs momentum");
}

TEST(Optim, AdamAgainstTheFormula) {
  double p = 1.5, m = 0, v = 0;
  Arrays ps{f64({p})}, ms{f64({0})}, vs{f64({0})};
  for (int t = 0; t < 5; ++t) {
    const double g = std::cos(p) + 0.1 * t;
    m = 0.8 * m + 0.2 * g;
    v = 0.95 * v + 0.05 * g * g;
    auto r = optim::adam(ps, {f64({g})}, ms, vs, Array(int64_t{t}), 0.01,
                         {.beta1 = 0.8, .beta2 = 0.95, .epsilon = 1e-6, .weight_decay = 0.1});
    p = p - 0.01 * (m / (1 - std::pow(0.8, t + 1))) / (std::sqrt(v / (1 - std::pow(0.95, t + 1))) + 1e-6) -
        0.001 * p;
    ps = r.parameters;
    ms = r.first;
    vs = r.second;
    EXPECT_NEAR(ps[0].to_vector<double>()[0], p, 1e-14);
    p = ps[0].to_vector<double>()[0];
  }
  const Arrays single{Array::from<float>({1.0f})};
  const auto r = optim::adam(single, {single[0]}, {zeros_like(single[0])}, {zeros_like(single[0])},
                             Array(int64_t{0}), optim::cosine_decay(0.1, 10)(Array(int64_t{0})));
  EXPECT_EQ(r.parameters[0].dtype(), kFloat32) << "a float64 rate leaves float32 parameters what they are";
  expect_error<ValueError>([&] { (void)optim::adam(single, {single[0]}, {}, {}, 0, 0.1); },
                           "make the state with init");
  expect_error<ValueError>(
      [&] {
        (void)optim::adam(ps, {ps[0]}, ms, vs, 0, f64({0.1, 0.2}));
      },
      "must be a scalar");
}

// |z|^2 of a complex parameter has hesse's gradient 2 conj(z); descent follows
// the conjugate, to zero.
TEST(Optim, ComplexParametersDescend) {
  Arrays z{Array::from<complex128>({complex128(1.0, 2.0)})};
  Arrays m{zeros_like(z[0])}, v{zeros({1})};
  for (int t = 0; t < 400; ++t) {
    auto r = optim::adam(z, {2.0 * conj(z[0])}, m, v, Array(int64_t{t}), 0.05);
    z = r.parameters;
    m = r.first;
    v = r.second;
  }
  EXPECT_LT(std::abs(z[0].to_vector<complex128>()[0]), 1e-2);
}

TEST(Optim, ClippingScalesToTheNorm) {
  const MaybeArrays g{f64({3.0}), std::nullopt, f64({0.0, 4.0})};
  EXPECT_EQ(value(optim::global_norm(g)), 5.0);
  const auto [same, n1] = optim::clip_by_global_norm(g, 10.0);
  EXPECT_EQ(same[0]->to_vector<double>()[0], 3.0);
  const auto [clipped, n2] = optim::clip_by_global_norm(g, 1.0);
  EXPECT_NEAR(clipped[2]->to_vector<double>()[1], 0.8, 1e-15);
  EXPECT_EQ(value(n2), 5.0);
  EXPECT_FALSE(clipped[1].has_value());
  expect_error<ValueError>([&] { (void)optim::clip_by_global_norm(g, 0.0); }, "max_norm must be positive");
}

TEST(Optim, Schedules) {
  const auto at = [](const optim::Schedule& s, int64_t step) { return value(s(Array(step))); };
  EXPECT_EQ(at(optim::constant(0.3), 9), 0.3);
  EXPECT_NEAR(at(optim::exponential_decay(0.1, 0.5, 10), 20), 0.025, 1e-16);
  const auto cosine = optim::cosine_decay(1.0, 100, 0.1);
  EXPECT_NEAR(at(cosine, 0), 1.0, 1e-15);
  EXPECT_NEAR(at(cosine, 50), 0.55, 1e-15);
  EXPECT_NEAR(at(cosine, 500), 0.1, 1e-15);
  const auto steps = optim::piecewise({1.0, 0.5, 0.25}, {10, 20});
  EXPECT_EQ(at(steps, 9), 1.0);
  EXPECT_EQ(at(steps, 10), 0.5);
  EXPECT_EQ(at(steps, 20), 0.25);
  const auto warm = optim::warmup(4, cosine);
  EXPECT_NEAR(at(warm, 0), 0.25, 1e-15);
  EXPECT_NEAR(at(warm, 3), 1.0, 1e-15);
  EXPECT_NEAR(at(warm, 54), 0.55, 1e-15);
  expect_error<ValueError>([] { (void)optim::piecewise({1.0}, {1}); }, "1 boundaries need 2 rates");
  expect_error<ValueError>([] { (void)optim::piecewise({1.0, 1.0, 1.0}, {2, 1}); }, "must increase");
  expect_error<ValueError>([] { (void)optim::cosine_decay(1.0, 0); }, "steps must be positive");
  expect_error<ValueError>([] { (void)optim::warmup(0, optim::constant(1.0)); }, "steps must be positive");
  expect_error<ValueError>([] { (void)optim::exponential_decay(1.0, -1.0, 5); }, "must be positive");
}

TEST(Optim, RavelAndBack) {
  const Arrays xs{f64({1, 2, 3, 4}, {2, 2}), f64({5}, {}), zeros({0}), Array::from<float>({6.0f})};
  const Array flat = optim::ravel(xs);
  EXPECT_EQ(flat.to_vector<double>(), (std::vector<double>{1, 2, 3, 4, 5, 6}));
  const Arrays back = optim::unravel(flat, xs);
  for (size_t i = 0; i < xs.size(); ++i) {
    EXPECT_EQ(back[i].shape(), xs[i].shape());
    EXPECT_EQ(back[i].dtype(), xs[i].dtype());
  }
  EXPECT_EQ(back[0].to_vector<double>(), xs[0].to_vector<double>());
  expect_error<ValueError>([&] { (void)optim::unravel(f64({1, 2}), xs); }, "a vector of 6 entries");
}

}  // namespace
}  // namespace hesse
