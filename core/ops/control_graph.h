#pragma once
#include "core/derivatives.h"
#include "core/graph.h"

/// What the control-flow ops share.
namespace hesse {

/// The graph with its inputs and outputs re-ordered: input i of the result feeds input from[i] of `g`, or is
/// ignored where from[i] is -1 (its shape is then ignored[i]); output k is output of[k] of `g`.
Ref<const Graph> permuted(const Ref<const Graph>& g, const std::vector<int>& from, const Avals& avals,
                          const std::vector<int>& of);

/// Which outputs of `g` depend on the inputs marked, by value: Graph::depends_on counts all outputs of an
/// equation that is reached.
std::vector<bool> outputs_that_depend(const Graph& g, const std::vector<bool>& marked);
/// Whether they are linear in these inputs, jointly, with the others fixed.
bool is_linear(const Graph& g, const std::vector<bool>& marked);

/// Whether one of its equations does something beyond its outputs.
bool has_effects(const Graph& g);
/// The graph without equations that have an effect and no outputs: what is run again must not print again.
Ref<const Graph> without_effects(const Ref<const Graph>& g);

/// Zeros of a shape and dtype, one stored element.
Array zeros_of(const Aval& a);

/// [flags...] true where the entry is inexact.
std::vector<bool> inexact(const Avals& avals);

/// Long loops call this now and then: it throws Interrupted (or the host's exception) when the user asked to
/// stop.
void poll_interrupt();
void set_interrupt_hook(void (*hook)());

}  // namespace hesse
