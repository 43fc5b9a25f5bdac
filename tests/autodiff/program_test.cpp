// What compiled programs make of loops and of functions with a derivative of their own.
#include <gtest/gtest.h>

#include <algorithm>

#include "autodiff/autodiff.h"
#include "core/ops.h"

namespace hesse {
namespace {

using Span = std::span<const Array>;

int64_t count(const Graph& g, std::string_view op) {
  return std::count_if(g.equations().begin(), g.equations().end(),
                       [&](const Graph::Equation& eq) { return eq.op->name() == op; });
}

TEST(Programs, RunALoopOnceForItsResultsAndItsCarries) {
  const Fn by_scan = [](Span x) {
    return Arrays{scan([](Span c) { return Arrays{sin(c[0] * c[1]), c[1]}; }, {x[0], x[1]}, {}, 5)[0]};
  };
  const Fn by_while = [](Span x) {
    return Arrays{while_loop([](Span c) { return Arrays{c[2] < 5}; },
                             [](Span c) {
                               return Arrays{sin(c[0] * c[1]), c[1], c[2] + 1};
                             },
                             {x[0], x[1], Array(int64_t{0})})[0]};
  };
  const Arrays at{Array::from<double>(std::array{0.7}, {}), Array::from<double>(std::array{1.3}, {})};
  Arrays results;
  for (const auto& [f, name] : {std::pair(by_scan, "scan"), std::pair(by_while, "while_loop")}) {
    const Fn derivative = [&f](Span x) {
      auto [y, g] = value_and_grad(f, {x[0], x[1]}, {0, 1});
      return Arrays{y[0], g[0], g[1]};
    };
    const Compiled c = compile(derivative, {aval(at[0]), aval(at[1])});
    const int64_t scans_back = name == std::string("scan") ? 1 : 0;
    EXPECT_EQ(count(*c.graph, name), 2 + scans_back);
    EXPECT_EQ(count(*c.program(), name), 1 + scans_back);
    const Arrays eager = derivative(at), compiled = c(at);
    for (size_t k = 0; k < eager.size(); ++k)
      EXPECT_NEAR(compiled[k].item<double>(), eager[k].item<double>(), 1e-14) << name << " " << k;
    results.push_back(compiled[1]);
  }
  EXPECT_NEAR(results[0].item<double>(), results[1].item<double>(), 1e-14);
}

TEST(Programs, AreMadeOfWhatCustomDerivativesStandFor) {
  const auto square_by_hand = [](const Array& x) {
    return custom_jvp([](Span x) { return Arrays{x[0] * x[0]}; },
                      [](Span x) { return Arrays{3.0 * x[0] * x[1]}; }, {x})[0];  // 3, to tell it from 2
  };
  const Fn f = [&](Span x) {
    return Arrays{sum(vmap([&](Span e) { return Arrays{square_by_hand(e[0])}; }, {x[0]}, {0}, {0})[0])};
  };
  const Array x = Array::from<double>({1.0, 2.0, 3.0});
  const Compiled c = compile(f, {aval(x)});
  EXPECT_EQ(c.program()->to_string().find("custom_jvp"), std::string::npos) << *c.program();
  EXPECT_EQ(c(Arrays{x})[0].item<double>(), 14.0);
  const Compiled d = compile([&](Span x) { return value_and_grad(f, {x[0]}, {0}).second; }, {aval(x)});
  EXPECT_EQ(d(Arrays{x})[0].to_vector<double>(), (std::vector<double>{3, 6, 9}));
}

}  // namespace
}  // namespace hesse
