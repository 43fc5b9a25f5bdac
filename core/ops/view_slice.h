#pragma once
#include "core/array.h"

/// A regular part of an array, per axis: `size` entries from `start` in steps of `step` (negative allowed).
namespace hesse {

struct Part {
  Dims start, size, step;
  /// All of `shape`.
  static Part whole(const Shape& shape);
  bool is_whole_of(const Shape& shape) const;
};

/// x's part: a view.
Array slice_part(const Array& x, const Part& part);
/// Zeros of `shape` with y as the part: the transpose of slice_part.
Array unslice(const Array& y, const Shape& shape, const Dims& start, const Dims& step);
/// x with y as the part; `y` has the part's shape.
Array update_part(const Array& x, const Array& y, const Part& part);

}  // namespace hesse
