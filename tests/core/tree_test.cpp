#include "core/tree.h"

#include <gtest/gtest.h>

#include "core/ops.h"

namespace hesse {
namespace {

struct Layer {
  Array w;
  std::optional<Array> b;
  int64_t width = 3;  // static
  auto fields() { return hesse::fields("w", w, "b", b); }
};
struct Model {
  std::vector<Layer> layers;
  std::map<std::string, Array> extra;
  std::pair<Array, Array> ends;
  auto fields() { return hesse::fields("layers", layers, "extra", extra, "ends", ends); }
};

Array scalar(double v) { return Array::from<double>(std::vector<double>{v}, {}); }

Model sample() {
  return {{{scalar(1), scalar(2)}, {scalar(3), {}}},
          {{"a", scalar(4)}, {"b", scalar(5)}},
          {scalar(6), scalar(7)}};
}

TEST(Tree, NamesAndLeavesInOrder) {
  const Model m = sample();
  EXPECT_EQ(leaf_names(m), (std::vector<std::string>{"layers.0.w", "layers.0.b", "layers.1.w", "extra.a",
                                                     "extra.b", "ends.0", "ends.1"}));
  double expected = 1;
  for (const Array& a : leaves(m)) EXPECT_EQ(a.item<double>(), expected++);
  EXPECT_EQ(leaves(scalar(1)).size(), 1u);
}

TEST(Tree, WithLeavesReplacesArraysAndKeepsTheRest) {
  Model m = sample();
  m.layers[1].width = 9;
  Arrays fresh;
  for (int i = 0; i < 7; ++i) fresh.push_back(scalar(10 + i));
  const Model n = with_leaves(m, fresh);
  EXPECT_EQ(n.ends.second.item<double>(), 16.0);
  EXPECT_EQ(n.layers[1].width, 9);
  EXPECT_EQ(m.ends.second.item<double>(), 7.0) << "the original is untouched";
  fresh.pop_back();
  EXPECT_THROW((void)with_leaves(m, fresh), ValueError);
}

}  // namespace
}  // namespace hesse
