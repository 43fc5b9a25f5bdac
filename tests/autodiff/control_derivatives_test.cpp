#include <gtest/gtest.h>

#include <cmath>

#include "autodiff/autodiff.h"
#include "core/cpu/threads.h"
#include "core/ops.h"
#include "core/ops/control.h"
#include "tests/support/expect_derivatives.h"

/// Derivatives of maps, loops and branches: values that a person can check, to third order in every mixture
/// of modes, and the transposes of linear functions made of them.
namespace hesse {
namespace {

using Span = std::span<const Array>;
using test::expect_derivatives;

Array scalar(double v) { return Array::from<double>(std::span(&v, 1), Shape{}); }
Array f64(const std::vector<double>& v, const Shape& shape) { return Array::from<double>(v, shape); }
Array f64(const std::vector<double>& v) { return f64(v, {static_cast<int64_t>(v.size())}); }
Array i64(const std::vector<int64_t>& v) { return Array::from<int64_t>(v, {static_cast<int64_t>(v.size())}); }
Array count(int64_t n) { return Array(n); }
std::vector<double> values(const Array& a) { return a.to_vector<double>(); }
std::function<std::vector<Result>(size_t)> all(const Result& r) {
  return [r](size_t n) { return std::vector<Result>(n, r); };
}

/// Gradients of the sum of f's first output.
Arrays gradients(const Fn& f, const Arrays& x) {
  auto [y, pull] = vjp(f, x);
  MaybeArrays ct(y.size());
  ct[0] = ones_like(y[0]);
  return test::filled(pull(ct), x);
}
/// The derivative of f's first output along u.
Array along(const Fn& f, const Arrays& x, const Arrays& u) {
  auto [y, dy] = jvp(f, x, test::some(u));
  return test::filled(dy, y)[0];
}

// Maps
// --------------------------------------------------------------------------------------------------------

/// sum_i u x_i^2 t_g(i), where row g(i) = i mod 3 of t is gathered.
Fn map_sum(int64_t n) {
  std::vector<int64_t> rows;
  for (int64_t i = 0; i < n; ++i) rows.push_back(i % 3);
  return [n, index = i64(rows)](Span a) {
    return map([](Span v) { return Arrays{v[0] * v[0] * v[1] * v[2]}; }, n, {a[0], a[1], a[2]},
               {Access::each(), Access::uniform(), Access::gather(0)}, all(Result::sum()), {index});
  };
}

class MapLengths : public testing::TestWithParam<int64_t> {};

TEST_P(MapLengths, GradientsOfEachUniformAndGather) {
  const int64_t n = GetParam();
  std::vector<double> x, dx, dt(3, 0.0);
  const std::vector<double> t{1.0, -2.0, 4.0};
  double du = 0.0;
  for (int64_t i = 0; i < n; ++i) {  // small integers: sums are exact
    const auto row = static_cast<size_t>(i % 3);
    x.push_back(static_cast<double>(i % 7 - 3));
    dx.push_back(2.0 * x.back() * 5.0 * t[row]);
    du += x.back() * x.back() * t[row];
    dt[row] += 5.0 * x.back() * x.back();
  }
  const Arrays point{f64(x), scalar(5.0), f64(t)};
  const Arrays g = gradients(map_sum(n), point);
  EXPECT_EQ(values(g[0]), dx);
  EXPECT_EQ(values(g[1]), std::vector<double>{du});
  EXPECT_EQ(values(g[2]), dt);
  const Array forward = along(map_sum(n), point, {zeros_like(point[0]), scalar(1.0), zeros_like(point[2])});
  EXPECT_EQ(values(forward), std::vector<double>{du});
}

TEST_P(MapLengths, GradientsThroughSegmentSums) {
  // y_s = sum over i mod 3 = s of x_i^2; the gradient of sum_s y_s^2 is 4 y_s x_i.
  const int64_t n = GetParam();
  std::vector<int64_t> rows;
  std::vector<double> x, y(3, 0.0), dx;
  for (int64_t i = 0; i < n; ++i) {
    rows.push_back(i % 3);
    x.push_back(static_cast<double>(i % 5 - 2));
    y[static_cast<size_t>(i % 3)] += x.back() * x.back();
  }
  for (int64_t i = 0; i < n; ++i)
    dx.push_back(4.0 * y[static_cast<size_t>(i % 3)] * x[static_cast<size_t>(i)]);
  const Fn f = [&](Span a) {
    const Array s = map([](Span v) { return Arrays{v[0] * v[0]}; }, n, {a[0]}, {Access::each()},
                        all(Result::segment_sum(0, 3)), {i64(rows)})[0];
    return Arrays{sum(s * s)};
  };
  EXPECT_EQ(values(gradients(f, {f64(x)})[0]), dx);
}

// Around a vector and a tile, and several tiles with a rest.
INSTANTIATE_TEST_SUITE_P(Lengths, MapLengths, testing::Values(0, 1, 7, 8, 9, 511, 512, 513, 1500));

TEST(MapDerivatives, ThirdOrderInEveryMixture) {
  const Arrays x{f64({0.3, -0.8, 0.5, 1.1, -0.2}), scalar(0.7), f64({0.4, -0.6, 0.9})};
  expect_derivatives(map_sum(5), x);
  const Fn nested = [](Span a) {  // an inner map whose body captures the outer example
    return map(
        [&](Span v) {
          return map([&](Span w) { return Arrays{sin(w[0] * v[0])}; }, 3, {a[1]}, {Access::each()},
                     all(Result::sum()));
        },
        4, {a[0]}, {Access::each()}, all(Result::each()));
  };
  expect_derivatives(nested, {f64({0.3, -0.8, 0.5, 1.1}), f64({0.4, -0.6, 0.9})});
}

TEST(MapDerivatives, BitsOfAGradientDoNotDependOnThreads) {
  const int64_t n = 3001;
  std::vector<double> x;
  for (int64_t i = 0; i < n; ++i) x.push_back(std::sin(static_cast<double>(i)));
  const auto run = [&] {
    const Arrays g = gradients(map_sum(n), {f64(x), scalar(0.3), f64({0.1, 0.2, 0.3})});
    return std::pair(values(g[1]), values(g[2]));
  };
  const int before = num_threads();
  set_num_threads(1);
  const auto alone = run();
  for (const int threads : {2, 3, 7}) {
    set_num_threads(threads);
    EXPECT_EQ(run(), alone) << threads << " threads";
  }
  set_num_threads(before);
}

// Loops and branches
// --------------------------------------------------------------------------------------------

/// c_t = w c_{t-1} + x_t from c_0, and the sum of the carries: (last, sum).
Fn linear_scan(bool reverse) {
  return [reverse](Span a) {
    const Arrays y = scan(
        [&](Span v) {
          const Array c = a[2] * v[0] + v[1];
          return Arrays{c, c};
        },
        {a[0]}, {a[1]}, {}, reverse);
    return Arrays{y[0] + sum(y[1])};
  };
}

TEST(LoopDerivatives, ScanOfThreeSteps) {
  // c = 1, w = 2, x = (1, 0, 3): carries 3, 6, 15; y = 15 + 24.
  const Arrays x{scalar(1.0), f64({1.0, 0.0, 3.0}), scalar(2.0)};
  Arrays g = gradients(linear_scan(false), x);
  EXPECT_EQ(values(g[0]), std::vector<double>{8 + 2 + 4 + 8});
  EXPECT_EQ(values(g[1]), (std::vector<double>{4 + 1 + 2 + 4, 2 + 1 + 2, 1 + 1}));
  // dc/dw: 1; 3 + 2 * 1 = 5; 6 + 2 * 5 = 16, and the last one twice.
  EXPECT_EQ(values(g[2]), std::vector<double>{1 + 5 + 16 + 16});
  g = gradients(linear_scan(true), x);
  EXPECT_EQ(values(g[1]), (std::vector<double>{1 + 1, 2 + 1 + 2, 4 + 1 + 2 + 4}));
  expect_derivatives(linear_scan(false), x);
  expect_derivatives(linear_scan(true), x);
}

TEST(LoopDerivatives, ScanOfNoSteps) {
  const Arrays g = gradients(linear_scan(false), {scalar(1.0), f64({}), scalar(2.0)});
  EXPECT_EQ(values(g[0]), std::vector<double>{1.0});
  EXPECT_EQ(g[1].shape(), Shape{0});
  EXPECT_EQ(values(g[2]), std::vector<double>{0.0});
}

/// x^(2^k), squared while it is below 1000; the number of steps is known when it runs.
const Fn squared_while = [](Span a) {
  return while_loop([](Span v) { return Arrays{less(v[0], Array(1000.0))}; },
                    [](Span v) { return Arrays{v[0] * v[0]}; }, {a[0]});
};

TEST(LoopDerivatives, WhileOfAnyLength) {
  for (const double x : {2000.0, 100.0, 8.0, 2.0}) {  // 0, 1, 2 and 4 steps
    double y = x, dy = 1.0, d2y = 0.0;
    while (y < 1000.0) {
      d2y = 2.0 * (dy * dy + y * d2y);
      dy = 2.0 * y * dy;
      y = y * y;
    }
    const Fn forward = [](Span v) { return Arrays{along(squared_while, {v[0]}, {scalar(1.0)})}; };
    EXPECT_EQ(values(gradients(squared_while, {scalar(x)})[0]), std::vector<double>{dy});
    EXPECT_EQ(values(forward(Arrays{scalar(x)})[0]), std::vector<double>{dy});
    EXPECT_EQ(values(gradients(forward, {scalar(x)})[0]), std::vector<double>{d2y});
  }
}

TEST(LoopDerivatives, ForiOfBoundsKnownLater) {
  // x^5 by five products; the bound is an argument of a compiled function.
  const Fn f = [](Span a) {
    return fori_loop(count(0), a[1], [&](const Array&, Span c) { return Arrays{c[0] * a[0]}; },
                     {scalar(1.0)});
  };
  const Compiled g = compile(
      [&](Span a) {
        return Arrays{gradients([&](Span x) { return f(Arrays{x[0], a[1]}); }, {a[0]})[0]};
      },
      {{Shape{}, kFloat64}, {Shape{}, kInt64}});
  EXPECT_EQ(values(g(Arrays{scalar(2.0), count(5)})[0]), std::vector<double>{80.0});
  EXPECT_EQ(values(g(Arrays{scalar(2.0), count(1)})[0]), std::vector<double>{1.0});
  EXPECT_EQ(values(g(Arrays{scalar(2.0), count(0)})[0]), std::vector<double>{0.0});
}

TEST(BranchDerivatives, OfTheBranchTaken) {
  // x^2 w where x > 0, else 3 x: w has no cotangent there.
  const Fn f = [](Span a) {
    return cond(
        greater(a[0], Array(0.0)), [&](Span v) { return Arrays{v[0] * v[0] * a[1]}; },
        [](Span v) { return Arrays{3.0 * v[0]}; }, {a[0]});
  };
  Arrays g = gradients(f, {scalar(2.0), scalar(5.0)});
  EXPECT_EQ(values(g[0]), std::vector<double>{20.0});
  EXPECT_EQ(values(g[1]), std::vector<double>{4.0});
  g = gradients(f, {scalar(-2.0), scalar(5.0)});
  EXPECT_EQ(values(g[0]), std::vector<double>{3.0});
  EXPECT_EQ(values(g[1]), std::vector<double>{0.0});
  expect_derivatives(f, {scalar(0.8), scalar(0.5)});
}

TEST(BranchDerivatives, LoopsOfBranchesInMaps) {
  // Each example is doubled or negated twice: d = 4, or (-1)(2) where the first step crosses zero.
  const Fn f = [](Span a) {
    return map(
        [](Span v) {
          return fori_loop(count(0), count(2),
                           [](const Array&, Span c) {
                             return cond(
                                 greater(c[0], Array(0.0)), [](Span s) { return Arrays{2.0 * s[0]}; },
                                 [](Span s) { return Arrays{-s[0]}; }, {c[0]});
                           },
                           {v[0]});
        },
        3, {a[0]}, {Access::each()}, all(Result::sum()));
  };
  EXPECT_EQ(values(gradients(f, {f64({1.0, -3.0, 0.5})})[0]), (std::vector<double>{4.0, -2.0, 4.0}));
}

// Linear functions
// -----------------------------------------------------------------------------------------------

/// 2 c x, and the transpose of it, by every op that holds a graph.
TEST(LinearTranspose, ControlFlow) {
  const Array x = scalar(3.0);
  const auto product = [&](Span v) { return Arrays{v[0] * x}; };
  const std::vector<std::pair<const char*, Fn>> linear{
      {"map",
       [&](Span c) {
         return map([&](Span v) { return Arrays{v[0] * v[1] * x}; }, 2, {f64({0.5, 1.5}), c[0]},
                    {Access::each(), Access::uniform()}, all(Result::sum()));
       }},
      {"scan",
       [&](Span c) {
         return scan([](Span v) { return Arrays{v[0] * v[1]}; }, {c[0]}, {stack({x, scalar(2.0)})});
       }},
      {"a scan beside another value",
       [&](Span c) {
         const Arrays y = scan(
             [](Span v) {
               return Arrays{v[0] + v[2], v[1] * v[2]};
             },
             {scalar(1.0), c[0]}, {f64({2.0, 0.5})});
         return Arrays{y[1] * (y[0] - 1.5) * x};  // the other value is a coefficient
       }},
      {"while",
       [&](Span c) {
         const Arrays y = while_loop([](Span v) { return Arrays{less(v[1], count(2))}; },
                                     [](Span v) {
                                       return Arrays{v[0], v[1] + count(1)};
                                     },
                                     {c[0], count(0)});
         return Arrays{y[0] * astype(y[1], kFloat64) * x};  // the number of steps is a coefficient
       }},
      {"cond",
       [&](Span c) {
         return cond(
             greater(x, Array(0.0)), [&](Span v) { return Arrays{2.0 * v[0] * x}; },
             [](Span v) { return Arrays{v[0]}; }, {c[0]});
       }},
      {"checkpoint", [&](Span c) { return checkpoint(product, {2.0 * c[0]}); }},
  };
  for (const auto& [name, f] : linear) {
    SCOPED_TRACE(name);
    EXPECT_EQ(values(f(Arrays{scalar(1.0)})[0]), std::vector<double>{6.0});
    const MaybeArrays g = linear_transpose(f, {{Shape{}, kFloat64}}, {scalar(1.0)});
    ASSERT_TRUE(g[0] && g[0]->has_data());
    EXPECT_EQ(values(*g[0]), std::vector<double>{6.0});
    // As the rule of a function in place of 2 x: its gradient is 6.
    const Fn ruled = [&, f = f](Span a) {
      return custom_jvp([](Span v) { return Arrays{2.0 * v[0]}; }, [&](Span v) { return f(Arrays{v[1]}); },
                        {a[0]});
    };
    EXPECT_EQ(values(gradients(ruled, {scalar(7.0)})[0]), std::vector<double>{6.0});
    const Fn backward = [&, f = f](Span a) {
      return custom_vjp([](Span v) { return Arrays{2.0 * v[0]}; }, [](Span v) { return Arrays{2.0 * v[0]}; },
                        [&](Span ct) { return f(ct); }, {a[0]});
    };
    EXPECT_EQ(values(gradients(backward, {scalar(7.0)})[0]), std::vector<double>{6.0});
    EXPECT_EQ(values(along(backward, {scalar(7.0)}, {scalar(1.0)})), std::vector<double>{6.0});
  }
}

TEST(LinearTranspose, WhatIsNotLinearIsNamed) {
  const auto refusal = [](const Fn& f) -> std::string {
    try {
      (void)linear_transpose(f, {{Shape{}, kFloat64}}, {scalar(1.0)});
    } catch (const ValueError& e) {
      return e.what();
    }
    return "accepted";
  };
  EXPECT_NE(refusal([](Span c) { return squared_while(c); }).find("while_loop is not linear"),
            std::string::npos);
  EXPECT_NE(refusal([](Span c) {
              return cond(
                  greater(c[0], Array(0.0)), [](Span v) { return Arrays{v[0]}; },
                  [](Span v) { return Arrays{2.0 * v[0]}; }, {c[0]});
            }).find("cond is not linear"),
            std::string::npos);
  EXPECT_NE(refusal([](Span c) {  // only the bound depends on it
              return Arrays{while_loop([&](Span v) { return Arrays{less(v[0], c[0])}; },
                                       [](Span v) {
                                         return Arrays{v[0] + 1.0, 2.0 * v[1]};
                                       },
                                       {scalar(0.0), c[0]})[1]};
            })
                .find("while_loop is not linear"),
            std::string::npos);
}

}  // namespace
}  // namespace hesse
