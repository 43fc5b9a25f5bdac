#include "solvers/sundials/operands.h"

#include <cmath>

#include "core/status.h"
#include "solvers/sundials/guard.h"

namespace hesse::solvers::sundials {
namespace {
Array vector_of(std::span<const double> x) {
  return Array::from<double>(x, {static_cast<int64_t>(x.size())});
}
}  // namespace

Numbers::Numbers(std::span<const Array> x)
    : t0(x[operand::t0].item<double>()),
      times(x[operand::times].to_vector<double>()),
      y0(x[operand::y0].to_vector<double>()),
      atol(x[operand::atol].to_vector<double>()),
      status(static_cast<IvpStatus>(x[operand::status].item<int64_t>())) {
  settings.rtol = x[operand::rtol].item<double>();
  settings.atol = atol;
  settings.first_step = x[operand::first_step].item<double>();
  settings.max_step = x[operand::max_step].item<double>();
}

Arrays counts_of(const Report& r) {
  return {whole_of(static_cast<int64_t>(r.status)),
          whole_of(r.accepted),
          whole_of(r.rejected),
          whole_of(r.evaluations),
          whole_of(r.factorisations),
          scalar_of(r.t),
          scalar_of(r.h),
          as_numbers(r)};
}

Avals counts_avals() {
  const Aval count{{}, kInt64}, time{{}, kFloat64};
  return {count, count, count, count, count, time, time, kFound};
}

void put_diagnosis(Solution& out, std::span<const Array> counts, const Reporting& how) {
  if (!how.raise)
    out.diagnosis = diagnosis_of(out, found(counts[kNumSolutionCounts], how.names), how.implicit, how.names);
}

Solution steps_solution(const Numbers& in, const Reporting& how,
                        const std::function<Report(const Emit&)>& solve) {
  const size_t size = in.y0.size();
  std::vector<double> t, y;
  const Report r = solved(in, [&] {
    return solve([&](double at, const double* state) {
      t.push_back(at);
      y.insert(y.end(), state, state + size);
    });
  });
  {
    const FailureScope failures;
    report_solve(how.function, "", r, how.names, how.implicit, how.raise);
    failures.raise_if_failed();
  }
  Solution out;
  out.t = vector_of(t);
  out.y = {Array::from<double>(y, {static_cast<int64_t>(t.size()), static_cast<int64_t>(size)})};
  const Arrays counts = counts_of(r);
  put_counts(out, counts);
  put_diagnosis(out, counts, how);
  return out;
}

Arrays gradients_of(const Numbers& in, const Reporting& how, const FlatParameters& p,
                    const std::function<Report(std::span<double>, std::span<double>)>& solve) {
  std::vector<double> state(in.y0.size()), gradient(static_cast<size_t>(p.size()));
  const Report r = solved(in, [&] { return solve(state, gradient); });
  if (r.status != IvpStatus::Success) {
    std::fill(state.begin(), state.end(), NAN);
    std::fill(gradient.begin(), gradient.end(), NAN);
    report_solve(how.function, "the adjoint: ", r, how.names, how.implicit, how.raise);
  }
  Arrays out{vector_of(state)};
  if (!p.avals().empty())
    for (const Array& g : p.arrays(vector_of(gradient))) out.push_back(g);
  return out;
}

}  // namespace hesse::solvers::sundials
