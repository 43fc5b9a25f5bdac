// Regression: a small network learns z = e^x sin(3 y) from samples with Adam, and is saved and loaded again.
#include <hesse/hesse.h>

#include <cstdio>
#include <filesystem>
#include <random>

namespace hs = hesse;
using hs::Array, hs::Arrays, hs::nn::MLP;

// From points [..., 2] to values [...].
Array target(const Array& points) {
  const Arrays p = hs::unstack(points, -1);
  return hs::exp(p[0]) * hs::sin(3.0 * p[1]);
}
Array predict(const MLP& net, const Array& points) { return hs::squeeze(net(points), hs::Axes{-1}); }

int main() {
  // The data: 1024 points of the square [-1, 1]^2.
  const Arrays keys = hs::unstack(hs::random::split(hs::random::key(0), 3));
  const Array points = hs::random::uniform(keys[0], {1024, 2}, -1.0, 1.0);
  const Array values = target(points);

  // The network is a tree: a structure of arrays that gradients, optimisers and files see as one thing.
  MLP net = MLP::create(keys[1], {2, 32, 32, 1}, hs::tanh);
  const int64_t epochs = 400, batch = 64, steps = epochs * points.dim(0) / batch;
  const auto adam = hs::optim::adam(hs::optim::warmup(50, hs::optim::cosine_decay(1e-2, steps - 50)));

  auto loss = [](const MLP& net, const Array& points, const Array& values) {
    return hs::mean(hs::square(predict(net, points) - values));
  };
  // One step of Adam. It is recorded at the first call, and only the graph is run afterwards.
  using State = hs::optim::AdamState<MLP>;
  auto step = hs::compile([&](const MLP& net, const State& state, const Array& points, const Array& values) {
    auto [value, gradient] = hs::value_and_grad(loss)(net, points, values);
    auto [new_net, new_state] = adam.update(gradient, state, net);
    return std::tuple(new_net, new_state, value);
  });

  State state = adam.init(net);
  Array value;
  for (int64_t epoch = 0; epoch < epochs; ++epoch) {
    const Array order = hs::random::permutation(hs::random::fold_in(keys[2], epoch), points.dim(0));
    for (const Array& chosen : hs::unstack(hs::reshape(order, {-1, batch})))
      std::tie(net, state, value) = step(net, state, hs::gather(points, chosen), hs::gather(values, chosen));
    if (epoch % 100 == 99)
      std::printf("epoch %4d: loss %.2e\n", static_cast<int>(epoch + 1), value.item<double>());
  }

  // Prediction at points that it has not seen, compared with the function itself.
  const Array axis = hs::linspace(-0.95, 0.95, 40);
  const Array grid = hs::stack(hs::meshgrid({axis, axis}), -1);  // [40, 40, 2]: features are the last axis
  const Array prediction = predict(net, grid);
  const double error = hs::physics::relative_l2(prediction, target(grid)).item<double>();
  std::printf("relative L2 error on a grid: %.2e\n", error);

  // Weights to a file and back: the same bits. The last argument says what names, shapes and dtypes to
  // expect.
  const std::string name = "hesse_" + std::to_string(std::random_device()()) + ".safetensors";
  const auto path = std::filesystem::temp_directory_path() / name;
  hs::io::save_safetensors(path, net, {{"about", "e^x sin(3 y)"}});
  std::printf("saved:");
  for (const std::string& name : hs::leaf_names(net)) std::printf(" %s", name.c_str());
  const MLP other = MLP::create(hs::random::key(1), {2, 32, 32, 1}, hs::tanh);
  const MLP loaded = hs::io::load_safetensors(path, other);
  std::filesystem::remove(path);
  const bool same = hs::all(hs::equal(predict(loaded, grid), prediction)).item<bool>();
  std::printf("\nthe loaded network predicts the same: %s\n", same ? "true" : "false");

  if (error < 2e-2 && same) return 0;
  std::fprintf(stderr, "the error should be below 2e-2 and the predictions equal\n");
  return 1;
}
