#include "core/cpu/sparse_rows.h"

#include <hwy/cache_control.h>

#include <algorithm>
#include <type_traits>
#include <utility>

#include "core/cpu/simd_targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "core/cpu/sparse_rows.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace hesse::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// Positions between the prefetch of a gathered row and its use: some 16 KiB of rows are then on their way or
// wait in L1. 64 rows of 256 bytes from memory take half the time of 12. No division: rows are short.
constexpr int64_t positions_ahead(int64_t row_bytes) {
  return row_bytes <= 256 ? 64 : row_bytes <= 512 ? 32 : row_bytes <= 1024 ? 16 : 8;
}
constexpr int64_t kNear = int64_t{1} << 18;  // bytes of an operand that need no prefetching
// Where a row takes several passes over its positions (many heads, wide rows), they go over this many at a
// time, so that the gathered rows stay in L1.
constexpr int64_t kPass = 32;

// On lambdas: one that is called and not inlined has its captured accumulators stored at every step.
#undef HESSE_INLINED
#define HESSE_INLINED HWY_ATTR __attribute__((always_inline))

/// f(0), ..., f(N - 1) with constant indices: the compiler then keeps arrays of vectors in registers.
template <class F, size_t... K>
HWY_INLINE void repeat_indices(F&& f, std::index_sequence<K...>) {
  (f(std::integral_constant<int, static_cast<int>(K)>()), ...);
}
template <int N, class F>
HWY_INLINE void repeat(F&& f) {
  repeat_indices(f, std::make_index_sequence<static_cast<size_t>(N)>());
}

/// Which columns and entries the positions of a range have.
template <class I>
class Walk {
 public:
  explicit HWY_INLINE Walk(const RowPattern<I>& p) : p_(p) {}
  HWY_INLINE bool locate(int64_t at, int64_t& column, int64_t& entry) const {
    column = p_.columns ? static_cast<int64_t>(p_.columns[at]) : at;
    entry = p_.entries ? static_cast<int64_t>(p_.entries[at]) : at;
    return static_cast<uint64_t>(column) < static_cast<uint64_t>(p_.cols) &&
           static_cast<uint64_t>(entry) < static_cast<uint64_t>(p_.num_entries);
  }
  bool range(int64_t row, int64_t& begin, int64_t& end) const {
    begin = p_.starts[row];
    end = p_.starts[row + 1];
    return begin >= 0 && begin <= end && end <= p_.positions;
  }
  /// Asks for `bytes` of the row that position `later` gathers.
  template <class T>
  HWY_INLINE void prefetch(int64_t later, const T* x, int64_t step, int64_t bytes) const {
    if (p_.near || p_.columns == nullptr || later >= p_.positions) return;
    const uintptr_t row = reinterpret_cast<uintptr_t>(x) + static_cast<uintptr_t>(p_.columns[later]) *
                                                               static_cast<uintptr_t>(step) * sizeof(T);
    for (int64_t b = 0; b < bytes; b += 64)
      hwy::Prefetch(reinterpret_cast<const char*>(row + static_cast<uintptr_t>(b)));
  }
  /// And for the value.
  template <class T>
  HWY_INLINE void prefetch_value(int64_t later, const T* values, int64_t step) const {
    if (p_.near || p_.entries == nullptr || later >= p_.positions) return;
    hwy::Prefetch(reinterpret_cast<const char*>(reinterpret_cast<uintptr_t>(values) +
                                                static_cast<uintptr_t>(p_.entries[later]) *
                                                    static_cast<uintptr_t>(step) * sizeof(T)));
  }

 private:
  const RowPattern<I> p_;
};

/// One vector of a row, of which `some` numbers count where it is the last and not whole: what lies behind
/// them is neither read nor written.
template <bool Partial, class D, class T>
HWY_INLINE hn::Vec<D> load(D d, const T* p, int64_t some) {
  if constexpr (Partial) {
#if HWY_TARGET == HWY_AVX2 || HWY_TARGET == HWY_AVX3
    return hn::MaskedLoad(hn::FirstN(d, static_cast<size_t>(some)), d, p);
#else
    HWY_ALIGN T buffer[hn::MaxLanes(d)] = {};
    for (int64_t i = 0; i < some; ++i) buffer[i] = p[i];
    return hn::Load(d, buffer);
#endif
  }
  return hn::LoadU(d, p);
}
template <bool Partial, class D, class T>
HWY_INLINE void store(hn::Vec<D> v, D d, T* p, int64_t some) {
  if constexpr (Partial) {
#if HWY_TARGET == HWY_AVX2 || HWY_TARGET == HWY_AVX3
    hn::BlendedStore(v, hn::FirstN(d, static_cast<size_t>(some)), d, p);
#else
    HWY_ALIGN T buffer[hn::MaxLanes(d)];
    hn::Store(v, d, buffer);
    for (int64_t i = 0; i < some; ++i) p[i] = buffer[i];
#endif
  } else {
    hn::StoreU(v, d, p);
  }
}

/// f(number of vectors, whether the last is partial, first entry, entries in the last) for every register
/// block of a row.
template <class T, class F>
HWY_INLINE void for_blocks(int64_t width, F&& f) {
  const hn::ScalableTag<T> d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  int64_t at = 0;
  while (at < width) {
    const int64_t left = width - at, vectors = (left + lanes - 1) / lanes;
    const int64_t n = vectors >= 8 ? 8 : std::min<int64_t>(vectors, 4);
    const int64_t last = std::min(lanes, left - (n - 1) * lanes);
    f(static_cast<int>(n), last < lanes, at, last);
    at += n * lanes;
  }
}
template <class F>
HWY_INLINE void with_constants(int vectors, bool partial, F&& f) {
  switch (vectors * 2 + (partial ? 1 : 0)) {
#define HESSE_CASE(n)                                                                  \
  case 2 * (n):                                                                        \
    return f(std::integral_constant<int, n>{}, std::integral_constant<bool, false>{}); \
  case 2 * (n) + 1:                                                                    \
    return f(std::integral_constant<int, n>{}, std::integral_constant<bool, true>{});
    HESSE_CASE(1)
    HESSE_CASE(2)
    HESSE_CASE(3)
    HESSE_CASE(4)
    HESSE_CASE(8)
#undef HESSE_CASE
    default:
      return;
  }
}

/// y[w] (+)= sum of v * x[c, w] over positions, one register block of a row; `each`: the values are as wide
/// as the rows and multiply them number by number.
template <int N, bool Partial, bool Each, class T, class I>
bool add_block(const RowPattern<I>& p, const T* values, int64_t value_step, const T* x, int64_t x_step, T* y,
               int64_t some, int64_t begin, int64_t end, bool fresh) {
  const hn::ScalableTag<T> d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  const Walk<I> walk(p);
  using V = hn::Vec<decltype(d)>;
  V acc[N];
  repeat<N>([&](auto k) HESSE_INLINED {
    acc[k] = fresh ? hn::Zero(d) : load < Partial && k == N - 1 > (d, y + k * lanes, some);
  });
  bool ok = true;
  const int64_t bytes = (Partial ? (N - 1) * lanes + some : N * lanes) * static_cast<int64_t>(sizeof(T));
  const int64_t ahead = positions_ahead(x_step * static_cast<int64_t>(sizeof(T)));
  for (int64_t at = begin; at < end; ++at) {
    int64_t c, e;
    walk.prefetch(at + ahead, x, x_step, bytes);
    walk.prefetch_value(at + ahead, values, value_step);
    if (HWY_UNLIKELY(!walk.locate(at, c, e))) {
      ok = false;
      continue;
    }
    const T* const row = x + c * x_step;
    const T* const v = values + e * value_step;
    repeat<N>([&](auto k) HESSE_INLINED {
      constexpr bool kPartial = Partial && k == N - 1;
      const V number = load<kPartial>(d, row + k * lanes, some);
      if constexpr (Each)
        acc[k] = hn::MulAdd(load<kPartial>(d, v + k * lanes, some), number, acc[k]);
      else
        acc[k] = hn::MulAdd(hn::Set(d, *v), number, acc[k]);
    });
  }
  repeat<N>([&](auto k) HESSE_INLINED { store<Partial && k == N - 1>(acc[k], d, y + k * lanes, some); });
  return ok;
}

/// One number a row: four sums, so that additions do not wait for each other. `Far`: values are asked for
/// ahead.
template <bool Far, class T, class I>
bool add_numbers(const RowPattern<I>& p, const T* values, int64_t value_step, const T* x, int64_t x_step,
                 T* y, int64_t begin, int64_t end) {
  const Walk<I> walk(p);
  T sums[4] = {};
  bool ok = true;
  int64_t c, e, at = begin;
  for (; at + 4 <= end; at += 4)
    for (int k = 0; k < 4; ++k) {
      if constexpr (Far) walk.prefetch_value(at + k + positions_ahead(sizeof(T)), values, value_step);
      if (HWY_UNLIKELY(!walk.locate(at + k, c, e)))
        ok = false;
      else
        sums[k] += values[e * value_step] * x[c * x_step];
    }
  for (; at < end; ++at) {
    if (HWY_UNLIKELY(!walk.locate(at, c, e)))
      ok = false;
    else
      sums[0] += values[e * value_step] * x[c * x_step];
  }
  *y = (sums[0] + sums[1]) + (sums[2] + sums[3]);
  return ok;
}

template <class T, class I>
bool ProductOf(const RowPattern<I>& p, DenseRows<const T> values, DenseRows<const T> x, T* y, int64_t heads,
               int64_t width, int64_t begin, int64_t end) {
  if (heads * width == 1) return add_numbers<false>(p, values.at, values.step, x.at, x.step, y, begin, end);
  // One number for each head: heads are neighbours in the values and in the rows alike.
  const bool each = width == 1;
  const int64_t passes = each ? 1 : heads, row = each ? heads : width;
  const auto lanes = static_cast<int64_t>(hn::Lanes(hn::ScalableTag<T>()));
  const bool single = passes == 1 && row <= 8 * lanes && (row > 7 * lanes || row <= 4 * lanes);
  bool ok = true;
  for (int64_t b = begin; b == begin || b < end; b += kPass) {
    const int64_t e = single ? end : std::min(end, b + kPass);
    for (int64_t h = 0; h < passes; ++h)
      for_blocks<T>(row, [&](int vectors, bool partial, int64_t at, int64_t some) HWY_ATTR {
        const int64_t first = h * row + at;
        with_constants(vectors, partial, [&](auto n, auto part) HWY_ATTR {
          ok &= each ? add_block<n(), part(), true>(p, values.at + at, values.step, x.at + first, x.step,
                                                    y + first, some, b, e, b == begin)
                     : add_block<n(), part(), false>(p, values.at + h, values.step, x.at + first, x.step,
                                                     y + first, some, b, e, b == begin);
        });
      });
    if (single) break;
  }
  return ok;
}

/// f(row, begin, end) for rows of at most `longest` positions.
template <class I, class F>
HWY_INLINE bool for_rows(const RowPattern<I>& p, int64_t first, int64_t last, int64_t longest,
                         bool* any_longer, F&& f) {
  const Walk<I> walk(p);
  bool ok = true;
  for (int64_t r = first; r < last; ++r) {
    int64_t begin = 0, end = 0;
    if (!walk.range(r, begin, end)) {
      ok = false;
      begin = end = 0;
    }
    if (end - begin > longest)
      *any_longer = true;
    else
      ok &= f(r, begin, end);
  }
  return ok;
}

/// Whether all are in [0, limit). Compilers keep to one number at a time here.
template <class I>
bool all_below(const I* x, int64_t n, int64_t limit) {
  using U = std::make_unsigned_t<I>;
  const hn::ScalableTag<U> d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  const auto* u = reinterpret_cast<const U*>(x);
  auto most = hn::Zero(d), others = most;
  int64_t i = 0;
  for (; i + 2 * lanes <= n; i += 2 * lanes) {
    most = hn::Max(most, hn::LoadU(d, u + i));
    others = hn::Max(others, hn::LoadU(d, u + i + lanes));
  }
  U largest = hn::GetLane(hn::MaxOfLanes(d, hn::Max(most, others)));
  for (; i < n; ++i) largest = std::max(largest, u[i]);
  return n == 0 || static_cast<uint64_t>(largest) < static_cast<uint64_t>(limit);
}

/// Whether the rows [first, last) follow each other, and their columns and entries are in range.
template <class I>
bool in_range(const RowPattern<I>& p, int64_t first, int64_t last) {
  const int64_t begin = p.starts[first], end = p.starts[last];
  if (begin < 0 || end > p.positions) return false;
  for (int64_t r = first; r < last; ++r)
    if (p.starts[r] > p.starts[r + 1]) return false;
  if (!p.columns && end > p.cols) return false;
  if (!p.entries && end > p.num_entries) return false;
  return (!p.columns || all_below(p.columns + begin, end - begin, p.cols)) &&
         (!p.entries || all_below(p.entries + begin, end - begin, p.num_entries));
}

/// y[w] = sum of v * x[c, w] over positions that are in range, for a row that is one register block. Rows of
/// one or two vectors have two sums, so that additions do not wait for each other.
template <int N, bool Partial, bool Entries, class D, class T, class I>
HWY_INLINE void product_of_block(D d, const RowPattern<I>& p, DenseRows<const T> values, DenseRows<const T> x,
                                 T* y, int64_t some, int64_t begin, int64_t end) {
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  using V = hn::Vec<decltype(d)>;
  constexpr int kSums = N <= 2 ? 2 : 1;
  V acc[kSums][N];
  repeat<kSums>([&](auto s)
                    HESSE_INLINED { repeat<N>([&](auto k) HESSE_INLINED { acc[s][k] = hn::Zero(d); }); });
  const auto add = [&](int64_t at, auto s) HESSE_INLINED {
    const T* const row = x.at + static_cast<int64_t>(p.columns[at]) * x.step;
    const int64_t e = Entries ? static_cast<int64_t>(p.entries[at]) : at;
    const V v = hn::Set(d, values.at[e * values.step]);
    repeat<N>([&](auto k) HESSE_INLINED {
      acc[s][k] = hn::MulAdd(v, load < Partial && k == N - 1 > (d, row + k * lanes, some), acc[s][k]);
    });
  };
  constexpr auto kFirst = std::integral_constant<int, 0>();
  constexpr auto kLast = std::integral_constant<int, kSums - 1>();
  int64_t at = begin;
  for (; at + 2 <= end; at += 2) {
    add(at, kFirst);
    add(at + 1, kLast);
  }
  if (at < end) add(at, kFirst);
  repeat<N>([&](auto k) HESSE_INLINED {
    const V sum = kSums == 2 ? hn::Add(acc[0][k], acc[kSums - 1][k]) : acc[0][k];
    store<Partial && k == N - 1>(sum, d, y + k * lanes, some);
  });
}

template <class T, class I>
bool ProductRows(const RowPattern<I>& p, DenseRows<const T> values, DenseRows<const T> x, DenseRows<T> y,
                 int64_t heads, int64_t width, int64_t first, int64_t last, int64_t longest,
                 bool* any_longer) {
  const auto lanes = static_cast<int64_t>(hn::Lanes(hn::ScalableTag<T>()));
  if (heads == 1 && width > 1 && width <= 4 * lanes && p.columns && first < last &&
      p.cols * x.step * static_cast<int64_t>(sizeof(T)) <= kNear && in_range(p, first, last)) {
    const auto all = [&](auto d, int64_t some, auto n, auto partial) HWY_ATTR {
      const auto rows = [&](auto entries) HWY_ATTR {
        for_rows(p, first, last, longest, any_longer, [&](int64_t r, int64_t begin, int64_t end) HWY_ATTR {
          product_of_block<n(), partial(), entries()>(d, p, values, x, y.at + r * y.step, some, begin, end);
          return true;
        });
      };
      p.entries ? rows(std::true_type()) : rows(std::false_type());
    };
    const hn::ScalableTag<T> whole;
#if HWY_TARGET == HWY_AVX2 || HWY_TARGET == HWY_AVX3
    if (2 * width <= lanes) {  // half a vector lies in two lines of the cache less often
      const hn::Half<decltype(whole)> half;
      const auto one = std::integral_constant<int, 1>();
      2 * width < lanes ? all(half, width, one, std::true_type()) : all(half, width, one, std::false_type());
      return true;
    }
#endif
    const int64_t vectors = (width + lanes - 1) / lanes, some = width - (vectors - 1) * lanes;
    with_constants(static_cast<int>(vectors), some < lanes,
                   [&](auto n, auto partial) HWY_ATTR { all(whole, some, n, partial); });
    return true;
  }
  if (heads * width == 1 && p.entries && p.num_entries * static_cast<int64_t>(sizeof(T)) > kNear)
    return for_rows(p, first, last, longest, any_longer, [&](int64_t r, int64_t begin, int64_t end) HWY_ATTR {
      return add_numbers<true>(p, values.at, values.step, x.at, x.step, y.at + r * y.step, begin, end);
    });
  return for_rows(p, first, last, longest, any_longer, [&](int64_t r, int64_t begin, int64_t end) HWY_ATTR {
    return ProductOf<T, I>(p, values, x, y.at + r * y.step, heads, width, begin, end);
  });
}

/// value (+)= sum of a[w] * b[c, w] over a register block of the row.
template <int N, bool Partial, class T, class I>
bool dot_block(const RowPattern<I>& p, const T* a, const T* b, int64_t b_step, T* values, int64_t value_step,
               int64_t some, int64_t begin, int64_t end, bool fresh) {
  const hn::ScalableTag<T> d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  const Walk<I> walk(p);
  using V = hn::Vec<decltype(d)>;
  V left[N];
  repeat<N>([&](auto k) HESSE_INLINED { left[k] = load < Partial && k == N - 1 > (d, a + k * lanes, some); });
  bool ok = true;
  const int64_t bytes = (Partial ? (N - 1) * lanes + some : N * lanes) * static_cast<int64_t>(sizeof(T));
  const int64_t ahead = positions_ahead(b_step * static_cast<int64_t>(sizeof(T)));
  for (int64_t at = begin; at < end; ++at) {
    int64_t c, e;
    walk.prefetch(at + ahead, b, b_step, bytes);
    if (HWY_UNLIKELY(!walk.locate(at, c, e))) {
      ok = false;
      continue;
    }
    const T* const row = b + c * b_step;
    V sums[2] = {hn::Zero(d), hn::Zero(d)};
    repeat<N>([&](auto k) HESSE_INLINED {
      const V number = load < Partial && k == N - 1 > (d, row + k * lanes, some);
      sums[k % 2] = k < 2 ? hn::Mul(left[k], number) : hn::MulAdd(left[k], number, sums[k % 2]);
    });
    const V sum = N > 1 ? hn::Add(sums[0], sums[1]) : sums[0];
    T* const to = values + e * value_step;
    const T dot = hn::GetLane(hn::SumOfLanes(d, sum));
    *to = fresh ? dot : *to + dot;
  }
  return ok;
}

/// value[h] = a[h] * b[c, h] over a register block of the row: one number for each head.
template <int N, bool Partial, class T, class I>
bool times_block(const RowPattern<I>& p, const T* a, const T* b, int64_t b_step, T* values,
                 int64_t value_step, int64_t some, int64_t begin, int64_t end) {
  const hn::ScalableTag<T> d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  const Walk<I> walk(p);
  using V = hn::Vec<decltype(d)>;
  V left[N];
  repeat<N>([&](auto k) HESSE_INLINED { left[k] = load < Partial && k == N - 1 > (d, a + k * lanes, some); });
  bool ok = true;
  const int64_t bytes = (Partial ? (N - 1) * lanes + some : N * lanes) * static_cast<int64_t>(sizeof(T));
  const int64_t ahead = positions_ahead(b_step * static_cast<int64_t>(sizeof(T)));
  for (int64_t at = begin; at < end; ++at) {
    int64_t c, e;
    walk.prefetch(at + ahead, b, b_step, bytes);
    if (HWY_UNLIKELY(!walk.locate(at, c, e))) {
      ok = false;
      continue;
    }
    const T* const row = b + c * b_step;
    T* const to = values + e * value_step;
    repeat<N>([&](auto k) HESSE_INLINED {
      constexpr bool kPartial = Partial && k == N - 1;
      store<kPartial>(hn::Mul(left[k], load<kPartial>(d, row + k * lanes, some)), d, to + k * lanes, some);
    });
  }
  return ok;
}

template <class T, class I>
bool SampledOf(const RowPattern<I>& p, const T* a, DenseRows<const T> b, DenseRows<T> values, int64_t heads,
               int64_t width, int64_t begin, int64_t end) {
  bool ok = true;
  if (width == 1) {
    for (int64_t from = begin; from < end; from += kPass)
      for_blocks<T>(heads, [&](int vectors, bool partial, int64_t at, int64_t some) HWY_ATTR {
        with_constants(vectors, partial, [&](auto n, auto part) HWY_ATTR {
          ok &= times_block<n(), part()>(p, a + at, b.at + at, b.step, values.at + at, values.step, some,
                                         from, std::min(end, from + kPass));
        });
      });
    return ok;
  }
  const auto lanes = static_cast<int64_t>(hn::Lanes(hn::ScalableTag<T>()));
  const bool single = heads == 1 && width <= 8 * lanes && (width > 7 * lanes || width <= 4 * lanes);
  for (int64_t from = begin; from < end; from += kPass) {
    const int64_t to = single ? end : std::min(end, from + kPass);
    for (int64_t h = 0; h < heads; ++h)
      for_blocks<T>(width, [&](int vectors, bool partial, int64_t at, int64_t some) HWY_ATTR {
        const int64_t first = h * width + at;
        with_constants(vectors, partial, [&](auto n, auto part) HWY_ATTR {
          ok &= dot_block<n(), part()>(p, a + first, b.at + first, b.step, values.at + h, values.step, some,
                                       from, to, at == 0);
        });
      });
    if (single) break;
  }
  return ok;
}

template <class T, class I>
bool SampledRows(const RowPattern<I>& p, DenseRows<const T> a, DenseRows<const T> b, DenseRows<T> values,
                 int64_t heads, int64_t width, int64_t first, int64_t last, int64_t longest,
                 bool* any_longer) {
  return for_rows(p, first, last, longest, any_longer, [&](int64_t r, int64_t begin, int64_t end) HWY_ATTR {
    return SampledOf<T, I>(p, a.at + r * a.step, b, values, heads, width, begin, end);
  });
}

/// y[w] (+)= sum of v * g[c, w] and product (+)= sum of x[w] * g[c, w] over a register block of the row.
template <int N, bool Partial, class T, class I>
bool adjoint_block(const RowPattern<I>& p, const T* values, int64_t value_step, const T* x, const T* g,
                   int64_t g_step, T* y, T* products, int64_t product_step, int64_t some, int64_t begin,
                   int64_t end, bool fresh_row, bool fresh_products) {
  const hn::ScalableTag<T> d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  const Walk<I> walk(p);
  using V = hn::Vec<decltype(d)>;
  V acc[N];
  repeat<N>([&](auto k) HESSE_INLINED {
    acc[k] = fresh_row ? hn::Zero(d) : load < Partial && k == N - 1 > (d, y + k * lanes, some);
  });
  bool ok = true;
  const int64_t bytes = (Partial ? (N - 1) * lanes + some : N * lanes) * static_cast<int64_t>(sizeof(T));
  const int64_t ahead = positions_ahead(g_step * static_cast<int64_t>(sizeof(T)));
  for (int64_t at = begin; at < end; ++at) {
    int64_t c, e;
    walk.prefetch(at + ahead, g, g_step, bytes);
    walk.prefetch_value(at + ahead, values, value_step);
    walk.prefetch_value(at + ahead, products, product_step);
    if (HWY_UNLIKELY(!walk.locate(at, c, e))) {
      ok = false;
      continue;
    }
    const T* const row = g + c * g_step;
    const V splat = hn::Set(d, values[e * value_step]);
    V sums[2] = {hn::Zero(d), hn::Zero(d)};
    repeat<N>([&](auto k) HESSE_INLINED {
      constexpr bool kPartial = Partial && k == N - 1;
      const V number = load<kPartial>(d, row + k * lanes, some);
      const V own = load<kPartial>(d, x + k * lanes, some);
      acc[k] = hn::MulAdd(splat, number, acc[k]);
      sums[k % 2] = k < 2 ? hn::Mul(own, number) : hn::MulAdd(own, number, sums[k % 2]);
    });
    const T dot = hn::GetLane(hn::SumOfLanes(d, N > 1 ? hn::Add(sums[0], sums[1]) : sums[0]));
    T* const to = products + e * product_step;
    *to = fresh_products ? dot : *to + dot;
  }
  repeat<N>([&](auto k) HESSE_INLINED { store<Partial && k == N - 1>(acc[k], d, y + k * lanes, some); });
  return ok;
}

template <class T, class I>
bool AdjointOf(const RowPattern<I>& p, DenseRows<const T> values, const T* x, DenseRows<const T> g, T* y,
               DenseRows<T> products, int64_t heads, int64_t width, int64_t begin, int64_t end) {
  const auto lanes = static_cast<int64_t>(hn::Lanes(hn::ScalableTag<T>()));
  const bool single = heads == 1 && width <= 8 * lanes && (width > 7 * lanes || width <= 4 * lanes);
  bool ok = true;
  for (int64_t b = begin; b == begin || b < end; b += kPass) {
    const int64_t e = single ? end : std::min(end, b + kPass);
    for (int64_t h = 0; h < heads; ++h)
      for_blocks<T>(width, [&](int vectors, bool partial, int64_t at, int64_t some) HWY_ATTR {
        const int64_t first = h * width + at;
        with_constants(vectors, partial, [&](auto n, auto part) HWY_ATTR {
          ok &= adjoint_block<n(), part()>(p, values.at + h, values.step, x + first, g.at + first, g.step,
                                           y + first, products.at + h, products.step, some, b, e, b == begin,
                                           at == 0);
        });
      });
    if (single) break;
  }
  return ok;
}

template <class T, class I>
bool AdjointRows(const RowPattern<I>& p, DenseRows<const T> values, DenseRows<const T> x,
                 DenseRows<const T> g, DenseRows<T> y, DenseRows<T> products, int64_t heads, int64_t width,
                 int64_t first, int64_t last, int64_t longest, bool* any_longer) {
  return for_rows(p, first, last, longest, any_longer, [&](int64_t r, int64_t begin, int64_t end) HWY_ATTR {
    return AdjointOf<T, I>(p, values, x.at + r * x.step, g, y.at + r * y.step, products, heads, width, begin,
                           end);
  });
}

template <class T, class I>
const SparseRows<T, I>& Rows() {
  static constexpr SparseRows<T, I> kernels{ProductRows<T, I>, ProductOf<T, I>,   SampledRows<T, I>,
                                            SampledOf<T, I>,   AdjointRows<T, I>, AdjointOf<T, I>};
  return kernels;
}
const SparseRows<float, int32_t>& Rows32Of32() { return Rows<float, int32_t>(); }
const SparseRows<float, int64_t>& Rows32Of64() { return Rows<float, int64_t>(); }
const SparseRows<double, int32_t>& Rows64Of32() { return Rows<double, int32_t>(); }
const SparseRows<double, int64_t>& Rows64Of64() { return Rows<double, int64_t>(); }

}  // namespace hesse::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace hesse::cpu {

#if HWY_TARGETS & HWY_AVX3
#define HESSE_AVX3(Name) \
  if (isa == Isa::Avx512) return N_AVX3::Name();
#else
#define HESSE_AVX3(Name)
#endif
#if HWY_TARGETS & HWY_AVX2
#define HESSE_AVX2(Name) \
  if (isa != Isa::Baseline) return N_AVX2::Name();
#else
#define HESSE_AVX2(Name)
#endif
#define HESSE_ROWS(T, I, Name)                         \
  template <>                                          \
  const SparseRows<T, I>& sparse_rows<T, I>(Isa isa) { \
    HESSE_AVX3(Name)                                   \
    HESSE_AVX2(Name)                                   \
    (void)isa;                                         \
    return HWY_STATIC_DISPATCH(Name)();                \
  }
HESSE_ROWS(float, int32_t, Rows32Of32)
HESSE_ROWS(float, int64_t, Rows32Of64)
HESSE_ROWS(double, int32_t, Rows64Of32)
HESSE_ROWS(double, int64_t, Rows64Of64)
#undef HESSE_ROWS
#undef HESSE_AVX2
#undef HESSE_AVX3

}  // namespace hesse::cpu
#endif
