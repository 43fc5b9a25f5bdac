#pragma once
#include <algorithm>
#include <span>
#include <string_view>
#include <vector>

#include "core/op.h"
#include "core/sparse.h"
#include "core/status.h"

/// Patterns of sparse matrices as operands of ops.
namespace hesse::sparse {

/// Int32 or int64 indices of a strided vector.
class Indices {
 public:
  explicit Indices(const View& v)
      : data_(v.data), step_(v.strides.empty() ? 0 : v.strides[0]), narrow_(v.dtype == DType::Int32) {}
  explicit Indices(const int32_t* p) : data_(p), step_(1), narrow_(true) {}
  explicit Indices(const int64_t* p) : data_(p), step_(1), narrow_(false) {}
  int64_t operator[](int64_t i) const {
    return narrow_ ? static_cast<const int32_t*>(data_)[i * step_]
                   : static_cast<const int64_t*>(data_)[i * step_];
  }

 private:
  const void* data_;
  int64_t step_;
  bool narrow_;
};

/// One side of a pattern, as a kernel meets it: what is out of range is left out and reported.
class Walk {
 public:
  Walk(const View& starts, const View& columns, const View& entries, int64_t num_entries, int64_t cols)
      : starts_(starts),
        columns_(columns),
        entries_(entries),
        in_order_(entries.shape[0] == 0),
        positions_(columns.shape[0]),
        num_entries_(num_entries),
        cols_(cols) {}

  /// f(entry, column) for what row r stores; false where an index is out of range.
  template <class F>
  bool row(int64_t r, F&& f) const {
    const int64_t begin = starts_[r], end = starts_[r + 1];
    if (begin < 0 || end > positions_ || begin > end) return false;
    bool ok = true;
    for (int64_t p = begin; p < end; ++p) {
      const int64_t c = columns_[p], e = in_order_ ? p : entries_[p];
      if (static_cast<uint64_t>(c) < static_cast<uint64_t>(cols_) &&
          static_cast<uint64_t>(e) < static_cast<uint64_t>(num_entries_))
        f(e, c);
      else
        ok = false;
    }
    return ok;
  }

 private:
  Indices starts_, columns_, entries_;
  bool in_order_;
  int64_t positions_, num_entries_, cols_;
};

inline void report_bad_pattern(std::string_view op) {
  report_failure(Failure::Index, op,
                 "the pattern has a start, a column or an entry out of range; make it with csr or coo");
}

/// The index arrays of a side among an op's operands.
inline void append(Arrays& to, const Rows& side) {
  to.push_back(side.starts);
  to.push_back(side.columns);
  to.push_back(side.entries);
}
inline Rows side_at(std::span<const Array> x, size_t first) { return {x[first], x[first + 1], x[first + 2]}; }

/// Throws TypeError unless the operands from `first` on are vectors of int32, or of int64.
void check_pattern(std::string_view op, std::span<const Aval> x, size_t first);

/// Cuts rows into blocks of about equal work, one for each row and each position: bounds[b] is the first row
/// of block b. They ascend and cover all rows whatever `starts` holds.
std::vector<int64_t> balanced_rows(const Indices& starts, int64_t rows, int64_t positions, int64_t blocks);

/// y[left[i]] += a[i], y[right[j]] += b[j], for y of `nnz` values: what an AddStructure does. Throws
/// ValueError where values do not fit it.
Array spread_sum(const Array& a, const Array& b, const Array& left, const Array& right, int64_t nnz);
/// y[t] = sum of left[l] right[r] over the pairs (l, r) that a structure has for t. Throws ValueError
/// where values do not fit it.
Array paired_sum(const Array& left, const Array& right, const MatmulStructure& structure);

/// y[s] = the sum of the rows x[order[p]] for p from starts[s] up to starts[s + 1], of float or double, in
/// that order; x[p] where `order` is null. `y` has all its rows one behind the other, as `x`.
template <class T>
void sum_groups(const int64_t* starts, const int64_t* order, int64_t groups, int64_t positions, const T* x,
                T* y, int64_t width);

}  // namespace hesse::sparse
