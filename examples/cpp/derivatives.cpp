// Derivatives of functions of numbers and arrays, each compared with the exact value.
#include <hesse/hesse.h>

#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <numbers>

namespace hs = hesse;
using hs::Array, hs::Arrays;
using std::numbers::pi;

void check(const char* what, const Array& value, const Array& exact, double tolerance = 1e-12) {
  const double error = hs::max(hs::abs(value - exact)).item<double>();
  std::printf("%-55s error %.1e\n", what, error);
  if (!(error <= tolerance)) {
    std::cerr << what << ": " << value << ", should be " << exact << "\n";
    std::exit(1);
  }
}

// F: R^2 -> R^2 and g: R^2 -> R
Array F(const Array& x) {
  const Arrays v = hs::unstack(x);
  return hs::stack({v[0] * v[1], hs::exp(v[1])});
}
Array g(const Array& x) {
  const Arrays v = hs::unstack(x);
  return v[0] * v[0] * v[0] * v[1];
}

// Newton's method for the root of a, with ordinary `if` and `while` on values.
Array root(const Array& a) {
  if ((a <= 0.0).item<bool>()) return a;
  Array x = a;
  while ((hs::abs(x * x - a) > 1e-14 * a).item<bool>()) x = 0.5 * (x + a / x);
  return x;
}

int main() {
  // A derivative is a function again, so derivatives nest.
  auto f = [](Array x) { return hs::square(hs::sin(x)); };
  check("grad", hs::grad(f)(0.7), hs::sin(1.4));
  check("grad of grad of grad", hs::grad(hs::grad(hs::grad(f)))(0.7), -4.0 * hs::sin(1.4));

  // jvp is the Jacobian matrix times a vector, vjp its transpose times a vector.
  const Array x = Array::from<double>({2.0, 0.5});
  const Array J = hs::reshape(Array::from<double>({0.5, 2.0, 0.0, std::exp(0.5)}), {2, 2});
  const Array v = Array::from<double>({1.0, -1.0}), w = Array::from<double>({3.0, 1.0});
  auto [y, Jv] = hs::jvp(F, x, v);
  check("jvp", Jv, hs::matmul(J, v));
  auto [value, pull_back] = hs::vjp(F, x);
  auto [wJ] = pull_back(w);
  check("vjp", wJ, hs::matmul(w, J));
  check("jacobian", hs::jacobian(F)(x), J);

  const Array H = hs::reshape(Array::from<double>({6.0 * 2.0 * 0.5, 3.0 * 4.0, 3.0 * 4.0, 0.0}), {2, 2});
  check("hessian", hs::hessian(g)(x), H);
  check("hvp, the Hessian times a vector", hs::hvp(g, x, v), hs::matmul(H, v));

  // Some partial derivatives at once: u solves the heat equation u_t = u_xx / pi^2. Argument 0 is t, 1 is x.
  auto u = [](Array t, Array x) { return hs::exp(-t) * hs::sin(pi * x); };
  auto [u0, u_t, u_xx, u_tx] = hs::partials(u, {0.3, 0.2}, {{}, {0}, {1, 1}, {0, 1}});
  check("partials: u_t", u_t, -u0);
  check("partials: u_t - u_xx / pi^2", u_t - u_xx / (pi * pi), 0.0);
  check("partials: u_tx", u_tx, -pi * std::exp(-0.3) * std::cos(0.2 * pi));

  // The Laplacian of |x|^4 in three dimensions is 20 |x|^2.
  auto fourth = [](Array x) { return hs::square(hs::sum(x * x)); };
  auto [norm4, laplacian] = hs::laplacian(fourth, Array::from<double>({1.0, 2.0, 3.0}));
  check("laplacian", laplacian, 20.0 * 14.0);

  // A derivative inside a function that is differentiated: d/da of (d/dx)^2 sin(a x) at a = 2, x = 1.
  auto inner = [](Array a) { return hs::grad(hs::grad([&](Array x) { return hs::sin(a * x); }))(1.0); };
  check("grad of a second derivative", hs::grad(inner)(2.0), -4.0 * std::sin(2.0) - 4.0 * std::cos(2.0));

  check("grad through if and while", hs::grad(root)(2.0), 0.5 / std::sqrt(2.0));

  // A rule of one's own: log(1 + e^x) overflows at 1000, and so would its derivative.
  auto log1pexp =
      hs::custom_jvp([](Array x) { return hs::where(x > 30.0, x, hs::log1p(hs::exp(hs::minimum(x, 30.0)))); },
                     [](auto primals, auto tangents) {
                       auto [x] = primals;
                       auto [dx] = tangents;
                       return std::pair(hs::softplus(x), hs::sigmoid(x) * dx);
                     });
  check("custom_jvp", hs::grad(log1pexp)(1000.0), 1.0);
  check("custom_jvp, second derivative", hs::grad(hs::grad(log1pexp))(0.0), 0.25);

  // vmap: a function of one example, applied to many. The derivative of f at four points:
  const Array points = Array::from<double>({0.0, 0.5, 1.0, 1.5});
  check("vmap of grad", hs::vmap(hs::grad(f))(points), hs::sin(2.0 * points));
  auto total = [&](Array x) { return hs::sum(hs::vmap(f)(x)); };
  check("hessian of a vmap", hs::hessian(total)(points), hs::diag(2.0 * hs::cos(2.0 * points)));
}
