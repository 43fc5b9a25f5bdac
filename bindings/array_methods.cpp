#include "bindings/bindings.h"
#include "bindings/convert.h"
#include "bindings/docs_array.h"
#include "bindings/docs_graph.h"
#include "core/node.h"

/// Properties and methods of hesse.Array, and x.at[index].
namespace hesse::python {

using namespace py::literals;

namespace {

// Properties
// ------------------------------------------------------------------------------------------------------------
template <class F>
PyGetSetDef property(const char* name, const char* doc, F) {
  return {name, [](PyObject* self, void*) { return guarded([&] { return F{}(array_of(self)); }); }, nullptr,
          doc, nullptr};
}

struct At {
  Array x;
};
struct AtIndex {
  Array x;
  std::vector<Index> index;
  Array update(py::handle y, Update how, const char* name) const {
    return at_update(x, index, require_array(y.ptr(), name), how);
  }
};

/// x.reshape(2, 3) and x.reshape((2, 3)).
Shape shape_of_args(const py::args& args, Where where) {
  return args.size() == 1 ? convert<Shape>(args[0], where) : convert<Shape>(args, where);
}

}  // namespace

PyGetSetDef* array_properties() {
  static PyGetSetDef list[] = {
      property("shape", "The lengths of the axes.",
               [](const Array& a) { return py::cast(a.shape()).release().ptr(); }),
      property("dtype", "The type of the entries.",
               [](const Array& a) { return dtype_object(a.dtype()).release().ptr(); }),
      property("ndim", "The number of axes.", [](const Array& a) { return PyLong_FromSize_t(a.ndim()); }),
      property("size", "The number of entries.",
               [](const Array& a) { return PyLong_FromLongLong(a.size()); }),
      property("itemsize", "Bytes of one entry.",
               [](const Array& a) { return PyLong_FromLongLong(itemsize(a.dtype())); }),
      property("nbytes", "Bytes of all entries.",
               [](const Array& a) { return PyLong_FromLongLong(a.size() * itemsize(a.dtype())); }),
      property("device", "Where the data lie.", [](const Array&) { return PyUnicode_FromString("cpu"); }),
      property("T", "The axes reversed.", [](const Array& a) { return new_array(transpose(a)); }),
      property("mT", "The last two axes swapped.",
               [](const Array& a) { return new_array(matrix_transpose(a)); }),
      property("real", "The real part.", [](const Array& a) { return new_array(hesse::real(a)); }),
      property("imag", "The imaginary part.", [](const Array& a) { return new_array(hesse::imag(a)); }),
      property("at", text(docs::kAt), [](const Array& a) { return py::cast(At{a}).release().ptr(); }),
      property("is_symbol", "Whether this is a symbol in a trace, without a value.",
               [](const Array& a) { return PyBool_FromLong(a.is_symbol()); }),
      property("weak_type",
               "Whether this came from a Python number, which takes the dtype of the array it meets.",
               [](const Array& a) { return PyBool_FromLong(a.is_weak()); }),
      {nullptr, nullptr, nullptr, nullptr, nullptr},
  };
  return list;
}

void init_array_methods(py::module_& m) {
  // Values
  define_method(
      "item", [](const Array& x) { return scalar_value(x, "item"); }, text(docs::kItem));
  define_method(
      "tolist", [](const Array& x) { return py::object(to_numpy(x).attr("tolist")()); }, text(docs::kTolist));
  define_method("__complex__", [](const Array& x) {
    PyObject* z =
        PyObject_CallOneArg(reinterpret_cast<PyObject*>(&PyComplex_Type), scalar_value(x, "complex").ptr());
    if (!z) throw py::error_already_set();
    return py::reinterpret_steal<py::object>(z);
  });
  define_method("__format__", [](const Array& x, const std::string& spec) {
    const auto numpy_or_self = py::reinterpret_steal<py::object>(new_array(x));
    if (spec.empty() || x.is_symbol() || x.size() != 1) return py::str(numpy_or_self);
    return py::reinterpret_steal<py::str>(
        PyObject_Format(scalar_value(x, "format").ptr(), py::str(spec).ptr()));
  });
  const py::handle type(reinterpret_cast<PyObject*>(array_type));
  const auto itself = [&](const char* name) {
    type.attr(name) = py::cpp_function([](py::object x, const py::args&) { return x; }, py::name(name),
                                       py::is_method(type));
  };
  itself("__copy__");
  itself("__deepcopy__");
  define_method(
      "copy", [](const Array& x) { return copy(x); }, text(docs::kCopy));
  define_method(
      "to_device",
      [](const Array& x, const std::string& device, py::handle) {
        require(device == "cpu", "to_device: unknown device '", device, "'; there is 'cpu'");
        return x;
      },
      "device"_a, py::pos_only(), "stream"_a = py::none(), text(docs::kToDevice));
  define_method(
      "__array_namespace__",
      [](const Array&, py::handle) { return py::object(py::module_::import("hesse")); }, py::kw_only(),
      "api_version"_a = py::none());

  // Shapes
  type.attr("reshape") = py::cpp_function(
      [](const Array& x, const py::args& shape) {
        return reshape(x, shape_of_args(shape, {"reshape", "shape"}));
      },
      py::name("reshape"), py::is_method(type), text(docs::kReshape));
  type.attr("transpose") = py::cpp_function(
      [](const Array& x, const py::args& axes) {
        if (axes.empty() || (axes.size() == 1 && axes[0].is_none())) return transpose(x);
        return transpose(x, shape_of_args(axes, {"transpose", "axes"}));
      },
      py::name("transpose"), py::is_method(type), text(docs::kTranspose));
  define_method(
      "flatten", [](const Array& x) { return flatten(x); }, text(docs::kFlatten));
  define_method(
      "ravel", [](const Array& x) { return flatten(x); }, text(docs::kRavel));
  define_method(
      "squeeze", [](const Array& x, OptAxes axis) { return squeeze(x, axis); }, "axis"_a = py::none(),
      text(docs::kSqueeze));
  define_method(
      "swapaxes", [](const Array& x, int64_t a, int64_t b) { return swapaxes(x, a, b); }, "axis1"_a,
      "axis2"_a, text(docs::kSwapaxes));
  define_method(
      "astype", [](const Array& x, DType dtype) { return astype(x, dtype); }, "dtype"_a, text(docs::kAstype));
  define_method(
      "conj", [](const Array& x) { return conj(x); }, text(docs::kConj));

  // Reductions
  const auto reduction = [](const char* name, auto f, const Doc& doc) {
    define_method(name, f, "axis"_a = py::none(), py::kw_only(), "keepdims"_a = false, text(doc));
  };
  reduction(
      "sum", [](const Array& x, OptAxes axis, bool keepdims) { return sum(x, axis, keepdims); }, docs::kSum);
  reduction(
      "prod", [](const Array& x, OptAxes axis, bool keepdims) { return prod(x, axis, keepdims); },
      docs::kProd);
  reduction(
      "mean", [](const Array& x, OptAxes axis, bool keepdims) { return mean(x, axis, keepdims); },
      docs::kMean);
  reduction(
      "max", [](const Array& x, OptAxes axis, bool keepdims) { return max(x, axis, keepdims); }, docs::kMax);
  reduction(
      "min", [](const Array& x, OptAxes axis, bool keepdims) { return min(x, axis, keepdims); }, docs::kMin);
  reduction(
      "all", [](const Array& x, OptAxes axis, bool keepdims) { return all(x, axis, keepdims); }, docs::kAll);
  reduction(
      "any", [](const Array& x, OptAxes axis, bool keepdims) { return any(x, axis, keepdims); }, docs::kAny);
  reduction(
      "argmax", [](const Array& x, OptAxis axis, bool keepdims) { return argmax(x, axis, keepdims); },
      docs::kArgmax);
  reduction(
      "argmin", [](const Array& x, OptAxis axis, bool keepdims) { return argmin(x, axis, keepdims); },
      docs::kArgmin);
  const auto moment = [](const char* name, auto f, const Doc& doc) {
    define_method(name, f, "axis"_a = py::none(), py::kw_only(), "correction"_a = 0.0, "keepdims"_a = false,
                  text(doc));
  };
  moment(
      "var",
      [](const Array& x, OptAxes axis, double correction, bool keepdims) {
        return var(x, axis, correction, keepdims);
      },
      docs::kVar);
  moment(
      "std",
      [](const Array& x, OptAxes axis, double correction, bool keepdims) {
        return hesse::std(x, axis, correction, keepdims);
      },
      docs::kStd);
  define_method(
      "cumsum", [](const Array& x, OptAxis axis) { return cumsum(x, axis); }, "axis"_a = py::none(),
      text(docs::kCumsum));
  define_method(
      "cumprod", [](const Array& x, OptAxis axis) { return cumprod(x, axis); }, "axis"_a = py::none(),
      text(docs::kCumprod));
  define_method(
      "dot", [](const Array& x, const Array& y) { return dot(x, y); }, "other"_a, text(docs::kDot));

  py::class_<AtIndex>(m, "_AtIndex", "What x.at[index] gives: the entries to be replaced in a new array.")
      .def(
          "get", [](const AtIndex& a) { return getitem(a.x, a.index); }, "x[index].")
      .def(
          "set", [](const AtIndex& a, py::handle y) { return a.update(y, Update::Set, "at.set"); },
          "values"_a, "x with x[index] = values; of equal indices the last wins.")
      .def(
          "add", [](const AtIndex& a, py::handle y) { return a.update(y, Update::Add, "at.add"); },
          "values"_a, "x with x[index] += values; equal indices accumulate.")
      .def(
          "subtract",
          [](const AtIndex& a, py::handle y) {
            return at_update(a.x, a.index, negative(require_array(y.ptr(), "at.subtract")), Update::Add);
          },
          "values"_a, "x with x[index] -= values; equal indices accumulate.")
      .def(
          "multiply",
          [](const AtIndex& a, py::handle y) { return a.update(y, Update::Multiply, "at.multiply"); },
          "values"_a, "x with x[index] *= values; equal indices accumulate.")
      .def(
          "mul", [](const AtIndex& a, py::handle y) { return a.update(y, Update::Multiply, "at.mul"); },
          "values"_a, "The same as multiply.")
      .def(
          "min", [](const AtIndex& a, py::handle y) { return a.update(y, Update::Min, "at.min"); },
          "values"_a, "x with x[index] = minimum(x[index], values).")
      .def(
          "max", [](const AtIndex& a, py::handle y) { return a.update(y, Update::Max, "at.max"); },
          "values"_a, "x with x[index] = maximum(x[index], values).");

  py::class_<At>(m, "_At").def(
      "__getitem__",
      [](const At& at, py::handle index) {
        return AtIndex{at.x, parse_index(index.ptr())};
      },
      "index"_a, py::pos_only());

  m.def(
      "is_tracked", [](const Array& x) { return is_tracked(x); }, "x"_a, py::pos_only(),
      text(docs::kIsTracked));
  m.def(
      "in_trace", [] { return static_cast<bool>(current_region()); }, text(docs::kInTrace));
}

}  // namespace hesse::python
