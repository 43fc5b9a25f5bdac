#pragma once
#include <functional>
#include <iosfwd>

#include "core/node.h"

namespace hesse {

/// A function of arrays, flat: what every transform takes and gives.
using Fn = std::function<Arrays(std::span<const Array>)>;

/// A closed list of equations in SSA form. Values are numbered: inputs first, then constants and results.
class Graph : public RefCounted<Graph> {
 public:
  struct Equation {
    OpRef op;
    std::vector<int> in, out;
    SourceLine source = 0;  ///< the line that recorded it; not part of what equals compares
  };
  /// Number of inputs; they are values 0 .. num_inputs-1.
  int num_inputs() const { return num_inputs_; }
  int num_outputs() const { return static_cast<int>(outputs_.size()); }
  const std::vector<Aval>& values() const { return values_; }
  const std::vector<std::pair<int, Array>>& constants() const { return constants_; }
  const std::vector<Equation>& equations() const { return equations_; }
  const std::vector<int>& outputs() const { return outputs_; }
  const Aval& input_aval(int i) const { return values_[static_cast<size_t>(i)]; }
  const Aval& output_aval(int k) const {
    return values_[static_cast<size_t>(outputs_[static_cast<size_t>(k)])];
  }
  Avals input_avals() const;
  Avals output_avals() const;
  /// Whether some value has a run-time length.
  bool is_dynamic() const { return dynamic_; }

  /// A graph from its parts: inputs are the values 0 .. num_inputs-1. The order of equations is as given;
  /// every operand is made before it is read. Throws ValueError otherwise.
  static Ref<const Graph> assemble(int num_inputs, std::vector<Aval> values,
                                   std::vector<std::pair<int, Array>> constants,
                                   std::vector<Equation> equations, std::vector<int> outputs);

  /// Re-applies every equation to `inputs` in the caller's context: they are recorded, differentiated, or
  /// evaluated as those inputs demand.
  Arrays call(std::span<const Array> inputs) const;
  /// Evaluates on data, releasing every value after its last use.
  Arrays run(std::span<const Array> inputs) const { return run_owned({inputs.begin(), inputs.end()}); }
  /// As run; inputs that nobody else holds may be overwritten.
  Arrays run_owned(Arrays inputs) const;

  /// Whether the outputs are linear in the inputs marked, jointly, with the others fixed.
  bool is_linear_in(const std::vector<bool>& marked) const;
  /// For each value, whether it depends on an input marked.
  std::vector<bool> depends_on(const std::vector<bool>& marked) const;

  /// Same equations, constants and outputs.
  bool equals(const Graph& other) const;
  size_t hash() const { return hash_; }
  /// One line per equation, sub-graphs indented.
  std::string to_string(int indent = 0) const;
  /// The number of equations, those of sub-graphs included.
  int64_t count() const;
  /// The arithmetic operations of one run: the sum of Op::flops.
  double flops() const;
  /// How often ops of that name occur, sub-graphs included.
  int64_t count(std::string_view op) const;

 private:
  friend struct GraphBuilder;
  void finish();  // what follows from the equations
  int num_inputs_ = 0;
  std::vector<Aval> values_;
  std::vector<std::pair<int, Array>> constants_;
  std::vector<Equation> equations_;
  std::vector<int> outputs_;
  /// Places among the operands, then the results, of equation e whose values nobody reads after it.
  std::span<const int> last_use(size_t e) const {
    const auto begin = static_cast<size_t>(e == 0 ? 0 : last_use_ends_[e - 1]);
    return std::span(last_use_).subspan(begin, static_cast<size_t>(last_use_ends_[e]) - begin);
  }
  std::vector<int> last_use_, last_use_ends_;  // of all equations in turn; where each one's end
  bool dynamic_ = false;
  size_t hash_ = 0;
};

/// A traced function: `graph` takes the arguments and then `captures`, the live outside values it used.
/// Outside values that nothing depends on are constants in the graph, by reference.
struct Traced {
  Ref<const Graph> graph;
  Arrays captures;
};

/// Runs `f` on symbols of the given shapes and closes what was recorded. Staged: every op is recorded (loops,
/// branches, compiled functions); otherwise only what depends on the symbols (vmap, derivatives).
Traced trace(const Fn& f, std::span<const Aval> args, bool staged);
/// As above, where nothing may be captured: `f` uses only its arguments (graph transforms).
Ref<const Graph> trace_closed(const Fn& f, std::span<const Aval> args);

std::ostream& operator<<(std::ostream& out, const Graph& g);

}  // namespace hesse
