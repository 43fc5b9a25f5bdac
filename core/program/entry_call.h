#pragma once
#include "core/cpu/simd_kernels.h"
#include "core/op.h"

namespace hesse {

/// out = kernel(in...) on n entries; an operand's step is 1, or 0 where it is one entry for all. T is the
/// dtype of the last operand.
template <class T>
void call_entry_kernel(const EntryKernel& kernel, const char* const* in, const int64_t* step, char* out,
                       int64_t n) {
  using K = cpu::SimdKernels<T>;
  const auto x = [&](int i) { return reinterpret_cast<const T*>(in[i]); };
  auto* const y = reinterpret_cast<T*>(out);
  auto* const truth = reinterpret_cast<bool*>(out);
  const auto f = kernel.f;
  switch (kernel.kind) {
    case EntryKernel::Kind::Unary:
      return reinterpret_cast<typename K::Unary>(f)(x(0), y, n);
    case EntryKernel::Kind::Binary:
      return reinterpret_cast<typename K::Binary>(f)(x(0), step[0], x(1), step[1], y, n);
    case EntryKernel::Kind::Compare:
      return reinterpret_cast<typename K::Compare>(f)(x(0), step[0], x(1), step[1], truth, n);
    case EntryKernel::Kind::Select:
      return reinterpret_cast<typename K::Select>(f)(reinterpret_cast<const bool*>(in[0]), step[0], x(1),
                                                     step[1], x(2), step[2], y, n);
    case EntryKernel::Kind::Ternary:
      return reinterpret_cast<typename K::Ternary>(f)(x(0), step[0], x(1), step[1], x(2), step[2], y, n);
    case EntryKernel::Kind::None:
      return;
  }
}

}  // namespace hesse
