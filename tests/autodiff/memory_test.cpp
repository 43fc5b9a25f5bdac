#include <gtest/gtest.h>

#include "autodiff/autodiff.h"
#include "core/ops.h"

/// Long histories without stack overflow, and nothing alive when a derivative is done.
namespace hesse {
namespace {

Array scalar(double v) { return Array::from<double>(std::span(&v, 1), Shape{}); }
constexpr int kSteps = 100000;

/// x <- x + h cos x, many times: an ordinary C++ loop.
Array long_loop(const Array& x) {
  Array y = x;
  for (int i = 0; i < kSteps; ++i) y = y + 1e-5 * cos(y);
  return y;
}

double long_loop_derivative(double x) {
  double dx = 1;
  for (int i = 0; i < kSteps; ++i) {
    dx -= 1e-5 * std::sin(x) * dx;
    x += 1e-5 * std::cos(x);
  }
  return dx;
}

TEST(LongLoop, GradientOf100000StepsAndItsDestruction) {
  const int64_t before = Buffer::live_count();
  {
    auto [y, pull] = vjp([](std::span<const Array> v) { return Arrays{long_loop(v[0])}; }, {scalar(0.3)});
    EXPECT_GT(Buffer::live_count(), before);
    EXPECT_NEAR(pull({scalar(1.0)})[0]->item<double>(), long_loop_derivative(0.3), 1e-10);
  }
  EXPECT_EQ(Buffer::live_count(), before);
}

TEST(LongLoop, ForwardModeOf100000Steps) {
  const auto dy =
      jvp([](std::span<const Array> v) { return Arrays{long_loop(v[0])}; }, {scalar(0.3)}, {scalar(1.0)})
          .second;
  EXPECT_NEAR(dy[0]->item<double>(), long_loop_derivative(0.3), 1e-10);
}

TEST(LongLoop, ForwardOverReverse) {
  const auto g = grad([](const Array& x) {
    Array y = x;
    for (int i = 0; i < 5000; ++i) y = y + 1e-4 * cos(y);
    return y;
  });
  const auto d2 =
      jvp([&](std::span<const Array> v) { return Arrays{g(v[0])}; }, {scalar(0.3)}, {scalar(1.0)}).second;
  const double h = 1e-5;
  EXPECT_NEAR(d2[0]->item<double>(),
              (g(scalar(0.3 + h)).item<double>() - g(scalar(0.3 - h)).item<double>()) / (2 * h), 1e-7);
}

TEST(LongLoop, OfScan) {
  const auto f = [](const Array& x) {
    return scan([](std::span<const Array> c) { return Arrays{c[0] + 1e-5 * cos(c[0])}; }, {x}, {}, kSteps)[0];
  };
  EXPECT_NEAR(grad(f)(scalar(0.3)).item<double>(), long_loop_derivative(0.3), 1e-10);
}

TEST(LongLoop, OfWhileLoop) {
  const auto f = [](const Array& x) {
    return while_loop([](std::span<const Array> c) { return Arrays{less(c[1], Array(int64_t{kSteps}))}; },
                      [](std::span<const Array> c) {
                        return Arrays{c[0] + 1e-5 * cos(c[0]), c[1] + Array(int64_t{1})};
                      },
                      {x, Array(int64_t{0})})[0];
  };
  EXPECT_NEAR(grad(f)(scalar(0.3)).item<double>(), long_loop_derivative(0.3), 1e-10);
}

class Buffers : public ::testing::Test {
 protected:
  /// Runs `work` twice (caches fill the first time) and compares the number of live buffers around the second
  /// run.
  template <class F>
  void expect_no_leak(F&& work) {
    work();
    const int64_t before = Buffer::live_count();
    work();
    EXPECT_EQ(Buffer::live_count(), before);
  }
  const Array x = Array::from<double>({0.1, 0.7, -0.4});
};

TEST_F(Buffers, AfterDerivatives) {
  const Fn f = [](std::span<const Array> v) { return Arrays{sum(tanh(v[0]) * exp(v[0]))}; };
  expect_no_leak([&] { jvp(f, {x}, {ones_like(x)}); });
  expect_no_leak([&] { vjp(f, {x}).second({scalar(1.0)}); });
  expect_no_leak([&] { linearise(f, {x}).second({ones_like(x)}); });
  expect_no_leak([&] { hvp(f, {x}, {ones_like(x)}); });
  expect_no_leak([&] { hessian(f, {x}, {0}); });
  expect_no_leak([&] { jacobian([](std::span<const Array> v) { return Arrays{sin(v[0])}; }, {x}, {0}); });
}

TEST_F(Buffers, AfterSubgraphs) {
  const Fn step = [](std::span<const Array> c) { return Arrays{sin(c[0])}; };
  const auto loss = [&](const Array& v) { return sum(scan(step, {v}, {}, 5)[0]); };
  expect_no_leak([&] { grad(loss)(x); });
  expect_no_leak([&] { grad([&](const Array& v) { return sum(checkpoint(step, {v})[0]); })(x); });
  expect_no_leak([&] { grad([&](const Array& v) { return sum(vmap(step, {v}, {0}, {0})[0]); })(x); });
  expect_no_leak([&] {
    grad([&](const Array& v) {
      return sum(cond(greater(sum(v), Array(0.0)), step,
                      [](std::span<const Array> c) { return Arrays{cos(c[0])}; }, {v})[0]);
    })(x);
  });
}

TEST_F(Buffers, AfterAnExceptionInsideADerivative) {
  const Fn bad = [](std::span<const Array> v) { return Arrays{reshape(exp(v[0]), Shape{7})}; };
  const auto run = [&] {
    EXPECT_THROW(grad([&](const Array& v) { return bad(Arrays{v})[0]; })(x), ValueError);
  };
  expect_no_leak(run);
  const auto traced = [&] { EXPECT_THROW(vmap(bad, {reshape(x, {3, 1})}, {0}, {0}), ValueError); };
  expect_no_leak(traced);
  EXPECT_EQ(current_region(), nullptr);
}

TEST_F(Buffers, ALossAppendedToAListKeepsANumber) {
  Arrays losses;
  const int64_t before = Buffer::live_count();
  for (int i = 0; i < 50; ++i) {
    auto [values, grads] =
        value_and_grad([](std::span<const Array> v) { return Arrays{sum(exp(v[0]) * sin(v[0]))}; }, {x}, {0});
    losses.push_back(values[0]);
  }
  EXPECT_LE(Buffer::live_count(), before + 50);
}

TEST_F(Buffers, ACapturedValueLeavingItsDerivativeKeepsANumber) {
  Array leaked;
  const int64_t before = Buffer::live_count();
  grad([&](const Array& v) {
    Array y = v;
    for (int i = 0; i < 100; ++i) y = sin(y);
    leaked = y;
    return sum(y);
  })(x);
  EXPECT_LE(Buffer::live_count(), before + 1);
  EXPECT_FALSE(is_tracked(leaked));
}

}  // namespace
}  // namespace hesse
