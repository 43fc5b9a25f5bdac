#include "core/ops/segment_groups.h"

#include <algorithm>
#include <limits>

#include "core/cpu/simd_kernels.h"
#include "core/cpu/threads.h"
#include "core/ops/sparse_rows.h"
#include "core/ops/view_loops.h"

namespace hesse {
namespace {

constexpr int64_t kWorthwhile = int64_t{1} << 16;  // numbers

bool packed_rows(const View& v) { return is_contiguous(v.shape, v.strides); }
int64_t row_width(const View& v) { return v.shape[0] ? v.size() / v.shape[0] : 0; }

template <class F>
void visit_real(DType t, F&& f) {
  if (t == DType::Float32)
    f(float{});
  else
    f(double{});
}

}  // namespace

std::optional<SegmentGroups> group_segments(const View& ids, int64_t segments, bool wraps) {
  const int64_t m = ids.shape[0], step = ids.strides[0];
  const auto* const data = ids.as<const int64_t>();
  const auto id = [&](int64_t i) {
    const int64_t s = data[i * step];
    return s < 0 && wraps ? s + segments : s;
  };
  SegmentGroups g{Array::uninitialized({segments + 1}, kInt64), {}};
  auto* const starts = g.starts.view().as<int64_t>();
  std::fill(starts, starts + segments + 1, 0);
  bool ascending = true;
  for (int64_t i = 0, before = 0; i < m; ++i) {
    const int64_t s = id(i);
    if (static_cast<uint64_t>(s) >= static_cast<uint64_t>(segments)) return std::nullopt;
    ascending = ascending && s >= before;
    before = s;
    ++starts[s + 1];
  }
  for (int64_t s = 0; s < segments; ++s) starts[s + 1] += starts[s];
  if (ascending) return g;
  g.order = Array::uninitialized({m}, kInt64);
  auto* const order = g.order.view().as<int64_t>();
  std::vector<int64_t> next(starts, starts + segments);
  for (int64_t i = 0; i < m; ++i) order[next[static_cast<size_t>(id(i))]++] = i;
  return g;
}

bool worth_grouping(const View& rows, const View& out) {
  return (rows.dtype == DType::Float32 || rows.dtype == DType::Float64) && rows.size() >= kWorthwhile &&
         out.size() > 0 && packed_rows(rows) && packed_rows(out);
}

bool sum_segments(const View& rows, const View& ids, const View& out, bool wraps) {
  if (ids.shape.size() != 1 || !worth_grouping(rows, out)) return false;
  const std::optional<SegmentGroups> g = group_segments(ids, out.shape[0], wraps);
  if (!g) return false;
  visit_real(rows.dtype, [&](auto t) {
    using T = decltype(t);
    sparse::sum_groups<T>(g->starts_data(), g->order_data(), out.shape[0], rows.shape[0], rows.as<const T>(),
                          out.as<T>(), row_width(rows));
  });
  return true;
}

bool extreme_segments(const View& rows, const View& ids, const View& out, bool largest) {
  if (ids.shape.size() != 1 || !worth_grouping(rows, out)) return false;
  const std::optional<SegmentGroups> g = group_segments(ids, out.shape[0], false);
  if (!g) return false;
  const int64_t *const starts = g->starts_data(), *const order = g->order_data();
  const int64_t segments = out.shape[0], m = rows.shape[0], width = row_width(rows);
  const int64_t blocks = std::clamp<int64_t>(rows.size() / kWorthwhile, 1, std::min<int64_t>(256, segments));
  const std::vector<int64_t> bounds = sparse::balanced_rows(sparse::Indices(starts), segments, m, blocks);
  visit_real(rows.dtype, [&](auto t) {
    using T = decltype(t);
    const auto& kernels = cpu::simd_kernels<T>();
    const auto combine = largest ? kernels.maximum : kernels.minimum;
    const T none = largest ? -std::numeric_limits<T>::infinity() : std::numeric_limits<T>::infinity();
    parallel_for(blocks, [&](int64_t b) {
      for (int64_t s = bounds[static_cast<size_t>(b)]; s < bounds[static_cast<size_t>(b) + 1]; ++s) {
        T* const to = out.as<T>() + s * width;
        std::fill(to, to + width, none);
        for (int64_t p = starts[s]; p < starts[s + 1]; ++p)
          combine(rows.as<const T>() + (order ? order[p] : p) * width, 1, to, 1, to, width);
      }
    });
  });
  return true;
}

}  // namespace hesse
