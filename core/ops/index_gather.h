#pragma once
#include <string>

#include "core/op_table.h"
#include "core/ops/view_loops.h"

/// Ops that read or write rows chosen by an int64 index array. Of a *table* [pre..., length, post...] and
/// indices I they make or take *rows* [pre..., I..., post...]; along: indices and rows have one shape
/// [pre..., k, post...] instead, an index for every entry. `function` is named where an index is out of
/// range; then the row reads as zero and is written nowhere.
namespace hesse {

struct IndexRule {
  std::string function;
  int64_t axis = 0;
  bool along = false;
  bool wraps = true;        ///< negative indices count from the end; segment ids do not
  int64_t shown_axis = -1;  ///< the axis errors name; -1: `axis`
  Params params() const;
};
/// The rule of these parameters.
IndexRule index_rule(const ReadParams& p);

/// int64 indices from an array of integers. Throws IndexError for other dtypes.
Array checked_indices(const std::string& function, const Array& indices);

Array gather_rows(const Array& table, const Array& indices, const IndexRule& rule);
/// Zeros of `length` rows, to which the given rows are added in index order: the transpose of gather_rows.
Array scatter_add_rows(const Array& rows, const Array& indices, int64_t length, const IndexRule& rule);
/// The table with rows written (the last of equal indices stays, and alone receives a cotangent), or added in
/// index order, or with the smaller or larger of both (ties split the derivative equally). Not `along`.
enum class Combine { Set, Add, Min, Max };
Array update_rows(const Array& table, const Array& indices, const Array& rows, Combine how,
                  const IndexRule& rule);
/// Row-major positions from one index per axis of `lengths`; all of one shape.
Array ravel_indices(const Arrays& indices, const Dims& lengths, const Axes& axes,
                    const std::string& function);

// For kernels
// ---------------------------------------------------------------------------------------------------
/// Strides of the table and of the indices for a walk over the rows.
struct IndexWalk {
  Strides table, index;
  int64_t stride, length;  ///< of the indexed axis
  bool wraps;
  bool locate(int64_t& i) const {
    if (i < 0 && wraps) i += length;
    return static_cast<uint64_t>(i) < static_cast<uint64_t>(length);
  }
};
IndexWalk index_walk(const View& table, const View& index, const IndexRule& rule, int lane_axes);
/// Shape of the rows.
Shape rows_shape(const Shape& table, const Shape& index, const IndexRule& rule);
/// Reports the first index that is out of range, by its position.
void report_bad_index(const View& index, int64_t length, const IndexRule& rule, int lane_axes);

/// table = f(table, row), entry by entry in index order.
template <class T, class F>
void combine_rows(const View& table, const View& index, const View& rows, const IndexRule& rule,
                  int lane_axes, F&& f) {
  const IndexWalk walk = index_walk(table, index, rule, lane_axes);
  T* const to = table.as<T>();
  const T* const from = rows.as<const T>();
  const auto* const at_index = index.as<const int64_t>();
  bool ok = true;
  for_each_run<3>(rows.shape, {walk.table, walk.index, rows.strides},
                  [&](const Offsets<3>& at, int64_t length, const Offsets<3>& step) {
                    if (step[1] == 0) {
                      int64_t i = at_index[at[1]];
                      if (!walk.locate(i)) return void(ok = false);
                      T* const t = to + at[0] + i * walk.stride;
                      for (int64_t k = 0; k < length; ++k) f(t[k * step[0]], from[at[2] + k * step[2]]);
                      return;
                    }
                    for (int64_t k = 0; k < length; ++k) {
                      int64_t i = at_index[at[1] + k * step[1]];
                      if (walk.locate(i))
                        f(to[at[0] + k * step[0] + i * walk.stride], from[at[2] + k * step[2]]);
                      else
                        ok = false;
                    }
                  });
  if (!ok || rows.size() == 0) report_bad_index(index, walk.length, rule, lane_axes);
}

}  // namespace hesse
