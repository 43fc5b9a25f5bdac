#pragma once
// What a map decides before it runs (map_program.cpp) and reads when it does (map_run.cpp).
#include <atomic>

#include "core/program/map_program.h"
#include "core/program/prepared.h"
#include "core/program/schedule.h"

namespace hesse {

// The memory of a tile: a constant, so that results do not depend on the machine's caches.
constexpr int64_t kTileBytes = int64_t{3} << 18;

/// The body laid out for tiles of one shape.
struct MapProgram::Layout {
  Dims lanes;
  std::vector<std::optional<Strides>> outside;
  Tile tile;
};

/// Whether examples run on tiles, and what then runs there.
struct MapProgram::Plan {
  Schedule recorded;
  int64_t most_lanes = 0;
  bool unrolled = false;  // had better be
  // Where examples run one by one: the program of one, and how many have run so far.
  std::unique_ptr<Prepared> example;
  mutable std::atomic<int64_t> ran = 0;
};

/// The equations in the order in which they run on a tile, the same for all its shapes.
struct MapProgram::Order {
  Schedule schedule;
  int64_t bytes_per_example = 1;  // the memory of a tile is this times its lanes
};

}  // namespace hesse
