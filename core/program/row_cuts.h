#pragma once
#include "core/program/row_spaces.h"

namespace hesse {

/// Where several spaces of rows can be cut so that no link crosses a cut: the rows before it in one space
/// meet only rows before it in the others. Each cut has a row of every space; the first is 0, the last the
/// number of rows. nullopt where an index is out of range, where a pattern leaves entries out, or where more
/// than `most` rows of a space hang together. Takes time in proportion to the number of links.
std::optional<std::vector<Dims>> row_cuts(const Dims& counts, std::span<const RowSpaces::IndexLink> indices,
                                          std::span<const RowSpaces::PatternLink> patterns,
                                          std::span<const Array> operands, int64_t most);

}  // namespace hesse
