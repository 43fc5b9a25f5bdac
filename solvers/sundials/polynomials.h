#pragma once
#include <algorithm>
#include <cstdint>
#include <vector>

#include "core/array.h"
#include "solvers/sundials/handles.h"

namespace hesse::solvers::sundials {

/// The polynomials of the steps of a solve: within step i, of size h_i, that ends at e_i,
///   y(t) = sum_j c_ij s^j, s = (t - e_i) / h_i.
class Polynomials final {
 public:
  /// A step's: coefficients [degree + 1, N].
  void add(double end, double step, std::vector<double> coefficients) {
    ends_.push_back(end);
    steps_.push_back(step);
    coefficients_.push_back(std::move(coefficients));
  }
  bool empty() const { return ends_.empty(); }
  /// e [m], h [m], c [m, D + 1, N]: lower degrees are filled with zeros.
  Arrays arrays(int64_t n) const {
    size_t most = 0;
    for (const auto& c : coefficients_) most = std::max(most, c.size());
    std::vector<double> all;
    for (const auto& c : coefficients_) {
      all.insert(all.end(), c.begin(), c.end());
      all.resize(all.size() + most - c.size(), 0.0);
    }
    const auto m = static_cast<int64_t>(ends_.size()),
               rows = n > 0 ? static_cast<int64_t>(most) / n : int64_t{1};
    return {Array::from<double>(ends_, {m}), Array::from<double>(steps_, {m}),
            Array::from<double>(all, {m, rows, n})};
  }

 private:
  std::vector<double> ends_, steps_;
  std::vector<std::vector<double>> coefficients_;
};

/// c_0 .. c_degree at the end of a step of size h: h^j / j! times the derivatives there, which
/// `derivative(j, out)` writes into a vector [n].
template <class Derivative>
std::vector<double> taylor_coefficients(int degree, double h, int64_t n, N_Vector out,
                                        Derivative derivative) {
  std::vector<double> all;
  double scale = 1.0;
  for (int j = 0; j <= degree; scale *= h / ++j) {
    derivative(j, out);
    for (int64_t i = 0; i < n; ++i) all.push_back(scale * entries(out)[i]);
  }
  return all;
}

}  // namespace hesse::solvers::sundials
