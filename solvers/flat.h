#pragma once
#include <optional>
#include <string_view>

#include "core/array.h"
#include "core/graph.h"

/// Solvers of equations work on one real vector: lists of arrays as such a vector and back, functions of it,
/// and what its norms and tolerances are.
namespace hesse::solvers {

/// Arrays of any floating or complex dtypes as one vector [n] of the real dtype they promote to. A complex
/// entry is two numbers: equations need not be holomorphic.
class Packing {
 public:
  enum class Empty { IsRefused, IsAllowed };
  /// Throws ValueError where there are no arrays or, unless allowed, no entries, TypeError for integers and
  /// booleans; messages name `function` and `argument`.
  Packing(std::string_view function, std::string_view argument, const Arrays& like,
          Empty empty = Empty::IsRefused);
  int64_t size() const { return size_; }
  DType dtype() const { return dtype_; }
  const Avals& avals() const { return avals_; }
  Array pack(std::span<const Array> x) const;  ///< [n]
  Arrays unpack(const Array& v) const;

 private:
  Avals avals_;
  int64_t size_ = 0;
  DType dtype_ = DType::Float64;
};

/// Arrays without weak scalars: a number is a float64.
Arrays strong(const Arrays& x);

/// A recorded function of a vector: `graph` takes the vector and then `captures`, what else it is computed
/// from.
struct VectorFn {
  Ref<const Graph> graph;
  Arrays captures;
  Array operator()(const Array& v) const { return call(v, captures); }
  Array call(const Array& v, std::span<const Array> with) const;
  /// The same function as a constant of what it captured.
  VectorFn stopped() const;
};
/// f of arrays like those of `in`, returning arrays like those of `out`, as a function of vectors. Throws
/// ValueError where f returns others; the message names `function` and calls the argument `argument`.
VectorFn record(std::string_view function, std::string_view argument, const Fn& f, const Packing& in,
                const Packing& out);

/// rtol and atol as what |x_i| is weighed with: atol + rtol |x_i|. By default 1e-8 and 1e-12 in double
/// precision, 1e-4 and 1e-6 in single precision.
class Tolerances {
 public:
  /// `atol`: none, one array for all, or one for each of the arrays in `x`, which broadcasts to it. Throws
  /// ValueError for shapes that do not fit and for numbers below 0.
  Tolerances(std::string_view function, const std::optional<Array>& rtol, const Arrays& atol,
             const Packing& x);
  /// max_i |v_i| / (atol_i + rtol |x_i|), zeros being zero at any tolerance: a scalar. NaN where v has one.
  Array measure(const Array& v, const Array& x) const;
  /// A bool scalar: none of them is below 0.
  Array valid() const;
  const Array& rtol() const { return rtol_; }
  const Array& atol() const { return atol_; }  ///< a scalar or [n]

 private:
  Array rtol_, atol_;
};

/// The Euclidean norm, without overflow on the way.
Array norm2(const Array& v);
Array max_abs(const Array& v);
/// [n, n]: the Jacobian of a function of a vector.
Array dense_jacobian(const VectorFn& f, const Array& v);
/// a^-1 b for a [n, n], b [n], and whether a is singular: the answer is without meaning then, but finite.
std::pair<Array, Array> solve_or_singular(const Array& a, const Array& b);

}  // namespace hesse::solvers
