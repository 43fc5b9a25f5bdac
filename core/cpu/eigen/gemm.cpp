#include "core/cpu/eigen/gemm.h"

#include <Eigen/Core>

namespace hesse::cpu::HESSE_ISA {
namespace {

template <class T, int Order>
using Operand =
    Eigen::Map<const Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Order>, 0, Eigen::OuterStride<>>;
template <class T>
using Result =
    Eigen::Map<Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>, 0, Eigen::OuterStride<>>;

template <class T>
void gemm(int64_t m, int64_t n, int64_t k, const T* a, int64_t a_row, int64_t a_col, const T* b,
          int64_t b_row, int64_t b_col, T* c, int64_t c_row) {
  constexpr int kRows = Eigen::RowMajor, kCols = Eigen::ColMajor;
  Result<T> out(c, m, n, Eigen::OuterStride<>(c_row));
  const auto times = [&](const auto& x) {
    if (b_col == 1)
      out.noalias() = x * Operand<T, kRows>(b, k, n, Eigen::OuterStride<>(b_row));
    else
      out.noalias() = x * Operand<T, kCols>(b, k, n, Eigen::OuterStride<>(b_col));
  };
  if (a_col == 1)
    times(Operand<T, kRows>(a, m, k, Eigen::OuterStride<>(a_row)));
  else
    times(Operand<T, kCols>(a, m, k, Eigen::OuterStride<>(a_col)));
}

}  // namespace

const GemmTable& gemm_table() {
  // Blocking by constants: by the detected caches, sums would be cut differently on another machine of the
  // same type.
  static const GemmTable table = [] {
    Eigen::setCpuCacheSizes(32 << 10, 512 << 10, 2 << 20);
    return GemmTable{gemm<float>, gemm<double>, gemm<std::complex<float>>, gemm<std::complex<double>>};
  }();
  return table;
}

}  // namespace hesse::cpu::HESSE_ISA
