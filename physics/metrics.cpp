#include "physics/metrics.h"

#include "core/ops.h"

namespace hesse::physics {
namespace {
void check(const char* function, const Array& u, const Array& reference) {
  require(u.shape() == reference.shape(), function, ": u is ", describe(u), " but the reference is ",
          describe(reference), "; reshape one of them");
  require(u.size() > 0, function, ": there are no values to compare");
}
}  // namespace

Array relative_l2(const Array& u, const Array& reference) {
  check("relative_l2", u, reference);
  return norm(flatten(u - reference)) / norm(flatten(reference));
}

Array max_error(const Array& u, const Array& reference) {
  check("max_error", u, reference);
  return max(abs(u - reference));
}

}  // namespace hesse::physics
