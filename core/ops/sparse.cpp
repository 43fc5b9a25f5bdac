// Products with matrices of which few entries are stored.
#include "core/sparse.h"

#include <algorithm>
#include <atomic>
#include <numeric>
#include <vector>

#include "core/cpu/assign.h"
#include "core/cpu/simd_kernels.h"
#include "core/cpu/threads.h"
#include "core/op_table.h"
#include "core/ops.h"
#include "core/ops/elementwise.h"
#include "core/ops/index_gather.h"
#include "core/ops/view_loops.h"
#include "core/status.h"

namespace hesse::sparse {
namespace {

/// One side of a pattern, as a kernel meets it: what is out of range is left out and reported.
struct Walk {
  Walk(const View& starts, const View& columns, const View& entries, int64_t nnz, int64_t cols)
      : starts_(starts.as<const int64_t>()),
        columns_(columns.as<const int64_t>()),
        entries_(entries.shape[0] ? entries.as<const int64_t>() : nullptr),
        start_(starts.strides[0]),
        column_(columns.strides[0]),
        entry_(entries.strides[0]),
        positions_(columns.shape[0]),
        nnz_(nnz),
        cols_(cols) {}

  /// f(entry, column) for what row r stores; false where an index is out of range.
  template <class F>
  bool row(int64_t r, F&& f) const {
    const int64_t begin = starts_[r * start_], end = starts_[(r + 1) * start_];
    if (begin < 0 || end > positions_ || begin > end) return false;
    bool ok = true;
    for (int64_t p = begin; p < end; ++p) {
      const int64_t c = columns_[p * column_], e = entries_ ? entries_[p * entry_] : p;
      if (static_cast<uint64_t>(c) < static_cast<uint64_t>(cols_) &&
          static_cast<uint64_t>(e) < static_cast<uint64_t>(nnz_))
        f(e, c);
      else
        ok = false;
    }
    return ok;
  }

 private:
  const int64_t *starts_, *columns_, *entries_;
  int64_t start_, column_, entry_, positions_, nnz_, cols_;
};

void report_bad_pattern(std::string_view op) {
  report_failure(Failure::Index, op,
                 "the pattern has a start, a column or an entry out of range; make it with csr or coo");
}

/// f(r) for every row; rows are shared by threads in blocks that do not depend on their number.
template <class F>
void for_each_row(int64_t rows, double flops, F&& f) {
  constexpr double kWorthwhile = 1 << 18;
  constexpr int64_t kBlocks = 64;
  const int64_t blocks = flops < kWorthwhile ? 1 : std::min(kBlocks, rows);
  const auto run = [&](int64_t b) {
    for (int64_t r = b * rows / blocks, end = (b + 1) * rows / blocks; r < end; ++r) f(r);
  };
  if (blocks <= 1) {
    if (rows > 0) run(0);
  } else {
    parallel_for(blocks, run);
  }
}

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
template <class Dims>
Dims without_first(Dims d) {
  d.erase(size_t{0});
  return d;
}

void check_pattern(std::string_view op, std::span<const Aval> x) {
  for (size_t i = 2; i < x.size(); ++i)
    require<TypeError>(x[i].dtype == DType::Int64 && x[i].shape.size() == 1, op,
                       ": a pattern has vectors of int64, got ", describe(x[i].shape, x[i].dtype));
}
void check_numeric(std::string_view op, std::span<const Aval> x) {
  require<TypeError>(x[0].dtype == x[1].dtype && x[0].dtype != DType::Bool && x[0].dtype != DType::Key, op,
                     ": operands must be numeric and of one dtype, got ", x[0].dtype, " and ", x[1].dtype);
}

Arrays operands(const Array& x, const Array& y, const Rows& by_row, const Rows& by_col) {
  return {x, y, by_row.starts, by_row.columns, by_row.entries, by_col.starts, by_col.columns, by_col.entries};
}
Rows by_row_of(std::span<const Array> x) { return {x[2], x[3], x[4]}; }
Rows by_col_of(std::span<const Array> x) { return {x[5], x[6], x[7]}; }

/// y[rows, k] = A x: inputs data [nnz], x [cols, k] and the pattern by rows and by columns.
class Product final : public Linear {
 public:
  Product() : Linear(In::Each) {}
  std::string_view name() const override { return "csr_matmul"; }
  double flops(std::span<const Aval> x, std::span<const Aval>) const override {
    return 2 * num_entries(x[3]) * static_cast<double>(x[1].shape[1]);
  }
  Avals infer(std::span<const Aval> x) const override;
  void kernel(std::span<const View> x, std::span<const View> out, int lane_axes) const override;
  bool has_lane_kernel() const override { return true; }
  MaybeArray transpose(std::span<const Array> x, const Array& ct, int i) const override;
};

/// d[nnz] = the entries of a b^T at the places of a pattern: inputs a [rows, k], b [cols, k] and the pattern.
class Sampled final : public Linear {
 public:
  Sampled() : Linear(In::Each) {}
  std::string_view name() const override { return "csr_sampled"; }
  double flops(std::span<const Aval> x, std::span<const Aval>) const override {
    return 2 * num_entries(x[3]) * static_cast<double>(x[0].shape[1]);
  }
  Avals infer(std::span<const Aval> x) const override {
    check_numeric(name(), x);
    check_pattern(name(), x);
    return {{{x[3].shape[0]}, x[0].dtype}};
  }
  void kernel(std::span<const View> x, std::span<const View> out, int lane_axes) const override;
  bool has_lane_kernel() const override { return true; }
  MaybeArray transpose(std::span<const Array> x, const Array& ct, int i) const override {
    // <ct, sampled(da, b)> = <C b, da>, <ct, sampled(a, db)> = <C^T a, db>: C has the values ct
    if (i == 0) return apply1(the<Product>(), operands(ct, x[1], by_row_of(x), by_col_of(x)));
    if (i == 1) return apply1(the<Product>(), operands(ct, x[0], by_col_of(x), by_row_of(x)));
    return std::nullopt;
  }
};

Avals Product::infer(std::span<const Aval> x) const {
  check_numeric(name(), x);
  check_pattern(name(), x);
  return {{{x[2].shape[0] - 1, x[1].shape[1]}, x[1].dtype}};
}

void Product::kernel(std::span<const View> x, std::span<const View> out, int lane_axes) const {
  if (lane_by_lane(x, out, lane_axes, [this](auto in, auto y, int axes) { kernel(in, y, axes); })) return;
  fill_zero(out[0]);
  const View &data = x[0], &dense = x[1], &y = out[0];
  const Walk walk(shared_part(x[2]), shared_part(x[3]), shared_part(x[4]), data.shape[0], dense.shape[0]);
  const Shape shape = without_first(y.shape);  // [k, lanes...]
  Strides by_entry = without_first(data.strides);
  by_entry.insert(size_t{0}, 0);
  const std::array<Strides, 3> strides{by_entry, without_first(dense.strides), without_first(y.strides)};
  std::atomic<bool> ok = true;
  visit_dtype(y.dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    if constexpr (!std::is_same_v<T, bool> && !std::is_same_v<T, Key>) {
      const double flops = 2.0 * static_cast<double>(x[3].shape[0] * num_elements(shape));
      for_each_row(y.shape[0], flops, [&](int64_t r) {
        T* const to = y.as<T>() + r * y.strides[0];
        bool row_ok = true;
        if (num_elements(shape) == 1) {
          T sum{};
          row_ok = walk.row(r, [&](int64_t e, int64_t c) {
            sum = static_cast<T>(sum + data.as<const T>()[e * data.strides[0]] *
                                           dense.as<const T>()[c * dense.strides[0]]);
          });
          *to = sum;
        } else {
          row_ok = walk.row(r, [&](int64_t e, int64_t c) {
            const T* const v = data.as<const T>() + e * data.strides[0];
            const T* const from = dense.as<const T>() + c * dense.strides[0];
            for_each_run<3>(shape, strides, [&](const Offsets<3>& at, int64_t n, const Offsets<3>& step) {
              add_multiple(v + at[0], step[0], from + at[1], step[1], to + at[2], step[2], n);
            });
          });
        }
        if (!row_ok) ok = false;
      });
    }
  });
  if (!ok) report_bad_pattern(name());
}

MaybeArray Product::transpose(std::span<const Array> x, const Array& ct, int i) const {
  // <ct, D x> = <sampled(ct, x), d>, <ct, A dx> = <A^T ct, dx>
  if (i == 0) return apply1(the<Sampled>(), operands(ct, x[1], by_row_of(x), by_col_of(x)));
  if (i == 1) return apply1(the<Product>(), operands(x[0], ct, by_col_of(x), by_row_of(x)));
  return std::nullopt;
}

void Sampled::kernel(std::span<const View> x, std::span<const View> out, int lane_axes) const {
  if (lane_by_lane(x, out, lane_axes, [this](auto in, auto y, int axes) { kernel(in, y, axes); })) return;
  fill_zero(out[0]);
  const View &a = x[0], &b = x[1], &y = out[0];
  const Walk walk(shared_part(x[2]), shared_part(x[3]), shared_part(x[4]), y.shape[0], b.shape[0]);
  const Shape shape = without_first(a.shape);  // [k, lanes...]
  Strides by_entry = without_first(y.strides);
  by_entry.insert(size_t{0}, 0);
  const std::array<Strides, 3> strides{without_first(a.strides), without_first(b.strides), by_entry};
  std::atomic<bool> ok = true;
  visit_dtype(y.dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    if constexpr (!std::is_same_v<T, bool> && !std::is_same_v<T, Key>) {
      const double flops = 2.0 * static_cast<double>(x[3].shape[0] * num_elements(shape));
      for_each_row(x[2].shape[0] - 1, flops, [&](int64_t r) {
        const T* const left = a.as<const T>() + r * a.strides[0];
        const bool row_ok = walk.row(r, [&](int64_t e, int64_t c) {
          const T* const right = b.as<const T>() + c * b.strides[0];
          T* const to = y.as<T>() + e * y.strides[0];
          for_each_run<3>(shape, strides, [&](const Offsets<3>& at, int64_t n, const Offsets<3>& step) {
            add_multiple(left + at[0], step[0], right + at[1], step[1], to + at[2], step[2], n);
          });
        });
        if (!row_ok) ok = false;
      });
    }
  });
  if (!ok) report_bad_pattern(name());
}

// ---- making patterns -----------------------------------------------------------------------------------
std::vector<int64_t> values_of(const Array& indices) {
  const View v = indices.view();
  std::vector<int64_t> out(static_cast<size_t>(v.shape[0]));
  for (size_t i = 0; i < out.size(); ++i)
    out[i] = v.as<const int64_t>()[static_cast<int64_t>(i) * v.strides[0]];
  return out;
}
Array array_of(const std::vector<int64_t>& v) {
  return Array::from<int64_t>(v, {static_cast<int64_t>(v.size())});
}
void check_sizes(const char* function, int64_t rows, int64_t cols) {
  require(rows >= 0 && cols >= 0, function, ": the shape must not be negative, got (", rows, ", ", cols, ")");
}
void check_vector(const char* function, const char* name, const Array& a) {
  require(a.ndim() == 1, function, ": ", name, " must have one axis, got shape ", a.shape());
}

/// The other side of a pattern, its columns in ascending order of row.
Rows transposed(const std::vector<int64_t>& starts, const std::vector<int64_t>& columns, int64_t cols) {
  std::vector<int64_t> by_col(static_cast<size_t>(cols) + 1, 0), rows(columns.size()),
      entries(columns.size());
  for (const int64_t c : columns) ++by_col[static_cast<size_t>(c) + 1];
  std::partial_sum(by_col.begin(), by_col.end(), by_col.begin());
  std::vector<int64_t> next(by_col.begin(), by_col.end() - 1);
  for (size_t r = 0; r + 1 < starts.size(); ++r)
    for (int64_t p = starts[r]; p < starts[r + 1]; ++p) {
      const auto to = static_cast<size_t>(next[static_cast<size_t>(columns[static_cast<size_t>(p)])]++);
      rows[to] = static_cast<int64_t>(r);
      entries[to] = p;
    }
  return {array_of(by_col), array_of(rows), array_of(entries)};
}

CSR made(const Array& data, const std::vector<int64_t>& starts, const std::vector<int64_t>& columns,
         int64_t cols) {
  return {data, {array_of(starts), array_of(columns), array_of({})}, transposed(starts, columns, cols)};
}

Array as_columns(const Array& x) { return x.ndim() == 1 ? expand_dims(x, {1}) : x; }

}  // namespace

CSR CSR::with_data(const Array& values) const {
  require(values.ndim() == 1 && values.shape()[0] == by_row.columns.shape()[0],
          "with_data: values must be of shape (", by_row.columns.shape()[0],
          "), one for each stored entry, got ", values.shape());
  return {values, by_row, by_col};
}

CSR csr(const Array& data, const Array& indices, const Array& indptr, int64_t rows, int64_t cols) {
  check_sizes("csr", rows, cols);
  check_vector("csr", "data", data);
  check_vector("csr", "indices", indices);
  check_vector("csr", "indptr", indptr);
  require(data.shape() == indices.shape(), "csr: data and indices must have one length, got shapes ",
          data.shape(), " and ", indices.shape());
  require(indptr.shape()[0] == rows + 1, "csr: indptr must have rows + 1 = ", rows + 1,
          " entries, got shape ", indptr.shape());
  const std::vector<int64_t> columns = values_of(checked_indices("csr", indices));
  const std::vector<int64_t> starts = values_of(checked_indices("csr", indptr));
  const auto nnz = static_cast<int64_t>(columns.size());
  require(starts.front() == 0 && starts.back() == nnz, "csr: indptr must go from 0 to nnz=", nnz, ", got ",
          starts.front(), " to ", starts.back());
  std::vector<int64_t> seen(static_cast<size_t>(cols), -1);
  for (size_t r = 0; r + 1 < starts.size(); ++r) {
    require(starts[r] <= starts[r + 1] && starts[r + 1] <= nnz, "csr: indptr must ascend, got ", starts[r],
            " before ", starts[r + 1], " at row ", r);
    for (int64_t p = starts[r]; p < starts[r + 1]; ++p) {
      const int64_t c = columns[static_cast<size_t>(p)];
      require<IndexError>(c >= 0 && c < cols, "csr: indices has column ", c, " at position ", p,
                          ", out of range for ", cols, " columns");
      require(std::exchange(seen[static_cast<size_t>(c)], static_cast<int64_t>(r)) != static_cast<int64_t>(r),
              "csr: row ", r, " has column ", c, " twice; coo adds values at the same place");
    }
  }
  return made(data, starts, columns, cols);
}

CSR coo(const Array& data, const Array& row, const Array& col, int64_t rows, int64_t cols) {
  check_sizes("coo", rows, cols);
  check_vector("coo", "data", data);
  check_vector("coo", "row", row);
  check_vector("coo", "col", col);
  require(data.shape() == row.shape() && data.shape() == col.shape(),
          "coo: data, row and col must have one length, got shapes ", data.shape(), ", ", row.shape(),
          " and ", col.shape());
  const std::vector<int64_t> r = values_of(checked_indices("coo", row)),
                             c = values_of(checked_indices("coo", col));
  for (size_t p = 0; p < r.size(); ++p)
    require<IndexError>(r[p] >= 0 && r[p] < rows && c[p] >= 0 && c[p] < cols, "coo: (", r[p], ", ", c[p],
                        ") at position ", p, " is out of range for shape (", rows, ", ", cols, ")");
  std::vector<int64_t> order(r.size());
  std::iota(order.begin(), order.end(), 0);
  const auto place = [&](int64_t p) {
    return std::pair(r[static_cast<size_t>(p)], c[static_cast<size_t>(p)]);
  };
  std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) { return place(a) < place(b); });
  std::vector<int64_t> starts(static_cast<size_t>(rows) + 1, 0), columns, entry;
  for (size_t i = 0; i < order.size(); ++i) {
    const auto [at_row, at_col] = place(order[i]);
    if (i == 0 || place(order[i - 1]) != place(order[i])) {
      ++starts[static_cast<size_t>(at_row) + 1];
      columns.push_back(at_col);
    }
    entry.push_back(static_cast<int64_t>(columns.size()) - 1);
  }
  std::partial_sum(starts.begin(), starts.end(), starts.begin());
  const Array sorted = gather(data, array_of(order));
  return made(columns.size() == order.size()
                  ? sorted
                  : segment_sum(sorted, array_of(entry), static_cast<int64_t>(columns.size())),
              starts, columns, cols);
}

CSR from_dense(const Array& dense) {
  require(dense.ndim() == 2, "from_dense: dense must have two axes, got shape ", dense.shape());
  const std::vector<Array> places = nonzero(dense);
  const int64_t rows = dense.shape()[0], cols = dense.shape()[1];
  const Array flat = add(multiply(places[0], Array(cols)), places[1]);
  return coo(gather(reshape(dense, {rows * cols}), flat), places[0], places[1], rows, cols);
}

Array todense(const CSR& a) { return matmul(a, eye(a.cols(), a.cols(), 0, a.data.dtype())); }

Array matmul(const CSR& a, const Array& x) {
  require((x.ndim() == 1 || x.ndim() == 2) && x.shape()[0] == a.cols(), "matmul: a sparse matrix of shape (",
          a.rows(), ", ", a.cols(), ") times x needs x of shape (", a.cols(), ") or (", a.cols(),
          ", k), got ", x.shape());
  const DType dtype = common_dtype("matmul", Arrays{a.data, x});
  const Array y = apply1(the<Product>(), operands(converted(a.data, dtype), as_columns(converted(x, dtype)),
                                                  a.by_row, a.by_col));
  return x.ndim() == 1 ? squeeze(y, Axes{1}) : y;
}

Array sampled_outer(const CSR& pattern, const Array& x, const Array& y) {
  const auto shapes = [&] { return concat("x of shape ", x.shape(), " and y of shape ", y.shape()); };
  require((x.ndim() == 1 || x.ndim() == 2) && x.ndim() == y.ndim(),
          "sampled_outer: x and y must both be vectors or both matrices, got ", shapes());
  require(x.shape()[0] == pattern.rows() && y.shape()[0] == pattern.cols() &&
              (x.ndim() == 1 || x.shape()[1] == y.shape()[1]),
          "sampled_outer: a pattern of shape (", pattern.rows(), ", ", pattern.cols(),
          ") needs x of shape (rows, k) and y of shape (cols, k), got ", shapes());
  const DType dtype = common_dtype("sampled_outer", Arrays{x, y});
  return apply1(the<Sampled>(), operands(as_columns(converted(x, dtype)), as_columns(converted(y, dtype)),
                                         pattern.by_row, pattern.by_col));
}

}  // namespace hesse::sparse

namespace hesse {
OpFamily families::sparse_products() { return {listed<sparse::Product>(), listed<sparse::Sampled>()}; }
}  // namespace hesse
