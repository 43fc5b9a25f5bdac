#include "bindings/bindings.h"
#include "bindings/convert.h"
#include "bindings/docs_fft.h"

namespace hesse::python {

using namespace py::literals;

void init_fft(py::module_& m) {
  py::module_ f = m.def_submodule("fft");
  using N = std::optional<int64_t>;
  using S = std::optional<Shape>;
  const auto one = [&](const char* name, auto function, const char* doc) {
    define_heavy(f, name, function, "x"_a, py::pos_only(), py::kw_only(), "n"_a = py::none(), "axis"_a = -1,
                 "norm"_a = "backward", doc);
  };
  using Str = std::string;
  one(
      "fft", [](const Array& x, N n, int64_t axis, const Str& norm) { return fft(x, n, axis, norm); },
      text(docs::kFft));
  one(
      "ifft", [](const Array& x, N n, int64_t axis, const Str& norm) { return ifft(x, n, axis, norm); },
      text(docs::kIfft));
  one(
      "rfft", [](const Array& x, N n, int64_t axis, const Str& norm) { return rfft(x, n, axis, norm); },
      text(docs::kRfft));
  one(
      "irfft", [](const Array& x, N n, int64_t axis, const Str& norm) { return irfft(x, n, axis, norm); },
      text(docs::kIrfft));
  const auto many = [&](const char* name, auto function, const char* doc) {
    define_heavy(f, name, function, "x"_a, py::pos_only(), py::kw_only(), "s"_a = py::none(),
                 "axes"_a = py::none(), "norm"_a = "backward", doc);
  };
  many(
      "fftn",
      [](const Array& x, const S& s, const OptAxes& axes, const Str& norm) { return fftn(x, s, axes, norm); },
      text(docs::kFftn));
  many(
      "ifftn",
      [](const Array& x, const S& s, const OptAxes& axes, const Str& norm) {
        return ifftn(x, s, axes, norm);
      },
      text(docs::kIfftn));
  many(
      "rfftn",
      [](const Array& x, const S& s, const OptAxes& axes, const Str& norm) {
        return rfftn(x, s, axes, norm);
      },
      text(docs::kRfftn));
  many(
      "irfftn",
      [](const Array& x, const S& s, const OptAxes& axes, const Str& norm) {
        return irfftn(x, s, axes, norm);
      },
      text(docs::kIrfftn));
  const auto frequencies = [&](const char* name, auto function, const char* doc) {
    define(
        f, name,
        [function](int64_t n, double d, OptDType t, Device) {
          const Array out = function(n, d);
          return t ? astype(out, *t) : out;
        },
        "n"_a, py::pos_only(), py::kw_only(), "d"_a = 1.0, "dtype"_a = py::none(), "device"_a = py::none(),
        doc);
  };
  frequencies(
      "fftfreq", [](int64_t n, double d) { return fftfreq(n, d); }, text(docs::kFftfreq));
  frequencies(
      "rfftfreq", [](int64_t n, double d) { return rfftfreq(n, d); }, text(docs::kRfftfreq));
}

}  // namespace hesse::python
