#pragma once
#include <variant>

#include "core/graph.h"

/// Ops that hold graphs: map, scan, while_loop, cond, and call (checkpoint). Their derivatives are the same
/// ops with the derivative graphs of their bodies; reverse mode recomputes a body from saved inputs
/// (docs/decisions.md).
namespace hesse {

// map
// ----------------------------------------------------------------------------------------------------------
/// How a map's body reads an operand. Each: slice i of axis 0. Uniform: the same for all. Gather: row
/// index[i].
struct Access {
  enum class Kind { Each, Uniform, Gather } kind = Kind::Each;
  int index = -1;  ///< Gather: which index array
  static Access each() { return {Kind::Each, -1}; }
  static Access uniform() { return {Kind::Uniform, -1}; }
  static Access gather(int index) { return {Kind::Gather, index}; }
  bool operator==(const Access&) const = default;
};
/// What becomes of a body's output. Each: stacked on axis 0. Sum: summed over examples. SegmentSum: row
/// index[i] of num_segments rows accumulates it, in order of i.
struct Result {
  enum class Kind { Each, Sum, SegmentSum } kind = Kind::Each;
  int index = -1;
  int64_t num_segments = 0;
  static Result each() { return {Kind::Each, -1, 0}; }
  static Result sum() { return {Kind::Sum, -1, 0}; }
  static Result segment_sum(int index, int64_t n) { return {Kind::SegmentSum, index, n}; }
  bool operator==(const Result&) const = default;
};
/// Runs `body` (the graph of one example) for examples 0 .. n-1. `operands` are the graph's inputs in order,
/// each with its access; `indices` are int64 arrays [n] for gathers and segment sums. Transposition swaps
/// each with each, uniform with sum, gather with segment_sum.
Arrays map(const Ref<const Graph>& body, int64_t n, const Arrays& operands, const std::vector<Access>& access,
           const std::vector<Result>& results, const Arrays& indices = {});
/// The same from a function of one example: it is traced, and what it captures becomes uniform operands.
Arrays map(const Fn& f, int64_t n, const Arrays& operands, const std::vector<Access>& access,
           const std::function<std::vector<Result>(size_t num_outputs)>& results, const Arrays& indices = {});
/// vmap on flat lists. in_axes[i]: the mapped axis of argument i, or nullopt: the same for all examples.
/// out_axes likewise; nullopt is only right for an output that does not depend on the mapped arguments
/// (ValueError otherwise). out_axes has one entry per output, or one for all.
using MapAxes = std::vector<std::optional<int64_t>>;
Arrays vmap(const Fn& f, const Arrays& args, const MapAxes& in_axes, const MapAxes& out_axes);

// loops and branches
// ---------------------------------------------------------------------------------------------
/// (carry, ys) = scan(f, carry, xs): f(carry..., x_t...) -> (carry..., y_t...) over axis 0 of every xs.
/// `length` is needed when there are no xs. Carries keep shape and dtype (ValueError otherwise).
/// Returns the last carries followed by the ys stacked on axis 0.
Arrays scan(const Fn& f, const Arrays& carry, const Arrays& xs, std::optional<int64_t> length = {},
            bool reverse = false);
/// carry = body(carry) while cond(carry); differentiable forwards and, through a stack of the carries, in
/// reverse.
Arrays while_loop(const Fn& cond, const Fn& body, const Arrays& carry);
/// carry = body(i, carry) for i in [lower, upper); bounds may be int64 scalars with data or symbols.
Arrays fori_loop(const Array& lower, const Array& upper,
                 const std::function<Arrays(const Array& i, std::span<const Array>)>& body,
                 const Arrays& carry);
/// One of the branches, chosen by an integer scalar (clamped to the range) or a bool scalar.
/// All must return the same shapes and dtypes (ValueError otherwise). Branches are traced; only the chosen
/// one runs.
Arrays switch_(const Array& index, const std::vector<Fn>& branches, const Arrays& operands);
Arrays cond(const Array& predicate, const Fn& if_true, const Fn& if_false, const Arrays& operands);

// calls
// ----------------------------------------------------------------------------------------------------------
/// Calls a graph as one equation; its derivatives recompute it from its inputs instead of keeping
/// intermediates.
Arrays checkpoint(const Fn& f, const Arrays& args);

/// Runs foreign code on data: fn(data arrays) -> data arrays of the stated shapes. No derivative unless
/// wrapped by custom_jvp or custom_vjp; example by example under vmap.
Arrays callback(const Fn& fn, const Avals& outputs, const Arrays& args, const std::string& name = "callback");

/// A compiled function in its simple form: f is traced once per list of shapes and dtypes, equal and dead
/// equations vanish, and later calls run the graph without calling f. (The next step fuses maps and plans
/// memory.) Captured arrays are inputs at each call only if passed by the caller; others are constants by
/// reference.
struct Compiled {
  Ref<const Graph> graph;
  Arrays captures;
  OpRef op;  ///< the call, prepared when first run
  /// The graph as it is run: maps over the same examples joined (core/program/fuse.h).
  Ref<const Graph> program() const;
  Arrays operator()(std::span<const Array> args) const;
  /// The same, where arguments that nobody else holds are given away: results are written into their memory
  /// where that can be done (donated arguments). Under a derivative or a trace nothing is overwritten.
  Arrays donating(Arrays args) const;
};
Compiled compile(const Fn& f, const Avals& args);
/// A graph as a compiled function.
Compiled compile(const Ref<const Graph>& g);

}  // namespace hesse
