#pragma once
#include "core/ops/control.h"

namespace hesse {

/// A map with what its examples share taken out: equations that read no example's own values run once, before
/// it, and a sum over examples moves outwards through what is linear,
///     sum(a + b) = sum(a) + sum(b),  sum(u * a) = u * sum(a) for u the same in all examples,
/// so that its factors are applied once, after it. Dead operands vanish. What is left inside differs between
/// examples, and every result does. A sum of outer products stays one: the executor forms it as one product.
///
/// nullopt where nothing is to be taken out.
std::optional<Arrays> map_without_shared(const Graph& body, int64_t n, const Arrays& operands,
                                         const std::vector<Access>& access,
                                         const std::vector<Result>& results, const Arrays& indices);

/// The map as one equation.
Arrays map_inside(const Ref<const Graph>& body, int64_t n, const Arrays& operands,
                  const std::vector<Access>& access, const std::vector<Result>& results,
                  const Arrays& indices);

/// What a map equation is made of; null for other ops.
struct MapParts {
  Ref<const Graph> body;
  int64_t n;
  std::vector<Access> access;
  std::vector<Result> results;
};
const MapParts* map_parts(const Op& op);
/// What runs it; null for other ops.
class MapProgram;
const MapProgram* map_program(const Op& op);

/// A value that is a sum of products [m, k] x [k, n] of floating matrices with small k, with nothing else
/// reading its parts: weight gradients, most with k = 1. Summed over examples it is one product over them and
/// over k, and is not formed.
struct OuterSum {
  std::vector<std::pair<int, int>> terms;  ///< the factors
  std::vector<int> unformed;               ///< the products and their sums
};
/// `varies`: whether a value differs between examples, as both factors must; `producer`: the equation of
/// every value or -1; `uses`: how often it is read or given out.
std::optional<OuterSum> outer_sum(const Graph& g, int value, const std::vector<bool>& varies,
                                  const std::vector<int>& producer, const std::vector<int>& uses);
/// For every value the equation that makes it, or -1; and how often it is read or given out.
std::pair<std::vector<int>, std::vector<int>> producers_and_uses(const Graph& g);

}  // namespace hesse
