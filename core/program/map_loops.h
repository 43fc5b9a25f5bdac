#pragma once
#include <optional>
#include <vector>

#include "core/graph.h"

namespace hesse {

/// The graph with loops outside of maps of few examples, where these take the same number of steps and share
/// some of the work: a loop of maps does once what the examples share. So tangents along several directions
/// (`jacfwd`) take one run of what they are tangents of. `inside`: of the body of another map, which has its
/// lanes from that one.
Ref<const Graph> with_loops_outside(const Ref<const Graph>& g, bool inside);

/// A graph for n examples at once: inputs that are marked, and outputs that the result marks, have a leading
/// axis of them.
struct ForExamples {
  Ref<const Graph> graph;
  std::vector<bool> varies;  // by output
};
/// The first outputs have that axis as `first` says; nullopt where one that varies should not have it.
std::optional<ForExamples> for_examples(const Graph& g, int64_t n, const std::vector<bool>& varies,
                                        const std::vector<bool>& first);

/// Operations of a step that examples share, and all, with one for every call; those of loops inside count
/// once. `varies` marks inputs.
struct SharedWork {
  double shared = 0, all = 0;
};
SharedWork shared_work(const Graph& g, const std::vector<bool>& varies);

}  // namespace hesse
