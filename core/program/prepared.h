#pragma once
#include <mutex>

#include "core/program/block.h"
#include "core/program/collapse.h"
#include "core/program/few_rows.h"
#include "core/program/fuse.h"
#include "core/program/kept_steps.h"
#include "core/program/low_rank.h"
#include "core/program/rewrite.h"
#include "core/program/row_chunks.h"
#include "core/program/row_groups.h"
#include "core/program/scaled_rows.h"
#include "core/program/sums_inside.h"
#include "core/program/turned_products.h"
#include "core/program/unroll.h"

namespace hesse {

/// The program of a graph, before its small equations are laid out.
inline Ref<const Graph> planned(const Ref<const Graph>& g, bool in_groups = true) {
  const Ref<const Graph> whole = with_turned_products(
      with_few_rows(with_scaled_rows(unrolled(merged(with_prepared_loops(expanded(g)))))));
  return with_kept_steps(with_low_rank_products(
      collapsed(with_sums_inside(fused(with_row_chunks(in_groups ? with_row_groups(whole) : whole))))));
}

/// The program of a graph that is run again and again: maps joined, small equations in blocks. Made when
/// first asked for, by whichever thread comes first.
class Prepared {
 public:
  /// Whether rows that indices link may run in groups, or all at once.
  enum class Rows { Grouped, AtOnce };
  explicit Prepared(Ref<const Graph> body, Rows rows = Rows::Grouped) : body_(std::move(body)), rows_(rows) {}
  const Graph& program() const {
    std::call_once(once_, [this] { program_ = blocked(planned(body_, rows_ == Rows::Grouped)); });
    return *program_;
  }
  /// For the first steps of a loop it is not worth making, unless the loop is part of a program.
  static constexpr int64_t kWorthwhile = 4;
  const Graph& for_step(int64_t step, bool in_program) const {
    return step < kWorthwhile && !in_program ? *body_ : program();
  }

 private:
  Ref<const Graph> body_;
  Rows rows_;
  mutable std::once_flag once_;
  mutable Ref<const Graph> program_;
};

}  // namespace hesse
