#pragma once
#include "core/array.h"
#include "core/cpu/assign.h"

/// Kernels of ops that do something in a few lanes of a map only: where a status says so.
namespace hesse::solvers {

/// The view of one lane: of the axes behind the others, at `lane`.
inline View at_lane(View v, const Dims& lane) {
  for (size_t d = lane.size(); d-- > 0;) v = cpu::at(v, v.shape.size() - 1, lane[d]);
  return v;
}
inline Array copied(const View& v) {
  const Array out = Array::uninitialized(v.shape, v.dtype);
  cpu::assign(v, out.view());
  return out;
}
inline Arrays copied(std::span<const View> x, const Dims& lane) {
  Arrays out;
  for (const View& v : x) out.push_back(copied(at_lane(v, lane)));
  return out;
}
/// f(lane) for every lane where the status, an int64 for each, is not 0, in the order of the examples: the
/// last axis is that of the outermost map. Costs a read for each lane.
template <class F>
void for_each_failure(const View& status, F f) {
  const size_t axes = status.shape.size();
  Dims lane(axes, 0);
  for (int64_t left = status.size(); left > 0; --left) {
    int64_t at = 0;
    for (size_t d = 0; d < axes; ++d) at += lane[d] * status.strides[d];
    if (status.as<int64_t>()[at] != 0) f(lane);
    for (size_t d = 0; d < axes; ++d) {
      if (++lane[d] < status.shape[d]) break;
      lane[d] = 0;
    }
  }
}

}  // namespace hesse::solvers
