#include "solvers/spans.h"

#include "core/node.h"
#include "core/ops.h"

namespace hesse::solvers {
namespace {
bool is_real(DType d) { return !is_complex(d) && d != kBool && d != DType::Key; }
}  // namespace

Array real_scalar(std::string_view function, const Array& x, std::string_view name) {
  require(x.ndim() == 0, function, ": ", name, " has shape ", x.shape(), ", expected a scalar");
  require<TypeError>(is_real(x.dtype()), function, ": ", name, " has dtype ", x.dtype(),
                     ", expected a real number");
  return astype(x, kFloat64);
}

Array real_times(std::string_view function, const Array& times) {
  require(times.ndim() == 1, function, ": t_eval has shape ", times.shape(), ", expected one axis");
  require<TypeError>(is_real(times.dtype()), function, ": t_eval has dtype ", times.dtype(),
                     ", expected real numbers");
  return astype(times, kFloat64);
}

void check_positive(std::string_view function, const Array& x, std::string_view name, bool zero_allowed) {
  if (!is_constant(x)) return;
  for (const double v : astype(x, kFloat64).to_vector<double>())
    require(zero_allowed ? v >= 0 : v > 0, function, ": ", name, " is ", v, ", expected ",
            zero_allowed ? "a number not below 0" : "a positive number");
}

Array direction_of(const Array& t0, const Array& t1) {
  return stop_gradient(astype(where(greater_equal(t1, t0), 1.0, -1.0), kFloat64));
}

Array in_order(std::string_view function, const Array& times, const Array& t0, const Array& t1) {
  const Array direction = direction_of(t0, t1), along = (times - t0) * direction;
  Array ok = all(logical_and(along >= 0.0, along <= (t1 - t0) * direction));
  if (times.size() > 1) ok = logical_and(ok, all(diff(along) > 0.0));
  require(!is_constant(ok) || ok.item<bool>(), function,
          ": t_eval must ascend within t_span, in its direction");
  return stop_gradient(ok);
}

Array step_times(const Array& t, const Array& t0, const Array& t1, bool arrived) {
  const int64_t n = t.size();
  Arrays out{reshape(t0, {1})};
  if (n > 2) out.push_back(slice(t, {1}, {n - 1}, {1}));
  if (n > 1) out.push_back(arrived ? reshape(t1, {1}) : slice(t, {n - 1}, {n}, {1}));
  return concatenate(out);
}

}  // namespace hesse::solvers
