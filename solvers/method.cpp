#include "solvers/method.h"

#include <algorithm>

#include "core/ops.h"
#include "solvers/explicit.h"
#include "solvers/rosenbrock.h"

namespace hesse::solvers {

Array Method::moved(const Array& y, const Array& h, const std::optional<Array>& slope) {
  return slope ? y + astype(h, real_dtype(y.dtype())) * *slope : y;
}

Array Method::position(const Segment& s, const Array& t) {
  const Array width = s.t_end - s.t_begin;
  return (t - s.t_begin) / where(equal(width, 0.0), 1.0, width);
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

const RosenbrockTableau* find_rosenbrock(std::string_view name) {
  const auto& all = rosenbrock_tableaus();
  const auto found = std::ranges::find(all, name, &RosenbrockTableau::name);
  return found == all.end() ? nullptr : &*found;
}

}  // namespace

void check_method(std::string_view name) {
  if (find_explicit_tableau(name) || find_rosenbrock(name)) return;
  std::string known;
  for (const std::string& other : method_names()) known += (known.empty() ? "" : ", ") + other;
  throw ValueError(
      concat("solve_ivp: no method is called '", name, "'; use one of ", known, ", BDF, Adams, ",
                          kSciPyNames));
}

std::unique_ptr<const Method> make_method(std::string_view name, Field field) {
  check_method(name);
  if (const Tableau* tableau = find_explicit_tableau(name)) return make_explicit(*tableau, std::move(field));
  return make_rosenbrock(*find_rosenbrock(name), std::move(field));
}

std::vector<std::string> method_names() {
  std::vector<std::string> out(explicit_methods().begin(), explicit_methods().end());
  for (const RosenbrockTableau& method : rosenbrock_tableaus()) out.push_back(method.name);
  return out;
}

}  // namespace hesse::solvers
