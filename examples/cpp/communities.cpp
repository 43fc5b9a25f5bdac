// Node classification: two communities of a drawn graph are told apart from a few labels, by a graph
// convolution after an attention layer; and a message function of one's own.
#include <hesse/hesse.h>

#include <cstdio>

namespace hs = hesse;
namespace gnn = hesse::gnn;
using hs::Array, hs::Arrays;

// A model is a struct of layers; what fields() names is trained.
struct Model {
  gnn::GATConv first;
  gnn::GCNConv second;
  auto fields() { return hs::fields("first", first, "second", second); }

  // With a key features and attention coefficients are dropped: training. Without: evaluation.
  Array operator()(const gnn::Graph& graph, const std::optional<Array>& key = {}) const {
    std::optional<Array> one, two;
    if (key) {
      const Arrays keys = hs::unstack(hs::random::split(*key));
      one = keys[0], two = keys[1];
    }
    const Array x = hs::nn::elu(first(graph.x(), graph, one));
    return second(hs::nn::dropout(x, 0.5, two), graph);
  }
};

// n nodes in two halves: an edge inside of a half is eight times as likely as between them.
gnn::Graph draw(int64_t n, const Array& labels) {
  const Arrays keys = hs::unstack(hs::random::split(hs::random::key(0)));
  const Array same = hs::equal(hs::expand_dims(labels, {1}), labels);
  const Array likely = hs::where(same, 0.08, 0.01);
  const Arrays above =
      hs::nonzero(hs::triu(hs::astype(hs::random::uniform(keys[0], {n, n}) < likely, hs::kInt64), 1));
  // Every edge in both directions.
  const Array there = hs::stack(above), back = hs::stack({above[1], above[0]});
  gnn::GraphArrays arrays;
  // Features hint at the community, with much noise.
  const Array hint = hs::expand_dims(2.0 * hs::astype(labels, hs::kFloat64) - 1.0, {1});
  arrays.x = 0.3 * hint + hs::random::normal(keys[1], {n, 8});
  return gnn::graph(hs::concatenate({there, back}, 1), arrays);
}

int main() {
  const int64_t n = 200;
  const Array number = hs::arange(0.0, static_cast<double>(n), 1.0, hs::kInt64);
  const Array labels = hs::remainder(number, int64_t{2});
  const gnn::Graph graph = draw(n, labels);
  const Array known = number < 20.0;  // ten labels of each
  std::printf("%d nodes, %d edges, %d labels\n", static_cast<int>(n), static_cast<int>(graph.num_edges()),
              20);

  const Arrays keys = hs::unstack(hs::random::split(hs::random::key(1), 3));
  Model model{gnn::GATConv::create(keys[0], 8, 4, 2, 0.3), gnn::GCNConv::create(keys[1], 8, 2)};
  const auto adam = hs::optim::adam(0.01, {.l2 = 5e-4});
  auto loss = [](const Model& model, const gnn::Graph& graph, const Array& labels, const Array& known,
                 const Array& key) {
    return hs::nn::softmax_cross_entropy(model(graph, key), labels, known);
  };
  using State = hs::optim::AdamState<Model>;
  auto step = hs::compile([&](const Model& model, const State& state, const Array& key) {
    auto [value, gradient] =
        hs::value_and_grad([&](const Model& m) { return loss(m, graph, labels, known, key); })(model);
    auto [next, next_state] = adam.update(gradient, state, model);
    return std::tuple(next, next_state, value);
  });

  State state = adam.init(model);
  Array value;
  for (int64_t epoch = 0; epoch < 150; ++epoch)
    std::tie(model, state, value) = step(model, state, hs::random::fold_in(keys[2], epoch));
  const Array right = hs::equal(hs::argmax(model(graph), -1), labels);
  const double accuracy = hs::mean(hs::astype(right, hs::kFloat64)).item<double>();
  std::printf("loss %.3f, accuracy on all nodes %.1f %%\n", value.item<double>(), 100.0 * accuracy);

  // Message passing with the message of ONE edge as a function: a map over edges, which stores no messages.
  const Array difference = gnn::message_passing(
      [](const Array& to, const Array& from, const Array&) { return hs::square(to - from); },
      gnn::Reduce::Mean, hs::expand_dims(hs::astype(labels, hs::kFloat64), {1}), graph);
  const double mixed = hs::mean(difference).item<double>();
  std::printf("neighbours of the other community: %.1f %%\n", 100.0 * mixed);

  if (accuracy > 0.9 && mixed < 0.2) return 0;
  std::fprintf(stderr, "the accuracy should be above 90 %%, and few neighbours of the other community\n");
  return 1;
}
