#include "core/cpu/isa.h"

namespace hesse::cpu {

Isa active_isa() {
#ifdef HESSE_HAVE_X86_ISA_UNITS
  static const Isa detected = [] {
    __builtin_cpu_init();
    const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    const bool avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
                        __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
    return avx2 && avx512 ? Isa::Avx512 : avx2 ? Isa::Avx2 : Isa::Baseline;
  }();
  return detected;
#else
  return Isa::Baseline;
#endif
}

}  // namespace hesse::cpu
