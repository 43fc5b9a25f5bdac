#pragma once
#include "bindings/docs.h"

/// Docstrings: graphs, threads, inspection.
namespace hesse::python::docs {

constexpr Doc kGraph{
    .meaning = "A recorded function: a list of equations. `hs.make_graph` makes one.",
    .example = R"(
>>> graph = hs.make_graph(lambda x: hs.sin(x) * 2.0, 1.0)
>>> graph.num_inputs, graph.count('sin')
(1, 1)
>>> graph(0.0)
[Array(0., dtype=float64)])",
};
constexpr Doc kSetNumThreads{
    .meaning = "How many threads an operation may use. Results do not depend on it.",
    .parameters = {"n : int\n    At least one."},
    .example = R"(
>>> n = hs.get_num_threads()
>>> hs.set_num_threads(1)
>>> hs.get_num_threads()
1
>>> hs.set_num_threads(n))",
};
constexpr Doc kGetNumThreads{
    .meaning = "How many threads an operation may use.",
    .returns = "int",
    .example = R"(
>>> hs.get_num_threads() >= 1
True)",
};
constexpr Doc kLiveBuffers{
    .meaning = "How many blocks of memory are alive: for tests of leaks.",
    .returns = "int",
    .example = R"(
>>> hs.live_buffers() >= 0
True)",
};
constexpr Doc kLiveBytes{
    .meaning = "How many bytes are alive: for tests of leaks.",
    .returns = "int",
    .example = R"(
>>> hs.live_bytes() >= 0
True)",
};
constexpr Doc kIsTracked{
    .meaning = "Whether a derivative that is being taken depends on x.",
    .parameters = {"x : array"},
    .returns = "bool",
    .example = R"(
>>> hs.is_tracked(1.0)
False)",
};
constexpr Doc kInTrace{
    .meaning = "Whether a loop body, a branch or a compiled function is being recorded on this thread.",
    .returns = "bool",
    .example = R"(
>>> hs.in_trace()
False)",
};
constexpr Doc kSetDebugNans{
    .meaning = "Whether the first operation that makes a NaN of inputs without one raises.",
    .parameters = {"on : bool"},
    .notes = "`hs.debug_nans` does it for a block.",
    .example = R"(
>>> hs.set_debug_nans(False))",
};

}  // namespace hesse::python::docs
