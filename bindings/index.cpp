#include "bindings/bindings.h"
#include "bindings/convert.h"
#include "bindings/docs_index.h"

/// Gathering, scattering, sorting, searching.
namespace hesse::python {

using namespace py::literals;

void init_index(py::module_& m) {
  define(
      m, "take", [](const Array& x, const Array& indices, OptAxis axis) { return take(x, indices, axis); },
      "x"_a, "indices"_a, py::pos_only(), py::kw_only(), "axis"_a = py::none(), text(docs::kTake));
  define(
      m, "take_along_axis",
      [](const Array& x, const Array& indices, int64_t axis) { return take_along_axis(x, indices, axis); },
      "x"_a, "indices"_a, py::pos_only(), py::kw_only(), "axis"_a = -1, text(docs::kTakeAlongAxis));
  define(
      m, "gather", [](const Array& x, const Array& indices) { return gather(x, indices); }, "x"_a,
      "indices"_a, py::pos_only(), text(docs::kGather));
  define(
      m, "scatter_add",
      [](const Array& x, const Array& indices, int64_t num_rows) {
        return scatter_add(x, indices, num_rows);
      },
      "x"_a, "indices"_a, py::pos_only(), "num_rows"_a, text(docs::kScatterAdd));
  define(
      m, "segment_sum", [](const Array& x, const Array& ids, int64_t n) { return segment_sum(x, ids, n); },
      "x"_a, "segment_ids"_a, py::pos_only(), "num_segments"_a, text(docs::kSegmentSum));
  define(
      m, "segment_max", [](const Array& x, const Array& ids, int64_t n) { return segment_max(x, ids, n); },
      "x"_a, "segment_ids"_a, py::pos_only(), "num_segments"_a, text(docs::kSegmentMax));
  define(
      m, "sort",
      [](const Array& x, int64_t axis, bool descending, bool stable) {
        return sort(x, axis, descending, stable);
      },
      "x"_a, py::pos_only(), py::kw_only(), "axis"_a = -1, "descending"_a = false, "stable"_a = true,
      text(docs::kSort));
  define(
      m, "argsort",
      [](const Array& x, int64_t axis, bool descending, bool stable) {
        return argsort(x, axis, descending, stable);
      },
      "x"_a, py::pos_only(), py::kw_only(), "axis"_a = -1, "descending"_a = false, "stable"_a = true,
      text(docs::kArgsort));
  define(
      m, "topk",
      [](const Array& x, int64_t k, int64_t axis, bool largest) { return topk(x, k, axis, largest); }, "x"_a,
      "k"_a, py::pos_only(), py::kw_only(), "axis"_a = -1, "largest"_a = true, text(docs::kTopk));
  define(
      m, "searchsorted",
      [](const Array& x1, const Array& x2, const std::string& side, const std::optional<Array>& sorter) {
        return searchsorted(sorter ? take(x1, *sorter, 0) : x1, x2, side);
      },
      "x1"_a, "x2"_a, py::pos_only(), py::kw_only(), "side"_a = "left", "sorter"_a = py::none(),
      text(docs::kSearchsorted));
  define(
      m, "_unique", [](const Array& x) { return unique(x); }, "x"_a, py::pos_only(),
      "Distinct values, their first indices, the inverse, and counts.");
  define(
      m, "nonzero", [](const Array& x) { return TupleOf{nonzero(x)}; }, "x"_a, py::pos_only(),
      text(docs::kNonzero));
}

}  // namespace hesse::python
