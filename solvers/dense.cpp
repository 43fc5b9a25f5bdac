#include "solvers/dense.h"

#include <cmath>

#include "core/ops.h"
#include "core/ops/control.h"
#include "solvers/lists.h"

namespace hesse::solvers {
namespace {

constexpr size_t kTables = 4;    // where they begin
constexpr size_t kOperands = 3;  // where they begin without tables

}  // namespace

DenseOutput::DenseOutput(Ref<const Graph> at, const Steps& steps)
    : at_(std::move(at)),
      num_tables_(steps.tables.size()),
      arrays_{steps.from, steps.to, steps.direction, steps.ends} {
  arrays_.insert(arrays_.end(), steps.tables.begin(), steps.tables.end());
  arrays_.insert(arrays_.end(), steps.operands.begin(), steps.operands.end());
}

DenseOutput::DenseOutput(Ref<const Graph> at, const Array& from, const Array& to, const Array& direction,
                         const Arrays& operands)
    : at_(std::move(at)), num_tables_(0), arrays_{from, to, direction} {
  arrays_.insert(arrays_.end(), operands.begin(), operands.end());
}

Arrays DenseOutput::operator()(const Array& t_in) const {
  require<TypeError>(!is_complex(t_in.dtype()) && t_in.dtype() != kBool && t_in.dtype() != DType::Key,
                     "DenseOutput: t has dtype ", t_in.dtype(), ", expected real numbers");
  const Array t = astype(t_in, kFloat64);
  const Array &from = arrays_[0], &to = arrays_[1], &direction = arrays_[2];
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
  const Array flat = flatten(t), here = flatten(inside);
  const Arrays rows = num_tables_ > 0 ? one_by_one(flat, here) : all_at_once(flat, here);
  Arrays out;
  for (const Array& y : rows) {
    Shape shape = t.shape();
    for (size_t d = 1; d < y.shape().size(); ++d) shape.push_back(y.shape()[d]);
    out.push_back(reshape(y, shape));
  }
  return out;
}

Arrays DenseOutput::one_by_one(const Array& t, const Array& inside) const {
  const Array &direction = arrays_[2], &ends = arrays_[3];
  const auto one = [&](std::span<const Array> x) {
    Arrays in{x[0]};
    for (size_t k = 0; k < num_tables_; ++k) in.push_back(take(arrays_[kTables + k], x[1], 0));
    in.insert(in.end(), arrays_.begin() + static_cast<int64_t>(kTables + num_tables_), arrays_.end());
    Arrays out = at_->call(in);
    for (Array& y : out) y = where(x[2], y, nan_of(y.dtype()));
    return out;
  };
  const Array sorted = stop_gradient(ends * direction);
  const Array index =
      minimum(searchsorted(sorted, stop_gradient(t * direction)), Array(int64_t{ends.size() - 1}));
  return vmap(one, {t, index, inside}, {0, 0, 0}, {0});
}

// Times that lie outside by rounding are moved in, and those that lie outside to the beginning.
Arrays DenseOutput::all_at_once(const Array& t, const Array& inside) const {
  const Array from = stop_gradient(arrays_[0]), to = stop_gradient(arrays_[1]), &direction = arrays_[2];
  const Array here = where(inside, t, from), now = stop_gradient(here);
  const Array within =
      where((now - from) * direction < 0.0, from, where((now - to) * direction > 0.0, to, now));
  Arrays in{here + (within - now)};
  in.insert(in.end(), arrays_.begin() + kOperands, arrays_.end());
  Arrays out = at_->call(in);
  for (Array& y : out) {
    Shape rows = inside.shape();
    rows.resize(y.shape().size(), 1);
    y = where(reshape(inside, rows), y, nan_of(y.dtype()));
  }
  return out;
}

std::pair<Array, Arrays> rows_at(const Array& times, const DenseOutput& dense, bool failed) {
  const Array &from = dense.arrays()[0], &to = dense.arrays()[1], &direction = dense.arrays()[2];
  const int64_t reached =
      count_nonzero((times - from) * direction <= (to - from) * direction).item<int64_t>();
  const Array inside = reached == times.size() ? times : slice(times, {0}, {reached}, {1});
  std::pair<Array, Arrays> out{failed ? times : inside, dense(inside)};
  if (!failed || reached == times.size()) return out;
  for (Array& y : out.second) {
    Shape rest = y.shape();
    rest[0] = times.size() - reached;
    y = concatenate({y, full(rest, nan_of(y.dtype()))});
  }
  return out;
}

}  // namespace hesse::solvers
