// QR factors by Householder reflections, signs as LAPACK's: the diagonal of r is real and may be negative.
#include "core/op_table.h"
#include "core/ops/linalg.h"

#include <algorithm>
#include <cmath>

namespace hesse {
namespace {

using namespace linalg;

class QR final : public General {
 public:
  explicit QR(bool complete) : complete_(complete) {}
  std::string_view name() const override { return "qr"; }
  double flops(std::span<const Aval> x, std::span<const Aval>) const override {
    return of_matrices(x[0], [](double m, double n) {
      const double k = std::min(m, n);
      return 4 * k * k * (std::max(m, n) - k / 3);
    });
  }
  Params params() const override { return {{"complete", complete_}}; }
  Avals infer(std::span<const Aval> x) const override {
    check_matrix(name(), x[0]);
    const Shape& a = x[0].shape;
    const int64_t m = a[a.size() - 2], n = a.back(), k = complete_ ? m : std::min(m, n);
    const Shape batch = batch_shape(a);
    return {{with(batch, {m, k}), x[0].dtype}, {with(batch, {k, n}), x[0].dtype}};
  }
  void kernel(std::span<const View> x, std::span<const View> out, int) const override {
    visit_inexact(x[0].dtype, [&](auto tag) {
      using T = typename decltype(tag)::type;
      const Shape& a = x[0].shape;
      for (Batch b(x[0], 2); !b.done(); b.next())
        cpu::decompositions<T>().qr(a[a.size() - 2], a.back(), b.matrix<T>(x[0]), out[0].shape.back(),
                                    b.at<T>(out[0]), b.at<T>(out[1]));
    });
  }
  // For m >= n, with x = da r^-1 = dq + q s and s = dr r^-1 upper triangular with a real diagonal:
  //   c = q^H x,  s = striu(c) + stril(c)^H + Re diag(c)  since q^H dq = c - s is skew-Hermitian;
  //   dq = x - q s,  dr = s r                              (Walter, Lehmann 2010, arXiv:1001.1654)
  // For m < n the first m columns give q; then r = q^H a: dr = q^H da - (c - s) r.
  // A complete q = [q1 q2]: dq2 = -q1 dq1^H q2, the motion that does not turn q2 in itself. It is right for
  // every function of q that does not depend on which basis q2 is.
  MaybeArrays jvp(std::span<const Array>, std::span<const Array> y,
                  std::span<const MaybeArray> dx) const override {
    const int64_t m = y[0].dim(-2), n = y[1].dim(-1), k = std::min(m, n);
    const Array q = columns(y[0], 0, k), r = rows(columns(y[1], 0, k), 0, k);
    const Array x = divide_by_upper(columns(*dx[0], 0, k), r);
    const Array c = matmul(adjoint(q), x);
    Array s = triu(c, 1) + adjoint(strictly_lower(c));
    s = s + real(c) * eye(k, {}, 0, real_dtype(c.dtype()));
    Array dq = x - matmul(q, s);
    Array dr = m < n ? upper(matmul(adjoint(q), *dx[0]) - matmul(c - s, y[1])) : matmul(s, r);
    if (complete_ && m > n) {
      const Array q2 = columns(y[0], k, m);
      dq = concatenate({dq, -matmul(q, matmul(adjoint(dq), q2))}, -1);
      dr = concatenate({dr, zeros(with(batch_shape(dr.shape()), {m - n, n}), dr.dtype())}, -2);
    }
    return {dq, dr};
  }
  bool reads_input(int) const override { return false; }

 private:
  bool complete_;
};

}  // namespace

std::pair<Array, Array> qr(const Array& a, const std::string& mode) {
  require(mode == "reduced" || mode == "complete", "qr: mode must be 'reduced' or 'complete', got '", mode,
          "'");
  const Array x = matrix("qr", a);
  const Arrays out = apply(make_op<QR>(mode == "complete" && x.dim(-2) > x.dim(-1)), {x});
  return {out[0], out[1]};
}

OpFamily families::qr() { return {listed<QR>("qr", "complete")}; }

}  // namespace hesse
