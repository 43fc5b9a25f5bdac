#include "solvers/split.h"

#include <algorithm>

#include "core/ops.h"
#include "solvers/imex.h"
#include "solvers/symplectic.h"

namespace hesse::solvers {
namespace {

template <class Table>
bool holds(const Table& all, std::string_view name) {
  return std::ranges::any_of(all, [&](const auto& method) { return method.name == name; });
}

void check_halves(const Arrays& y0, std::string_view method) {
  const size_t m = y0.size() / 2;
  require(y0.size() % 2 == 0, "solve_ivp: ", method, " takes a state (q, p), and y0 holds ", y0.size(),
          " arrays, not as many of q as of p");
  for (size_t i = 0; i < m; ++i)
    require(y0[i].shape() == y0[m + i].shape() && y0[i].dtype() == y0[m + i].dtype(), "solve_ivp: ", method,
            " takes a state (q, p), and array ", i, " of q is ", describe(y0[i]), ", that of p ",
            describe(y0[m + i]));
}

// A function of one half of the state, as one of the whole: what it returns belongs to the other half.
Rhs of_half(const Rhs& f, bool of_first) {
  return [&f, of_first](const Array& t, std::span<const Array> y) {
    const size_t m = y.size() / 2;
    Arrays out, none;
    for (const Array& a : y.first(m)) none.push_back(zeros_like(a));
    const Arrays part = f(t, of_first ? y.first(m) : y.subspan(m));
    for (const Arrays* half : {of_first ? &none : &part, of_first ? &part : &none})
      out.insert(out.end(), half->begin(), half->end());
    return out;
  };
}

}  // namespace

Split split_of(std::string_view method) {
  if (holds(additive_tableaus(), method) || method == "ARKODE_IMEX") return Split::Sum;
  return holds(compositions(), method) ? Split::Halves : Split::None;
}

Field record(const SplitRhs& f, std::string_view method, const Arrays& y0, Arrays& captures) {
  const Split split = split_of(method);
  if (split == Split::None) {
    require(
        !f.second, "solve_ivp: f is a pair, and ", method,
        " takes one function; ARK3, ARK4, ARK5 and ARKODE_IMEX take (explicit part, implicit part), Leapfrog "
        "and the other symplectic methods (dq/dt of p, dp/dt of q)");
    return record(f.first, y0, captures);
  }
  require(static_cast<bool>(f.second), "solve_ivp: ", method, " takes f as a pair of functions, ",
          split == Split::Sum ? "(explicit part, implicit part), whose sum is dy/dt"
                              : "(dq/dt of p, dp/dt of q), for a state (q, p)");
  if (split == Split::Halves) check_halves(y0, method);
  Arrays used;
  const Field first = record(split == Split::Sum ? f.first : of_half(f.first, false), y0, used);
  const Field second = record(split == Split::Sum ? f.second : of_half(f.second, true), y0, used);

  // Both as functions of the captures of both.
  Field out = first;
  out.num_captures = used.size();
  Avals avals{{{}, out.time}};
  for (const Array& y : y0) avals.push_back(aval(y));
  for (const Array& a : used) avals.push_back(aval(a));
  const size_t at = 1 + y0.size();
  const auto call = [&](const Field& part, std::span<const Array> x) {
    const size_t skipped = &part == &first ? 0 : first.num_captures;
    return part(x[0], x.subspan(1, y0.size()), x.subspan(at + skipped));
  };
  for (const Field* part : {&first, &second})
    out.parts.push_back(trace_closed([&](std::span<const Array> x) { return call(*part, x); }, avals));
  out.graph = trace_closed(
      [&](std::span<const Array> x) {
        const Arrays a = call(first, x), b = call(second, x);
        if (split == Split::Sum) {
          Arrays sum;
          for (size_t i = 0; i < a.size(); ++i) sum.push_back(a[i] + b[i]);
          return sum;
        }
        Arrays halves(a.begin(), a.begin() + static_cast<int64_t>(a.size() / 2));
        halves.insert(halves.end(), b.begin() + static_cast<int64_t>(b.size() / 2), b.end());
        return halves;
      },
      avals);
  captures.insert(captures.end(), used.begin(), used.end());
  return out;
}

}  // namespace hesse::solvers
