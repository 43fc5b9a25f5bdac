#include <filesystem>

#include "bindings/bindings.h"
#include "bindings/convert.h"
#include "core/io/atomic_file.h"
#include "core/io/safetensors.h"

namespace hesse::python {

using namespace py::literals;

std::filesystem::path path_of(py::handle object) {
  PyObject* bytes = nullptr;
  if (!PyUnicode_FSConverter(object.ptr(), &bytes)) throw py::error_already_set();
  return std::string(py::reinterpret_steal<py::bytes>(bytes));
}

void init_io(py::module_& m) {
  py::module_ io = m.def_submodule("io");
  io.def("save_safetensors", [](py::handle path, std::vector<std::pair<std::string, Array>> tensors,
                                std::map<std::string, std::string> metadata) {
    const std::filesystem::path p = path_of(path);
    const io::Safetensors contents{std::move(tensors), std::move(metadata)};
    const py::gil_scoped_release release;
    io::save_safetensors(p, contents);
  });
  io.def("load_safetensors", [](py::handle path) {
    const std::filesystem::path p = path_of(path);
    io::Safetensors contents = [&] {
      const py::gil_scoped_release release;
      return io::load_safetensors(p);
    }();
    return std::pair(std::move(contents.tensors), std::move(contents.metadata));
  });
  io.def(
      "write_file",
      [](py::handle path, const py::bytes& contents) {
        const auto text = static_cast<std::string_view>(contents);
        io::AtomicFile file(path_of(path));
        file.write({reinterpret_cast<const std::byte*>(text.data()), text.size()});
        file.commit();
      },
      "path"_a, "contents"_a, "Writes a file whole or not at all.");
}

}  // namespace hesse::python
