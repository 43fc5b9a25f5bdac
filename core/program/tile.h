#pragma once
#include "core/graph.h"

namespace hesse {

/// A graph laid out for one tile of examples: every value is [features..., lanes...], the innermost lane
/// axis contiguous. Results of equations lie in one block of memory (an arena) in slots that are reused when
/// their value is dead; inputs lie there too, or outside, as they are. Immutable: any number of threads run
/// it, each with its own memory.
class Tile {
 public:
  /// Where a value lies: in the arena (base 0) or in input base - 1, so many bytes behind its beginning.
  struct Place {
    View view;  ///< without its data
    int base = 0;
    int64_t offset = 0;
  };
  /// Lays out `g` for tiles of shape `lanes`. outside[i]: strides of input i and its lanes where it is read
  /// in place; nullopt where it has a slot that is filled for every tile. `kept` values outlive all
  /// equations; equations of `unformed` values are left out.
  Tile(const Graph& g, const Dims& lanes, const std::vector<std::optional<Strides>>& outside,
       const std::vector<int>& kept, const std::vector<int>& unformed);

  /// The memory it needs.
  int64_t bytes() const { return bytes_; }
  /// Value v, given the beginnings of the arena and of the inputs.
  View view(int v, char* const* bases) const {
    const Place& p = places_[static_cast<size_t>(v)];
    View out = p.view;
    out.data = bases[p.base] + p.offset;
    return out;
  }
  /// Runs all equations.
  void run(char* const* bases) const;

 private:
  void lay_out(const std::vector<std::optional<Strides>>& outside, const std::vector<int>& kept);
  void run_equation(const Graph::Equation& eq, char* const* bases) const;
  void lane_by_lane(const Graph::Equation& eq, char* const* bases) const;

  const Graph& graph_;
  Dims lanes_;
  std::vector<Place> places_;  // by value
  std::vector<bool> skipped_;  // by equation: its result is a view of its operand's memory, or not formed
  int64_t bytes_ = 0;
};

/// The bytes of the values of `g` that are alive at once, for one example; of the inputs only those counted.
int64_t live_bytes(const Graph& g, const std::vector<bool>& counted);

}  // namespace hesse
