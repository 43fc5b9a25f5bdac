#include "core/program/chain.h"

#include <algorithm>

#include "core/cpu/lane_gemm.h"
#include "core/cpu/simd_kernels.h"

namespace hesse {
namespace {

constexpr int64_t kShortRow = 512;  // bytes: below, a call of a kernel for a row costs more than copying it

}  // namespace

template <class T>
void Chain::call(const Step& s, char* const* at, int64_t n) {
  using S = cpu::SimdKernels<T>;
  const auto in = [&](int i) { return reinterpret_cast<const T*>(at[i]); };
  switch (s.kernel.kind) {
    case EntryKernel::Kind::Unary:
      return reinterpret_cast<typename S::Unary>(s.kernel.f)(in(0), reinterpret_cast<T*>(at[1]), n);
    case EntryKernel::Kind::Binary:
      return reinterpret_cast<typename S::Binary>(s.kernel.f)(in(0), s.step[0], in(1), s.step[1],
                                                              reinterpret_cast<T*>(at[2]), n);
    case EntryKernel::Kind::Compare:
      return reinterpret_cast<typename S::Compare>(s.kernel.f)(in(0), s.step[0], in(1), s.step[1],
                                                               reinterpret_cast<bool*>(at[2]), n);
    case EntryKernel::Kind::Select:
      return reinterpret_cast<typename S::Select>(s.kernel.f)(reinterpret_cast<const bool*>(at[0]), s.step[0],
                                                              in(1), s.step[1], in(2), s.step[2],
                                                              reinterpret_cast<T*>(at[3]), n);
    case EntryKernel::Kind::Ternary:
      return reinterpret_cast<typename S::Ternary>(s.kernel.f)(in(0), s.step[0], in(1), s.step[1], in(2),
                                                               s.step[2], reinterpret_cast<T*>(at[3]), n);
    case EntryKernel::Kind::None:
      break;
  }
}

// Rows of a result: all its axes but the last, the first of them apart where there are several.
std::optional<Chain::Geometry> Chain::geometry(const Place& out) {
  const Shape& shape = out.view.shape;
  if (!is_contiguous(shape, out.view.strides)) return std::nullopt;
  Geometry g;
  if (!shape.empty()) g.run = shape.back();
  if (shape.size() >= 2) g.rows[1] = shape[shape.size() - 2];
  for (size_t d = 0; d + 2 < shape.size(); ++d) g.rows[0] *= shape[d];
  return g;
}

std::optional<Chain::Operand> Chain::operand(const Place& p, const Geometry& g) {
  const Shape& shape = p.view.shape;
  const Strides& strides = p.view.strides;
  const int64_t item = itemsize(p.view.dtype);
  Operand out{p.base, p.offset, {0, 0}, g.run == 1 ? 1 : strides.back(), item, p.passing};
  if (out.step != 0 && out.step != 1) return std::nullopt;
  if (shape.size() >= 2) out.rows[1] = strides[shape.size() - 2] * item;
  // The axes before collapse to one stride.
  int64_t expected = 0, stride = 0;
  bool first = true;
  for (size_t d = shape.size() >= 2 ? shape.size() - 2 : 0; d-- > 0;) {
    if (shape[d] == 1) continue;
    if (first) stride = strides[d];
    if (!first && strides[d] != expected) return std::nullopt;
    expected = strides[d] * shape[d];
    first = false;
  }
  out.rows[0] = stride * item;
  if (out.rows[0] < 0 || out.rows[1] < 0) return std::nullopt;
  if (g.run == 1 && out.rows[0] == 0 && out.rows[1] == 0 && g.rows[0] * g.rows[1] > 1)
    out.step = 0;  // one value for all rows
  return out;
}

std::optional<Chain::Geometry> Chain::fits(const EntryKernel& kernel, std::span<const Place* const> in,
                                           const Place& out) {
  const auto g = geometry(out);
  if (!g || in.size() > 3) return std::nullopt;
  for (const Place* p : in) {
    const auto o = operand(*p, *g);
    if (!o || (kernel.kind == EntryKernel::Kind::Unary && o->step == 0)) return std::nullopt;
  }
  return g;
}

void Chain::add(const EntryKernel& kernel, DType dtype, std::span<const Place* const> in, const Place& out) {
  const std::optional<Geometry> g = geometry(out);
  Step s{kernel, dtype == kFloat32 ? &call<float> : &call<double>, {}, {}, static_cast<int>(in.size())};
  s.out = *operand(out, *g);
  for (size_t i = 0; i < in.size(); ++i) s.in[i] = *operand(*in[i], *g);
  const bool single = g->rows[0] == 1 && g->rows[1] == 1;
  const auto follows = [&](const Operand& o) {
    const int64_t row = o.step * g->run * o.item;
    return single || o.passing || (o.rows[1] == row && (g->rows[0] == 1 || o.rows[0] == row * g->rows[1]));
  };
  s.whole = follows(s.out);
  for (int i = 0; i < s.count; ++i) {
    const bool follow = follows(s.in[i]);
    s.packed[i] = !follow && g->run * s.in[i].item <= kShortRow && s.in[i].item == itemsize(dtype);
    s.whole = s.whole && (follow || s.packed[i]);
  }
  for (int i = 0; i < s.count; ++i) {
    s.packed[i] = s.packed[i] && s.whole;
    s.step[i] = s.packed[i] ? 1 : s.in[i].step;
  }
  geometry_ = *g;
  steps_.push_back(s);
  int64_t item = 1;
  for (const Step& step : steps_) {
    item = std::max(item, step.out.item);
    for (int i = 0; i < step.count; ++i) item = std::max(item, step.in[i].item);
  }
  block_ = std::max<int64_t>(1, kBlockBytes / (std::max<int64_t>(g->run, 1) * item));
}

void Chain::run(char* const* bases) const {
  const int64_t rows = geometry_.run == 0 ? 0 : geometry_.rows[0] * geometry_.rows[1];
  for (int64_t begin = 0; begin < rows; begin += block_)
    for (const Step& s : steps_) run_block(s, bases, begin, std::min(block_, rows - begin));
}

// Rows are counted over both levels; `begin` is the first of the block.
char* Chain::row_of(const Operand& o, char* const* bases, int64_t begin, int64_t row) const {
  char* const first = bases[o.base] + o.offset;
  if (o.passing) return first + (row - begin) * o.rows[1];
  return first + row / geometry_.rows[1] * o.rows[0] + row % geometry_.rows[1] * o.rows[1];
}

// Rows that do not follow each other, one after the other.
void Chain::pack(const Operand& o, char* const* bases, int64_t begin, int64_t rows, char* to) const {
  const auto run = [&]<class T>(const cpu::LaneKernels<T>& kernels) {
    for (int64_t row = begin; row < begin + rows;) {
      const int64_t n = std::min(geometry_.rows[1] - row % geometry_.rows[1], begin + rows - row);
      kernels.spread(n, geometry_.run, reinterpret_cast<const T*>(row_of(o, bases, begin, row)),
                     o.rows[1] / o.item, o.step, reinterpret_cast<T*>(to));
      to += n * geometry_.run * o.item;
      row += n;
    }
  };
  if (o.item == 4)
    run(cpu::lane_kernels<float>());
  else
    run(cpu::lane_kernels<double>());
}

void Chain::run_block(const Step& s, char* const* bases, int64_t begin, int64_t rows) const {
  char* at[4];
  if (!s.whole) {
    for (int64_t row = begin; row < begin + rows; ++row) {
      for (int i = 0; i < s.count; ++i) at[i] = row_of(s.in[i], bases, begin, row);
      at[s.count] = row_of(s.out, bases, begin, row);
      s.call(s, at, geometry_.run);
    }
    return;
  }
  alignas(64) char copies[3][kBlockBytes];
  for (int i = 0; i < s.count; ++i) {
    at[i] = copies[i];
    if (s.packed[i])
      pack(s.in[i], bases, begin, rows, copies[i]);
    else
      at[i] = row_of(s.in[i], bases, begin, begin);
  }
  at[s.count] = row_of(s.out, bases, begin, begin);
  s.call(s, at, rows * geometry_.run);
}

}  // namespace hesse
