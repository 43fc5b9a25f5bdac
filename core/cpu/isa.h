#pragma once

namespace hesse::cpu {

enum class Isa { Baseline, Avx2, Avx512 };
/// The instruction set of the kernels that are compiled in several variants.
Isa active_isa();

}  // namespace hesse::cpu
