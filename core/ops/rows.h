#pragma once
#include "core/op.h"

/// What `Op::on_row` of many ops is made of.
namespace hesse {

/// A position among the axes, counted without the axis of rows (which it is not).
inline int64_t axis_in_row(int64_t axis, RowAxis rows) { return axis > rows ? axis - 1 : axis; }

/// `d` without its entry for the axis of rows.
inline Dims in_row(const Dims& d, RowAxis rows) {
  Dims out = d;
  out.erase(static_cast<size_t>(rows));
  return out;
}

/// The axis that all operands have their rows along; nullopt where they differ, or where rows are entries.
inline std::optional<RowAxis> common_axis(std::span<const RowAxis> axes) {
  for (const RowAxis a : axes)
    if (a < 0 || a != axes[0]) return std::nullopt;
  return axes[0];
}

/// `on_row` of an op that works along one axis and leaves the others alone: `along(axis)` is the op for that
/// axis. `gone`: whether the result has no such axis.
template <class Along>
std::optional<Op::Row> on_row_along(std::span<const Array> x, std::span<const RowAxis> axes, int64_t axis,
                                    Along along, bool gone = false) {
  const auto rows = common_axis(axes);
  if (!rows || *rows == axis) return std::nullopt;
  return Op::Row{apply1(along(axis_in_row(axis, *rows)), Arrays(x.begin(), x.end())),
                 gone && *rows > axis ? *rows - 1 : *rows};
}

}  // namespace hesse
