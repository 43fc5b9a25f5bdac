#pragma once
#include <optional>

#include "core/graph.h"

namespace hesse {

/// Whether a value is a stack, whose length is known when it runs.
inline bool is_stack(const Aval& a) { return !a.shape.empty() && a.shape.front() == kDynamic; }

/// A scan, or a while_loop (cond: null of a scan), by its parts.
struct LoopParts {
  Ref<const Graph> cond = nullptr, body = nullptr;
  size_t num_carry = 0, num_xs = 0, num_cond_consts = 0;
  int64_t length = 0;  ///< of a scan; kDynamic: that of its xs
  bool reverse = false, save = false;
  bool is_scan() const { return !cond; }
  OpRef op() const;
};
/// Those of a loop; nullopt of another op.
std::optional<LoopParts> loop_parts(const Op& op);

/// A scan of `body`: (carry..., x_t..., consts...) -> (carry..., y_t...). Inputs: carry, xs, consts. Outputs:
/// the last carries, the ys, and with `save` the carries that entered each step (stacks: what reverse mode
/// recomputes from).
///
/// In programs (core/program/kept_steps.h) the x_t and y_t may be stacks, whose length differs from step to
/// step: xs and ys are then the stacks of all steps, one behind the other, and behind all inputs, or outputs,
/// stand their lengths, int64 [length] for each. Such a scan has no derivatives.
OpRef scan_op(Ref<const Graph> body, int num_carry, int num_xs, int64_t length, bool reverse, bool save);

/// A while_loop of `cond` on (carry..., consts of cond...) and `body` on (carry..., consts of body...), with
/// these inputs. Outputs: the last carries and with `save` stacks of those that entered each step.
OpRef while_op(Ref<const Graph> cond, Ref<const Graph> body, int num_carry, int num_cond_consts, bool save);

/// The cotangents of one loop's inputs (carry, xs, consts), by a scan in the other direction over the saved
/// carries. `saved` are the carries that entered each step; ct: of carries, ys and (where they are outputs)
/// saved carries.
MaybeArrays loop_vjp(const Ref<const Graph>& body, int num_carry, int num_xs, int64_t length, bool reverse,
                     std::span<const Array> x, const Arrays& saved, std::span<const MaybeArray> ct,
                     const std::vector<bool>& wanted);

/// The marks of a body's inputs, extended to the carries that come to depend on marked ones.
std::vector<bool> loop_marks(const Graph& body, int num_carry, std::vector<bool> marked);

/// The tangent of a loop body: the graph on (carry and its tangents, xs and theirs, consts and theirs), and
/// which carries, ys have tangents: the least fixed point.
struct LoopTangent {
  Ref<const Graph> body;
  std::vector<bool> carry, ys;
};
LoopTangent loop_jvp(const Ref<const Graph>& body, int num_carry, int num_xs,
                     const std::vector<bool>& marked);

}  // namespace hesse
