#pragma once
#include "core/graph.h"

namespace hesse {

/// The derivative of a graph as a graph.
struct DerivedGraph {
  Ref<const Graph> graph;
  std::vector<bool> present;  ///< which tangents (of outputs) or cotangents (of inputs) it returns
};

/// What ops that hold graphs need of the layer above: autodiff installs it (dependency inversion: core calls
/// down only).
struct Derivatives {
  /// Inputs: those of `g`, then tangents for the marked ones. Outputs: those of `g` if `with_primals`, then
  /// the tangents present; those in `force` are present always, as zeros if need be.
  DerivedGraph (*jvp)(const Graph& g, const std::vector<bool>& marked, const std::vector<bool>& force,
                      bool with_primals);
  /// Inputs: those of `g`, then cotangents for the outputs marked. Outputs: cotangents of the wanted inputs
  /// that are present; those in `force` are present always.
  DerivedGraph (*vjp)(const Graph& g, const std::vector<bool>& marked, const std::vector<bool>& wanted,
                      const std::vector<bool>& force);
  /// The transpose of `g` in the inputs marked `linear`, with the others (residuals) fixed. Inputs: residual
  /// inputs, then cotangents of all outputs. Outputs: cotangents of all linear inputs. Throws ValueError
  /// where `g` is not linear.
  Ref<const Graph> (*transpose)(const Graph& g, const std::vector<bool>& linear);
};
void install_derivatives(const Derivatives& d);
const Derivatives& derivatives();

}  // namespace hesse
