// Products of matrices that are shared between rows times numbers, and sums of outer products that are
// turned.
#include <gtest/gtest.h>

#include "autodiff/autodiff.h"
#include "core/ops.h"
#include "core/program/scaled_rows.h"
#include "core/program/turned_products.h"
#include "tests/core/compare.h"

namespace hesse {
namespace {

using Span = std::span<const Array>;
using test::avals_of;
using test::difference;
using test::random_array;

constexpr int64_t kRows = 40, kFeatures = 5, kWide = 7;

/// r [n, 1], w [wide, features], v [wide, wide], targets [n, 1]
Arrays inputs(DType dtype) {
  std::mt19937_64 generator(2);
  return {random_array({kRows, 1}, dtype, generator), random_array({kWide, kFeatures}, dtype, generator),
          random_array({kWide, kWide}, dtype, generator), random_array({kRows, 1}, dtype, generator)};
}

// Features of a distance through two layers, once or twice over, and the gradient of how far the derivative
// along the distance is from the targets.
Fn training(int networks) {
  return [networks](Span x) {
    const Fn loss = [&](Span p) {
      const Fn energy = [&](Span r) {
        const Array centres = Array::from<double>(std::vector<double>{-1, -0.5, 0, 0.5, 1}, {kFeatures});
        const Array features = exp(square(r[0] - astype(centres, r[0].dtype())) * -0.5);
        Array out = sum(tanh(matmul(tanh(matmul(features, transpose(p[0]))), p[1])));
        if (networks > 1) out = out + sum(square(tanh(matmul(features, transpose(p[0] * 0.5)))));
        return Arrays{out};
      };
      const auto [value, force] = value_and_grad(energy, {x[0]}, {0});
      return Arrays{mean(square(force[0] - x[3])) + value[0]};
    };
    auto [value, grad] = value_and_grad(loss, {x[1], x[2]}, {0, 1});
    return Arrays{value[0], grad[0], grad[1]};
  };
}
Ref<const Graph> recorded(const Fn& f, const Arrays& x) { return trace_closed(f, avals_of(x)); }

void expect_same(const Graph& got, const Graph& expected, const Arrays& x, double tolerance) {
  const Arrays a = got.run(x), b = expected.run(x);
  ASSERT_EQ(a.size(), b.size());
  for (size_t k = 0; k < a.size(); ++k) {
    EXPECT_EQ(aval(a[k]), aval(b[k]));
    EXPECT_LT(difference(a[k], b[k]), tolerance) << k;
  }
}

TEST(ScaledRows, AProductLessForEachNetworkThatForcesAreTrainedOn) {
  for (const DType dtype : {kFloat32, kFloat64})
    for (const int networks : {1, 2}) {
      const Arrays x = inputs(dtype);
      const auto g = recorded(training(networks), x), shared = with_scaled_rows(g);
      EXPECT_EQ(shared->count("matmul"), g->count("matmul") - networks);
      expect_same(*shared, *g, x, dtype == kFloat32 ? 1e-4 : 1e-12);
    }
}

TEST(ScaledRows, AreLeftWhereNothingIsShared) {
  const Arrays x = inputs(kFloat64);
  const std::vector<Fn> all{
      [](Span x) {  // W and not its transpose
        const Array a = tanh(matmul(x[0], sum(x[2], Axes{0}, true)));
        return Arrays{sum(a * matmul(tanh(a), x[2]), Axes{1}), matmul(a * x[3], x[2])};
      },
      [](Span x) {  // the product is wanted itself
        const Array a = tanh(matmul(x[0], sum(x[2], Axes{0}, true))), y = matmul(tanh(a), transpose(x[2]));
        return Arrays{sum(a * y, Axes{1}), matmul(a * x[3], x[2]), y};
      },
      [](Span x) {  // other factors
        const Array a = tanh(matmul(x[0], sum(x[2], Axes{0}, true)));
        return Arrays{sum(a * matmul(tanh(a), transpose(x[2])), Axes{1}), matmul(square(a) * x[3], x[2])};
      }};
  for (const Fn& f : all) {
    const auto g = recorded(f, x);
    EXPECT_EQ(with_scaled_rows(g).get(), g.get());
  }
  const Fn shared = [](Span x) {
    const Array a = tanh(matmul(x[0], sum(x[2], Axes{0}, true)));
    return Arrays{sum(a * matmul(tanh(a), transpose(x[2])) * x[3], Axes{1}), matmul(a * x[3], x[2])};
  };
  const auto g = recorded(shared, x), h = with_scaled_rows(g);
  EXPECT_EQ(h->count("matmul"), g->count("matmul") - 1);
  expect_same(*h, *g, x, 1e-13);
}

TEST(TurnedProducts, FillVectorsAndShareTheirSum) {
  std::mt19937_64 generator(4);
  for (const DType dtype : {kFloat32, kFloat64}) {
    const Arrays x{random_array({300, 16}, dtype, generator), random_array({300, 50}, dtype, generator)};
    const Fn f = [](Span x) {
      return Arrays{matmul(transpose(x[0]), x[1]) + transpose(matmul(transpose(tanh(x[1])), x[0]))};
    };
    const auto g = recorded(f, x), turned = with_turned_products(g);
    expect_same(*turned, *g, x, dtype == kFloat32 ? 1e-5 : 1e-13);
    for (const Graph::Equation& eq : turned->equations())
      if (eq.op->name() == "matmul" || eq.op->name() == "add") {
        EXPECT_EQ(turned->values()[static_cast<size_t>(eq.out[0])].shape, (Shape{50, 16}));
      }
    const Fn filled = [](Span x) { return Arrays{matmul(transpose(x[1]), x[0])}; };
    const auto as_it_is = recorded(filled, x);
    EXPECT_EQ(with_turned_products(as_it_is).get(), as_it_is.get());
  }
}

}  // namespace
}  // namespace hesse
