#include "core/program/linked_rows.h"

#include <cstdint>

#include "core/error.h"

namespace hesse {
namespace {

// The rows of a group as those of the whole: where row 0 would lie, which indices of the whole count from.
void as_whole(View& v, LinkedRows::Space space, const int64_t* begin) {
  const int64_t before = begin[space.number] * v.strides[0] * itemsize(v.dtype);
  v.data = reinterpret_cast<void*>(reinterpret_cast<uintptr_t>(v.data) - static_cast<uintptr_t>(before));
  v.shape[0] = space.rows;
}

}  // namespace

Params LinkedRows::params() const {
  Dims numbers, rows;
  for (const Space& s : operands_) {
    numbers.push_back(s.number);
    rows.push_back(s.rows);
  }
  numbers.push_back(result_.number);
  numbers.push_back(range_);
  rows.push_back(result_.rows);
  Params out{{"op", std::string(op_->name())}, {"spaces", numbers}, {"rows", rows}};
  for (const auto& p : op_->params()) out.push_back(p);
  return out;
}

MaybeArrays LinkedRows::jvp(std::span<const Array>, std::span<const Array>,
                            std::span<const MaybeArray>) const {
  throw Error("linked_rows: belongs to a program that is run; differentiate the graph it was made from");
}

void LinkedRows::run(std::span<View> x, const View& out, const int64_t* begin, const int64_t* count,
                     bool add) const {
  for (size_t i = 0; i < x.size(); ++i)
    if (operands_[i].number >= 0) as_whole(x[i], operands_[i], begin);
  if (can_add()) return op_->kernel_on_rows(x, out, 0, add ? 0 : out.shape[0]);
  View y = out;
  as_whole(y, result_, begin);
  op_->kernel_on_rows(x, y, begin[range_], begin[range_] + count[range_]);
}

}  // namespace hesse
