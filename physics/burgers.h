#pragma once
#include "core/array.h"

namespace hesse::physics {

/// Nodes and weights of Gauss-Hermite quadrature, integral of exp(-z^2) f(z) = sum_i w_i f(z_i), exact for
/// polynomials of degree below 2n; float64 [n] each, ascending. The weights come as w_i exp(z_i^2), whose
/// relative error is small even where w_i itself is below 1e-300. Throws ValueError unless 1 <= n <= 1000.
struct GaussHermite {
  Array nodes, scaled_weights;
};
GaussHermite gauss_hermite(int64_t n);

/// The solution of u_t + u u_x = nu u_xx, u(0, x) = -sin(pi x), u(t, -1) = u(t, 1) = 0, by the Cole-Hopf
/// transform:
///     u(t, x) = - int sin(pi (x - e)) f(x - e) exp(-e^2 / (4 nu t)) de / int f(x - e) exp(-e^2 / (4 nu t))
///     de, f(y) = exp(-cos(pi y) / (2 pi nu))
/// (Basdevant et al., Comput. Fluids 14 (1986) 23), with Gauss-Hermite quadrature of `nodes` points in e /
/// sqrt(4 nu t). t and x broadcast; float64. For nu = 0.01 / pi, t <= 1 and 200 nodes the error is below
/// 1e-12. Throws ValueError for nu <= 0 or t < 0. Outside tracing.
Array burgers_exact(const Array& t, const Array& x, double nu, int64_t nodes = 200);

}  // namespace hesse::physics
