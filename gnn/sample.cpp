#include "gnn/sample.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <queue>
#include <span>

#include "core/cpu/threads.h"
#include "core/ops.h"
#include "core/random.h"

namespace hesse::gnn {
namespace {

// The data of a vector of integers: in place where it lies contiguously as int64.
class Integers {
 public:
  Integers(const char* function, const char* name, const Array& a) : held_(a.materialised()) {
    require(a.ndim() == 1, function, ": ", name, " must be a vector, got ", describe(a));
    require<TypeError>(is_integer(a.dtype()), function, ": ", name, " must hold integers, got ", describe(a));
    if (held_.dtype() != kInt64) held_ = astype(held_, kInt64);
    if (!held_.contiguous()) held_ = Array::from<int64_t>(held_.to_vector<int64_t>(), {held_.shape()[0]});
    data_ = {held_.view().as<const int64_t>(), static_cast<size_t>(held_.size())};
  }
  int64_t operator[](int64_t i) const { return data_[static_cast<size_t>(i)]; }
  int64_t size() const { return static_cast<int64_t>(data_.size()); }
  std::span<const int64_t> span(int64_t first, int64_t count) const {
    return data_.subspan(static_cast<size_t>(first), static_cast<size_t>(count));
  }

 private:
  Array held_;
  std::span<const int64_t> data_;
};

int64_t checked(const char* function, const char* what, int64_t node, int64_t count) {
  require<IndexError>(node >= 0 && node < count, function, ": ", what, " ", node, " is out of range for ",
                      count, " nodes");
  return node;
}

// The edges of every node on one side. Fields of a graph may have been replaced by hand: what is read is
// checked.
class Side {
 public:
  // others: how many nodes there are at the other ends, by default as many as on this side.
  Side(const char* function, const sparse::Rows& rows, std::optional<int64_t> others = {})
      : function_(function),
        starts_(function, "the starts of a graph", rows.starts),
        ends_(function, "the edges of a graph", rows.columns),
        others_(others.value_or(starts_.size() - 1)) {
    require(starts_.size() >= 1, function, ": the graph has no starts");
  }
  int64_t num_nodes() const { return starts_.size() - 1; }
  int64_t check(int64_t node, const char* what) const { return checked(function_, what, node, num_nodes()); }
  int64_t first(int64_t node) const { return starts_[node]; }
  // The nodes at the other ends of a node's edges.
  std::span<const int64_t> of(int64_t node) const {
    const int64_t begin = starts_[node], end = starts_[node + 1];
    require(begin >= 0 && begin <= end && end <= ends_.size(), function_, ": the edges of node ", node,
            " are ", begin, " to ", end, " of ", ends_.size(), "; a graph is changed by its methods");
    return ends_.span(begin, end - begin);
  }
  int64_t end_of(int64_t edge) const { return checked(function_, "a neighbour", ends_[edge], others_); }

 private:
  const char* function_;
  Integers starts_, ends_;
  int64_t others_;
};

// The words of a key one after the other.
class Stream {
 public:
  explicit Stream(Key key) : key_(key) {}
  uint64_t word() {
    if (at_ == words_.size()) {
      rng::words(key_, next_, words_);
      next_ += words_.size();
      at_ = 0;
    }
    return words_[at_++];
  }
  int64_t below(int64_t n) { return static_cast<int64_t>(rng::below(word(), static_cast<uint64_t>(n))); }
  double uniform() { return static_cast<double>(word() >> 11) * 0x1.0p-53; }

 private:
  Key key_;
  uint64_t next_ = 0;
  std::array<uint64_t, 16> words_{};
  size_t at_ = words_.size();
};

// Nodes by the order in which they came: a hash table with open addressing, at most half full.
class Names {
 public:
  explicit Names(size_t expected) { grow(std::max<size_t>(64, 4 * expected)); }
  // The number of a node, and whether it is new.
  std::pair<int64_t, bool> add(int64_t node) {
    if (2 * (nodes_.size() + 1) > slots_.size()) grow(2 * slots_.size());
    int64_t& slot = find(node);
    if (slot >= 0) return {slot, false};
    slot = static_cast<int64_t>(nodes_.size());
    nodes_.push_back(node);
    return {slot, true};
  }
  // Negative for a node that there is not.
  int64_t number(int64_t node) { return find(node); }
  const std::vector<int64_t>& nodes() const { return nodes_; }

 private:
  int64_t& find(int64_t node) {
    const size_t mask = slots_.size() - 1;
    size_t at = (static_cast<uint64_t>(node) * 0x9E3779B97F4A7C15u) >> shift_;
    while (slots_[at] >= 0 && nodes_[static_cast<size_t>(slots_[at])] != node) at = (at + 1) & mask;
    return slots_[at];
  }
  void grow(size_t least) {
    size_t size = 64;
    shift_ = 58;
    while (size < least) size *= 2, --shift_;
    slots_.assign(size, -1);
    for (size_t k = 0; k < nodes_.size(); ++k) find(nodes_[k]) = static_cast<int64_t>(k);
  }

  std::vector<int64_t> nodes_, slots_;
  int shift_ = 58;
};

Array vector_of(const std::vector<int64_t>& v) {
  return Array::from<int64_t>(v, {static_cast<int64_t>(v.size())});
}

Key key_of(const char* function, const Array& key) {
  require<TypeError>(key.dtype() == kKey && key.ndim() == 0, function, ": key must be a random key, got ",
                     describe(key), "; make one with random.key(seed)");
  return *key.materialised().view().as<const Key>();
}

// k of 0 ... n - 1, in ascending order; all of them for k < 0 (Bentley and Floyd, Commun. ACM 30 (1987) 754).
void choose(Stream& random, int64_t n, int64_t k, std::vector<int64_t>& chosen) {
  chosen.clear();
  if (k < 0 || k >= n) {
    chosen.resize(static_cast<size_t>(n));
    std::iota(chosen.begin(), chosen.end(), 0);
    return;
  }
  for (int64_t j = n - k; j < n; ++j) {
    const int64_t t = random.below(j + 1);
    const auto at = std::lower_bound(chosen.begin(), chosen.end(), t);
    if (at != chosen.end() && *at == t)
      chosen.push_back(j);  // larger than all that are there
    else
      chosen.insert(at, t);
  }
}

Names names_of(const char* function, int64_t count, const Array& nodes) {
  const Integers given(function, "nodes", nodes);
  Names names(static_cast<size_t>(given.size()));
  for (int64_t k = 0; k < given.size(); ++k)
    require(names.add(checked(function, "node", given[k], count)).second, function, ": node ", given[k],
            " is given twice");
  return names;
}

// Edges of a large graph, and their ends in the sample.
struct Found {
  std::vector<int64_t> edges, source, target;
  void add(int64_t edge, int64_t from, int64_t to) {
    edges.push_back(edge);
    source.push_back(from);
    target.push_back(to);
  }
};

Sample sample(const Names& names, const Found& found) {
  const Array ends = stack({vector_of(found.source), vector_of(found.target)});
  return {graph(ends, {}, static_cast<int64_t>(names.nodes().size())), vector_of(names.nodes()),
          vector_of(found.edges)};
}

std::vector<Names> typed_names(const char* function, const Dims& counts, const Arrays& nodes) {
  require(nodes.size() == counts.size(), function, ": there are nodes of ", nodes.size(), " types for ",
          counts.size());
  std::vector<Names> names;
  for (size_t t = 0; t < nodes.size(); ++t) names.push_back(names_of(function, counts[t], nodes[t]));
  return names;
}

// Adds to the nodes of every type, hop by hop, what those that the last hop found hear of.
std::vector<Found> grown(const char* function, const Array& key, const std::vector<Relation>& relations,
                         const Dims& counts, std::vector<Names>& names) {
  Stream random(key_of(function, key));
  std::vector<Side> in;
  for (const Relation& r : relations) {
    for (const int64_t type : {r.source_type, r.target_type})
      require(type >= 0 && type < static_cast<int64_t>(counts.size()), function, ": a relation names type ",
              type, " of ", counts.size());
    in.emplace_back(function, r.by_target, counts[static_cast<size_t>(r.source_type)]);
    require(in.back().num_nodes() == counts[static_cast<size_t>(r.target_type)], function,
            ": a relation has ", in.back().num_nodes(), " targets, its type has ",
            counts[static_cast<size_t>(r.target_type)], " nodes");
    require(r.sizes.size() == relations[0].sizes.size(), function, ": relations have ", r.sizes.size(),
            " and ", relations[0].sizes.size(), " hops");
  }
  std::vector<Found> found(relations.size());
  std::vector<size_t> begin(names.size(), 0), end(names.size());
  std::vector<int64_t> chosen;
  for (size_t hop = 0; !relations.empty() && hop < relations[0].sizes.size(); ++hop) {
    std::transform(names.begin(), names.end(), end.begin(), [](const Names& n) { return n.nodes().size(); });
    for (size_t r = 0; r < relations.size(); ++r) {
      const auto target = static_cast<size_t>(relations[r].target_type);
      Names& sources = names[static_cast<size_t>(relations[r].source_type)];
      for (size_t i = begin[target]; i < end[target]; ++i) {
        const int64_t node = names[target].nodes()[i], first = in[r].first(node);
        choose(random, static_cast<int64_t>(in[r].of(node).size()), relations[r].sizes[hop], chosen);
        for (const int64_t k : chosen)
          found[r].add(first + k, sources.add(in[r].end_of(first + k)).first, static_cast<int64_t>(i));
      }
    }
    begin = end;
  }
  return found;
}

// Whether a walk that came from u may go to x: with the probability of x over that of the likeliest kind.
struct Node2vec {
  double back, near, far;
  Node2vec(double p, double q) {
    const double most = std::max({1.0, 1.0 / p, 1.0 / q});
    back = 1.0 / p / most, near = 1.0 / most, far = 1.0 / q / most;
  }
  double operator()(const Side& out, int64_t u, int64_t x) const {
    if (x == u) return back;
    const auto ends = out.of(u);  // ascending: edges are sorted by target
    return std::binary_search(ends.begin(), ends.end(), x) ? near : far;
  }
};

// Which of the edges of a node a walk takes: by rejection, and where that fails often from all probabilities.
size_t biased_step(Stream& random, const Side& out, const Node2vec& bias, int64_t u,
                   std::span<const int64_t> ends) {
  for (int tries = 0; tries < 16; ++tries) {
    const auto k = static_cast<size_t>(random.below(static_cast<int64_t>(ends.size())));
    if (random.uniform() < bias(out, u, ends[k])) return k;
  }
  std::vector<double> sums(ends.size());
  double sum = 0.0;
  for (size_t k = 0; k < ends.size(); ++k) sums[k] = sum += bias(out, u, ends[k]);
  const auto at = std::upper_bound(sums.begin(), sums.end(), random.uniform() * sum);
  return std::min(static_cast<size_t>(at - sums.begin()), ends.size() - 1);
}

// Moves every node, in order, to the part that most of its neighbours are in, while sizes stay within bounds;
// how many moved.
int64_t refine(const Side& in, const Side& out, const std::vector<int64_t>& order, int64_t count,
               std::vector<int64_t>& part, std::vector<int64_t>& sizes) {
  const auto n = static_cast<double>(order.size());
  const auto most = static_cast<int64_t>(std::ceil(1.05 * n / static_cast<double>(count)));
  const auto least = static_cast<int64_t>(std::floor(0.95 * n / static_cast<double>(count)));
  std::vector<int64_t> shared(static_cast<size_t>(count), 0), touched;
  int64_t moved = 0;
  for (const int64_t v : order) {
    touched.clear();
    for (const Side* side : {&in, &out})
      for (const int64_t w : side->of(v)) {
        if (side->check(w, "a neighbour") == v) continue;
        const int64_t c = part[static_cast<size_t>(w)];
        if (shared[static_cast<size_t>(c)]++ == 0) touched.push_back(c);
      }
    const int64_t own = part[static_cast<size_t>(v)];
    int64_t best = own;
    for (const int64_t c : touched) {
      const int64_t gain = shared[static_cast<size_t>(c)] - shared[static_cast<size_t>(best)];
      if (gain > 0 && sizes[static_cast<size_t>(c)] < most) best = c;
    }
    if (best != own && sizes[static_cast<size_t>(own)] > least) {
      --sizes[static_cast<size_t>(own)], ++sizes[static_cast<size_t>(best)];
      part[static_cast<size_t>(v)] = best;
      ++moved;
    }
    for (const int64_t c : touched) shared[static_cast<size_t>(c)] = 0;
  }
  return moved;
}

}  // namespace

std::pair<Arrays, std::vector<SampledEdges>> neighbour_sample(const Array& key,
                                                              const std::vector<Relation>& relations,
                                                              const Dims& counts, const Arrays& nodes) {
  const char* const name = "neighbour_sample";
  std::vector<Names> names = typed_names(name, counts, nodes);
  Arrays all;
  std::vector<SampledEdges> edges;
  for (const Found& f : grown(name, key, relations, counts, names))
    edges.push_back({vector_of(f.edges), vector_of(f.source), vector_of(f.target)});
  for (const Names& n : names) all.push_back(vector_of(n.nodes()));
  return {all, edges};
}

Sample neighbour_sample(const Array& key, const Graph& g, const Array& nodes, const Dims& sizes) {
  const char* const name = "neighbour_sample";
  const Dims counts{g.num_nodes()};
  std::vector<Names> names = typed_names(name, counts, {nodes});
  return sample(names[0], grown(name, key, {{0, 0, g.by_target, sizes}}, counts, names)[0]);
}

Sample induced_sample(const Graph& g, const Array& nodes) {
  const char* const name = "induced_sample";
  const Side in(name, g.by_target);
  Names names = names_of(name, in.num_nodes(), nodes);
  Found found;
  for (size_t i = 0; i < names.nodes().size(); ++i) {
    const int64_t node = names.nodes()[i];
    int64_t edge = in.first(node);
    for (const int64_t from : in.of(node)) {
      const int64_t s = names.number(from);
      if (s >= 0) found.add(edge, s, static_cast<int64_t>(i));
      ++edge;
    }
  }
  return sample(names, found);
}

Array random_walks(const Array& key, const Graph& g, const Array& starts, int64_t steps, double p, double q) {
  const char* const name = "random_walks";
  require(steps >= 0, name, ": steps must not be negative, got ", steps);
  for (const auto& [word, value] : {std::pair{"p", p}, std::pair{"q", q}})
    require(value > 0.0 && std::isfinite(value), name, ": ", word, " must be positive, got ", value);
  const Side out(name, g.by_source);
  const Integers from(name, "nodes", starts);
  const Key base = key_of(name, key);
  const Node2vec bias(p, q);
  const bool uniform = p == 1.0 && q == 1.0;
  Array result = Array::uninitialized({from.size(), steps + 1}, kInt64);
  auto* const walks = result.view().as<int64_t>();
  constexpr int64_t kBlock = 128;
  parallel_for((from.size() + kBlock - 1) / kBlock, [&](int64_t block) {
    for (int64_t w = block * kBlock; w < std::min(from.size(), (block + 1) * kBlock); ++w) {
      Stream random(rng::split(base, static_cast<uint64_t>(w)));
      int64_t* const walk = walks + w * (steps + 1);
      walk[0] = out.check(from[w], "node");
      for (int64_t t = 0; t < steps; ++t) {
        const auto ends = out.of(walk[t]);
        walk[t + 1] = walk[t];
        if (ends.empty()) continue;
        const bool free = uniform || t == 0 || ends.size() == 1;
        const size_t k = free ? static_cast<size_t>(random.below(static_cast<int64_t>(ends.size())))
                              : biased_step(random, out, bias, walk[t - 1], ends);
        walk[t + 1] = out.check(ends[k], "a neighbour");
      }
    }
  });
  return result;
}

Array clusters(const Array& key, const Graph& g, int64_t count) {
  const char* const name = "clusters";
  require(count >= 1, name, ": count must be positive, got ", count);
  const Side in(name, g.by_target), out(name, g.by_source);
  const int64_t n = in.num_nodes();
  require(out.num_nodes() == n, name, ": the graph has ", n, " nodes by target and ", out.num_nodes(),
          " by source");
  (void)key_of(name, key);
  const auto order = random::permutation(key, n).to_vector<int64_t>();
  std::vector<int64_t> part(static_cast<size_t>(n), -1), sizes(static_cast<size_t>(count), 0);
  std::vector<std::queue<int64_t>> fronts(static_cast<size_t>(count));
  size_t next = 0;  // of `order`: where a part begins anew
  for (int64_t placed = 0; placed < n; ++placed) {
    const auto c = static_cast<size_t>(placed % count);
    const auto taken = [&](int64_t v) { return part[static_cast<size_t>(v)] >= 0; };
    while (!fronts[c].empty() && taken(fronts[c].front())) fronts[c].pop();
    if (fronts[c].empty()) {
      while (taken(order[next])) ++next;
      fronts[c].push(order[next]);
    }
    const int64_t v = fronts[c].front();
    fronts[c].pop();
    part[static_cast<size_t>(v)] = static_cast<int64_t>(c);
    ++sizes[c];
    for (const Side* side : {&in, &out})
      for (const int64_t w : side->of(v))
        if (!taken(side->check(w, "a neighbour"))) fronts[c].push(w);
  }
  for (int round = 0; round < 10; ++round)
    if (refine(in, out, order, count, part, sizes) == 0) break;
  return vector_of(part);
}

}  // namespace hesse::gnn
