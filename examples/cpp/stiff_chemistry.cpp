// Stiff chemistry: three rates of Robertson's reactions from noisy concentrations.
//
//     A -> B   k1 = 0.04,    B + B -> B + C   k2 = 3e7,    B + C -> A + C   k3 = 1e4
//
// The rates differ by nine orders of magnitude: explicit methods would need some million steps to reach t =
// 1e4, Rodas5P needs some hundreds; its Jacobian is derived from the equations as they are written.
#include <hesse/hesse.h>

#include <cmath>
#include <cstdio>

namespace hs = hesse;
using hs::Array;
using hs::Arrays;

struct Species {
  Array a, b, c;
  auto fields() { return hs::fields("a", a, "b", b, "c", c); }
};

constexpr double kNoise = 0.01;

Array times() { return hs::exp(hs::linspace(std::log(1e-2), std::log(1e4), 25)); }
Array sizes() { return Array::from<double>({1.0, 4e-5, 1.0}); }

// [times, 3], in units of their sizes.
Array concentrations(const Array& log_rates) {
  const Arrays k = hs::unstack(hs::exp(log_rates));
  auto reactions = [&](const Array&, const Species& s) {
    const Array first = k[0] * s.a, second = k[1] * s.b * s.b, third = k[2] * s.b * s.c;
    return Species{third - first, first - second - third, second};
  };
  const auto sol = hs::solvers::solve_ivp(
      reactions, 0.0, hs::getitem(times(), {-1}), Species{1.0, 0.0, 0.0},
      {.method = "Rodas5P",
       .t_eval = times(),
       .rtol = 1e-9,
       .atol = {1e-11, 1e-15, 1e-11},
       .throw_on_failure =
           false});  // NaN where a trial of the fit is beyond solving: it tries a shorter step
  return hs::stack({sol.y.a, sol.y.b, sol.y.c}, 1) / sizes();
}

int main() {
  const Array truth = hs::log(Array::from<double>({0.04, 3e7, 1e4}));
  const Array data = concentrations(truth) + kNoise * hs::random::normal(hs::random::key(0), {25, 3});
  const Array total = hs::sum(concentrations(truth) * sizes(), hs::Axes{1});
  const double lost = hs::max(hs::abs(total - 1.0)).item<double>();
  std::printf("the three add up to 1 within %.0e\n", lost);

  // Steps of the solver change with the rates, so that the residual is not smooth below some 1e-8.
  const auto fit = hs::compile([&](const Array& start) {
    const hs::Fn residual = [&](std::span<const Array> x) {
      return Arrays{(concentrations(x[0]) - data) / kNoise};
    };
    return hs::solvers::least_squares(residual, {start}, {.rtol = 1e-6}).x[0];
  });
  // Two orders of magnitude off.
  const Array found = fit(truth + hs::log(Array::from<double>({0.01, 100.0, 0.01})));
  const Array jacobian =
      hs::compile(hs::jacobian([](const Array& x) { return concentrations(x); }))(found);  // [times, 3, 3]
  const Array rows = hs::reshape(jacobian, {75, 3}) / kNoise;
  const Array sure = hs::sqrt(hs::diagonal(hs::inv(hs::matmul(hs::matrix_transpose(rows), rows))));
  double largest = 0;
  for (int64_t i = 0; i < 3; ++i) {
    const double off = (hs::abs(hs::getitem(found - truth, {i})) / hs::getitem(sure, {i})).item<double>();
    std::printf("k%d = %.4g, %.1f %% sure, %.1f standard deviations off\n", static_cast<int>(i) + 1,
                hs::exp(hs::getitem(found, {i})).item<double>(), 100 * hs::getitem(sure, {i}).item<double>(),
                off);
    largest = std::max(largest, off);
  }
  if (largest < 3.5 && lost < 1e-8) return 0;
  std::fprintf(stderr, "the rates should be within 3.5 standard deviations of the truth\n");
  return 1;
}
