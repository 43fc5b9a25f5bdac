#include "core/source.h"

#include <optional>

#include "bindings/bindings.h"

namespace hesse::python {
namespace {

// Whether a frame runs code of this package, which is not what the user wrote.
bool is_ours(PyFrameObject* frame) {
  PyObject* globals = PyObject_GetAttrString(reinterpret_cast<PyObject*>(frame), "f_globals");
  if (!globals) return PyErr_Clear(), false;
  PyObject* name = PyDict_Check(globals) ? PyDict_GetItemString(globals, "__name__") : nullptr;  // borrowed
  const char* text = name && PyUnicode_Check(name) ? PyUnicode_AsUTF8(name) : nullptr;
  if (!text) PyErr_Clear();
  const std::string_view module = text ? text : "";
  const bool ours =
      (module == "hesse" || module.substr(0, 6) == "hesse.") && module.substr(0, 10) != "hesse.demo";
  Py_DECREF(globals);
  return ours;
}

// The innermost line of Python outside this package. Never raises, and keeps an exception that is set.
SourceLine python_line() {
  if (!Py_IsInitialized()) return 0;
  std::optional<py::gil_scoped_acquire> locked;  // operations on large arrays let the lock go
  if (!PyGILState_Check()) locked.emplace();
  SourceLine line = 0;
  PyFrameObject* frame = PyEval_GetFrame();
  Py_XINCREF(reinterpret_cast<PyObject*>(frame));
  while (frame && is_ours(frame)) {
    PyFrameObject* back = PyFrame_GetBack(frame);
    Py_DECREF(reinterpret_cast<PyObject*>(frame));
    frame = back;
  }
  if (frame) {
    PyCodeObject* code = PyFrame_GetCode(frame);
    if (const char* file = PyUnicode_AsUTF8(code->co_filename))
      line = intern_source(file, PyFrame_GetLineNumber(frame));
    else
      PyErr_Clear();
    Py_DECREF(reinterpret_cast<PyObject*>(code));
  }
  Py_XDECREF(reinterpret_cast<PyObject*>(frame));
  return line;
}

}  // namespace

void init_source(py::module_&) { set_source_hook(&python_line); }

}  // namespace hesse::python
