#pragma once
#include <memory>
#include <optional>
#include <vector>

#include "core/cpu/entry_code.h"
#include "core/graph.h"
#include "core/program/frame.h"
#include "core/program/row_function.h"

namespace hesse {

/// A graph of scalars (core/program/scalars.h) as code on the rows of a frame. Operations that take a few
/// instructions are machine code where that can be made, in stretches in which values stay in registers; the
/// others call their kernels, a row at a time.
class ScalarCode {
 public:
  /// Whether every equation can be run on rows, without reporting failures.
  static bool can_run(const Graph& graph);
  /// Inputs lie at `inputs`. What waits between stretches, and results, get rows of the frame; output k gets
  /// wanted[k], an input's, where the last that reads that is what makes the output. `code`, which is to be
  /// finished afterwards and to outlive this, may be null: kernels only.
  ScalarCode(const Ref<const Graph>& graph, const std::vector<FrameRow>& inputs, Frame& frame,
             cpu::EntryCode* code, const std::vector<std::optional<FrameRow>>& wanted = {});
  /// Where output k lies after a run: a row of its own, an input, or a constant.
  const FrameRow& output(size_t k) const { return outputs_[k]; }
  /// About what a run costs, in steps of machine code.
  double cost() const { return cost_; }
  void run(char* frame) const;

 private:
  class Builder;
  /// A stretch of machine code, or a call of one kernel.
  struct Step {
    const cpu::EntryCode::Function* code = nullptr;
    RowFunction function = nullptr;
    EntryKernel kernel;
    OpRef op;  // where there is none of these: its kernel runs on views
    std::vector<View> views;
    std::vector<FrameRow> in;
    FrameRow out;
    int64_t rows = 1;  // so many, one behind the other
  };
  void call(const Step& s, char* frame) const;

  Ref<const Graph> graph_;
  int64_t lanes_, width_;
  std::vector<Step> steps_;
  std::vector<FrameRow> outputs_;
  double cost_ = 0;
};

/// make(code to write into), or make(nullptr), for kernels that do the same, where the system has no memory
/// for code.
template <class Make>
auto with_code_if_any(const Make& make) {
  if (cpu::EntryCode::available()) {
    try {
      return make(std::make_unique<cpu::EntryCode>());
    } catch (const Error&) {
    }
  }
  return make(nullptr);
}

}  // namespace hesse
