#pragma once
#include <optional>
#include <vector>

#include "core/cpu/entry_code.h"
#include "core/graph.h"
#include "core/program/row_function.h"

namespace hesse {

/// The equations of a graph of scalars in the order in which they run, those that become machine code one
/// behind the other, and calls of the same kernel together.
struct ScalarSchedule {
  enum Class : uint8_t { Double, Float, Bool, Other };
  struct Work {
    const Graph::Equation* eq;
    EntryKernel kernel;
    std::optional<cpu::EntryOp> op;
    std::vector<int> in;
    int out;
    Class cls;
  };
  /// Works that are one piece of code, or one call of a kernel.
  struct Stretch {
    std::vector<int> works;
    DType dtype = kFloat64;
    bool code = false;
  };
  std::vector<Work> works;
  std::vector<Stretch> stretches;
  std::vector<int> call;  ///< by value: the stretch that calls a kernel on it and others, or -1

  /// Without `with_code` all are calls.
  ScalarSchedule(const Graph& g, bool with_code);
  static RowFunction function_of(const Graph& g, const Work& w);
};

}  // namespace hesse
