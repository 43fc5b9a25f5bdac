#pragma once
#include <cstdint>
#include <limits>
#include <type_traits>

#include "core/array.h"
#include "core/cpu/simd_reduce.h"

/// The loops below every reduction. The order in which elements are combined depends only on how many there
/// are: a pairwise tree over blocks of 128, eight interleaved partial results in a block. Layout, lanes and
/// instruction set do not change the bits.
namespace hesse::reduction {

/// The axes of a reduction with their strides, neighbours merged: those that stay and those that go.
struct Loops {
  Dims kept, kept_x, kept_out;
  Dims reduced, reduced_x;
  int64_t count = 1;  // elements combined into one
};
Loops make_loops(const View& x, const View& out, const Axes& axes, bool keepdims);

/// Integer arithmetic wraps.
template <class A>
A wrapping_add(A a, A b) {
  if constexpr (std::is_integral_v<A> && !std::is_same_v<A, bool>) {
    using U = std::make_unsigned_t<A>;
    return static_cast<A>(static_cast<U>(static_cast<U>(a) + static_cast<U>(b)));
  } else {
    return a + b;
  }
}
template <class A>
A wrapping_multiply(A a, A b) {
  if constexpr (std::is_integral_v<A> && !std::is_same_v<A, bool>) {
    // In 64 bits: 16-bit operands would be promoted to a signed int.
    return static_cast<A>(static_cast<uint64_t>(a) * static_cast<uint64_t>(b));
  } else {
    return a * b;
  }
}

struct Sum {
  template <class A>
  static A identity() {
    return A(0);
  }
  template <class A>
  static A combine(A a, A b) {
    return wrapping_add(a, b);
  }
  template <class A>
  static const cpu::BlockFold<A>& fold(const cpu::BlockFolds<A>& folds) {
    return folds.sum;
  }
};
struct Product {
  template <class A>
  static A identity() {
    return A(1);
  }
  template <class A>
  static A combine(A a, A b) {
    return wrapping_multiply(a, b);
  }
};
/// NaN wins.
struct Max {
  template <class A>
  static A identity() {
    return std::numeric_limits<A>::lowest();
  }
  template <class A>
  static A combine(A a, A b) {
    return a > b || a != a ? a : b;
  }
  template <class A>
  static const cpu::BlockFold<A>& fold(const cpu::BlockFolds<A>& folds) {
    return folds.max;
  }
};
struct Min {
  template <class A>
  static A identity() {
    return std::numeric_limits<A>::max();
  }
  template <class A>
  static A combine(A a, A b) {
    return a < b || a != a ? a : b;
  }
  template <class A>
  static const cpu::BlockFold<A>& fold(const cpu::BlockFolds<A>& folds) {
    return folds.min;
  }
};
struct All {
  template <class A>
  static A identity() {
    return true;
  }
  template <class A>
  static A combine(A a, A b) {
    return a && b;
  }
};
struct Any {
  template <class A>
  static A identity() {
    return false;
  }
  template <class A>
  static A combine(A a, A b) {
    return a || b;
  }
};

/// Whether there are vector kernels for the combination.
template <class Op>
concept HasFold = requires(const cpu::BlockFolds<double>& folds) {
  Op::fold(folds);
};

/// W neighbouring results at once.
template <class A, int W>
struct Pack {
  A v[W];
};

inline constexpr int64_t kBlock = 128;
/// Of what is left of a row: sums over nodes of 7 classes, say.
inline constexpr int kNarrowWidth = 4;

/// Combines n <= kBlock elements; at(i) points to the i-th of W neighbours.
template <class Op, class T, int W, class At>
Pack<T, W> fold_block(int64_t n, At at) {
  const auto fold = [](Pack<T, W>& a, const T* q) {
    for (int w = 0; w < W; ++w) a.v[w] = Op::template combine<T>(a.v[w], q[w]);
  };
  const auto load = [](const T* q) {
    Pack<T, W> p;
    for (int w = 0; w < W; ++w) p.v[w] = q[w];
    return p;
  };
  if (n < 8) {
    Pack<T, W> r = load(at(0));
    for (int64_t i = 1; i < n; ++i) fold(r, at(i));
    return r;
  }
  Pack<T, W> r[8];
  for (int j = 0; j < 8; ++j) r[j] = load(at(j));
  int64_t i = 8;
  for (; i + 8 <= n; i += 8)
    for (int j = 0; j < 8; ++j) fold(r[j], at(i + j));
  for (int step = 1; step < 8; step *= 2)
    for (int j = 0; j < 8; j += 2 * step) fold(r[j], r[j + step].v);
  for (; i < n; ++i) fold(r[0], at(i));
  return r[0];
}

/// Combines elements [begin, begin + n) of the reduced axes, in row-major order, from `base`.
template <class Op, class T, int W>
Pack<T, W> fold_range(const T* base, const Loops& loops, int64_t begin, int64_t n) {
  if (n > kBlock) {
    int64_t half = n / 2;
    half -= half % 8;
    Pack<T, W> a = fold_range<Op, T, W>(base, loops, begin, half);
    const Pack<T, W> b = fold_range<Op, T, W>(base, loops, begin + half, n - half);
    for (int w = 0; w < W; ++w) a.v[w] = Op::template combine<T>(a.v[w], b.v[w]);
    return a;
  }
  const size_t axes = loops.reduced.size();
  if (axes <= 1) {
    const int64_t stride = axes == 1 ? loops.reduced_x[0] : 0;
    const T* const first = base + begin * stride;
    if constexpr (std::is_floating_point_v<T> && HasFold<Op>) {
      const cpu::BlockFold<T>& fold = Op::fold(cpu::block_folds<T>());
      if constexpr (W == cpu::kReduceWidth<T>) {
        Pack<T, W> out;
        fold.columns(first, stride, n, out.v);
        return out;
      } else if (W == 1 && stride == 1) {
        return {{fold.run(first, n)}};
      }
    }
    if (W == 1 && stride == 1) return fold_block<Op, T, W>(n, [first](int64_t i) { return first + i; });
    return fold_block<Op, T, W>(n, [first, stride](int64_t i) { return first + i * stride; });
  }
  // Several strided axes: the block's offsets first.
  int64_t offsets[kBlock];
  Dims index(axes, 0);
  int64_t offset = 0;
  for (size_t d = axes, rest = static_cast<size_t>(begin); d-- > 0;) {
    const auto length = static_cast<size_t>(loops.reduced[d]);
    index[d] = static_cast<int64_t>(rest % length);
    rest /= length;
    offset += index[d] * loops.reduced_x[d];
  }
  for (int64_t i = 0; i < n; ++i) {
    offsets[i] = offset;
    for (size_t d = axes; d-- > 0;) {
      offset += loops.reduced_x[d];
      if (++index[d] < loops.reduced[d]) break;
      offset -= loops.reduced[d] * loops.reduced_x[d];
      index[d] = 0;
    }
  }
  return fold_block<Op, T, W>(n, [base, &offsets](int64_t i) { return base + offsets[i]; });
}

/// out = x reduced over `axes`; every further axis, lanes included, is kept.
template <class Op, class T>
void reduce(const View& x, const View& out, const Axes& axes, bool keepdims) {
  constexpr int kWidth = cpu::kReduceWidth<T>;
  if (out.size() == 0) return;
  Loops loops = make_loops(x, out, axes, keepdims);
  const T* px = x.as<T>();
  T* po = out.as<T>();
  // The innermost kept axis is run in packs where it is contiguous, or one by one.
  int64_t inner = 1, inner_x = 0, inner_out = 0;
  if (!loops.kept.empty()) {
    inner = loops.kept.back();
    inner_x = loops.kept_x.back();
    inner_out = loops.kept_out.back();
    loops.kept.pop_back();
  }
  const size_t outer_axes = loops.kept.size();
  Dims index(outer_axes, 0);
  for (;;) {
    if (loops.count == 0) {
      for (int64_t i = 0; i < inner; ++i) po[i * inner_out] = Op::template identity<T>();
    } else {
      int64_t i = 0;
      const auto packs = [&]<int W>(std::integral_constant<int, W>) {
        for (; i + W <= inner; i += W) {
          const Pack<T, W> r = fold_range<Op, T, W>(px + i * inner_x, loops, 0, loops.count);
          for (int w = 0; w < W; ++w) po[(i + w) * inner_out] = r.v[w];
        }
      };
      if (inner_x == 1) {
        packs(std::integral_constant<int, kWidth>{});
        packs(std::integral_constant<int, kNarrowWidth>{});
      }
      packs(std::integral_constant<int, 1>{});
    }
    size_t d = outer_axes;
    for (; d-- > 0;) {
      px += loops.kept_x[d];
      po += loops.kept_out[d];
      if (++index[d] < loops.kept[d]) break;
      px -= loops.kept[d] * loops.kept_x[d];
      po -= loops.kept[d] * loops.kept_out[d];
      index[d] = 0;
    }
    if (d == static_cast<size_t>(-1)) return;
  }
}

}  // namespace hesse::reduction
