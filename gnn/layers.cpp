#include "gnn/layers.h"

#include <limits>

#include "core/nn/init.h"
#include "core/nn/normalisation.h"
#include "gnn/segments.h"

namespace hesse::gnn {
namespace {

void check(const char* layer, const Array& x, const Graph& g, int64_t in) {
  require(x.ndim() == 2 && x.dim(0) == g.num_nodes() && x.dim(1) == in, layer, ": x must be [", g.num_nodes(),
          ", ", in, "] for this graph, got ", describe(x));
}
Array column(const Array& v) { return expand_dims(v, {-1}); }
Array weighted_sum(const Array& w, const Array& x, const Graph& g) {
  return sparse::matmul(adjacency(g, w), x);
}

// D^-1/2 (A + I) D^-1/2 h, with a node's own term apart: y_i = d_i (sum_j w_ij d_j h_j + own_i d_i h_i).
Array propagate(const Array& h, const Graph& g) {
  const int64_t n = g.num_nodes();
  const Array is_loop = equal(g.source, g.target), w = edge_weights(g, h.dtype());
  const Array has = segment_sum(astype(is_loop, w.dtype()), g.target, n) > 0.0;
  const Array own = where(has, segment_sum(where(is_loop, w, 0.0), g.target, n), 1.0);
  const Array others = where(is_loop, 0.0, w);
  const Array degree = segment_sum(others, g.target, n) + own;
  const Array d = column(where(degree > 0.0, rsqrt(where(degree > 0.0, degree, 1.0)), 0.0));
  return d * (weighted_sum(others, d * h, g) + column(own) * (d * h));
}

}  // namespace

GCNConv GCNConv::create(const Array& key, int64_t in, int64_t out, OptDType dtype) {
  require(in >= 1 && out >= 1, "GCNConv: the numbers of features must be positive, got in=", in,
          ", out=", out);
  return {nn::init::glorot_uniform(key, {out, in}, 1.0, dtype), zeros({out}, dtype)};
}
Array GCNConv::operator()(const Array& x, const Graph& g) const {
  check("GCNConv", x, g, weight.dim(1));
  return propagate(nn::linear(x, weight), g) + bias;
}
Array GCNConv::operator()(const sparse::CSR& x, const Graph& g) const {
  require(x.rows() == g.num_nodes() && x.cols() == weight.dim(1), "GCNConv: x must be [", g.num_nodes(), ", ",
          weight.dim(1), "] for this graph, got [", x.rows(), ", ", x.cols(), "]");
  return propagate(sparse::matmul(x, matrix_transpose(weight)), g) + bias;
}

SAGEConv SAGEConv::create(const Array& key, int64_t in, int64_t out, Reduce reduce, OptDType dtype) {
  const Arrays keys = unstack(random::split(key, 2));
  return {nn::Linear::create(keys[0], in, out, true, dtype),
          nn::Linear::create(keys[1], in, out, false, dtype), reduce};
}
Array SAGEConv::operator()(const Array& x, const Graph& g) const {
  check("SAGEConv", x, g, neighbours.weight.dim(1));
  Array r;
  if (reduce == Reduce::Max || reduce == Reduce::Min) {
    const double sign = reduce == Reduce::Max ? 1.0 : -1.0;
    r = sign * segments::maximum(gather(sign * x, g.source), g.target, g.by_target.starts);
  } else {
    const Array w = edge_weights(g, x.dtype());
    r = weighted_sum(w, x, g);
    if (reduce == Reduce::Mean) {
      const Array total = segment_sum(w, g.target, g.num_nodes());
      r = r / column(where(equal(total, 0.0), 1.0, total));
    }
  }
  return neighbours(r) + root(x);
}

GATConv GATConv::create(const Array& key, int64_t in, int64_t out, int64_t heads, double dropout,
                        OptDType dtype) {
  require(in >= 1 && out >= 1 && heads >= 1, "GATConv: sizes must be positive, got in=", in, ", out=", out,
          ", heads=", heads);
  const Arrays keys = unstack(random::split(key, 3));
  return {nn::init::glorot_uniform(keys[0], {heads * out, in}, 1.0, dtype),
          nn::init::glorot_uniform(keys[1], {heads, out}, 1.0, dtype),
          nn::init::glorot_uniform(keys[2], {heads, out}, 1.0, dtype),
          zeros({heads * out}, dtype),
          0.2,
          dropout};
}
Array GATConv::operator()(const Array& x, const Graph& g, const std::optional<Array>& key) const {
  check("GATConv", x, g, weight.dim(1));
  const int64_t n = g.num_nodes(), heads = source_attention.dim(0), out = source_attention.dim(1);
  const Array h = reshape(nn::linear(x, weight), {n, heads, out});
  const Array sends = sum(h * source_attention, Axes{-1}), gets = sum(h * target_attention, Axes{-1});
  // Self-loops among the edges do not count: a node attends to itself once.
  const Array is_loop = column(equal(g.source, g.target));
  const Array scores = nn::leaky_relu(gather(gets, g.target) + gather(sends, g.source), negative_slope);
  auto [shares, own] = segments::softmax(where(is_loop, -std::numeric_limits<double>::infinity(), scores),
                                         g.target, n, nn::leaky_relu(sends + gets, negative_slope));
  if (key && dropout > 0.0) {
    const Arrays keys = unstack(random::split(*key, 2));
    shares = nn::dropout(shares, dropout, keys[0]);
    own = nn::dropout(own, dropout, keys[1]);
  }
  return reshape(weighted_sum(shares, h, g) + column(own) * h, {n, heads * out}) + bias;
}

GINConv GINConv::create(const Array& key, const std::vector<int64_t>& sizes, OptDType dtype) {
  return {nn::MLP::create(key, sizes, nn::relu, dtype), zeros({}, dtype)};
}
Array GINConv::operator()(const Array& x, const Graph& g) const {
  require(!net.layers.empty(), "GINConv: the network has no layers");
  check("GINConv", x, g, net.layers[0].weight.dim(1));
  return net((1.0 + epsilon) * x + weighted_sum(edge_weights(g, x.dtype()), x, g));
}

}  // namespace hesse::gnn
