#include "solvers/sundials/guard.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "core/ops/control_graph.h"
#include "core/status.h"

namespace hesse::solvers::sundials {

Array scalar_of(double x) { return Array::from<double>(std::span<const double>(&x, 1), {}); }

Array whole_of(int64_t x) { return Array::from<int64_t>(std::span<const int64_t>(&x, 1), {}); }

Array vector_of(N_Vector v, int64_t n) {
  return Array::from<double>(std::span<const double>(entries(v), static_cast<size_t>(n)), {n});
}

int Guard::judged(const double* out, int64_t n, int64_t size, const int64_t* rows,
                  const FailureScope* failures) {
  const double* bad = std::find_if_not(out, out + n, [](double x) { return std::isfinite(x); });
  const bool failed = failures && failures->failed();
  if (bad == out + n && !failed) return 0;
  bad_entry_ = bad == out + n ? -1 : rows ? rows[bad - out] : (bad - out) % size;
  bad_note_ = failed ? failures->message() : "";
  steps_since_bad_ = 0;
  return 1;
}

void Guard::count() {
  if (++count_ % 64 == 0) poll_interrupt();
}

int Guard::run(const Graph& g, Arrays in, double* out, int64_t n, int64_t size,
               const int64_t* rows) noexcept {
  return guarded([&] {
    count();
    const FailureScope failures;  // of an attempt that may be given up
    const Array result = g.run_owned(std::move(in))[0];
    if (result.contiguous()) {
      std::memcpy(out, result.view().data, static_cast<size_t>(n) * sizeof(double));
    } else {
      const std::vector<double> values = result.to_vector<double>();
      std::copy(values.begin(), values.end(), out);
    }
    return judged(out, n, size, rows, &failures);
  });
}

}  // namespace hesse::solvers::sundials
