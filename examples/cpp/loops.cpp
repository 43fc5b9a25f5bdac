// Gradients through loops: a differential equation solved in a `scan`, Newton's method in a `while_loop`.
#include <hesse/hesse.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <iostream>

namespace hs = hesse;
using hs::Array;

void check(const char* what, const Array& value, const Array& exact, double tolerance) {
  const double error = hs::max(hs::abs(value - exact)).item<double>();
  std::printf("%-55s error %.1e\n", what, error);
  if (!(error <= tolerance)) {
    std::cerr << what << ": " << value << ", should be " << exact << "\n";
    std::exit(1);
  }
}

// The logistic equation y' = r y (1 - y), y(0) = 0.1, until t = 2, by 200 steps of the classical Runge-Kutta
// method. A scan is a loop that is recorded once: its derivatives are loops too, forwards and backwards.
constexpr double y_0 = 0.1, T = 2.0;
constexpr int64_t steps = 200;
constexpr double h = T / steps;

auto solve(const Array& r) {
  auto rate = [&](Array y) { return r * y * (1.0 - y); };
  auto step = [&](Array y) {
    const Array k1 = rate(y);
    const Array k2 = rate(y + 0.5 * h * k1);
    const Array k3 = rate(y + 0.5 * h * k2);
    const Array k4 = rate(y + h * k3);
    y = y + h / 6.0 * (k1 + 2.0 * k2 + 2.0 * k3 + k4);
    return std::pair(y, y);  // carried to the next step, and kept
  };
  return hs::scan(step, y_0, steps);
}

Array exact(const Array& r, const Array& t) { return 1.0 / (1.0 + (1.0 / y_0 - 1.0) * hs::exp(-r * t)); }

// Kepler's equation E - e sin(E) = M by Newton's method; how often the loop turns is known when it runs.
Array kepler(const Array& M, const Array& e) {
  auto error = [&](Array E) { return E - e * hs::sin(E) - M; };
  return hs::while_loop([&](Array E) { return hs::abs(error(E)) > 1e-14; },
                        [&](Array E) { return E - error(E) / (1.0 - e * hs::cos(E)); }, M);
}

int main() {
  auto final = [](Array r) { return solve(r).first; };
  const auto [end, path] = solve(1.5);
  const Array y = exact(1.5, T);
  check("y(2)", end, y, 1e-10);
  check("y at all times", path, exact(1.5, hs::linspace(h, T, steps)), 1e-10);
  check("dy(2)/dr, reverse mode", hs::grad(final)(1.5), T * y * (1.0 - y), 1e-9);
  check("dy(2)/dr, forward mode", hs::jvp(final, 1.5, 1.0).second, T * y * (1.0 - y), 1e-9);
  check("d2y(2)/dr2", hs::grad(hs::grad(final))(1.5), T * T * y * (1.0 - y) * (1.0 - 2.0 * y), 1e-9);

  // Which r gives y(2) = 1/2? Newton's method outside, its derivative through the scan. Exact: log(9) / 2.
  Array r = 1.5;
  auto value_and_slope = hs::compile(hs::value_and_grad(final));
  for (int i = 0; i < 8; ++i) {
    auto [value, slope] = value_and_slope(r);
    r = r - (value - 0.5) / slope;
  }
  check("the r for which y(2) = 1/2", r, std::log(9.0) / 2.0, 1e-9);

  // Many r at once.
  const Array rates = Array::from<double>({0.5, 1.0, 2.0});
  const Array ys = exact(rates, T);
  check("dy(2)/dr for many r", hs::vmap(hs::grad(final))(rates), T * ys * (1.0 - ys), 1e-9);

  const Array M = 0.8, e = 0.6;
  const Array E = kepler(M, e);
  const auto [dM, de] = hs::grad<0, 1>(kepler)(M, e);
  check("Kepler's equation", E - e * hs::sin(E), M, 1e-13);
  check("dE/dM through the while_loop", dM, 1.0 / (1.0 - e * hs::cos(E)), 1e-12);
  check("dE/de through the while_loop", de, hs::sin(E) / (1.0 - e * hs::cos(E)), 1e-12);

  // fori_loop: a product of 20 factors, whose logarithm has the derivative sum k / (1 + k x).
  auto product = [](Array x) {
    return hs::fori_loop(
        1, 21, [&](Array k, Array p) { return p * (1.0 + k * x); }, 1.0);
  };
  const Array k = hs::linspace(1.0, 20.0, 20);
  check("fori_loop", hs::grad([&](Array x) { return hs::log(product(x)); })(0.3),
        hs::sum(k / (1.0 + 0.3 * k)), 1e-12);
}
