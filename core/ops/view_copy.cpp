// Moving elements between strided views, and the op that makes a row-major copy.
#include <algorithm>
#include <cstring>

#include "core/cpu/assign.h"
#include "core/op.h"
#include "core/op_table.h"
#include "core/ops.h"
#include "core/ops/view_loops.h"

namespace hesse {
namespace {

/// y = x, row-major.
class Copy final : public Linear {
 public:
  std::string_view name() const override { return "copy"; }
  double flops(std::span<const Aval>, std::span<const Aval>) const override { return 0; }
  Avals infer(std::span<const Aval> x) const override { return {x[0]}; }
  void kernel(std::span<const View> x, std::span<const View> out, int) const override {
    copy_elements(x[0], out[0]);
  }
  bool has_lane_kernel() const override { return true; }
  std::optional<Row> on_row(std::span<const Array> x, std::span<const RowAxis> axes,
                            std::span<const Aval>) const override {
    return entrywise_on_row(*this, x, axes);
  }
  MaybeArray transpose(std::span<const Array>, const Array& ct, int) const override { return ct; }
};

}  // namespace

// Bytes: each element is read and written once.
void copy_elements(const View& from, const View& to) {
  constexpr int64_t kWorthBlocks = 256;
  if (to.size() >= kWorthBlocks && from.strides.back() != 1 &&
      std::find(from.strides.begin(), from.strides.end(), 1) != from.strides.end())
    return cpu::assign(from, to);  // transposed: by blocks
  visit_itemsize(to.dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    const T* const f = from.as<const T>();
    T* const t = to.as<T>();
    for_each_run<2>(to.shape, {from.strides, to.strides},
                    [&](const Offsets<2>& at, int64_t length, const Offsets<2>& step) {
                      if (step[0] == 1 && step[1] == 1) {
                        std::memcpy(t + at[1], f + at[0], static_cast<size_t>(length) * sizeof(T));
                      } else {
                        for (int64_t k = 0; k < length; ++k)
                          std::memcpy(t + at[1] + k * step[1], f + at[0] + k * step[0], sizeof(T));
                      }
                    });
  });
}

void fill_zero(const View& to) {
  const auto width = static_cast<size_t>(itemsize(to.dtype));
  char* const t = to.as<char>();
  for_each_run<1>(to.shape, {to.strides}, [&](const Offsets<1>& at, int64_t length, const Offsets<1>& step) {
    char* const p = t + at[0] * static_cast<int64_t>(width);
    if (step[0] == 1) {
      std::memset(p, 0, static_cast<size_t>(length) * width);
    } else {
      for (int64_t k = 0; k < length; ++k)
        std::memset(p + k * step[0] * static_cast<int64_t>(width), 0, width);
    }
  });
}

Array packed(const Array& x) {
  const Array out = Array::uninitialized(x.shape(), x.dtype());
  copy_elements(x.view(), out.view());
  return out;
}

Array copy(const Array& x) { return apply1(the<Copy>(), {x}); }

OpFamily families::copies() { return {listed<Copy>()}; }

}  // namespace hesse
