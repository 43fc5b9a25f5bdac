#include "gnn/sample.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "core/ops.h"

namespace hesse::gnn {
namespace {

using Integers = std::vector<int64_t>;
Integers values(const Array& a) { return a.to_vector<int64_t>(); }
Array integers(const Integers& v) { return Array::from<int64_t>(v, {static_cast<int64_t>(v.size())}); }

// 0 <- 1, 2, 3; 1 <- 4; 4 <- 5; a duplicate 1 <- 4; 3 <- 3; 6 is alone.
Graph small() {
  return graph(reshape(Array::from<int64_t>({1, 2, 3, 4, 5, 4, 3, 0, 0, 0, 1, 4, 1, 3}), {2, 7}), {}, 7);
}

TEST(Sample, AllNeighboursHopByHop) {
  const Sample s = neighbour_sample(random::key(0), small(), integers({0, 6}), {-1, -1});
  EXPECT_EQ(values(s.nodes), (Integers{0, 6, 1, 2, 3, 4}));
  EXPECT_EQ(values(s.edges), (Integers{0, 1, 2, 3, 4, 5}));  // of 0; of 1, twice; of 3. 4 is not expanded
  EXPECT_EQ(values(s.graph.source), (Integers{2, 3, 4, 5, 5, 4}));
  EXPECT_EQ(values(s.graph.target), (Integers{0, 0, 0, 2, 2, 4}));
  EXPECT_EQ(values(s.graph.by_target.starts), (Integers{0, 3, 3, 5, 5, 6, 6}));
}

TEST(Sample, SomeNeighboursWithoutReplacement) {
  for (uint64_t seed = 0; seed < 50; ++seed) {
    const Sample s = neighbour_sample(random::key(seed), small(), integers({0}), {2});
    const Integers edges = values(s.edges);
    ASSERT_EQ(edges.size(), 2u);
    EXPECT_TRUE(0 <= edges[0] && edges[0] < edges[1] && edges[1] < 3);
    EXPECT_EQ(values(neighbour_sample(random::key(seed), small(), integers({0}), {2}).edges), edges);
  }
  // Of a node with many neighbours: as many different ones as asked for.
  Integers ends(2000);
  for (int64_t k = 0; k < 1000; ++k) ends[static_cast<size_t>(k)] = k + 1;
  const Graph star = graph(reshape(integers(ends), {2, 1000}));
  const Integers chosen = values(neighbour_sample(random::key(1), star, integers({0}), {700}).edges);
  EXPECT_EQ(std::set<int64_t>(chosen.begin(), chosen.end()).size(), 700u);
}

// Papers (type 1) hear of authors (type 0) and of papers; author 1 wrote 0 and 1, paper 2 is cited by 0, 0
// by 1.
std::vector<Relation> of_papers(Dims by_author, Dims by_citation) {
  return {{0, 1, {integers({0, 1, 3, 3}), integers({1, 0, 1}), {}}, std::move(by_author)},
          {1, 1, {integers({0, 1, 1, 2}), integers({1, 0}), {}}, std::move(by_citation)}};
}

TEST(Sample, EveryTypeHasItsOwnNumbers) {
  const auto [nodes, edges] = neighbour_sample(random::key(0), of_papers({-1, -1, -1}, {-1, -1, 0}), {2, 3},
                                               {integers({}), integers({2})});
  EXPECT_EQ(values(nodes[0]), (Integers{1, 0}));
  EXPECT_EQ(values(nodes[1]), (Integers{2, 0, 1}));
  EXPECT_EQ(values(edges[0].edges), (Integers{0, 1, 2}));  // of paper 0 in the second hop, of 1 in the third
  EXPECT_EQ(values(edges[0].source), (Integers{0, 1, 0}));
  EXPECT_EQ(values(edges[0].target), (Integers{1, 2, 2}));
  EXPECT_EQ(values(edges[1].edges), (Integers{1, 0}));
  EXPECT_EQ(values(edges[1].source), (Integers{1, 2}));
  EXPECT_EQ(values(edges[1].target), (Integers{0, 1}));
}

TEST(Sample, InducedNodesKeepTheirOrder) {
  const Sample s = induced_sample(small(), integers({4, 1, 3}));
  EXPECT_EQ(values(s.nodes), (Integers{4, 1, 3}));
  EXPECT_EQ(values(s.edges), (Integers{3, 4, 5}));
  EXPECT_EQ(values(s.graph.source), (Integers{0, 0, 2}));
  EXPECT_EQ(values(s.graph.target), (Integers{1, 1, 2}));
}

TEST(Sample, WalksFollowEdgesAndStayWhereNoneLeadsOn) {
  const Array walks = random_walks(random::key(3), small(), integers({5, 6, 3}), 4, 0.5, 2.0);
  EXPECT_EQ(walks.shape(), (Shape{3, 5}));
  const Integers w = values(walks);
  EXPECT_EQ(Integers(w.begin(), w.begin() + 10), (Integers{5, 4, 1, 0, 0, 6, 6, 6, 6, 6}));
  for (size_t k = 10; k < 15; ++k) EXPECT_TRUE(w[k] == 3 || w[k] == 0);
}

TEST(Sample, ClustersAreAsLarge) {
  Integers ends;  // two rings of ten
  for (int64_t k = 0; k < 20; ++k) ends.push_back(k);
  for (int64_t k = 0; k < 20; ++k) ends.push_back(k / 10 * 10 + (k + 1) % 10);
  const Integers part = values(clusters(random::key(2), graph(reshape(integers(ends), {2, 20})), 4));
  for (int64_t c = 0; c < 4; ++c) EXPECT_NEAR(std::count(part.begin(), part.end(), c), 5, 1);
}

TEST(Sample, Refusals) {
  const Graph g = small();
  const Array key = random::key(0);
  EXPECT_THROW((void)neighbour_sample(key, g, integers({7}), {1}), IndexError);
  EXPECT_THROW((void)neighbour_sample(key, g, integers({1, 1}), {1}), ValueError);
  EXPECT_THROW((void)neighbour_sample(Array(1.0), g, integers({1}), {1}), TypeError);
  const auto typed = [&](const std::vector<Relation>& relations, const Dims& counts, const Arrays& nodes) {
    (void)neighbour_sample(key, relations, counts, nodes);
  };
  const Arrays seeds = {integers({}), integers({1})};
  EXPECT_THROW(typed(of_papers({-1}, {1}), {1, 3}, seeds), IndexError);       // author 1
  EXPECT_THROW(typed(of_papers({1}, {1}), {2, 4}, seeds), ValueError);        // papers of other number
  EXPECT_THROW(typed(of_papers({1}, {1, 1}), {2, 3}, seeds), ValueError);     // hops
  EXPECT_THROW(typed(of_papers({1}, {1}), {2}, {integers({})}), ValueError);  // types
  EXPECT_THROW(typed(of_papers({1}, {1}), {2, 3}, {integers({})}), ValueError);
  EXPECT_THROW((void)induced_sample(g, integers({-1})), IndexError);
  EXPECT_THROW((void)random_walks(key, g, integers({0}), -1), ValueError);
  EXPECT_THROW((void)random_walks(key, g, integers({0}), 1, 0.0), ValueError);
  EXPECT_THROW((void)clusters(key, g, 0), ValueError);
}

}  // namespace
}  // namespace hesse::gnn
