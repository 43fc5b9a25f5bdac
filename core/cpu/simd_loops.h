#pragma once
#include <algorithm>

#include "core/cpu/lane_gemm.h"
#include "core/cpu/loops.h"
#include "core/cpu/simd_kernels.h"

/// Strided operands through the vector kernels. What is neither contiguous nor uniform passes through
/// buffers, so that an entry is always computed by the same code.
namespace hesse::cpu {

inline constexpr int64_t kBlock = 256;

/// An operand of a run, block by block: in place if it is contiguous or uniform, else copied.
template <class T>
class BlockReader {
 public:
  BlockReader(const T* at, int64_t step) : at_(at), step_(step) {}
  /// 0 or 1: what the kernel has to know.
  int64_t step() const { return step_ == 0 ? 0 : 1; }
  const T* read(int64_t first, int64_t n) {
    if (step_ == 0 || step_ == 1) return at_ + first * step_;
    for (int64_t i = 0; i < n; ++i) block_[i] = at_[(first + i) * step_];
    return block_;
  }

 private:
  const T* at_;
  int64_t step_;
  T block_[kBlock];
};

/// Calls f(first, n, to) for blocks of a run; what f writes to `to` ends up in out.
template <class T, class F>
void write_blocks(T* out, int64_t step, int64_t n, F f) {
  T block[kBlock];
  for (int64_t first = 0; first < n; first += kBlock) {
    const int64_t m = std::min(kBlock, n - first);
    if (step == 1) {
      f(first, m, out + first);
    } else {
      f(first, m, block);
      for (int64_t i = 0; i < m; ++i) out[(first + i) * step] = block[i];
    }
  }
}

/// An operand of a result with short rows, such as a bias or a transposed matrix, many rows at a time: a run
/// for every row costs more than its entries.
template <class T>
class ShortRows {
 public:
  enum class Kind { Contiguous, Repeated, Transposed, Other };
  static Kind kind(const View& x) {
    if (is_contiguous(x.shape, x.strides)) return Kind::Contiguous;
    if (std::all_of(x.strides.begin(), x.strides.end() - 1, [](int64_t s) { return s == 0; }))
      return Kind::Repeated;
    return x.shape.size() == 2 && x.strides[0] == 1 && x.strides[1] > 0 ? Kind::Transposed : Kind::Other;
  }
  /// Whether that is worth while for one of the operands, and can be done for all.
  static bool fit(const View& out, std::initializer_list<const View*> operands) {
    if (out.shape.size() < 2 || out.shape.back() < 2 || out.shape.back() > kBlock / 2 ||
        !is_contiguous(out.shape, out.strides))
      return false;
    bool worthwhile = false;
    for (const View* x : operands) {
      const Kind k = kind(*x);
      if (k == Kind::Other) return false;
      worthwhile = worthwhile || k == Kind::Transposed || (k == Kind::Repeated && x->strides.back() != 0);
    }
    return worthwhile;
  }
  /// f(first entry, number of entries) for blocks of whole rows.
  template <class F>
  static void for_blocks(const View& out, F f) {
    const int64_t n = out.shape.back(), size = out.size(), step = kBlock / n * n;
    for (int64_t at = 0; at < size; at += step) f(at, std::min(step, size - at));
  }

  explicit ShortRows(const View& x) : kind_(kind(x)), at_(x.as<const T>()), n_(x.shape.back()) {
    if (kind_ == Kind::Transposed) step_ = x.strides[1];
    if (kind_ != Kind::Repeated) return;
    const int64_t filled = std::min(kBlock / n_ * n_, x.size());
    for (int64_t i = 0; i < filled; ++i) block_[i] = at_[i % n_ * x.strides.back()];
  }
  const T* read(int64_t first, int64_t n) {
    if (kind_ == Kind::Contiguous) return at_ + first;
    if (kind_ == Kind::Transposed) {
      const int64_t row = first / n_, rows = n / n_;
      if constexpr (std::is_same_v<T, float> || std::is_same_v<T, double>)
        lane_kernels<T>().transpose(n_, rows, at_ + row, step_, block_, n_);
      else
        for (int64_t i = 0; i < n; ++i) block_[i] = at_[row + i / n_ + i % n_ * step_];
    }
    return block_;
  }

 private:
  const Kind kind_;
  const T* const at_;
  const int64_t n_;
  int64_t step_ = 0;
  T block_[kBlock];
};

/// out = f(x), f(from, to, n) on contiguous entries.
template <class T, class F>
void map1_simd(const View& x, const View& out, F f) {
  if (ShortRows<T>::fit(out, {&x})) {
    ShortRows<T> rows(x);
    return ShortRows<T>::for_blocks(out,
                                    [&](int64_t at, int64_t n) { f(rows.read(at, n), out.as<T>() + at, n); });
  }
  for_each_run<2>({&x, &out}, [f](const Run<2>& r) {
    const T* const a = r.as<T>(0);
    T* const o = r.as<T>(1);
    if (r.step[0] == 1 && r.step[1] == 1) return f(a, o, r.n);
    if (r.step[0] == 0 || r.n == 1) {
      T value;
      f(a, &value, 1);
      for (int64_t i = 0; i < r.n; ++i) o[i * r.step[1]] = value;
      return;
    }
    BlockReader<T> from(a, r.step[0]);
    write_blocks(o, r.step[1], r.n, [&](int64_t first, int64_t m, T* to) { f(from.read(first, m), to, m); });
  });
}

/// For arithmetic (Out = T) and comparisons (Out = bool).
template <class T, class Out>
void map2_simd(const View& x, const View& y, const View& out,
               void (*f)(const T*, int64_t, const T*, int64_t, Out*, int64_t)) {
  if (ShortRows<T>::fit(out, {&x, &y})) {
    ShortRows<T> left(x), right(y);
    return ShortRows<T>::for_blocks(out, [&](int64_t at, int64_t n) {
      f(left.read(at, n), 1, right.read(at, n), 1, out.as<Out>() + at, n);
    });
  }
  for_each_run<3>({&x, &y, &out}, [f](const Run<3>& r) {
    const T *const a = r.as<T>(0), *const b = r.as<T>(1);
    Out* const o = r.as<Out>(2);
    const int64_t sa = r.step[0], sb = r.step[1];
    if ((sa == 0 || sa == 1) && (sb == 0 || sb == 1) && r.step[2] == 1) return f(a, sa, b, sb, o, r.n);
    BlockReader<T> left(a, sa), right(b, sb);
    write_blocks(o, r.step[2], r.n, [&](int64_t first, int64_t m, Out* to) {
      f(left.read(first, m), left.step(), right.read(first, m), right.step(), to, m);
    });
  });
}

template <class T>
void map3_simd(const View& c, const View& x, const View& y, const View& out,
               typename SimdKernels<T>::Select f) {
  for_each_run<4>({&c, &x, &y, &out}, [f](const Run<4>& r) {
    BlockReader<bool> condition(r.as<bool>(0), r.step[0]);
    BlockReader<T> left(r.as<T>(1), r.step[1]), right(r.as<T>(2), r.step[2]);
    write_blocks(r.as<T>(3), r.step[3], r.n, [&](int64_t first, int64_t m, T* to) {
      f(condition.read(first, m), condition.step(), left.read(first, m), left.step(), right.read(first, m),
        right.step(), to, m);
    });
  });
}

}  // namespace hesse::cpu
