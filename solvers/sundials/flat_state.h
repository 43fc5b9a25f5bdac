#pragma once
#include "core/graph.h"

namespace hesse::solvers::sundials {

/// The arrays of a state as one vector of float64, and back.
class FlatState final {
 public:
  explicit FlatState(const Arrays& y);
  explicit FlatState(Avals parts);
  int64_t size() const { return size_; }
  const Avals& parts() const { return parts_; }
  static Array flat(const Arrays& y);
  static Array flat_rows(const Arrays& y);  ///< [n, N] of arrays [n, ...]
  /// From [N] or, with `rows`, from [n, N].
  Arrays arrays(const Array& flat, bool rows) const;

 private:
  Avals parts_;
  Dims sizes_;
  int64_t size_ = 0;
};

}  // namespace hesse::solvers::sundials
