#pragma once
#include <complex>
#include <cstdint>

/// Dense products, compiled once per instruction set; core/cpu/gemm.cpp chooses.
namespace hesse::cpu {

/// c[m, n] (rows c_row apart, contiguous) = a[m, k] b[k, n]. Each of a and b has rows or columns that are
/// contiguous: a_row == 1 or a_col == 1, likewise b.
template <class T>
using Gemm = void (*)(int64_t m, int64_t n, int64_t k, const T* a, int64_t a_row, int64_t a_col, const T* b,
                      int64_t b_row, int64_t b_col, T* c, int64_t c_row);

struct GemmTable {
  Gemm<float> f32;
  Gemm<double> f64;
  Gemm<std::complex<float>> c64;
  Gemm<std::complex<double>> c128;
};

namespace baseline {
const GemmTable& gemm_table();
}
#ifdef HESSE_HAVE_X86_ISA_UNITS
namespace avx2 {
const GemmTable& gemm_table();
}
namespace avx512 {
const GemmTable& gemm_table();
}
#endif

}  // namespace hesse::cpu
