#pragma once
#include <Eigen/Core>

namespace hesse::cpu::HESSE_ISA {

/// Blocks products by constants: by the detected caches, sums would be cut differently on another machine of
/// the same type. Every unit that multiplies matrices calls this before its table is used, with the same
/// constants.
inline void fix_blocking() { Eigen::setCpuCacheSizes(32 << 10, 512 << 10, 2 << 20); }

}  // namespace hesse::cpu::HESSE_ISA
