#pragma once
#include "core/graph.h"

namespace hesse {

/// The memory of a value.
double bytes_of(const Aval& a);

/// How a map runs: so many examples at a time, in so much memory each.
struct Tiling {
  int64_t examples = 0, lanes = 0, bytes_per_example = 0;
};
/// Of every map of a program, those in sub-graphs included, in order. Few or large examples, and those whose
/// graph holds run-time lengths, run one by one: one lane, in no tile (0 bytes).
std::vector<Tiling> tilings(const Graph& program);

/// A value with a row for every example that leaves its map: all of it is in memory at a time.
struct Stored {
  Aval of;
  std::string why;  ///< who reads it
  double bytes() const;
};

/// What a map does. Operations as Op::flops counts them; bytes of operands and results, once each: those that
/// are the same for all examples stay in cache, and what lives in a tile is neither read nor written.
struct MapReport {
  Tiling tiling;
  std::string inside;     ///< the equation whose body holds it; empty: none
  int64_t equations = 0;  ///< of one example
  double flops = 0;       ///< of all examples
  double read = 0, written = 0;
  std::vector<Stored> stored;
  double flops_per_example() const;
  /// Operations for every byte that is read or written.
  double intensity() const;
};

/// What is run on a few rows of a batch at a time (core/program/row_chunks.h). Operations and bytes as for
/// maps; what the rows share, and sums over them, are counted once.
struct ChunkReport {
  int64_t rows = 0, at_once = 0;
  std::string inside;     ///< the equation whose body holds it; empty: none
  int64_t equations = 0;  ///< of a few rows
  double flops = 0;       ///< of all rows
  double read = 0, written = 0;
};

/// What is run for a few whole graphs of a batch at a time, where the indices of a run allow it
/// (core/program/row_groups.h). Operations and bytes as for chunks.
struct GroupReport {
  Dims rows;           ///< of nodes, edges, graphs
  std::string inside;  ///< the equation whose body holds it; empty: none
  int64_t equations = 0;
  double flops = 0;  ///< of all rows
  double read = 0, written = 0;
};

/// What a program does in one run. A loop of unknown length counts as one step.
struct Report {
  std::vector<MapReport> maps;
  std::vector<ChunkReport> chunks;
  std::vector<GroupReport> groups;
  int64_t equations_outside = 0;  ///< equations beside maps, chunks and groups of rows
  double flops = 0;
  double bytes = 0;  ///< that its equations read and write; views do neither
};
Report report(const Graph& program);

/// The report of a program as text.
std::string explain(const Graph& program);

}  // namespace hesse
