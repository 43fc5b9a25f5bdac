#include "solvers/diagnosis.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <sstream>

#include "core/ops.h"
#include "solvers/ode.h"

namespace hesse::solvers {

std::string describe(IvpCause cause) {
  switch (cause) {
    case IvpCause::None:
      return "it did not give up";
    case IvpCause::Steps:
      return "max_steps attempts did not reach the end";
    case IvpCause::ErrorTest:
      return "the error is above the tolerance however small the step";
    case IvpCause::Equations:
      return "the iteration for the equations of a step does not converge";
    case IvpCause::Singular:
      return "f is finite, but its Jacobian or the matrix of a step is not, or is singular";
    case IvpCause::NotFinite:
      return "f gives NaN or infinity at t";
    case IvpCause::NotFiniteBeyond:
      return "f gives NaN or infinity just beyond t";
    case IvpCause::Precision:
      return "the tolerances are below what the precision allows";
  }
  return "unknown cause";
}

std::string advice(IvpCause cause, double stiffness, bool implicit) {
  // Explicit methods of orders 3 to 8 are stable up to 2.5 to 6 on the negative real axis.
  const bool stiff = stiffness > 1.0;
  switch (cause) {
    case IvpCause::None:
      return "";
    case IvpCause::Steps:
      if (stiff && !implicit)
        return "the steps are as long as stability allows: the problem is stiff; use BDF, Kvaerno5 or "
               "Rodas5P";
      return implicit ? "raise max_steps or the tolerances; many steps of an implicit method are those of "
                        "fast oscillations or of jumps of f"
                      : "the problem is not stiff there: raise max_steps or the tolerances";
    case IvpCause::ErrorTest:
      return "the solution may be singular there, or f jump: end before it with an event, give breakpoints, "
             "or raise rtol or atol of this component";
    case IvpCause::Equations:
      return "f may jump there, or its derivative be wrong: give breakpoints or a smaller first_step";
    case IvpCause::Singular:
      return "look at the derivative of f: a root, logarithm or norm at zero has none; add a small number "
             "inside, or use an explicit method";
    case IvpCause::NotFinite:
    case IvpCause::NotFiniteBeyond:
      return "the state may leave where f is defined: end before it with an event, bound what f takes with "
             "where, or give a smaller max_step";
    case IvpCause::Precision:
      return "raise rtol or atol, or use float64";
  }
  return "";
}

std::string StateNames::of(int64_t array, int64_t entry) const {
  if (array < 0 || entry < 0) return "";
  const auto i = static_cast<size_t>(array);
  if (i >= paths.size())
    return concat("entry ", entry, " of ", array > 0 ? concat("array ", array, " of ") : std::string(),
                  "the state");
  std::string out = "y" + paths[i];
  if (i >= shapes.size() || shapes[i].empty()) return out;
  Dims index(shapes[i].size(), 0);
  int64_t rest = entry;
  for (size_t d = index.size(); d-- > 0;) {
    index[d] = rest % std::max<int64_t>(1, shapes[i][d]);
    rest /= std::max<int64_t>(1, shapes[i][d]);
  }
  for (size_t d = 0; d < index.size(); ++d) out += concat(d == 0 ? "[" : ", ", index[d]);
  return out + "]";
}

Params StateNames::params() const {
  std::string all;
  for (const std::string& path : paths) all += path + '\n';
  Dims dims;  // of each array the number of axes and their lengths
  for (const Shape& shape : shapes) {
    dims.push_back(static_cast<int64_t>(shape.size()));
    for (const int64_t n : shape) dims.push_back(n);
  }
  return {{"paths", all}, {"shapes", dims}};
}

StateNames StateNames::read(const std::string& paths, const Dims& shapes) {
  StateNames out;
  std::istringstream lines(paths);
  for (std::string line; std::getline(lines, line);) out.paths.push_back(line);
  for (size_t at = 0; at < shapes.size();) {
    Shape& shape = out.shapes.emplace_back();
    const size_t end = std::min(at + 1 + static_cast<size_t>(shapes[at]), shapes.size());
    while (++at < end) shape.push_back(shapes[at]);
  }
  return out;
}

Array Diagnosis::stiffness() const { return step * radius; }

namespace {

// "t = 1, step 1e-16; y[0] limits it: ..."
std::string details(const Diagnosis& d) {
  std::string out = concat("t = ", d.t.item<double>(), ", step ", d.step.item<double>());
  const std::string component = d.names.of(d.array.item<int64_t>(), d.entry.item<int64_t>());
  const double excess = d.excess.item<double>(), stiffness = d.stiffness().item<double>();
  const auto cause = static_cast<IvpCause>(d.cause.item<int64_t>());
  if (!component.empty()) {
    out += "; " + component;
    if (cause == IvpCause::NotFinite || cause == IvpCause::NotFiniteBeyond)
      out += " is not finite";
    else
      out += std::isfinite(excess) && (cause == IvpCause::Steps || excess > 1.0)
                 ? concat(" limits it: its error is ", excess, " times its tolerance")
                 : std::string(" limits it");
  }
  if (std::isfinite(stiffness)) out += concat("; step times the spectral radius of df/dy: ", stiffness);
  return out;
}

}  // namespace

std::string explained(const std::string& what, const Diagnosis& d) {
  const auto cause = static_cast<IvpCause>(d.cause.item<int64_t>());
  const std::string try_this = advice(cause, d.stiffness().item<double>(), d.implicit);
  // The words for these statuses say it already.
  const bool known =
      what != describe(cause) &&
      (cause == IvpCause::ErrorTest || cause == IvpCause::NotFinite || cause == IvpCause::NotFiniteBeyond);
  return concat(what, " (", details(d), ")", try_this.empty() || known ? "" : ": ", known ? "" : try_this);
}

std::string describe(const Diagnosis& d) {
  const auto cause = static_cast<IvpCause>(d.cause.item<int64_t>());
  return cause == IvpCause::None ? describe(cause) : explained(describe(cause), d);
}

Arrays Diagnosis::nothing() {
  const auto zero = [](auto v) { return Array::from<decltype(v)>(std::array{v}, {}); };
  return {zero(int64_t{0}), zero(int64_t{0}), zero(int64_t{0}), zero(0.0), zero(0.0)};
}

std::optional<Diagnosis> diagnosis_of(const Solution& s, const Arrays& found, bool implicit,
                                      StateNames names) {
  if (s.status.has_data() && !gave_up(s.status)) return std::nullopt;
  return Diagnosis{
      found[0], stop_gradient(s.t_last), stop_gradient(s.h_last), found[1], found[2], found[3], found[4],
      implicit, std::move(names)};
}

bool gave_up(const Array& status) { return is_diagnosed(static_cast<IvpStatus>(status.item<int64_t>())); }
bool is_diagnosed(IvpStatus status) {
  return status == IvpStatus::TooManySteps || status == IvpStatus::StepTooSmall ||
         status == IvpStatus::NotFinite;
}

}  // namespace hesse::solvers
