#include "core/graph.h"

#include "bindings/bindings.h"
#include "bindings/convert.h"
#include "bindings/docs_graph.h"
#include "bindings/function.h"
#include "core/cpu/threads.h"
#include "core/ops/control.h"
#include "core/program/batch.h"
#include "core/program/explain.h"
#include "core/program/map_cost.h"

/// Recorded programs.
namespace hesse::python {

using namespace py::literals;

namespace {

py::list describe_all(const Avals& avals) {
  py::list out;
  for (const Aval& a : avals) out.append(py::make_tuple(a.shape, a.dtype));
  return out;
}

/// What reports of rows have in common.
template <class R>
void with_work(py::class_<R>& report) {
  report.def_readonly("inside", &R::inside, "The equation whose body holds it, or an empty string.")
      .def_readonly("equations", &R::equations)
      .def_readonly("flops", &R::flops)
      .def_readonly("bytes_read", &R::read)
      .def_readonly("bytes_written", &R::written);
}

}  // namespace

void init_graph(py::module_& m) {
  py::class_<Stored>(m, "StoredValue", "A value with a row for every example that leaves its map.")
      .def_property_readonly("shape", [](const Stored& s) { return s.of.shape; })
      .def_property_readonly("dtype", [](const Stored& s) { return s.of.dtype; })
      .def_property_readonly("bytes", &Stored::bytes)
      .def_readonly("why", &Stored::why, "Who reads it.");
  py::class_<MapReport>(m, "MapReport", "What a map of a program does.")
      .def_property_readonly("examples", [](const MapReport& r) { return r.tiling.examples; })
      .def_property_readonly(
          "lanes", [](const MapReport& r) { return r.tiling.lanes; }, "How many examples run at a time.")
      .def_property_readonly(
          "bytes_per_example", [](const MapReport& r) { return r.tiling.bytes_per_example; },
          "The memory of each of them in a tile.")
      .def_readonly("inside", &MapReport::inside, "The equation whose body holds it, or an empty string.")
      .def_readonly("equations", &MapReport::equations, "Of one example.")
      .def_property_readonly("flops_per_example", &MapReport::flops_per_example)
      .def_readonly("flops", &MapReport::flops)
      .def_readonly("bytes_read", &MapReport::read)
      .def_readonly("bytes_written", &MapReport::written)
      .def_property_readonly("intensity", &MapReport::intensity, "Operations for every byte read or written.")
      .def_readonly("stored", &MapReport::stored, "Results with a row for every example.");
  with_work(
      py::class_<ChunkReport>(m, "ChunkReport", "What a program runs on a few rows of a batch at a time.")
          .def_readonly("rows", &ChunkReport::rows, "Of the batch.")
          .def_readonly("at_once", &ChunkReport::at_once, "How many run at a time."));
  with_work(
      py::class_<GroupReport>(m, "GroupReport",
                              "What a program runs for a few graphs of a batch at a time, where the indices "
                              "of a run part them.")
          .def_readonly("rows", &GroupReport::rows, "Of nodes, edges, graphs."));
  py::class_<GraphObject>(m, "Graph", text(docs::kGraph))
      .def_property_readonly("num_inputs", [](const GraphObject& g) { return g.graph->num_inputs(); })
      .def_property_readonly("num_outputs", [](const GraphObject& g) { return g.graph->num_outputs(); })
      .def_property_readonly(
          "inputs", [](const GraphObject& g) { return describe_all(g.graph->input_avals()); },
          "Shape and dtype of every input.")
      .def_property_readonly(
          "outputs", [](const GraphObject& g) { return describe_all(g.graph->output_avals()); },
          "Shape and dtype of every output.")
      .def_property_readonly(
          "constants",
          [](const GraphObject& g) {
            Arrays out;
            for (const auto& [value, array] : g.graph->constants()) out.push_back(array);
            return out;
          },
          "Arrays that the function used without being given them.")
      .def(
          "count",
          [](const GraphObject& g, const std::optional<std::string>& op) {
            return op ? g.graph->count(*op) : g.graph->count();
          },
          "op"_a = py::none(),
          "How many equations there are, of one op or of all, those of sub-graphs included.")
      .def("__call__",
           [](const GraphObject& g, const py::args& args) {
             const Arrays xs = require_arrays(args, "graph");
             const py::gil_scoped_release unlocked;
             return g.graph->call(xs);
           })
      .def_property_readonly(
          "tilings",
          [](const GraphObject& g) {
            py::list out;
            for (const Tiling& t : tilings(*g.graph))
              out.append(py::make_tuple(t.examples, t.lanes, t.bytes_per_example));
            return out;
          },
          "For every map in it: the number of examples, how many run at a time (the lanes of a tile), and "
          "the "
          "bytes that each of these needs.")
      .def_property_readonly(
          "flops", [](const GraphObject& g) { return g.graph->flops(); },
          "The arithmetic operations of one run, whatever the dtype: one for every entry that comes out of "
          "an "
          "operation by entries, 2 m n k for a product of matrices; loops of unknown length count as one "
          "step.")
      .def_property_readonly(
          "bytes", [](const GraphObject& g) { return report(*g.graph).bytes; },
          "The bytes that its equations read and write.")
      .def_property_readonly(
          "maps", [](const GraphObject& g) { return report(*g.graph).maps; },
          "What every map does, those in bodies of others included.")
      .def_property_readonly(
          "chunks", [](const GraphObject& g) { return report(*g.graph).chunks; },
          "What it runs on a few rows of a batch at a time.")
      .def_property_readonly(
          "groups", [](const GraphObject& g) { return report(*g.graph).groups; },
          "What it runs for a few graphs of a batch at a time, where the indices of a run part them.")
      .def(
          "explain", [](const GraphObject& g) { return explain(*g.graph); },
          "As text: how maps run, what they store, operations and bytes.")
      .def("__str__", [](const GraphObject& g) { return g.graph->to_string(); })
      .def("__repr__", [](const GraphObject& g) { return g.graph->to_string(); });
  m.def("_trace", [](const Fn& f, const Arrays& like, bool staged) {
    const Avals avals = avals_of(like);
    Traced t = [&] {
      const py::gil_scoped_release unlocked;
      return trace(f, avals, staged);
    }();
    return py::make_tuple(GraphObject{t.graph}, t.captures);
  });
  m.def("set_num_threads", &set_num_threads, "n"_a, py::pos_only(), text(docs::kSetNumThreads));
  m.def("get_num_threads", &num_threads, text(docs::kGetNumThreads));
  m.def("live_buffers", &Buffer::live_count, text(docs::kLiveBuffers));
  m.def("live_bytes", &Buffer::live_bytes, text(docs::kLiveBytes));
  m.def("allocated_bytes", &Buffer::total_bytes,
        "How many bytes have been asked for so far: for tests of what is done in place.");
  py::enum_<Joining>(m, "_Joining", "What becomes of batches in programs: for tests.")
      .value("as_pays", Joining::AsPays)
      .value("maps", Joining::Maps)
      .value("chunks", Joining::Chunks)
      .value("groups", Joining::Groups);
  m.def("_set_joining", &set_joining, "how"_a, py::pos_only(),
        "Whether batches become maps or run in chunks of rows also where it does not pay: for tests.");
  py::enum_<RunExamples>(m, "_RunExamples", "How maps run their examples: for tests.")
      .value("as_costs_say", RunExamples::AsCostsSay)
      .value("on_lanes", RunExamples::OnLanes)
      .value("one_by_one", RunExamples::OneByOne)
      .value("unrolled", RunExamples::Unrolled);
  m.def("_set_run_examples", &set_run_examples, "how"_a, py::pos_only(),
        "Whether maps run on lanes, one by one or unrolled, whatever it costs: for tests.");
}

}  // namespace hesse::python
