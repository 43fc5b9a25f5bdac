#pragma once
#include "core/ops/control_graph.h"
#include "core/program/prepared.h"
#include "core/program/unroll.h"

namespace hesse::solvers {

/// An op that is a graph, run as a program. `Kind` is a kind of Op; derivatives are those of who derives.
template <class Kind>
class GraphOp : public Kind, public Expands {
 public:
  explicit GraphOp(Ref<const Graph> graph) : graph_(std::move(graph)), prepared_(graph_) {}
  bool has_effect() const final { return has_effects(*graph_); }
  Avals infer(std::span<const Aval> x) const final {
    require(static_cast<int>(x.size()) == graph_->num_inputs(), this->name(), ": ", x.size(),
            " operands for a graph of ", graph_->num_inputs());
    return graph_->output_avals();
  }
  Arrays eval(std::span<const Array> x) const final { return prepared_.program().run(x); }
  Arrays expanded(std::span<const Array> x) const final { return graph_->call(x); }
  const Ref<const Graph>& graph() const { return graph_; }

 private:
  Ref<const Graph> graph_;
  Prepared prepared_;
};

}  // namespace hesse::solvers
