// Burgers' equation, which makes a shock of a smooth wave, with a physics-informed network.
//
//     u_t + u u_x = nu u_xx,  nu = 0.01 / pi,  x in [-1, 1], t in [0, 1]
//     u(0, x) = -sin(pi x),   u(t, -1) = u(t, 1) = 0
//
// The relative L2 error, measured against the exact solution, falls below 2e-2; with --full below 3e-3.
#include <hesse/hesse.h>

#include <chrono>
#include <cstdio>
#include <cstring>
#include <numbers>

namespace hs = hesse;
using hs::Array, hs::Arrays, hs::nn::MLP;
using std::numbers::pi;

constexpr double nu = 0.01 / pi;

// What makes a solution of the network's output: initial and boundary values hold by construction.
auto solution(const MLP& net) {
  return [net](const Array& t, const Array& x) {
    const Array out = hs::squeeze(net(hs::stack({2.0 * t - 1.0, x})));
    return -(1.0 - t) * hs::sin(pi * x) + t * (1.0 - hs::square(x)) * out;
  };
}

// The equation at one point, divided by a weight: inside the shock its terms are a hundred times larger than
// elsewhere.
Array equation(const MLP& net, const Array& t, const Array& x) {
  auto [u, u_t, u_x, u_xx] = hs::partials(solution(net), {t, x}, {{}, {0}, {1}, {1, 1}});
  return (u_t + u * u_x - nu * u_xx) / hs::sqrt(1.0 + 0.01 * hs::square(u_x));
}

Array loss(const MLP& net, const Array& t, const Array& x) {
  return hs::mean(hs::square(hs::vmap(equation, {std::nullopt, 0, 0})(net, t, x)));
}

// Points are seven times denser at x = 0, where the shock will be.
std::pair<Array, Array> points(const Array& key, int64_t n) {
  const Arrays unit = hs::unstack(hs::physics::sobol(key, n, 2), 1);
  const Array x = 2.0 * unit[1] - 1.0;
  return {unit[0], 0.15 * x + 0.85 * x * x * x};
}

int main(int argc, char** argv) {
  const bool full = argc > 1 && std::strcmp(argv[1], "--full") == 0;
  const int64_t num_points = 2000, num_adam = 500, num_lbfgs = full ? 8000 : 1000;
  const double bound = full ? 3e-3 : 2e-2;
  const auto begin = std::chrono::steady_clock::now();

  MLP net = MLP::create(hs::random::key(0), {2, 20, 20, 20, 1}, hs::tanh);
  Array t, x;
  std::tie(t, x) = points(hs::random::key(1), num_points);
  const auto value_and_grad = hs::compile(hs::value_and_grad(loss));

  // Adam finds the valley, L-BFGS its floor.
  const auto adam = hs::optim::adam(hs::optim::cosine_decay(5e-3, num_adam));
  auto state = adam.init(net);
  for (int64_t step = 0; step < num_adam; ++step) {
    const auto [value, gradient] = value_and_grad(net, t, x);
    std::tie(net, state) = adam.update(gradient, state, net);
    if (step % 100 == 0) std::printf("Adam   %5d: loss %.2e\n", static_cast<int>(step), value.item<double>());
  }
  auto lbfgs =
      hs::optim::lbfgs([&](const MLP& net) { return value_and_grad(net, t, x); }, net, {.history = 100});
  while (lbfgs.iterations() < num_lbfgs && lbfgs.step())
    if (lbfgs.iterations() % (num_lbfgs / 10) == 0)
      std::printf("L-BFGS %5d: loss %.2e\n", static_cast<int>(lbfgs.iterations()), lbfgs.value());

  // The network on 256 x 100 points, against the Cole-Hopf solution.
  const Arrays grid = hs::meshgrid({hs::linspace(0.0, 0.99, 100), hs::linspace(-1.0, 1.0, 256)});
  const Array ts = hs::flatten(grid[0]), xs = hs::flatten(grid[1]);
  const Array u = hs::vmap(solution(lbfgs.params()))(ts, xs);
  const Array exact = hs::physics::burgers_exact(ts, xs, nu);
  const double error = hs::physics::relative_l2(u, exact).item<double>();
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
  std::printf("relative L2 error %.2e, maximum error %.2e, %.0f s\n", error,
              hs::physics::max_error(u, exact).item<double>(), seconds.count());
  if (error < bound) return 0;
  std::fprintf(stderr, "the relative error should be below %g\n", bound);
  return 1;
}
