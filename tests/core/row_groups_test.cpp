// Batches of graphs that run a few whole graphs at a time, against the same equations one after the other.
#include "core/program/row_groups.h"

#include <gtest/gtest.h>

#include "autodiff/autodiff.h"
#include "core/cpu/threads.h"
#include "core/debug.h"
#include "core/error.h"
#include "core/ops.h"
#include "core/program/batch.h"
#include "core/program/explain.h"
#include "core/program/grouped_rows.h"
#include "core/segment.h"
#include "core/sparse.h"
#include "tests/core/compare.h"

namespace hesse {
namespace {

using Span = std::span<const Array>;
using test::avals_of;
using test::difference;
using test::random_array;
using test::vector_of;

/// A program that runs a batch in groups, and how many there were in its last run.
struct Grouped {
  explicit Grouped(const Fn& f, const Arrays& x) : program(compile(f, avals_of(x)).program()) {
    for (const Graph::Equation& eq : program->equations())
      if (const GroupedRows* found = grouped_rows(*eq.op)) op = found;
  }
  Arrays operator()(const Arrays& x) const { return program->run(x); }
  int64_t groups() const { return op ? op->last_groups() : -1; }
  Ref<const Graph> program;
  const GroupedRows* op = nullptr;
};

/// The program of f, which has given the same as f itself, in so many groups.
Grouped expect_groups(const Fn& f, const Arrays& x, int64_t groups, double tolerance) {
  Grouped g(f, x);
  const Arrays got = g(x), expected = f(x);
  EXPECT_EQ(g.groups(), groups) << g.program->to_string();
  for (size_t k = 0; k < got.size(); ++k) {
    EXPECT_EQ(aval(got[k]), aval(expected[k]));
    EXPECT_LT(difference(got[k], expected[k]), tolerance) << k;
  }
  return g;
}

/// Graphs of the given numbers of nodes, every node linked with `degree` others of its own: positions,
/// weights, source and target of every edge by target, graph of every node, a matrix with a value for every
/// edge and feature.
struct Batched {
  Batched(const std::vector<int64_t>& sizes, int64_t degree, int64_t width, DType dtype, uint64_t seed = 1) {
    std::mt19937_64 generator(seed);
    std::vector<int64_t> source, target, graph;
    int64_t first = 0;
    for (size_t g = 0; g < sizes.size(); first += sizes[g++])
      for (int64_t i = 0; i < sizes[g]; ++i) {
        graph.push_back(static_cast<int64_t>(g));
        for (int64_t k = 0; sizes[g] > 1 && k < degree; ++k) {
          source.push_back(first + static_cast<int64_t>(generator() % static_cast<uint64_t>(sizes[g])));
          target.push_back(first + i);
        }
      }
    nodes = first;
    graphs = static_cast<int64_t>(sizes.size());
    edges = static_cast<int64_t>(source.size());
    x = {random_array({nodes, 3}, dtype, generator),
         multiply(random_array({width, width}, dtype, generator), 0.3),
         multiply(random_array({3, width}, dtype, generator), 0.3),
         random_array({width}, dtype, generator),
         vector_of(source),
         vector_of(target),
         vector_of(graph),
         random_array({graphs}, dtype, generator)};
    const sparse::CSR a =
        sparse::coo(ones({edges, width}, dtype), x[5], x[4], nodes, nodes, sparse::Duplicates::Keep);
    for (const sparse::Rows& side : {a.by_row, a.by_col})
      x.insert(x.end(), {side.starts, side.columns, side.entries});
  }
  int64_t nodes, graphs, edges;
  Arrays x;
};

// An energy of every graph by two layers of messages, and how far its forces and itself are from given ones.
Array energies(Span x, const Array& pos, const Array& w, int64_t graphs) {
  const Array shift = gather(pos, x[4]) - gather(pos, x[5]);
  const Array filter = tanh(matmul(matmul(shift * shift, x[2]) + x[3], w));
  const sparse::CSR a{filter, {x[8], x[9], x[10]}, {x[11], x[12], x[13]}};
  Array h = tanh(matmul(pos, x[2]));
  for (int layer = 0; layer < 2; ++layer) h = tanh(matmul(sparse::matmul(a, h), w)) + h;
  return segment_sum(sum(h, Axes{1}), x[6], graphs);
}
Fn training(int64_t graphs) {
  return [graphs](Span x) {
    const Fn loss = [&](Span p) {
      const auto [e, force] =
          value_and_grad([&](Span q) { return Arrays{sum(energies(x, q[0], p[0], graphs))}; }, {x[0]}, {0});
      const Array off = energies(x, x[0], p[0], graphs) - x[7];
      return Arrays{sum(off * off) + mean(force[0] * force[0])};
    };
    auto [value, grad] = value_and_grad(loss, {x[1]}, {0});
    return Arrays{value[0], grad[0]};
  };
}
// The same energies and their forces, which come out row by row.
Fn forces(int64_t graphs) {
  return [graphs](Span x) {
    const Fn energy = [&](Span q) { return Arrays{sum(energies(x, q[0], x[1], graphs))}; };
    auto [e, force] = value_and_grad(energy, {x[0]}, {0});
    return Arrays{energies(x, x[0], x[1], graphs), force[0]};
  };
}

/// What becomes of batches while it lives.
struct Joined {
  explicit Joined(Joining how) { set_joining(how); }
  ~Joined() { set_joining(Joining::AsPays); }
};

const std::vector<int64_t> kRagged{7, 1, 12, 5, 20, 1, 1, 9, 3, 16};

TEST(RowGroups, GiveEnergiesForcesAndGradients) {
  const Joined joined(Joining::Groups);
  for (const DType dtype : {kFloat32, kFloat64}) {
    const Batched b(kRagged, 4, 9, dtype);
    for (const Fn& f : {training(b.graphs), forces(b.graphs)})
      expect_groups(f, b.x, 10, dtype == kFloat32 ? 1e-4 : 1e-12);
  }
}

// Dot products of gathered rows and matrices with one value for every edge, whose pull-backs gather too.
TEST(RowGroups, OfAttentionGiveTheSame) {
  const Joined joined(Joining::Groups);
  for (const DType index : {kInt32, kInt64}) {
    Batched b(kRagged, 4, 9, kFloat64);
    for (size_t i = 8; i < b.x.size(); ++i) b.x[i] = astype(b.x[i], index);
    const int64_t edges = b.edges, graphs = b.graphs;
    const Fn f = [edges, graphs](Span x) {
      const sparse::Rows by_row{x[8], x[9], x[10]}, by_col{x[11], x[12], x[13]};
      const Fn loss = [&](Span p) {
        const Array h = matmul(x[0], p[1]), q = matmul(h, p[0]);
        const sparse::CSR pattern{ones({edges}, kFloat64), by_row, by_col};
        const Array score = exp(tanh(sparse::sampled_outer(pattern, q, h)));
        const Array total = sparse::matmul(sparse::CSR{score, by_row, by_col}, ones_like(h)) + 1.0;
        const Array y = sparse::matmul(sparse::CSR{score, by_row, by_col}, h) / total;
        const Array pooled = segment_sum(tanh(y), x[6], graphs);
        return Arrays{sum(square(pooled - expand_dims(x[7], {1})))};
      };
      auto [value, grad] = value_and_grad(loss, {x[1], x[2]}, {0, 1});
      return Arrays{value[0], grad[0], grad[1]};
    };
    expect_groups(f, b.x, 10, 1e-12);
  }
}

// Attention by segments, whose largest scores are found first, and rows of which parts are taken.
TEST(RowGroups, OfSegmentsAndPartsOfRowsGiveTheSame) {
  const Joined joined(Joining::Groups);
  const Batched b(kRagged, 4, 9, kFloat64);
  const int64_t nodes = b.nodes, graphs = b.graphs;
  const Fn f = [nodes, graphs](Span x) {
    const Fn loss = [&](Span p) {
      const Array h = matmul(x[0], p[1]), q = matmul(h, p[0]);
      const auto part = [](const Array& a, int64_t first, int64_t last) {
        return slice(a, {0, first}, {a.shape()[0], last}, {1, 1});
      };
      const Array score = sum(gather(part(q, 0, 4), x[5]) * gather(part(h, 3, 7), x[4]), Axes{1});
      const Array weight = expand_dims(segment_softmax(score, x[5], nodes), {1});
      const Array y = segment_sum(weight * gather(h, x[4]), x[5], nodes);
      const Array both = concatenate({part(y, 0, 5), part(q, 2, 9)}, 1);
      const Array pooled = segment_mean(tanh(both), x[6], graphs) + segment_max(both, x[6], graphs);
      return Arrays{sum(square(pooled - expand_dims(x[7], {1})))};
    };
    auto [value, grad] = value_and_grad(loss, {x[1], x[2]}, {0, 1});
    return Arrays{value[0], grad[0], grad[1]};
  };
  const Grouped g = expect_groups(f, b.x, 10, 1e-12);
  EXPECT_EQ(g.op->parts().counts.size(), 3U);
  for (const Graph::Equation& eq : g.program->equations())
    for (const char* name : {"gather", "scatter_add", "segment_max", "tanh"}) EXPECT_NE(eq.op->name(), name);
}

// One program for all batches of these shapes, however their graphs are.
TEST(RowGroups, AreCutAtEveryRun) {
  const Joined joined(Joining::Groups);
  const Batched even(std::vector<int64_t>(10, 8), 4, 9, kFloat64);
  const Fn f = training(even.graphs);
  const Grouped g(f, even.x);
  EXPECT_LT(difference(g(even.x)[1], f(even.x)[1]), 1e-12);
  EXPECT_EQ(g.groups(), 10);
  // Two that are linked by an edge are one.
  Arrays linked = even.x;
  std::vector<int64_t> source;
  for (int64_t e = 0; e < even.edges; ++e) source.push_back(even.x[4].view().as<const int64_t>()[e]);
  source[0] = 15;
  linked[4] = Array::from<int64_t>(std::span<const int64_t>(source), {even.edges});
  const sparse::CSR a = sparse::coo(ones({even.edges, 9}, kFloat64), linked[5], linked[4], even.nodes,
                                    even.nodes, sparse::Duplicates::Keep);
  size_t at = 8;
  for (const sparse::Rows& side : {a.by_row, a.by_col})
    for (const Array& i : {side.starts, side.columns, side.entries}) linked[at++] = i;
  EXPECT_LT(difference(g(linked)[1], f(linked)[1]), 1e-12);
  EXPECT_EQ(g.groups(), 9);
}

TEST(RowGroups, LargeBatchesAre) {
  const Batched b(std::vector<int64_t>(70, 20), 9, 64, kFloat32);
  const Fn f = training(b.graphs);
  const Grouped g = expect_groups(f, b.x, 70, 1e-3);
  const Arrays got = g(b.x);
  const Report r = report(*g.program);
  ASSERT_EQ(r.groups.size(), 1U);
  EXPECT_EQ(r.groups[0].rows, (Dims{b.nodes, b.edges, b.graphs}));
  EXPECT_NE(explain(*g.program).find("batch of graphs with rows"), std::string::npos);
  const int before = num_threads();
  for (const int threads : {1, 2, 3, 7}) {
    set_num_threads(threads);
    const Arrays more = g(b.x);
    for (size_t k = 0; k < 2; ++k) EXPECT_TRUE(all(equal(got[k], more[k])).item<bool>()) << threads;
  }
  set_num_threads(before);
}

// Then chunks of rows serve.
TEST(RowGroups, AGraphThatHangsTogetherRunsAtOnce) {
  const Batched b({1400}, 9, 64, kFloat32);
  const Fn f = training(b.graphs);
  expect_groups(f, b.x, 0, 1e-3);
}

TEST(RowGroups, ReportIndicesThatAreOutOfRange) {
  const Joined joined(Joining::Groups);
  const Batched b(kRagged, 4, 9, kFloat64);
  const Compiled g = compile(training(b.graphs), avals_of(b.x));
  for (const size_t i : {4, 5, 6, 9, 12}) {
    Arrays wrong = b.x;
    wrong[i] = add(wrong[i], int64_t{1000});
    EXPECT_THROW(g(wrong), IndexError) << i;
  }
  EXPECT_NO_THROW(g(b.x));
}

TEST(RowGroups, NameWhatMakesANaN) {
  const Joined joined(Joining::Groups);
  Batched b(kRagged, 4, 9, kFloat64);
  const Compiled g = compile(training(b.graphs), avals_of(b.x));
  const Arrays plain = g(b.x);
  set_debug_nans(true);
  const Arrays checked = g(b.x);
  b.x[3] = b.x[3] * std::numeric_limits<double>::infinity();  // all bounded, times their zero slopes
  EXPECT_THROW(g(b.x), NumericalError);
  set_debug_nans(false);
  for (size_t k = 0; k < plain.size(); ++k) EXPECT_LT(difference(checked[k], plain[k]), 1e-12);
}

}  // namespace
}  // namespace hesse
