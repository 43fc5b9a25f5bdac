#include "bindings/bindings.h"
#include "bindings/convert.h"
#include "bindings/docs_conv.h"

/// Convolution and pooling.
namespace hesse::python {

using namespace py::literals;

namespace {

using Padding = std::vector<std::pair<int64_t, int64_t>>;

/// One number stands for all spatial axes.
Dims per_axis(const Dims& d, size_t spatial) {
  return d.size() == 1 && spatial > 1 ? Dims(spatial, d[0]) : d;
}

Padding padding_per_axis(py::handle padding, size_t spatial, const char* function) {
  const Where where{function, "padding"};
  const char* expected = "an integer, or an integer or pair (before, after) for each spatial axis";
  if (padding.is_none()) return {};
  if (PyIndex_Check(padding.ptr())) {
    const auto n = convert<int64_t>(padding, where);
    return Padding(spatial, {n, n});
  }
  if (!PySequence_Check(padding.ptr()) || PyUnicode_Check(padding.ptr())) refuse(padding, where, expected);
  Padding out;
  for (const py::object item : py::reinterpret_borrow<py::sequence>(padding)) {
    const auto ends = convert<Dims>(item, where);
    if (ends.size() != 1 && ends.size() != 2) refuse(padding, where, expected);
    out.emplace_back(ends.front(), ends.back());
  }
  return out;
}

size_t spatial_axes(const Array& x) { return x.ndim() > 2 ? x.ndim() - 2 : 0; }

using RawDims = Raw<Dims>;
using RawInt = Raw<int64_t>;

ConvOptions options(const char* function, const Array& x, const RawDims& stride, py::handle padding,
                    const RawDims& dilation, const RawInt& groups) {
  const size_t n = spatial_axes(x);
  return {per_axis(convert<Dims>(stride.object, {function, "stride"}), n),
          per_axis(convert<Dims>(dilation.object, {function, "dilation"}), n),
          padding_per_axis(padding, n, function), convert<int64_t>(groups.object, {function, "groups"})};
}

}  // namespace

void init_conv(py::module_& m) {
  const auto stride = "stride"_a = py::tuple();
  const auto padding = "padding"_a = py::none();
  const auto dilation = "dilation"_a = py::tuple();
  const auto groups = "groups"_a = 1;
  m.def(
      "conv",
      [](In x, In w, const RawDims& s, py::handle p, const RawDims& d, const RawInt& g) {
        const Operand a(x.object.ptr(), "conv"), b(w.object.ptr(), "conv");
        const ConvOptions o = options("conv", *a, s, p, d, g);
        const Unlocked unlocked(16 * (a.size() + b.size()));
        return conv(*a, *b, o);
      },
      "x"_a, "w"_a, py::pos_only(), py::kw_only(), stride, padding, dilation, groups, text(docs::kConv));
  m.def(
      "conv_transpose",
      [](In y, In w, const RawDims& s, py::handle p, const RawDims& d, const RawInt& g,
         const RawDims& output_padding) {
        const Operand a(y.object.ptr(), "conv_transpose"), b(w.object.ptr(), "conv_transpose");
        const ConvOptions o = options("conv_transpose", *a, s, p, d, g);
        const Dims extra = per_axis(
            convert<Dims>(output_padding.object, {"conv_transpose", "output_padding"}), spatial_axes(*a));
        const Unlocked unlocked(16 * (a.size() + b.size()));
        return conv_transpose(*a, *b, o, extra);
      },
      "y"_a, "w"_a, py::pos_only(), py::kw_only(), stride, padding, dilation, groups,
      "output_padding"_a = py::tuple(), text(docs::kConvTranspose));
  const auto pool = [&](const char* name, auto f, const char* doc) {
    m.def(
        name,
        [name, f](In x, const RawDims& window, const RawDims& s, py::handle p) {
          const Operand a(x.object.ptr(), name);
          const size_t n = spatial_axes(*a);
          const Padding widths = padding_per_axis(p, n, name);
          const Dims size = per_axis(convert<Dims>(window.object, {name, "window"}), n);
          const Dims step = per_axis(convert<Dims>(s.object, {name, "stride"}), n);
          const Unlocked unlocked(16 * a.size());
          return f(*a, size, step, widths);
        },
        "x"_a, "window"_a, py::pos_only(), py::kw_only(), stride, padding, doc);
  };
  pool(
      "max_pool",
      [](const Array& x, const Dims& w, const Dims& s, const Padding& p) { return max_pool(x, w, s, p); },
      text(docs::kMaxPool));
  pool(
      "avg_pool",
      [](const Array& x, const Dims& w, const Dims& s, const Padding& p) { return avg_pool(x, w, s, p); },
      text(docs::kAvgPool));
}

}  // namespace hesse::python
