#include "gnn/message.h"

#include "core/ops/control.h"
#include "gnn/segments.h"

namespace hesse::gnn {

Array message_passing(const Message& message, Reduce reduce, const Array& x, const Graph& g,
                      const std::optional<Array>& edge) {
  require(x.ndim() >= 1 && x.dim(0) == g.num_nodes(), "message_passing: x must have ", g.num_nodes(),
          " rows for this graph, got ", describe(x));
  if (edge)
    require(edge->ndim() >= 1 && edge->dim(0) == g.num_edges(), "message_passing: edge must have ",
            g.num_edges(), " rows for this graph, got ", describe(*edge));
  Arrays operands{x, x};
  std::vector<Access> access{Access::gather(0), Access::gather(1)};
  if (edge) {
    operands.push_back(*edge);
    access.push_back(Access::each());
  }
  const Fn one = [&](std::span<const Array> a) {
    return Arrays{message(a[0], a[1], a.size() == 3 ? a[2] : Array(0.0))};
  };
  const bool stored = reduce == Reduce::Max || reduce == Reduce::Min;
  const auto results = [&](size_t) {
    return std::vector<Result>{stored ? Result::each() : Result::segment_sum(0, g.num_nodes())};
  };
  const Array y = hesse::map(one, g.num_edges(), operands, access, results, {g.target, g.source})[0];
  const Array& starts = g.by_target.starts;
  switch (reduce) {
    case Reduce::Sum:
      return y;
    case Reduce::Mean:
      return y / segments::over(maximum(astype(in_degree(g), y.dtype()), 1.0), y);
    case Reduce::Max:
      return segments::maximum(y, g.target, starts);
    case Reduce::Min:
      return -segments::maximum(-y, g.target, starts);
  }
  return y;
}

}  // namespace hesse::gnn
