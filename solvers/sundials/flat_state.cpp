#include "solvers/sundials/flat_state.h"

#include "core/node.h"
#include "core/ops.h"

namespace hesse::solvers::sundials {

FlatState::FlatState(Avals parts) : parts_(std::move(parts)) {
  for (const Aval& a : parts_) {
    sizes_.push_back(num_elements(a.shape));
    size_ += sizes_.back();
  }
}

namespace {
Avals avals_of(const Arrays& y) {
  Avals out;
  for (const Array& a : y) out.push_back(aval(a));
  return out;
}
}  // namespace

FlatState::FlatState(const Arrays& y) : FlatState(avals_of(y)) {}

Array FlatState::flat(const Arrays& y) {
  Arrays out;
  for (const Array& a : y) out.push_back(reshape(astype(a, kFloat64), {-1}));
  return out.size() == 1 ? out[0] : concatenate(out);
}

Array FlatState::flat_rows(const Arrays& y) {
  Arrays out;
  for (const Array& a : y) {
    int64_t size = 1;
    for (size_t d = 1; d < a.shape().size(); ++d) size *= a.shape()[d];
    out.push_back(reshape(astype(a, kFloat64), {a.shape()[0], size}));
  }
  return out.size() == 1 ? out[0] : concatenate(out, 1);
}

Arrays FlatState::arrays(const Array& flat, bool rows) const {
  Arrays out;
  int64_t at = 0;
  for (size_t i = 0; i < parts_.size(); ++i) {
    Shape shape = parts_[i].shape;
    Array part = flat;
    if (rows) shape.insert(0, flat.shape()[0]);
    if (parts_.size() > 1)
      part = rows ? slice(flat, {0, at}, {flat.shape()[0], at + sizes_[i]}, {1, 1})
                  : slice(flat, {at}, {at + sizes_[i]}, {1});
    out.push_back(astype(reshape(part, shape), parts_[i].dtype));
    at += sizes_[i];
  }
  return out;
}

}  // namespace hesse::solvers::sundials
