#pragma once
#include "core/array.h"

namespace hesse::cpu {

/// dst[...] = src[...] for views of one shape and dtype, any strides. The innermost loop runs over the axis
/// that is contiguous in either; transposing copies go by blocks that stay in L1.
void assign(const View& src, const View& dst);
/// dst[...] += src[...] for floating, complex and integer dtypes.
void accumulate(const View& src, const View& dst);
/// Sets every byte of a row-major view to zero.
void set_zero(const View& dst);
/// The view with axis `axis` fixed at `i`.
View at(const View& v, size_t axis, int64_t i);
/// The view of [begin, begin + n) on `axis`.
View range(const View& v, size_t axis, int64_t begin, int64_t n);
/// Axis `from` moved to position `to`.
View moved(const View& v, size_t from, size_t to);

}  // namespace hesse::cpu
