#pragma once
#include "core/node.h"
#include "core/op_table.h"
#include "core/ops.h"
#include "core/ops/rows.h"
#include "core/ops/view_slice.h"

/// Equations in batched form on another number of rows than they were recorded for.
namespace hesse {

/// Views, and what is put back into zeros, state the shape of all rows.
inline bool states_shape(const Op& op) {
  const std::string_view name = op.name();
  return name == "reshape" || name == "broadcast_to" || name == "slice" || name == "unslice";
}

/// The shape with `rows` along `axis`, if that is one.
inline Shape with_rows(Shape s, RowAxis axis, int64_t rows) {
  if (axis >= 0) s[static_cast<size_t>(axis)] = rows;
  return s;
}

/// What op gives for operands with other rows; `out` is the shape that this has.
inline Array applied_on_rows(const OpRef& op, Arrays x, const Shape& out) {
  if (!states_shape(*op)) return apply1(op, std::move(x));
  const std::string_view name = op->name();
  if (name == "reshape") return reshape(x[0], out);
  if (name == "broadcast_to") return broadcast_to(x[0], out);
  const Params params = op->params();
  const ReadParams p(params);
  return name == "slice" ? slice_part(x[0], {p["start"], out, p["step"]})
                         : unslice(x[0], out, p["start"], p["step"]);
}

/// Asks ops what they do on one row (Op::on_row), on symbols that nobody sees.
class RowQuestions {
 public:
  RowQuestions() : trace_(make_ref<Trace>()) {}
  RowQuestions(const RowQuestions&) = delete;
  RowQuestions& operator=(const RowQuestions&) = delete;
  ~RowQuestions() { trace_->close(); }
  /// `whole` are the shapes of its operands, `axes` where they have their rows: along an axis, or kShared.
  std::optional<Op::Row> ask(const Op& op, std::span<const Aval> whole, std::span<const RowAxis> axes) const {
    Arrays x;
    for (size_t i = 0; i < whole.size(); ++i)
      x.push_back(
          trace_->symbol({axes[i] < 0 ? whole[i].shape : in_row(whole[i].shape, axes[i]), whole[i].dtype}));
    return op.on_row(x, axes, whole);
  }

 private:
  Ref<Trace> trace_;
};

/// Whether that holds for some number of rows: axes say where operands and result have them.
inline bool fits_other_rows(const Op& op, Avals x, std::span<const RowAxis> axes, const Aval& out,
                            RowAxis out_axis) {
  if (op.has_effect()) return false;
  if (states_shape(op)) return true;
  if (!op.is_view() && !op.has_lane_kernel()) return false;
  constexpr int64_t kSome = 3;
  for (size_t i = 0; i < x.size(); ++i) x[i].shape = with_rows(x[i].shape, axes[i], kSome);
  try {
    return op.infer(x) == Avals{{with_rows(out.shape, out_axis, kSome), out.dtype}};
  } catch (const ValueError&) {  // it states a number of rows
    return false;
  }
}

}  // namespace hesse
