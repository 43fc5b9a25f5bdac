#include "bindings/bindings.h"
#include "bindings/convert.h"
#include "bindings/docs_view.h"

/// Shapes: views, joining, splitting, padding.
namespace hesse::python {

using namespace py::literals;

namespace {

using Widths = std::vector<std::pair<int64_t, int64_t>>;

/// NumPy's spellings: n, (before, after), or a pair per axis.
Widths pad_widths(py::handle widths, size_t ndim) {
  const auto refused = [&] {
    refuse(widths, {"pad", "pad_width"}, "an integer, a pair (before, after), or such a pair for each axis");
  };
  // A scalar, and not an array of several: NumPy's all claim to be indices.
  const auto integer = [](py::handle o) {
    if (!PyIndex_Check(o.ptr())) return false;
    if (PyObject_Size(o.ptr()) >= 0) return false;
    PyErr_Clear();
    return true;
  };
  const Where where{"pad", "pad_width"};
  if (integer(widths)) {
    const auto n = convert<int64_t>(widths, where);
    return Widths(ndim, {n, n});
  }
  if (!PySequence_Check(widths.ptr()) || PyUnicode_Check(widths.ptr())) refused();
  const auto pair = [&](py::handle o) {
    if (!PySequence_Check(o.ptr()) || py::len(o) != 2) refused();
    const auto s = py::reinterpret_borrow<py::sequence>(o);
    return std::pair(convert<int64_t>(py::object(s[0]), where), convert<int64_t>(py::object(s[1]), where));
  };
  const auto s = py::reinterpret_borrow<py::sequence>(widths);
  if (s.size() == 2 && integer(py::object(s[0])) && integer(py::object(s[1])))
    return Widths(ndim, pair(widths));
  Widths w;
  for (const py::object item : s) w.push_back(pair(item));  // held: an array makes it for us alone
  return w.size() == 1 ? Widths(ndim, w.front()) : w;
}

}  // namespace

void init_view(py::module_& m) {
  define(
      m, "reshape",
      [](const Array& x, const Shape& shape, std::optional<bool> do_copy) {
        const Array y = reshape(x, shape);
        return do_copy.value_or(false) ? copy(y) : y;
      },
      "x"_a, py::pos_only(), "shape"_a, py::kw_only(), "copy"_a = py::none(), text(docs::kReshape));
  define(
      m, "flatten", [](const Array& x) { return flatten(x); }, "x"_a, py::pos_only(), text(docs::kFlatten));
  define(
      m, "ravel", [](const Array& x) { return flatten(x); }, "x"_a, py::pos_only(), text(docs::kRavel));
  define(
      m, "permute_dims", [](const Array& x, const Axes& axes) { return transpose(x, axes); }, "x"_a,
      py::pos_only(), "axes"_a, text(docs::kPermuteDims));
  define(
      m, "transpose", [](const Array& x, const OptAxes& axes) { return transpose(x, axes); }, "x"_a,
      py::pos_only(), "axes"_a = py::none(), text(docs::kTranspose));
  define(
      m, "matrix_transpose", [](const Array& x) { return matrix_transpose(x); }, "x"_a, py::pos_only(),
      text(docs::kMatrixTranspose));
  define(
      m, "swapaxes", [](const Array& x, int64_t a, int64_t b) { return swapaxes(x, a, b); }, "x"_a, "axis1"_a,
      "axis2"_a, py::pos_only(), text(docs::kSwapaxes));
  define(
      m, "moveaxis",
      [](const Array& x, const Axes& source, const Axes& destination) {
        return moveaxis(x, source, destination);
      },
      "x"_a, "source"_a, "destination"_a, py::pos_only(), text(docs::kMoveaxis));
  define(
      m, "expand_dims", [](const Array& x, const Axes& axis) { return expand_dims(x, axis); }, "x"_a,
      py::pos_only(), "axis"_a = 0, text(docs::kExpandDims));
  define(
      m, "squeeze", [](const Array& x, const OptAxes& axis) { return squeeze(x, axis); }, "x"_a,
      py::pos_only(), "axis"_a = py::none(), text(docs::kSqueeze));
  define(
      m, "broadcast_to", [](const Array& x, const Shape& shape) { return broadcast_to(x, shape); }, "x"_a,
      py::pos_only(), "shape"_a, text(docs::kBroadcastTo));
  m.def(
      "broadcast_arrays",
      [](const py::args& arrays) { return broadcast_arrays(require_arrays(arrays, "broadcast_arrays")); },
      text(docs::kBroadcastArrays));
  m.def(
      "broadcast_shapes",
      [](const py::args& shapes) {
        Shape common;
        for (const py::handle s : shapes)
          common = broadcast_shapes("broadcast_shapes", common,
                                    convert<Shape>(s, {"broadcast_shapes", "a shape"}));
        return common;
      },
      text(docs::kBroadcastShapes));
  define(
      m, "flip", [](const Array& x, const OptAxes& axis) { return flip(x, axis); }, "x"_a, py::pos_only(),
      py::kw_only(), "axis"_a = py::none(), text(docs::kFlip));
  define(
      m, "roll", [](const Array& x, const Axes& shift, const OptAxes& axis) { return roll(x, shift, axis); },
      "x"_a, py::pos_only(), "shift"_a, py::kw_only(), "axis"_a = py::none(), text(docs::kRoll));
  define(
      m, "tile", [](const Array& x, const Dims& repetitions) { return tile(x, repetitions); }, "x"_a,
      "repetitions"_a, py::pos_only(), text(docs::kTile));
  define(
      m, "repeat", [](const Array& x, int64_t repeats, OptAxis axis) { return repeat(x, repeats, axis); },
      "x"_a, "repeats"_a, py::pos_only(), py::kw_only(), "axis"_a = py::none(), text(docs::kRepeat));
  m.def(
      "pad",
      [](In x, py::handle pad_width, const Raw<std::string>& mode, OptIn constant_values) {
        const Operand a(x.object.ptr(), "pad");
        const Array value = constant_values.object.is_none()
                                ? Array(0.0)
                                : require_array(constant_values.object.ptr(), "pad");
        return pad(*a, pad_widths(pad_width, (*a).ndim()), value,
                   convert<std::string>(mode.object, {"pad", "mode"}));
      },
      "x"_a, "pad_width"_a, "mode"_a = "constant", py::kw_only(), "constant_values"_a = 0, text(docs::kPad));
  const auto join = [](const Arrays& arrays, OptAxis axis) { return concatenate(arrays, axis); };
  define(m, "concat", join, "arrays"_a, py::pos_only(), py::kw_only(), "axis"_a = 0, text(docs::kConcat));
  define(m, "concatenate", join, "arrays"_a, py::pos_only(), "axis"_a = 0, text(docs::kConcatenate));
  define(
      m, "stack", [](const Arrays& arrays, int64_t axis) { return stack(arrays, axis); }, "arrays"_a,
      py::pos_only(), "axis"_a = 0, text(docs::kStack));
  define(
      m, "unstack", [](const Array& x, int64_t axis) { return TupleOf{unstack(x, axis)}; }, "x"_a,
      py::pos_only(), py::kw_only(), "axis"_a = 0, text(docs::kUnstack));
  m.def(
      "split",
      [](In x, py::handle indices_or_sections, const Raw<int64_t>& axis) {
        const Operand a(x.object.ptr(), "split");
        const auto along = convert<int64_t>(axis.object, {"split", "axis"});
        const Dims cuts = convert<Dims>(indices_or_sections, {"split", "indices_or_sections"});
        const bool sections =
            PyIndex_Check(indices_or_sections.ptr()) &&
            (PyLong_Check(indices_or_sections.ptr()) || !PySequence_Check(indices_or_sections.ptr()));
        if (sections) return split(*a, cuts[0], along);
        return split(*a, std::vector<int64_t>(cuts.begin(), cuts.end()), along);
      },
      "x"_a, "indices_or_sections"_a, py::pos_only(), "axis"_a = 0, text(docs::kSplit));
}

}  // namespace hesse::python
