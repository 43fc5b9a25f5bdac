#pragma once
#include <algorithm>
#include <optional>
#include <span>
#include <vector>

#include "autodiff/index_sets.h"
#include "core/graph.h"

/// How patterns pass through graphs: which of some numbered entries each entry of a value depends on.
namespace hesse {

/// For every entry of an array, the set of what it depends on; the same for all where `of` is empty.
class Dependence {
 public:
  Dependence() = default;
  explicit Dependence(int all) : all_(all) {}
  explicit Dependence(std::vector<int> of) : of_(std::move(of)) {
    if (!of_.empty() && std::all_of(of_.begin(), of_.end(), [&](int s) { return s == of_[0]; })) {
      all_ = of_[0];
      of_.clear();
    }
  }
  int operator[](int64_t entry) const { return of_.empty() ? all_ : of_[static_cast<size_t>(entry)]; }
  bool none() const { return of_.empty() && all_ == IndexSets::kEmpty; }
  bool uniform() const { return of_.empty(); }
  bool operator==(const Dependence&) const = default;

 private:
  std::vector<int> of_;
  int all_ = IndexSets::kEmpty;
};
using Dependences = std::vector<Dependence>;

/// One equation as it is met: what its operands depend on, which values are known, and the shapes.
struct Met {
  const Op& op;
  std::span<const Dependence> on;
  std::span<const MaybeArray> known;
  std::span<const Aval> in, out;
};

/// Whether one of them has a length that is known at run time only.
bool has_run_time_length(std::span<const Aval> all);

/// Follows the sets of one collection through graphs.
class DependenceWalk {
 public:
  explicit DependenceWalk(IndexSets& sets, int depth = 0) : sets_(sets), depth_(depth) {}
  /// Of the outputs, from those of the inputs. `known` values of inputs may be missing.
  Dependences outputs(const Graph& g, Dependences inputs, MaybeArrays known);

 private:
  Dependences equation(const Met& e);
  // By what an op is; nullopt where the rule does not fit. Each is right by itself (autodiff/dependence.cpp).
  std::optional<Dependences> entrywise(const Met& e);
  std::optional<Dependences> by_graphs(const Met& e);       // dependence_graphs.cpp
  std::optional<Dependences> sparse_product(const Met& e);  // dependence_products.cpp
  std::optional<Dependence> by_constant_matrix(const Met& e, size_t operand);
  std::optional<Dependences> by_rule(const Met& e);
  std::optional<Dependence> moved(const Met& e, size_t operand);
  std::optional<Dependence> by_weights(const Met& e, size_t operand, const Arrays& at,
                                       const std::vector<complex128>& x);
  std::optional<Dependence> by_columns(const Met& e, size_t operand, const Arrays& at);
  std::optional<Dependence> along_axes(const Met& e, size_t operand);
  Dependences dense(const Met& e);
  int union_of(const Dependence& d, int64_t size);
  Dependence united(const Dependence& a, const Dependence& b, int64_t size);

  Dependences of_map(const Met& e);
  Dependences of_scan(const Met& e);
  Dependences of_while(const Met& e);

  IndexSets& sets_;
  int depth_;
};

/// What each entry of the outputs of a graph depends on among the entries of its inputs: found once for a
/// body, used for every example or step.
class LocalDependence {
 public:
  LocalDependence(const Graph& g, const MaybeArrays& known, int depth);
  struct Place {
    int input;
    int64_t entry;
  };
  /// For output k and its entry e.
  const std::vector<Place>& operator()(size_t k, int64_t e) const {
    return places_[k][static_cast<size_t>(e)];
  }
  int64_t entries(size_t k) const { return static_cast<int64_t>(places_[k].size()); }
  /// Places of all outputs together.
  int64_t total() const { return total_; }

 private:
  std::vector<std::vector<std::vector<Place>>> places_;
  int64_t total_ = 0;
};

}  // namespace hesse
