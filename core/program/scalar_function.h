#pragma once
#include <memory>
#include <vector>

#include "core/program/scalar_code.h"

namespace hesse {

/// A graph of few entries as code on memory, for who calls it very often: a call makes no arrays. Calls at
/// several arguments at once lie in lanes. Immutable; every thread needs a Call of its own.
class ScalarFunction {
 public:
  /// Null where the graph has effects, may report failures, cannot be taken apart into at most `most` scalars
  /// (core/program/scalars.h), or has results that are not float64.
  static std::unique_ptr<const ScalarFunction> make(const Graph& graph, int64_t lanes, int64_t most = 4096);

  int64_t lanes() const { return frame_.lanes(); }

  /// The memory of a call. Inputs keep their values from run to run.
  class Call {
   public:
    explicit Call(const ScalarFunction& f);
    /// All entries of an input, the same in every lane. `x`: of the input's shape and dtype, with data.
    void set(int input, const Array& x);
    /// The same of a float64 input by its entries, row by row.
    void set(int input, const double* entries);
    /// One entry of a float64 input, in one lane.
    void set(int input, int64_t entry, int64_t lane, double x);
    void run() { f_.code_->run(frame()); }
    /// The entries of all outputs, one output after the other, in a lane.
    void get(int64_t lane, double* entries) const;

   private:
    char* frame() const { return reinterpret_cast<char*>(memory_.get()); }
    const ScalarFunction& f_;
    std::unique_ptr<double[]> memory_;
  };

 private:
  ScalarFunction(int64_t lanes, std::unique_ptr<cpu::EntryCode> code)
      : machine_code_(std::move(code)), frame_(lanes) {}
  std::unique_ptr<cpu::EntryCode> machine_code_;
  Frame frame_;
  Avals inputs_;
  std::vector<size_t> first_;   // of each input's entries in rows_
  std::vector<FrameRow> rows_;  // of the entries of the inputs
  std::unique_ptr<const ScalarCode> code_;
  size_t num_results_ = 0;
};

}  // namespace hesse
