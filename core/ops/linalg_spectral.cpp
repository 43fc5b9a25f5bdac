// Eigenvalues of Hermitian matrices, singular values, pseudo-inverse. In each eigenvector and left singular
// vector the leading entry (core/cpu/eigen/phase.h) is real and positive, on every machine.
#include "core/op_table.h"
#include "core/ops/linalg.h"

#include <algorithm>
#include <cmath>

namespace hesse {
namespace {

using namespace linalg;

/// Off the diagonal 1 / d, on it 0.
Array reciprocal_off_diagonal(const Array& d) {
  const Array unit = eye(d.dim(-1), {}, 0, kBool);
  return where(unit, 0.0, reciprocal(where(unit, 1.0, d)));
}

/// [..., i, j] = s_j, and s_i.
Array along_rows(const Array& s) { return expand_dims(s, {-2}); }
Array along_columns(const Array& s) { return expand_dims(s, {-1}); }

/// The real parts of the diagonal of a^H b.
Array real_diagonal(const Array& a, const Array& b) { return sum(real(conj(a) * b), Axes{-2}); }

/// Eigenvalues (ascending) and eigenvectors of a Hermitian matrix, of which the lower triangle is read.
class Eigh final : public General {
 public:
  std::string_view name() const override { return "eigh"; }
  double flops(std::span<const Aval> x, std::span<const Aval>) const override {
    return of_matrices(x[0], [](double m, double n) { return 9 * m * n * n; });
  }
  Avals infer(std::span<const Aval> x) const override {
    check_square(name(), x[0]);
    return {{with(batch_shape(x[0].shape), {x[0].shape.back()}), real_dtype(x[0].dtype)}, x[0]};
  }
  void kernel(std::span<const View> x, std::span<const View> out, int) const override {
    visit_inexact(x[0].dtype, [&](auto tag) {
      using T = typename decltype(tag)::type;
      using R = typename cpu::RealOf<T>::type;
      for (Batch b(x[0], 2); !b.done(); b.next()) {
        const auto status = cpu::decompositions<T>().eigh(x[0].shape.back(), b.matrix<T>(x[0]),
                                                          b.at<R>(out[0]), b.at<T>(out[1]));
        if (status != cpu::SpectralStatus::Ok) b.fail(name(), out, status);
      }
    });
  }
  // g = v^H da v:  dw = diag(g),  dv = v (f o g) with f_ij = 1 / (w_j - w_i), f_ii = 0   (Giles 2008, 3.1)
  // and a phase, see phase_drift. Where eigenvalues are equal the vectors have no derivative: infinity or
  // NaN.
  MaybeArrays jvp(std::span<const Array>, std::span<const Array> y,
                  std::span<const MaybeArray> dx) const override {
    const Array &w = y[0], &v = y[1];
    const Array moved = matmul(*dx[0], v);
    const Array g = matmul(adjoint(v), moved);
    Array dv = matmul(v, reciprocal_off_diagonal(along_rows(w) - along_columns(w)) * g);
    if (const MaybeArray angle = phase_drift(v, dv)) dv = turned(v, dv, *angle);
    return {real_diagonal(v, moved), dv};
  }
  bool reads_input(int) const override { return false; }
};

class EigvalsH final : public General {
 public:
  std::string_view name() const override { return "eigvalsh"; }
  double flops(std::span<const Aval> x, std::span<const Aval>) const override {
    return of_matrices(x[0], [](double m, double n) { return m * n * n * 4 / 3; });
  }
  Avals infer(std::span<const Aval> x) const override {
    check_square(name(), x[0]);
    return {{with(batch_shape(x[0].shape), {x[0].shape.back()}), real_dtype(x[0].dtype)}};
  }
  void kernel(std::span<const View> x, std::span<const View> out, int) const override {
    visit_inexact(x[0].dtype, [&](auto tag) {
      using T = typename decltype(tag)::type;
      using R = typename cpu::RealOf<T>::type;
      for (Batch b(x[0], 2); !b.done(); b.next()) {
        const auto status =
            cpu::decompositions<T>().eigh(x[0].shape.back(), b.matrix<T>(x[0]), b.at<R>(out[0]), nullptr);
        if (status != cpu::SpectralStatus::Ok) b.fail(name(), out, status);
      }
    });
  }
  // dw = diag(v^H da v): the vectors are computed only for a derivative.
  MaybeArrays jvp(std::span<const Array> x, std::span<const Array>,
                  std::span<const MaybeArray> dx) const override {
    const Array v = apply(the<Eigh>(), {x[0]})[1];
    return {real_diagonal(v, matmul(*dx[0], v))};
  }
  bool reads_output(int) const override { return false; }
};

/// u, s, vh with a = u diag(s) vh; with `full`, u and vh are completed to square matrices.
class SingularValues final : public General {
 public:
  explicit SingularValues(bool full) : full_(full) {}
  std::string_view name() const override { return "svd"; }
  double flops(std::span<const Aval> x, std::span<const Aval>) const override {
    return of_matrices(x[0], [](double m, double n) {
      return 14 * std::max(m, n) * std::min(m, n) * std::min(m, n) + 8 * std::pow(std::min(m, n), 3);
    });
  }
  Params params() const override { return {{"full_matrices", full_}}; }
  Avals infer(std::span<const Aval> x) const override {
    check_matrix(name(), x[0]);
    const Shape& a = x[0].shape;
    const int64_t m = a[a.size() - 2], n = a.back(), k = std::min(m, n);
    const Shape batch = batch_shape(a);
    return {{with(batch, {m, full_ ? m : k}), x[0].dtype},
            {with(batch, {k}), real_dtype(x[0].dtype)},
            {with(batch, {full_ ? n : k, n}), x[0].dtype}};
  }
  void kernel(std::span<const View> x, std::span<const View> out, int) const override {
    visit_inexact(x[0].dtype, [&](auto tag) {
      using T = typename decltype(tag)::type;
      using R = typename cpu::RealOf<T>::type;
      const Shape& a = x[0].shape;
      for (Batch b(x[0], 2); !b.done(); b.next()) {
        const auto status = cpu::decompositions<T>().svd(a[a.size() - 2], a.back(), b.matrix<T>(x[0]), full_,
                                                         b.at<T>(out[0]), b.at<R>(out[1]), b.at<T>(out[2]));
        if (status != cpu::SpectralStatus::Ok) b.fail(name(), out, status);
      }
    });
  }
  // p = u^H da v:  ds = Re diag(p);  f_ij = 1 / (s_j^2 - s_i^2), f_ii = 0;
  //   du = u (f o (p s + s p^H) + i Im diag(p) / s) + (1 - u u^H) da v / s
  //   dv = v (f o (s p + p^H s))                    + (1 - v v^H) da^H u / s     (Townsend 2016; Giles
  //   2008, 3.2)
  // and a phase, see phase_drift. Where singular values are equal, or zero with m != n, the vectors have no
  // derivative: infinity or NaN. Vectors that complete a basis move without turning in themselves, as in qr.
  MaybeArrays jvp(std::span<const Array>, std::span<const Array> y,
                  std::span<const MaybeArray> dx) const override {
    const int64_t m = y[0].dim(-2), n = y[2].dim(-1), k = std::min(m, n);
    const Array &s = y[1], &da = *dx[0];
    const Array u = columns(y[0], 0, k), v = adjoint(rows(y[2], 0, k));
    const Array dav = matmul(da, v), dau = matmul(adjoint(da), u);
    const Array p = matmul(adjoint(u), dav);
    const Array f =
        reciprocal_off_diagonal((along_rows(s) - along_columns(s)) * (along_rows(s) + along_columns(s)));
    const Array ps = p * along_rows(s), sp = p * along_columns(s);
    Array turn = f * (ps + adjoint(ps));
    if (is_complex(p.dtype()))
      turn = turn + eye(k, {}, 0, s.dtype()) * (imag(p) / along_rows(s)) * Array(complex128(0.0, 1.0));
    Array du = matmul(u, turn), dv = matmul(v, f * (sp + adjoint(sp)));
    if (m > n) du = du + (dav - matmul(u, p)) / along_rows(s);
    if (n > m) dv = dv + (dau - matmul(v, adjoint(p))) / along_rows(s);
    if (const MaybeArray angle = phase_drift(u, du)) {
      du = turned(u, du, *angle);
      dv = turned(v, dv, *angle);
    }
    if (full_ && m > n) du = concatenate({du, -matmul(u, matmul(adjoint(du), columns(y[0], k, m)))}, -1);
    if (full_ && n > m)
      dv = concatenate({dv, -matmul(v, matmul(adjoint(dv), adjoint(rows(y[2], k, n))))}, -1);
    return {du, real_diagonal(u, dav), adjoint(dv)};
  }
  bool reads_input(int) const override { return false; }

 private:
  bool full_;
};

class SingularValuesOnly final : public General {
 public:
  std::string_view name() const override { return "svdvals"; }
  double flops(std::span<const Aval> x, std::span<const Aval>) const override {
    return of_matrices(
        x[0], [](double m, double n) { return 4 * std::max(m, n) * std::min(m, n) * std::min(m, n); });
  }
  Avals infer(std::span<const Aval> x) const override {
    check_matrix(name(), x[0]);
    const Shape& a = x[0].shape;
    return {{with(batch_shape(a), {std::min(a[a.size() - 2], a.back())}), real_dtype(x[0].dtype)}};
  }
  void kernel(std::span<const View> x, std::span<const View> out, int) const override {
    visit_inexact(x[0].dtype, [&](auto tag) {
      using T = typename decltype(tag)::type;
      using R = typename cpu::RealOf<T>::type;
      const Shape& a = x[0].shape;
      for (Batch b(x[0], 2); !b.done(); b.next()) {
        const auto status = cpu::decompositions<T>().svd(a[a.size() - 2], a.back(), b.matrix<T>(x[0]), false,
                                                         nullptr, b.at<R>(out[0]), nullptr);
        if (status != cpu::SpectralStatus::Ok) b.fail(name(), out, status);
      }
    });
  }
  // ds = Re diag(u^H da v): the vectors are computed only for a derivative.
  MaybeArrays jvp(std::span<const Array> x, std::span<const Array>,
                  std::span<const MaybeArray> dx) const override {
    const Arrays f = apply(make_op<SingularValues>(false), {x[0]});
    return {real_diagonal(f[0], matmul(*dx[0], adjoint(f[2])))};
  }
  bool reads_output(int) const override { return false; }
};

class PseudoInverse final : public General {
 public:
  explicit PseudoInverse(double rtol) : rtol_(rtol) {}
  std::string_view name() const override { return "pinv"; }
  double flops(std::span<const Aval> x, std::span<const Aval>) const override {
    return of_matrices(x[0], [](double m, double n) {
      return 16 * std::max(m, n) * std::min(m, n) * std::min(m, n) + 8 * std::pow(std::min(m, n), 3);
    });
  }
  Params params() const override { return {{"rtol", rtol_}}; }
  Avals infer(std::span<const Aval> x) const override {
    check_matrix(name(), x[0]);
    const Shape& a = x[0].shape;
    return {{with(batch_shape(a), {a.back(), a[a.size() - 2]}), x[0].dtype}};
  }
  void kernel(std::span<const View> x, std::span<const View> out, int) const override {
    visit_inexact(x[0].dtype, [&](auto tag) {
      using T = typename decltype(tag)::type;
      const Shape& a = x[0].shape;
      for (Batch b(x[0], 2); !b.done(); b.next()) {
        const auto status = cpu::decompositions<T>().pinv(a[a.size() - 2], a.back(), b.matrix<T>(x[0]), rtol_,
                                                          b.at<T>(out[0]));
        if (status != cpu::SpectralStatus::Ok) b.fail(name(), out, status);
      }
    });
  }
  // dp = -p da p + p p^H da^H (1 - a p) + (1 - p a) da^H p^H p, the rank staying as it is   (Golub, Pereyra
  // 1973, eq. 4.12)
  MaybeArrays jvp(std::span<const Array> x, std::span<const Array> y,
                  std::span<const MaybeArray> dx) const override {
    const Array &a = x[0], &p = y[0], &da = *dx[0];
    const Array ph = adjoint(p), left = matmul(matmul(p, ph), adjoint(da)),
                right = matmul(matmul(adjoint(da), ph), p);
    return {left - matmul(matmul(left, a), p) + right - matmul(p, matmul(a, right)) -
            matmul(p, matmul(da, p))};
  }

 private:
  double rtol_;
};

}  // namespace

std::pair<Array, Array> eigh(const Array& a) {
  const Arrays out = apply(the<Eigh>(), {hermitian_part(square_matrix("eigh", a))});
  return {out[0], out[1]};
}

Array eigvalsh(const Array& a) {
  return apply1(the<EigvalsH>(), {hermitian_part(square_matrix("eigvalsh", a))});
}

SVD svd(const Array& a, bool full_matrices) {
  const Array x = matrix("svd", a);
  const Arrays out = apply(make_op<SingularValues>(full_matrices && x.dim(-1) != x.dim(-2)), {x});
  return {out[0], out[1], out[2]};
}

Array svdvals(const Array& a) { return apply1(the<SingularValuesOnly>(), {matrix("svdvals", a)}); }

Array pinv(const Array& a, double rtol) {
  const Array x = matrix("pinv", a);
  require(rtol == rtol && rtol < 1,
          "pinv: rtol must be less than 1 (negative: max(m, n) times the precision), got ", rtol);
  const double precision = real_dtype(x.dtype()) == kFloat32 ? 0x1p-23 : 0x1p-52;
  const double cut = rtol >= 0 ? rtol : precision * static_cast<double>(std::max(x.dim(-1), x.dim(-2)));
  return apply1(make_op<PseudoInverse>(cut), {x});
}

OpFamily families::spectral() {
  return {listed<Eigh>(), listed<EigvalsH>(), listed<SingularValues>("svd", "full_matrices"),
          listed<SingularValuesOnly>(), listed<PseudoInverse>("pinv", "rtol")};
}

}  // namespace hesse
