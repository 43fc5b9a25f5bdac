#pragma once
#include <memory>
#include <vector>

#include "core/cpu/entry_code.h"
#include "core/graph.h"

namespace hesse {

/// Places of scalars in a frame: every scalar is a row of so many lanes, and a row has room for lanes of
/// eight bytes.
class FrameRows {
 public:
  explicit FrameRows(int64_t lanes) : lanes_(lanes) {}
  int64_t lanes() const { return lanes_; }
  int64_t bytes() const { return bytes_; }
  int64_t take() {
    const int64_t offset = bytes_;
    bytes_ += (8 * lanes_ + kAlign - 1) / kAlign * kAlign;
    return offset;
  }

 private:
  static constexpr int64_t kAlign = 8;
  int64_t lanes_, bytes_ = 0;
};

/// A scalar in a frame: a row of lanes, or one value for all of them.
struct FrameScalar {
  int64_t offset = 0;
  DType dtype = kFloat64;
  bool uniform = false;
};

/// A graph of scalars (core/program/scalars.h) as code on the rows of a frame. Operations that take a few
/// instructions are machine code where that can be made; the others call their kernels, a row at a time.
/// What one piece of code makes for itself has no row.
class ScalarCode {
 public:
  /// Inputs lie at `inputs`. Results and what waits between pieces get rows of `rows`; constants go to
  /// `constants`, whose values are to be set once. Throws ValueError naming an op that has no kernel for
  /// single entries.
  struct Constant {
    FrameScalar place;
    Array value;
  };
  ScalarCode(const Graph& graph, const std::vector<FrameScalar>& inputs, FrameRows& rows,
             std::vector<Constant>& constants, cpu::EntryCode* code);
  /// Where output k lies after a run: a row of its own, an input, or a constant.
  const FrameScalar& output(size_t k) const { return outputs_[k]; }
  /// A measure of what a run costs.
  int64_t cost() const { return cost_; }
  void run(char* frame) const;

 private:
  /// A call of a kernel on rows, or of machine code for a stretch of equations.
  struct Step {
    const cpu::EntryCode::Function* code = nullptr;
    EntryKernel kernel;  // Kind::None: op runs it on views
    OpRef op;
    std::vector<FrameScalar> in;
    FrameScalar out;
  };
  void run_kernel(const Step& s, char* frame) const;
  void run_op(const Step& s, char* frame) const;

  Ref<const Graph> graph_;
  int64_t lanes_;
  std::vector<Step> steps_;
  std::vector<FrameScalar> outputs_;
  int64_t cost_ = 0;
};

}  // namespace hesse
