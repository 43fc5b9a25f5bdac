// v + (what a loop adds up from zero) against the same loop from v on.
#include "core/program/loop_sums.h"

#include <gtest/gtest.h>

#include "core/ops.h"
#include "core/ops/control.h"

namespace hesse {
namespace {

using Span = std::span<const Array>;

const Aval kThree{{3}, kFloat64};

// The sum of k x for k = 0, ..., 4, from `start` on.
Array added_up(const Array& x, const Array& start) {
  return while_loop([](Span c) { return Arrays{c[1] < 5.0}; },
                    [&](Span c) {
                      return Arrays{c[0] + c[1] * x, c[1] + 1.0};
                    },
                    {start, Array(0.0)})[0];
}
size_t count(const Graph& g, std::string_view name) {
  size_t n = 0;
  for (const Graph::Equation& eq : g.equations()) n += eq.op->name() == name ? 1 : 0;
  return n;
}

struct Case {
  std::string name;
  Fn f;
  size_t additions;  // that are left
};

TEST(LoopSums, BeginWithWhatTheyAreAddedTo) {
  const Array zero = zeros({3}, kFloat64);
  const std::vector<Case> cases{
      {"one", [&](Span x) { return Arrays{x[1] + added_up(x[0], zero)}; }, 0},
      {"on the left", [&](Span x) { return Arrays{added_up(x[0], zero) + x[1]}; }, 0},
      {"of two loops",
       [&](Span x) {
         const Array first = x[1] + added_up(x[0], zero);
         return Arrays{first + added_up(x[1], zero)};
       },
       0},
      {"made before",
       [&](Span x) {
         const Array start = sin(x[1]);
         return Arrays{start + added_up(x[0], zero)};
       },
       0},
      {"read again",
       [&](Span x) {
         const Array sum = added_up(x[0], zero);
         return Arrays{x[1] + sum, sum};
       },
       1},
      {"made behind",
       [&](Span x) {
         const Array sum = added_up(x[0], zero);
         return Arrays{sum + sin(x[1])};
       },
       1},
      {"from another start", [&](Span x) { return Arrays{x[1] + added_up(x[0], x[0])}; }, 1},
      {"another shape", [&](Span x) { return Arrays{x[2] + added_up(x[0], zero)}; }, 1},
      {"read by its loop",
       [&](Span x) {
         return Arrays{x[1] + while_loop([](Span c) { return Arrays{all(c[0] < 9.0)}; },
                                         [&](Span c) { return Arrays{c[0] + x[0]}; }, {zero})[0]};
       },
       1},
      {"scaled by its loop",
       [&](Span x) {
         return Arrays{x[1] + while_loop([](Span c) { return Arrays{c[1] < 5.0}; },
                                         [&](Span c) {
                                           return Arrays{0.5 * c[0] + x[0], c[1] + 1.0};
                                         },
                                         {zero, Array(0.0)})[0]};
       },
       1},
  };
  const std::vector<double> one{1, 2, 3}, two{0.5, -1, 7};
  const Arrays x{Array::from<double>(one, {3}), Array::from<double>(two, {3}), Array(2.5)};
  for (const Case& c : cases) {
    const Ref<const Graph> g = trace_closed(c.f, Avals{kThree, kThree, {{}, kFloat64}}),
                           begun = with_sums_begun(g);
    EXPECT_EQ(count(*begun, "add"), c.additions) << c.name;
    const Arrays expected = g->run(x), got = begun->run(x);
    ASSERT_EQ(got.size(), expected.size());
    for (size_t k = 0; k < got.size(); ++k)  // of numbers that are exact
      if (c.name != "made before" && c.name != "made behind")
        EXPECT_EQ(got[k].to_vector<double>(), expected[k].to_vector<double>()) << c.name;
      else
        EXPECT_TRUE(all(abs(got[k] - expected[k]) < 1e-13).item<bool>()) << c.name;
  }
}

}  // namespace
}  // namespace hesse
