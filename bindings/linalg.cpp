#include "bindings/bindings.h"
#include "bindings/convert.h"
#include "bindings/docs_linalg.h"

/// hesse._hesse.linalg: batched over leading axes; tuples get their names in hesse/linalg.py.
namespace hesse::python {

using namespace py::literals;

void init_linalg(py::module_& m) {
  py::module_ l = m.def_submodule("linalg");
  define_heavy(
      l, "cholesky", [](const Array& x, bool upper) { return cholesky(x, upper); }, "x"_a, py::pos_only(),
      py::kw_only(), "upper"_a = false, text(docs::kCholesky));
  define_heavy(
      l, "solve", [](const Array& a, const Array& b) { return solve(a, b); }, "x1"_a, "x2"_a, py::pos_only(),
      text(docs::kSolve));
  define_heavy(
      l, "triangular_solve",
      [](const Array& a, const Array& b, bool lower, bool transpose, bool unit) {
        return triangular_solve(a, b, lower, transpose, unit);
      },
      "x1"_a, "x2"_a, py::pos_only(), py::kw_only(), "lower"_a = true, "transpose"_a = false,
      "unit_diagonal"_a = false, text(docs::kTriangularSolve));
  define_heavy(
      l, "lu",
      [](const Array& x) {
        const LU f = lu(x);
        return std::make_tuple(f.lu, f.pivots, f.permutation);
      },
      "x"_a, py::pos_only(), "Packed LU factors, pivots and the row permutation.");
  define_heavy(
      l, "qr", [](const Array& x, const std::string& mode) { return qr(x, mode); }, "x"_a, py::pos_only(),
      py::kw_only(), "mode"_a = "reduced", "Orthonormal and triangular factors; mode: reduced or complete.");
  define_heavy(
      l, "eigh", [](const Array& x) { return eigh(x); }, "x"_a, py::pos_only(),
      "Eigenvalues, ascending, and eigenvectors of a Hermitian matrix.");
  define_heavy(
      l, "eigvalsh", [](const Array& x) { return eigvalsh(x); }, "x"_a, py::pos_only(),
      text(docs::kEigvalsh));
  define_heavy(
      l, "svd",
      [](const Array& x, bool full_matrices) {
        const SVD f = svd(x, full_matrices);
        return std::make_tuple(f.u, f.s, f.vh);
      },
      "x"_a, py::pos_only(), py::kw_only(), "full_matrices"_a = true, "The singular value decomposition.");
  define_heavy(
      l, "svdvals", [](const Array& x) { return svdvals(x); }, "x"_a, py::pos_only(), text(docs::kSvdvals));
  define_heavy(
      l, "det", [](const Array& x) { return det(x); }, "x"_a, py::pos_only(), text(docs::kDet));
  define_heavy(
      l, "slogdet", [](const Array& x) { return slogdet(x); }, "x"_a, py::pos_only(),
      "Sign and logarithm of the absolute value of the determinant.");
  define_heavy(
      l, "inv", [](const Array& x) { return inv(x); }, "x"_a, py::pos_only(), text(docs::kInv));
  define_heavy(
      l, "pinv", [](const Array& x, std::optional<double> rtol) { return pinv(x, rtol.value_or(-1.0)); },
      "x"_a, py::pos_only(), py::kw_only(), "rtol"_a = py::none(), text(docs::kPinv));
  define(
      l, "norm",
      [](const Array& x, const OptAxes& axis, const std::variant<double, std::string>& ord, bool keepdims) {
        return norm(x, axis, ord, keepdims);
      },
      "x"_a, py::pos_only(), py::kw_only(), "axis"_a = py::none(), "ord"_a = 2.0, "keepdims"_a = false,
      text(docs::kNorm));
  define_heavy(
      l, "matrix_power", [](const Array& x, int64_t n) { return matrix_power(x, n); }, "x"_a, "n"_a,
      py::pos_only(), text(docs::kMatrixPower));
}

}  // namespace hesse::python
