#pragma once
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "core/graph.h"

/// Which entries of a Jacobian can differ from zero, read off the graph of the function.
namespace hesse {

/// The places of a sparse matrix in compressed rows: row r has the columns columns[starts[r]] up to
/// columns[starts[r + 1]], which ascend.
struct Pattern {
  int64_t rows = 0, cols = 0;
  std::vector<int64_t> starts{0}, columns;
  int64_t nnz() const { return static_cast<int64_t>(columns.size()); }
  bool operator==(const Pattern&) const = default;
};
Pattern transposed(const Pattern& p);
/// The places that are in p and in its transpose: the pattern of a symmetric matrix of which p has all
/// places. p is square.
Pattern symmetric_part(const Pattern& p);
/// The largest column - row and row - column of a place, at least 0.
std::pair<int64_t, int64_t> bandwidths(const Pattern& p);

/// The places of d(outputs)/d(inputs marked), a row for every entry of the outputs and a column for every
/// entry of the marked inputs, each flattened and one after another. What is not in it is zero at all values
/// of the inputs; what is in it need not differ from zero. Exact for entrywise operations, views, indexing
/// with constant indices, sums, gathers and sums of segments, sparse products, and maps, loops and branches
/// of these; for matrix products, decompositions, sorting, Fourier transforms and the like, and for indices
/// that depend on inputs, all entries along the axes that they join count as connected; for solvers and
/// unknown operations that join all, every entry counts.
/// nullopt where there are more than `most` places.
std::optional<Pattern> jacobian_pattern_within(int64_t most, const Graph& g, const std::vector<bool>& marked);
/// p with the places of its diagonal. p is square.
Pattern with_diagonal(const Pattern& p);

}  // namespace hesse
