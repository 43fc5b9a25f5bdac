// Why a solve gave up, and how far it is, from C++.
#include "solvers/diagnosis.h"

#include <gtest/gtest.h>

#include <cmath>

#include "core/ops.h"
#include "core/ops/control.h"
#include "solvers/cvode.h"
#include "solvers/ode.h"

namespace hesse::solvers {
namespace {

// d(calm, wild)/dt = (-calm, wild^2): wild ends at t = 1 / wild(0).
Arrays blow_up(const Array&, std::span<const Array> y) { return {-y[0], square(y[1])}; }
IvpCause cause_of(const Diagnosis& d) { return static_cast<IvpCause>(d.cause.item<int64_t>()); }

TEST(Diagnosis, NamesTheComponentThatLimits) {
  const Arrays y0{1.0, Array::from<double>({0.1, 2.0})};
  for (const char* method : {"Tsit5", "Kvaerno5", "Rodas5P"}) {
    const Solution sol = solve_ivp(
        blow_up, 0.0, 1.0, y0, {.method = method, .throw_on_failure = false, .names = {".calm", ".wild"}});
    ASSERT_TRUE(sol.diagnosis) << method;
    const Diagnosis& d = *sol.diagnosis;
    EXPECT_EQ(d.array.item<int64_t>(), 1) << method;
    EXPECT_EQ(d.entry.item<int64_t>(), 1) << method;
    EXPECT_NEAR(d.t.item<double>(), 0.5, 5e-3) << method;
    EXPECT_EQ(d.implicit, std::string(method) != "Tsit5");
    EXPECT_NE(describe(d).find("y.wild[1]"), std::string::npos) << describe(d);
    EXPECT_NE(describe(d).find(advice(cause_of(d), d.stiffness().item<double>(), d.implicit)),
              std::string::npos);
  }
  EXPECT_FALSE(solve_ivp(blow_up, 0.0, 0.1, y0, {.throw_on_failure = false}).diagnosis);
}

TEST(Diagnosis, MeasuresStiffness) {
  const Rhs f = [](const Array& t, std::span<const Array> y) {
    return Arrays{-1000.0 * (y[0] - cos(t)), -y[1]};
  };
  const Solution sol = solve_ivp(f, 0.0, 10.0, {0.0, 1.0}, {.max_steps = 500, .throw_on_failure = false});
  ASSERT_TRUE(sol.diagnosis);
  EXPECT_EQ(cause_of(*sol.diagnosis), IvpCause::Steps);
  EXPECT_NEAR(sol.diagnosis->radius.item<double>(), 1000.0, 1e-6);
  EXPECT_GT(sol.diagnosis->stiffness().item<double>(), 1.0);
  EXPECT_NE(describe(*sol.diagnosis).find("stiff; use BDF"), std::string::npos);
}

TEST(Diagnosis, OfExamplesSaysWhichFailed) {
  const Arrays out = vmap(
      [](std::span<const Array> x) {
        const Solution sol =
            solve_ivp([&](const Array&, std::span<const Array> y) { return Arrays{x[0] * square(y[0])}; },
                      0.0, 1.0, {1.0}, {.t_eval = Array::from<double>({1.0}), .throw_on_failure = false});
        return sol.diagnosis->found();
      },
      {Array::from<double>({0.5, 2.0})}, {0}, {0, 0, 0, 0, 0});
  EXPECT_EQ(out[0].to_vector<int64_t>()[0], static_cast<int64_t>(IvpCause::None));
  EXPECT_EQ(out[0].to_vector<int64_t>()[1], static_cast<int64_t>(IvpCause::ErrorTest));
}

TEST(StateNames, SurviveBeingParameters) {
  const StateNames names{{"['a']", ".b[0]"}, {{}, {2, 3}}};
  const Params p = names.params();
  const StateNames read = StateNames::read(std::get<std::string>(p[0].second), std::get<Dims>(p[1].second));
  EXPECT_EQ(read.of(0, 0), "y['a']");
  EXPECT_EQ(read.of(1, 5), "y.b[0][1, 2]");
  EXPECT_EQ(read.of(-1, -1), "");
  EXPECT_EQ(StateNames().of(2, 7), "entry 7 of array 2 of the state");
}

TEST(Progress, IsToldInOrderAndAtTheEnd) {
  for (const char* method : {"Tsit5", "Rodas5P", "BDF", "ARKODE_DIRK"}) {
    if (is_cvode_method(method) && !has_cvode()) continue;
    std::vector<IvpProgress> seen;
    const auto decay = [](const Array&, std::span<const Array> y) { return Arrays{-y[0]}; };
    (void)solve_ivp(decay, 0.0, 20.0, {1.0},
                    {.method = method,
                     .t_eval = Array::from<double>({20.0}),
                     .rtol = 1e-9,
                     .progress = [&](const IvpProgress& p) { seen.push_back(p); },
                     .progress_interval = 0});
    ASSERT_GE(seen.size(), 2u) << method;
    for (size_t i = 0; i < seen.size(); ++i) {
      EXPECT_EQ(seen[i].done, i + 1 == seen.size());
      EXPECT_EQ(seen[i].t1, 20.0);
      EXPECT_GE(seen[i].t, seen[i > 0 ? i - 1 : 0].t);
    }
    EXPECT_NEAR(seen.back().t, 20.0, 1e-12);
    EXPECT_EQ(seen.back().remaining, 0.0);
  }
}

TEST(Progress, RefusesMapsAndIntervalsBelowZero) {
  IvpOptions options{.t_eval = Array::from<double>({1.0}), .progress = [](const IvpProgress&) {}};
  const auto decay = [](const Array&, std::span<const Array> y) { return Arrays{-y[0]}; };
  EXPECT_THROW(vmap([&](std::span<const Array> x) { return solve_ivp(decay, 0.0, 1.0, {x[0]}, options).y; },
                    {Array::from<double>({1.0, 2.0})}, {0}, {0}),
               TraceError);
  options.progress_interval = -1;
  EXPECT_THROW((void)solve_ivp(decay, 0.0, 1.0, {1.0}, options), ValueError);
}

}  // namespace
}  // namespace hesse::solvers
