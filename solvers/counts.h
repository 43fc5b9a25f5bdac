#pragma once
#include "solvers/lists.h"
#include "solvers/ode.h"

/// What a solution says of how it was found, as results of an op.
namespace hesse::solvers {

/// Status, accepted, rejected, evaluations, factorisations, t_last, h_last.
inline constexpr size_t kNumSolutionCounts = 7;
inline Arrays counts_of(const Solution& s) {
  return {s.status, s.accepted, s.rejected, s.evaluations, s.factorisations, s.t_last, s.h_last};
}
inline void put_counts(Solution& out, std::span<const Array> counts) {
  out.status = counts[0];
  out.accepted = counts[1];
  out.rejected = counts[2];
  out.evaluations = counts[3];
  out.factorisations = counts[4];
  out.t_last = counts[5];
  out.h_last = counts[6];
}

/// All that has no derivative: the counts, implicit_steps and what Diagnosis found, where a solution has
/// them.
inline Arrays facts_of(const Solution& s) {
  Arrays out = counts_of(s);
  if (s.implicit_steps) out.push_back(*s.implicit_steps);
  if (s.diagnosis) append(out, s.diagnosis->found());
  return out;
}
/// `like`: a solution of the same problem.
inline void put_facts(Solution& out, std::span<const Array> facts, const Solution& like) {
  put_counts(out, facts);
  size_t at = kNumSolutionCounts;
  if (like.implicit_steps) out.implicit_steps = facts[at++];
  if (!like.diagnosis) return;
  const std::span<const Array> found = facts.subspan(at);
  out.diagnosis =
      diagnosis_of(out, {found.begin(), found.end()}, like.diagnosis->implicit, like.diagnosis->names);
}

}  // namespace hesse::solvers
