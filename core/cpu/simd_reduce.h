#pragma once
#include <cstdint>

#include "core/cpu/isa.h"

/// The innermost loops of reductions of float and double. Every instruction set combines in the same order as
/// reduction::fold_block of core/ops/reduce_engine.h, and so gives the same bits.
namespace hesse::cpu {

/// As many neighbouring results as fill 64 bytes are formed at once.
template <class T>
inline constexpr int kReduceWidth = 64 / static_cast<int>(sizeof(T));

template <class T>
struct BlockFold {
  /// p[0] ... p[n - 1] combined, n > 0.
  T (*run)(const T* p, int64_t n);
  /// out[w] = p[w], p[w + stride], ... n of them combined, for w < kReduceWidth.
  void (*columns)(const T* p, int64_t stride, int64_t n, T* out);
};
template <class T>
struct BlockFolds {
  BlockFold<T> sum, max, min;  // NaN wins
};
/// For float and double.
template <class T>
const BlockFolds<T>& block_folds(Isa isa);
template <>
const BlockFolds<float>& block_folds<float>(Isa isa);
template <>
const BlockFolds<double>& block_folds<double>(Isa isa);
template <class T>
const BlockFolds<T>& block_folds() {
  static const BlockFolds<T>& folds = block_folds<T>(active_isa());
  return folds;
}

}  // namespace hesse::cpu
