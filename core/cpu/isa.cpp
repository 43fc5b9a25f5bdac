#include "core/cpu/isa.h"

#include <algorithm>
#include <cstdlib>
#include <string_view>

#include "core/error.h"

namespace hesse::cpu {

Isa detected_isa() {
#if defined(__x86_64__)
  static const Isa detected = [] {
    __builtin_cpu_init();
    const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
                      __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2") &&
                      __builtin_cpu_supports("pclmul");
    const bool avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
                        __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
    return avx2 && avx512 ? Isa::Avx512 : avx2 ? Isa::Avx2 : Isa::Baseline;
  }();
  return detected;
#else
  return Isa::Baseline;
#endif
}

Isa active_isa() {
  static const Isa active = [] {
    const char* const set = std::getenv("HESSE_ISA");
    if (set == nullptr || *set == '\0') return detected_isa();
    const std::string_view name(set);
    require(name == "baseline" || name == "avx2" || name == "avx512", "HESSE_ISA: unknown instruction set '",
            name, "'; expected baseline, avx2 or avx512");
    const Isa wanted = name == "avx512" ? Isa::Avx512 : name == "avx2" ? Isa::Avx2 : Isa::Baseline;
    return std::min(wanted, detected_isa());
  }();
  return active;
}

int vector_bytes() {
  switch (active_isa()) {
    case Isa::Avx512:
      return 64;
    case Isa::Avx2:
      return 32;
    case Isa::Baseline:
      break;
  }
  return 16;
}

}  // namespace hesse::cpu
