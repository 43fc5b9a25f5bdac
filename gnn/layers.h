#pragma once
#include "core/nn/layers.h"
#include "gnn/message.h"

/// Layers on graphs: structs of arrays (trees) that take features of nodes [N, in] and a graph to [N, out].
/// Weights are [out, in], drawn Glorot-uniform; biases are 0 at first. Each throws ValueError naming the
/// shapes where features do not fit.
namespace hesse::gnn {

/// y = S x W^T + b with S = D^-1/2 (A + I) D^-1/2; a node that has self-loops keeps their weight instead of 1
/// (Kipf and Welling, arXiv:1609.02907, 2017).
struct GCNConv {
  Array weight, bias;
  static GCNConv create(const Array& key, int64_t in, int64_t out, OptDType dtype = {});
  Array operator()(const Array& x, const Graph& g) const;
  Array operator()(const sparse::CSR& x, const Graph& g) const;
  auto fields() { return hesse::fields("weight", weight, "bias", bias); }
};

/// y_i = W r_i + b + V x_i, r_i the mean, sum or largest entries of x_j over the neighbours j (Hamilton, Ying
/// and Leskovec, arXiv:1706.02216, 2017).
struct SAGEConv {
  nn::Linear neighbours, root;
  Reduce reduce = Reduce::Mean;
  static SAGEConv create(const Array& key, int64_t in, int64_t out, Reduce reduce = Reduce::Mean,
                         OptDType dtype = {});
  Array operator()(const Array& x, const Graph& g) const;
  auto fields() { return hesse::fields("neighbours", neighbours, "root", root); }
};

/// y_i = sum_j a_ij W x_j + b over the neighbours j of i and i itself, a_ij = softmax_j leaky_relu(s . W x_j
/// + t . W x_i), in every head; heads side by side (Velickovic et al., arXiv:1710.10903, 2018).
struct GATConv {
  Array weight;                              ///< [heads * out, in]
  Array source_attention, target_attention;  ///< s and t, [heads, out]
  Array bias;                                ///< [heads * out]
  double negative_slope = 0.2, dropout = 0.0;
  static GATConv create(const Array& key, int64_t in, int64_t out, int64_t heads = 1, double dropout = 0.0,
                        OptDType dtype = {});
  /// With a key attention coefficients are dropped at the rate `dropout`.
  Array operator()(const Array& x, const Graph& g, const std::optional<Array>& key = {}) const;
  auto fields() {
    return hesse::fields("weight", weight, "source_attention", source_attention, "target_attention",
                         target_attention, "bias", bias);
  }
};

/// y_i = f((1 + epsilon) x_i + sum_j x_j) (Xu et al., arXiv:1810.00826, 2019).
struct GINConv {
  nn::MLP net;
  Array epsilon;  ///< a scalar
  static GINConv create(const Array& key, const std::vector<int64_t>& sizes, OptDType dtype = {});
  Array operator()(const Array& x, const Graph& g) const;
  auto fields() { return hesse::fields("net", net, "epsilon", epsilon); }
};

}  // namespace hesse::gnn
