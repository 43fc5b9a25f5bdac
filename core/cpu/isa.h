#pragma once

namespace hesse::cpu {

/// The instruction sets that kernels are compiled for. On other processors than x86-64 there is Baseline only
/// (which on Arm includes NEON).
enum class Isa { Baseline, Avx2, Avx512 };
/// The best one that this processor has.
Isa detected_isa();
/// The one in use: the detected one, or less if the environment variable HESSE_ISA (baseline, avx2, avx512),
/// read once, says so. Throws ValueError for another value of it.
Isa active_isa();
/// The bytes of its vectors.
int vector_bytes();

}  // namespace hesse::cpu
