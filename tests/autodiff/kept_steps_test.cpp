// Reverse mode through loops inside of a scan: their steps are taken once, and kept for the way back, where
// they are small (core/program/kept_steps.h).
#include <gtest/gtest.h>

#include <cmath>

#include "autodiff/autodiff.h"
#include "core/debug.h"
#include "core/ops.h"
#include "core/ops/control.h"

namespace hesse {
namespace {

using Span = std::span<const Array>;

Array numbers(const Shape& shape, double phase) {
  std::vector<double> v;
  for (int64_t i = 0; i < num_elements(shape); ++i)
    v.push_back(std::sin(phase + 1.7 * static_cast<double>(i)));
  return Array::from<double>(v, shape);
}
void expect_close(const Arrays& got, const Arrays& expected, const std::string& what) {
  ASSERT_EQ(got.size(), expected.size()) << what;
  for (size_t k = 0; k < got.size(); ++k) {
    ASSERT_EQ(got[k].shape(), expected[k].shape()) << what;
    const auto a = got[k].to_vector<double>(), b = expected[k].to_vector<double>();
    for (size_t i = 0; i < a.size(); ++i)
      EXPECT_NEAR(a[i], b[i], 1e-12 * (1 + std::abs(b[i]))) << what << ", result " << k << ", entry " << i;
  }
}

// y' = tanh(w y) by steps of 0.3, at several times: the first one twice, so that there are no steps between.
// `loops`: so many one after the other.
Array loss(Span x, int loops = 1) {
  const Array& w = x[1];
  const Arrays ys = scan(
      [&](Span c) {
        Arrays state{c[0], c[1]};
        for (int k = 0; k < loops; ++k)
          state = while_loop([&](Span s) { return Arrays{s[1] < c[2] * static_cast<double>(k + 1)}; },
                             [&](Span s) {
                               return Arrays{s[0] + 0.3 * tanh(w * s[0]), s[1] + 0.3};
                             },
                             state);
        return Arrays{state[0], state[1], state[0] * (c[2] - state[1])};
      },
      {x[0], Array::from<double>(std::vector<double>{0.0}, {})}, {x[2]});
  return sum(square(ys[2])) + sum(ys[0]);
}
Arrays gradient(Span x, int loops = 1) {
  auto [value, gradients] =
      value_and_grad([&](Span a) { return Arrays{loss(a, loops)}; }, {x.begin(), x.end()}, {0, 1, 2});
  value.insert(value.end(), gradients.begin(), gradients.end());
  return value;
}
Arrays operands(const Shape& state, int64_t times) {
  std::vector<double> t;
  for (int64_t i = 0; i < times; ++i) t.push_back(i < 2 ? 0.5 : 0.5 * static_cast<double>(i * i));
  return {numbers(state, 0.3), numbers(state, 1.0), Array::from<double>(t, {times})};
}
Avals avals_of(const Arrays& x) {
  Avals out;
  for (const Array& a : x) out.push_back(aval(a));
  return out;
}

// One state, rows in lanes, more rows than lanes; a state whose steps are not kept.
TEST(KeptSteps, AreTheGradientsOfStepsTakenTwice) {
  for (const auto& [state, kept] : {std::pair(Shape{}, true),
                                    {Shape{6}, true},
                                    {Shape{6, 2}, true},
                                    {Shape{70, 3}, true},
                                    {Shape{3000}, false}})
    for (const int64_t times : {1, 2, 5}) {
      const Arrays x = operands(state, times);
      const Compiled program = compile([](Span a) { return gradient(a); }, avals_of(x));
      EXPECT_EQ(program.program()->count("while_loop") == 1, kept) << concat(state);
      const std::string what = "state " + concat(state) + ", " + std::to_string(times) + " times";
      const Arrays expected = gradient(x);
      expect_close(program(x), expected, what);
      expect_close(program(x), expected, what + ", again");
    }
}

TEST(KeptSteps, RunOnArraysToo) {
  const Arrays x = operands({6, 2}, 4);
  const Compiled program = compile([](Span a) { return gradient(a); }, avals_of(x));
  const Arrays expected = gradient(x);
  set_debug_nans(true);  // no code for lanes then
  const Arrays got = program(x);
  set_debug_nans(false);
  expect_close(got, expected, "on arrays");
}

TEST(KeptSteps, OfSeveralLoops) {
  const Arrays x = operands({5}, 4);
  const Compiled program = compile([](Span a) { return gradient(a, 2); }, avals_of(x));
  EXPECT_LT(program.program()->count("while_loop"), 4);
  expect_close(program(x), gradient(x, 2), "two loops");
}

TEST(KeptSteps, OfSecondDerivatives) {
  const Arrays x = operands({5}, 4);
  const auto product = [](Span a) {
    const MaybeArrays d{numbers({5}, 4), numbers({5}, 5), numbers({4}, 6)};
    const MaybeArrays found = jvp([](Span b) { return gradient(b); }, {a.begin(), a.end()}, d).second;
    Arrays out;
    for (const MaybeArray& t : found) out.push_back(*t);
    return out;
  };
  const Compiled program = compile(product, avals_of(x));
  expect_close(program(x), product(x), "forward over reverse");
}

TEST(KeptSteps, OfMappedExamples) {
  const Arrays x = operands({3, 5}, 4);
  const auto mapped = [](Span a) {
    return vmap([](Span b) { return gradient(b); }, {a.begin(), a.end()}, {0, 0, std::nullopt}, {0});
  };
  const Compiled program = compile(mapped, avals_of(x));
  expect_close(program(x), mapped(x), "vmap");
}

}  // namespace
}  // namespace hesse
