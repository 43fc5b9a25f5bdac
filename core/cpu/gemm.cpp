#include "core/cpu/gemm.h"

#include <algorithm>
#include <array>
#include <memory>
#include <type_traits>

#include "core/cpu/eigen/gemm.h"
#include "core/cpu/isa.h"
#include "core/cpu/lane_gemm.h"
#include "core/cpu/threads.h"
#include "core/ops/view_loops.h"

namespace hesse::cpu {
namespace {

const GemmTable& table() {
#ifdef HESSE_HAVE_X86_ISA_UNITS
  switch (active_isa()) {
    case Isa::Avx512:
      return avx512::gemm_table();
    case Isa::Avx2:
      return avx2::gemm_table();
    case Isa::Baseline:
      break;
  }
#endif
  return baseline::gemm_table();
}

template <class T>
Gemm<T> eigen_gemm() {
  if constexpr (std::is_same_v<T, float>)
    return table().f32;
  else if constexpr (std::is_same_v<T, double>)
    return table().f64;
  else if constexpr (std::is_same_v<T, complex64>)
    return table().c64;
  else
    return table().c128;
}

/// The operand with contiguous rows or columns; what has neither is copied into `storage`.
template <class T>
Matrix<const T> contiguous(const Matrix<const T>& a, std::unique_ptr<T[]>& storage) {
  // A stride along an axis of length one means nothing.
  Matrix<const T> out = a;
  if (a.cols == 1)
    out.col = 1;
  else if (a.rows == 1)
    out.row = 1;
  const auto fits = [](int64_t outer, int64_t length) { return outer >= length; };
  if (out.col == 1 && (fits(out.row, a.cols) || a.rows == 1)) {
    if (a.rows == 1 && out.row < a.cols) out.row = a.cols;
    return out;
  }
  if (out.row == 1 && (fits(out.col, a.rows) || a.cols == 1)) {
    if (a.cols == 1 && out.col < a.rows) out.col = a.rows;
    return out;
  }
  storage.reset(new T[static_cast<size_t>(a.rows * a.cols)]);
  for (int64_t i = 0; i < a.rows; ++i)
    for (int64_t j = 0; j < a.cols; ++j)
      storage[static_cast<size_t>(i * a.cols + j)] = a.data[i * a.row + j * a.col];
  return {storage.get(), a.rows, a.cols, a.cols, 1};
}

/// The specification, and the kernel of integers (which wrap): out = a b.
template <class T>
void plain_product(const Matrix<const T>& a, const Matrix<const T>& b, const Matrix<T>& out) {
  using A = std::conditional_t<std::is_integral_v<T>, uint64_t, T>;
  for (int64_t i = 0; i < a.rows; ++i)
    for (int64_t j = 0; j < b.cols; ++j) {
      A sum{};
      for (int64_t k = 0; k < a.cols; ++k)
        sum += static_cast<A>(a.data[i * a.row + k * a.col]) * static_cast<A>(b.data[k * b.row + j * b.col]);
      out.data[i * out.row + j * out.col] = static_cast<T>(sum);
    }
}

template <class T>
Matrix<const T> transposed(const Matrix<const T>& a) {
  return {a.data, a.cols, a.rows, a.col, a.row};
}

/// Memory for a copy; a small one lies on the stack.
template <class T>
class Scratch {
 public:
  T* of(int64_t n) {
    if (n <= static_cast<int64_t>(near_.size())) return near_.data();
    far_ = Buffer::allocate(static_cast<size_t>(n) * sizeof(T));
    return reinterpret_cast<T*>(far_->data());
  }

 private:
  std::array<T, 2048> near_;
  Ref<Buffer> far_;
};

/// The same entries in contiguous rows; copied where they are not.
template <class T>
Matrix<const T> with_contiguous_rows(const Matrix<const T>& a, Scratch<T>& scratch) {
  if (a.col == 1) return a;
  T* const to = scratch.of(a.rows * a.cols);
  for (int64_t i = 0; i < a.rows; ++i)
    for (int64_t j = 0; j < a.cols; ++j) to[i * a.cols + j] = a.data[i * a.row + j * a.col];
  return {to, a.rows, a.cols, a.cols, 1};
}

/// out = a b, the columns being lanes.
template <class T>
void product_by_lanes(const Matrix<const T>& a, const Matrix<const T>& b, const Matrix<T>& out) {
  Scratch<T> scratch;
  gemm_by_columns(a, with_contiguous_rows(b, scratch), {}, out);
}

/// The same of the transposed product: the rows of the result are lanes.
template <class T>
void product_by_rows(const Matrix<const T>& a, const Matrix<const T>& b, const Matrix<T>& out) {
  Scratch<T> scratch;
  T* const result = scratch.of(out.rows * out.cols);
  product_by_lanes(transposed(b), transposed(a), {result, out.cols, out.rows, out.rows, 1});
  lane_kernels<T>().transpose(out.cols, out.rows, result, out.rows, out.data, out.row);
}

bool multiplies_and_adds() {
#ifdef HESSE_HAVE_X86_ISA_UNITS
  return active_isa() != Isa::Baseline;  // without, Eigen's kernels are twice as fast
#else
  return true;
#endif
}
constexpr int64_t kFewestColumns = 8, kMostColumns = 64;  // that are as good as lanes

/// Products of few rows or columns, which are then as good as lanes: a third to two thirds of the time that
/// Eigen's blocking and packing take. False for others.
template <class T>
bool narrow_product(const Matrix<const T>& a, const Matrix<const T>& b, const Matrix<T>& out) {
  constexpr int64_t kHalf = 4, kLeast = kFewestColumns, kMost = kMostColumns, kSmall = 64 * 64,
                    kCopied = 2048;
  const int64_t m = a.rows, k = a.cols, n = b.cols;
  const bool fused = multiplies_and_adds();
  // An operand that is long and contiguous along its length has it for lanes. Where these are the rows of the
  // result, it is transposed, which is little beside a sum over many.
  if (fused && m > kMost && n >= kLeast && n <= kMost && k > std::max(kMost, 4 * n) && a.row == 1) {
    product_by_rows(a, b, out);
    return true;
  }
  if (fused && n > kMost && m >= kLeast && m <= kMost && b.col == 1) {
    product_by_lanes(a, b, out);
    return true;
  }
  if (n >= kLeast && ((fused && n <= kMost) || m * k <= kSmall) &&
      (b.col == 1 || m >= kLeast || k * n <= kCopied)) {
    product_by_lanes(a, b, out);
    return true;
  }
  if (fused && m >= kLeast && m <= kMost && n > kMost) {
    product_by_rows(a, b, out);
    return true;
  }
  if (n >= kLeast || m < kLeast) return false;
  if (a.col == 1 && m * n <= kCopied && k >= kLeast && k * n <= kCopied) {  // sums along rows of a and of b^T
    Scratch<T> scratch;
    const Matrix<const T> y = with_contiguous_rows(transposed(b), scratch);
    for (int64_t i = 0; i < m; ++i) std::fill_n(out.data + i * out.row, n, T(0));
    const OuterTerm<T> term{a.data, a.row, y.data, y.row};
    lane_kernels<T>().outer_accumulate(m, n, k, &term, 1, out.data, out.row);
    return true;
  }
  if (m * k <= kCopied && m * n <= kCopied) {
    product_by_rows(a, b, out);
    return true;
  }
  if (!fused || n < kHalf) return false;
  product_by_lanes(a, b, out);
  return true;
}

/// out = a b on this thread.
template <class T>
void product(const Matrix<const T>& a, const Matrix<const T>& b, const Matrix<T>& out) {
  if (out.rows == 0 || out.cols == 0) return;
  if constexpr (std::is_integral_v<T>) {
    plain_product(a, b, out);
  } else {
    if (a.cols == 0 || out.col != 1) return plain_product(a, b, out);
    if constexpr (std::is_same_v<T, float> || std::is_same_v<T, double>)
      if (narrow_product(a, b, out)) return;
    std::unique_ptr<T[]> a_storage, b_storage;
    const Matrix<const T> x = contiguous(a, a_storage), y = contiguous(b, b_storage);
    eigen_gemm<T>()(a.rows, b.cols, a.cols, x.data, x.row, x.col, y.data, y.row, y.col, out.data, out.row);
  }
}

}  // namespace

bool columns_as_lanes(int64_t columns) {
  return multiplies_and_adds() && columns >= kFewestColumns && columns <= kMostColumns;
}

// The sum over k goes in pieces, so that what is read again of b stays in the cache, and what is read of a
// across its rows too.
template <class T>
void gemm_by_columns(const Matrix<const T>& a, const Matrix<const T>& b, const LaneAddend<T>& z,
                     const Matrix<T>& out) {
  // Bytes, but the two that count rows.
  constexpr int64_t kPartOfB = int64_t{1} << 17, kWide = kPartOfB / 2, kNearest = 24 << 10, kAcrossRows = 16,
                    kWideRows = 32;
  const int64_t row_bytes = b.cols * static_cast<int64_t>(sizeof(T));
  if (a.cols == 0) {  // the sum over nothing
    for (int64_t i = 0; i < a.rows; ++i)
      for (int64_t j = 0; j < b.cols; ++j)
        out.data[i * out.row + j] = z.data ? z.data[i * z.row + j * z.step] : T(0);
    return;
  }
  const int64_t both = row_bytes + a.rows * static_cast<int64_t>(sizeof(T));
  const int64_t piece = b.cols > kMostColumns
                            ? std::max(kWide / row_bytes, kWideRows)
                            : std::max(a.col == 1 ? kPartOfB / row_bytes : kNearest / both, kAcrossRows);
  for (int64_t k = 0; k < a.cols; k += piece) {
    const LaneAddend<T> before = k == 0 ? z : LaneAddend<T>{out.data, out.row, 0, 1};
    lane_kernels<T>().uniform(a.rows, 1, std::min(piece, a.cols - k), b.cols,
                              {a.data + k * a.col, a.row, a.col}, {b.data + k * b.row, b.row, 0}, before,
                              {out.data, out.row, 0});
  }
}
template void gemm_by_columns(const Matrix<const float>&, const Matrix<const float>&,
                              const LaneAddend<float>&, const Matrix<float>&);
template void gemm_by_columns(const Matrix<const double>&, const Matrix<const double>&,
                              const LaneAddend<double>&, const Matrix<double>&);

// 2 m n k flops.
template <class T>
void gemm(const Matrix<const T>& a, const Matrix<const T>& b, const Matrix<T>& out) {
  // Pieces of about 8 million multiply-adds along the longer side, as long as a multiple of what kernels
  // block by.
  constexpr int64_t kPiece = 1 << 23, kMultiple = 48, kNarrow = 64, kLongRun = 512;
  const bool by_rows = out.rows >= out.cols;
  const int64_t length = by_rows ? out.rows : out.cols, across = by_rows ? out.cols : out.rows;
  const double work = static_cast<double>(length) * static_cast<double>(across) * static_cast<double>(a.cols);
  if (work < 2.0 * kPiece || length <= kMultiple) return product(a, b, out);
  const auto wanted = static_cast<int64_t>(static_cast<double>(length) * (kPiece / work));
  // Narrow products are bound by reading the long operand: in long runs.
  const bool across_rows = by_rows ? a.row == 1 && a.cols > 1 : b.col == 1 && b.rows > 1;
  const int64_t least = across <= kNarrow && across_rows ? kLongRun : kMultiple;
  const int64_t piece = std::max(least, wanted / kMultiple * kMultiple);
  parallel_for((length + piece - 1) / piece, [&](int64_t i) {
    const int64_t begin = i * piece, n = std::min(piece, length - begin);
    Matrix<const T> x = a, y = b;
    Matrix<T> z = out;
    if (by_rows) {
      x.data += begin * x.row;
      z.data += begin * z.row;
      x.rows = z.rows = n;
    } else {
      y.data += begin * y.col;
      z.data += begin * z.col;
      y.cols = z.cols = n;
    }
    product(x, y, z);
  });
}

#define HESSE_X(T) template void gemm<T>(const Matrix<const T>&, const Matrix<const T>&, const Matrix<T>&);
HESSE_X(int8_t)
HESSE_X(int16_t)
HESSE_X(int32_t)
HESSE_X(int64_t)
HESSE_X(uint8_t)
HESSE_X(uint16_t)
HESSE_X(uint32_t)
HESSE_X(uint64_t)
HESSE_X(float)
HESSE_X(double)
HESSE_X(complex64)
HESSE_X(complex128)
#undef HESSE_X

namespace {

/// run(x, y, out) with the pointers for every combination of the axes listed.
template <class T, class F>
void for_each_offset(const View& x, const View& y, const View& out, const Axes& axes, F&& run) {
  Shape lengths;
  std::array<Strides, 3> strides;
  for (const int64_t axis : axes) {
    const auto d = static_cast<size_t>(axis);
    lengths.push_back(out.shape[d]);
    strides[0].push_back(x.strides[d]);
    strides[1].push_back(y.strides[d]);
    strides[2].push_back(out.strides[d]);
  }
  for_each_run<3>(lengths, strides, [&](const Offsets<3>& at, int64_t length, const Offsets<3>& steps) {
    for (int64_t i = 0; i < length; ++i)
      run(x.as<const T>() + at[0] + i * steps[0], y.as<const T>() + at[1] + i * steps[1],
          out.as<T>() + at[2] + i * steps[2]);
  });
}

/// Matrix by matrix, every lane too.
template <class T>
void one_by_one(const View& x, const View& y, const View& out, size_t axis) {
  const int64_t m = x.shape[axis], k = x.shape[axis + 1], n = y.shape[axis + 1];
  Axes others;
  for (size_t d = 0; d < out.shape.size(); ++d)
    if (d != axis && d != axis + 1) others.push_back(static_cast<int64_t>(d));
  for_each_offset<T>(x, y, out, others, [&](const T* a, const T* b, T* c) {
    gemm<T>({a, m, k, x.strides[axis], x.strides[axis + 1]}, {b, k, n, y.strides[axis], y.strides[axis + 1]},
            {c, m, n, out.strides[axis], out.strides[axis + 1]});
  });
}

/// A tile: the innermost axis, contiguous where it varies, is run by the lane kernels. False where it is not
/// so.
template <class T>
bool by_lanes(const View& x, const View& y, const View& out, size_t axis) {
  const size_t lane = out.shape.size() - 1;
  const int64_t lanes = out.shape[lane];
  // A single lane takes the same way, for the same bits.
  const int64_t x_lane = lanes == 1 ? 0 : x.strides[lane], y_lane = lanes == 1 ? 1 : y.strides[lane];
  const auto contiguous_or_uniform = [](int64_t stride) { return stride == 0 || stride == 1; };
  if ((out.strides[lane] != 1 && lanes > 1) || !contiguous_or_uniform(x_lane) ||
      !contiguous_or_uniform(y_lane) || x_lane + y_lane == 0)
    return false;
  const int64_t m = x.shape[axis], k = x.shape[axis + 1], n = y.shape[axis + 1];
  const int64_t x_row = x.strides[axis], x_col = x.strides[axis + 1], y_row = y.strides[axis],
                y_col = y.strides[axis + 1], out_row = out.strides[axis], out_col = out.strides[axis + 1];
  Axes others;
  for (size_t d = 0; d < lane; ++d)
    if (d != axis && d != axis + 1) others.push_back(static_cast<int64_t>(d));
  for_each_offset<T>(x, y, out, others, [&](const T* a, const T* b, T* c) {
    if (x_lane == 0)
      lane_kernels<T>().uniform(m, n, k, lanes, {a, x_row, x_col}, {b, y_row, y_col}, {},
                                {c, out_row, out_col});
    else if (y_lane == 0)  // (b^T a^T)^T
      lane_kernels<T>().uniform(n, m, k, lanes, {b, y_col, y_row}, {a, x_col, x_row}, {},
                                {c, out_col, out_row});
    else
      lane_kernels<T>().varying(m, n, k, lanes, {a, x_row, x_col}, {b, y_row, y_col}, {},
                                {c, out_row, out_col});
  });
  return true;
}

}  // namespace

void matmul(const View& x, const View& y, const View& out, int lane_axes) {
  const size_t axis = x.shape.size() - 2 - static_cast<size_t>(lane_axes);
  visit_dtype(x.dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    if constexpr (std::is_same_v<T, float> || std::is_same_v<T, double>)
      if (lane_axes > 0 && by_lanes<T>(x, y, out, axis)) return;
    if constexpr (!std::is_same_v<T, bool> && !std::is_same_v<T, Key>) one_by_one<T>(x, y, out, axis);
  });
}

}  // namespace hesse::cpu
