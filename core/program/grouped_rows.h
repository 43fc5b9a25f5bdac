#pragma once
#include <atomic>
#include <memory>
#include <mutex>

#include "core/program/row_spaces.h"

namespace hesse {

class Prepared;

/// Runs a graph that works on several spaces of rows, linked by indices, for groups of rows that no link
/// leaves: a few molecules of a batch at a time, with their atoms and edges. Only within programs. What lies
/// between equations is of the size of a group, and nothing of it is stored for all rows. Groups are cut at
/// every run by the indices it is given; their sums are added up over fixed sets of them in a fixed order, so
/// the bits do not depend on threads. Without cuts that leave groups small, all rows run at once.
class GroupedRows final : public Op {
 public:
  struct Parts {
    Ref<const Graph> whole;                         ///< on all rows
    std::vector<RowSpaces::Member> members;         ///< its equations
    Dims counts;                                    ///< rows, by space
    std::vector<RowSpaces::IndexLink> index_links;  ///< of values of `whole`, inputs or constants
    std::vector<RowSpaces::PatternLink> pattern_links;
  };
  explicit GroupedRows(Parts parts);
  ~GroupedRows() override;

  std::string_view name() const override { return "row_groups"; }
  Params params() const override;
  Avals infer(std::span<const Aval>) const override { return parts_.whole->output_avals(); }
  Arrays eval(std::span<const Array> x) const override;
  MaybeArrays jvp(std::span<const Array>, std::span<const Array>, std::span<const MaybeArray>) const override;
  bool is_linear_in(const std::vector<bool>&) const override { return false; }
  double flops(std::span<const Aval>, std::span<const Aval>) const override { return parts_.whole->flops(); }

  const Parts& parts() const { return parts_; }
  /// How many groups the last run had; 0: all rows ran at once, or there was none.
  int64_t last_groups() const { return last_groups_; }

 private:
  /// A value of `whole` that is given, and the rows it is met by.
  struct Operand {
    int value;
    RowSpaces::Label rows;
    bool operator==(const Operand&) const = default;
  };
  struct Form;
  struct Run;
  std::vector<Dims> groups_of(std::span<const Array> given) const;
  std::shared_ptr<const Form> form_for(const std::vector<Dims>& cuts) const;
  Aval of_group(int v, const RowSpaces::Label& label, const Dims& most) const;
  Arrays linked(const RowSpaces::Member& m, const Graph::Equation& eq, const Arrays& x,
                const Dims& most) const;
  Ref<const Graph> recorded_for(const Dims& most) const;
  bool lay_out(Run& run, const Arrays& given) const;
  void run_set(const Run& run, size_t first, size_t last, const Arrays& sums) const;

  Parts parts_;
  std::vector<Operand> operands_;
  std::vector<RowSpaces::Label> results_;  // by output: summed ones have none
  Dims row_bytes_;                         // by space: of the largest value
  std::unique_ptr<const Prepared> at_once_;
  mutable std::mutex mutex_;
  mutable std::shared_ptr<const Form> form_;
  mutable std::atomic<bool> fits_{true};  // groups are as good as what they were recorded from
  mutable std::atomic<int64_t> last_groups_{0};
};

/// The op as one of these, or null.
inline const GroupedRows* grouped_rows(const Op& op) { return dynamic_cast<const GroupedRows*>(&op); }

}  // namespace hesse
