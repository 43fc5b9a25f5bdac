#include "core/program/frame.h"

#include <cstring>

#include "core/cpu/isa.h"

namespace hesse {

Frame Frame::of_rows(int64_t lanes) {
  const auto whole = [&](int64_t vector) { return (lanes + vector - 1) / vector * vector; };
  Frame frame(lanes);
  frame.width_ = whole(4);
  // Kernels work on what fills a row up, too: a quarter more at most.
  if (cpu::active_isa() >= cpu::Isa::Avx512 && 4 * whole(8) <= 5 * lanes) frame.width_ = whole(8);
  frame.uniform_constants_ = true;
  return frame;
}

int64_t Frame::take_offset() {
  constexpr int64_t kLine = 64;  // vectors that lie in two lines take twice as long
  const int64_t row = 8 * width_;
  if (row % kLine == 0) bytes_ = (bytes_ + kLine - 1) / kLine * kLine;
  const int64_t offset = bytes_;
  bytes_ += row;
  return offset;
}

FrameRow Frame::take_constant(DType dtype) {
  if (!uniform_constants_ || !(dtype == kFloat64 || dtype == kFloat32)) return take(dtype);
  FrameRow row{bytes_, dtype};
  row.uniform = true;
  bytes_ += 8;
  return row;
}

FrameRow Frame::constant(const Array& scalar) {
  const View v = scalar.view();
  std::vector<char> value(static_cast<size_t>(itemsize(v.dtype)));
  std::memcpy(value.data(), v.data, value.size());
  for (const Constant& c : constants_)
    if (c.row.dtype == v.dtype && c.value == value) return c.row;
  constants_.push_back({take_constant(v.dtype), value});
  return constants_.back().row;
}

void Frame::initialise(char* frame) const {
  std::memset(frame, 0, static_cast<size_t>(bytes_));
  for (const Constant& c : constants_)
    for (int64_t l = 0; l < (c.row.uniform ? 1 : width_); ++l)
      std::memcpy(frame + c.row.offset + l * static_cast<int64_t>(c.value.size()), c.value.data(),
                  c.value.size());
}

}  // namespace hesse
