#pragma once
#include <functional>
#include <string>

#include "core/cpu/decompositions.h"
#include "core/op.h"
#include "core/ops.h"
#include "core/ops/elementwise.h"

/// What the files core/ops/linalg_*.cpp share. Matrices lie in the last two axes; all axes before are a
/// batch. In the rules ^T transposes, ^H transposes and conjugates; cotangents pair as Re(sum(ct * t)), so
/// transposing a rule never conjugates.
namespace hesse::linalg {

/// The work on one matrix [m, n] by a formula, times how many there are: for Op::flops.
template <class F>
double of_matrices(const Aval& a, const F& formula) {
  const auto m = static_cast<double>(a.shape[a.shape.size() - 2]), n = static_cast<double>(a.shape.back());
  return m * n > 0 ? num_entries(a) / (m * n) * formula(m, n) : 0;
}

Array adjoint(const Array& a);         ///< a^H
Array hermitian_part(const Array& a);  ///< (a + a^H) / 2
Array rows(const Array& a, int64_t begin, int64_t end);
Array columns(const Array& a, int64_t begin, int64_t end);
Array scale_columns(const Array& a, const Array& s);  ///< a diag(s)
Array strictly_lower(const Array& a);
Array upper(const Array& a);
/// t^-1 b, or t^-T b.
Array solve_triangle(const Array& t, const Array& b, bool lower, bool transpose = false,
                     bool unit_diagonal = false);
/// b u^-1 for an upper triangular u.
Array divide_by_upper(const Array& b, const Array& u);
/// The vectors in the columns of v keep the phase of their leading entries (core/cpu/eigen/phase.h) when they
/// move by dv: the angles by which to turn dv, one per column; nullopt for real vectors.
MaybeArray phase_drift(const Array& v, const Array& dv);
/// dv - v diag(i angle)
Array turned(const Array& v, const Array& dv, const Array& angle);

/// x with a x = b: promotes a and b to one inexact dtype, takes b as a vector if it has one axis, broadcasts
/// the batches and calls solver(a, b). One `a` for a batch of b is solved once, with more columns.
using LinearSolver = std::function<Array(const Array&, const Array&)>;
Array solve_system(std::string_view function, const Array& a, const Array& b, const LinearSolver& solver);

/// Inexact, at least a matrix, and square: throws TypeError or ValueError naming `function`.
void check_matrix(std::string_view function, const Aval& a);
void check_square(std::string_view function, const Aval& a);
/// `a` as a checked inexact array.
Array matrix(std::string_view function, const Array& a);
Array square_matrix(std::string_view function, const Array& a);
Shape batch_shape(const Shape& matrix);
Shape with(Shape batch, std::initializer_list<int64_t> features);

/// Calls f(TypeTag<T>{}) for an inexact dtype.
template <class F>
void visit_inexact(DType t, F&& f) {
  visit_dtype(t, [&](auto tag) {
    if constexpr (is_inexact(dtype_of<typename decltype(tag)::type>)) f(tag);
  });
}

/// Walks the batch of a kernel: for (Batch b(x[0], 2); !b.done(); b.next()).
class Batch {
 public:
  /// The axes of `v` before its last `features`.
  Batch(const View& v, size_t features);
  bool done() const { return left_ == 0; }
  void next();
  /// The entry of the batch in another view of the same batch.
  template <class T>
  T* at(const View& v) const {
    int64_t offset = 0;
    for (size_t d = 0; d < shape_.size(); ++d) offset += index_[d] * v.strides[d];
    return v.as<T>() + offset;
  }
  template <class T>
  cpu::MatrixIn<T> matrix(const View& v) const {
    const size_t row = v.shape.size() - 2;
    return {at<T>(v), v.strides[row], v.strides[row + 1]};
  }
  /// The entry of `out` becomes NaN.
  void poison(const View& out) const;
  /// Poisons the entry of every output and reports "<op>: the matrix[ at batch index (i, j)] <what>".
  void fail(std::string_view op, std::span<const View> out, const std::string& what) const;
  void fail(std::string_view op, std::span<const View> out, cpu::SpectralStatus status) const;

 private:
  Shape shape_;
  Dims index_;
  int64_t left_;
};

}  // namespace hesse::linalg
