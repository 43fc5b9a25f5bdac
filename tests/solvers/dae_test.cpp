// solve_dae and KINSOL from C++: lists and trees, derivatives, refusals.
#include <gtest/gtest.h>

#include <cmath>

#include "autodiff/autodiff.h"
#include "core/ops.h"
#include "solvers/cvode.h"
#include "solvers/dae_trees.h"
#include "solvers/equation_trees.h"

namespace hesse::solvers {
namespace {

class DaeTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!has_cvode()) GTEST_SKIP() << "this build has no SUNDIALS";
  }
  void TearDown() override { EXPECT_EQ(live_sundials_objects(), 0); }
};

/// A capacitor that discharges through two resistors, and the node between them.
struct Circuit {
  Array charge, node;
  auto fields() { return hesse::fields("charge", charge, "node", node); }
};

Circuit residual(const Circuit& y, const Circuit& yp, const Array& r) {
  const Array current = (y.charge - y.node) / r;
  return {yp.charge + current, current - y.node};
}

DaeOptions at_one() {
  DaeOptions options;
  options.t_eval = Array::from<double>(std::array{1.0}, {1});
  options.rtol = 1e-9;
  options.atol = {1e-10};
  return options;
}

TEST_F(DaeTest, TreesAndLists) {
  const auto f = [](const Array&, const Circuit& y, const Circuit& yp) {
    return residual(y, yp, Array(1.0));
  };
  const Circuit start{Array(1.0), Array(0.0)}, flat{Array(0.0), Array(0.0)};
  const auto sol = solve_dae(f, Array(0.0), Array(1.0), start, flat, at_one());
  EXPECT_NEAR(sol.y.charge.to_vector<double>()[0], std::exp(-0.5), 1e-7);
  EXPECT_NEAR(sol.y.node.to_vector<double>()[0], 0.5 * std::exp(-0.5), 1e-7);
  EXPECT_EQ(sol.flat.status.item<int64_t>(), 0);
}

TEST_F(DaeTest, GradientsOfAnyOrder) {
  const auto node = [](const Array& r) {
    const DaeResidual f = [&](const Array&, std::span<const Array> y, std::span<const Array> yp) {
      const Circuit out = residual({y[0], y[1]}, {yp[0], yp[1]}, r);
      return Arrays{out.charge, out.node};
    };
    const Array one(1.0), zero(0.0);
    return sum(solve_dae(f, zero, one, {one, zero}, {zero, zero}, at_one()).y[1]);
  };
  // node = exp(-t / (1 + r)) / (1 + r)
  const auto first = grad(node);
  EXPECT_NEAR(first(Array(1.0)).item<double>(), std::exp(-0.5) * (0.125 - 0.25), 1e-7);
  const double second = grad(first)(Array(1.0)).item<double>();
  const double h = 1e-4;
  EXPECT_NEAR(second, (first(Array(1.0 + h)) - first(Array(1.0 - h))).item<double>() / (2 * h), 1e-4);
}

TEST_F(DaeTest, Refusals) {
  const DaeResidual f = [](const Array&, std::span<const Array> y, std::span<const Array> yp) {
    return Arrays{yp[0] + y[0]};
  };
  EXPECT_THROW(solve_dae(f, Array(0.0), Array(1.0), {Array(int64_t{1})}, {Array(0.0)}), TypeError);
  EXPECT_THROW(solve_dae(f, Array(0.0), Array(1.0), {Array(1.0)}, {}), ValueError);
  const DaeResidual impossible = [](const Array&, std::span<const Array> y, std::span<const Array>) {
    return Arrays{square(y[0]) + 1.0};
  };
  EXPECT_THROW(solve_dae(impossible, Array(0.0), Array(1.0), {Array(0.1)}, {Array(0.0)}), NumericalError);
}

TEST_F(DaeTest, KinsolFindsRoots) {
  const auto root = [](const Array& a) {
    return root_solve([&](const Array& x) { return square(x) - a; }, Array(1.0), {.method = "kinsol"}).x;
  };
  EXPECT_NEAR(root(Array(2.0)).item<double>(), std::sqrt(2.0), 1e-9);
  EXPECT_NEAR(grad(root)(Array(4.0)).item<double>(), 0.25, 1e-9);
}

}  // namespace
}  // namespace hesse::solvers
