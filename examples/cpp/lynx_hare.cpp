// Predators and prey: the rates of Lotka's and Volterra's equations from noisy counts.
//
//     hare' = (a - b lynx) hare,   lynx' = (-c + d hare) lynx
//
// Six numbers, the four rates and both populations in the first year, are fitted by maximum likelihood with
// errors that are normal in the logarithm; the gradient goes through the solver, and second derivatives say
// how sure they are.
#include <hesse/hesse.h>

#include <cstdio>

namespace hs = hesse;
using hs::Array;
using hs::Arrays;

struct Populations {
  Array hare, lynx;
  auto fields() { return hs::fields("hare", hare, "lynx", lynx); }
};

// [years, 2]
Array populations(const Array& log_parameters, const Array& years) {
  const Arrays p = hs::unstack(hs::exp(log_parameters));
  auto rates = [&](const Array&, const Populations& s) {
    return Populations{(p[0] - p[1] * s.lynx) * s.hare, (p[3] * s.hare - p[2]) * s.lynx};
  };
  const auto sol =
      hs::solvers::solve_ivp(rates, hs::getitem(years, {0}), hs::getitem(years, {-1}),
                             Populations{p[4], p[5]}, {.t_eval = years, .rtol = 1e-8, .atol = {1e-8}});
  return hs::stack({sol.y.hare, sol.y.lynx}, 1);
}

int main() {
  const char* names[] = {"a", "b", "c", "d", "hare", "lynx"};
  const Array truth = hs::log(Array::from<double>({0.55, 0.028, 0.8, 0.024, 34.0, 6.0}));
  const Array years = hs::linspace(0.0, 20.0, 21);
  const Array noise = hs::random::normal(hs::random::key(0), {21, 2});
  const Array counts = populations(truth, years) * hs::exp(0.1 * noise);

  // The sizes of the errors are the best ones.
  auto negative_log_likelihood = [&](const Array& p) {
    const Array error = hs::log(populations(p, years)) - hs::log(counts);
    return hs::sum(0.5 * 21.0 * hs::log(hs::mean(hs::square(error), hs::Axes{0})));
  };

  const Array start = hs::log(Array::from<double>({0.5, 0.025, 0.75, 0.025, 30.0, 5.0}));
  auto fit = hs::optim::lbfgs(hs::compile(hs::value_and_grad(negative_log_likelihood)), start);
  while (fit.iterations() < 200 && fit.step()) {
  }
  const Array hessian = hs::hessian(negative_log_likelihood)(fit.params());
  const Array deviation = hs::sqrt(hs::diagonal(hs::inv(hessian)));
  const Array off = hs::abs(fit.params() - truth) / deviation;
  double largest = 0;
  for (int64_t i = 0; i < 6; ++i) {
    const double far = hs::getitem(off, {i}).item<double>();
    std::printf("%-5s%8.4f, %.1f standard deviations from the truth\n", names[i],
                hs::exp(hs::getitem(fit.params(), {i})).item<double>(), far);
    largest = std::max(largest, far);
  }
  if (largest < 3.5) return 0;
  std::fprintf(stderr, "the fit should be within 3.5 standard deviations of the truth\n");
  return 1;
}
