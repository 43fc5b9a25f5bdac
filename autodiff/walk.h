#pragma once
#include <span>

#include "core/node.h"

/// The one engine: a derivative is a walk over a span of equations in order of number, forwards with tangents
/// or backwards with cotangents. Live tapes, linear traces and (re-applied) graphs are all such spans.
namespace hesse {

/// Tangents of `outputs` from those of `leaves` (fresh identities), forwards over the nodes that lead to the
/// outputs.
MaybeArrays push_forward(std::span<const Ref<Node>> nodes, const Arrays& leaves, const MaybeArrays& tangents,
                         const Arrays& outputs);

/// Cotangents of `leaves` from those of `outputs`, backwards. With `require_linear`, throws ValueError naming
/// the op that is not linear in what depends on the leaves.
MaybeArrays pull_back(std::span<const Ref<Node>> nodes, const Arrays& leaves, const Arrays& outputs,
                      const MaybeArrays& cotangents, bool require_linear = false);

/// The vjp of one op: as it states it, or derived by linearising its jvp on symbols and transposing.
MaybeArrays op_vjp(const OpRef& op, std::span<const Array> x, std::span<const Array> y,
                   std::span<const MaybeArray> ct, const std::vector<bool>& wanted);

}  // namespace hesse
