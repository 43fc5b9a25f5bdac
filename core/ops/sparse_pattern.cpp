// Making sparse matrices: patterns checked and sorted, with both of their sides.
#include <algorithm>
#include <limits>
#include <numeric>

#include "core/op_table.h"
#include "core/ops.h"
#include "core/ops/elementwise.h"
#include "core/ops/index_gather.h"
#include "core/ops/sparse_rows.h"

namespace hesse::sparse {
namespace {

using Numbers = std::vector<int64_t>;

size_t at(int64_t i) { return static_cast<size_t>(i); }

Array index_array(const Numbers& v, DType dtype) {
  const Shape shape{static_cast<int64_t>(v.size())};
  if (dtype == DType::Int64) return Array::from<int64_t>(v, shape);
  std::vector<int32_t> narrow(v.size());
  std::transform(v.begin(), v.end(), narrow.begin(), [](int64_t i) { return static_cast<int32_t>(i); });
  return Array::from<int32_t>(narrow, shape);
}

void check_shape(const char* function, int64_t rows, int64_t cols) {
  require(rows >= 0 && cols >= 0, function, ": the shape must not be negative, got (", rows, ", ", cols, ")");
}
void check_vector(const char* function, const char* name, const Array& a) {
  require(a.ndim() == 1, function, ": ", name, " must have one axis, got shape ", a.shape());
  require<TypeError>(is_integer(a.dtype()), function, ": ", name, " must be integers, got ", describe(a),
                     "; convert with astype(", name, ", int64)");
}
void check_values(const char* function, const Array& data) {
  require(data.ndim() == 1 || data.ndim() == 2, function,
          ": data must be of shape (nnz) or (nnz, heads), got shape ", data.shape());
}

/// Int32 where both are, and sizes allow it.
DType index_dtype(const Array& a, const Array& b, int64_t rows, int64_t cols) {
  constexpr int64_t most = std::numeric_limits<int32_t>::max();
  return a.dtype() == DType::Int32 && b.dtype() == DType::Int32 && rows < most && cols < most ? DType::Int32
                                                                                              : DType::Int64;
}

/// A stable counting sort: starts of the groups with key 0 .. groups - 1, and positions in their order.
struct Sorted {
  Numbers starts, order;
};
Sorted sorted_by(const Numbers& keys, int64_t groups, const Numbers* order = nullptr) {
  Sorted s{Numbers(at(groups) + 1, 0), Numbers(keys.size())};
  for (const int64_t k : keys) ++s.starts[at(k) + 1];
  std::partial_sum(s.starts.begin(), s.starts.end(), s.starts.begin());
  Numbers next(s.starts.begin(), s.starts.end() - 1);
  for (size_t i = 0; i < keys.size(); ++i) {
    const int64_t p = order ? (*order)[i] : static_cast<int64_t>(i);
    s.order[at(next[at(keys[at(p)])]++)] = p;
  }
  return s;
}
bool ascends_by_one(const Numbers& order) {
  for (size_t i = 0; i < order.size(); ++i)
    if (order[i] != static_cast<int64_t>(i)) return false;
  return true;
}
Numbers picked(const Numbers& from, const Numbers& order) {
  Numbers out(order.size());
  for (size_t i = 0; i < order.size(); ++i) out[i] = from[at(order[i])];
  return out;
}

/// One side from the places of the values: by `keys`, and by `others` within a key. Values that are in this
/// order need no entries on the side of the rows; that of the columns always has them, so that matrices with
/// equally many values have parts of equal shapes.
Rows side_of(const Numbers& keys, const Numbers& others, int64_t groups, int64_t other_groups, DType dtype,
             bool of_rows) {
  const Numbers by_other = sorted_by(others, other_groups).order;
  const Sorted s = sorted_by(keys, groups, &by_other);
  return {index_array(s.starts, dtype), index_array(picked(others, s.order), dtype),
          index_array(of_rows && ascends_by_one(s.order) ? Numbers{} : s.order, dtype)};
}
CSR matrix_of(const Array& data, const Numbers& row, const Numbers& col, int64_t rows, int64_t cols,
              DType dtype) {
  return {data, side_of(row, col, rows, cols, dtype, true), side_of(col, row, cols, rows, dtype, false)};
}

Numbers rows_of(const Numbers& starts) {
  Numbers rows(at(starts.back()));
  for (size_t r = 0; r + 1 < starts.size(); ++r)
    std::fill(rows.begin() + starts[r], rows.begin() + starts[r + 1], static_cast<int64_t>(r));
  return rows;
}

CSR from_triplets(const char* function, const Array& data, const Numbers& row, const Numbers& col,
                  int64_t rows, int64_t cols, DType dtype, Duplicates duplicates) {
  if (duplicates == Duplicates::Keep) return matrix_of(data, row, col, rows, cols, dtype);
  const Numbers by_col = sorted_by(col, cols).order;
  const Numbers order = sorted_by(row, rows, &by_col).order;
  Numbers kept_row, kept_col, part;
  for (size_t i = 0; i < order.size(); ++i) {
    const int64_t r = row[at(order[i])], c = col[at(order[i])];
    if (kept_row.empty() || kept_row.back() != r || kept_col.back() != c) {
      kept_row.push_back(r);
      kept_col.push_back(c);
    } else {
      require(duplicates == Duplicates::Sum, function, ": the place (", r, ", ", c,
              ") is there twice; duplicates can be summed or kept");
    }
    part.push_back(static_cast<int64_t>(kept_row.size()) - 1);
  }
  Array values = ascends_by_one(order) ? data : gather(data, index_array(order, DType::Int64));
  if (kept_row.size() < order.size())
    values = segment_sum(values, index_array(part, DType::Int64), static_cast<int64_t>(kept_row.size()));
  return matrix_of(values, kept_row, kept_col, rows, cols, dtype);
}

}  // namespace

std::vector<int64_t> index_values(const Array& indices) {
  return converted(indices, DType::Int64).materialised().to_vector<int64_t>();
}

CSR CSR::with_data(const Array& values) const {
  require((values.ndim() == 1 || values.ndim() == 2) && values.shape()[0] == nnz(),
          "with_data: values must be of shape (", nnz(), ") or (", nnz(),
          ", heads), one for each stored entry, got ", values.shape());
  return {values, by_row, by_col};
}

CSR csr(const Array& data, const Array& indices, const Array& indptr, int64_t rows, int64_t cols,
        Duplicates duplicates) {
  check_shape("csr", rows, cols);
  check_values("csr", data);
  check_vector("csr", "indices", indices);
  check_vector("csr", "indptr", indptr);
  require(data.shape()[0] == indices.shape()[0], "csr: data and indices must have one length, got shapes ",
          data.shape(), " and ", indices.shape());
  require(indptr.shape()[0] == rows + 1, "csr: indptr must have rows + 1 = ", rows + 1,
          " entries, got shape ", indptr.shape());
  const Numbers columns = index_values(indices), starts = index_values(indptr);
  const auto nnz = static_cast<int64_t>(columns.size());
  require(starts.front() == 0 && starts.back() == nnz, "csr: indptr must go from 0 to nnz=", nnz, ", got ",
          starts.front(), " to ", starts.back());
  for (size_t r = 0; r + 1 < starts.size(); ++r)
    require(starts[r] <= starts[r + 1], "csr: indptr must ascend, got ", starts[r], " before ", starts[r + 1],
            " at row ", r);
  bool repeats = false;
  Numbers seen(at(cols), -1);
  for (size_t r = 0; r + 1 < starts.size(); ++r)
    for (int64_t p = starts[r]; p < starts[r + 1]; ++p) {
      const int64_t c = columns[at(p)];
      require<IndexError>(c >= 0 && c < cols, "csr: indices has column ", c, " at position ", p,
                          ", out of range for ", cols, " columns");
      if (std::exchange(seen[at(c)], static_cast<int64_t>(r)) != static_cast<int64_t>(r)) continue;
      require(duplicates != Duplicates::Refuse, "csr: row ", r, " has column ", c,
              " twice; coo adds values at the same place, and duplicates can be summed or kept here");
      repeats = true;
    }
  const DType dtype = index_dtype(indices, indptr, rows, cols);
  const Numbers row = rows_of(starts);
  if (repeats && duplicates == Duplicates::Sum)
    return from_triplets("csr", data, row, columns, rows, cols, dtype, duplicates);
  // Rows as they were given, whatever the order of their columns.
  return {data,
          {index_array(starts, dtype), index_array(columns, dtype), index_array({}, dtype)},
          side_of(columns, row, cols, rows, dtype, false)};
}

CSR csc(const Array& data, const Array& indices, const Array& indptr, int64_t rows, int64_t cols,
        Duplicates duplicates) {
  return csr(data, indices, indptr, cols, rows, duplicates).transpose();
}

CSR coo(const Array& data, const Array& row, const Array& col, int64_t rows, int64_t cols,
        Duplicates duplicates) {
  check_shape("coo", rows, cols);
  check_values("coo", data);
  check_vector("coo", "row", row);
  check_vector("coo", "col", col);
  require(data.shape()[0] == row.shape()[0] && data.shape()[0] == col.shape()[0],
          "coo: data, row and col must have one length, got shapes ", data.shape(), ", ", row.shape(),
          " and ", col.shape());
  const Numbers r = index_values(row), c = index_values(col);
  for (size_t p = 0; p < r.size(); ++p)
    require<IndexError>(r[p] >= 0 && r[p] < rows && c[p] >= 0 && c[p] < cols, "coo: (", r[p], ", ", c[p],
                        ") at position ", p, " is out of range for shape (", rows, ", ", cols, ")");
  return from_triplets("coo", data, r, c, rows, cols, index_dtype(row, col, rows, cols), duplicates);
}

CSR from_dense(const Array& dense) {
  require(dense.ndim() == 2, "from_dense: dense must have two axes, got shape ", dense.shape());
  const std::vector<Array> places = nonzero(dense);
  const int64_t rows = dense.shape()[0], cols = dense.shape()[1];
  const Array flat = add(multiply(places[0], Array(cols)), places[1]);
  const DType index = std::max({rows, cols, flat.size()}) <= std::numeric_limits<int32_t>::max()
                          ? DType::Int32
                          : DType::Int64;
  return coo(gather(reshape(dense, {rows * cols}), flat), astype(places[0], index), astype(places[1], index),
             rows, cols);
}

CSR identity(int64_t n, DType dtype, DType index_dtype) {
  check_shape("identity", n, n);
  require<TypeError>(index_dtype == DType::Int32 || index_dtype == DType::Int64,
                     "identity: index_dtype must be int32 or int64, got ", index_dtype);
  Numbers starts(at(n) + 1), columns(at(n));
  std::iota(starts.begin(), starts.end(), 0);
  std::iota(columns.begin(), columns.end(), 0);
  const Array places = index_array(columns, index_dtype), first = index_array(starts, index_dtype);
  return {ones({n}, dtype), {first, places, index_array({}, index_dtype)}, {first, places, places}};
}

// ---- sparse with sparse ----------------------------------------------------------------------------------
namespace {

/// A pattern's rows with the columns ascending, and the places of its entries.
struct Places {
  Numbers starts, columns, entries;
};
Places places_of(const char* function, const Rows& side) {
  Places p;
  try {
    p = {index_values(side.starts), index_values(side.columns), index_values(side.entries)};
  } catch (const TraceError&) {
    throw TraceError(concat(function,
                            ": the pattern of a sparse matrix is not known while a function is recorded; "
                            "find that of the result before, with AddStructure or MatmulStructure "
                            "(C++: add_structure, matmul_structure)"));
  }
  if (p.entries.empty()) {
    p.entries.resize(p.columns.size());
    std::iota(p.entries.begin(), p.entries.end(), 0);
  }
  const auto nnz = static_cast<int64_t>(p.columns.size());
  bool ok = p.starts.front() == 0 && p.starts.back() == nnz &&
            std::is_sorted(p.starts.begin(), p.starts.end()) && p.entries.size() == p.columns.size();
  for (const int64_t e : p.entries) ok = ok && e >= 0 && e < nnz;
  require<IndexError>(
      ok, function, ": the pattern has a start, a column or an entry out of range; make it with csr or coo");
  return p;
}
void check_columns(const char* function, const Places& p, int64_t cols) {
  for (const int64_t c : p.columns)
    require<IndexError>(c >= 0 && c < cols, function, ": the pattern has column ", c, ", out of range for ",
                        cols, " columns; make it with csr or coo");
}
DType wider_index(const CSR& a, const CSR& b) {
  return a.index_dtype() == DType::Int32 && b.index_dtype() == DType::Int32 ? DType::Int32 : DType::Int64;
}

}  // namespace

AddStructure add_structure(const CSR& a, const CSR& b) {
  require(a.rows() == b.rows() && a.cols() == b.cols(), "add: matrices of shapes (", a.rows(), ", ", a.cols(),
          ") and (", b.rows(), ", ", b.cols(), ") must have one shape");
  const Places p = places_of("add", a.by_row), q = places_of("add", b.by_row);
  check_columns("add", p, a.cols());
  check_columns("add", q, b.cols());
  // Both matrices as one list of triplets, of which equal places follow one another once sorted.
  Numbers row, col;
  for (const Places* s : {&p, &q}) {
    const Numbers rows = rows_of(s->starts);
    row.insert(row.end(), rows.begin(), rows.end());
    col.insert(col.end(), s->columns.begin(), s->columns.end());
  }
  const Numbers by_col = sorted_by(col, a.cols()).order;
  const Numbers order = sorted_by(row, a.rows(), &by_col).order;
  Numbers kept_row, kept_col, left(p.columns.size()), right(q.columns.size());
  for (const int64_t i : order) {
    if (kept_row.empty() || kept_row.back() != row[at(i)] || kept_col.back() != col[at(i)]) {
      kept_row.push_back(row[at(i)]);
      kept_col.push_back(col[at(i)]);
    }
    const auto t = static_cast<int64_t>(kept_row.size()) - 1;
    if (at(i) < left.size())
      left[at(p.entries[at(i)])] = t;
    else
      right[at(q.entries[at(i) - left.size()])] = t;
  }
  const DType dtype = common_dtype("add", Arrays{a.data, b.data});
  return {matrix_of(zeros({static_cast<int64_t>(kept_row.size())}, dtype), kept_row, kept_col, a.rows(),
                    a.cols(), wider_index(a, b)),
          index_array(left, DType::Int64), index_array(right, DType::Int64)};
}

Array spread_sum(const Array& a, const Array& b, const Array& left, const Array& right, int64_t nnz) {
  require(a.ndim() >= 1 && b.ndim() == a.ndim() && a.shape()[0] == left.shape()[0] &&
              b.shape()[0] == right.shape()[0],
          "add: a structure for ", left.shape()[0], " and ", right.shape()[0],
          " values was given values of shapes ", a.shape(), " and ", b.shape());
  const DType dtype = common_dtype("add", Arrays{a, b});
  const auto spread = [&](const Array& values, const Array& places) {
    return scatter_add_rows(converted(values, dtype), places, nnz, {"add", 0, false, false});
  };
  return hesse::add(spread(a, left), spread(b, right));
}

CSR AddStructure::operator()(const CSR& a, const CSR& b) const {
  return pattern.with_data(spread_sum(a.data, b.data, left, right, pattern.nnz()));
}

CSR add(const CSR& a, const CSR& b) { return add_structure(a, b)(a, b); }

MatmulStructure matmul_structure(const CSR& a, const CSR& b) {
  require(a.cols() == b.rows(), "matmul: sparse matrices of shapes (", a.rows(), ", ", a.cols(), ") and (",
          b.rows(), ", ", b.cols(),
          ") cannot be multiplied; the columns of one must be the rows of the other");
  const Places p = places_of("matmul", a.by_row), q = places_of("matmul", b.by_row);
  check_columns("matmul", p, a.cols());
  check_columns("matmul", q, b.cols());
  // Row by row of the product (Gustavson): `slot` is where a column of this row has its value.
  Numbers row, col, t, l, r, slot(at(b.cols()), -1);
  for (int64_t i = 0; i < a.rows(); ++i) {
    const auto first = static_cast<int64_t>(col.size());
    for (int64_t x = p.starts[at(i)]; x < p.starts[at(i) + 1]; ++x) {
      const int64_t k = p.columns[at(x)];
      for (int64_t y = q.starts[at(k)]; y < q.starts[at(k) + 1]; ++y) {
        const int64_t c = q.columns[at(y)];
        if (slot[at(c)] < first) {
          slot[at(c)] = static_cast<int64_t>(col.size());
          row.push_back(i);
          col.push_back(c);
        }
        t.push_back(slot[at(c)]);
        l.push_back(p.entries[at(x)]);
        r.push_back(q.entries[at(y)]);
      }
    }
  }
  // Columns ascend within a row.
  const auto nnz = static_cast<int64_t>(col.size());
  const Numbers by_col = sorted_by(col, b.cols()).order;
  const Numbers order = sorted_by(row, a.rows(), &by_col).order;
  Numbers rank(col.size());
  for (size_t i = 0; i < order.size(); ++i) rank[at(order[i])] = static_cast<int64_t>(i);
  for (int64_t& value : t) value = rank[at(value)];
  const DType dtype = wider_index(a, b);
  const auto side = [&](const Numbers& keys, int64_t groups, const Numbers& columns, const Numbers& entries) {
    const Sorted s = sorted_by(keys, groups);
    return Rows{index_array(s.starts, dtype), index_array(picked(columns, s.order), dtype),
                index_array(picked(entries, s.order), dtype)};
  };
  const DType values = common_dtype("matmul", Arrays{a.data, b.data});
  return {matrix_of(zeros({nnz}, values), picked(row, order), picked(col, order), a.rows(), b.cols(), dtype),
          side(t, nnz, r, l), side(l, a.nnz(), r, t), side(r, b.nnz(), t, l)};
}

CSR MatmulStructure::operator()(const CSR& a, const CSR& b) const {
  return pattern.with_data(paired_sum(a.data, b.data, *this));
}

CSR matmul(const CSR& a, const CSR& b) { return matmul_structure(a, b)(a, b); }

}  // namespace hesse::sparse
