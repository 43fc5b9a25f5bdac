#pragma once
#include "core/graph.h"

namespace hesse {

/// Whether the examples of a map had better run one after the other, with the kernels of ordinary arrays,
/// than on lanes: where they are fewer than a vector has lanes, or so large that one vector of lanes leaves
/// the caches. `scheduled` has the equations that a tile would run (sums of outer products are not formed
/// there), `varies` says which values differ between the n examples.
bool better_one_by_one(const Graph& body, const Graph& scheduled, const std::vector<bool>& varies, int64_t n);

/// Whether so few examples, of a map whose examples run one by one, had better be part of the program around
/// it: small ones, beside which the map's overhead counts, and such large ones that their equations run on
/// all threads. Those between are for the threads to share.
bool better_unrolled(const Graph& body, const std::vector<bool>& varies, int64_t n);

/// For tests: every map runs on lanes, one by one or, in a program, unrolled, whatever it costs. Maps that
/// have run already stay as they are.
enum class RunExamples { AsCostsSay, OnLanes, OneByOne, Unrolled };
void set_run_examples(RunExamples how);

/// Lanes of one vector for the floats of a graph.
int64_t vector_lanes(const Graph& body);

/// How many lanes keep the products of matrices that both differ between examples in a part of the
/// second-level cache: one vector at least. Rows of wide tiles are read again and again from further away.
int64_t most_lanes(const Graph& scheduled, const std::vector<bool>& varies);

}  // namespace hesse
