#include "core/program/chain.h"

#include <algorithm>

#include "core/cpu/simd_kernels.h"

namespace hesse {
namespace {

constexpr int64_t kBlockBytes = 4096;  // of one operand: several of them fit the first-level cache

}  // namespace

template <class T>
void Chain::call(const Step& s, char* const* at, int64_t n) {
  using S = cpu::SimdKernels<T>;
  const auto in = [&](int i) { return reinterpret_cast<const T*>(at[i]); };
  switch (s.kernel.kind) {
    case EntryKernel::Kind::Unary:
      return reinterpret_cast<typename S::Unary>(s.kernel.f)(in(0), reinterpret_cast<T*>(at[1]), n);
    case EntryKernel::Kind::Binary:
      return reinterpret_cast<typename S::Binary>(s.kernel.f)(in(0), s.in[0].step, in(1), s.in[1].step,
                                                              reinterpret_cast<T*>(at[2]), n);
    case EntryKernel::Kind::Compare:
      return reinterpret_cast<typename S::Compare>(s.kernel.f)(in(0), s.in[0].step, in(1), s.in[1].step,
                                                               reinterpret_cast<bool*>(at[2]), n);
    case EntryKernel::Kind::Select:
      return reinterpret_cast<typename S::Select>(s.kernel.f)(reinterpret_cast<const bool*>(at[0]),
                                                              s.in[0].step, in(1), s.in[1].step, in(2),
                                                              s.in[2].step, reinterpret_cast<T*>(at[3]), n);
    case EntryKernel::Kind::Ternary:
      return reinterpret_cast<typename S::Ternary>(s.kernel.f)(
          in(0), s.in[0].step, in(1), s.in[1].step, in(2), s.in[2].step, reinterpret_cast<T*>(at[3]), n);
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
  Operand out{p.base, p.offset, {0, 0}, g.run == 1 ? 1 : strides.back(), item};
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
  return out;
}

bool Chain::takes(std::span<const Place* const> in, const Place& out) {
  const auto g = geometry(out);
  return g && std::all_of(in.begin(), in.end(), [&](const Place* p) { return operand(*p, *g).has_value(); });
}

bool Chain::add(const EntryKernel& kernel, DType dtype, std::span<const Place* const> in, const Place& out) {
  const std::optional<Geometry> g = geometry(out);
  if (!g || in.size() > 3 || (!empty() && !(*g == geometry_))) return false;
  Step s{kernel, dtype == kFloat32 ? &call<float> : &call<double>, {}, {}, static_cast<int>(in.size()),
         false};
  s.out = *operand(out, *g);
  for (size_t i = 0; i < in.size(); ++i) {
    const auto o = operand(*in[i], *g);
    if (!o || (kernel.kind == EntryKernel::Kind::Unary && o->step == 0)) return false;
    s.in[i] = *o;
  }
  // Blocks of rows are in order; what another step writes must be met row by row.
  const auto overlaps = [&](const Operand& a, const Operand& b) {
    const auto end = [&](const Operand& o) {
      return o.offset + o.rows[0] * (g->rows[0] - 1) + o.rows[1] * (g->rows[1] - 1) +
             (o.step * (g->run - 1) + 1) * o.item;
    };
    return a.base == b.base && a.offset < end(b) && b.offset < end(a);
  };
  const auto clash = [&](const Operand& a, const Operand& b) { return overlaps(a, b) && !(a == b); };
  for (const Step& before : steps_) {
    if (clash(before.out, s.out)) return false;
    for (int i = 0; i < s.count; ++i)
      if (clash(before.out, s.in[i])) return false;
    for (int i = 0; i < before.count; ++i)
      if (clash(before.in[i], s.out)) return false;
  }
  for (int i = 0; i < s.count; ++i)
    if (clash(s.in[i], s.out)) return false;
  const auto follows = [&](const Operand& o) {
    const int64_t row = o.step * g->run * o.item;
    return o.rows[1] == row && (g->rows[0] == 1 || o.rows[0] == row * g->rows[1]);
  };
  s.whole = follows(s.out);
  for (int i = 0; i < s.count; ++i) s.whole = s.whole && follows(s.in[i]);
  geometry_ = *g;
  steps_.push_back(s);
  return true;
}

void Chain::run(char* const* bases) const {
  const Geometry& g = geometry_;
  if (g.run == 0) return;
  int64_t item = 1;
  for (const Step& s : steps_) item = std::max(item, s.out.item);
  const int64_t block = std::max<int64_t>(1, kBlockBytes / (g.run * item));
  char* at[4];
  for (int64_t outer = 0; outer < g.rows[0]; ++outer)
    for (int64_t begin = 0; begin < g.rows[1]; begin += block) {
      const int64_t end = std::min(begin + block, g.rows[1]);
      for (const Step& s : steps_) {
        const auto point = [&](int64_t row) {
          const auto address = [&](const Operand& o) {
            return bases[o.base] + o.offset + outer * o.rows[0] + row * o.rows[1];
          };
          for (int i = 0; i < s.count; ++i) at[i] = address(s.in[i]);
          at[s.count] = address(s.out);
        };
        if (s.whole) {
          point(begin);
          s.call(s, at, (end - begin) * g.run);
        } else {
          for (int64_t row = begin; row < end; ++row) {
            point(row);
            s.call(s, at, g.run);
          }
        }
      }
    }
}

}  // namespace hesse
