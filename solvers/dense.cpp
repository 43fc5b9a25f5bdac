#include "solvers/dense.h"

#include <cmath>

#include "core/ops.h"
#include "core/ops/control.h"
#include "solvers/lists.h"

namespace hesse::solvers {
namespace {

constexpr size_t kTables = 4;  // where they begin

}  // namespace

DenseOutput::DenseOutput(Ref<const Graph> at, const Steps& steps)
    : at_(std::move(at)),
      num_tables_(steps.tables.size()),
      arrays_{steps.from, steps.to, steps.direction, steps.ends} {
  arrays_.insert(arrays_.end(), steps.tables.begin(), steps.tables.end());
  arrays_.insert(arrays_.end(), steps.operands.begin(), steps.operands.end());
}

Arrays DenseOutput::operator()(const Array& t_in) const {
  require<TypeError>(!is_complex(t_in.dtype()) && t_in.dtype() != kBool && t_in.dtype() != DType::Key,
                     "DenseOutput: t has dtype ", t_in.dtype(), ", expected real numbers");
  const Array t = astype(t_in, kFloat64);
  const Array &from = arrays_[0], &to = arrays_[1], &direction = arrays_[2], &ends = arrays_[3];
  // A time that was computed may lie outside by rounding.
  const Array slack = 1e-12 * abs(to - from), along = (t - from) * direction;
  const Array inside = stop_gradient(logical_and(along >= -slack, along <= (to - from) * direction + slack));
  if (inside.has_data()) {
    const bool all_inside = all(inside).item<bool>();
    require(all_inside, "DenseOutput: t holds ",
            all_inside ? 0.0
                       : getitem(flatten(t), {Index(argmin(astype(flatten(inside), kInt64)).item<int64_t>())})
                             .item<double>(),
            ", which lies outside the solution, from ", from.item<double>(), " to ", to.item<double>());
  }
  const int64_t steps = ends.size();
  const auto one = [&](std::span<const Array> x) {
    Arrays in{x[0]};
    for (size_t k = 0; k < num_tables_; ++k) in.push_back(take(arrays_[kTables + k], x[1], 0));
    in.insert(in.end(), arrays_.begin() + static_cast<int64_t>(kTables + num_tables_), arrays_.end());
    Arrays out = at_->call(in);
    for (Array& y : out) y = where(x[2], y, nan_of(y.dtype()));
    return out;
  };
  const Array flat = flatten(t), sorted = stop_gradient(ends * direction);
  const Array index =
      minimum(searchsorted(sorted, stop_gradient(flat * direction)), Array(int64_t{steps - 1}));
  const Arrays rows = vmap(one, {flat, index, flatten(inside)}, {0, 0, 0}, {0});
  Arrays out;
  for (const Array& y : rows) {
    Shape shape = t.shape();
    for (size_t d = 1; d < y.shape().size(); ++d) shape.push_back(y.shape()[d]);
    out.push_back(reshape(y, shape));
  }
  return out;
}

}  // namespace hesse::solvers
