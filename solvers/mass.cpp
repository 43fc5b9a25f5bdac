#include "solvers/mass.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/op_table.h"
#include "core/ops.h"
#include "core/ops/control.h"
#include "core/ops/control_graph.h"
#include "solvers/esdirk.h"
#include "solvers/linear.h"
#include "solvers/lists.h"
#include "solvers/outcome.h"
#include "solvers/root.h"
#include "solvers/rosenbrock.h"
#include "solvers/sparse_solve.h"
#include "solvers/split.h"

namespace hesse::solvers {
namespace {

/// Initial values that satisfy the algebraic equations. Inputs: values, IvpStatus, the largest residual and
/// where, how far y0 is from a solution and where.
class MassStarted final : public Completed {
 public:
  std::string_view name() const override { return "ivp_mass_started"; }

 private:
  std::string_view function() const override { return "solve_ivp"; }
  std::string reason(std::span<const Array> x) const override {
    const double residual = x[2].item<double>(), off = x[4].item<double>();
    const std::string what = concat("the largest residual of its algebraic equations, entry ",
                                    x[3].item<int64_t>(), " of what f returns, is ", residual);
    if (!std::isfinite(residual)) return concat("f gives NaN or infinity at the start; ", what);
    if (!std::isfinite(off))
      return concat(
          "the mass matrix is singular, and so is the derivative of the algebraic equations by the "
          "entries of the state that they determine: is the index of the system 1? (",
          what, ")");
    return concat("y0 does not fit the singular mass matrix: ", what, ", and entry ", x[5].item<int64_t>(),
                  " of the state is about ", off,
                  " off, more than the tolerances allow; give y0 that solves them, or use solve_dae, which "
                  "finds a consistent start");
  }
};

const bool registered = (register_ops({listed<MassStarted>()}), true);

const Array& values_of(const Mass& mass) {
  const auto* dense = std::get_if<Array>(&mass);
  return dense ? *dense : std::get<sparse::CSR>(mass).data;
}

// M fits y0 and is made of real, finite numbers. Returns the dtype the state is solved in.
DType check_mass(const Mass& mass, const Arrays& y0, std::string_view method) {
  int64_t n = 0;
  std::optional<DType> real;
  for (size_t i = 0; i < y0.size(); ++i) {
    require<TypeError>(!is_complex(y0[i].dtype()), "solve_ivp: array ", i, " of y0 is ", describe(y0[i]),
                       ", and a mass matrix takes real states; give real and imaginary parts as two arrays");
    require<TypeError>(is_inexact(y0[i].dtype()), "solve_ivp: array ", i, " of y0 is ", describe(y0[i]),
                       ", expected floating numbers; convert it with astype");
    n += y0[i].size();
    real = real ? promote(*real, y0[i].dtype()) : y0[i].dtype();
  }
  require(split_of(method) == Split::None, "solve_ivp: ", method,
          " takes no mass matrix; use Kvaerno5 or Rodas5P, or divide f by it");
  const auto* sparse = std::get_if<sparse::CSR>(&mass);
  const Shape shape = sparse ? Shape{sparse->rows(), sparse->cols()} : std::get<Array>(mass).shape();
  require(shape == Shape{n, n}, "solve_ivp: mass has shape ", shape, ", expected ", Shape{n, n},
          ": a row and a column for each entry of the state, of its arrays one after the other");
  const Array& values = values_of(mass);
  require<TypeError>(!is_complex(values.dtype()) && values.dtype() != kBool && values.dtype() != DType::Key,
                     "solve_ivp: mass has dtype ", values.dtype(), ", expected real numbers");
  if (is_constant(values)) {
    const std::vector<double> all = astype(values, kFloat64).to_vector<double>();
    const auto bad = std::ranges::find_if(all, [](double v) { return !std::isfinite(v); });
    require(bad == all.end(), "solve_ivp: mass holds ", bad == all.end() ? 0 : *bad, " at position ",
            bad - all.begin(), ", expected finite numbers");
  }
  return real.value_or(kFloat64);
}

// [n, n]; of constants a constant, whoever is tracing.
Array dense_of(const Mass& mass, DType dtype) {
  std::optional<StagedRegion> none;
  if (is_constant(values_of(mass))) none.emplace(nullptr);
  const auto* dense = std::get_if<Array>(&mass);
  return astype(dense ? *dense : sparse::todense(std::get<sparse::CSR>(mass)), dtype);
}

double rounding_of(DType dtype, int64_t n) {
  const double eps =
      dtype == kFloat32 ? std::numeric_limits<float>::epsilon() : std::numeric_limits<double>::epsilon();
  return static_cast<double>(std::max<int64_t>(n, 1)) * eps;
}

// r m c with rows and columns of about size 1, so that no unit of an equation or of an entry of the state
// makes a matrix singular (Ruiz, A scaling algorithm to equilibrate both rows and columns norms in matrices,
// 2001); r [n, 1], c [1, n].
struct Equilibrated {
  Array m, r;
};
Equilibrated equilibrated(const Array& m) {
  constexpr int kTimes = 8;  // each takes the root of what is left of the ratio of sizes
  Equilibrated out{m, ones({m.dim(0), 1}, m.dtype())};
  const auto scale = [&](int64_t axis) {
    const Array size = max(abs(out.m), Axes{axis}, true), none = equal(size, 0.0);
    return where(none, ones_like(size), 1.0 / sqrt(where(none, ones_like(size), size)));
  };
  for (int i = 0; i < kTimes; ++i) {
    const Array r = scale(1), c = scale(0);
    out = {r * out.m * c, r * out.r};
  }
  return out;
}

// Whether the pivots of an elimination say that m [n, n] is invertible.
Array is_invertible(const Equilibrated& e) {
  const Array pivots = abs(diagonal(lu(e.m).lu));
  return min(pivots) > 10 * rounding_of(e.m.dtype(), e.m.dim(0)) * max(pivots);
}

// A projector P with P m = 0 whose kernel is what m reaches: r^-1 Q r, where Q is the orthogonal one of r m
// c, of left singular vectors whose values are zero within rounding.
Array unreached(const Equilibrated& e) {
  const SVD s = svd(e.m);
  const Array none = astype(s.s <= rounding_of(e.m.dtype(), e.m.dim(0)) * max(s.s), e.m.dtype());
  return matmul(s.u * none, transpose(s.u)) * transpose(e.r) / e.r;
}

// nullopt: m is known to be invertible.
std::optional<Array> projector(const Array& m_in) {
  if (m_in.size() == 0) return std::nullopt;
  if (m_in.has_data()) {
    const StagedRegion none(nullptr);
    const Equilibrated e = equilibrated(stop_gradient(m_in));
    if (is_invertible(e).item<bool>()) return std::nullopt;
    const Array p = unreached(e);
    if (max(abs(p)).item<double>() == 0) return std::nullopt;
    return p;
  }
  const Equilibrated e = equilibrated(stop_gradient(m_in));
  return stop_gradient(cond(
      is_invertible(e), [&](std::span<const Array>) { return Arrays{zeros_like(e.m)}; },
      [&](std::span<const Array>) { return Arrays{unreached(e)}; }, {})[0]);
}

// As an operand of steps: of a constant that is diagonal only that, which saves most of the work that M is.
Array stored(const Array& m) {
  if (!is_constant(m)) return m;
  const StagedRegion none(nullptr);
  const Array d = diagonal(m);
  return all(equal(m, d * eye(m.dim(0), {}, 0, m.dtype()))).item<bool>() ? d : m;
}

void refuse_singular(const std::optional<Array>& p, std::string_view method) {
  if (!p || !p->has_data()) return;
  const StagedRegion none(nullptr);
  const auto missing = static_cast<int64_t>(std::lround(sum(astype(diagonal(*p), kFloat64)).item<double>()));
  throw ValueError(concat("solve_ivp: the mass matrix is singular, of rank ", p->dim(0) - missing, " of ",
                          p->dim(0), ", and ", method,
                          " needs its inverse; use Rodas5P or Kvaerno5, which solve differential-algebraic "
                          "equations of index 1, or solve_dae"));
}

}  // namespace

bool takes_mass(std::string_view method) {
  return std::ranges::find(rosenbrock_tableaus(), method, &RosenbrockTableau::name) !=
             rosenbrock_tableaus().end() ||
         std::ranges::find(esdirk_tableaus(), method, &EsdirkTableau::name) != esdirk_tableaus().end();
}

SplitRhs over_mass(const SplitRhs& f, const Mass& mass, const Arrays& y0, std::string_view method) {
  constexpr int64_t kFew = 64;
  const DType dtype = check_mass(mass, y0, method);
  const auto* matrix = std::get_if<sparse::CSR>(&mass);
  std::function<Array(const Array&)> solved;
  if (matrix && has_klu() && matrix->rows() > kFew) {
    const sparse::CSR m = matrix->with_data(astype(matrix->data, dtype));
    solved = [m](const Array& b) { return linear_solve(m, b, {.method = "klu"}).x[0]; };
  } else {
    const Array m = dense_of(mass, dtype);
    if (m.has_data()) refuse_singular(projector(m), method);
    solved = [system = Factored(m, Factored::Singular::GivesNaN)](const Array& b) { return system.solve(b); };
  }
  const Rhs by = [f = f.first, solved](const Array& t, std::span<const Array> y) {
    Arrays dy = f(t, y);
    if (dy.size() != y.size()) return dy;  // what `record` says about it
    for (size_t i = 0; i < dy.size(); ++i) {
      if (dy[i].is_weak()) dy[i] = astype(dy[i], y[i].dtype());
      if (aval(dy[i]) != aval(y[i])) return dy;
    }
    const Packing flat("solve_ivp", "y0", {y.begin(), y.end()}, Packing::Empty::IsAllowed);
    return flat.size() == 0 ? dy : flat.unpack(solved(flat.pack(dy)));
  };
  return {by, f.second};
}

void add_mass(Field& field, const Mass& mass, const Arrays& y0, Arrays& operands, std::string_view method) {
  const Array m = dense_of(mass, check_mass(mass, y0, method));
  Arrays more{stored(m)};
  if (const std::optional<Array> p = projector(m)) more.push_back(*p);
  Avals avals = field.graph->input_avals();
  for (const Array& a : more) avals.push_back(aval(a));
  const size_t inputs = avals.size() - more.size();
  field.graph =
      trace_closed([&](std::span<const Array> x) { return field.graph->call(x.first(inputs)); }, avals);
  field.mass = field.num_captures;
  if (more.size() > 1) field.unreached = field.num_captures + 1;
  field.num_captures += more.size();
  append(operands, more);
}

Array Field::times_mass(const Array& x, std::span<const Array> operands) const {
  if (!mass) return x;
  const Array& m = operands[*mass];
  return m.ndim() == 1 ? m * x : matmul(m, x);
}

Array Field::mass_matrix(std::span<const Array> operands, DType dtype) const {
  const Array identity = eye(entries, {}, 0, dtype);
  if (!mass) return identity;
  const Array& m = operands[*mass];
  return m.ndim() == 1 ? m * identity : m;
}

// M v = f and, as P f(t, y(t)) stays 0, P (J v + df/dt) = 0: together (M + P J) v = (I - P) f - P df/dt.
Arrays Field::slopes(const Array& t, std::span<const Array> y, std::span<const Array> operands) const {
  const Arrays f = (*this)(t, y, operands);
  if (!mass || entries == 0) return f;
  const Packing flat = real_state(*this, "a mass matrix");
  Array matrix = mass_matrix(operands, flat.dtype()), right = flat.pack(f);
  if (unreached) {
    const Array& p = operands[*unreached];
    const FieldJacobian jacobian(*this, flat);
    const std::optional<Array> by_time = jacobian.by_time(t, y, operands);
    right = right - matmul(p, by_time ? right + *by_time : right);
    matrix = matrix + matmul(p, jacobian.by_state(t, y, operands));
  }
  return flat.unpack(Factored(matrix, Factored::Singular::GivesNaN).solve(right));
}

namespace {

const ImplicitOptions kByLu{.linear_solver = "lu", .singular = Factored::Singular::GivesNaN};

// y -> M (y - given) + P f(t, y): zero where the algebraic equations hold and M sees no difference to what
// was given.
VectorFn algebraic(const Field& field, const Packing& flat, const Array& t, const Array& given,
                   std::span<const Array> operands) {
  return record(
      "solve_ivp", "y0",
      [&](std::span<const Array> y) {
        const Array off = flat.pack(y) - given;
        return flat.unpack(field.times_mass(off, operands) +
                           matmul(operands[*field.unreached], flat.pack(field(t, y, operands))));
      },
      flat, flat);
}

}  // namespace

// Newton's method, as far as it comes; where there is nothing to be found the next step fails.
Arrays Field::consistent(const Array& t, std::span<const Array> y, std::span<const Array> operands) const {
  if (!unreached) return {y.begin(), y.end()};
  constexpr int64_t kMost = 20;
  const Packing flat = real_state(*this, "a mass matrix");
  const VectorFn equation = algebraic(*this, flat, t, flat.pack(y), operands), fixed = equation.stopped();
  const Array small(100 * rounding_of(flat.dtype(), flat.size()));
  const Array found =
      while_loop([](std::span<const Array> x) { return Arrays{x[2]}; },
                 [&](std::span<const Array> x) {
                   const Factored system(dense_jacobian(fixed, x[0]), Factored::Singular::GivesNaN);
                   const Array step = system.solve(fixed(x[0])), next = x[0] - step;
                   const Array goes_on =
                       logical_and(x[1]<kMost, max_abs(step)> astype(small, flat.dtype()) * max_abs(next));
                   return Arrays{next, x[1] + int64_t{1}, goes_on};
                 },
                 {stop_gradient(flat.pack(y)), Array(int64_t{1}), Array(true)})[0];
  return flat.unpack(implicit_function(equation, found, kByLu));
}

MassStart consistent_start(const Field& field, const Array& t0, const Arrays& y0, const Arrays& operands,
                           bool raise) {
  const auto code = [](IvpStatus s) { return Array(static_cast<int64_t>(s)); };
  const Packing flat = real_state(field, "a mass matrix");
  const Array given = flat.pack(y0), y = stop_gradient(given), t = stop_gradient(t0);
  const Arrays fixed = stopped(operands), state = flat.unpack(y);
  const Array m = field.mass_matrix(fixed, flat.dtype()), &p = fixed[*field.unreached];
  const Array residual = matmul(p, flat.pack(field(t, state, fixed)));
  const Factored system(m + matmul(p, FieldJacobian(field, flat).by_state(t, state, fixed)),
                        Factored::Singular::GivesNaN);
  const Array off = system.solve(-residual);

  const DType real = flat.dtype();
  const double rounding = 100 * rounding_of(real, 1);
  Arrays atol;
  for (size_t j = 0; j < y0.size(); ++j)
    atol.push_back(broadcast_to(astype(fixed[field.num_captures + 1 + j], real), y0[j].shape()));
  const Array scale =
      flat.pack(atol) + astype(fixed[field.num_captures], real) * abs(y) + rounding * max_abs(y);
  const Array apart = max(where(equal(off, 0.0), zeros_like(off), abs(off) / scale));
  const Array status =
      where(apart <= 10.0, code(IvpStatus::Success),
            where(all(isfinite(residual)), code(IvpStatus::Inconsistent), code(IvpStatus::NotFinite)));

  const auto number = [](const Array& x) { return astype(x, kFloat64); };
  const Array start =
      raise ? apply1(the<MassStarted>(), {y, status, number(max_abs(residual)), argmax(abs(residual)),
                                          number(max_abs(off)), argmax(abs(off) / scale)})
            : y;
  const VectorFn equation = algebraic(field, flat, t0, given, operands);
  return {flat.unpack(implicit_function(equation, stop_gradient(start), kByLu)), status};
}

}  // namespace hesse::solvers
