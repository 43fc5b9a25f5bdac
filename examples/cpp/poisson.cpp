// Poisson's equation on the unit square with a physics-informed network.
//
//     u_xx + u_yy = f in (0, 1)^2,   u = 0 on the boundary
//
// f is chosen so that the solution is u = sin(pi x) sin(2 pi y) e^x.
#include <hesse/hesse.h>

#include <cstdio>
#include <numbers>

namespace hs = hesse;
using hs::Array, hs::Arrays, hs::nn::MLP;
using std::numbers::pi;

Array exact(const Array& x, const Array& y) { return hs::sin(pi * x) * hs::sin(2.0 * pi * y) * hs::exp(x); }

Array f(const Array& x, const Array& y) {
  const Array along_x = (1.0 - 5.0 * pi * pi) * hs::sin(pi * x) + 2.0 * pi * hs::cos(pi * x);
  return along_x * hs::exp(x) * hs::sin(2.0 * pi * y);
}

// The factor x (1 - x) y (1 - y) vanishes on the boundary: the condition holds whatever the network says.
auto solution(const MLP& net) {
  return [net](const Array& x, const Array& y) {
    const Array out = net(hs::stack({2.0 * x - 1.0, 2.0 * y - 1.0}));
    return x * (1.0 - x) * y * (1.0 - y) * hs::squeeze(out);
  };
}

// What should vanish, at one point. vmap takes it to all points.
Array residual(const MLP& net, const Array& x, const Array& y) {
  auto [u_xx, u_yy] = hs::partials(solution(net), {x, y}, {{0, 0}, {1, 1}});
  return u_xx + u_yy - f(x, y);
}

int main() {
  const Arrays xy = hs::unstack(hs::physics::sobol(hs::random::key(1), 256, 2), 1);
  auto loss = hs::compile(hs::value_and_grad([&](const MLP& net) {
    return hs::mean(hs::square(hs::vmap(residual, {std::nullopt, 0, 0})(net, xy[0], xy[1])));
  }));

  const MLP net = MLP::create(hs::random::key(0), {2, 16, 16, 1}, hs::tanh);
  auto lbfgs = hs::optim::lbfgs(loss, net);
  while (lbfgs.iterations() < 600 && lbfgs.step())
    if (lbfgs.iterations() % 100 == 0)
      std::printf("iteration %d: loss %.2e\n", static_cast<int>(lbfgs.iterations()), lbfgs.value());

  const Array axis = hs::linspace(0.0, 1.0, 41);
  const Arrays grid = hs::meshgrid({axis, axis});
  const Array x = hs::flatten(grid[0]), y = hs::flatten(grid[1]);
  const Array u = hs::vmap(solution(lbfgs.params()))(x, y);
  const double error = hs::physics::relative_l2(u, exact(x, y)).item<double>();
  std::printf("relative L2 error on 41 x 41 points: %.2e\n", error);
  if (error < 1e-3) return 0;
  std::fprintf(stderr, "it should be below 1e-3\n");
  return 1;
}
