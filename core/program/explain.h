#pragma once
#include "core/graph.h"

namespace hesse {

/// How a map runs: so many examples at a time, in so much memory each.
struct Tiling {
  int64_t examples = 0, lanes = 0, bytes_per_example = 0;
};
/// Of every map of a program, those in sub-graphs included, in order. Maps whose bodies hold run-time lengths
/// run example by example: one lane.
std::vector<Tiling> tilings(const Graph& program);

}  // namespace hesse
