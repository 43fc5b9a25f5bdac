// A project that uses the installed library: it must compile, link, run and be right.
#include <hesse/hesse.h>

#include <cmath>
#include <cstdio>

int main() {
  const auto f = [](const hesse::Array& x) { return hesse::sum(hesse::sin(x)); };
  const double slope = hesse::grad(f)(hesse::Array(0.5)).item<double>();
  std::printf("d/dx sin(x) at 0.5: %.15g\n", slope);
  return std::abs(slope - std::cos(0.5)) < 1e-15 ? 0 : 1;
}
