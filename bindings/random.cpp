#include "bindings/bindings.h"
#include "bindings/convert.h"
#include "bindings/docs_random.h"

namespace hesse::python {

using namespace py::literals;

void init_random(py::module_& m) {
  py::module_ r = m.def_submodule("random");
  const auto shape = "shape"_a = py::tuple();
  const auto dtype = "dtype"_a = py::none();
  r.def(
      "key",
      [](const Raw<int64_t>& seed) {  // any integer: its lowest 64 bits
        PyObject* o = seed.object.ptr();
        if (PyBool_Check(o) || !PyIndex_Check(o)) refuse(o, {"key", "seed"}, "an integer");
        const auto integer = py::reinterpret_steal<py::object>(PyNumber_Index(o));
        if (!integer) throw py::error_already_set();
        return random::key(static_cast<uint64_t>(PyLong_AsUnsignedLongLongMask(integer.ptr())));
      },
      "seed"_a, py::pos_only(), text(docs::kKey));
  define(
      r, "split", [](const Array& key, int64_t num) { return random::split(key, num); }, "key"_a,
      py::pos_only(), "num"_a = 2, text(docs::kSplit));
  define(
      r, "fold_in", [](const Array& key, const Array& data) { return random::fold_in(key, data); }, "key"_a,
      "data"_a, py::pos_only(), text(docs::kFoldIn));
  define(
      r, "bits",
      [](const Array& key, const Shape& s, OptDType t) { return random::bits(key, s, t.value_or(kUInt32)); },
      "key"_a, py::pos_only(), shape, py::kw_only(), dtype, text(docs::kBits));
  define(
      r, "uniform",
      [](const Array& key, const Shape& s, const Array& lo, const Array& hi, OptDType t) {
        return random::uniform(key, s, lo, hi, t);
      },
      "key"_a, py::pos_only(), shape, "lo"_a = 0.0, "hi"_a = 1.0, py::kw_only(), dtype, text(docs::kUniform));
  define(
      r, "normal", [](const Array& key, const Shape& s, OptDType t) { return random::normal(key, s, t); },
      "key"_a, py::pos_only(), shape, py::kw_only(), dtype, text(docs::kNormal));
  define(
      r, "gumbel", [](const Array& key, const Shape& s, OptDType t) { return random::gumbel(key, s, t); },
      "key"_a, py::pos_only(), shape, py::kw_only(), dtype, text(docs::kGumbel));
  define(
      r, "integers",
      [](const Array& key, int64_t lo, int64_t hi, const Shape& s, OptDType t) {
        return random::integers(key, lo, hi, s, t.value_or(kInt64));
      },
      "key"_a, "lo"_a, "hi"_a, py::pos_only(), shape, py::kw_only(), dtype, text(docs::kIntegers));
  define(
      r, "_permutation", [](const Array& key, int64_t n) { return random::permutation(key, n); }, "key"_a,
      "n"_a, py::pos_only());
  define(
      r, "_choice",
      [](const Array& key, int64_t n, const Shape& s, bool replace, const std::optional<Array>& p) {
        return random::choice(key, n, s, replace, p);
      },
      "key"_a, "n"_a, "shape"_a, "replace"_a, "p"_a, py::pos_only());
  define(
      r, "categorical",
      [](const Array& key, const Array& logits, const std::optional<Shape>& s) {
        return random::categorical(key, logits, s);
      },
      "key"_a, "logits"_a, py::pos_only(), "shape"_a = py::none(), text(docs::kCategorical));
}

}  // namespace hesse::python
