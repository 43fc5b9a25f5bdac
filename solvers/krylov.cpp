#include "solvers/krylov.h"

#include <algorithm>
#include <array>

#include "core/ops.h"
#include "core/ops/control.h"
#include "solvers/flat.h"

namespace hesse::solvers {
namespace {

constexpr auto code = [](SolveStatus s) { return static_cast<int64_t>(s); };
constexpr int64_t kRunning = static_cast<int64_t>(SolveStatus::TooManySteps);

Array number(double value, const Array& like) { return astype(Array(value), like.dtype()); }
/// x / y, or 0 where y is 0.
Array ratio(const Array& x, const Array& y) {
  const Array none = equal(y, 0.0);
  return where(none, zeros_like(x), x / where(none, ones_like(y), y));
}
Array precondition(const KrylovProblem& p, const Array& r) { return p.m ? p.m(r) : r; }

/// Runs `step` on (x, steps, status, further carries...) while the status says so.
Arrays iterate(const KrylovProblem& p, Arrays carry, const Fn& step) {
  return while_loop(
      [&](std::span<const Array> c) {
        return Arrays{logical_and(equal(c[2], kRunning), c[1] < p.max_steps)};
      },
      step, carry);
}
/// Done where the residual is small; else `otherwise`, unless it is not a number.
Array judged(const KrylovProblem& p, const Array& residual, const Array& otherwise) {
  return where(residual <= p.tolerance, code(SolveStatus::Success),
               where(isfinite(residual), otherwise, code(SolveStatus::NotFinite)));
}
Array running() { return Array::from<int64_t>(std::array{kRunning}, {}); }
Array zero_steps() { return Array::from<int64_t>(std::array{int64_t{0}}, {}); }
// What methods know of the residual they carry along: where the matrix is singular, or rounding has its way,
// the true one may be another.
KrylovResult finished(const KrylovProblem& p, const Arrays& carry) {
  const Array r = p.b - p.a(carry[0]);
  const double rounding = p.b.dtype() == kFloat32 ? 3e-4 : 1.5e-8;
  const Array most = maximum(100.0 * p.tolerance, rounding * norm2(p.b));
  const Array wrong = logical_and(equal(carry[2], code(SolveStatus::Success)), logical_not(norm2(r) <= most));
  return {carry[0], where(wrong, code(SolveStatus::NoProgress), carry[2]), carry[1], max_abs(r)};
}

KrylovResult cg(const KrylovProblem& p) {
  const Array r0 = p.b - p.a(p.x0), z0 = precondition(p, r0);
  return finished(
      p, iterate(p, {p.x0, zero_steps(), judged(p, norm2(r0), running()), r0, z0, dot(r0, z0)},
                 [&](std::span<const Array> c) {
                   const Array &x = c[0], &r = c[3], &d = c[4], &rz = c[5];
                   const Array q = p.a(d), curvature = dot(d, q), unfit = curvature <= 0.0;
                   const Array alpha = where(unfit, zeros_like(rz), ratio(rz, curvature));
                   const Array r_next = r - alpha * q, z = precondition(p, r_next), rz_next = dot(r_next, z);
                   const Array otherwise = where(unfit, code(SolveStatus::Singular), kRunning);
                   return Arrays{
                       x + alpha * d, c[1] + int64_t{1},          judged(p, norm2(r_next), otherwise),
                       r_next,        z + ratio(rz_next, rz) * d, rz_next};
                 }));
}

// Lanczos vectors of m a, and the QR factorisation of their tridiagonal matrix by rotations (c, s). The
// residual follows from r_k = s^2 r_{k-1} - phi c q / beta, q being the next Lanczos vector times beta.
KrylovResult minres(const KrylovProblem& p) {
  const Array r0 = p.b - p.a(p.x0), z0 = precondition(p, r0), beta0 = sqrt(dot(r0, z0));
  const Array zero = zeros_like(r0), none = number(0.0, r0);
  enum : size_t {
    kX,
    kSteps,
    kStatus,
    kR,
    kOld,
    kNow,
    kZ,
    kBeta,
    kBetaOld,
    kDelta,
    kEpsilon,
    kPhi,
    kC,
    kS,
    kW,
    kWOld
  };
  const Array start = where(dot(r0, z0) < 0.0, code(SolveStatus::Singular), running());
  return finished(
      p, iterate(p,
                 {p.x0, zero_steps(), judged(p, norm2(r0), start), r0, zero, r0, z0, beta0, none, none, none,
                  beta0, number(-1.0, r0), none, zero, zero},
                 [&](std::span<const Array> k) {
                   const Array &beta = k[kBeta], &c = k[kC], &s = k[kS];
                   const Array v = ratio(k[kZ], beta);
                   Array q = p.a(v) - ratio(beta, k[kBetaOld]) * k[kOld];
                   const Array alpha = dot(v, q);
                   q = q - ratio(alpha, beta) * k[kNow];
                   const Array z = precondition(p, q), square_of = dot(q, z);
                   const Array beta_next = sqrt(maximum(square_of, none));
                   const Array delta = c * k[kDelta] + s * alpha, gamma_bar = s * k[kDelta] - c * alpha;
                   const Array gamma = hypot(gamma_bar, beta_next), flat = equal(gamma, 0.0);
                   const Array c_next = ratio(gamma_bar, gamma), s_next = ratio(beta_next, gamma);
                   const Array w = ratio(v - k[kEpsilon] * k[kWOld] - delta * k[kW], gamma);
                   const Array phi_next = s_next * k[kPhi];
                   const Array r =
                       where(flat, k[kR], square(s_next) * k[kR] - phi_next * ratio(c_next, beta_next) * q);
                   const Array otherwise =
                       where(logical_or(flat, square_of < 0.0), code(SolveStatus::Singular), kRunning);
                   return Arrays{k[kX] + c_next * k[kPhi] * w,
                                 k[kSteps] + int64_t{1},
                                 judged(p, norm2(r), otherwise),
                                 r,
                                 k[kNow],
                                 q,
                                 z,
                                 beta_next,
                                 beta,
                                 -c * beta_next,
                                 s * beta_next,
                                 phi_next,
                                 c_next,
                                 s_next,
                                 w,
                                 k[kW]};
                 }));
}

KrylovResult bicgstab(const KrylovProblem& p) {
  const Array r0 = p.b - p.a(p.x0), zero = zeros_like(r0), one = number(1.0, r0);
  return finished(
      p, iterate(p, {p.x0, zero_steps(), judged(p, norm2(r0), running()), r0, zero, zero, one, one, one},
                 [&](std::span<const Array> c) {
                   const Array &x = c[0], &r = c[3], &d = c[4], &q = c[5], &rho = c[6], &alpha = c[7],
                               &omega = c[8];
                   const Array rho_next = dot(r0, r);
                   const Array beta = ratio(rho_next, rho) * ratio(alpha, omega);
                   const Array d_next = r + beta * (d - omega * q), d_hat = precondition(p, d_next);
                   const Array q_next = p.a(d_hat), shadow = dot(r0, q_next);
                   const Array alpha_next = ratio(rho_next, shadow), s = r - alpha_next * q_next;
                   const Array s_hat = precondition(p, s), t = p.a(s_hat);
                   const Array omega_next = ratio(dot(t, s), dot(t, t)), r_next = s - omega_next * t;
                   const Array broken = logical_or(equal(shadow, 0.0), equal(omega_next, 0.0));
                   const Array otherwise = where(broken, code(SolveStatus::Singular), kRunning);
                   return Arrays{x + alpha_next * d_hat + omega_next * s_hat,
                                 c[1] + int64_t{1},
                                 judged(p, norm2(r_next), otherwise),
                                 r_next,
                                 d_next,
                                 q_next,
                                 rho_next,
                                 alpha_next,
                                 omega_next};
                 }));
}

// Arnoldi with classical Gram-Schmidt, twice. `rotations` [k+1, k+1] is the product of the Givens rotations
// that make the Hessenberg matrix an upper triangle, so that rotations[:, 0] |r| holds the right-hand side
// and the residual of the least-squares problem.
KrylovResult gmres(const KrylovProblem& p) {
  const int64_t n = p.b.size(), k = std::min(p.restart, n);
  const DType dtype = p.b.dtype();
  const auto row = [](const Array& rows, const Array& j) { return take(rows, j, 0); };
  const Array places = arange(0, static_cast<double>(k + 1), 1, kInt64);
  const auto put = [&](const Array& rows, const Array& j, const Array& value) {
    return where(expand_dims(equal(places, j), {1}), expand_dims(value, {0}), rows);
  };
  const auto cycle = [&](std::span<const Array> c) {
    const Array &x = c[0], r = p.b - p.a(x), length = norm2(r);
    const Array first = ratio(r, length), none = zero_steps();
    // carry: j, steps, residual, basis [k+1, n], triangle by columns [k+1, k+1], rotations
    const Arrays inner = while_loop(
        [&](std::span<const Array> a) {
          const Array more = logical_and(a[0] < k, a[1] < p.max_steps);
          return Arrays{logical_and(more, logical_and(a[2] > p.tolerance, isfinite(a[2])))};
        },
        [&](std::span<const Array> a) {
          const Array &j = a[0], &basis = a[3], &rotations = a[5];
          Array w = p.a(precondition(p, row(basis, j)));
          const Array h1 = matmul(basis, w);
          w = w - matmul(h1, basis);
          const Array h2 = matmul(basis, w);
          w = w - matmul(h2, basis);
          const Array below = norm2(w), next = j + int64_t{1};
          const Array h = matmul(rotations, where(equal(places, next), below, h1 + h2));
          // The rotation of rows j and j + 1 that annihilates h[j + 1].
          const Array hj = row(h, j), hn = row(h, next), size = hypot(hj, hn), flat = equal(size, 0.0);
          const Array cosine = where(flat, ones_like(size), ratio(hj, size)), sine = ratio(hn, size);
          const Array upper = row(rotations, j), lower = row(rotations, next);
          const Array turned =
              put(put(rotations, j, cosine * upper + sine * lower), next, cosine * lower - sine * upper);
          const Array column = where(equal(places, j), size, where(equal(places, next), zeros_like(size), h));
          const Array left = abs(take(row(turned, next), none, 0)) * length;
          return Arrays{
              next, a[1] + int64_t{1}, left, put(basis, next, ratio(w, below)), put(a[4], j, column), turned};
        },
        {none, c[1], length, put(zeros({k + 1, n}, dtype), none, first), zeros({k + 1, k + 1}, dtype),
         eye(k + 1, {}, 0, dtype)});
    // The triangle, with ones on the diagonal where it has no column yet.
    const Array used = places < inner[0], table = matrix_transpose(inner[4]);
    const Array diagonal_of = diagonal(table), empty = logical_or(logical_not(used), equal(diagonal_of, 0.0));
    const Array triangle = table + diag(where(empty, ones_like(diagonal_of), zeros_like(diagonal_of)));
    const Array rhs =
        where(logical_and(used, logical_not(empty)), take(inner[5], none, 1) * length, zeros({k + 1}, dtype));
    const Array y = triangular_solve(triangle, rhs, false);
    const Array x_next = x + precondition(p, matmul(y, inner[3]));
    const Array after = norm2(p.b - p.a(x_next)), stuck = after > 0.9999 * length;
    return Arrays{where(after <= length, x_next, x), inner[1],
                  judged(p, after, where(stuck, code(SolveStatus::NoProgress), kRunning))};
  };
  const Array start = norm2(p.b - p.a(p.x0));
  return finished(p, iterate(p, {p.x0, zero_steps(), judged(p, start, running())}, cycle));
}

using Method = KrylovResult (*)(const KrylovProblem&);
const std::array<std::string, 4> kNames{"cg", "minres", "bicgstab", "gmres"};
constexpr std::array<Method, 4> kMethods{cg, minres, bicgstab, gmres};

}  // namespace

std::span<const std::string> krylov_methods() { return kNames; }
bool is_krylov(std::string_view method) {
  return std::find(kNames.begin(), kNames.end(), method) != kNames.end();
}
bool is_symmetric_method(std::string_view method) { return method == "cg" || method == "minres"; }

KrylovResult krylov(std::string_view method, const KrylovProblem& p) {
  const auto at = std::find(kNames.begin(), kNames.end(), method);
  return kMethods.at(static_cast<size_t>(at - kNames.begin()))(p);
}

}  // namespace hesse::solvers
