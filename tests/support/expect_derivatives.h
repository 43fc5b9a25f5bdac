#pragma once
#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <string>

#include "autodiff/autodiff.h"
#include "core/ops.h"

/// Give it a function and a point: it checks derivatives to third order in every mixture of forward and
/// reverse mode.
namespace hesse::test {

/// Re sum of a b over lists; missing entries are zero.
inline double pairing(const Arrays& a, const Arrays& b) {
  double total = 0;
  for (size_t i = 0; i < a.size(); ++i) total += sum(real(multiply(a[i], b[i]))).item<double>();
  return total;
}

/// Independent random arrays of the shapes and dtypes of `like`.
inline Arrays random_like(const Arrays& like, uint32_t seed) {
  std::mt19937 gen(seed);
  std::normal_distribution<double> normal;
  Arrays out;
  for (const Array& a : like) {
    std::vector<double> re(static_cast<size_t>(a.size())), im(re.size());
    for (double& v : re) v = normal(gen);
    for (double& v : im) v = normal(gen);
    Array x = Array::from<double>(re, a.shape());
    if (is_complex(a.dtype())) x = make_complex(x, Array::from<double>(im, a.shape()));
    out.push_back(astype(x, a.dtype()));
  }
  return out;
}

inline MaybeArrays some(const Arrays& xs) { return {xs.begin(), xs.end()}; }
/// Missing derivatives as zeros of the shapes of `like`.
inline Arrays filled(const MaybeArrays& ds, const Arrays& like) {
  Arrays out;
  for (size_t i = 0; i < ds.size(); ++i) out.push_back(ds[i] ? *ds[i] : zeros_like(like[i]));
  return out;
}

/// x -> J(x) u.
inline Fn forward(const Fn& f, const Arrays& u) {
  return [f, u](std::span<const Array> x) {
    auto [y, dy] = jvp(f, Arrays(x.begin(), x.end()), some(u));
    return filled(dy, y);
  };
}
/// x -> J(x)^T w.
inline Fn reverse(const Fn& f, const Arrays& w) {
  return [f, w](std::span<const Array> x) {
    const Arrays xs(x.begin(), x.end());
    return filled(vjp(f, xs).second(some(w)), xs);
  };
}

/// D^k <w, f>[d_1, ..., d_k] at x with modes[i] 'F' or 'R' for the i-th differentiation. A reverse step
/// leaves a function onto arguments, to be paired with that step's direction; a forward step keeps what is
/// pending.
inline double mixed_derivative(Fn f, const Arrays& x, const std::string& modes,
                               const std::vector<Arrays>& directions, Arrays pending) {
  for (size_t i = 0; i < modes.size(); ++i) {
    if (modes[i] == 'F') {
      f = forward(f, directions[i]);
    } else {
      f = reverse(f, pending);
      pending = directions[i];
    }
  }
  return pairing(pending, f(x));
}

/// Every mixture up to `order` agrees with central differences (Richardson) of the order below.
inline void expect_derivatives(const Fn& f, const Arrays& x, int order = 3, double rtol = 1e-7) {
  const Arrays y = f(x);
  const Arrays w = random_like(y, 1);
  std::vector<Arrays> d;
  for (int i = 0; i < order; ++i) d.push_back(random_like(x, 10 + static_cast<uint32_t>(i)));

  for (int k = 1; k <= order; ++k) {
    const std::string below(static_cast<size_t>(k - 1), 'F');
    auto lower = [&](double t) {
      Arrays moved;
      for (size_t i = 0; i < x.size(); ++i)
        moved.push_back(x[i] + astype(Array(t), x[i].dtype()) * d[static_cast<size_t>(k - 1)][i]);
      return mixed_derivative(f, moved, below, d, w);
    };
    std::vector<double> table;
    for (double h = 0.02; h > 0.002; h /= 2) table.push_back((lower(h) - lower(-h)) / (2 * h));
    for (double factor = 4; table.size() > 1; factor *= 4) {
      for (size_t i = 0; i + 1 < table.size(); ++i)
        table[i] = (factor * table[i + 1] - table[i]) / (factor - 1);
      table.pop_back();
    }
    const double expected = table[0];
    for (unsigned mask = 0; mask < (1u << k); ++mask) {
      std::string modes;
      for (int i = 0; i < k; ++i) modes += (mask >> i & 1u) ? 'R' : 'F';
      const double actual = mixed_derivative(f, x, modes, d, w);
      EXPECT_NEAR(actual, expected, rtol * (1 + std::abs(expected)))
          << "modes " << modes << " (innermost first)";
    }
  }
}

/// The same for a function of one array onto one array.
inline void expect_derivatives(const std::function<Array(const Array&)>& f, const Array& x, int order = 3,
                               double rtol = 1e-7) {
  expect_derivatives([&f](std::span<const Array> v) { return Arrays{f(v[0])}; }, Arrays{x}, order, rtol);
}

}  // namespace hesse::test
