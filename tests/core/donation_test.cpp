#include <gtest/gtest.h>

#include "core/node.h"
#include "core/ops.h"
#include "core/ops/control.h"

namespace hesse {
namespace {

Array filled(int64_t n, double value) { return copy(full({n}, value, kFloat64)); }

TEST(Donation, ResultsLieWhereArgumentsLay) {
  for (const int64_t n : {1000, 100000}) {
    const Compiled step = compile([](std::span<const Array> x) { return Arrays{x[0] - 0.1 * x[1]}; },
                                  {{{n}, kFloat64}, {{n}, kFloat64}});
    const Array g = filled(n, 2.0);
    Arrays in{filled(n, 1.0), g};
    const void* const before = in[0].buffer()->data();
    const Array w = step.donating(std::move(in))[0];
    EXPECT_EQ(w.buffer()->data(), before);
    EXPECT_NEAR(w.to_vector<double>()[static_cast<size_t>(n) - 1], 0.8, 1e-15);
    EXPECT_EQ(g.to_vector<double>()[0], 2.0);  // it is held here
    // Nothing is overwritten that somebody holds.
    const Array held = filled(n, 1.0);
    const Array again = step.donating({held, g})[0];
    EXPECT_NE(again.buffer()->data(), held.buffer()->data());
    EXPECT_EQ(held.to_vector<double>()[0], 1.0);
  }
}

TEST(Donation, ForeignMemoryIsNotWritten) {
  std::vector<double> mine(1000, 1.0);
  const Compiled f =
      compile([](std::span<const Array> x) { return Arrays{2.0 * x[0]}; }, {{{1000}, kFloat64}});
  const Array y = f.donating({Array({1000}, kFloat64, Buffer::wrap(mine.data(), 8000, [] {}))})[0];
  EXPECT_EQ(mine[0], 1.0);
  EXPECT_EQ(y.to_vector<double>()[0], 2.0);
}

TEST(Donation, WhatWasGivenAwaySaysSo) {
  const Array a = given_away(filled(3, 1.0), given_away_op("it is gone"));
  EXPECT_EQ(a.shape(), Shape{3});
  EXPECT_THROW(a.view(), ValueError);
  EXPECT_THROW(a + 1.0, ValueError);
}

}  // namespace
}  // namespace hesse
