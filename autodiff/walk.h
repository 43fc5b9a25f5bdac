#pragma once
#include <span>

#include "core/node.h"
#include "core/op_table.h"

/// The one engine: a derivative is a walk over a span of equations in order of number, forwards with tangents
/// or backwards with cotangents. Live tapes, linear traces and (re-applied) graphs are all such spans.
namespace hesse {

/// Tangents of `outputs` from those of `leaves` (fresh identities), forwards over the nodes that lead to the
/// outputs.
MaybeArrays push_forward(std::span<const Ref<Node>> nodes, const Arrays& leaves, const MaybeArrays& tangents,
                         const Arrays& outputs);

/// Cotangents of `leaves` from those of `outputs`, backwards.
MaybeArrays pull_back(std::span<const Ref<Node>> nodes, const Arrays& leaves, const Arrays& outputs,
                      const MaybeArrays& cotangents);

/// The same for a linear function recorded on symbols, which have no values: rules get the values at the
/// origin, where all leaves are zero, since the derivative of a linear function is the same everywhere.
/// `nodes` are all of the trace. Where an op is not linear in what depends on the leaves, a ValueError names
/// it: "<function>: <op> is not linear in ...; <demand>".
MaybeArrays transpose_linear(std::span<const Ref<Node>> nodes, const Arrays& leaves, const Arrays& outputs,
                             const MaybeArrays& cotangents, std::string_view function,
                             std::string_view demand);

/// The vjp of one op: as it states it, or derived by linearising its jvp on symbols and transposing.
MaybeArrays op_vjp(const OpRef& op, std::span<const Array> x, std::span<const Array> y,
                   std::span<const MaybeArray> ct, const std::vector<bool>& wanted);

/// Functions with rules of their own, by name (core/op_table.h).
OpFamily custom_ops();

}  // namespace hesse
