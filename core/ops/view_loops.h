#pragma once
#include <array>

#include "core/array.h"

/// Loops over strided memory, for kernels that move elements.
namespace hesse {

template <size_t N>
using Offsets = std::array<int64_t, N>;

/// Walks N operands together over `shape` in row-major order: run(offsets, length, steps) for every innermost
/// run, where entry k of operand i lies at offsets[i] + k * steps[i]. Axes that are contiguous in all
/// operands are joined, axes of length one dropped. Every strides list has the length of `shape`.
template <size_t N, class F>
void for_each_run(const Shape& shape, const std::array<Strides, N>& strides, F&& run) {
  Shape lengths;
  std::array<Strides, N> joined;
  for (size_t d = 0; d < shape.size(); ++d) {
    if (shape[d] == 0) return;
    if (shape[d] == 1) continue;
    bool joins = !lengths.empty();
    for (size_t i = 0; i < N && joins; ++i) joins = joined[i].back() == strides[i][d] * shape[d];
    if (joins) {
      lengths.back() *= shape[d];
      for (size_t i = 0; i < N; ++i) joined[i].back() = strides[i][d];
    } else {
      lengths.push_back(shape[d]);
      for (size_t i = 0; i < N; ++i) joined[i].push_back(strides[i][d]);
    }
  }
  Offsets<N> at{}, steps{};
  if (lengths.empty()) return run(at, int64_t{1}, steps);
  const int64_t length = lengths.back();
  for (size_t i = 0; i < N; ++i) steps[i] = joined[i].back();
  Dims counter(lengths.size(), 0);
  while (true) {
    run(at, length, steps);
    size_t d = lengths.size() - 1;
    while (d > 0) {
      --d;
      for (size_t i = 0; i < N; ++i) at[i] += joined[i][d];
      if (++counter[d] < lengths[d]) break;
      for (size_t i = 0; i < N; ++i) at[i] -= joined[i][d] * lengths[d];
      counter[d] = 0;
      if (d == 0) return;
    }
    if (lengths.size() == 1) return;
  }
}

struct Block16 {
  uint64_t lo, hi;
};

/// Calls f(TypeTag<T>) with a type as large as an element of `dtype`: for kernels that only move elements.
template <class F>
decltype(auto) visit_itemsize(DType dtype, F&& f) {
  switch (itemsize(dtype)) {
    case 1:
      return f(TypeTag<uint8_t>{});
    case 2:
      return f(TypeTag<uint16_t>{});
    case 4:
      return f(TypeTag<uint32_t>{});
    case 8:
      return f(TypeTag<uint64_t>{});
    default:
      return f(TypeTag<Block16>{});
  }
}

/// to[...] = from[...]; same shapes and dtypes, memory that does not overlap.
void copy_elements(const View& from, const View& to);
/// to[...] = 0.
void fill_zero(const View& to);
/// A row-major copy of data, without history and never recorded.
Array packed(const Array& x);

}  // namespace hesse
