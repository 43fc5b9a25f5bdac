#include <pybind11/numpy.h>

#include "bindings/bindings.h"
#include "bindings/convert.h"
#include "bindings/dlpack.h"
#include "bindings/docs_exchange.h"

/// Arrays to and from others: NumPy, DLPack, pickle.
namespace hesse::python {

using namespace py::literals;

namespace {

// DLPack out
// -------------------------------------------------------------------------------------------------------------
dlpack::DataType dlpack_dtype(DType t) {
  const auto bits = static_cast<uint8_t>(8 * itemsize(t));
  if (is_bool(t)) return {dlpack::kBool, 8, 1};
  if (is_signed_integer(t)) return {dlpack::kInt, bits, 1};
  if (is_unsigned_integer(t)) return {dlpack::kUInt, bits, 1};
  if (is_floating(t)) return {dlpack::kFloat, bits, 1};
  if (is_complex(t)) return {dlpack::kComplex, bits, 1};
  throw py::buffer_error("random keys cannot be exchanged through DLPack");
}

/// What a capsule owns: the memory and the extents its tensor points to.
template <class M>
struct Exported {
  M managed;
  Array owner;
  Shape shape;
  Strides strides;
};

template <class M>
py::capsule export_capsule(const Array& given, const char* name) {
  const Array a = given.materialised();
  auto* e = new Exported<M>{{}, a.detached(), a.shape(), a.strides()};
  const View v = a.view();
  e->strides = v.strides;
  e->managed.tensor = {v.data,
                       {dlpack::kCPU, 0},
                       static_cast<int32_t>(v.shape.size()),
                       dlpack_dtype(v.dtype),
                       e->shape.data(),
                       e->strides.data(),
                       0};
  e->managed.context = e;
  e->managed.deleter = [](M* m) { delete static_cast<Exported<M>*>(m->context); };
  if constexpr (std::is_same_v<M, dlpack::ManagedVersioned>) {
    e->managed.version = {1, 0};
    e->managed.flags = dlpack::kReadOnly;
  }
  // A consumer renames the capsule and calls the deleter itself; an unused capsule frees what it holds.
  const auto drop = [](PyObject* capsule) {
    constexpr bool kVersioned = std::is_same_v<M, dlpack::ManagedVersioned>;
    const char* unused = kVersioned ? "dltensor_versioned" : "dltensor";
    if (!PyCapsule_IsValid(capsule, unused)) return;
    auto* m = static_cast<M*>(PyCapsule_GetPointer(capsule, unused));
    m->deleter(m);
  };
  PyObject* capsule = PyCapsule_New(&e->managed, name, drop);
  if (!capsule) {
    delete e;
    throw py::error_already_set();
  }
  return py::reinterpret_steal<py::capsule>(capsule);
}

py::capsule to_dlpack(const Array& x, py::handle stream, py::handle max_version, py::handle device,
                      py::handle do_copy) {
  if (!stream.is_none())
    throw py::buffer_error("__dlpack__: stream must be None for an array in main memory");
  if (!device.is_none() && device.cast<std::pair<int, int>>().first != dlpack::kCPU)
    throw py::buffer_error("__dlpack__: the array is in main memory and can only be exported there");
  const Array a = !do_copy.is_none() && do_copy.cast<bool>() ? copy(x) : x;
  const bool versioned = !max_version.is_none() && max_version.cast<std::pair<int, int>>().first >= 1;
  return versioned ? export_capsule<dlpack::ManagedVersioned>(a, "dltensor_versioned")
                   : export_capsule<dlpack::Managed>(a, "dltensor");
}

// DLPack in
// --------------------------------------------------------------------------------------------------------------
DType dtype_of_dlpack(const dlpack::DataType& t) {
  for (int i = 0; i < kNumDTypes - 1; ++i) {
    const auto candidate = static_cast<DType>(i);
    const dlpack::DataType d = dlpack_dtype(candidate);
    if (d.code == t.code && d.bits == t.bits && t.lanes == 1) return candidate;
  }
  throw TypeError(concat("from_dlpack: the type (code ", int{t.code}, ", ", int{t.bits}, " bits, ", t.lanes,
                         " lanes) has no counterpart in Hesse"));
}

template <class M>
Array import_tensor(M* managed) {
  const dlpack::Tensor& t = managed->tensor;
  require(t.device.type == dlpack::kCPU || t.device.type == dlpack::kCUDAHost,
          "from_dlpack: the array is on a device of type ", t.device.type, "; move it to main memory first");
  const DType dtype = dtype_of_dlpack(t.dtype);
  const int64_t item = itemsize(dtype);
  char* data = static_cast<char*>(t.data) + t.byte_offset;
  require(reinterpret_cast<uintptr_t>(data) % static_cast<uintptr_t>(std::min<int64_t>(item, 8)) == 0,
          "from_dlpack: the memory is not aligned; copy it first");
  Shape shape;
  for (int32_t i = 0; i < t.ndim; ++i) shape.push_back(t.shape[i]);
  Strides strides = contiguous_strides(shape);
  int64_t first = 0, last = 0;
  for (int32_t i = 0; i < t.ndim; ++i) {
    const auto axis = static_cast<size_t>(i);
    if (t.strides) strides[axis] = t.strides[i];
    if (shape[axis] > 0) (strides[axis] < 0 ? first : last) += strides[axis] * (shape[axis] - 1);
  }
  const auto release = [managed] {
    if (!managed->deleter) return;
    if (!Py_IsInitialized()) return;
    const py::gil_scoped_acquire gil;  // the owner may be a Python object
    managed->deleter(managed);
  };
  if (num_elements(shape) == 0) {
    release();
    return zeros(shape, dtype);
  }
  Ref<Buffer> buffer =
      Buffer::wrap(data + first * item, static_cast<size_t>((last - first + 1) * item), release);
  return Array(shape, strides, -first, dtype, std::move(buffer));
}

template <class M>
std::optional<Array> try_capsule(PyObject* capsule, const char* fresh, const char* used) {
  if (!PyCapsule_IsValid(capsule, fresh)) return std::nullopt;
  auto* managed = static_cast<M*>(PyCapsule_GetPointer(capsule, fresh));
  if constexpr (std::is_same_v<M, dlpack::ManagedVersioned>)
    if (managed->version.major != 1)
      throw py::buffer_error("from_dlpack: the exporter speaks a version of DLPack other than 1");
  Array a = import_tensor(managed);
  PyCapsule_SetName(capsule, used);
  return a;
}

Array from_dlpack(py::handle x, py::handle device, py::handle do_copy) {
  require(device.is_none() || std::string(py::str(device)) == "cpu",
          "from_dlpack: unknown device; there is 'cpu'");
  if (is_array(x.ptr()))
    return !do_copy.is_none() && do_copy.cast<bool>() ? copy(array_of(x.ptr())) : array_of(x.ptr());
  require<TypeError>(py::hasattr(x, "__dlpack__"), "from_dlpack: expected an object with __dlpack__, got ",
                     Py_TYPE(x.ptr())->tp_name);
  if (py::hasattr(x, "__dlpack_device__")) {
    const auto where = x.attr("__dlpack_device__")().cast<std::pair<int, int>>();
    require(where.first == dlpack::kCPU || where.first == dlpack::kCUDAHost,
            "from_dlpack: the array is on a device of type ", where.first, "; move it to main memory first");
  }
  py::object capsule;
  try {
    capsule = x.attr("__dlpack__")("max_version"_a = py::make_tuple(1, 0));
  } catch (py::error_already_set& e) {
    if (!e.matches(PyExc_TypeError)) throw;
    capsule = x.attr("__dlpack__")();  // an exporter from before version 1.0
  }
  auto a =
      try_capsule<dlpack::ManagedVersioned>(capsule.ptr(), "dltensor_versioned", "used_dltensor_versioned");
  if (!a) a = try_capsule<dlpack::Managed>(capsule.ptr(), "dltensor", "used_dltensor");
  require<TypeError>(a.has_value(), "from_dlpack: __dlpack__ did not return an unused DLPack capsule");
  return !do_copy.is_none() && do_copy.cast<bool>() ? copy(*a) : *a;
}

// NumPy and pickle
// ----------------------------------------------------------------------------------------------------------
py::object array_protocol(const Array& x, py::handle dtype, py::handle do_copy) {
  const py::object a = naming("np.asarray", [&] { return to_numpy(x); });
  const bool must_copy = !do_copy.is_none() && do_copy.cast<bool>();
  const bool must_not = !do_copy.is_none() && !must_copy;
  if (dtype.is_none()) return must_copy ? py::object(a.attr("copy")()) : a;
  const py::object same = a.attr("dtype").attr("__eq__")(dtype);
  if (must_not && !same.cast<bool>())
    throw ValueError("np.asarray: a copy cannot be avoided where the dtype changes; leave copy=None");
  return a.attr("astype")(dtype, "copy"_a = must_copy);
}

Array asarray(py::handle object, std::optional<DType> dtype, py::handle device, py::handle do_copy) {
  require(device.is_none() || std::string(py::str(device)) == "cpu",
          "asarray: unknown device; there is 'cpu'");
  const bool must_copy = !do_copy.is_none() && do_copy.cast<bool>();
  const bool must_not = !do_copy.is_none() && !must_copy;
  if (is_array(object.ptr()) && !must_copy) {
    const Array& a = array_of(object.ptr());
    const bool same = !dtype || *dtype == a.dtype();
    require(same || !must_not, "asarray: a copy cannot be avoided where the dtype changes; leave copy=None");
    if (same && !a.is_weak()) return a;
  }
  if (must_not) {
    Array a;
    const void* memory = nullptr;  // null: shared by construction
    if (py::isinstance<py::array>(object)) {
      a = from_numpy(object, true);
      memory = py::reinterpret_borrow<py::array>(object).data();
    } else if (py::hasattr(object, "__dlpack__")) {
      a = from_dlpack(object, py::none(), py::none());
    } else if (PyObject_CheckBuffer(object.ptr())) {
      a = *from_buffer(object, true);
      memory = py::array::ensure(py::memoryview(py::reinterpret_borrow<py::object>(object))).data();
    } else {
      throw ValueError(
          concat("asarray: copy=False needs a NumPy array, an object with __dlpack__ or a buffer, got ",
                 Py_TYPE(object.ptr())->tp_name, "; leave copy=None"));
    }
    require(a.size() == 0 || !memory || a.view().data == memory,
            "asarray: the memory cannot be shared (byte order, alignment or strides); leave copy=None");
    require(!dtype || *dtype == a.dtype(),
            "asarray: a copy cannot be avoided where the dtype changes; leave copy=None");
    return a;
  }
  if (py::hasattr(object, "__dlpack__") && !py::hasattr(object, "__array__")) {
    const Array a = copy(from_dlpack(object, py::none(), py::none()));
    return dtype ? astype(a, *dtype) : a;
  }
  return make_array(object, dtype);
}

}  // namespace

void init_exchange(py::module_& m) {
  define_method(
      "__array__",
      [](const Array& x, py::handle dtype, py::handle copy) { return array_protocol(x, dtype, copy); },
      "dtype"_a = py::none(), "copy"_a = py::none());
  define_method(
      "__dlpack__",
      [](const Array& x, py::handle stream, py::handle max_version, py::handle dl_device, py::handle copy) {
        return to_dlpack(x, stream, max_version, dl_device, copy);
      },
      py::kw_only(), "stream"_a = py::none(), "max_version"_a = py::none(), "dl_device"_a = py::none(),
      "copy"_a = py::none());
  define_method("__dlpack_device__", [](const Array&) { return py::make_tuple(int{dlpack::kCPU}, 0); });
  define_method("__reduce__", [](const Array& x) {
    const py::object module = py::module_::import("hesse._hesse");
    return py::make_tuple(module.attr("_unpickle"),
                          py::make_tuple(to_numpy(x).attr("copy")(), std::string(name(x.dtype()))));
  });
  m.def("_unpickle", [](py::handle data, const std::string& dtype) {
    const Array a = from_numpy(data, false);
    if (dtype != "key") return a;
    const View words = a.view();
    Shape shape = a.shape();
    shape.pop_back();
    const Array keys = Array::uninitialized(shape, kKey);
    for (int64_t i = 0; i < num_elements(shape); ++i)
      keys.view().as<Key>()[i] = {words.as<uint32_t>()[2 * i], words.as<uint32_t>()[2 * i + 1]};
    return keys;
  });
  m.def("from_dlpack", &from_dlpack, "x"_a, py::pos_only(), py::kw_only(), "device"_a = py::none(),
        "copy"_a = py::none(), text(docs::kFromDlpack));
  m.def("asarray", &asarray, "obj"_a, py::pos_only(), py::kw_only(), "dtype"_a = py::none(),
        "device"_a = py::none(), "copy"_a = py::none(), text(docs::kAsarray));
  m.def(
      "array",
      [](py::handle object, std::optional<DType> dtype, py::handle device) {
        return asarray(object, dtype, device, py::bool_(true));
      },
      "obj"_a, py::pos_only(), "dtype"_a = py::none(), py::kw_only(), "device"_a = py::none(),
      text(docs::kArray));
}

}  // namespace hesse::python
