#include <cmath>
#include <numbers>

#include "core/cpu/special.h"
#include "core/op_table.h"
#include "core/ops/elementwise_op.h"

/// The error function and the gamma family, of real numbers.
namespace hesse {
namespace {

constexpr double kTwoOverSqrtPi = 2.0 * std::numbers::inv_sqrtpi;

/// d erf x = 2 / sqrt(pi) e^(-x^2).
class Erf final : public UnaryOp<Erf, kFloating> {
 public:
  std::string_view name() const override { return "erf"; }
  template <class T>
  static T value(T x) {
    return std::erf(x);
  }
  MaybeArray partial(std::span<const Array> x, const Array&, int) const override {
    return kTwoOverSqrtPi * exp(negative(square(x[0])));
  }
  bool reads_output(int) const override { return false; }
};
/// d erfc x = -2 / sqrt(pi) e^(-x^2).
class Erfc final : public UnaryOp<Erfc, kFloating> {
 public:
  std::string_view name() const override { return "erfc"; }
  template <class T>
  static T value(T x) {
    return std::erfc(x);
  }
  MaybeArray partial(std::span<const Array> x, const Array&, int) const override {
    return -kTwoOverSqrtPi * exp(negative(square(x[0])));
  }
  bool reads_output(int) const override { return false; }
};

/// d log |Gamma(x)| = psi(x).
class Lgamma final : public UnaryOp<Lgamma, kFloating> {
 public:
  std::string_view name() const override { return "lgamma"; }
  template <class T>
  static T value(T x) {
    return static_cast<T>(cpu::log_gamma(x));
  }
  MaybeArray partial(std::span<const Array> x, const Array&, int) const override { return digamma(x[0]); }
  bool reads_output(int) const override { return false; }
};
/// d psi = psi_1.
class Digamma final : public UnaryOp<Digamma, kFloating> {
 public:
  std::string_view name() const override { return "digamma"; }
  template <class T>
  static T value(T x) {
    return static_cast<T>(cpu::digamma(x));
  }
  MaybeArray partial(std::span<const Array> x, const Array&, int) const override {
    return polygamma(1, x[0]);
  }
  bool reads_output(int) const override { return false; }
};
/// d psi_n = psi_(n+1).
class PolygammaOp final : public Entrywise<Elementwise> {
 public:
  explicit PolygammaOp(int64_t n) : n_(n), value_(n) {}
  std::string_view name() const override { return "polygamma"; }
  Params params() const override { return {{"n", n_}}; }
  Avals infer(std::span<const Aval> x) const override {
    check_operands(*this, x, 1, kFloating);
    return {x[0]};
  }
  void kernel(std::span<const View> x, std::span<const View> out, int) const override {
    visit_in<kFloating>(x[0].dtype, [&](auto tag) {
      using T = typename decltype(tag)::type;
      cpu::map1<T, T>(x[0], out[0], [this](T v) { return static_cast<T>(value_(v)); });
    });
  }
  MaybeArray partial(std::span<const Array> x, const Array&, int) const override {
    return polygamma(n_ + 1, x[0]);
  }
  bool reads_output(int) const override { return false; }

 private:
  int64_t n_;
  cpu::Polygamma value_;
};

}  // namespace

Array erf(const Array& x) { return apply_inexact<Erf>("erf", x); }
Array erfc(const Array& x) { return apply_inexact<Erfc>("erfc", x); }
Array lgamma(const Array& x) { return apply_inexact<Lgamma>("lgamma", x); }
Array digamma(const Array& x) { return apply_inexact<Digamma>("digamma", x); }
Array polygamma(int64_t n, const Array& x) {
  require(n >= 0 && n <= 1000, "polygamma: n = ", n, " is out of range; expected 0 <= n <= 1000");
  if (n == 0) return digamma(x);
  return apply1(make_op<PolygammaOp>(n), {inexact("polygamma", x)});
}

OpFamily families::special() {
  return {listed<Erf>(), listed<Erfc>(), listed<Lgamma>(), listed<Digamma>(),
          listed<PolygammaOp>("polygamma", "n")};
}

}  // namespace hesse
