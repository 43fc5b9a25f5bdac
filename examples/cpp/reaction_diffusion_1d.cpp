// Reaction and diffusion in one dimension: 10,000 unknowns, and how the end depends on the diffusion
// constants.
//
// The Brusselator: on x in [0, 1], without flow through the ends,
//
//     u_t = 1 + u^2 v - 4 u + D_u u_xx,    v_t = 3 u - u^2 v + D_v v_xx.
//
// Differences in space make a stiff system of ordinary differential equations. Nobody says where its Jacobian
// has entries: that is read off the right-hand side, four in a row of 10,000. It is filled from a few
// products, whatever the number of points, and factored by KLU; the adjoint equations of the gradient are
// solved with its transpose.
#include <hesse/hesse.h>

#include <chrono>
#include <cmath>
#include <cstdio>
#include <string_view>

namespace hs = hesse;
using hs::Array;

struct State {
  Array u, v;
  auto fields() { return hs::fields("u", u, "v", v); }
};

Array part(const Array& w, int64_t from, int64_t to) { return hs::slice(w, {from}, {to}, {1}); }

Array laplacian(const Array& w) {
  const int64_t n = w.size();
  const Array inside = part(w, 2, n) - 2.0 * part(w, 1, n - 1) + part(w, 0, n - 2);
  const Array left = 2.0 * (part(w, 1, 2) - part(w, 0, 1));
  const Array right = 2.0 * (part(w, n - 2, n - 1) - part(w, n - 1, n));
  return hs::concatenate({left, inside, right}) * static_cast<double>((n - 1) * (n - 1));
}

// The variance of u over x at t = 10.
Array unevenness(const Array& diffusion, int64_t points) {
  const Array x = hs::linspace(0.0, 1.0, points);
  const State start{1.0 + hs::sin(2.0 * std::acos(-1.0) * x), hs::full({points}, 3.0)};
  const hs::Arrays d = hs::unstack(diffusion);
  auto rate = [&](const Array&, const State& s) {
    const Array reaction = s.u * s.u * s.v;
    return State{1.0 + reaction - 4.0 * s.u + d[0] * laplacian(s.u),
                 3.0 * s.u - reaction + d[1] * laplacian(s.v)};
  };
  const auto sol = hs::solvers::solve_ivp(
      rate, 0.0, 10.0, start,
      {.method = "BDF", .t_eval = Array::from<double>({10.0}), .rtol = 1e-6, .atol = {1e-8}});
  return hs::var(sol.y.u);
}

int main(int argc, char** argv) {
  if (!hs::solvers::has_cvode()) {
    std::printf("this build has no SUNDIALS\n");
    return 0;
  }
  const int64_t points = argc > 1 && std::string_view(argv[1]) == "--quick" ? 200 : 5000;
  const auto f = [&](const Array& d) { return unevenness(d, points); };
  const Array diffusion = Array::from<double>({0.02, 0.02});

  const auto begin = std::chrono::steady_clock::now();
  const Array gradient = hs::grad(f)(diffusion);
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  std::printf("%d unknowns, gradient in %.2f s\n", static_cast<int>(2 * points), took.count());

  const Array step = 1e-3 * diffusion;
  const double difference = ((f(diffusion + step) - f(diffusion - step)) / 2.0).item<double>();
  const double along = hs::sum(gradient * step).item<double>();
  std::printf("along (D_u, D_v): gradient %.6e, differences %.6e\n", along, difference);
  return std::abs(along - difference) <= 1e-2 * std::abs(difference) ? 0 : 1;
}
