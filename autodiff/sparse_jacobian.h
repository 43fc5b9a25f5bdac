#pragma once
#include <memory>
#include <optional>

#include "autodiff/autodiff.h"
#include "autodiff/pattern.h"
#include "core/sparse.h"

/// Jacobians and Hessians of which few entries differ from zero, from as many passes of forward or reverse
/// mode as their columns or rows have colours (autodiff/coloring.h): three for a tridiagonal one of any size.
namespace hesse {

/// What is found once of a function, for all values of its arguments: where its Jacobian has entries, and
/// which columns or rows are found together.
class SparsityPlan final {
 public:
  /// Of f at arguments like args, by those in argnums; the values of integer arguments and of what f captures
  /// are taken as they are now. `pattern`: the places, if they are known. Throws IndexError and TypeError as
  /// `jacobian`, ValueError for a pattern of another shape, and where more than 2^27 entries may be.
  static SparsityPlan of_jacobian(const Fn& f, const Arrays& args, const std::vector<int>& argnums,
                                  const std::optional<Pattern>& pattern = {});
  /// Of the Hessian of a real scalar function. Throws ValueError for a pattern that is not symmetric.
  static SparsityPlan of_hessian(const Fn& f, const Arrays& args, const std::vector<int>& argnums,
                                 const std::optional<Pattern>& pattern = {});
  const Pattern& pattern() const { return pattern_; }
  /// How many passes there are, and whether they are of reverse mode.
  int64_t num_passes() const { return passes_; }
  bool in_reverse() const { return reverse_; }

  /// The Jacobian (of_jacobian) at args, in the order of the pattern: values [nnz].
  Array jacobian_values(const Fn& f, const Arrays& args, const std::vector<int>& argnums) const;
  Array hessian_values(const Fn& f, const Arrays& args, const std::vector<int>& argnums) const;
  /// A matrix with these values.
  sparse::CSR matrix(const Array& values) const { return places_.with_data(values); }

 private:
  SparsityPlan(Pattern pattern, bool symmetric);
  Pattern pattern_;
  bool reverse_ = false;
  int64_t passes_ = 0;
  Array colors_;  // of columns, or of rows in reverse
  Array at_;      // where the values are among the passes' results, [passes, length]
  sparse::CSR places_;
};

/// d f / d (args in argnums): a row for every entry of the outputs and a column for every entry of these
/// arguments, flattened and one after another. Differentiable to any order like what it is made of.
/// The pattern is found at each call; a plan does that once.
sparse::CSR sparse_jacobian(const Fn& f, const Arrays& args, const std::vector<int>& argnums);
/// The second derivatives of a real scalar function, by forward over reverse mode.
sparse::CSR sparse_hessian(const Fn& f, const Arrays& args, const std::vector<int>& argnums);
/// The Jacobian of a function of one array, the sugar for C++: the pattern is found at the first call with a
/// shape.
std::function<sparse::CSR(const Array&)> sparse_jacobian(std::function<Array(const Array&)> f);

}  // namespace hesse
