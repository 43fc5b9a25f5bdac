#include "bindings/bindings.h"
#include "bindings/convert.h"
#include "bindings/docs_creation.h"

namespace hesse::python {

using namespace py::literals;

namespace {

bool is_integral(const Array& a) { return is_integer(a.dtype()) || is_bool(a.dtype()); }

Array arange_of(const Array& start, const std::optional<Array>& stop, const Array& step, OptDType dtype) {
  const bool integral = is_integral(start) && is_integral(step) && (!stop || is_integral(*stop));
  const DType t = dtype.value_or(integral ? kInt64 : default_dtype());
  const double from = stop ? start.item<double>() : 0.0;
  return arange(from, stop ? stop->item<double>() : start.item<double>(), step.item<double>(), t);
}

}  // namespace

void init_creation(py::module_& m) {
  const auto dtype = "dtype"_a = py::none();
  const auto device = "device"_a = py::none();
  define(
      m, "zeros", [](const Shape& shape, OptDType t, Device) { return zeros(shape, t); }, "shape"_a,
      py::kw_only(), dtype, device, text(docs::kZeros));
  define(
      m, "ones", [](const Shape& shape, OptDType t, Device) { return ones(shape, t); }, "shape"_a,
      py::kw_only(), dtype, device, text(docs::kOnes));
  define(
      m, "empty", [](const Shape& shape, OptDType t, Device) { return empty(shape, t); }, "shape"_a,
      py::kw_only(), dtype, device, text(docs::kEmpty));
  define(
      m, "full",
      [](const Shape& shape, const Array& value, OptDType t, Device) { return full(shape, value, t); },
      "shape"_a, "fill_value"_a, py::kw_only(), dtype, device, text(docs::kFull));
  define(
      m, "zeros_like", [](const Array& x, OptDType t, Device) { return zeros_like(x, t); }, "x"_a,
      py::pos_only(), py::kw_only(), dtype, device, text(docs::kZerosLike));
  define(
      m, "ones_like", [](const Array& x, OptDType t, Device) { return ones_like(x, t); }, "x"_a,
      py::pos_only(), py::kw_only(), dtype, device, text(docs::kOnesLike));
  define(
      m, "empty_like", [](const Array& x, OptDType t, Device) { return zeros_like(x, t); }, "x"_a,
      py::pos_only(), py::kw_only(), dtype, device, text(docs::kEmptyLike));
  define(
      m, "full_like",
      [](const Array& x, const Array& value, OptDType t, Device) { return full_like(x, value, t); }, "x"_a,
      py::pos_only(), "fill_value"_a, py::kw_only(), dtype, device, text(docs::kFullLike));
  define(
      m, "arange",
      [](const Array& start, const std::optional<Array>& stop, const Array& step, OptDType t, Device) {
        return arange_of(start, stop, step, t);
      },
      "start"_a, py::pos_only(), "stop"_a = py::none(), "step"_a = 1, py::kw_only(), dtype, device,
      text(docs::kArange));
  define(
      m, "linspace",
      [](const Array& start, const Array& stop, int64_t num, OptDType t, Device, bool endpoint) {
        return linspace(start, stop, num, endpoint, t);
      },
      "start"_a, "stop"_a, py::pos_only(), "num"_a = 50, py::kw_only(), dtype, device, "endpoint"_a = true,
      text(docs::kLinspace));
  define(
      m, "logspace",
      [](const Array& start, const Array& stop, int64_t num, OptDType t, bool endpoint, double base) {
        return logspace(start, stop, num, endpoint, base, t);
      },
      "start"_a, "stop"_a, py::pos_only(), "num"_a = 50, py::kw_only(), dtype, "endpoint"_a = true,
      "base"_a = 10.0, text(docs::kLogspace));
  define(
      m, "eye",
      [](int64_t n_rows, std::optional<int64_t> n_cols, int64_t k, OptDType t, Device) {
        return eye(n_rows, n_cols, k, t);
      },
      "n_rows"_a, "n_cols"_a = py::none(), py::pos_only(), py::kw_only(), "k"_a = 0, dtype, device,
      text(docs::kEye));
  m.def(
      "meshgrid",
      [](const py::args& arrays, const std::string& indexing) {
        return meshgrid(require_arrays(arrays, "meshgrid"), indexing);
      },
      py::kw_only(), "indexing"_a = "xy", text(docs::kMeshgrid));
  define(
      m, "tril", [](const Array& x, int64_t k) { return tril(x, k); }, "x"_a, py::pos_only(), py::kw_only(),
      "k"_a = 0, text(docs::kTril));
  define(
      m, "triu", [](const Array& x, int64_t k) { return triu(x, k); }, "x"_a, py::pos_only(), py::kw_only(),
      "k"_a = 0, text(docs::kTriu));
  define(
      m, "diag", [](const Array& x, int64_t k) { return diag(x, k); }, "x"_a, py::pos_only(), "k"_a = 0,
      text(docs::kDiag));
  define(
      m, "diagonal", [](const Array& x, int64_t offset) { return diagonal(x, offset); }, "x"_a,
      py::pos_only(), py::kw_only(), "offset"_a = 0, text(docs::kDiagonal));
}

}  // namespace hesse::python
