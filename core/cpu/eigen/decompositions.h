#pragma once
#include "core/cpu/decompositions.h"

/// What each unit contributes to the tables of core/cpu/decompositions.cpp, once per instruction set.
namespace hesse::cpu {

struct DecompositionTables {
  Decompositions<float> f32;
  Decompositions<double> f64;
  Decompositions<std::complex<float>> c64;
  Decompositions<std::complex<double>> c128;
};

#define HESSE_DECLARE(isa)                       \
  namespace isa {                                \
  void set_factorizations(DecompositionTables*); \
  void set_qr(DecompositionTables*);             \
  void set_eigh(DecompositionTables*);           \
  void set_svd(DecompositionTables*);            \
  }
HESSE_DECLARE(baseline)
#ifdef HESSE_HAVE_X86_ISA_UNITS
HESSE_DECLARE(avx2)
HESSE_DECLARE(avx512)
#endif
#undef HESSE_DECLARE

}  // namespace hesse::cpu
