// Discrete Fourier transforms. One axis per op; those over several axes are compositions.
#include "core/cpu/fft.h"
#include "core/op_table.h"

#include <cmath>
#include <memory>

#include "core/cpu/threads.h"
#include "core/op.h"
#include "core/ops.h"
#include "core/ops/elementwise.h"

namespace hesse {
namespace {

template <class T>
inline constexpr bool is_real_v = is_floating(dtype_of<T>);

/// Copies each line of x along `axis` to contiguous memory, calls transform(line in, line out) and copies
/// back. Lines go in groups, so that memory along other axes (lanes) is read in order; groups run in
/// parallel.
template <class A, class B, class F>
void transform_lines(const View& x, const View& y, size_t axis, F transform) {
  constexpr int64_t kGroup = 16, kSerial = 1 << 14;
  int64_t lines = 1;
  for (size_t d = 0; d < x.shape.size(); ++d)
    if (d != axis) lines *= x.shape[d];
  const int64_t n = x.shape[axis], m = y.shape[axis];
  const auto offset = [&](const View& v, int64_t line) {
    int64_t out = 0;
    for (size_t d = v.shape.size(); d-- > 0;) {
      if (d == axis) continue;
      out += line % v.shape[d] * v.strides[d];
      line /= v.shape[d];
    }
    return out;
  };
  const auto run = [&](int64_t group) {
    const int64_t first = group * kGroup, count = std::min(kGroup, lines - first);
    const std::unique_ptr<A[]> in(new A[static_cast<size_t>(count * n)]);
    const std::unique_ptr<B[]> out(new B[static_cast<size_t>(count * m)]);
    int64_t from[kGroup], to[kGroup];
    for (int64_t l = 0; l < count; ++l) {
      from[l] = offset(x, first + l);
      to[l] = offset(y, first + l);
    }
    for (int64_t j = 0; j < n; ++j)
      for (int64_t l = 0; l < count; ++l)
        in[static_cast<size_t>(l * n + j)] = x.as<A>()[from[l] + j * x.strides[axis]];
    for (int64_t l = 0; l < count; ++l) transform(in.get() + l * n, out.get() + l * m);
    for (int64_t k = 0; k < m; ++k)
      for (int64_t l = 0; l < count; ++l)
        y.as<B>()[to[l] + k * y.strides[axis]] = out[static_cast<size_t>(l * m + k)];
  };
  const int64_t groups = (lines + kGroup - 1) / kGroup;
  if (lines * n <= kSerial)
    for (int64_t g = 0; g < groups; ++g) run(g);
  else
    parallel_for(groups, run);
}

/// A transform along one axis, times `scale`.
class Fourier : public Linear {
 public:
  Fourier(int64_t axis, double scale) : axis_(axis), scale_(scale) {}
  bool has_lane_kernel() const override { return true; }

 protected:
  void check(std::span<const Aval> x, bool complex) const {
    const Shape& s = x[0].shape;
    require<TypeError>(complex ? is_complex(x[0].dtype) : is_floating(x[0].dtype), name(), ": x must be ",
                       complex ? "complex" : "real", ", got ", describe(s, x[0].dtype));
    require(axis_ >= 0 && axis_ < static_cast<int64_t>(s.size()), name(), ": x has no axis ", axis_, ", got ",
            describe(s, x[0].dtype));
    check_length(s[axis()]);
  }
  void check_length(int64_t n) const {
    require(n >= 1 && n <= cpu::kLongestTransform, name(),
            ": the length of a transform must be 1 to 2^29, got ", n);
  }
  size_t axis() const { return static_cast<size_t>(axis_); }
  double transform_work(const Aval& a) const {
    return num_entries(a) * std::log2(static_cast<double>(a.shape[axis()]));
  }
  int64_t axis_;
  double scale_;
};

class FFT final : public Fourier {
 public:
  FFT(int64_t axis, bool inverse, double scale) : Fourier(axis, scale), inverse_(inverse) {}
  std::string_view name() const override { return inverse_ ? "ifft" : "fft"; }
  double flops(std::span<const Aval> x, std::span<const Aval>) const override {
    return 5 * transform_work(x[0]);
  }
  Params params() const override { return {{"axis", axis_}, {"scale", scale_}}; }
  Avals infer(std::span<const Aval> x) const override {
    check(x, true);
    return {x[0]};
  }
  void kernel(std::span<const View> x, std::span<const View> out, int) const override {
    visit_dtype(x[0].dtype, [&](auto tag) {
      using C = typename decltype(tag)::type;
      if constexpr (is_complex(dtype_of<C>)) {
        using R = typename C::value_type;
        const int64_t n = x[0].shape[axis()];
        transform_lines<C, C>(x[0], out[0], axis(), [&](const C* a, C* b) {
          cpu::fft<R>(n, a, b, inverse_);
          if (scale_ != 1.0)
            for (int64_t k = 0; k < n; ++k) b[k] *= static_cast<R>(scale_);
        });
      }
    });
  }
  // The matrix e^(-+ 2 pi i j k / n) is symmetric.
  MaybeArray transpose(std::span<const Array>, const Array& ct, int) const override {
    return apply1(OpRef(this), {ct});
  }

 private:
  bool inverse_;
};

/// How often entry k of half a spectrum stands in the whole one: 1 for k = 0 and k = n / 2, else 2. [m, 1,
/// ...] so that it multiplies along `axis`.
Array multiplicity(int64_t n, size_t axis, const Array& like) {
  std::vector<double> h(static_cast<size_t>(n / 2 + 1), 2.0);
  h[0] = 1.0;
  if (n % 2 == 0) h.back() = 1.0;
  Shape shape(like.ndim() - axis, 1);
  shape[0] = n / 2 + 1;
  return astype(Array::from<double>(std::span<const double>(h), shape), real_dtype(like.dtype()));
}

/// Half of a Hermitian spectrum to the real line of length n: y_j = scale sum_k h_k Re(x_k e^(2 pi i j k /
/// n)).
class IRFFT final : public Fourier {
 public:
  IRFFT(int64_t n, int64_t axis, double scale) : Fourier(axis, scale), n_(n) {}
  std::string_view name() const override { return "irfft"; }
  double flops(std::span<const Aval>, std::span<const Aval> out) const override {
    return 2.5 * transform_work(out[0]);
  }
  Params params() const override { return {{"n", n_}, {"axis", axis_}, {"scale", scale_}}; }
  Avals infer(std::span<const Aval> x) const override {
    check(x, true);
    check_length(n_);
    Shape out = x[0].shape;
    require(out[axis()] == n_ / 2 + 1, "irfft: the axis must have n / 2 + 1 = ", n_ / 2 + 1, " entries, got ",
            describe(out, x[0].dtype));
    out[axis()] = n_;
    return {{out, real_dtype(x[0].dtype)}};
  }
  void kernel(std::span<const View> x, std::span<const View> out, int) const override {
    visit_dtype(out[0].dtype, [&](auto tag) {
      using R = typename decltype(tag)::type;
      if constexpr (is_real_v<R>)
        transform_lines<std::complex<R>, R>(x[0], out[0], axis(), [&](const std::complex<R>* a, R* b) {
          cpu::irfft<R>(n_, a, b);
          if (scale_ != 1.0)
            for (int64_t j = 0; j < n_; ++j) b[j] *= static_cast<R>(scale_);
        });
    });
  }
  MaybeArray transpose(std::span<const Array> x, const Array& ct, int i) const override;

 private:
  int64_t n_;
};

/// A real line to half of its spectrum: y_k = scale sum_j x_j e^(-2 pi i j k / n).
class RFFT final : public Fourier {
 public:
  using Fourier::Fourier;
  std::string_view name() const override { return "rfft"; }
  double flops(std::span<const Aval> x, std::span<const Aval>) const override {
    return 2.5 * transform_work(x[0]);
  }
  Params params() const override { return {{"axis", axis_}, {"scale", scale_}}; }
  Avals infer(std::span<const Aval> x) const override {
    check(x, false);
    Shape out = x[0].shape;
    out[axis()] = out[axis()] / 2 + 1;
    return {{out, complex_dtype(x[0].dtype)}};
  }
  void kernel(std::span<const View> x, std::span<const View> out, int) const override {
    visit_dtype(x[0].dtype, [&](auto tag) {
      using R = typename decltype(tag)::type;
      if constexpr (is_real_v<R>) {
        const int64_t n = x[0].shape[axis()];
        transform_lines<R, std::complex<R>>(x[0], out[0], axis(), [&](const R* a, std::complex<R>* b) {
          cpu::rfft<R>(n, a, b);
          if (scale_ != 1.0)
            for (int64_t k = 0; k <= n / 2; ++k) b[k] *= static_cast<R>(scale_);
        });
      }
    });
  }
  // Re sum_k ct_k y_k = sum_j x_j scale sum_k Re(conj(ct_k) e^(2 pi i j k / n))
  MaybeArray transpose(std::span<const Array> x, const Array& ct, int) const override {
    const int64_t n = x[0].shape()[axis()];
    return apply1(make_op<IRFFT>(n, axis_, scale_), {conj(ct) / multiplicity(n, axis(), ct)});
  }
};

// sum_j ct_j y_j = Re sum_k x_k h_k scale sum_j ct_j e^(2 pi i j k / n)
MaybeArray IRFFT::transpose(std::span<const Array>, const Array& ct, int) const {
  const Array half = apply1(make_op<RFFT>(axis_, scale_), {ct});
  return conj(half) * multiplicity(n_, axis(), half);
}

/// x cut or filled with zeros to length n along an axis.
Array resized(const Array& x, int64_t n, int64_t axis) {
  const size_t d = static_cast<size_t>(axis);
  if (x.shape()[d] == n) return x;
  if (x.shape()[d] > n) {
    Dims stop = x.shape();
    stop[d] = n;
    return slice(x, Dims(x.ndim(), 0), stop, Dims(x.ndim(), 1));
  }
  std::vector<std::pair<int64_t, int64_t>> widths(x.ndim(), {0, 0});
  widths[d].second = n - x.shape()[d];
  return pad(x, widths);
}

/// The factor of a transform of length n: "backward" scales the inverse by 1 / n, "forward" the other,
/// "ortho" both by 1 / sqrt(n).
double scale_of(std::string_view function, const std::string& norm, int64_t n, bool inverse) {
  require(norm == "backward" || norm == "ortho" || norm == "forward", function,
          ": norm must be 'backward', 'ortho' or 'forward', got '", norm, "'");
  if (norm == "ortho") return 1.0 / std::sqrt(static_cast<double>(n));
  return (norm == "backward") == inverse ? 1.0 / static_cast<double>(n) : 1.0;
}

int64_t checked_length(std::string_view function, std::optional<int64_t> n, int64_t fallback) {
  const int64_t length = n.value_or(fallback);
  require(length >= 1 && length <= cpu::kLongestTransform, function,
          ": the length of a transform must be 1 to 2^29, got ", length, n ? "" : "; give n");
  return length;
}

Array as_complex(std::string_view function, const Array& x) {
  const Array v = inexact(function, x);
  return converted(v, complex_dtype(v.dtype()));
}

Array complex_transform(std::string_view function, const Array& x, std::optional<int64_t> n, int64_t axis,
                        const std::string& norm, bool inverse) {
  const Array v = as_complex(function, x);
  const int64_t d = normalize_axis(function, axis, v.ndim());
  const int64_t length = checked_length(function, n, v.shape()[static_cast<size_t>(d)]);
  return apply1(make_op<FFT>(d, inverse, scale_of(function, norm, length, inverse)), {resized(v, length, d)});
}

Array real_transform(std::string_view function, const Array& x, std::optional<int64_t> n, int64_t axis,
                     const std::string& norm) {
  const Array v = inexact(function, x);
  require<TypeError>(!is_complex(v.dtype()), function, ": x must be real, got ", describe(x), "; use fft");
  const int64_t d = normalize_axis(function, axis, v.ndim());
  const int64_t length = checked_length(function, n, v.shape()[static_cast<size_t>(d)]);
  return apply1(make_op<RFFT>(d, scale_of(function, norm, length, false)), {resized(v, length, d)});
}

Array inverse_real_transform(std::string_view function, const Array& x, std::optional<int64_t> n,
                             int64_t axis, const std::string& norm) {
  const Array v = as_complex(function, x);
  const int64_t d = normalize_axis(function, axis, v.ndim());
  const int64_t length = checked_length(function, n, 2 * (v.shape()[static_cast<size_t>(d)] - 1));
  return apply1(make_op<IRFFT>(length, d, scale_of(function, norm, length, true)),
                {resized(v, length / 2 + 1, d)});
}

/// The axes of an n-dimensional transform, and the length asked for along each.
struct Grid {
  std::vector<int64_t> axes;
  std::vector<std::optional<int64_t>> lengths;
};

Grid grid(std::string_view function, const Array& x, const std::optional<Shape>& s, const OptAxes& axes) {
  Grid g;
  require(!s || !axes || s->size() == axes->size(), function, ": s has ", s ? s->size() : 0, " lengths for ",
          axes ? axes->size() : 0, " axes");
  require(!s || s->size() <= x.ndim(), function, ": s has more lengths than x has axes, got ", describe(x));
  const size_t count = axes ? axes->size() : s ? s->size() : x.ndim();
  if (axes) normalize_axes(function, *axes, x.ndim());  // refuses repeats
  for (size_t i = 0; i < count; ++i) {
    g.axes.push_back(axes ? normalize_axis(function, (*axes)[i], x.ndim())
                          : static_cast<int64_t>(x.ndim() - count + i));
    g.lengths.push_back(s ? std::optional<int64_t>((*s)[i]) : std::nullopt);
  }
  return g;
}

Grid real_grid(std::string_view function, const Array& x, const std::optional<Shape>& s,
               const OptAxes& axes) {
  Grid g = grid(function, x, s, axes);
  require(!g.axes.empty(), function, ": at least one axis is needed, got ", describe(x));
  return g;
}

Array frequencies(std::string_view function, int64_t n, int64_t count, int64_t first_negative, double d) {
  require(n >= 1, function, ": n must be positive, got ", n);
  std::vector<double> f(static_cast<size_t>(count));
  for (int64_t k = 0; k < count; ++k)
    f[static_cast<size_t>(k)] =
        static_cast<double>(k < first_negative ? k : k - n) / (static_cast<double>(n) * d);
  return astype(Array::from<double>(std::span<const double>(f), {count}), default_dtype());
}

}  // namespace

Array fft(const Array& x, std::optional<int64_t> n, int64_t axis, const std::string& norm) {
  return complex_transform("fft", x, n, axis, norm, false);
}
Array ifft(const Array& x, std::optional<int64_t> n, int64_t axis, const std::string& norm) {
  return complex_transform("ifft", x, n, axis, norm, true);
}
Array rfft(const Array& x, std::optional<int64_t> n, int64_t axis, const std::string& norm) {
  return real_transform("rfft", x, n, axis, norm);
}
Array irfft(const Array& x, std::optional<int64_t> n, int64_t axis, const std::string& norm) {
  return inverse_real_transform("irfft", x, n, axis, norm);
}

Array fftn(const Array& x, const std::optional<Shape>& s, const OptAxes& axes, const std::string& norm) {
  Array y = as_complex("fftn", x);
  const Grid g = grid("fftn", y, s, axes);
  for (size_t i = g.axes.size(); i-- > 0;)
    y = complex_transform("fftn", y, g.lengths[i], g.axes[i], norm, false);
  return y;
}

Array ifftn(const Array& x, const std::optional<Shape>& s, const OptAxes& axes, const std::string& norm) {
  Array y = as_complex("ifftn", x);
  const Grid g = grid("ifftn", y, s, axes);
  for (size_t i = g.axes.size(); i-- > 0;)
    y = complex_transform("ifftn", y, g.lengths[i], g.axes[i], norm, true);
  return y;
}

Array rfftn(const Array& x, const std::optional<Shape>& s, const OptAxes& axes, const std::string& norm) {
  const Grid g = real_grid("rfftn", x, s, axes);
  Array y = real_transform("rfftn", x, g.lengths.back(), g.axes.back(), norm);
  for (size_t i = g.axes.size() - 1; i-- > 0;)
    y = complex_transform("rfftn", y, g.lengths[i], g.axes[i], norm, false);
  return y;
}

Array irfftn(const Array& x, const std::optional<Shape>& s, const OptAxes& axes, const std::string& norm) {
  Array y = as_complex("irfftn", x);
  const Grid g = real_grid("irfftn", y, s, axes);
  for (size_t i = 0; i + 1 < g.axes.size(); ++i)
    y = complex_transform("irfftn", y, g.lengths[i], g.axes[i], norm, true);
  return inverse_real_transform("irfftn", y, g.lengths.back(), g.axes.back(), norm);
}

Array fftfreq(int64_t n, double d) { return frequencies("fftfreq", n, n, (n + 1) / 2, d); }
Array rfftfreq(int64_t n, double d) { return frequencies("rfftfreq", n, n / 2 + 1, n, d); }

OpFamily families::fourier() {
  return {{"fft", [](const ReadParams& p) { return make_op<FFT>(p["axis"], false, p["scale"]); }},
          {"ifft", [](const ReadParams& p) { return make_op<FFT>(p["axis"], true, p["scale"]); }},
          listed<IRFFT>("irfft", "n", "axis", "scale"),
          listed<RFFT>("rfft", "axis", "scale")};
}

}  // namespace hesse
