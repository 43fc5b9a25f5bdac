#pragma once
#include <mutex>
#include <optional>

#include "core/program/one_row.h"
#include "core/program/scalar_code.h"

namespace hesse {

/// A loop whose body takes few scalars apart, as code on a frame of lanes: an example in each lane, which has
/// a place in the program of its own. Of the blocks at which lanes wait the cheapest runs next, for all
/// lanes; who does not wait there keeps its variables. A lane that is at the end gives its results and takes
/// the next example, so that long ones do not hold up the rest (program-counter batching: Radul, Patton,
/// Maclaurin, Hoffman, Saurous, Automatically batching control-intensive programs for modern accelerators,
/// MLSys 2020). Results of an example do not depend on those beside it. Immutable: any number of threads run
/// it.
class LaneLoop {
 public:
  /// nullopt where an equation cannot be taken apart, or arrays are too large for that to be worth while.
  static std::shared_ptr<const LaneLoop> make(const LoopParts& loop, int64_t lanes);
  /// For one example whose state has a row in each lane, all of which go the same way
  /// (core/program/one_row.h): nullptr where there are no such rows either.
  static std::shared_ptr<const LaneLoop> make_by_rows(const LoopParts& loop);

  /// Runs all examples: operands and results have `lane_axes` innermost axes of examples. `length`: of the
  /// scan.
  void run(std::span<const View> x, std::span<const View> out, int lane_axes, int64_t length) const;
  /// One example: its results, whose shapes are given; those of run-time length are stacks.
  Arrays evaluated(std::span<const Array> x, const Avals& results, int64_t length) const;

 private:
  using Rows = std::vector<FrameRow>;
  static constexpr int kEnd = -1;
  struct Move {
    FrameRow from, to;
  };
  /// What a loop puts somewhere at every step, so many scalars.
  struct Stack {
    size_t scalars = 0;
    int operand = -1;   // that holds the stacks of all elements of the scan, one behind the other
    bool kept = false;  // those of all elements are a result
  };
  /// A result that is a part of a stack.
  struct Kept {
    size_t result;
    int stack;
    size_t index, scalars;
    size_t lengths = 0;  // which of these also stands for its lengths: the first of this stack
  };
  /// A scalar of the entries of a stack, and where it goes.
  struct Column {
    int stack = -1;
    size_t index = 0;
    FrameRow to;
  };
  /// An entry of an operand, or behind these a result, of which an element of the scan has a slice.
  struct Scalar {
    size_t place, index;
    FrameRow row;
  };
  struct Block {
    // Next: the next element of the scan. Pop: the last entry of a stack, while there is one.
    enum class Then : uint8_t { Jump, Branch, Next, Pop };
    std::optional<ScalarCode> code;
    std::vector<Move> moves;
    std::vector<Move> aside;  // before them: what a move reads and another writes
    // The same as code: of all lanes, or where each is a thread, of those that are marked.
    std::vector<const cpu::EntryCode::Function*> moving;
    Then then = Then::Jump;
    FrameRow condition;
    int to = kEnd, otherwise = kEnd;
    int stack = -1;  // of Branch: where the carries of a step, `entry`, are put
    Rows entry;
    int cursor = -1;              // of Pop: how many entries are left
    std::vector<Column> columns;  // and what is read of each
    std::vector<int> clear;       // stacks that begin anew
    int rewind = -1;              // a Pop block whose cursor is to be set
  };
  class Builder;
  struct Run;
  /// Runs that are over, for the next: their memory, and where operands and results of these layouts lie.
  class Runs {
   public:
    Runs();
    ~Runs();
    std::unique_ptr<Run> take(const LaneLoop& loop) const;
    void give(std::unique_ptr<Run> run) const;

   private:
    static constexpr size_t kMost = 4;
    mutable std::mutex mutex_;
    mutable std::vector<std::unique_ptr<Run>> free_;
  };
  /// `code`: null where kernels are to do it.
  LaneLoop(int64_t lanes, std::unique_ptr<cpu::EntryCode> code, bool together = false)
      : frame_(together && code ? Frame::of_rows(lanes) : Frame(lanes)),
        code_(std::move(code)),
        together_(together) {}
  /// Of what runs by itself, each of which may take another block: lanes, or all of them together.
  int64_t threads() const { return together_ ? 1 : frame_.lanes(); }
  /// Where result k, a carry, a y, a stack of carries or lengths, has its rows in a slice.
  RowAxis rows_of_result(size_t k) const {
    if (!together_) return kShared;
    if (k < results_.size()) return results_[k];
    return k - results_.size() < num_carry_ && save_ ? results_[k - results_.size()] : kShared;
  }
  RowAxis rows_of_operand(size_t i) const {
    return together_ && i < operands_.size() ? operands_[i] : kShared;
  }

  Frame frame_;
  std::unique_ptr<cpu::EntryCode> code_;
  bool together_;                            // lanes are rows of one example
  std::vector<RowAxis> operands_, results_;  // then where these have them (LoopOfOneRow)
  std::vector<Block> blocks_;                // the cheapest first
  size_t num_cheap_ = 0;                     // of these
  std::vector<Rows> inputs_;                 // by input
  std::vector<Rows> carry_out_;              // results: the carries
  std::vector<Rows> ys_;
  std::vector<bool> packed_;  // by input: numbers that lie one behind the other
  std::vector<Scalar> scalars_of_xs_, scalars_saved_, scalars_of_ys_;
  std::vector<size_t> by_element_;  // operands and results that an element has entries of
  Runs runs_;
  size_t num_carry_ = 0, num_xs_ = 0;
  bool scan_ = false, reverse_ = false, save_ = false;
  std::vector<Stack> stacks_;
  std::vector<Kept> kept_;  // of a scan, each has lengths behind all results
  size_t num_cursors_ = 0;
  FrameRow marked_;  // bools: the lanes of a block that runs
  int entry_ = 0;
};

/// The loop of an op for one example and for lanes, made when first asked for.
class LaneLoops {
 public:
  const LaneLoop* get(const LoopParts& loop, bool in_lanes) const {
    std::call_once(once_[in_lanes], [&] {
      made_[in_lanes] = LaneLoop::make(loop, in_lanes ? kLanes : 1);
      if (!in_lanes && !made_[0]) made_[0] = LaneLoop::make_by_rows(loop);
    });
    return made_[in_lanes].get();
  }

 private:
  static constexpr int64_t kLanes = 8;
  mutable std::once_flag once_[2];
  mutable std::shared_ptr<const LaneLoop> made_[2];
};

}  // namespace hesse
