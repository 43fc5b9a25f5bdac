// How products with sparse matrices run: vector kernels where operands lie row by row, and the specification.
#include "core/ops/sparse_kernels.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <type_traits>

#include "core/cpu/assign.h"
#include "core/cpu/simd_kernels.h"
#include "core/cpu/sparse_rows.h"
#include "core/cpu/threads.h"
#include "core/ops/index_gather.h"
#include "core/ops/sparse_rows.h"
#include "core/ops/view_loops.h"

namespace hesse::sparse {

std::vector<int64_t> balanced_rows(const Indices& starts, int64_t rows, int64_t positions, int64_t blocks) {
  std::vector<int64_t> bounds(static_cast<size_t>(blocks) + 1, 0);
  for (int64_t b = 1; b < blocks; ++b) {
    const double target =
        static_cast<double>(b) * static_cast<double>(rows + positions) / static_cast<double>(blocks);
    int64_t low = bounds[static_cast<size_t>(b) - 1], high = rows;
    while (low < high) {
      const int64_t r = low + (high - low) / 2;
      if (static_cast<double>(starts[r]) + static_cast<double>(r) < target)
        low = r + 1;
      else
        high = r;
    }
    bounds[static_cast<size_t>(b)] = low;
  }
  bounds.back() = rows;
  return bounds;
}

bool varies(const View& v, int lane_axes) {
  for (int d = 0; d < lane_axes; ++d)
    if (const size_t axis = v.shape.size() - 1 - static_cast<size_t>(d);
        v.strides[axis] != 0 && v.shape[axis] > 1)
      return true;
  return false;
}

int64_t product_of(const Shape& s, size_t first, size_t last) {
  int64_t n = 1;
  for (size_t i = first; i < last; ++i) n *= s[i];
  return n;
}

namespace {

// Work is cut by these constants alone, so that results have the same bits for any number of threads.
constexpr int64_t kOnePiece = int64_t{1} << 17;  // multiply-adds that are not worth a second thread
constexpr int64_t kMostBlocks = 256;
constexpr int64_t kLongRow = 8192;   // positions; longer rows are cut into pieces,
constexpr int64_t kRowPiece = 4096;  // whose sums are added in order

int64_t count_blocks(int64_t rows, int64_t positions, int64_t numbers) {
  const double work =
      static_cast<double>(rows + positions) * static_cast<double>(std::max<int64_t>(numbers, 1));
  return std::clamp<int64_t>(static_cast<int64_t>(work / static_cast<double>(kOnePiece)), 1,
                             std::min(kMostBlocks, std::max<int64_t>(rows, 1)));
}

/// f(first row, last row) for every block.
template <class F>
void for_blocks_of_rows(const Indices& starts, int64_t rows, int64_t positions, int64_t numbers, F&& f) {
  const int64_t blocks = count_blocks(rows, positions, numbers);
  if (blocks == 1) return f(int64_t{0}, rows);
  const std::vector<int64_t> bounds = balanced_rows(starts, rows, positions, blocks);
  parallel_for(blocks,
               [&](int64_t b) { f(bounds[static_cast<size_t>(b)], bounds[static_cast<size_t>(b) + 1]); });
}

/// A piece of a long row: its number among the pieces of that row is (begin - the row's begin) / kRowPiece.
struct Piece {
  int64_t row, begin, end;
};
template <class I>
std::vector<Piece> pieces_of_long_rows(const cpu::RowPattern<I>& p, int64_t rows) {
  std::vector<Piece> pieces;
  for (int64_t r = 0; r < rows; ++r) {
    const int64_t begin = p.starts[r], end = p.starts[r + 1];
    if (begin < 0 || end > p.positions || end - begin <= kLongRow) continue;
    for (int64_t b = begin; b < end; b += kRowPiece) pieces.push_back({r, b, std::min(end, b + kRowPiece)});
  }
  return pieces;
}

/// The sums of the pieces of each long row, in order.
template <class T>
void add_pieces(const std::vector<Piece>& pieces, const std::vector<T>& sums, cpu::DenseRows<T> to,
                int64_t numbers) {
  for (size_t i = 0; i < pieces.size(); ++i) {
    T* const row = to.at + pieces[i].row * to.step;
    const T* const sum = sums.data() + i * static_cast<size_t>(numbers);
    const bool first = i == 0 || pieces[i - 1].row != pieces[i].row;
    for (int64_t k = 0; k < numbers; ++k) row[k] = first ? sum[k] : row[k] + sum[k];
  }
}

/// A pattern's vector without its lanes, which all have the same.
View shared_part(View v) {
  while (v.shape.size() > 1) v.shape.pop_back(), v.strides.pop_back();
  return v;
}

/// Whether the axes from `first` on lie row by row without gaps.
bool packed_from(const View& v, size_t first) {
  int64_t expected = 1;
  for (size_t i = v.shape.size(); i-- > first;) {
    if (v.shape[i] != 1 && v.strides[i] != expected) return false;
    expected *= v.shape[i];
  }
  return true;
}
/// Operands whose rows are gathered, copied where they do not lie entry by entry: of a transposed matrix
/// every entry would be a line of the cache (13 times as slow at 16 columns).
class Packed {
 public:
  Packed(std::span<const View> x, std::initializer_list<size_t> gathered) : views_(x.begin(), x.end()) {
    for (const size_t i : gathered) {
      View& v = views_[i];
      if (v.size() == 0 || packed_from(v, 1)) continue;
      copies_.push_back(Array::uninitialized(v.shape, v.dtype));
      cpu::assign(v, copies_.back().view());
      v = copies_.back().view();
    }
  }
  std::span<const View> views() const { return views_; }

 private:
  std::vector<View> views_;
  Arrays copies_;
};
bool packed_indices(const View& v) { return v.shape[0] <= 1 || v.strides[0] == 1; }

/// to += v * x entry by entry.
template <class T>
void add_multiple(const T* v, int64_t v_step, const T* x, int64_t x_step, T* to, int64_t to_step, int64_t n) {
  if constexpr (std::is_same_v<T, float> || std::is_same_v<T, double>) {
    if (n >= 8 && v_step <= 1 && x_step <= 1 && to_step == 1)
      return cpu::simd_kernels<T>().multiply_add(v, v_step, x, x_step, to, 1, to, n);
  }
  for (int64_t i = 0; i < n; ++i)
    to[i * to_step] = static_cast<T>(to[i * to_step] + v[i * v_step] * x[i * x_step]);
}

/// The axes of values per entry [nnz, heads...], of dense rows [n, heads..., k...], and the lanes of both.
struct Axes3 {
  size_t heads, features;  // axes: 1 .. 1 + heads, and on to `features`
  int lanes;
};

/// f(T{}, I{}) for the dtypes that have vector kernels; false for others.
template <class F>
bool visit_fast(DType values, DType indices, F&& f) {
  const auto with = [&](auto t) {
    if (indices == DType::Int32)
      f(t, int32_t{});
    else
      f(t, int64_t{});
    return true;
  };
  if (values == DType::Float32) return with(float{});
  if (values == DType::Float64) return with(double{});
  return false;
}

template <class I>
cpu::RowPattern<I> row_pattern(std::span<const View> side, int64_t num_entries, int64_t cols,
                               bool near = false) {
  return {side[0].as<const I>(),
          side[1].as<const I>(),
          side[2].shape[0] ? side[2].as<const I>() : nullptr,
          side[1].shape[0],
          num_entries,
          cols,
          near};
}

// ---- products ------------------------------------------------------------------------------------------
/// Rows [first, last) that are wanted, on one thread; all of them, in parallel, where none are given.
struct RowRange {
  int64_t first, last;
  /// Of products: row k of the result is row at[k], and zero already where that is negative; null: row k.
  const int64_t* at = nullptr;
};
using WantedRows = std::optional<RowRange>;

/// y[r, h, k] = sum over the positions of row r of data[e, h] x[c, h, k]. False where an index is out of
/// range.
template <class T, class I>
bool product_fast(const cpu::RowPattern<I>& p, const View& data, const View& x, const View& y, int64_t heads,
                  int64_t width, const WantedRows& wanted) {
  const auto& kernels = cpu::sparse_rows<T, I>();
  const cpu::DenseRows<const T> values{data.as<const T>(), data.strides[0]};
  const cpu::DenseRows<const T> from{x.as<const T>(), x.strides[0]};
  const cpu::DenseRows<T> to{y.as<T>(), y.strides[0]};
  const int64_t rows = y.shape[0], numbers = heads * width;
  if (bool longer = false; wanted) {
    if (!wanted->at)
      return kernels.product(p, values, from, to, heads, width, wanted->first, wanted->last, p.positions,
                             &longer);
    bool ok = true;
    for (int64_t k = wanted->first; k < wanted->last; ++k) {
      const int64_t r = wanted->at[k];
      if (r < 0) continue;
      const cpu::DenseRows<T> there{to.at + (k - r) * to.step, to.step};
      ok &= kernels.product(p, values, from, there, heads, width, r, r + 1, p.positions, &longer);
    }
    return ok;
  }
  std::atomic<bool> ok = true, any_longer = false;
  for_blocks_of_rows(Indices(p.starts), rows, p.positions, numbers, [&](int64_t first, int64_t last) {
    bool longer = false;
    if (!kernels.product(p, values, from, to, heads, width, first, last, kLongRow, &longer)) ok = false;
    if (longer) any_longer = true;
  });
  if (any_longer) {
    const std::vector<Piece> pieces = pieces_of_long_rows(p, rows);
    std::vector<T> sums(pieces.size() * static_cast<size_t>(numbers));
    parallel_for(static_cast<int64_t>(pieces.size()), [&](int64_t i) {
      const Piece& piece = pieces[static_cast<size_t>(i)];
      if (!kernels.product_of(p, values, from, sums.data() + i * numbers, heads, width, piece.begin,
                              piece.end))
        ok = false;
    });
    add_pieces(pieces, sums, to, numbers);
  }
  return ok;
}

/// The vector kernels where they apply: nullopt, or whether all indices were in range.
std::optional<bool> product_fast(std::span<const View> x, std::span<const View> side, const View& y,
                                 const Axes3& axes, const WantedRows& wanted) {
  const View &data = x[0], &dense = x[1];
  const size_t all = y.shape.size();
  if (!std::all_of(side.begin(), side.end(), packed_indices)) return std::nullopt;
  if (!packed_from(dense, 1) || !packed_from(y, 1) || y.size() == 0) return std::nullopt;
  int64_t heads = product_of(y.shape, 1, axes.heads), width = product_of(y.shape, axes.heads, all);
  if (varies(data, axes.lanes)) {  // lanes are further heads
    if (product_of(y.shape, axes.heads, axes.features) != 1 || !packed_from(data, 1)) return std::nullopt;
    heads *= width;
    width = 1;
  } else {
    View values = data;
    values.shape.resize(axes.heads), values.strides.resize(axes.heads);
    if (!packed_from(values, 1)) return std::nullopt;
  }
  bool ok = true;
  if (!visit_fast(y.dtype, side[0].dtype, [&](auto t, auto i) {
        using T = decltype(t);
        using I = decltype(i);
        ok = product_fast<T, I>(row_pattern<I>(side, data.shape[0], dense.shape[0], wanted.has_value()), data,
                                dense, y, heads, width, wanted);
      }))
    return std::nullopt;
  return ok;
}

/// The specification: any strides, any numeric dtype.
bool product_plain(std::span<const View> x, std::span<const View> side, const View& y, const Axes3& axes,
                   const WantedRows& wanted) {
  fill_zero(wanted ? cpu::range(y, 0, wanted->first, wanted->last - wanted->first) : y);
  const View &data = x[0], &dense = x[1];
  const Walk walk(side[0], side[1], side[2], data.shape[0], dense.shape[0]);
  const Shape shape(std::span<const int64_t>(y.shape.data() + 1, y.shape.size() - 1));  // [heads, k, lanes]
  std::array<Strides, 3> strides;
  for (size_t i = 1; i < y.shape.size(); ++i) {
    strides[0].push_back(i < axes.heads      ? data.strides[i]
                         : i < axes.features ? 0
                                             : data.strides[i - (axes.features - axes.heads)]);
    strides[1].push_back(dense.strides[i]);
    strides[2].push_back(y.strides[i]);
  }
  std::atomic<bool> ok = true;
  visit_dtype(y.dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    if constexpr (!std::is_same_v<T, bool> && !std::is_same_v<T, Key>) {
      const auto rows = [&](int64_t first, int64_t last) {
        for (int64_t k = first; k < last; ++k) {
          T* const to = y.as<T>() + k * y.strides[0];
          const int64_t r = wanted && wanted->at ? wanted->at[k] : k;
          if (r >= 0 && !walk.row(r, [&](int64_t e, int64_t c) {
                const T* const v = data.as<const T>() + e * data.strides[0];
                const T* const from = dense.as<const T>() + c * dense.strides[0];
                for_each_run<3>(shape, strides, [&](const Offsets<3>& at, int64_t n, const Offsets<3>& step) {
                  add_multiple(v + at[0], step[0], from + at[1], step[1], to + at[2], step[2], n);
                });
              }))
            ok = false;
        }
      };
      if (wanted)
        rows(wanted->first, wanted->last);
      else
        for_blocks_of_rows(Indices(side[0]), y.shape[0], side[1].shape[0], num_elements(shape), rows);
    }
  });
  return ok;
}

// ---- sampled products ----------------------------------------------------------------------------------
template <class T, class I>
bool sampled_fast(const cpu::RowPattern<I>& p, const View& a, const View& b, const View& y, int64_t heads,
                  int64_t width, int64_t rows, const WantedRows& wanted) {
  const auto& kernels = cpu::sparse_rows<T, I>();
  const cpu::DenseRows<const T> left{a.as<const T>(), a.strides[0]}, right{b.as<const T>(), b.strides[0]};
  const cpu::DenseRows<T> to{y.as<T>(), y.strides[0]};
  if (bool longer = false; wanted)
    return kernels.sampled(p, left, right, to, heads, width, wanted->first, wanted->last, p.positions,
                           &longer);
  std::atomic<bool> ok = true, any_longer = false;
  for_blocks_of_rows(Indices(p.starts), rows, p.positions, heads * width, [&](int64_t first, int64_t last) {
    bool longer = false;
    if (!kernels.sampled(p, left, right, to, heads, width, first, last, kLongRow, &longer)) ok = false;
    if (longer) any_longer = true;
  });
  if (any_longer) {
    const std::vector<Piece> pieces = pieces_of_long_rows(p, rows);
    parallel_for(static_cast<int64_t>(pieces.size()), [&](int64_t i) {
      const Piece& piece = pieces[static_cast<size_t>(i)];
      if (!kernels.sampled_of(p, left.at + piece.row * left.step, right, to, heads, width, piece.begin,
                              piece.end))
        ok = false;
    });
  }
  return ok;
}

std::optional<bool> sampled_fast(std::span<const View> x, std::span<const View> side, const View& y,
                                 const Axes3& axes, const WantedRows& wanted) {
  const View &a = x[0], &b = x[1];
  const size_t all = a.shape.size();
  const int64_t rows = side[0].shape[0] - 1;
  if (!std::all_of(side.begin(), side.end(), packed_indices)) return std::nullopt;
  if (!packed_from(a, 1) || !packed_from(b, 1) || !packed_from(y, 1)) return std::nullopt;
  int64_t heads = product_of(a.shape, 1, axes.heads), width = product_of(a.shape, axes.heads, axes.features);
  const int64_t lanes = product_of(a.shape, axes.features, all);
  if (lanes != 1) {
    if (width != 1) return std::nullopt;
    heads *= lanes;
  }
  if (y.size() == 0 || width == 0) return std::nullopt;
  bool ok = true;
  if (!visit_fast(y.dtype, side[0].dtype, [&](auto t, auto i) {
        using T = decltype(t);
        using I = decltype(i);
        const auto p = row_pattern<I>(side, y.shape[0], b.shape[0], wanted.has_value());
        // Entries that no position holds are zero.
        if (!wanted && (p.entries || p.starts[0] != 0 || p.starts[rows] != p.positions)) fill_zero(y);
        ok = sampled_fast<T, I>(p, a, b, y, heads, width, rows, wanted);
      }))
    return std::nullopt;
  return ok;
}

bool sampled_plain(std::span<const View> x, std::span<const View> side, const View& y, const Axes3& axes,
                   const WantedRows& wanted) {
  if (!wanted) fill_zero(y);
  const View &a = x[0], &b = x[1];
  const Walk walk(side[0], side[1], side[2], y.shape[0], b.shape[0]);
  const Shape shape(std::span<const int64_t>(a.shape.data() + 1, a.shape.size() - 1));  // [heads, k, lanes]
  std::array<Strides, 3> strides;
  for (size_t i = 1; i < a.shape.size(); ++i) {
    strides[0].push_back(a.strides[i]);
    strides[1].push_back(b.strides[i]);
    strides[2].push_back(i < axes.heads      ? y.strides[i]
                         : i < axes.features ? 0
                                             : y.strides[i - (axes.features - axes.heads)]);
  }
  std::atomic<bool> ok = true;
  visit_dtype(y.dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    if constexpr (!std::is_same_v<T, bool> && !std::is_same_v<T, Key>) {
      const auto rows = [&](int64_t first, int64_t last) {
        for (int64_t r = first; r < last; ++r) {
          const T* const left = a.as<const T>() + r * a.strides[0];
          if (!walk.row(r, [&](int64_t e, int64_t c) {
                const T* const right = b.as<const T>() + c * b.strides[0];
                T* const to = y.as<T>() + e * y.strides[0];
                if (wanted) fill_zero(cpu::range(y, 0, e, 1));
                for_each_run<3>(shape, strides, [&](const Offsets<3>& at, int64_t n, const Offsets<3>& step) {
                  add_multiple(left + at[0], step[0], right + at[1], step[1], to + at[2], step[2], n);
                });
              }))
            ok = false;
        }
      };
      if (wanted)
        rows(wanted->first, wanted->last);
      else
        for_blocks_of_rows(Indices(side[0]), side[0].shape[0] - 1, side[1].shape[0], num_elements(shape),
                           rows);
    }
  });
  return ok;
}

// ---- a product transposed, in both of its factors at once -----------------------------------------------
template <class T, class I>
bool adjoint_fast(const cpu::RowPattern<I>& p, const View& data, const View& x, const View& ct,
                  const View& of_data, const View& of_x, int64_t heads, int64_t width) {
  const auto& kernels = cpu::sparse_rows<T, I>();
  const cpu::DenseRows<const T> values{data.as<const T>(), data.strides[0]};
  const cpu::DenseRows<const T> own{x.as<const T>(), x.strides[0]}, from{ct.as<const T>(), ct.strides[0]};
  const cpu::DenseRows<T> to{of_x.as<T>(), of_x.strides[0]}, products{of_data.as<T>(), of_data.strides[0]};
  const int64_t rows = of_x.shape[0], numbers = heads * width;
  std::atomic<bool> ok = true, any_longer = false;
  for_blocks_of_rows(Indices(p.starts), rows, p.positions, 2 * numbers, [&](int64_t first, int64_t last) {
    bool longer = false;
    if (!kernels.adjoint(p, values, own, from, to, products, heads, width, first, last, kLongRow, &longer))
      ok = false;
    if (longer) any_longer = true;
  });
  if (any_longer) {
    const std::vector<Piece> pieces = pieces_of_long_rows(p, rows);
    std::vector<T> sums(pieces.size() * static_cast<size_t>(numbers));
    parallel_for(static_cast<int64_t>(pieces.size()), [&](int64_t i) {
      const Piece& piece = pieces[static_cast<size_t>(i)];
      if (!kernels.adjoint_of(p, values, own.at + piece.row * own.step, from, sums.data() + i * numbers,
                              products, heads, width, piece.begin, piece.end))
        ok = false;
    });
    add_pieces(pieces, sums, to, numbers);
  }
  return ok;
}

/// x: data, x, ct and the pattern of the transpose; nullopt where the vector kernels do not apply.
std::optional<bool> adjoint_fast(std::span<const View> x, std::span<const View> side,
                                 std::span<const View> out) {
  const View &data = x[0], &dense = x[1], &ct = x[2];
  const size_t head_axes = data.shape.size();
  const int64_t heads = product_of(data.shape, 1, head_axes),
                width = product_of(dense.shape, head_axes, dense.shape.size());
  if (width < 2 || heads < 1 || out[1].size() == 0 || ct.size() == 0) return std::nullopt;
  if (!std::all_of(side.begin(), side.end(), packed_indices)) return std::nullopt;
  for (const View& v : {data, dense, ct, out[0], out[1]})
    if (!packed_from(v, 1)) return std::nullopt;
  bool ok = true;
  if (!visit_fast(dense.dtype, side[0].dtype, [&](auto t, auto i) {
        using T = decltype(t);
        using I = decltype(i);
        fill_zero(out[0]);  // entries that no position holds
        ok = adjoint_fast<T, I>(row_pattern<I>(side, data.shape[0], ct.shape[0]), data, dense, ct, out[0],
                                out[1], heads, width);
      }))
    return std::nullopt;
  return ok;
}

}  // namespace

namespace {
void run_product(std::string_view op, std::span<const View> x, const View& y, int lane_axes,
                 const WantedRows& wanted) {
  const std::array<View, 3> side{shared_part(x[2]), shared_part(x[3]), shared_part(x[4])};
  const auto lanes = static_cast<size_t>(lane_axes);
  const Axes3 axes{x[0].shape.size() - lanes, x[1].shape.size() - lanes, lane_axes};
  const std::optional<bool> fast = product_fast(x, side, y, axes, wanted);
  if (!(fast ? *fast : product_plain(x, side, y, axes, wanted))) report_bad_pattern(op);
}
}  // namespace

void run_product(std::string_view op, std::span<const View> x, const View& y, int lane_axes) {
  const Packed operands(x, {1});
  run_product(op, operands.views(), y, lane_axes, std::nullopt);
}

void run_product_of_rows(std::string_view op, std::span<const View> x, const View& y, int64_t first,
                         int64_t last) {
  run_product(op, x, y, 0, RowRange{first, last});
}

namespace {
// Rows by index, from 0 on; -1 where out of range.
std::vector<int64_t> located(const View& index, int64_t rows, bool wraps, bool& ok) {
  const IndexWalk walk{{}, {}, 0, rows, wraps};
  std::vector<int64_t> out(static_cast<size_t>(index.shape[0]));
  for (size_t k = 0; k < out.size(); ++k) {
    out[k] = index.as<const int64_t>()[static_cast<int64_t>(k) * index.strides[0]];
    if (!walk.locate(out[k])) out[k] = -1, ok = false;
  }
  return out;
}
}  // namespace

bool run_product_at(std::string_view op, std::span<const View> given, const View& index, bool wraps,
                    const View& y) {
  const Packed operands(given, {1});
  const int64_t rows = given[2].shape[0] - 1;
  bool ok = true;
  const std::vector<int64_t> at = located(index, rows, wraps, ok);
  if (!ok) fill_zero(y);
  const auto count = static_cast<int64_t>(at.size());
  const int64_t positions = given[3].shape[0] / std::max<int64_t>(rows, 1) * count;
  const int64_t blocks = count_blocks(count, positions, product_of(y.shape, 1, y.shape.size()));
  parallel_for(blocks, [&](int64_t b) {
    run_product(op, operands.views(), y, 0,
                RowRange{count * b / blocks, count * (b + 1) / blocks, at.data()});
  });
  return ok;
}

bool run_product_from(std::string_view op, std::span<const View> given, const View& index, bool wraps,
                      const View& y) {
  const Packed operands(given, {1});
  const std::span<const View> x = operands.views();
  const View &data = x[0], &dense = x[1];
  const size_t axes = data.shape.size();
  const int64_t heads = product_of(data.shape, 1, axes), width = product_of(y.shape, axes, y.shape.size());
  bool ok = true, ok_pattern = true;
  const std::vector<int64_t> at = located(index, x[2].shape[0] - 1, wraps, ok);
  const Walk walk(x[2], x[3], x[4], data.shape[0], y.shape[0]);
  fill_zero(y);
  visit_dtype(y.dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    if constexpr (!std::is_same_v<T, bool> && !std::is_same_v<T, Key>)
      for (size_t k = 0; k < at.size(); ++k) {
        const T* const from = dense.as<const T>() + static_cast<int64_t>(k) * dense.strides[0];
        if (at[k] >= 0 && !walk.row(at[k], [&](int64_t e, int64_t c) {
              const T* const v = data.as<const T>() + e * data.strides[0];
              T* const to = y.as<T>() + c * y.strides[0];
              for (int64_t h = 0; h < heads; ++h)
                add_multiple(v + h * (axes > 1 ? data.strides[1] : 0), 0, from + h * width, 1, to + h * width,
                             1, width);
            }))
          ok_pattern = false;
      }
  });
  if (!ok_pattern) report_bad_pattern(op);
  return ok;
}

namespace {
void run_sampled(std::string_view op, std::span<const View> x, const View& y, int lane_axes, size_t head_axes,
                 const WantedRows& wanted) {
  const std::array<View, 3> side{shared_part(x[2]), shared_part(x[3]), shared_part(x[4])};
  const Axes3 axes{head_axes + 1, x[0].shape.size() - static_cast<size_t>(lane_axes), lane_axes};
  const std::optional<bool> fast = sampled_fast(x, side, y, axes, wanted);
  if (!(fast ? *fast : sampled_plain(x, side, y, axes, wanted))) report_bad_pattern(op);
}
}  // namespace

void run_sampled(std::string_view op, std::span<const View> x, const View& y, int lane_axes,
                 size_t head_axes) {
  const Packed operands(x, {0, 1});
  run_sampled(op, operands.views(), y, lane_axes, head_axes, std::nullopt);
}

void run_sampled_of_rows(std::string_view op, std::span<const View> x, const View& y, size_t head_axes,
                         int64_t first, int64_t last) {
  run_sampled(op, x, y, 0, head_axes, RowRange{first, last});
}

bool run_adjoint(std::string_view op, std::span<const View> given, std::span<const View> out) {
  const Packed operands(given, {1, 2});
  const std::span<const View> x = operands.views();
  const std::array<View, 3> side{x[6], x[7], x[8]};
  const std::optional<bool> ok = adjoint_fast(x, side, out);
  if (ok && !*ok) report_bad_pattern(op);
  return ok.has_value();
}

template <class T>
void sum_groups(const int64_t* starts, const int64_t* order, int64_t groups, int64_t positions, const T* x,
                T* y, int64_t width) {
  T one = 1;
  const auto view = [&](const T* at, int64_t rows, int64_t step) {
    return View{const_cast<T*>(at), dtype_of<T>, {rows, width}, {step, 1}};
  };
  const cpu::RowPattern<int64_t> p{starts, order, nullptr, positions, positions, positions};
  product_fast<T, int64_t>(p, view(&one, positions, 0), view(x, positions, width), view(y, groups, width), 1,
                           width, std::nullopt);
}
template void sum_groups<float>(const int64_t*, const int64_t*, int64_t, int64_t, const float*, float*,
                                int64_t);
template void sum_groups<double>(const int64_t*, const int64_t*, int64_t, int64_t, const double*, double*,
                                 int64_t);

}  // namespace hesse::sparse
