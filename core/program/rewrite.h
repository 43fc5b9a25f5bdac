#pragma once
#include <algorithm>
#include <functional>
#include <optional>

#include "core/graph.h"

namespace hesse {

/// The graph recorded anew, where rule(e, values) may give results of equation e of its own; `values` are
/// those recorded so far, by their number in `g`.
Ref<const Graph> replaced(const Graph& g,
                          const std::function<std::optional<Arrays>(size_t e, const Arrays& values)>& rule);

/// The graph recorded anew: what lay behind leaves of derivatives when it was recorded is simplified, and
/// equal equations are one.
inline Ref<const Graph> merged(const Ref<const Graph>& g) {
  return g->is_dynamic() ? g : replaced(*g, [](size_t, const Arrays&) { return std::nullopt; });
}

/// The graph recorded anew by `Rules`, which are made from it: any() says whether there is something to do
/// (else this is `g` itself), and rule(e, values) is as above.
template <class Rules>
Ref<const Graph> rewritten(const Ref<const Graph>& g) {
  if (g->is_dynamic()) return g;
  Rules rules(*g);
  if (!rules.any()) return g;
  return replaced(*g, [&](size_t e, const Arrays& values) { return rules.rule(e, values); });
}

/// Which equation makes each value of a graph, and how often values are read or given out.
class Makers {
 public:
  explicit Makers(const Graph& g);
  /// The number of the equation that makes v; -1: v is given.
  int number(int v) const { return number_[static_cast<size_t>(v)]; }
  /// The equation that makes v, if that is an op of this name; else null.
  const Graph::Equation* of(int v, std::string_view op) const;
  /// The matrix that v is the transpose of, or -1.
  int transposed(int v) const;
  int uses(int v) const { return uses_[static_cast<size_t>(v)]; }

 private:
  const Graph& g_;
  std::vector<int> number_, uses_;
};

/// The graph with the bodies of its maps rewritten: rule(equation) gives a new body, or null.
Ref<const Graph> with_bodies(const Ref<const Graph>& g,
                             const std::function<Ref<const Graph>(const Graph::Equation&)>& rule);

/// Some equations of a graph, in their order, as a graph of their own: constants stay constants; inputs are
/// what others make, outputs what is made here and marked in `read`, as values of the whole.
struct GraphPart {
  Ref<const Graph> graph;
  std::vector<int> inputs, outputs;
};
GraphPart part_of(const Graph& g, const std::vector<const Graph::Equation*>& equations,
                  const std::vector<bool>& read);

/// Whether these are floats that are known, and all bits are those of 0.
bool is_zero(const Array& a);

/// Whether a constant is one entry repeated.
inline bool is_repeated(const Array& a) {
  for (size_t d = 0; d < a.ndim(); ++d)
    if (a.strides()[d] != 0 && a.shape()[d] != 1) return false;
  return a.size() > 0;
}

}  // namespace hesse
