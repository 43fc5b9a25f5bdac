#include "core/program/schedule.h"

#include <algorithm>
#include <map>
#include <queue>

namespace hesse {
namespace {

size_t at(int v) { return static_cast<size_t>(v); }

/// An equation, or a sum: what reads values at one point of time.
struct Item {
  const Graph::Equation* equation = nullptr;
  int sum = -1;
  std::vector<int> in;
  bool light = false;  // entry by entry, or a view: not a point where the cache is filled with other things
};

bool is_view(const Graph::Equation& eq) { return eq.op->is_view() && eq.in.size() == 1; }

EntryKernel kernel_of(const Graph& g, const Graph::Equation& eq) {
  if (eq.in.empty() || eq.out.size() != 1) return {};
  return eq.op->entry_kernel(g.values()[at(eq.in.back())].dtype);
}

/// Every sum stands behind the last equation that makes what it adds.
std::vector<Item> items_of(const Schedule& s) {
  const Graph& g = *s.graph;
  std::vector<int> made(g.values().size(), -1);
  for (size_t e = 0; e < g.equations().size(); ++e)
    for (int v : g.equations()[e].out) made[at(v)] = static_cast<int>(e);
  std::vector<std::vector<Item>> after(g.equations().size() + 1);
  for (size_t k = 0; k < s.sums.size(); ++k) {
    Item sum{nullptr, static_cast<int>(k), {}};
    if (s.sums[k].outer.empty()) sum.in.push_back(s.sums[k].value);
    for (const auto& [left, right] : s.sums[k].outer) sum.in.insert(sum.in.end(), {left, right});
    int last = -1;
    for (int v : sum.in) last = std::max(last, made[at(v)]);
    after[static_cast<size_t>(last + 1)].push_back(std::move(sum));
  }
  std::vector<Item> items = after[0];
  for (size_t e = 0; e < g.equations().size(); ++e) {
    const Graph::Equation& eq = g.equations()[e];
    const bool light = is_view(eq) || kernel_of(g, eq).kind != EntryKernel::Kind::None;
    items.push_back({&eq, -1, eq.in, light});
    items.insert(items.end(), after[e + 1].begin(), after[e + 1].end());
  }
  return items;
}

Schedule with_equations(const Schedule& s, std::vector<Aval> values, std::vector<Graph::Equation> equations,
                        std::vector<int> kept, std::vector<TileSum> sums) {
  const Graph& g = *s.graph;
  return {Graph::assemble(g.num_inputs(), std::move(values), g.constants(), std::move(equations),
                          std::move(kept)),
          std::move(sums)};
}

}  // namespace

Schedule as_recorded(const Graph& body, const std::vector<int>& kept, const std::vector<int>& unformed,
                     std::vector<TileSum> sums) {
  std::vector<bool> left_out(body.values().size(), false);
  for (int v : unformed) left_out[at(v)] = true;
  std::vector<Graph::Equation> equations;
  for (const Graph::Equation& eq : body.equations())
    if (eq.out.empty() || !left_out[at(eq.out[0])]) equations.push_back(eq);
  return {Graph::assemble(body.num_inputs(), body.values(), body.constants(), std::move(equations), kept),
          std::move(sums)};
}

// A level is the number of products (and of whatever else is not light) that must come before. Light
// equations of a level come first, shape by shape as far as they depend on each other, then the others.
Schedule by_levels(const Schedule& s) {
  const Graph& g = *s.graph;
  const auto& equations = g.equations();
  const size_t n = equations.size();
  std::vector<int> level_of(g.values().size(), 0), maker(g.values().size(), -1);
  std::vector<std::vector<size_t>> light, heavy;
  std::vector<int> level(n, 0);
  std::vector<bool> is_light(n);
  for (size_t e = 0; e < n; ++e) {
    const Graph::Equation& eq = equations[e];
    if (eq.op->has_effect()) return s;
    for (int v : eq.in) level[e] = std::max(level[e], level_of[at(v)]);
    is_light[e] = is_view(eq) || kernel_of(g, eq).kind != EntryKernel::Kind::None;
    for (int v : eq.out) {
      level_of[at(v)] = level[e] + (is_light[e] ? 0 : 1);
      maker[at(v)] = static_cast<int>(e);
    }
    const auto l = static_cast<size_t>(level[e]);
    if (light.size() <= l) light.resize(l + 1), heavy.resize(l + 1);
    (is_light[e] ? light : heavy)[l].push_back(e);
  }
  std::vector<Graph::Equation> out;
  std::vector<int> waits(n, 0);
  std::vector<std::vector<size_t>> readers(n);
  for (size_t l = 0; l < light.size(); ++l) {
    // Those that wait for others of this level; ready ones by shape, in the order of recording.
    std::map<std::vector<int64_t>, std::queue<size_t>> ready;
    const auto shape = [&](size_t e) { return g.values()[at(equations[e].out[0])].shape.vec(); };
    for (const size_t e : light[l]) {
      for (int v : equations[e].in) {
        const int m = maker[at(v)];
        if (m < 0 || !is_light[at(m)] || level[at(m)] != static_cast<int>(l)) continue;
        ++waits[e];
        readers[at(m)].push_back(e);
      }
      if (waits[e] == 0) ready[shape(e)].push(e);
    }
    while (!ready.empty()) {
      const auto largest = std::max_element(ready.begin(), ready.end(), [](const auto& a, const auto& b) {
        return a.second.size() < b.second.size();
      });
      std::queue<size_t>& queue = largest->second;
      while (!queue.empty()) {
        const size_t e = queue.front();
        queue.pop();
        out.push_back(equations[e]);
        for (const size_t r : readers[e])
          if (--waits[r] == 0) ready[shape(r)].push(r);
      }
      std::erase_if(ready, [](const auto& q) { return q.second.empty(); });
    }
    for (const size_t e : heavy[l]) out.push_back(equations[e]);
  }
  return with_equations(s, g.values(), std::move(out), g.outputs(), s.sums);
}

namespace {

/// Decides, from the last value to the first, which late readers get a value of their own.
class Recomputation {
 public:
  explicit Recomputation(const Schedule& s) : s_(s), g_(*s.graph), items_(items_of(s)) {
    readers_.resize(g_.values().size());
    maker_.assign(g_.values().size(), -1);
    heavy_.push_back(0);
    for (size_t p = 0; p < items_.size(); ++p) {
      for (int v : items_[p].in) readers_[at(v)].push_back({static_cast<int>(p)});
      if (items_[p].equation)
        for (int v : items_[p].equation->out) maker_[at(v)] = static_cast<int>(p);
      heavy_.push_back(heavy_.back() + (items_[p].light ? 0 : 1));
    }
    for (int v : g_.outputs()) readers_[at(v)].push_back({static_cast<int>(items_.size())});
    kept_.assign(g_.values().size(), false);
    for (int v : g_.outputs()) kept_[at(v)] = true;
    again_.resize(g_.values().size());
  }

  Schedule run() {
    for (size_t p = items_.size(); p-- > 0;)
      if (const Graph::Equation* eq = items_[p].equation) decide(*eq, static_cast<int>(p));
    if (!any_) return s_;
    return rebuild();
  }

 private:
  // Readers so many products after the one before them are late: the value has left the nearest cache.
  static constexpr int kLate = 8;
  // A value that is made again may be made of such values, so often: a long chain is not run twice.
  static constexpr int kDepth = 3;

  struct Reader {
    int position = 0;
    int depth = 0;  // how many of its readers are themselves there to make a value again
  };

  /// Readers from position `first` on, until the next span, have a value made before the first of them.
  struct Span {
    int first, last, id = -1;
  };

  // A product that is only added to something is one instruction with the addition.
  bool is_part_of(int x, const Graph::Equation& eq) const {
    using Role = EntryKernel::Role;
    const auto role = [&](const Graph::Equation& e) { return kernel_of(g_, e).role; };
    if (maker_[at(x)] < 0 || (role(eq) != Role::Add && role(eq) != Role::Subtract)) return false;
    const Graph::Equation* made = items_[at(maker_[at(x)])].equation;
    return made && (role(*made) == Role::Multiply || role(*made) == Role::Square);
  }
  // Nor is what a product of matrices can begin at: an addition to it that is its only reader.
  bool begins_product(const Graph::Equation& eq) const {
    if (kernel_of(g_, eq).role != EntryKernel::Role::Add) return false;
    return std::any_of(eq.in.begin(), eq.in.end(), [&](int x) {
      return maker_[at(x)] >= 0 && readers_[at(x)].size() == 1 && items_[at(maker_[at(x)])].equation &&
             items_[at(maker_[at(x)])].equation->op->name() == "matmul";
    });
  }
  bool cheap(const Graph::Equation& eq) const {
    return kernel_of(g_, eq).role != EntryKernel::Role::Plain && !begins_product(eq);
  }
  int64_t bytes(int v) const {
    return num_elements(g_.values()[at(v)].shape) * itemsize(g_.values()[at(v)].dtype);
  }
  // Inputs and constants are there anyway; other values until their last reader.
  bool known_at(int v, int p) const {
    return maker_[at(v)] < 0 || (!readers_[at(v)].empty() && last_reader(v) >= p);
  }
  int last_reader(int v) const {
    int last = -1;
    for (const Reader& r : readers_[at(v)]) last = std::max(last, r.position);
    return last;
  }
  int heavy_before(int p) const { return heavy_[static_cast<size_t>(p)]; }

  void decide(const Graph::Equation& eq, int made) {
    const bool view = is_view(eq);
    if (!view && !cheap(eq)) return;
    const int v = eq.out[0];
    std::vector<Reader>& readers = readers_[at(v)];
    if (kept_[at(v)] || readers.empty()) return;
    std::sort(readers.begin(), readers.end(),
              [](const Reader& a, const Reader& b) { return a.position < b.position; });
    int before = made;
    for (size_t i = 0; i < readers.size();) {
      const int p = readers[i].position;
      const bool late = heavy_before(p) - heavy_before(before) >= kLate;
      int depth = 0;
      do {
        depth = std::max(depth, readers[i].depth);
        before = readers[i].position;
        ++i;
      } while (i < readers.size() && heavy_before(readers[i].position) - heavy_before(before) < kLate);
      if (!late || (!view && depth >= kDepth)) continue;
      std::vector<int> operands = eq.in;
      std::sort(operands.begin(), operands.end());
      operands.erase(std::unique(operands.begin(), operands.end()), operands.end());
      int64_t more = 0;  // what would have to live longer for it
      for (int x : operands)
        if (!known_at(x, p)) more += bytes(x);
      if (!view && more > bytes(v)) continue;
      again_[at(v)].push_back({p, before});
      for (int x : operands) readers_[at(x)].push_back({p, depth + (view || is_part_of(x, eq) ? 0 : 1)});
      any_ = true;
    }
  }

  Schedule rebuild() {
    values_ = g_.values();
    std::vector<TileSum> sums = s_.sums;
    for (size_t p = 0; p < items_.size(); ++p) {
      const Item& item = items_[p];
      const int now = static_cast<int>(p);
      if (item.equation) {
        Graph::Equation eq = *item.equation;
        for (int& v : eq.in) v = value_at(v, now);
        equations_.push_back(std::move(eq));
      } else {
        TileSum& sum = sums[at(item.sum)];
        if (sum.outer.empty()) sum.value = value_at(sum.value, now);
        for (auto& [left, right] : sum.outer) {
          left = value_at(left, now);
          right = value_at(right, now);
        }
      }
    }
    // What nobody reads any more goes.
    std::vector<bool> read(values_.size(), false);
    for (int v : g_.outputs()) read[at(v)] = true;
    for (const TileSum& sum : sums) {
      if (sum.outer.empty()) read[at(sum.value)] = true;
      for (const auto& [left, right] : sum.outer) read[at(left)] = read[at(right)] = true;
    }
    std::vector<Graph::Equation> needed;
    for (size_t e = equations_.size(); e-- > 0;) {
      Graph::Equation& eq = equations_[e];
      if (!eq.op->has_effect() &&
          std::none_of(eq.out.begin(), eq.out.end(), [&](int v) { return read[at(v)]; }))
        continue;
      for (int v : eq.in) read[at(v)] = true;
      needed.push_back(std::move(eq));
    }
    std::reverse(needed.begin(), needed.end());
    return with_equations(s_, std::move(values_), std::move(needed), g_.outputs(), std::move(sums));
  }

  // The value that a reader at p gets; made there if it is the first of its span.
  int value_at(int v, int p) {
    for (size_t k = 0; k < again_[at(v)].size(); ++k) {
      if (again_[at(v)][k].first > p || again_[at(v)][k].last < p) continue;
      if (again_[at(v)][k].id < 0) {
        Graph::Equation eq = *items_[at(maker_[at(v)])].equation;
        for (int& x : eq.in) x = value_at(x, p);
        values_.push_back(values_[at(v)]);
        eq.out[0] = again_[at(v)][k].id = static_cast<int>(values_.size()) - 1;
        equations_.push_back(std::move(eq));
      }
      return again_[at(v)][k].id;
    }
    return v;
  }

  const Schedule& s_;
  const Graph& g_;
  const std::vector<Item> items_;
  std::vector<std::vector<Reader>> readers_;  // by value
  std::vector<int> maker_;                    // by value: the position of its equation, or -1
  std::vector<int> heavy_;                    // by position: how many items before are not light
  std::vector<bool> kept_;                    // by value
  std::vector<std::vector<Span>> again_;      // by value, where it is made again
  bool any_ = false;
  std::vector<Aval> values_;
  std::vector<Graph::Equation> equations_;
};

}  // namespace

Schedule with_recomputation(const Schedule& s) { return Recomputation(s).run(); }

}  // namespace hesse
