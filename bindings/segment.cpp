#include "core/segment.h"

#include "bindings/bindings.h"
#include "bindings/convert.h"
#include "bindings/docs_segment.h"

/// Rows reduced by segment.
namespace hesse::python {

using namespace py::literals;

void init_segment(py::module_& m) {
  const auto reduction = [&](const char* name, Array (*f)(const Array&, const Array&, int64_t),
                             const Doc& doc) {
    define(
        m, name, [f](const Array& x, const Array& ids, int64_t n) { return f(x, ids, n); }, "x"_a,
        "segment_ids"_a, py::pos_only(), "num_segments"_a, text(doc));
  };
  reduction("segment_mean", segment_mean, docs::kSegmentMean);
  reduction("segment_min", segment_min, docs::kSegmentMin);
  reduction("segment_logsumexp", segment_logsumexp, docs::kSegmentLogsumexp);
  reduction("segment_softmax", segment_softmax, docs::kSegmentSoftmax);
  reduction("segment_std", segment_std, docs::kSegmentStd);
}

}  // namespace hesse::python
