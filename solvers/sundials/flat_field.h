#pragma once
#include <memory>
#include <mutex>
#include <vector>

#include "autodiff/sparse_jacobian.h"
#include "core/error.h"
#include "core/graph.h"
#include "core/program/prepared.h"
#include "core/program/scalar_function.h"
#include "solvers/sundials/linear_solvers.h"

namespace hesse::solvers::sundials {

/// A program that is made when first asked for, by whichever thread comes first.
class LazyProgram {
 public:
  template <class Make>
  const Graph& get(Make make) const {
    std::call_once(once_, [&] { prepared_ = std::make_unique<Prepared>(make()); });
    return prepared_->program();
  }
  /// Null where what it is derived of has no such derivative: foreign code, or code with a derivative in the
  /// other direction only. (Programs are laid out, and rules met, when first asked for.)
  template <class Make>
  const Graph* get_if_derivable(Make make) const {
    std::call_once(once_, [&] {
      try {
        prepared_ = std::make_unique<Prepared>(make());
        (void)prepared_->program();
      } catch (const TypeError&) {
        prepared_.reset();
      } catch (const ValueError&) {
        prepared_.reset();
      }
    });
    return prepared_ ? &prepared_->program() : nullptr;
  }

 private:
  mutable std::once_flag once_;
  mutable std::unique_ptr<Prepared> prepared_;
};

/// How many real numbers an array holds.
int64_t num_numbers(const Aval& a);
/// The absolute values of an inexact array with data.
std::vector<double> magnitudes(const Array& x);

/// Which parameters have cotangents, and these as real numbers one after another.
class FlatParameters final {
 public:
  /// `avals`: of all parameters.
  FlatParameters(std::span<const Aval> avals, std::vector<bool> wanted);
  bool is_wanted(size_t j) const { return j < wanted_.size() && wanted_[j]; }
  const std::vector<bool>& wanted() const { return wanted_; }
  /// Shapes and dtypes of those that are wanted, in order, and how many real numbers they are together.
  const Avals& avals() const { return avals_; }
  int64_t size() const { return size_; }
  static Array numbers(const Arrays& x);  ///< [size]
  Arrays arrays(const Array& numbers) const;

 private:
  std::vector<bool> wanted_;
  Avals avals_;
  int64_t size_ = 0;
  LazyProgram arrays_;
};

/// The right-hand side on a flat state, f: (t, y [N], p...) -> dy [N], all of t, y, dy float64, and the
/// programs that are derived of it for implicit methods and adjoints.
class FlatField final {
 public:
  /// `wanted`: for which of p there are cotangents.
  explicit FlatField(Ref<const Graph> graph, std::vector<bool> wanted = {});
  int64_t size() const { return size_; }
  const Ref<const Graph>& graph() const { return graph_; }
  const FlatParameters& parameters() const { return parameters_; }

  // They throw what the rules of f throw, when first asked for; CVODES must not be the one who asks.
  /// f itself.
  const Graph& rhs() const;
  /// f, and (t, y, p..., v) -> J v with a lane for each of N vectors, as code for small systems: null for
  /// others.
  const ScalarFunction* rhs_code() const;
  const ScalarFunction* product_code() const;
  /// (t, y, p...) -> [N, N], whose row j is df/dy_j. Null where f has no such
  /// derivative.
  const Graph* jacobian() const;
  /// Where df/dy has entries, with the diagonal; null where these are more than a tenth of all, or f has no
  /// derivative.
  const SparsityPlan* sparsity() const;
  /// (t, y, p...) -> the values of df/dy at these places, [nnz]. Null likewise.
  const Graph* sparse_jacobian() const;
  /// How its linear equations are solved by default: make() at the first call.
  template <class Make>
  LinearKind linear_kind(Make make) const {
    std::call_once(kind_once_, [&] { kind_ = make(); });
    return kind_;
  }
  /// (t, y, p..., v [N]) -> J v. Null likewise.
  const Graph* product() const;
  /// (t, y, p..., v [N]) -> J^T v.
  const Graph& transposed_product() const;
  /// (t, y, p..., v [N]) -> (df/dp)^T v for the wanted p, as real numbers one after another.
  const Graph& parameter_product() const;

 private:
  Ref<const Graph> graph_, silent_;
  FlatParameters parameters_;
  int64_t size_;
  mutable std::once_flag rhs_once_, product_once_, sparsity_once_, kind_once_;
  mutable std::unique_ptr<const ScalarFunction> rhs_code_, product_code_;
  mutable LinearKind kind_ = LinearKind::Dense;
  mutable std::unique_ptr<const SparsityPlan> sparsity_;
  LazyProgram rhs_, jacobian_, sparse_jacobian_, product_, transposed_, parameter_product_;
};

}  // namespace hesse::solvers::sundials
