#include "solvers/method.h"

#include <algorithm>

#include "core/ops.h"
#include "solvers/cvode.h"
#include "solvers/esdirk.h"
#include "solvers/explicit.h"
#include "solvers/imex.h"
#include "solvers/rosenbrock.h"
#include "solvers/switching.h"
#include "solvers/symplectic.h"

namespace hesse::solvers {

Array Method::moved(const Array& y, const Array& h, const std::optional<Array>& slope) {
  return slope ? y + astype(h, real_dtype(y.dtype())) * *slope : y;
}

Array Method::position(const Segment& s, const Array& t) {
  const Array width = s.t_end - s.t_begin;
  return (t - s.t_begin) / where(equal(width, 0.0), 1.0, width);
}

Array Method::quartic(const Nodes& n, const Segment& s, const Array& t) {
  const DType real = real_dtype(n.end.dtype());
  const Array x = astype(position(s, t), real), h = astype(s.t_end - s.t_begin, real);
  const Array rise = n.end - n.begin, middle = n.middle - n.begin;
  const Array first = h * n.slope_begin, last = h * n.slope_end;
  const Array c2 = 16.0 * middle - 5.0 * rise - 4.0 * first + last;
  const Array c3 = 14.0 * rise - 32.0 * middle + 5.0 * first - 3.0 * last;
  const Array c4 = 16.0 * middle - 8.0 * rise - 2.0 * first + 2.0 * last;
  const Array inside = n.begin + x * (first + x * (c2 + x * (c3 + x * c4)));
  return where(equal(t, s.t_end), n.end + astype(t - s.t_end, real) * n.slope_end, inside);
}

Array Method::cubic_middle(const Array& begin, const Array& end, const Array& h, const Array& slope_begin,
                           const Array& slope_end) {
  return 0.5 * (begin + end) + 0.125 * astype(h, real_dtype(begin.dtype())) * (slope_begin - slope_end);
}

std::optional<Array> combined(const std::vector<Arrays>& x, std::span<const double> w, size_t j) {
  std::optional<Array> out;
  for (size_t i = 0; i < w.size() && i < x.size(); ++i) {
    if (w[i] == 0) continue;
    const Array term = w[i] == 1 ? x[i][j] : w[i] * x[i][j];
    out = out ? *out + term : term;
  }
  return out;
}

namespace {

template <class T>
const T* named(const std::vector<T>& all, std::string_view name) {
  const auto found = std::ranges::find(all, name, &T::name);
  return found == all.end() ? nullptr : &*found;
}

}  // namespace

void check_method(std::string_view name) {
  if (name == "auto" || find_explicit_tableau(name) || named(rosenbrock_tableaus(), name) ||
      named(esdirk_tableaus(), name) || named(additive_tableaus(), name) || named(compositions(), name))
    return;
  std::string known;
  for (const std::string& other : method_names()) known += (known.empty() ? "" : ", ") + other;
  throw ValueError(concat("solve_ivp: no method is called '", name, "'; use one of auto, ", known, ", ",
                          kSundialsNames, ", ", kSciPyNames));
}

std::unique_ptr<const Method> make_method(std::string_view name, Field field) {
  check_method(name);
  if (name == "auto") return make_switching(std::move(field));
  if (const Tableau* tableau = find_explicit_tableau(name)) return make_explicit(*tableau, std::move(field));
  if (const EsdirkTableau* tableau = named(esdirk_tableaus(), name))
    return make_esdirk(*tableau, std::move(field));
  if (const EsdirkTableau* tableau = named(additive_tableaus(), name))
    return make_esdirk(*tableau, std::move(field));
  if (const Composition* composition = named(compositions(), name))
    return make_symplectic(*composition, std::move(field));
  return make_rosenbrock(*named(rosenbrock_tableaus(), name), std::move(field));
}

std::vector<std::string> method_names() {
  std::vector<std::string> out(explicit_methods().begin(), explicit_methods().end());
  for (const RosenbrockTableau& method : rosenbrock_tableaus()) out.push_back(method.name);
  for (const EsdirkTableau& method : esdirk_tableaus()) out.push_back(method.name);
  for (const EsdirkTableau& method : additive_tableaus()) out.push_back(method.name);
  for (const Composition& method : compositions()) out.push_back(method.name);
  return out;
}

}  // namespace hesse::solvers
