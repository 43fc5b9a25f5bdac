#pragma once
#include <optional>
#include <string>

#include "core/op.h"
#include "core/op_table.h"
#include "solvers/sundials/operands.h"

/// The ops that solve with CVODES and ARKODE. Their operands are those of solvers/sundials/operands.h, then
/// breakpoints [2, b] (the numbers just before and just behind each, NaN for none) and p... `cvode` gives y
/// [n, N], NaN after a failure; status, accepted, rejected, evaluations, factorisations (int64); t_last,
/// h_last; why it failed, [4]. `cvode_adjoint` takes c [n, N] besides and gives the gradient of <c, y> with
/// respect to y0 and to the p that are wanted. Both are closed under differentiation (solvers/solution_op.h).
namespace hesse::solvers::sundials {

namespace cvode_operand {
enum : size_t { breaks = operand::more, parameters };
}

struct CvodeOptions {
  std::string method = "BDF", linear_solver = "auto";
  int64_t max_steps = 100000;
  bool raise = true;      ///< whether giving up is reported
  StateNames names = {};  ///< of the entries of the state, for messages
  /// Of "ARKODE_IMEX": what is treated explicitly and what implicitly; the field is their sum.
  std::vector<Ref<const Graph>> parts = {};
  std::shared_ptr<Reporter> reporter = {};  ///< told how far a solve is; derivatives tell nobody
  bool is_implicit() const { return method != "Adams" && method != "ARKODE_ERK"; }
  Reporting reporting() const { return {"solve_ivp", names, is_implicit(), raise}; }
  /// The same without a reporter.
  CvodeOptions silent() const { return {method, linear_solver, max_steps, raise, names, parts, {}}; }
};

/// As parameters of an op, and back.
Params params_of(const CvodeOptions& options);
CvodeOptions read_options(const ReadParams& p);

/// A field and its parts.
struct CvodeFields {
  CvodeFields(Ref<const Graph> graph, const CvodeOptions& options, std::vector<bool> wanted = {});
  FlatField all;
  std::optional<FlatField> explicit_part, implicit_part;
};

/// A problem in numbers, from its operands. `adjoint`: as its adjoint is solved, by BDF where the method is
/// implicit, else by Adams.
struct CvodeNumbers final : Numbers {
  CvodeNumbers(const CvodeFields& fields, const CvodeOptions& options, std::span<const Array> x,
               bool adjoint = false);
  Problem problem() const { return {field, settings, t0, y0, p, explicit_part, breaks}; }
  const FlatField& field;
  const FlatField* explicit_part;
  std::span<const Array> p;
  std::vector<Break> breaks;
};

/// `field`: (t, y [N], p...) -> dy [N].
OpRef cvode_op(Ref<const Graph> field, const CvodeOptions& options);

/// The state at t0 and after every step to t1: operands as above, those with data. `polynomials` takes those
/// of the steps; null: nobody.
Solution cvode_steps(const Ref<const Graph>& field, const CvodeOptions& options, const Arrays& operands,
                     const Array& t1, Polynomials* polynomials = nullptr);

}  // namespace hesse::solvers::sundials
