#pragma once
#include "core/op.h"

namespace hesse {

/// A gather, a sum over segments or a product with a sparse matrix on a range of rows of every space of a
/// group (core/program/grouped_rows.h): only within the tiles of groups, which run it. Its operands have as
/// many rows as a group; its indices are those of all rows.
class LinkedRows final : public Op {
 public:
  /// Where an operand or the result has the rows of a space: its number, and how many rows it has in all.
  /// Operands that are whole, or not found by index, have none; nor has a result that is a sum over all rows.
  struct Space {
    int number = -1;
    int64_t rows = 0;
  };
  /// range: the space of the rows that the op is asked for, by its number. of_group: the result, with the
  /// rows of a group.
  LinkedRows(OpRef op, std::vector<Space> operands, Space result, int range, Aval of_group)
      : op_(std::move(op)),
        operands_(std::move(operands)),
        result_(result),
        range_(range),
        of_group_(std::move(of_group)) {}

  std::string_view name() const override { return "linked_rows"; }
  Params params() const override;
  Avals infer(std::span<const Aval>) const override { return {of_group_}; }
  MaybeArrays jvp(std::span<const Array>, std::span<const Array>, std::span<const MaybeArray>) const override;
  bool is_linear_in(const std::vector<bool>&) const override { return false; }
  double flops(std::span<const Aval>, std::span<const Aval>) const override { return 0; }

  static constexpr size_t kMostOperands = 8;
  /// Whether the result may be added to what is there, as sums over all rows are.
  bool can_add() const { return result_.number < 0; }
  /// Runs the op on rows begin[s] up to begin[s] + count[s] of every space s; x (which it may change) and out
  /// are those of the group, and so many of their rows are there.
  void run(std::span<View> x, const View& out, const int64_t* begin, const int64_t* count, bool add) const;

 private:
  OpRef op_;
  std::vector<Space> operands_;
  Space result_;
  int range_;
  Aval of_group_;
};

/// The op as one of these, or null.
inline const LinkedRows* linked_rows(const Op& op) { return dynamic_cast<const LinkedRows*>(&op); }

}  // namespace hesse
