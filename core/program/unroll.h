#pragma once
#include <optional>

#include "core/graph.h"
#include "core/ops/loop.h"
#include "core/program/map_loops.h"

namespace hesse {

/// An op that stands for equations as long as there may be derivatives: a program runs those instead, joined
/// with what is around them.
class Expands {
 public:
  virtual ~Expands() = default;
  virtual Arrays expanded(std::span<const Array> x) const = 0;
};
/// The graph, and the bodies of its maps, with those equations, and with loops outside of maps where that
/// saves work (core/program/map_loops.h). `inside`: of the body of a map.
Ref<const Graph> expanded(const Ref<const Graph>& g, bool inside = false);

/// A loop: run by itself its first steps are not worth preparing the body for, in a program they are.
class Loop {
 public:
  virtual ~Loop() = default;
  virtual LoopParts parts() const = 0;
  /// The same loop, whose body is prepared before its first step; null: this one is.
  virtual OpRef prepared() const = 0;
  /// Whether the other is this loop, and gives the carries that entered each step behind its results.
  virtual bool is_saved_by(const Op& other) const = 0;
  /// Where this is the tangent of the loop `other`, and computes its results, too: the places of the other's
  /// operands and results among its own. Else empty.
  struct Primal {
    std::vector<int> operands, results;
  };
  virtual Primal primal_in(const Op& other) const = 0;

  /// Whether examples take the same number of steps, where operands marked differ between them, and nothing
  /// is kept on stacks.
  virtual bool steps_together(const std::vector<bool>& varies) const = 0;
  /// What examples share of a step.
  virtual SharedWork shared_work(const std::vector<bool>& varies) const = 0;
  /// The loop for n examples at once: operands marked have a leading axis of them, as have the results that
  /// are marked then. nullopt where that is not to be had.
  struct Results {
    Arrays results;
    std::vector<bool> varies;
  };
  virtual std::optional<Results> for_examples(int64_t n, std::span<const Array> x,
                                              const std::vector<bool>& varies) const = 0;
};
/// The graph without the loops that a tangent of theirs computes, too. Two runs agree to rounding only, and
/// where their number of steps depends on that, tangents would belong to other steps than the values they
/// meet.
Ref<const Graph> with_tangent_loops_alone(const Ref<const Graph>& g);
/// The graph with its loops prepared; of a loop that runs for its results and, for a derivative, once more
/// for its carries, the second run alone is left.
Ref<const Graph> with_prepared_loops(const Ref<const Graph>& g);

/// The graph with every map of few examples that run one by one replaced by the equations of each example.
/// Small ones then lie in a block with the equations around them (`core/program/block.h`), without the map's
/// own overhead of some microseconds; large ones are joined entry by entry (`core/program/fuse.h`).
Ref<const Graph> unrolled(const Ref<const Graph>& g);

}  // namespace hesse
