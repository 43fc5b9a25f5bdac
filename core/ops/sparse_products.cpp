// Products with matrices of which few entries are stored, and the ops that these are when transposed.
#include <array>
#include <atomic>
#include <type_traits>

#include "core/cpu/assign.h"
#include "core/cpu/simd_kernels.h"
#include "core/cpu/sparse_rows.h"
#include "core/cpu/threads.h"
#include "core/op_table.h"
#include "core/ops.h"
#include "core/ops/elementwise.h"
#include "core/ops/sparse_rows.h"
#include "core/ops/view_loops.h"

namespace hesse::sparse {

void check_pattern(std::string_view op, std::span<const Aval> x, size_t first) {
  for (size_t i = first; i < x.size(); ++i)
    require<TypeError>((x[i].dtype == DType::Int32 || x[i].dtype == DType::Int64) &&
                           x[i].dtype == x[first].dtype && x[i].shape.size() == 1,
                       op, ": a pattern has vectors of int32 or of int64, got ",
                       describe(x[i].shape, x[i].dtype), " after ", describe(x[first].shape, x[first].dtype));
}

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

bool varies(const View& v, int lane_axes) {
  for (int d = 0; d < lane_axes; ++d)
    if (const size_t axis = v.shape.size() - 1 - static_cast<size_t>(d);
        v.strides[axis] != 0 && v.shape[axis] > 1)
      return true;
  return false;
}

/// Calls kernel(x, out) lane by lane of the last axis, where patterns differ between lanes.
template <class Kernel>
bool lane_by_lane(std::span<const View> x, std::span<const View> out, int lane_axes, Kernel kernel) {
  if (lane_axes == 0 ||
      std::none_of(x.begin() + 2, x.end(), [&](const View& v) { return varies(v, lane_axes); }))
    return false;
  const size_t last = out[0].shape.size() - 1;
  for (int64_t l = 0; l < out[0].shape[last]; ++l) {
    std::vector<View> in;
    for (const View& v : x) in.push_back(cpu::at(v, v.shape.size() - 1, l));
    const View y = cpu::at(out[0], last, l);
    kernel(std::span<const View>(in), std::span<const View>(&y, 1), lane_axes - 1);
  }
  return true;
}

/// A pattern's vector without its lanes, which all have the same.
View shared_part(View v) {
  while (v.shape.size() > 1) v.shape.pop_back(), v.strides.pop_back();
  return v;
}

int64_t product_of(const Shape& s, size_t first, size_t last) {
  int64_t n = 1;
  for (size_t i = first; i < last; ++i) n *= s[i];
  return n;
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

void check_numeric(std::string_view op, std::span<const Aval> x) {
  require<TypeError>(x[0].dtype == x[1].dtype && x[0].dtype != DType::Bool && x[0].dtype != DType::Key, op,
                     ": operands must be numeric and of one dtype, got ", x[0].dtype, " and ", x[1].dtype);
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
cpu::RowPattern<I> row_pattern(std::span<const View> side, int64_t num_entries, int64_t cols) {
  return {side[0].as<const I>(), side[1].as<const I>(), side[2].shape[0] ? side[2].as<const I>() : nullptr,
          side[1].shape[0],      num_entries,           cols};
}

// ---- products ------------------------------------------------------------------------------------------
/// y[r, h, k] = sum over the positions of row r of data[e, h] x[c, h, k]. False where an index is out of
/// range.
template <class T, class I>
bool product_fast(const cpu::RowPattern<I>& p, const View& data, const View& x, const View& y, int64_t heads,
                  int64_t width) {
  const auto& kernels = cpu::sparse_rows<T, I>();
  const cpu::DenseRows<const T> values{data.as<const T>(), data.strides[0]};
  const cpu::DenseRows<const T> from{x.as<const T>(), x.strides[0]};
  const cpu::DenseRows<T> to{y.as<T>(), y.strides[0]};
  const int64_t rows = y.shape[0], numbers = heads * width;
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
                                 const Axes3& axes) {
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
        ok = product_fast<T, I>(row_pattern<I>(side, data.shape[0], dense.shape[0]), data, dense, y, heads,
                                width);
      }))
    return std::nullopt;
  return ok;
}

/// The specification: any strides, any numeric dtype.
bool product_plain(std::span<const View> x, std::span<const View> side, const View& y, const Axes3& axes) {
  fill_zero(y);
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
      for_blocks_of_rows(
          Indices(side[0]), y.shape[0], side[1].shape[0], num_elements(shape),
          [&](int64_t first, int64_t last) {
            for (int64_t r = first; r < last; ++r) {
              T* const to = y.as<T>() + r * y.strides[0];
              if (!walk.row(r, [&](int64_t e, int64_t c) {
                    const T* const v = data.as<const T>() + e * data.strides[0];
                    const T* const from = dense.as<const T>() + c * dense.strides[0];
                    for_each_run<3>(
                        shape, strides, [&](const Offsets<3>& at, int64_t n, const Offsets<3>& step) {
                          add_multiple(v + at[0], step[0], from + at[1], step[1], to + at[2], step[2], n);
                        });
                  }))
                ok = false;
            }
          });
    }
  });
  return ok;
}

/// By the first of several patterns of triples: y [rows, heads..., k...] from values [n, heads...] and rows
/// [cols, heads..., k...].
void run_product(std::string_view op, std::span<const View> given, const View& y, int lane_axes) {
  const Packed operands(given, {1});
  const std::span<const View> x = operands.views();
  const std::array<View, 3> side{shared_part(x[2]), shared_part(x[3]), shared_part(x[4])};
  const auto lanes = static_cast<size_t>(lane_axes);
  const Axes3 axes{x[0].shape.size() - lanes, x[1].shape.size() - lanes, lane_axes};
  const std::optional<bool> fast = product_fast(x, side, y, axes);
  if (!(fast ? *fast : product_plain(x, side, y, axes))) report_bad_pattern(op);
}

// ---- sampled products ----------------------------------------------------------------------------------
template <class T, class I>
bool sampled_fast(const cpu::RowPattern<I>& p, const View& a, const View& b, const View& y, int64_t heads,
                  int64_t width, int64_t rows) {
  const auto& kernels = cpu::sparse_rows<T, I>();
  const cpu::DenseRows<const T> left{a.as<const T>(), a.strides[0]}, right{b.as<const T>(), b.strides[0]};
  const cpu::DenseRows<T> to{y.as<T>(), y.strides[0]};
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
                                 const Axes3& axes) {
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
        const auto p = row_pattern<I>(side, y.shape[0], b.shape[0]);
        // Entries that no position holds are zero.
        if (p.entries || p.starts[0] != 0 || p.starts[rows] != p.positions) fill_zero(y);
        ok = sampled_fast<T, I>(p, a, b, y, heads, width, rows);
      }))
    return std::nullopt;
  return ok;
}

bool sampled_plain(std::span<const View> x, std::span<const View> side, const View& y, const Axes3& axes) {
  fill_zero(y);
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
      for_blocks_of_rows(
          Indices(side[0]), side[0].shape[0] - 1, side[1].shape[0], num_elements(shape),
          [&](int64_t first, int64_t last) {
            for (int64_t r = first; r < last; ++r) {
              const T* const left = a.as<const T>() + r * a.strides[0];
              if (!walk.row(r, [&](int64_t e, int64_t c) {
                    const T* const right = b.as<const T>() + c * b.strides[0];
                    T* const to = y.as<T>() + e * y.strides[0];
                    for_each_run<3>(
                        shape, strides, [&](const Offsets<3>& at, int64_t n, const Offsets<3>& step) {
                          add_multiple(left + at[0], step[0], right + at[1], step[1], to + at[2], step[2], n);
                        });
                  }))
                ok = false;
            }
          });
    }
  });
  return ok;
}

void run_sampled(std::string_view op, std::span<const View> given, const View& y, int lane_axes,
                 size_t head_axes) {
  const Packed operands(given, {0, 1});
  const std::span<const View> x = operands.views();
  const std::array<View, 3> side{shared_part(x[2]), shared_part(x[3]), shared_part(x[4])};
  const Axes3 axes{head_axes + 1, x[0].shape.size() - static_cast<size_t>(lane_axes), lane_axes};
  const std::optional<bool> fast = sampled_fast(x, side, y, axes);
  if (!(fast ? *fast : sampled_plain(x, side, y, axes))) report_bad_pattern(op);
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

// ---- ops -----------------------------------------------------------------------------------------------
Arrays operands(const Array& x, const Array& y, const Rows& by_row, const Rows& by_col) {
  Arrays in{x, y};
  append(in, by_row);
  append(in, by_col);
  return in;
}

void check_rows(std::string_view op, const Aval& values, const Aval& dense, size_t head_axes) {
  bool fits = dense.shape.size() > head_axes;
  for (size_t i = 1; fits && i <= head_axes; ++i) fits = values.shape[i] == dense.shape[i];
  require(fits, op, ": values of shape ", values.shape, " and rows of shape ", dense.shape,
          " have different heads");
}

/// y[rows, heads..., k...] = A x: inputs data [nnz, heads...], x [cols, heads..., k...] and the pattern by
/// rows and by columns. Linear in each of the first two; its pull-back to both is one op.
class Product final : public Op {
 public:
  std::string_view name() const override { return "csr_matmul"; }
  double flops(std::span<const Aval> x, std::span<const Aval>) const override {
    return 2 * num_entries(x[3]) * static_cast<double>(product_of(x[1].shape, 1, x[1].shape.size()));
  }
  Avals infer(std::span<const Aval> x) const override {
    check_numeric(name(), x);
    check_pattern(name(), x, 2);
    check_rows(name(), x[0], x[1], x[0].shape.size() - 1);
    Shape y = x[1].shape;
    y[0] = x[2].shape[0] - 1;
    return {{y, x[1].dtype}};
  }
  void kernel(std::span<const View> x, std::span<const View> out, int lane_axes) const override {
    if (lane_by_lane(x, out, lane_axes, [this](auto in, auto y, int axes) { kernel(in, y, axes); })) return;
    run_product(name(), x, out[0], lane_axes);
  }
  bool has_lane_kernel() const override { return true; }
  Linearity linearity() const override { return Linearity::Each; }
  bool is_linear_in(const std::vector<bool>& marked) const override {
    return std::count(marked.begin(), marked.end(), true) <= 1;
  }
  bool reads_output(int) const override { return false; }
  // d(A x) = dA x + A dx
  MaybeArrays jvp(std::span<const Array> x, std::span<const Array>,
                  std::span<const MaybeArray> dx) const override {
    MaybeArray dy;
    for (const size_t i : {0, 1}) {
      if (!dx[i]) continue;
      Arrays in(x.begin(), x.end());
      in[i] = *dx[i];
      const Array term = apply1(the<Product>(), in);
      dy = dy ? hesse::add(*dy, term) : term;
    }
    return {dy};
  }
  std::optional<MaybeArrays> vjp(std::span<const Array> x, std::span<const Array>,
                                 std::span<const MaybeArray> ct,
                                 const std::vector<bool>& wanted) const override;
};

/// d[nnz, heads...] = the entries of a b^T at the places of a pattern, summed over k: inputs a [rows,
/// heads..., k...], b [cols, heads..., k...] and the pattern.
class Sampled final : public Linear {
 public:
  explicit Sampled(int64_t head_axes) : Linear(In::Each), head_axes_(head_axes) {}
  std::string_view name() const override { return "csr_sampled"; }
  Params params() const override { return {{"head_axes", head_axes_}}; }
  double flops(std::span<const Aval> x, std::span<const Aval>) const override {
    return 2 * num_entries(x[3]) * static_cast<double>(product_of(x[0].shape, 1, x[0].shape.size()));
  }
  Avals infer(std::span<const Aval> x) const override {
    check_numeric(name(), x);
    check_pattern(name(), x, 2);
    check_rows(name(), x[0], x[1], x[0].shape.size() - 1);
    Shape y{x[3].shape[0]};
    for (size_t i = 1; i <= static_cast<size_t>(head_axes_); ++i) y.push_back(x[0].shape[i]);
    return {{y, x[0].dtype}};
  }
  void kernel(std::span<const View> x, std::span<const View> out, int lane_axes) const override {
    if (lane_by_lane(x, out, lane_axes, [this](auto in, auto y, int axes) { kernel(in, y, axes); })) return;
    run_sampled(name(), x, out[0], lane_axes, static_cast<size_t>(head_axes_));
  }
  bool has_lane_kernel() const override { return true; }
  // <ct, sampled(da, b)> = <C b, da>, <ct, sampled(a, db)> = <C^T a, db>: C has the values ct
  MaybeArray transpose(std::span<const Array> x, const Array& ct, int i) const override {
    if (i == 0) return apply1(the<Product>(), operands(ct, x[1], side_at(x, 2), side_at(x, 5)));
    if (i == 1) return apply1(the<Product>(), operands(ct, x[0], side_at(x, 5), side_at(x, 2)));
    return std::nullopt;
  }

 private:
  int64_t head_axes_;
};

/// What Product pulls back from ct [rows, heads..., k...]: sampled(ct, x) [nnz, heads...] and A^T ct [cols,
/// heads..., k...]. Inputs data, x, ct and the pattern. A gathered row of ct serves both, which the two ops
/// one after the other would read twice: 0.85 of their time where memory is the limit
/// (tests/benchmarks, w6_both).
class Adjoint final : public Op {
 public:
  std::string_view name() const override { return "csr_adjoint"; }
  double flops(std::span<const Aval> x, std::span<const Aval>) const override {
    return 4 * num_entries(x[4]) * static_cast<double>(product_of(x[1].shape, 1, x[1].shape.size()));
  }
  Avals infer(std::span<const Aval> x) const override {
    check_numeric(name(), x);
    check_pattern(name(), x, 3);
    Shape of_ct = x[1].shape;
    of_ct[0] = x[3].shape[0] - 1;
    require(x[2].shape == of_ct && x[2].dtype == x[1].dtype, name(), ": a cotangent of shape ", x[2].shape,
            " does not fit a product of shape ", of_ct);
    return {x[0], x[1]};
  }
  void kernel(std::span<const View> given, std::span<const View> out, int lane_axes) const override {
    const Packed operands(given, {1, 2});
    const std::span<const View> x = operands.views();
    if (lane_axes == 0) {
      const std::array<View, 3> side{x[6], x[7], x[8]};
      if (const std::optional<bool> ok = adjoint_fast(x, side, out)) {
        if (!*ok) report_bad_pattern("csr_matmul");
        return;
      }
    }
    const std::array<View, 8> sampled{x[2], x[1], x[3], x[4], x[5], x[6], x[7], x[8]};
    const std::array<View, 8> product{x[0], x[2], x[6], x[7], x[8], x[3], x[4], x[5]};
    const auto heads = static_cast<int64_t>(x[0].shape.size()) - 1 - lane_axes;
    make_op<Sampled>(heads)->kernel(sampled, out.subspan(0, 1), lane_axes);
    the<Product>()->kernel(product, out.subspan(1, 1), lane_axes);
  }
  bool has_lane_kernel() const override { return true; }
  bool is_linear_in(const std::vector<bool>& marked) const override {
    return std::count(marked.begin(), marked.end(), true) == static_cast<std::ptrdiff_t>(marked[2]);
  }
  std::vector<bool> depends_on(const std::vector<bool>& marked) const override {
    return {marked[1] || marked[2], marked[0] || marked[2]};
  }
  bool reads_output(int) const override { return false; }
  // d sampled(ct, x) = sampled(dct, x) + sampled(ct, dx),  d(A^T ct) = A^T dct + dA^T ct
  MaybeArrays jvp(std::span<const Array> x, std::span<const Array>,
                  std::span<const MaybeArray> dx) const override {
    MaybeArrays dy(2);
    if (dx[2]) {
      Arrays in(x.begin(), x.end());
      in[2] = *dx[2];
      const Arrays both = apply(the<Adjoint>(), in);
      dy = {both[0], both[1]};
    }
    const auto add_to = [&](size_t k, const Array& term) { dy[k] = dy[k] ? hesse::add(*dy[k], term) : term; };
    if (dx[1]) add_to(0, of_data(x, x[2], *dx[1]));
    if (dx[0]) add_to(1, of_x(x, *dx[0], x[2]));
    return dy;
  }
  // <a, sampled(ct, x)> + <b, A^T ct> = <(a's matrix) x + A b, ct>
  std::optional<MaybeArrays> vjp(std::span<const Array> x, std::span<const Array>,
                                 std::span<const MaybeArray> ct,
                                 const std::vector<bool>& wanted) const override {
    if (wanted[0] || wanted[1]) return std::nullopt;
    MaybeArrays out(x.size());
    const auto product = [&](const Array& data, const Array& dense) {
      return apply1(the<Product>(), operands(data, dense, side_at(x, 3), side_at(x, 6)));
    };
    if (wanted[2] && ct[0]) out[2] = product(*ct[0], x[1]);
    if (wanted[2] && ct[1]) {
      const Array term = product(x[0], *ct[1]);
      out[2] = out[2] ? hesse::add(*out[2], term) : term;
    }
    return out;
  }

  static Array of_data(std::span<const Array> x, const Array& ct, const Array& dense) {
    return apply1(make_op<Sampled>(static_cast<int64_t>(x[0].ndim()) - 1),
                  operands(ct, dense, side_at(x, 3), side_at(x, 6)));
  }
  static Array of_x(std::span<const Array> x, const Array& data, const Array& ct) {
    return apply1(the<Product>(), operands(data, ct, side_at(x, 6), side_at(x, 3)));
  }
};

// <ct, D x> = <sampled(ct, x), d>, <ct, A dx> = <A^T ct, dx>
std::optional<MaybeArrays> Product::vjp(std::span<const Array> x, std::span<const Array>,
                                        std::span<const MaybeArray> ct,
                                        const std::vector<bool>& wanted) const {
  MaybeArrays out(x.size());
  if (!ct[0] || !(wanted[0] || wanted[1])) return out;
  Arrays in{x[0], x[1], *ct[0]};
  in.insert(in.end(), x.begin() + 2, x.end());
  if (wanted[0] && wanted[1]) {
    const Arrays both = apply(the<Adjoint>(), in);
    out[0] = both[0];
    out[1] = both[1];
  } else if (wanted[0]) {
    out[0] = Adjoint::of_data(in, *ct[0], x[1]);
  } else {
    out[1] = Adjoint::of_x(in, x[0], *ct[0]);
  }
  return out;
}

/// y[t] = sum over the triples (t, l, r) of left[l] right[r]: inputs left [m, heads...], right [n, heads...]
/// and the triples in the order of t, of l and of r; `entries` of a side is the left factor's index of the
/// sum it forms, `columns` the right one's.
class PairedSum final : public Linear {
 public:
  PairedSum() : Linear(In::Each) {}
  std::string_view name() const override { return "csr_paired_sum"; }
  double flops(std::span<const Aval> x, std::span<const Aval>) const override {
    return 2 * num_entries(x[3]) * static_cast<double>(product_of(x[0].shape, 1, x[0].shape.size()));
  }
  Avals infer(std::span<const Aval> x) const override {
    check_numeric(name(), x);
    check_pattern(name(), x, 2);
    check_rows(name(), x[0], x[1], x[0].shape.size() - 1);
    require(x[0].shape.size() == x[1].shape.size(), name(), ": values of shapes ", x[0].shape, " and ",
            x[1].shape, " have different heads");
    Shape y = x[0].shape;
    y[0] = x[2].shape[0] - 1;
    return {{y, x[0].dtype}};
  }
  void kernel(std::span<const View> x, std::span<const View> out, int lane_axes) const override {
    if (lane_by_lane(x, out, lane_axes, [this](auto in, auto y, int axes) { kernel(in, y, axes); })) return;
    run_product(name(), x, out[0], lane_axes);
  }
  bool has_lane_kernel() const override { return true; }
  // y = sum l r over (t, l, r):  dl = sum ct r over (l, t, r),  dr = sum l ct over (r, l, t)
  MaybeArray transpose(std::span<const Array> x, const Array& ct, int i) const override {
    const Rows t = side_at(x, 2), l = side_at(x, 5), r = side_at(x, 8);
    const auto swapped = [](const Rows& s) { return Rows{s.starts, s.entries, s.columns}; };
    Arrays in;
    if (i == 0) {  // sides of t: (l, r); of l: (t, r); of r: (l, t), here (t, l)
      in = {ct, x[1]};
      append(in, l), append(in, t), append(in, swapped(r));
    } else if (i == 1) {
      in = {x[0], ct};
      append(in, r), append(in, swapped(l)), append(in, t);
    } else {
      return std::nullopt;
    }
    return apply1(the<PairedSum>(), in);
  }
};

Array as_columns(const Array& x) { return x.ndim() == 1 ? expand_dims(x, {1}) : x; }

}  // namespace

Array matmul(const CSR& a, const Array& x) {
  const size_t heads = a.data.ndim() - 1;
  require((x.ndim() == heads + 1 || x.ndim() == heads + 2) && x.shape()[0] == a.cols() &&
              (heads == 0 || x.shape()[1] == a.data.shape()[1]),
          "matmul: a sparse matrix of shape (", a.rows(), ", ", a.cols(), ")",
          heads ? concat(" with ", a.data.shape()[1], " heads") : "", " times x needs x of shape (", a.cols(),
          heads ? ", heads) or (" : ") or (", a.cols(), heads ? ", heads, k), got " : ", k), got ",
          x.shape());
  const DType dtype = common_dtype("matmul", Arrays{a.data, x});
  return apply1(the<Product>(), operands(converted(a.data, dtype), converted(x, dtype), a.by_row, a.by_col));
}

Array sampled_outer(const CSR& pattern, const Array& x, const Array& y) {
  const auto shapes = [&] { return concat("x of shape ", x.shape(), " and y of shape ", y.shape()); };
  require(x.ndim() >= 1 && x.ndim() <= 3 && x.ndim() == y.ndim(),
          "sampled_outer: x and y must both be vectors, matrices or (n, heads, k), got ", shapes());
  bool fits = x.shape()[0] == pattern.rows() && y.shape()[0] == pattern.cols();
  for (size_t i = 1; i < x.ndim(); ++i) fits = fits && x.shape()[i] == y.shape()[i];
  require(fits, "sampled_outer: a pattern of shape (", pattern.rows(), ", ", pattern.cols(),
          ") needs x of shape (rows, k) and y of shape (cols, k), or with heads before k, got ", shapes());
  const DType dtype = common_dtype("sampled_outer", Arrays{x, y});
  return apply1(make_op<Sampled>(x.ndim() == 3 ? 1 : 0),
                operands(as_columns(converted(x, dtype)), as_columns(converted(y, dtype)), pattern.by_row,
                         pattern.by_col));
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
                           width);
}
template void sum_groups<float>(const int64_t*, const int64_t*, int64_t, int64_t, const float*, float*,
                                int64_t);
template void sum_groups<double>(const int64_t*, const int64_t*, int64_t, int64_t, const double*, double*,
                                 int64_t);

Array paired_sum(const Array& left, const Array& right, const MatmulStructure& structure) {
  const int64_t m = structure.by_left.starts.shape()[0] - 1, n = structure.by_right.starts.shape()[0] - 1;
  require(left.ndim() >= 1 && left.ndim() == right.ndim() && left.shape()[0] == m && right.shape()[0] == n,
          "matmul: a structure for ", m, " and ", n, " values was given values of shapes ", left.shape(),
          " and ", right.shape());
  const DType dtype = common_dtype("matmul", Arrays{left, right});
  Arrays in{converted(left, dtype), converted(right, dtype)};
  append(in, structure.by_product);
  append(in, structure.by_left);
  append(in, structure.by_right);
  return apply1(the<PairedSum>(), in);
}

}  // namespace hesse::sparse

namespace hesse {
OpFamily families::sparse_products() {
  return {listed<sparse::Product>(),
          {"csr_sampled",
           [](const ReadParams& p) {
             return make_op<sparse::Sampled>(p.has("head_axes") ? int64_t{p["head_axes"]} : int64_t{0});
           }},
          listed<sparse::Adjoint>(),
          listed<sparse::PairedSum>()};
}
}  // namespace hesse
