#include <gtest/gtest.h>

#include <cmath>

#include "autodiff/trees.h"
#include "core/nn/losses.h"
#include "core/nn/normalisation.h"
#include "core/nn/tree_optim.h"
#include "gnn/layers.h"

namespace hesse::gnn {
namespace {

// A duplicate (0, 1), a self-loop (3, 3); node 5 has no edges.
Array edges() {
  return reshape(Array::from<int64_t>({0, 1, 0, 2, 3, 3, 4, 0, 1, 0, 1, 1, 3, 2, 2, 4}), {2, 8});
}
Graph small(int seed = 0) {
  const Arrays keys = unstack(random::split(random::key(static_cast<uint64_t>(seed)), 3));
  GraphArrays arrays;
  arrays.x = random::normal(keys[0], {6, 3});
  arrays.edge_weight = random::uniform(keys[1], {8}, 0.5, 2.0);
  arrays.edge_attr = random::normal(keys[2], {8, 2});
  return graph(edges(), arrays);
}
// A[target, source], with a 1 on the diagonal of nodes without self-loops if asked for.
std::vector<std::vector<double>> matrix(const Graph& g, bool loops) {
  const auto n = static_cast<size_t>(g.num_nodes());
  std::vector<std::vector<double>> a(n, std::vector<double>(n, 0.0));
  std::vector<bool> has(n, false);
  const auto s = g.source.to_vector<int64_t>(), t = g.target.to_vector<int64_t>();
  const auto w = edge_weights(g, kFloat64).to_vector<double>();
  for (size_t e = 0; e < s.size(); ++e) {
    a[static_cast<size_t>(t[e])][static_cast<size_t>(s[e])] += w[e];
    if (s[e] == t[e]) has[static_cast<size_t>(s[e])] = true;
  }
  for (size_t i = 0; loops && i < n; ++i)
    if (!has[i]) a[i][i] = 1.0;
  return a;
}
Array dense(const std::vector<std::vector<double>>& rows) {
  std::vector<double> all;
  for (const auto& row : rows) all.insert(all.end(), row.begin(), row.end());
  const auto n = static_cast<int64_t>(rows.size());
  return Array::from<double>(all, {n, n});
}
double difference(const Array& a, const Array& b) {
  EXPECT_EQ(a.shape(), b.shape());
  return max(abs(a - b)).item<double>();
}

TEST(Graph, EdgesAreSortedByTarget) {
  const Graph g = small();
  EXPECT_EQ(g.target.to_vector<int64_t>(), (std::vector<int64_t>{0, 1, 1, 1, 2, 2, 3, 4}));
  EXPECT_EQ(g.source.to_vector<int64_t>(), (std::vector<int64_t>{1, 0, 0, 2, 3, 4, 3, 0}));
  EXPECT_EQ(g.order.to_vector<int64_t>(), (std::vector<int64_t>{1, 0, 2, 3, 5, 6, 4, 7}));
  EXPECT_EQ(g.by_target.starts.to_vector<int64_t>(), (std::vector<int64_t>{0, 1, 4, 6, 7, 8, 8}));
  EXPECT_EQ(g.by_source.starts.to_vector<int64_t>(), (std::vector<int64_t>{0, 3, 4, 5, 7, 8, 8}));
  EXPECT_EQ(g.by_source.entries.to_vector<int64_t>(), (std::vector<int64_t>{1, 2, 7, 0, 3, 4, 6, 5}));
  EXPECT_LT(difference(sparse::matmul(adjacency(g), g.x()), matmul(dense(matrix(g, false)), g.x())), 1e-14);
  EXPECT_EQ(in_degree(g).to_vector<int64_t>(), (std::vector<int64_t>{1, 3, 2, 1, 1, 0}));
}

TEST(Graph, Normalisations) {
  const Graph g = small();
  const Array a = dense(matrix(g, false));
  const auto inverse = [](const Array& d) { return where(d > 0.0, 1.0 / where(d > 0.0, d, 1.0), 0.0); };
  const Array in = inverse(sum(a, Axes{1})), out = inverse(sum(a, Axes{0}));
  EXPECT_LT(difference(dense(matrix(normalised(g, "sym"), false)), sqrt(outer(in, in)) * a), 1e-14);
  EXPECT_LT(difference(dense(matrix(normalised(g, "rw"), false)), expand_dims(in, {1}) * a), 1e-14);
  EXPECT_LT(difference(dense(matrix(normalised(g, "left"), false)), a * out), 1e-14);
  EXPECT_THROW((void)normalised(g, "up"), ValueError);
}

TEST(Graph, Refusals) {
  const auto message = [](auto&& f) {
    try {
      f();
    } catch (const Error& e) {
      return std::string(e.what());
    }
    return std::string();
  };
  EXPECT_NE(message([] { (void)graph(edges(), {}, 4); }).find("edge 6 goes from node 4 to node 2"),
            std::string::npos);
  EXPECT_THROW((void)graph(-edges()), IndexError);
  EXPECT_THROW((void)graph(astype(edges(), kFloat64)), TypeError);
  EXPECT_THROW((void)graph(transpose(edges())), ValueError);
  GraphArrays arrays;
  arrays.edge_weight = ones({7});
  EXPECT_NE(message([&] { (void)graph(edges(), arrays); }).find("edge_weight must have a row for each of 8"),
            std::string::npos);
  arrays = {};
  arrays.x = ones({7, 2});
  arrays.pos = ones({6, 3});
  EXPECT_THROW((void)graph(edges(), arrays), ValueError);
  EXPECT_THROW((void)graph(edges()).x(), ValueError);
  EXPECT_THROW((void)batch({}), ValueError);
  EXPECT_THROW((void)batch({small(), graph(edges())}), ValueError);
  EXPECT_EQ(graph(zeros({2, 0}, kInt64)).num_nodes(), 0);
  EXPECT_THROW((void)message_passing([](const Array& i, const Array&, const Array&) { return i; },
                                     Reduce::Sum, ones({4, 2}), small()),
               ValueError);
}

TEST(Layers, Values) {
  const Graph g = small();
  const auto gcn = GCNConv::create(random::key(1), 3, 4);
  const Array a = dense(matrix(g, true)), d = rsqrt(sum(a, Axes{1}));
  const Array s = outer(d, d) * a;
  EXPECT_LT(difference(gcn(g.x(), g), matmul(s, nn::linear(g.x(), gcn.weight)) + gcn.bias), 1e-13);
  EXPECT_LT(difference(gcn(sparse::from_dense(g.x()), g), gcn(g.x(), g)), 1e-13);

  const auto gin = GINConv::create(random::key(1), {3, 5, 4});
  EXPECT_LT(difference(gin(g.x(), g), gin.net(g.x() + matmul(dense(matrix(g, false)), g.x()))), 1e-13);

  const auto sage = SAGEConv::create(random::key(1), 3, 4);
  const Array plain = dense(matrix(g, false)), total = sum(plain, Axes{1});
  const Array mean = matmul(plain, g.x()) / expand_dims(where(equal(total, 0.0), 1.0, total), {1});
  EXPECT_LT(difference(sage(g.x(), g), sage.neighbours(mean) + sage.root(g.x())), 1e-13);

  const auto gat = GATConv::create(random::key(1), 3, 4, 1);
  const Array h = nn::linear(g.x(), gat.weight);
  const Array sends = matmul(h, reshape(gat.source_attention, {4}));
  const Array gets = matmul(h, reshape(gat.target_attention, {4}));
  const Array scores = exp(nn::leaky_relu(expand_dims(gets, {1}) + sends, 0.2));
  // How many edges there are between two nodes; a node attends to itself once.
  Graph counted = g;
  counted.arrays.edge_weight = {};
  counted.arrays.edge_weight = where(equal(g.source, g.target), 0.0, ones({8}));
  const Array weights = (dense(matrix(counted, false)) + eye(6)) * scores;
  const Array shares = weights / sum(weights, Axes{1}, true);
  EXPECT_LT(difference(gat(g.x(), g), matmul(shares, h)), 1e-13);
}

TEST(Layers, MessagesAgainstStoredEdges) {
  const Graph g = small();
  const Array w = random::normal(random::key(7), {4, 8});
  const Message one = [&](const Array& i, const Array& j, const Array& e) {
    return tanh(matmul(w, concatenate({i, j, e})));
  };
  const auto rows = [&](const Array& x) {
    return tanh(matmul(concatenate({gather(x, g.target), gather(x, g.source), *g.arrays.edge_attr}, 1),
                       transpose(w)));
  };
  const Array degree = expand_dims(maximum(astype(in_degree(g), kFloat64), 1.0), {1});
  const auto check = [&](Reduce reduce, auto&& stored) {
    const auto f = [&](const Array& x) {
      return sum(sin(message_passing(one, reduce, x, g, g.arrays.edge_attr)));
    };
    const auto reference = [&](const Array& x) { return sum(sin(stored(rows(x)))); };
    const Array found = f(g.x()), expected = reference(g.x());
    EXPECT_NEAR(found.item<double>(), expected.item<double>(), 1e-13);
    EXPECT_LT(difference(grad(f)(g.x()), grad(reference)(g.x())), 1e-13);
  };
  const auto total = [&](const Array& m) { return segment_sum(m, g.target, 6); };
  check(Reduce::Sum, total);
  check(Reduce::Mean, [&](const Array& m) { return total(m) / degree; });
  const Array some = expand_dims(in_degree(g) > int64_t{0}, {1});
  check(Reduce::Max, [&](const Array& m) { return where(some, segment_max(m, g.target, 6), 0.0); });
  check(Reduce::Min, [&](const Array& m) { return where(some, -segment_max(-m, g.target, 6), 0.0); });
}

TEST(Layers, Batches) {
  const Graph one = small(0), two = small(1), both = batch({one, two});
  EXPECT_EQ(both.num_graphs(), 2);
  const auto gat = GATConv::create(random::key(1), 3, 4, 2);
  EXPECT_LT(difference(gat(both.x(), both), concatenate({gat(one.x(), one), gat(two.x(), two)})), 1e-14);
  const Array pooled = global_mean_pool(both.x(), both);
  EXPECT_LT(difference(pooled, stack({mean(one.x(), Axes{0}), mean(two.x(), Axes{0})})), 1e-14);
  EXPECT_LT(
      difference(global_max_pool(both.x(), both), stack({max(one.x(), Axes{0}), max(two.x(), Axes{0})})),
      1e-15);
  EXPECT_LT(difference(global_sum_pool(both.x(), both), 6.0 * pooled), 1e-13);
}

// Two communities: 40 nodes, learnt from 4 labels by two attention layers in a compiled step.
TEST(Layers, LearnACommunity) {
  std::vector<int64_t> from, to, label(40);
  for (int64_t i = 0; i < 40; ++i) {
    label[static_cast<size_t>(i)] = i % 2;
    for (const int64_t step : {2, 6, 10})
      for (const int64_t j : {(i + step) % 40, (i + 40 - step) % 40}) {
        from.push_back(i);
        to.push_back(j);
      }
  }
  from.insert(from.end(), to.begin(), to.end());
  GraphArrays arrays;
  arrays.x = random::normal(random::key(0), {40, 5});
  const Graph g = graph(Array::from<int64_t>(from, {2, static_cast<int64_t>(to.size())}), arrays);
  const Array labels = Array::from<int64_t>(label, {40}), mask = arange(0.0, 40.0, 1.0, kFloat64) < 4.0;
  using Model = std::pair<GATConv, GCNConv>;
  Model model{GATConv::create(random::key(1), 5, 4, 2), GCNConv::create(random::key(2), 8, 2)};
  const auto predict = [&](const Model& m) { return m.second(nn::relu(m.first(g.x(), g)), g); };
  const auto loss = [&](const Model& m) { return nn::softmax_cross_entropy(predict(m), labels, mask); };
  const auto adam = optim::adam(0.05, optim::AdamOptions{.l2 = 1e-3});
  auto state = adam.init(model);
  for (int k = 0; k < 60; ++k) {
    const auto [value, gradient] = value_and_grad(loss)(model);
    std::tie(model, state) = adam.update(gradient, state, model);
  }
  const Array right = equal(argmax(predict(model), -1), labels);
  EXPECT_GE(mean(astype(right, kFloat64)).item<double>(), 0.9);
}

TEST(Nn, LossesAndNormalisations) {
  const Array logits = random::normal(random::key(0), {4, 3});
  const Array labels = Array::from<int64_t>({0, 2, 1, -1}), mask = Array::from<double>({1, 1, 1, 0});
  const auto p = log_softmax(logits).to_vector<double>();
  EXPECT_NEAR(nn::softmax_cross_entropy(logits, labels, mask).item<double>(), -(p[0] + p[5] + p[7]) / 3.0,
              1e-14);
  EXPECT_THROW((void)nn::softmax_cross_entropy(logits, labels), IndexError);
  EXPECT_NEAR(nn::binary_cross_entropy_with_logits(Array::from<double>({800.0}), zeros({1})).item<double>(),
              800.0, 0.0);
  const Array y = nn::layer_norm(logits);
  EXPECT_LT(max(abs(mean(y, Axes{-1}))).item<double>(), 1e-14);
  const nn::BatchNormResult b = nn::batch_norm(logits);
  EXPECT_LT(difference(b.variance, var(logits, Axes{0}, 1.0)), 1e-14);
  EXPECT_LT(difference(b.y, nn::normalise(logits, b.mean, 0.75 * b.variance, {}, {})), 1e-14);
  EXPECT_LT(difference(nn::dropout(logits, 0.5, {}), logits), 1e-300);
}

}  // namespace
}  // namespace hesse::gnn
