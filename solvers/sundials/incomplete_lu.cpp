#include "solvers/sundials/incomplete_lu.h"

#include <algorithm>
#include <cmath>

namespace hesse::solvers::sundials {

IncompleteLU::IncompleteLU(const Pattern& pattern)
    : pattern_(pattern), jacobian_(pattern.columns.size()), factors_(pattern.columns.size()) {
  for (int64_t i = 0; i < pattern.rows; ++i) {
    int64_t at = pattern.starts[static_cast<size_t>(i)];
    while (pattern.columns[static_cast<size_t>(at)] != i) ++at;
    diagonal_.push_back(at);
  }
}

// Row by row: for k < i, l_ik = a_ik / u_kk, and a_ij -= l_ik u_kj at the places of row i.
bool IncompleteLU::factor(double s) {
  const int64_t *starts = pattern_.starts.data(), *columns = pattern_.columns.data();
  double* a = factors_.data();
  for (size_t at = 0; at < factors_.size(); ++at) a[at] = s * jacobian_[at];
  std::vector<int64_t> place(static_cast<size_t>(pattern_.cols), -1);
  for (int64_t i = 0; i < pattern_.rows; ++i) {
    const int64_t own = diagonal_[static_cast<size_t>(i)];
    a[own] += 1.0;
    for (int64_t at = starts[i]; at < starts[i + 1]; ++at) place[static_cast<size_t>(columns[at])] = at;
    for (int64_t at = starts[i]; at < own; ++at) {
      const int64_t k = columns[at], pivot = diagonal_[static_cast<size_t>(k)];
      a[at] /= a[pivot];
      for (int64_t right = pivot + 1; right < starts[k + 1]; ++right)
        if (const int64_t here = place[static_cast<size_t>(columns[right])]; here >= 0)
          a[here] -= a[at] * a[right];
    }
    for (int64_t at = starts[i]; at < starts[i + 1]; ++at) place[static_cast<size_t>(columns[at])] = -1;
    if (a[own] == 0 || !std::isfinite(a[own])) return false;
  }
  return true;
}

void IncompleteLU::solve(const double* r, double* z) const {
  const int64_t *starts = pattern_.starts.data(), *columns = pattern_.columns.data();
  const double* a = factors_.data();
  for (int64_t i = 0; i < pattern_.rows; ++i) {
    double sum = r[i];
    for (int64_t at = starts[i]; at < diagonal_[static_cast<size_t>(i)]; ++at) sum -= a[at] * z[columns[at]];
    z[i] = sum;
  }
  for (int64_t i = pattern_.rows; i-- > 0;) {
    const int64_t own = diagonal_[static_cast<size_t>(i)];
    double sum = z[i];
    for (int64_t at = own + 1; at < starts[i + 1]; ++at) sum -= a[at] * z[columns[at]];
    z[i] = sum / a[own];
  }
}

void IncompleteLU::solve_transposed(const double* r, double* z) const {
  const int64_t *starts = pattern_.starts.data(), *columns = pattern_.columns.data();
  const double* a = factors_.data();
  std::copy_n(r, pattern_.rows, z);
  for (int64_t i = 0; i < pattern_.rows; ++i) {
    const int64_t own = diagonal_[static_cast<size_t>(i)];
    z[i] /= a[own];
    for (int64_t at = own + 1; at < starts[i + 1]; ++at) z[columns[at]] -= a[at] * z[i];
  }
  for (int64_t i = pattern_.rows; i-- > 0;)
    for (int64_t at = starts[i]; at < diagonal_[static_cast<size_t>(i)]; ++at) z[columns[at]] -= a[at] * z[i];
}

}  // namespace hesse::solvers::sundials
