#pragma once
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "core/cpu/entry_code.h"
#include "core/graph.h"

namespace hesse {

/// A scalar in a frame: a row of lanes, so many bytes behind the frame's beginning, or one entry for all.
struct FrameRow {
  int64_t offset = 0;
  DType dtype = kFloat64;
  int64_t item = static_cast<int64_t>(itemsize(dtype));  // bytes of an entry
  bool uniform = false;
  bool operator==(const FrameRow&) const = default;
};

/// Memory in which every scalar has a row of so many lanes, one entry behind the other.
class Frame {
 public:
  explicit Frame(int64_t lanes) : lanes_(lanes), width_(lanes) {}
  /// For a number of lanes that the instruction set does not choose: rows are filled up to whole vectors,
  /// what code computes there means nothing, and floats that are the same for all lanes have one entry.
  static Frame of_rows(int64_t lanes);
  int64_t lanes() const { return lanes_; }
  int64_t width() const { return width_; }  ///< of a row, in entries
  int64_t bytes() const { return bytes_; }
  FrameRow take(DType dtype) { return {take_offset(), dtype}; }
  int64_t take_offset();
  /// For what is the same for all lanes: one entry where that can be.
  FrameRow take_constant(DType dtype);
  /// The row of a constant, the same for equal ones.
  FrameRow constant(const Array& scalar);
  /// Sets constants, and all else to zero.
  void initialise(char* frame) const;

 private:
  struct Constant {
    FrameRow row;
    std::vector<char> value;  // of one lane
  };
  int64_t lanes_, width_, bytes_ = 0;
  bool uniform_constants_ = false;
  std::vector<Constant> constants_;
};

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
  using RowFunction = void (*)(const char* const* in, char* out, int64_t n);
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
