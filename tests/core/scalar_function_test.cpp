// Graphs of few entries called on memory against the graphs.
#include "core/program/scalar_function.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <limits>

#include "core/ops.h"

namespace hesse {
namespace {

const Avals kAvals{{Shape{}, kFloat64}, {Shape{3}, kFloat64}, {Shape{2, 3}, kFloat32}};

Arrays function(std::span<const Array> x) {
  const Array a = matmul(astype(x[2], kFloat64), expand_dims(x[1], Axes{1}));
  return {exp(x[0]) * x[1], squeeze(a, Axes{1}), where(x[1] > x[0], x[1] / x[0], -x[1])};
}

Array matrix() { return reshape(arange(0, 6, 1, kFloat32), {2, 3}); }

TEST(ScalarFunction, GivesWhatTheGraphGives) {
  const Ref<const Graph> g = trace_closed(function, kAvals);
  for (const int64_t lanes : {1, 4, 7}) {
    const auto f = ScalarFunction::make(*g, lanes);
    ASSERT_TRUE(f);
    ScalarFunction::Call call(*f);
    call.set(2, transpose(transpose(matrix())));
    for (const double t : {0.5, -2.0, std::numeric_limits<double>::quiet_NaN()}) {  // inputs are kept
      const std::array y{1.0, 2.0, std::numeric_limits<double>::infinity()};
      call.set(0, &t);
      call.set(1, y.data());
      call.run();
      const Arrays expected = g->run(Arrays{Array(t), Array::from<double>(y, {3}), matrix()});
      std::array<double, 8> got{};
      call.get(lanes - 1, got.data());
      size_t k = 0;
      for (const Array& e : expected)
        for (const double v : e.to_vector<double>()) {
          if (std::isnan(v))
            EXPECT_TRUE(std::isnan(got[k])) << k;
          else
            EXPECT_DOUBLE_EQ(got[k], v) << k;
          ++k;
        }
      EXPECT_EQ(k, got.size());
    }
  }
}

TEST(ScalarFunction, LanesAreCallsOfTheirOwn) {
  const auto f = ScalarFunction::make(*trace_closed(function, kAvals), 3);
  ASSERT_TRUE(f);
  ScalarFunction::Call call(*f);
  const std::array y{1.0, 2.0, 3.0};
  call.set(1, y.data());
  call.set(2, matrix());
  for (int64_t lane = 0; lane < 3; ++lane) call.set(0, 0, lane, static_cast<double>(lane));
  call.run();
  for (int64_t lane = 0; lane < 3; ++lane) {
    std::array<double, 8> got{};
    call.get(lane, got.data());
    EXPECT_NEAR(got[0], std::exp(static_cast<double>(lane)), 1e-14 * got[0]);
    EXPECT_EQ(got[4], 3 * 1.0 + 4 * 2.0 + 5 * 3.0);
  }
}

TEST(ScalarFunction, RefusesWhatItCannotTakeApart) {
  const Avals one{{Shape{3}, kFloat64}};
  const auto made = [&](const Fn& f, int64_t most = 4096) {
    return ScalarFunction::make(*trace_closed(f, one), 4, most) != nullptr;
  };
  EXPECT_TRUE(made([](std::span<const Array> x) { return Arrays{exp(x[0]) + 1.0}; }));
  EXPECT_FALSE(made([](std::span<const Array> x) { return Arrays{exp(x[0]) + 1.0}; }, 4));
  EXPECT_FALSE(made([](std::span<const Array> x) { return Arrays{sort(x[0])}; }));
  EXPECT_FALSE(made([](std::span<const Array> x) { return Arrays{astype(x[0], kFloat32)}; }));
  EXPECT_THROW(
      {
        const auto f = ScalarFunction::make(
            *trace_closed([](std::span<const Array> x) { return Arrays{-x[0]}; }, one), 4);
        ScalarFunction::Call(*f).set(0, Array(1.0));
      },
      ValueError);
}

}  // namespace
}  // namespace hesse
