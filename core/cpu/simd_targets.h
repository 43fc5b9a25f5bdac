#pragma once
// What Highway compiles the vector kernels for, to be included before it: on x86-64 one set each for
// active_isa()'s AVX-512, AVX2 and baseline; on Arm NEON (vectors of unknown length cannot be members of
// structs).
#define HWY_DISABLED_TARGETS \
  (HWY_SSSE3 | HWY_SSE4 | HWY_AVX3_DL | HWY_SVE | HWY_SVE2 | HWY_SVE_256 | HWY_SVE2_128 | HWY_RVV)
