#include "bindings/errors.h"

#include <cstring>

#include "bindings/docs_errors.h"
#include "core/allocator.h"
#include "core/error.h"

namespace py = pybind11;

namespace hesse::python {
namespace {

PyObject *error, *argument_error, *dtype_error, *index_error, *numerical_error, *trace_error,
    *file_missing_error, *file_error, *format_error;

PyObject* define(py::module_& m, const char* name, const char* doc, std::initializer_list<PyObject*> bases) {
  py::tuple tuple(bases.size());
  size_t i = 0;
  for (PyObject* base : bases) tuple[i++] = py::reinterpret_borrow<py::object>(base);
  const std::string qualified = std::string("hesse.") + name;
  PyObject* type = PyErr_NewExceptionWithDoc(qualified.c_str(), doc, tuple.ptr(), nullptr);
  if (!type) throw py::error_already_set();
  m.attr(name) = py::handle(type);
  return type;
}

// A message may quote bytes of a file or of a path, which need not be UTF-8.
void set_error(PyObject* type, const char* message) noexcept {
  PyObject* text =
      PyUnicode_DecodeUTF8(message, static_cast<Py_ssize_t>(std::strlen(message)), "backslashreplace");
  if (!text) return;
  PyErr_SetObject(type, text);
  Py_DECREF(text);
}

}  // namespace

void set_python_error() noexcept {
  try {
    throw;
  } catch (py::error_already_set& e) {
    e.restore();
  } catch (const FormatError& e) {
    set_error(format_error, e.what());
  } catch (const ValueError& e) {
    set_error(argument_error, e.what());
  } catch (const TypeError& e) {
    set_error(dtype_error, e.what());
  } catch (const IndexError& e) {
    set_error(index_error, e.what());
  } catch (const NumericalError& e) {
    set_error(numerical_error, e.what());
  } catch (const TraceError& e) {
    set_error(trace_error, e.what());
  } catch (const FileNotFound& e) {
    set_error(file_missing_error, e.what());
  } catch (const FileError& e) {
    set_error(file_error, e.what());
  } catch (const Interrupted&) {
    PyErr_SetNone(PyExc_KeyboardInterrupt);
  } catch (const Error& e) {
    set_error(error, e.what());
  } catch (const py::builtin_exception& e) {
    e.set_error();
  } catch (const OutOfMemory& e) {
    PyErr_SetString(PyExc_MemoryError, e.what());
  } catch (const std::bad_alloc&) {
    PyErr_SetString(PyExc_MemoryError, "hesse: not enough memory for the result");
  } catch (const std::exception& e) {
    set_error(PyExc_RuntimeError, e.what());
  } catch (...) {
    PyErr_SetString(PyExc_RuntimeError, "hesse: unknown C++ exception");
  }
}

void init_errors(py::module_& m) {
  error = define(m, "Error", text(docs::kError), {PyExc_Exception});
  argument_error = define(m, "ArgumentError", text(docs::kArgumentError), {error, PyExc_ValueError});
  dtype_error = define(m, "ArgumentTypeError", text(docs::kArgumentTypeError), {error, PyExc_TypeError});
  index_error = define(m, "OutOfRangeError", text(docs::kOutOfRangeError), {error, PyExc_IndexError});
  numerical_error =
      define(m, "NumericalError", text(docs::kNumericalError), {error, PyExc_FloatingPointError});
  trace_error = define(m, "TraceError", text(docs::kTraceError), {error, PyExc_TypeError});
  file_missing_error =
      define(m, "FileMissingError", text(docs::kFileMissingError), {error, PyExc_FileNotFoundError});
  file_error = define(m, "FileError", text(docs::kFileError), {error, PyExc_OSError});
  format_error = define(m, "FormatError", text(docs::kFormatError), {argument_error});
  py::register_local_exception_translator([](std::exception_ptr p) {
    try {
      std::rethrow_exception(p);
    } catch (const py::cast_error&) {
      PyErr_SetString(dtype_error, "an argument is of a type that the function does not take; see help()");
    } catch (const Error&) {
      set_python_error();
    } catch (const std::bad_alloc&) {
      set_python_error();
    }
  });
}

}  // namespace hesse::python
