#pragma once
#include "core/ops/sparse_rows.h"

/// The kernels of products with sparse matrices. Operands have `lane_axes` further, innermost axes; a
/// pattern is the same for all lanes.
namespace hesse::sparse {

/// Whether v differs between lanes.
bool varies(const View& v, int lane_axes);
/// The product of the lengths of the axes from `first` up to `last`.
int64_t product_of(const Shape& s, size_t first, size_t last);

/// y [rows, heads..., k...] = the sums, by the first of several patterns, of values x[0] [n, heads...] times
/// rows x[1] [cols, heads..., k...].
void run_product(std::string_view op, std::span<const View> x, const View& y, int lane_axes);
/// Rows [first, last) of the same, without lanes, on one thread: nothing else of y is written, and of x no
/// rows are read that they do not need.
void run_product_of_rows(std::string_view op, std::span<const View> x, const View& y, int64_t first,
                         int64_t last);
/// Rows index[k] of the same as rows k of y, and zeros for those that are out of range; false if any is. No
/// lanes. What is summed is summed in the same order.
bool run_product_at(std::string_view op, std::span<const View> x, const View& index, bool wraps,
                    const View& y);
/// The product with a matrix that is zero but for its rows index[k], to each of which row k of x[1] is added;
/// x[2] to x[4] are the pattern by the rows of that matrix. False if an index is out of range. No lanes, one
/// thread.
bool run_product_from(std::string_view op, std::span<const View> x, const View& index, bool wraps,
                      const View& y);
/// y [nnz, heads...] = the sums over k of x[0] [rows, heads..., k...] times x[1] [cols, heads..., k...], at
/// the places of a pattern.
void run_sampled(std::string_view op, std::span<const View> x, const View& y, int lane_axes,
                 size_t head_axes);
/// The same of rows [first, last) of the pattern, without lanes, on one thread: the entries that they hold,
/// each of which some row does.
void run_sampled_of_rows(std::string_view op, std::span<const View> x, const View& y, size_t head_axes,
                         int64_t first, int64_t last);
/// Both pull-backs of a product in one pass (without lanes): x are data, x, ct and a pattern with its
/// transpose. False where the vector kernels do not apply; nothing is written then.
bool run_adjoint(std::string_view op, std::span<const View> x, std::span<const View> out);

}  // namespace hesse::sparse
