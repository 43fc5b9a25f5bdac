#include "core/cpu/decompositions.h"

#include <type_traits>

#include "core/cpu/eigen/decompositions.h"
#include "core/cpu/isa.h"

namespace hesse::cpu {
namespace {

DecompositionTables choose() {
  DecompositionTables t;
#define HESSE_FILL(isa)          \
  {                              \
    isa::set_factorizations(&t); \
    isa::set_qr(&t);             \
    isa::set_eigh(&t);           \
    isa::set_svd(&t);            \
    return t;                    \
  }
#ifdef HESSE_HAVE_X86_ISA_UNITS
  if (active_isa() == Isa::Avx512) HESSE_FILL(avx512)
  if (active_isa() == Isa::Avx2) HESSE_FILL(avx2)
#endif
  HESSE_FILL(baseline)
#undef HESSE_FILL
}

const DecompositionTables& tables() {
  static const DecompositionTables chosen = choose();
  return chosen;
}

}  // namespace

template <>
const Decompositions<float>& decompositions() {
  return tables().f32;
}
template <>
const Decompositions<double>& decompositions() {
  return tables().f64;
}
template <>
const Decompositions<std::complex<float>>& decompositions() {
  return tables().c64;
}
template <>
const Decompositions<std::complex<double>>& decompositions() {
  return tables().c128;
}

}  // namespace hesse::cpu
