#include <gtest/gtest.h>

#include "autodiff/autodiff.h"
#include "core/ops.h"
#include "tests/support/expect_derivatives.h"

/// jvp and vjp inside each other, closures over arrays being differentiated, perturbation confusion.
namespace hesse {
namespace {

using test::expect_derivatives;

Array vec(std::initializer_list<double> v) { return Array::from<double>(v); }
Array scalar(double v) { return Array::from<double>(std::span(&v, 1), Shape{}); }

/// d/dx of a function of a scalar array, forwards.
Array d_forward(const std::function<Array(const Array&)>& f, const Array& x) {
  auto [y, dy] = jvp([&](std::span<const Array> v) { return Arrays{f(v[0])}; }, {x}, {ones_like(x)});
  return dy[0] ? *dy[0] : zeros_like(y[0]);
}
/// d/dx of a function of a scalar array, in reverse.
Array d_reverse(const std::function<Array(const Array&)>& f, const Array& x) {
  auto [y, pull] = vjp([&](std::span<const Array> v) { return Arrays{f(v[0])}; }, {x});
  const MaybeArray dx = pull({ones_like(y[0])})[0];
  return dx ? *dx : zeros_like(x);
}
using Derivative = Array (*)(const std::function<Array(const Array&)>&, const Array&);
constexpr Derivative kModes[] = {d_forward, d_reverse};

TEST(Derivatives, ThirdOrderOfManyShapes) {
  expect_derivatives([](const Array& x) { return sin(x) * exp(x); }, vec({0.3, -1.2, 0.8}));
  expect_derivatives([](const Array& x) { return sum(tanh(x) * x); }, vec({0.3, -1.2, 0.8}));
  expect_derivatives([](const Array& x) { return x / (1.0 + square(x)); }, scalar(0.7));
  expect_derivatives([](const Array& x) { return matmul(x, transpose(tanh(x))); },
                     reshape(vec({0.1, 0.4, -0.3, 0.8, -0.7, 0.2}), {2, 3}));
  expect_derivatives([](const Array& x) { return x; }, vec({1.0, 2.0}));
  expect_derivatives([](const Array& x) { return 0.0 * x + 3.0; }, vec({1.0, 2.0}));
}

TEST(Derivatives, SeveralArgumentsAndResults) {
  const Fn f = [](std::span<const Array> v) { return Arrays{v[0] * sin(v[1]), sum(v[0]) * v[1], exp(v[1])}; };
  expect_derivatives(f, {vec({0.5, -0.4}), vec({1.1, 0.2})});
}

TEST(Derivatives, ComplexFunctions) {
  const Array z = make_complex(vec({0.3, -0.8}), vec({0.5, 0.2}));
  expect_derivatives([](const Array& x) { return exp(x) * sin(x); }, z);
  expect_derivatives([](const Array& x) { return real(x * conj(x)); }, z);
  expect_derivatives([](const Array& x) { return square(abs(x)); }, z);
}

TEST(Derivatives, SixthDerivativeInEveryMixture) {
  // d^6/dx^6 of x^7 / 5040 is x.
  for (unsigned mask = 0; mask < 64; ++mask) {
    std::function<Array(const Array&)> f = [](const Array& x) {
      Array y = x;
      for (int i = 0; i < 6; ++i) y = y * x;
      return y / 5040.0;
    };
    for (unsigned i = 0; i < 6; ++i) {
      const Derivative d = kModes[mask >> i & 1u];
      f = [f, d](const Array& x) { return d(f, x); };
    }
    EXPECT_NEAR(f(scalar(1.25)).item<double>(), 1.25, 1e-13) << "mixture " << mask;
  }
}

TEST(Derivatives, ClosureOverAnArrayThatIsDifferentiated) {
  for (const Derivative outer : kModes)
    for (const Derivative inner : kModes) {
      // d/dx (x * d/dy (x + y^2 x)) at y = 3 = d/dx (6 x^2) = 12 x.
      const Array r = outer(
          [&](const Array& x) {
            return x * inner([&](const Array& y) { return x + square(y) * x; }, scalar(3.0));
          },
          scalar(0.5));
      EXPECT_DOUBLE_EQ(r.item<double>(), 6.0);
    }
}

// Siskind and Pearlmutter, "Perturbation confusion and referential transparency" (2005): d/dx (x d/dy (x +
// y)) = 1.
TEST(PerturbationConfusion, SiskindPearlmutter2005) {
  for (const Derivative outer : kModes)
    for (const Derivative inner : kModes)
      for (const double y0 : {1.0, 2.0}) {
        const Array r = outer(
            [&](const Array& x) { return x * inner([&](const Array& y) { return x + y; }, scalar(y0)); },
            scalar(1.0));
        EXPECT_DOUBLE_EQ(r.item<double>(), 1.0);
      }
}

// The point of the inner derivative depends on the outer variable: d/dx d/dy (x y^2) at y = x is 4x.
TEST(PerturbationConfusion, InnerPointDependsOnTheOuterVariable) {
  for (const Derivative outer : kModes)
    for (const Derivative inner : kModes) {
      const Array r =
          outer([&](const Array& x) { return inner([&](const Array& y) { return x * square(y); }, x); },
                scalar(3.0));
      EXPECT_DOUBLE_EQ(r.item<double>(), 12.0);
    }
}

// Manzyuk, Pearlmutter, Radul, Rush and Siskind, "Perturbation confusion in forward automatic differentiation
// of higher-order functions" (2019): the derivative of a curried shift, applied twice, must be f''.
TEST(PerturbationConfusion, ManzyukShiftOperator) {
  using F = std::function<Array(const Array&)>;
  const auto f = [](const Array& x) { return exp(x) * sin(x); };
  // D s at 0 of s(u)(f)(x) = f(x + u), as a function of f.
  for (const Derivative d : kModes) {
    const auto d_hat = [&](const F& g) -> F {
      return [&d, g](const Array& x) { return d([&](const Array& u) { return g(x + u); }, scalar(0.0)); };
    };
    const F second = d_hat(d_hat(f));
    EXPECT_NEAR(second(scalar(0.6)).item<double>(), 2 * std::exp(0.6) * std::cos(0.6), 1e-13);
  }
}

TEST(PerturbationConfusion, SameArrayTwice) {
  const Array x = scalar(0.4);
  for (const Derivative outer : kModes)
    for (const Derivative inner : kModes) {
      const Array r = outer(
          [&](const Array& a) { return inner([&](const Array& b) { return a * b + x * b; }, a) * a; }, x);
      EXPECT_NEAR(r.item<double>(), 2 * 0.4 + 0.4, 1e-15);  // d/da (a + x) a at a = x, x constant
    }
}

TEST(Vjp, PullBackMayBeCalledSeveralTimesAndAfterwards) {
  const Array x = vec({1.0, 2.0});
  auto [y, pull] = vjp([](std::span<const Array> v) { return Arrays{v[0] * v[0]}; }, {x});
  for (int i = 1; i < 4; ++i) {
    const Array g = *pull({full_like(x, Array(double(i)))})[0];
    EXPECT_EQ(g.to_vector<double>(), (std::vector<double>{2.0 * i, 4.0 * i}));
  }
}

TEST(Vjp, OfAPullBackIsTheJvp) {
  const Array x = vec({0.2, -0.7}), u = vec({1.0, 3.0});
  const Fn f = [](std::span<const Array> v) { return Arrays{sin(v[0])}; };
  auto [y, pull] = vjp(f, {x});
  const Fn linear = [&pull](std::span<const Array> c) { return test::filled(pull({c[0]}), {c[0]}); };
  const Array twice = *vjp(linear, {ones_like(x)}).second({u})[0];
  const Array direct = *jvp(f, {x}, {u}).second[0];
  EXPECT_EQ(twice.to_vector<double>(), direct.to_vector<double>());
}

TEST(Jvp, MissingTangentsStayMissing) {
  const Fn f = [](std::span<const Array> v) { return Arrays{v[0] * 2.0, v[1] * 3.0, floor(v[0])}; };
  auto [y, dy] = jvp(f, {vec({1.0}), vec({2.0})}, {std::nullopt, vec({1.0})});
  EXPECT_FALSE(dy[0].has_value());
  ASSERT_TRUE(dy[1].has_value());
  EXPECT_FALSE(dy[2].has_value());
}

TEST(Jvp, RefusesWhatDoesNotFit) {
  const Fn f = [](std::span<const Array> v) { return Arrays{v[0]}; };
  EXPECT_THROW(jvp(f, {vec({1.0})}, {vec({1.0, 2.0})}), ValueError);
  EXPECT_THROW(jvp(f, {vec({1.0})}, {astype(vec({1.0}), kFloat32)}), TypeError);
  EXPECT_THROW(jvp(f, {astype(vec({1.0}), kInt64)}, {astype(vec({1.0}), kInt64)}), TypeError);
  EXPECT_THROW(jvp(f, {vec({1.0})}, {}), ValueError);
  EXPECT_THROW(vjp(f, {vec({1.0})}).second({}), ValueError);
  EXPECT_THROW(vjp(f, {vec({1.0})}).second({vec({1.0, 2.0})}), ValueError);
}

TEST(Linearise, RunsTheFunctionOnce) {
  int runs = 0;
  const Fn f = [&runs](std::span<const Array> v) { return ++runs, Arrays{exp(v[0])}; };
  auto [y, linear] = linearise(f, {vec({0.0, 1.0})});
  for (int i = 0; i < 3; ++i) linear({vec({1.0, 1.0})});
  EXPECT_EQ(runs, 1);
}

TEST(LinearTranspose, RefusesWhatIsNotLinear) {
  const Avals args{{Shape{2}, kFloat64}};
  EXPECT_NO_THROW(
      linear_transpose([](std::span<const Array> v) { return Arrays{3.0 * v[0]}; }, args, {vec({1.0, 2.0})}));
  try {
    linear_transpose([](std::span<const Array> v) { return Arrays{sin(v[0])}; }, args, {vec({1.0, 2.0})});
    FAIL() << "sin was transposed";
  } catch (const ValueError& e) {
    EXPECT_NE(std::string(e.what()).find("sin"), std::string::npos) << e.what();
  }
}

TEST(StopGradient, HasNoDerivative) {
  for (const Derivative d : kModes)
    EXPECT_DOUBLE_EQ(d([](const Array& x) { return x * stop_gradient(x); }, scalar(3.0)).item<double>(), 3.0);
}

TEST(ValueDependentControlFlow, OrdinaryIfAndWhileUnderDerivatives) {
  const auto f = [](const Array& x) {
    Array y = x;
    while (sum(y).item<double>() < 100.0) y = y * y + x;
    return y.item<double>() > 200.0 ? 2.0 * y : y;
  };
  expect_derivatives(f, scalar(1.7), 3, 1e-6);
}

}  // namespace
}  // namespace hesse
