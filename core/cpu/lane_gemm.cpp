#include "core/cpu/lane_gemm.h"

#include <algorithm>
#include <utility>

#include <hwy/cache_control.h>

#include "core/cpu/simd_targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "core/cpu/lane_gemm.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace hesse::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// Vectors of lanes that a block takes: with 32 registers 5 x 4 accumulators and 4 operands fit, with 16 6 x 2
// and 2. Where both matrices vary, 4 x 4 accumulators and 5 operands, or 3 x 4 and 4.
#if HWY_MAX_BYTES == 64 || HWY_TARGET == HWY_NEON
constexpr int kVectors = 4;
constexpr int kVaryingRows = 4;
#else
constexpr int kVectors = 2;
constexpr int kVaryingRows = 3;
#endif
constexpr int kRows = kVectors == 4 ? 5 : 6;
constexpr int kColumns = 4;
/// Rows of a block of one column and few vectors: enough sums to keep the adders busy.
constexpr int rows_of(int vectors) {
  constexpr int kSums = kVectors == 4 ? 20 : 12;
  return vectors == kVectors ? kRows : std::min(kSums / vectors, 14);
}

// On lambdas: one that is called and not inlined has its captured accumulators stored at every step.
#undef HESSE_INLINED
#define HESSE_INLINED HWY_ATTR __attribute__((always_inline))

/// Keeps a vector that is used several times in its register: compilers else read it from memory each time.
template <class V>
HWY_INLINE V kept(V v) {
#if HWY_ARCH_X86 && HWY_TARGET != HWY_SCALAR
  auto raw = v.raw;
  asm("" : "+x"(raw));
  v.raw = raw;
#endif
  return v;
}
/// Keeps a pointer that is moved from step to step: compilers else make it of a base and a spilled offset.
template <class T>
HWY_INLINE void keep(const T*& p) {
  asm("" : "+r"(p));
}

/// f(0), ..., f(N - 1) with constant indices: the compiler then keeps arrays of vectors in registers.
template <class F, size_t... I>
HWY_INLINE void repeat_indices(F&& f, std::index_sequence<I...>) {
  (f(std::integral_constant<size_t, I>()), ...);
}
template <int N, class F>
HWY_INLINE void repeat(F&& f) {
  repeat_indices(f, std::make_index_sequence<N>());
}

/// The rows x columns x vectors block at y: a is broadcast (uniform) or loaded (varying). `count` > 0 limits
/// the one vector of a block to its first lanes. Ahead: of each of the k rows that follow in x, the line so
/// many values from its lanes is asked for.
template <class T, int Rows, int Columns, int Vectors, bool Varying, bool Partial, bool Ahead = false>
HWY_INLINE void block(int64_t k, LaneMatrix<const T> a, LaneMatrix<const T> x, LaneAddend<T> z,
                      LaneMatrix<T> y, size_t count, [[maybe_unused]] int64_t ahead = 0) {
  const hn::ScalableTag<T> d;
  using V = hn::Vec<decltype(d)>;
  const size_t width = hn::Lanes(d);
  [[maybe_unused]] const auto mask = hn::FirstN(d, Partial ? count : width);
  // Vector v of the lanes at p.
  const auto load = [&](const T* p, auto v) HESSE_INLINED {
    if constexpr (Partial && v == Vectors - 1)
      return hn::MaskedLoad(mask, d, p + v * width);
    else
      return hn::LoadU(d, p + v * width);
  };
  V sum[Rows][Columns][Vectors];
  repeat<Rows>([&](auto r) HESSE_INLINED {
    repeat<Columns>([&](auto c) HESSE_INLINED {
      const T* p = z.data + static_cast<int64_t>(r) * z.row + static_cast<int64_t>(c) * z.col;
      if (!z.data)
        repeat<Vectors>([&](auto v) HESSE_INLINED { sum[r][c][v] = hn::Zero(d); });
      else if (z.step == 0)
        repeat<Vectors>([&](auto v) HESSE_INLINED { sum[r][c][v] = hn::Set(d, *p); });
      else
        repeat<Vectors>([&](auto v) HESSE_INLINED { sum[r][c][v] = load(p, v); });
    });
  });
  // The rows of a, by threes: what an address adds to a pointer is a row, or twice a row.
  constexpr int kByPointers = 10;
  constexpr bool kPointers = Rows > kByPointers;
  const T* threes[kPointers ? (Rows + 2) / 3 : 1];
  if constexpr (kPointers)
    repeat<(Rows + 2) / 3>([&](auto q)
                               HESSE_INLINED { threes[q] = a.data + 3 * static_cast<int64_t>(q) * a.row; });
  const auto factor = [&](int64_t i, auto r, auto v) HESSE_INLINED {
    const T* p;
    if constexpr (kPointers)
      p = threes[r / 3] + static_cast<int64_t>(r % 3) * a.row;
    else
      p = a.data + static_cast<int64_t>(r) * a.row + i * a.col;
    if constexpr (Varying)
      return kept(load(p, v));
    else
      return hn::Set(d, *p);
  };
  const auto column = [&](int64_t i, auto c, auto v) HESSE_INLINED {
    const V x_ic = load(x.data + i * x.row + static_cast<int64_t>(c) * x.col, v);
    return Varying ? kept(x_ic) : x_ic;
  };
  // Of rows and columns the fewer are held, the others pass one by one: with 3 x 4 accumulators all fit 16
  // registers.
  for (int64_t i = 0; i < k; ++i) {
    if constexpr (Ahead)
      hwy::Prefetch(reinterpret_cast<const char*>(
          reinterpret_cast<uintptr_t>(x.data) + static_cast<uintptr_t>((k + i) * x.row + ahead) * sizeof(T)));
    if constexpr (Rows < Columns) {
      V held[Rows][Vectors];
      repeat<Rows>([&](auto r) HESSE_INLINED {
        repeat<Vectors>([&](auto v) HESSE_INLINED { held[r][v] = factor(i, r, v); });
      });
      repeat<Columns>([&](auto c) HESSE_INLINED {
        repeat<Vectors>([&](auto v) HESSE_INLINED {
          const V x_ic = column(i, c, v);
          repeat<Rows>([&](auto r)
                           HESSE_INLINED { sum[r][c][v] = hn::MulAdd(held[r][v], x_ic, sum[r][c][v]); });
        });
      });
    } else {
      V held[Columns][Vectors];
      repeat<Columns>([&](auto c) HESSE_INLINED {
        repeat<Vectors>([&](auto v) HESSE_INLINED { held[c][v] = column(i, c, v); });
      });
      repeat<Rows>([&](auto r) HESSE_INLINED {
        repeat<Vectors>([&](auto v) HESSE_INLINED {
          const V a_ri = factor(i, r, v);
          repeat<Columns>([&](auto c)
                              HESSE_INLINED { sum[r][c][v] = hn::MulAdd(a_ri, held[c][v], sum[r][c][v]); });
        });
      });
    }
    if constexpr (kPointers)
      repeat<(Rows + 2) / 3>([&](auto q) HESSE_INLINED {
        threes[q] += a.col;
        keep(threes[q]);
      });
  }
  repeat<Rows>([&](auto r) HESSE_INLINED {
    repeat<Columns>([&](auto c) HESSE_INLINED {
      repeat<Vectors>([&](auto v) HESSE_INLINED {
        T* to = y.data + static_cast<int64_t>(r) * y.row + static_cast<int64_t>(c) * y.col +
                static_cast<int64_t>(v * width);
        if constexpr (Partial && v == Vectors - 1)
          hn::BlendedStore(sum[r][c][v], mask, d, to);
        else
          hn::StoreU(sum[r][c][v], d, to);
      });
    });
  });
}

/// All rows of Columns columns and Vectors vectors, in as few blocks of at most Rows as there can be, about
/// equally long. Ahead: each block asks for another line of the rows that follow in x.
template <class T, int Rows, int Columns, int Vectors, bool Varying, bool Partial, bool Ahead = false>
void panel(int64_t m, int64_t k, LaneMatrix<const T> a, LaneMatrix<const T> x, LaneAddend<T> z,
           LaneMatrix<T> y, size_t count, int64_t ahead = 0) {
  constexpr int64_t kLine = 64 / sizeof(T);
  const auto blocks = [&](int64_t most) { return (m + most - 1) / most; };
  for (; m >= Rows; m -= Rows) {
    if constexpr (Rows > 1)
      if (blocks(Rows) == blocks(Rows - 1)) break;
    block<T, Rows, Columns, Vectors, Varying, Partial, Ahead>(k, a, x, z, y, count, ahead);
    ahead = (ahead + kLine) % static_cast<int64_t>(Vectors * hn::Lanes(hn::ScalableTag<T>()));
    a.data += Rows * a.row;
    if (z.data) z.data += Rows * z.row;
    y.data += Rows * y.row;
  }
  if constexpr (Rows > 1)
    if (m > 0) panel<T, Rows - 1, Columns, Vectors, Varying, Partial, Ahead>(m, k, a, x, z, y, count, ahead);
}

template <class T>
LaneMatrix<T> at_lane(LaneMatrix<T> a, int64_t lane) {
  a.data += lane;
  return a;
}
template <class T>
LaneMatrix<T> at_column(LaneMatrix<T> a, int64_t column) {
  a.data += column * a.col;
  return a;
}

template <class T>
LaneAddend<T> moved(LaneAddend<T> z, int64_t row, int64_t column, int64_t lane) {
  if (z.data) z.data += row * z.row + column * z.col + lane * z.step;
  return z;
}

template <class T>
void gemm_uniform(int64_t m, int64_t n, int64_t k, int64_t lanes, LaneMatrix<const T> a,
                  LaneMatrix<const T> x, LaneAddend<T> z, LaneMatrix<T> y) {
  // Columns that follow each other in memory are but more lanes.
  if (n > 1 && x.col == lanes && y.col == lanes && z.col == lanes * z.step) {
    lanes *= n;
    n = 1;
  }
  const auto width = static_cast<int64_t>(hn::Lanes(hn::ScalableTag<T>()));
  const int64_t wide = lanes - lanes % (kVectors * width);
  constexpr int64_t kLongRows = 256;  // of which a block reads a small part: that of the next is asked for
  for (int64_t j = 0; j < n; ++j)
    for (int64_t l = 0; l < wide; l += kVectors * width)
      (x.row >= kLongRows
           ? panel<T, kRows, 1, kVectors, false, false, true>
           : panel<T, kRows, 1, kVectors, false, false, false>)(m, k, a, at_lane(at_column(x, j), l),
                                                                moved(z, 0, j, l),
                                                                at_lane(at_column(y, j), l), 0, 0);
  if (wide == lanes) return;
  // The rest: fewer vectors than make a block of one column; vector by vector, of several columns.
  int64_t j = 0;
  for (; j + kColumns <= n; j += kColumns) {
    const LaneMatrix<const T> xj = at_column(x, j);
    const LaneMatrix<T> yj = at_column(y, j);
    int64_t l = wide;
    for (; l + width <= lanes; l += width)
      panel<T, kVaryingRows, kColumns, 1, false, false>(m, k, a, at_lane(xj, l), moved(z, 0, j, l),
                                                        at_lane(yj, l), 0);
    if (l < lanes)
      panel<T, kVaryingRows, kColumns, 1, false, true>(m, k, a, at_lane(xj, l), moved(z, 0, j, l),
                                                       at_lane(yj, l), static_cast<size_t>(lanes - l));
  }
  // And of the last columns one by one, the last vector partial.
  const int64_t full = (lanes - wide - 1) / width;
  const auto count = static_cast<size_t>(lanes - wide - full * width);
  for (; j < n; ++j)
    repeat<kVectors>([&](auto v) HWY_ATTR {
      if (full != static_cast<int64_t>(v)) return;
      constexpr int kWide = static_cast<int>(v) + 1;
      (count == static_cast<size_t>(width)
           ? panel<T, rows_of(kWide), 1, kWide, false, false>
           : panel<T, rows_of(kWide), 1, kWide, false, true>)(m, k, a, at_lane(at_column(x, j), wide),
                                                              moved(z, 0, j, wide),
                                                              at_lane(at_column(y, j), wide), count, 0);
    });
}

/// Both matrices stream from memory, an entry being a run of lanes: of the two orders of blocks the one that
/// reads less is taken. With few columns every entry of a is read once: a few long runs of lanes.
template <class T>
void gemm_varying(int64_t m, int64_t n, int64_t k, int64_t lanes, LaneMatrix<const T> a,
                  LaneMatrix<const T> x, LaneAddend<T> z, LaneMatrix<T> y) {
  using std::bool_constant, std::integral_constant;
  const auto width = static_cast<int64_t>(hn::Lanes(hn::ScalableTag<T>()));
  // Rows [i, i + rows) and columns [j, j + columns), on vectors that begin at lane l.
  const auto columns = [&](int64_t i, int64_t rows, int64_t j, int64_t end, int64_t l, auto vectors,
                           auto partial, size_t count) HWY_ATTR {
    constexpr int kWide = vectors;
    LaneMatrix<const T> ai = at_lane(a, l), xj = at_column(at_lane(x, l), j);
    LaneMatrix<T> yj = at_column(at_lane(y, l), j);
    ai.data += i * ai.row;
    yj.data += i * yj.row;
    LaneAddend<T> zj = moved(z, i, j, l);
    const auto advance = [&](int64_t by) {
      xj = at_column(xj, by);
      yj = at_column(yj, by);
      zj = moved(zj, 0, by, 0);
      j += by;
    };
    for (; j + kColumns <= end; advance(kColumns))
      panel<T, kVaryingRows, kColumns, 1, true, partial>(rows, k, ai, xj, zj, yj, count);
    for (; kWide == 1 && j + 2 <= end; advance(2))
      panel<T, 5, 2, 1, true, partial>(rows, k, ai, xj, zj, yj, count);
    for (; j < end; advance(1)) panel<T, 2, 1, kWide, true, partial>(rows, k, ai, xj, zj, yj, count);
  };
  const auto all_lanes = [&](int64_t i, int64_t rows, int64_t j, int64_t end) HWY_ATTR {
    int64_t l = 0;
    if (n < kColumns)
      for (; l + 4 * width <= lanes; l += 4 * width)
        columns(i, rows, j, end, l, integral_constant<int, 4>(), bool_constant<false>(), 0);
    for (; l + width <= lanes; l += width)
      columns(i, rows, j, end, l, integral_constant<int, 1>(), bool_constant<false>(), 0);
    if (l < lanes)
      columns(i, rows, j, end, l, integral_constant<int, 1>(), bool_constant<true>(),
              static_cast<size_t>(lanes - l));
  };
  if (n < kColumns) return all_lanes(0, m, 0, n);
  const int64_t by_rows = m * k + k * n * ((m + kVaryingRows - 1) / kVaryingRows);
  const int64_t by_columns = k * n + m * k * ((n + kColumns - 1) / kColumns);
  if (by_rows < by_columns)
    for (int64_t i = 0; i < m; i += kVaryingRows) all_lanes(i, std::min<int64_t>(kVaryingRows, m - i), 0, n);
  else
    for (int64_t j = 0; j < n; j += kColumns) all_lanes(0, m, j, std::min<int64_t>(j + kColumns, n));
}

/// sum += a b^T for one vector of lanes.
template <int Rows, int Columns, class V, class T, class Load>
HWY_INLINE void outer_step(V (&sum)[Rows][Columns], const T* a, int64_t a_row, const T* b, int64_t b_row,
                           Load load) {
  V row[Rows];
  repeat<Rows>([&](auto r) HESSE_INLINED { row[r] = kept(load(a + static_cast<int64_t>(r) * a_row)); });
  repeat<Columns>([&](auto c) HESSE_INLINED {
    const V column = kept(load(b + static_cast<int64_t>(c) * b_row));
    repeat<Rows>([&](auto r) HESSE_INLINED { sum[r][c] = hn::MulAdd(row[r], column, sum[r][c]); });
  });
}

#if HWY_TARGET != HWY_SCALAR
/// The sum of a vector's halves, and of those, down to four entries.
template <class D, class V>
HWY_INLINE auto folded_to_four(D d, V v) {
  if constexpr (hn::MaxLanes(d) <= 4) {
    return v;
  } else {
    const hn::Half<D> half;
    return folded_to_four(half, hn::Add(hn::LowerHalf(half, v), hn::UpperHalf(half, v)));
  }
}

#endif

/// to[0..3] += the sums of the entries of four vectors.
template <class T, class V>
HWY_INLINE void add_four_sums(V a, V b, V c, V d, T* to) {
  [[maybe_unused]] const hn::ScalableTag<T> tag;
#if HWY_TARGET == HWY_SCALAR
  const V sums[4] = {a, b, c, d};
  for (int i = 0; i < 4; ++i) to[i] += hn::GetLane(sums[i]);
#else
  // Within blocks of 16 bytes: pairs of a and b, of c and d; then what is two blocks, or one, of all four.
  const V ab = hn::Add(hn::InterleaveLower(tag, a, b), hn::InterleaveUpper(tag, a, b));
  const V cd = hn::Add(hn::InterleaveLower(tag, c, d), hn::InterleaveUpper(tag, c, d));
  if constexpr (sizeof(T) == 4) {
    const hn::Repartition<double, decltype(tag)> pairs;
    const auto p = hn::BitCast(pairs, ab), q = hn::BitCast(pairs, cd);
    const V all = hn::Add(hn::BitCast(tag, hn::InterleaveLower(pairs, p, q)),
                          hn::BitCast(tag, hn::InterleaveUpper(pairs, p, q)));
    const hn::FixedTag<T, 4> four;
    hn::StoreU(hn::Add(hn::LoadU(four, to), folded_to_four(tag, all)), four, to);
  } else if constexpr (hn::MaxLanes(tag) == 2) {
    hn::StoreU(hn::Add(hn::LoadU(tag, to), ab), tag, to);
    hn::StoreU(hn::Add(hn::LoadU(tag, to + 2), cd), tag, to + 2);
  } else {
    const hn::FixedTag<T, 4> four;
    const auto p = folded_to_four(tag, ab), q = folded_to_four(tag, cd);
    const auto all = hn::Add(hn::ConcatLowerLower(four, q, p), hn::ConcatUpperUpper(four, q, p));
    hn::StoreU(hn::Add(hn::LoadU(four, to), all), four, to);
  }
#endif
}

/// acc[Rows, Columns] += sum over terms and lanes of a b^T, from row `i` of a and `j` of b.
template <class T, int Rows, int Columns>
void outer_block(int64_t i, int64_t j, int64_t lanes, const OuterTerm<T>* terms, int64_t count, T* acc,
                 int64_t acc_row) {
  const hn::ScalableTag<T> d;
  using V = hn::Vec<decltype(d)>;
  const auto width = static_cast<int64_t>(hn::Lanes(d));
  V sum[Rows][Columns];
  repeat<Rows>(
      [&](auto r) HESSE_INLINED { repeat<Columns>([&](auto c) HESSE_INLINED { sum[r][c] = hn::Zero(d); }); });
  for (int64_t t = 0; t < count; ++t) {
    const OuterTerm<T>& term = terms[t];
    const T* const a = term.a + i * term.a_row;
    const T* const b = term.b + j * term.b_row;
    int64_t l = 0;
    for (; l + width <= lanes; l += width)
      outer_step<Rows, Columns>(sum, a + l, term.a_row, b + l, term.b_row,
                                [d](const T* p) HESSE_INLINED { return hn::LoadU(d, p); });
    if (l < lanes) {
      const auto mask = hn::FirstN(d, static_cast<size_t>(lanes - l));
      outer_step<Rows, Columns>(sum, a + l, term.a_row, b + l, term.b_row,
                                [d, mask](const T* p) HESSE_INLINED { return hn::MaskedLoad(mask, d, p); });
    }
  }
  repeat<Rows>([&](auto r) HESSE_INLINED {
    T* to = acc + (i + static_cast<int64_t>(r)) * acc_row + j;
    if constexpr (Columns == 4) {
      add_four_sums<T>(sum[r][0], sum[r][1], sum[r][2], sum[r][3], to);
    } else {
      repeat<Columns>([&](auto c) HESSE_INLINED { to[c] += hn::GetLane(hn::SumOfLanes(d, sum[r][c])); });
    }
  });
}

template <class T, int Rows, int Columns>
void outer_panel(int64_t i, int64_t j, int64_t n, int64_t lanes, const OuterTerm<T>* terms, int64_t count,
                 T* acc, int64_t acc_row) {
  for (; j + Columns <= n; j += Columns)
    outer_block<T, Rows, Columns>(i, j, lanes, terms, count, acc, acc_row);
  if constexpr (Columns > 1)
    if (j < n) outer_panel<T, Rows, Columns - 1>(i, j, n, lanes, terms, count, acc, acc_row);
}

template <class T, int Rows>
void outer_rows(int64_t i, int64_t m, int64_t n, int64_t lanes, const OuterTerm<T>* terms, int64_t count,
                T* acc, int64_t acc_row) {
  for (; i + Rows <= m; i += Rows) outer_panel<T, Rows, kColumns>(i, 0, n, lanes, terms, count, acc, acc_row);
  if constexpr (Rows > 1)
    if (i < m) outer_rows<T, Rows - 1>(i, m, n, lanes, terms, count, acc, acc_row);
}
template <class T>
void outer_accumulate(int64_t m, int64_t n, int64_t lanes, const OuterTerm<T>* terms, int64_t count, T* acc,
                      int64_t acc_row) {
  outer_rows<T, kVaryingRows>(0, m, n, lanes, terms, count, acc, acc_row);
}

template <class T>
void row_sums(int64_t rows, int64_t lanes, const T* x, T* acc) {
  const hn::ScalableTag<T> d;
  const auto width = static_cast<int64_t>(hn::Lanes(d));
  for (int64_t r = 0; r < rows; ++r, x += lanes) {
    auto even = hn::Zero(d), odd = hn::Zero(d);
    int64_t l = 0;
    for (; l + 2 * width <= lanes; l += 2 * width) {
      even = hn::Add(even, hn::LoadU(d, x + l));
      odd = hn::Add(odd, hn::LoadU(d, x + l + width));
    }
    for (; l + width <= lanes; l += width) even = hn::Add(even, hn::LoadU(d, x + l));
    if (l < lanes)
      odd = hn::Add(odd, hn::MaskedLoad(hn::FirstN(d, static_cast<size_t>(lanes - l)), d, x + l));
    acc[r] += hn::GetLane(hn::SumOfLanes(d, hn::Add(even, odd)));
  }
}

/// Whole vectors, the last of a row over part of the one before.
template <class T>
void spread(int64_t rows, int64_t lanes, const T* x, int64_t x_row, int64_t step, T* out) {
  const hn::ScalableTag<T> d;
  const auto width = static_cast<int64_t>(hn::Lanes(d));
  for (int64_t r = 0; r < rows; ++r, x += x_row, out += lanes) {
    if (lanes < width) {
      for (int64_t l = 0; l < lanes; ++l) out[l] = x[l * step];
      continue;
    }
    const auto value = hn::Set(d, *x);
    const auto at = [&](int64_t l) HWY_ATTR { return step == 0 ? value : hn::LoadU(d, x + l); };
    for (int64_t l = 0; l + width <= lanes; l += width) hn::StoreU(at(l), d, out + l);
    hn::StoreU(at(lanes - width), d, out + lanes - width);
  }
}

#if HWY_TARGET == HWY_SCALAR
template <class T>
constexpr int kSide = 1;
template <class T>
HWY_INLINE void transpose_block(const T* from, int64_t, T* to, int64_t) {
  *to = *from;
}
#else
// The side of the blocks that a transpose takes at once.
template <class T>
constexpr int kSide = sizeof(T) == 4 || HWY_MAX_BYTES >= 32 ? 4 : 2;

/// to[j, i] = from[i, j] for a block.
template <class T>
HWY_INLINE void transpose_block(const T* from, int64_t from_row, T* to, int64_t to_row) {
  const hn::FixedTag<T, kSide<T>> d;
  const auto a = hn::LoadU(d, from), b = hn::LoadU(d, from + from_row);
  if constexpr (kSide<T> == 2) {
    hn::StoreU(hn::InterleaveLower(d, a, b), d, to);
    hn::StoreU(hn::InterleaveUpper(d, a, b), d, to + to_row);
  } else {
    const auto c = hn::LoadU(d, from + 2 * from_row), e = hn::LoadU(d, from + 3 * from_row);
    const auto ab = hn::InterleaveLower(d, a, b), ab2 = hn::InterleaveUpper(d, a, b);
    const auto ce = hn::InterleaveLower(d, c, e), ce2 = hn::InterleaveUpper(d, c, e);
    // Within blocks of 16 bytes: neighbours in one, pairs of doubles in the other.
    constexpr bool kDouble = sizeof(T) == 8;
    hn::StoreU(hn::ConcatLowerLower(d, ce, ab), d, to);
    hn::StoreU(kDouble ? hn::ConcatLowerLower(d, ce2, ab2) : hn::ConcatUpperUpper(d, ce, ab), d, to + to_row);
    hn::StoreU(kDouble ? hn::ConcatUpperUpper(d, ce, ab) : hn::ConcatLowerLower(d, ce2, ab2), d,
               to + 2 * to_row);
    hn::StoreU(hn::ConcatUpperUpper(d, ce2, ab2), d, to + 3 * to_row);
  }
}

#endif

// Strips of rows of `from` are short enough for their lines, and those of `to`, to stay in the cache.
template <class T>
void transpose(int64_t m, int64_t n, const T* from, int64_t from_row, T* to, int64_t to_row) {
  constexpr int64_t kStrip = 16, kBlock = kSide<T>;
  for (int64_t begin = 0; begin < m; begin += kStrip) {
    const int64_t end = std::min(begin + kStrip, m);
    for (int64_t j = 0; j < n; j += kBlock) {
      int64_t i = begin;
      if (j + kBlock <= n)
        for (; i + kBlock <= end; i += kBlock)
          transpose_block(from + i * from_row + j, from_row, to + j * to_row + i, to_row);
      for (; i < end; ++i)
        for (int64_t l = j; l < std::min(j + kBlock, n); ++l) to[l * to_row + i] = from[i * from_row + l];
    }
  }
}

// The last vector of a row lies over part of the one before.
template <class T>
bool gather(int64_t n, const int64_t* index, int64_t index_step, bool wrap, int64_t rows, int64_t width,
            const T* x, int64_t x_row, T* out) {
  const hn::ScalableTag<T> d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  bool ok = true;
  for (int64_t k = 0; k < n; ++k, out += width) {
    int64_t i = index[k * index_step];
    if (wrap && i < 0) i += rows;
    if (HWY_UNLIKELY(static_cast<uint64_t>(i) >= static_cast<uint64_t>(rows))) {
      std::fill_n(out, width, T(0));
      ok = false;
      continue;
    }
    const T* const row = x + i * x_row;
    if (width < lanes) {
      for (int64_t w = 0; w < width; ++w) out[w] = row[w];
      continue;
    }
    for (int64_t w = 0; w + lanes <= width; w += lanes) hn::StoreU(hn::LoadU(d, row + w), d, out + w);
    hn::StoreU(hn::LoadU(d, row + width - lanes), d, out + width - lanes);
  }
  return ok;
}

const LaneKernels<float>& Float32LaneKernels() {
  static constexpr LaneKernels<float> kernels{
      gemm_uniform<float>, gemm_varying<float>, outer_accumulate<float>, row_sums<float>, spread<float>,
      transpose<float>,    gather<float>};
  return kernels;
}
const LaneKernels<double>& Float64LaneKernels() {
  static constexpr LaneKernels<double> kernels{
      gemm_uniform<double>, gemm_varying<double>, outer_accumulate<double>, row_sums<double>, spread<double>,
      transpose<double>,    gather<double>};
  return kernels;
}

}  // namespace hesse::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace hesse::cpu {

template <>
const LaneKernels<float>& lane_kernels<float>(Isa isa) {
#if HWY_TARGETS & HWY_AVX3
  if (isa == Isa::Avx512) return N_AVX3::Float32LaneKernels();
#endif
#if HWY_TARGETS & HWY_AVX2
  if (isa != Isa::Baseline) return N_AVX2::Float32LaneKernels();
#endif
  (void)isa;
  return HWY_STATIC_DISPATCH(Float32LaneKernels)();
}

template <>
const LaneKernels<double>& lane_kernels<double>(Isa isa) {
#if HWY_TARGETS & HWY_AVX3
  if (isa == Isa::Avx512) return N_AVX3::Float64LaneKernels();
#endif
#if HWY_TARGETS & HWY_AVX2
  if (isa != Isa::Baseline) return N_AVX2::Float64LaneKernels();
#endif
  (void)isa;
  return HWY_STATIC_DISPATCH(Float64LaneKernels)();
}

}  // namespace hesse::cpu
#endif
