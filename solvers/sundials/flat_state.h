#pragma once
#include "core/graph.h"

namespace hesse::solvers::sundials {

/// The arrays of a state as one vector of float64, and back.
class FlatState final {
 public:
  explicit FlatState(const Arrays& y);
  int64_t size() const { return size_; }
  static Array flat(const Arrays& y);
  /// From [N] or, with `rows`, from [n, N].
  Arrays arrays(const Array& flat, bool rows) const;

 private:
  Avals parts_;
  Dims sizes_;
  int64_t size_ = 0;
};

}  // namespace hesse::solvers::sundials
