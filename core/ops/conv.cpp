#include "core/ops/conv.h"
#include "core/op_table.h"

#include "core/ops.h"
#include "core/ops/conv_kernel.h"
#include "core/ops/elementwise.h"

namespace hesse {
namespace {

Dims spatial_of(const Shape& s) { return Dims(std::span<const int64_t>(s.begin() + 2, s.end())); }

Shape with_spatial(int64_t first, int64_t second, const Dims& spatial) {
  Shape out{first, second};
  for (const int64_t n : spatial) out.push_back(n);
  return out;
}

void check_operands(std::string_view function, const Aval& x, const Aval& y) {
  require<TypeError>(x.dtype == y.dtype && x.dtype != kBool && x.dtype != kKey, function,
                     ": operands must be numeric and of one dtype, got ", x.dtype, " and ", y.dtype);
}

}  // namespace

Params ConvGeometry::params() const {
  return {
      {"stride", stride}, {"dilation", dilation}, {"before", before}, {"after", after}, {"groups", groups}};
}

int64_t ConvGeometry::out_length(size_t d, int64_t length, int64_t kernel) const {
  const int64_t room = length + before[d] + after[d] - dilation[d] * (kernel - 1) - 1;
  return room < 0 ? 0 : room / stride[d] + 1;
}

Avals Conv::infer(std::span<const Aval> x) const {
  check_operands("conv", x[0], x[1]);
  const Shape &xs = x[0].shape, &ws = x[1].shape;
  require(xs[1] == ws[1] * g_.groups && ws[0] % g_.groups == 0, "conv: x of shape ", xs, " and w of shape ",
          ws, " do not fit groups=", g_.groups,
          "; expected x [N, C, ...] and w [O, C/groups, ...], O a multiple of groups");
  Dims out;
  for (size_t d = 0; d + 2 < xs.size(); ++d) {
    require(ws[2 + d] > 0, "conv: w of shape ", ws, " has an empty kernel");
    out.push_back(g_.out_length(d, xs[2 + d], ws[2 + d]));
    require(out.back() > 0, "conv: the kernel of w of shape ", ws, " does not fit into x of shape ", xs,
            " along spatial axis ", d, "; add padding");
  }
  return {{with_spatial(xs[0], ws[0], out), x[0].dtype}};
}

void Conv::kernel(std::span<const View> x, std::span<const View> out, int) const {
  conv_kernel::forward(conv_kernel::make_plan(g_, x[0].shape, x[1].shape), x[0], x[1], out[0]);
}

// Of the three, each is the transpose of the others: <y, Conv(x, w)> = <ConvToInput(y, w), x> =
// <ConvToWeight(x, y), w>.
MaybeArray Conv::transpose(std::span<const Array> x, const Array& ct, int i) const {
  return i == 0 ? apply1(make_op<ConvToInput>(g_, spatial_of(x[0].shape())), {ct, x[1]})
                : apply1(make_op<ConvToWeight>(g_, spatial_of(x[1].shape())), {x[0], ct});
}

Params ConvToInput::params() const {
  Params p = g_.params();
  p.emplace_back("spatial", spatial_);
  return p;
}

Avals ConvToInput::infer(std::span<const Aval> x) const {
  check_operands("conv_transpose", x[0], x[1]);
  const Shape &ys = x[0].shape, &ws = x[1].shape;
  require(ys[1] == ws[0] && ws[0] % g_.groups == 0, "conv_transpose: y of shape ", ys, " and w of shape ", ws,
          " do not fit groups=", g_.groups,
          "; expected y [N, O, ...] and w [O, C/groups, ...], O a multiple of groups");
  for (size_t d = 0; d + 2 < ys.size(); ++d) {
    require(ws[2 + d] > 0, "conv_transpose: w of shape ", ws, " has an empty kernel");
    require(spatial_[d] > 0 && g_.out_length(d, spatial_[d], ws[2 + d]) == ys[2 + d],
            "conv_transpose: y of shape ", ys, " and w of shape ", ws, " do not come from length ",
            spatial_[d], " along spatial axis ", d,
            "; padding must be smaller than the result, output_padding than the stride");
  }
  return {{with_spatial(ys[0], ws[1] * g_.groups, spatial_), x[0].dtype}};
}

void ConvToInput::kernel(std::span<const View> x, std::span<const View> out, int) const {
  conv_kernel::to_input(conv_kernel::make_plan(g_, out[0].shape, x[1].shape), x[0], x[1], out[0]);
}

MaybeArray ConvToInput::transpose(std::span<const Array> x, const Array& ct, int i) const {
  return i == 0 ? apply1(make_op<Conv>(g_), {ct, x[1]})
                : apply1(make_op<ConvToWeight>(g_, spatial_of(x[1].shape())), {ct, x[0]});
}

Params ConvToWeight::params() const {
  Params p = g_.params();
  p.emplace_back("kernel", kernel_);
  return p;
}

Avals ConvToWeight::infer(std::span<const Aval> x) const {
  check_operands(name(), x[0], x[1]);
  return {{with_spatial(x[1].shape[1], x[0].shape[1] / g_.groups, kernel_), x[0].dtype}};
}

void ConvToWeight::kernel(std::span<const View> x, std::span<const View> out, int) const {
  conv_kernel::to_weight(conv_kernel::make_plan(g_, x[0].shape, out[0].shape), x[0], x[1], out[0]);
}

MaybeArray ConvToWeight::transpose(std::span<const Array> x, const Array& ct, int i) const {
  return i == 0 ? apply1(make_op<ConvToInput>(g_, spatial_of(x[0].shape())), {x[1], ct})
                : apply1(make_op<Conv>(g_), {x[0], ct});
}

Params PoolIndex::params() const {
  Params p = g_.params();
  p.emplace_back("window", window_);
  return p;
}

Avals PoolIndex::infer(std::span<const Aval> x) const {
  const Shape& xs = x[0].shape;
  require<TypeError>(!is_complex(x[0].dtype) && x[0].dtype != kKey, "max_pool: x must be real, got ",
                     x[0].dtype);
  Dims out;
  for (size_t d = 0; d < window_.size(); ++d) out.push_back(g_.out_length(d, xs[2 + d], window_[d]));
  return {{with_spatial(xs[0], xs[1], out), kInt64}};
}

void PoolIndex::kernel(std::span<const View> x, std::span<const View> out, int) const {
  const Shape one_channel = with_spatial(1, 1, window_);
  conv_kernel::pool_index(conv_kernel::make_plan(g_, x[0].shape, one_channel), x[0], out[0]);
}

namespace {

using Padding = std::vector<std::pair<int64_t, int64_t>>;

/// One positive number per spatial axis; `given` empty means `otherwise`.
Dims per_axis(std::string_view function, std::string_view what, const Dims& given, const Dims& otherwise) {
  if (given.empty()) return otherwise;
  require(given.size() == otherwise.size(), function, ": ", what, "=", given,
          " must have one entry for each of the ", otherwise.size(), " spatial axes");
  for (const int64_t n : given) require(n > 0, function, ": ", what, "=", given, " must be positive");
  return given;
}

ConvGeometry geometry(std::string_view function, size_t spatial, const Dims& stride, const Dims& dilation,
                      const Padding& padding, int64_t groups) {
  require(spatial >= 1 && spatial <= 3, function,
          ": operands must be [N, C, spatial...] with 1 to 3 spatial axes, got ",
          static_cast<int64_t>(spatial));
  const Dims ones(spatial, 1);
  ConvGeometry g{per_axis(function, "stride", stride, ones), per_axis(function, "dilation", dilation, ones),
                 Dims(spatial, 0), Dims(spatial, 0), groups};
  require(groups > 0, function, ": groups=", groups, " must be positive");
  require(padding.empty() || padding.size() == spatial, function, ": padding has ", padding.size(),
          " pairs; give one (before, after) for each of the ", spatial, " spatial axes");
  for (size_t d = 0; d < padding.size(); ++d) {
    g.before[d] = padding[d].first;
    g.after[d] = padding[d].second;
    require(g.before[d] >= 0 && g.after[d] >= 0, function, ": padding (", g.before[d], ", ", g.after[d],
            ") must not be negative");
  }
  return g;
}

/// Operands of one numeric dtype and one number of axes.
Arrays matched(std::string_view function, const Array& x, const Array& w) {
  require(x.ndim() == w.ndim() && x.ndim() >= 3, function,
          ": operands must have one number of axes, 3 to 5, got shapes ", x.shape(), " and ", w.shape());
  const DType dtype = common_dtype(function, Arrays{x, w});
  return {converted(x, dtype), converted(w, dtype)};
}

/// The geometry of pooling windows over x.
ConvGeometry windows(std::string_view function, const Array& x, const Dims& window, const Dims& stride,
                     const Padding& padding) {
  const size_t spatial = x.ndim() < 2 ? 0 : x.ndim() - 2;
  require(window.size() == spatial, function, ": window=", window,
          " must have one entry for each spatial axis of x [N, "
          "C, spatial...] of shape ",
          x.shape());
  for (const int64_t n : window) require(n > 0, function, ": window=", window, " must be positive");
  const ConvGeometry g = geometry(function, spatial, stride.empty() ? window : stride, {}, padding, 1);
  for (size_t d = 0; d < spatial; ++d) {
    require(g.before[d] < window[d] && g.after[d] < window[d], function, ": padding (", g.before[d], ", ",
            g.after[d], ") must be smaller than window=", window, ", or a window would see nothing else");
    require(x.shape()[2 + d] > 0 && g.out_length(d, x.shape()[2 + d], window[d]) > 0, function,
            ": window=", window, " does not fit into x of shape ", x.shape(), "; add padding");
  }
  return g;
}

}  // namespace

Array conv(const Array& x, const Array& w, const ConvOptions& options) {
  const Arrays v = matched("conv", x, w);
  return apply1(make_op<Conv>(geometry("conv", x.ndim() - 2, options.stride, options.dilation,
                                       options.padding, options.groups)),
                v);
}

Array conv_transpose(const Array& y, const Array& w, const ConvOptions& options, const Dims& output_padding) {
  const Arrays v = matched("conv_transpose", y, w);
  const size_t n = y.ndim() - 2;
  const ConvGeometry g =
      geometry("conv_transpose", n, options.stride, options.dilation, options.padding, options.groups);
  require(output_padding.empty() || output_padding.size() == n,
          "conv_transpose: output_padding=", output_padding, " must have one entry for each of the ", n,
          " spatial axes");
  Dims spatial;
  for (size_t d = 0; d < n; ++d)
    spatial.push_back((y.shape()[2 + d] - 1) * g.stride[d] + g.dilation[d] * (w.shape()[2 + d] - 1) + 1 -
                      g.before[d] - g.after[d] + (output_padding.empty() ? 0 : output_padding[d]));
  return apply1(make_op<ConvToInput>(g, spatial), v);
}

Array max_pool(const Array& x, const Dims& window, const Dims& stride, const Padding& padding) {
  const ConvGeometry g = windows("max_pool", x, window, stride, padding);
  const Array index = apply1(make_op<PoolIndex>(g, window), {x});
  const auto flat = [](const Array& a) {
    return reshape(a, {a.dim(0), a.dim(1), num_elements(spatial_of(a.shape()))});
  };
  return reshape(take_along_axis(flat(x), flat(index), -1), index.shape());
}

// A convolution of every channel with ones, divided by their number.
Array avg_pool(const Array& x, const Dims& window, const Dims& stride, const Padding& padding) {
  const ConvGeometry g = windows("avg_pool", x, window, stride, padding);
  const Array v = inexact("avg_pool", x);
  const Array one_by_one = reshape(v, with_spatial(v.dim(0) * v.dim(1), 1, spatial_of(v.shape())));
  const Array ones = literal(1.0, with_spatial(1, 1, window), v.dtype());
  const Array sums = apply1(make_op<Conv>(g), {one_by_one, ones});
  const Array mean = divide(sums, literal(static_cast<double>(num_elements(window)), sums));
  return reshape(mean, with_spatial(v.dim(0), v.dim(1), spatial_of(mean.shape())));
}

namespace {
ConvGeometry geometry_of(const ReadParams& p) {
  return {p["stride"], p["dilation"], p["before"], p["after"], p["groups"]};
}
}  // namespace

OpFamily families::convolution() {
  return {
      {"conv", [](const ReadParams& p) { return make_op<Conv>(geometry_of(p)); }},
      {"conv_to_input",
       [](const ReadParams& p) { return make_op<ConvToInput>(geometry_of(p), p["spatial"]); }},
      {"conv_to_weight",
       [](const ReadParams& p) { return make_op<ConvToWeight>(geometry_of(p), p["kernel"]); }},
      {"pool_index", [](const ReadParams& p) { return make_op<PoolIndex>(geometry_of(p), p["window"]); }}};
}

}  // namespace hesse
