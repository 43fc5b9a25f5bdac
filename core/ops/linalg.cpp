#include "core/ops/linalg.h"

#include <algorithm>
#include <limits>

#include "core/status.h"

namespace hesse::linalg {

Array adjoint(const Array& a) { return conj(matrix_transpose(a)); }
Array hermitian_part(const Array& a) { return 0.5 * (a + adjoint(a)); }

Array rows(const Array& a, int64_t begin, int64_t end) {
  Dims start(a.ndim(), 0), stop = a.shape();
  start[a.ndim() - 2] = begin;
  stop[a.ndim() - 2] = end;
  return slice(a, start, stop, Dims(a.ndim(), 1));
}

Array columns(const Array& a, int64_t begin, int64_t end) {
  return matrix_transpose(rows(matrix_transpose(a), begin, end));
}

Array scale_columns(const Array& a, const Array& s) { return a * expand_dims(s, {-2}); }
Array strictly_lower(const Array& a) { return tril(a, -1); }
Array upper(const Array& a) { return triu(a); }

Array solve_triangle(const Array& t, const Array& b, bool lower, bool transpose, bool unit_diagonal) {
  return triangular_solve(t, b, lower, transpose, unit_diagonal);
}

Array divide_by_upper(const Array& b, const Array& u) {
  return matrix_transpose(solve_triangle(u, matrix_transpose(b), false, true));
}

MaybeArray phase_drift(const Array& v, const Array& dv) {
  if (!is_complex(v.dtype()) || v.dim(-1) == 0) return std::nullopt;
  const Array size = abs(stop_gradient(v));
  const Array leads = greater_equal(size, 0.99 * max(size, Axes{-2}, true));
  const Array leading = argmax(astype(leads, kInt32), -2, true);
  return imag(take_along_axis(dv, leading, -2)) / real(take_along_axis(v, leading, -2));
}

Array turned(const Array& v, const Array& dv, const Array& angle) {
  return dv - v * (angle * Array(complex128(0.0, 1.0)));
}

void check_matrix(std::string_view function, const Aval& a) {
  require<TypeError>(is_inexact(a.dtype), function, ": expected a float or complex matrix, got ",
                     describe(a.shape, a.dtype), "; convert with astype(a, float64)");
  require(a.shape.size() >= 2, function, ": expected a matrix or a stack of them, got ",
          describe(a.shape, a.dtype), "; reshape it to two axes or more");
}

void check_square(std::string_view function, const Aval& a) {
  check_matrix(function, a);
  require(a.shape[a.shape.size() - 2] == a.shape.back(), function,
          ": expected square matrices in the last two axes, got ", describe(a.shape, a.dtype),
          "; pinv, svd and qr take others");
}

Array matrix(std::string_view function, const Array& a) {
  const Array out = inexact(function, a);
  check_matrix(function, aval(out));
  return out;
}

Array square_matrix(std::string_view function, const Array& a) {
  const Array out = inexact(function, a);
  check_square(function, aval(out));
  return out;
}

Shape batch_shape(const Shape& matrix) {
  Shape out = matrix;
  out.pop_back();
  out.pop_back();
  return out;
}

Shape with(Shape batch, std::initializer_list<int64_t> features) {
  for (const int64_t n : features) batch.push_back(n);
  return batch;
}

Batch::Batch(const View& v, size_t features) {
  for (size_t d = 0; d + features < v.shape.size(); ++d) shape_.push_back(v.shape[d]);
  index_ = Dims(shape_.size(), 0);
  left_ = num_elements(shape_);
}

void Batch::next() {
  --left_;
  for (size_t d = shape_.size(); d-- > 0;) {
    if (++index_[d] < shape_[d]) return;
    index_[d] = 0;
  }
}

void Batch::poison(const View& out) const {
  visit_inexact(out.dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    int64_t size = 1;  // of one entry: outputs are row-major
    for (size_t d = shape_.size(); d < out.shape.size(); ++d) size *= out.shape[d];
    std::fill_n(at<T>(out), size, T(std::numeric_limits<typename cpu::RealOf<T>::type>::quiet_NaN()));
  });
}

void Batch::fail(std::string_view op, std::span<const View> out, const std::string& what) const {
  for (const View& v : out) poison(v);
  report_failure(
      Failure::Numerical, op,
      shape_.empty() ? concat("the matrix ", what) : concat("the matrix at batch index ", index_, " ", what));
}

void Batch::fail(std::string_view op, std::span<const View> out, cpu::SpectralStatus status) const {
  fail(op, out,
       status == cpu::SpectralStatus::NotFinite ? "has an entry that is NaN or infinite"
                                                : "did not let the iteration converge");
}

}  // namespace hesse::linalg
