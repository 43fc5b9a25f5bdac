#pragma once
#include <memory>

#include "core/program/strided_tiles.h"

namespace hesse {

/// Runs a graph of so many rows on n of them, chunk by chunk; only within programs. Operands and results have
/// their rows along axis 0, or none: those that all rows share, and sums over rows. Chunks run in parallel;
/// sums are added up over fixed groups of them in a fixed order, so the bits do not depend on threads.
class ChunkedRows final : public Op {
 public:
  struct Parts {
    Ref<const Graph> chunk;  ///< of `rows` rows
    Ref<const Graph> rest;   ///< of the n % rows left; null if there are none
    int64_t n = 0, rows = 0;
    std::vector<bool> by_row;  ///< by operand: it has rows
    std::vector<bool> summed;  ///< by result: it is a sum over rows
  };
  explicit ChunkedRows(Parts parts);

  std::string_view name() const override { return "row_chunks"; }
  Params params() const override;
  Avals infer(std::span<const Aval>) const override;
  Arrays eval(std::span<const Array> x) const override;
  MaybeArrays jvp(std::span<const Array>, std::span<const Array>, std::span<const MaybeArray>) const override;
  bool is_linear_in(const std::vector<bool>&) const override { return false; }
  double flops(std::span<const Aval> x, std::span<const Aval> out) const override;

  const Parts& parts() const { return parts_; }

 private:
  /// A graph of `rows` rows, and how it is laid out.
  struct Form {
    Form(const Ref<const Graph>& g, const std::vector<bool>& summed);
    const Graph& graph;
    StridedTiles tiles;
  };
  struct Run;
  void run_group(const Run& run, int64_t first, int64_t last, const Arrays& sums) const;
  Arrays equation_by_equation(std::span<const Array> x, Arrays out) const;

  Parts parts_;
  Form whole_;
  std::unique_ptr<Form> rest_;  // null where no rows are left
};

/// The op as one of these, or null.
inline const ChunkedRows* chunked_rows(const Op& op) { return dynamic_cast<const ChunkedRows*>(&op); }

}  // namespace hesse
