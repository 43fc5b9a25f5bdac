#include "core/op_table.h"
#include "core/ops/elementwise_op.h"

/// Parts of complex numbers. They are linear over the reals, with the pairing <a, b> = Re(sum(a b)), without
/// conjugation.
namespace hesse {
namespace {

/// out = Re z.  <ct, Re z> = <ct + 0i, z>.
class Real final : public Entrywise<Linear> {
 public:
  std::string_view name() const override { return "real"; }
  Avals infer(std::span<const Aval> x) const override {
    check_operands(*this, x, 1, kComplex);
    return {{x[0].shape, real_dtype(x[0].dtype)}};
  }
  void kernel(std::span<const View> x, std::span<const View> out, int) const override {
    visit_in<kComplex>(x[0].dtype, [&](auto tag) {
      using T = typename decltype(tag)::type;
      if constexpr (is_complex_v<T>)
        cpu::map1<T, typename T::value_type>(x[0], out[0], [](T z) { return z.real(); });
    });
  }
  MaybeArray transpose(std::span<const Array> x, const Array& ct, int) const override {
    return converted(ct, x[0].dtype());
  }
};

/// out = Im z.  <ct, Im z> = Re(sum(-i ct z)).
class Imag final : public Entrywise<Linear> {
 public:
  std::string_view name() const override { return "imag"; }
  Avals infer(std::span<const Aval> x) const override {
    check_operands(*this, x, 1, kComplex);
    return {{x[0].shape, real_dtype(x[0].dtype)}};
  }
  void kernel(std::span<const View> x, std::span<const View> out, int) const override {
    visit_in<kComplex>(x[0].dtype, [&](auto tag) {
      using T = typename decltype(tag)::type;
      if constexpr (is_complex_v<T>)
        cpu::map1<T, typename T::value_type>(x[0], out[0], [](T z) { return z.imag(); });
    });
  }
  MaybeArray transpose(std::span<const Array>, const Array& ct, int) const override {
    return make_complex(literal(0.0, ct), negative(ct));
  }
};

/// out = conj z.  Re(ct conj z) = Re(conj(ct) z).
class Conj final : public UnaryOp<Conj, kComplex, Linear> {
 public:
  std::string_view name() const override { return "conj"; }
  template <class T>
  static T value(T z) {
    return std::conj(z);
  }
  MaybeArray transpose(std::span<const Array>, const Array& ct, int) const override { return conj(ct); }
};

/// out = x + i y.  Re(ct (x + i y)) = Re(ct) x - Im(ct) y.
class MakeComplex final : public Entrywise<Linear> {
 public:
  std::string_view name() const override { return "make_complex"; }
  Avals infer(std::span<const Aval> x) const override {
    check_operands(*this, x, 2, kFloating);
    return {{x[0].shape, complex_dtype(x[0].dtype)}};
  }
  void kernel(std::span<const View> x, std::span<const View> out, int) const override {
    visit_in<kFloating>(x[0].dtype, [&](auto tag) {
      using T = typename decltype(tag)::type;
      if constexpr (is_floating_v<T>)
        cpu::map2<T, T, std::complex<T>>(x[0], x[1], out[0],
                                         [](T re, T im) { return std::complex<T>(re, im); });
    });
  }
  MaybeArrays jvp(std::span<const Array>, std::span<const Array>,
                  std::span<const MaybeArray> dx) const override {
    if (!dx[0] && !dx[1]) return {std::nullopt};
    return {make_complex(dx[0] ? *dx[0] : literal(0.0, *dx[1]), dx[1] ? *dx[1] : literal(0.0, *dx[0]))};
  }
  MaybeArray transpose(std::span<const Array>, const Array& ct, int i) const override {
    return i == 0 ? real(ct) : negative(imag(ct));
  }
};

/// The same values; a derivative does not pass.
class StopGradient final : public NonDifferentiable {
 public:
  std::string_view name() const override { return "stop_gradient"; }
  Avals infer(std::span<const Aval> x) const override { return {x[0]}; }
  bool is_view() const override { return true; }
  std::optional<View> alias(const View& x, int) const override { return x; }
  std::optional<Row> on_row(std::span<const Array> x, std::span<const RowAxis> axes,
                            std::span<const Aval>) const override {
    return entrywise_on_row(*this, x, axes);
  }
};

}  // namespace

Array real(const Array& x) {
  check_dtype("real", x, kNumeric);
  return is_complex(x.dtype()) ? apply1(the<Real>(), {x}) : x;
}
Array imag(const Array& x) {
  check_dtype("imag", x, kNumeric);
  return is_complex(x.dtype()) ? apply1(the<Imag>(), {x}) : literal(0.0, x);
}
Array conj(const Array& x) {
  check_dtype("conj", x, kNumeric);
  return is_complex(x.dtype()) ? apply1(the<Conj>(), {x}) : x;
}
Array angle(const Array& x) {
  const Array z = inexact("angle", x);
  return atan2(imag(z), real(z));
}
Array make_complex(const Array& re, const Array& im) {
  check_dtype("make_complex", re, kReal | kBoolOnly);
  check_dtype("make_complex", im, kReal | kBoolOnly);
  return apply_inexact<MakeComplex>("make_complex", re, im);
}
Array stop_gradient(const Array& x) { return apply1(the<StopGradient>(), {x}); }

OpFamily families::complex_numbers() {
  return {listed<Real>(), listed<Imag>(), listed<Conj>(), listed<MakeComplex>(), listed<StopGradient>()};
}

}  // namespace hesse
