#pragma once
#include <memory>
#include <string>
#include <vector>

#include "solvers/method.h"

namespace hesse::solvers {

/// A symplectic method for dq/dt = v(t, p), dp/dt = F(t, q): steps of the leapfrog (Stormer, Verlet) method
/// of sizes w_i h, one after the other,
///   p += w h / 2 F(t, q),   q += w h v(t + w h / 2, p),   t += w h,   p += w h / 2 F(t, q).
/// The weights are symmetric, so the method is too: a step back from where a step led ends where it began.
struct Composition {
  std::string name = {};
  int order = 0;
  std::vector<double> weights = {};  ///< their sum is 1
};

/// Leapfrog; Yoshida4 and Yoshida6 (Yoshida 1990: 3 and 7 steps of leapfrog); SuzukiUmeno8 (1993: 15). Steps
/// have a fixed size, and end at times of output.
const std::vector<Composition>& compositions();
/// On a field of two parts (solvers/split.h), which is v and F. The composition must outlive it.
std::unique_ptr<const Method> make_symplectic(const Composition& composition, Field field);

}  // namespace hesse::solvers
