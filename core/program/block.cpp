#include "core/program/block.h"

#include <algorithm>
#include <map>
#include <set>

#include "core/cpu/assign.h"
#include "core/debug.h"
#include "core/program/rewrite.h"
#include "core/program/strided_tiles.h"

namespace hesse {
namespace {

size_t at(int v) { return static_cast<size_t>(v); }

// Entries of the largest array in a block: larger ones are worth a call of their own, on all cores.
constexpr int64_t kMostEntries = 16384;  // of an equation that works entry by entry, or makes a view
constexpr int64_t kMostOthers = 4096;    // of others: a product of matrices costs more than its entries

/// Runs a graph as one tile without lanes. Only within programs: it is never differentiated.
class BlockOp final : public Op {
 public:
  explicit BlockOp(Ref<const Graph> body)
      : body_(std::move(body)),
        tiles_(with_recomputation(by_levels(as_recorded(*body_, body_->outputs(), {}, {})))),
        overwritten_(inputs_to_overwrite()) {}
  std::string_view name() const override { return "block"; }
  Params params() const override { return {{"body", body_}}; }
  Avals infer(std::span<const Aval>) const override { return body_->output_avals(); }
  Arrays eval(std::span<const Array> x) const override { return run(x, false); }
  Arrays eval_owned(Arrays& x) const override { return run(x, true); }
  MaybeArrays jvp(std::span<const Array>, std::span<const Array>,
                  std::span<const MaybeArray>) const override {
    throw Error("block: belongs to a program that is run; differentiate the graph it was made from");
  }
  bool is_linear_in(const std::vector<bool>&) const override { return false; }

 private:
  Arrays run(std::span<const Array> x, bool owned) const {
    if (debug_nans()) return body_->run(x);
    const std::shared_ptr<const Tile> laid_out = tiles_.of(x);
    const Tile& tile = *laid_out;
    const Ref<Buffer> arena =
        Array::uninitialized({std::max<int64_t>(tile.bytes(), 64)}, DType::UInt8).buffer();
    std::vector<char*> bases{static_cast<char*>(arena->data())};
    bases.reserve(1 + x.size() + body_->constants().size() + body_->outputs().size());
    for (const Array& a : x) bases.push_back(first_entry(a));
    for (const auto& [id, a] : body_->constants()) bases.push_back(first_entry(a));
    Arrays out;
    out.resize(body_->outputs().size());
    if (owned)
      for (const Overwriting& o : overwritten_)
        for (const size_t i : o.inputs)
          if (x[i].is_sole_owner() && x[i].contiguous()) {
            out[o.result] = x[i];  // held twice from here on: no other result takes it
            break;
          }
    for (size_t k = 0; k < out.size(); ++k) {
      const Aval& a = body_->values()[at(body_->outputs()[k])];
      if (!out[k].defined()) out[k] = Array::uninitialized(a.shape, a.dtype);
      bases.push_back(first_entry(out[k]));
    }
    tile.run(bases.data());
    for (const size_t k : tile.outputs_to_copy())
      cpu::assign(tile.view(body_->outputs()[k], bases.data()), out[k].view());
    return out;
  }
  /// A result and the inputs whose memory it may take, if nobody else holds that: all that reads such an
  /// input works entry by entry on all of it, and has run when the result is written, or writes it.
  struct Overwriting {
    size_t result;
    std::vector<size_t> inputs;
  };
  std::vector<Overwriting> inputs_to_overwrite() const {
    const Graph& g = *tiles_.schedule().graph;
    const auto n = static_cast<int>(g.equations().size());
    std::vector<int> maker(g.values().size(), -1), readers(g.values().size(), 0),
        reader(g.values().size(), -1);
    std::vector<bool> by_entry(at(n), false), kept(g.values().size(), false);
    for (int v : g.outputs()) kept[at(v)] = true;
    for (int e = 0; e < n; ++e) {
      const Graph::Equation& eq = g.equations()[at(e)];
      for (int v : eq.out) maker[at(v)] = e;
      for (int v : eq.in) {
        ++readers[at(v)];
        reader[at(v)] = e;
      }
      by_entry[at(e)] =
          eq.out.size() == 1 && !eq.op->is_view() && !eq.in.empty() &&
          eq.op->entry_kernel(g.values()[at(eq.in.back())].dtype).kind != EntryKernel::Kind::None;
      // A product of matrices may run together with what adds to it.
      for (int v : eq.in)
        by_entry[at(e)] = by_entry[at(e)] && (maker[at(v)] < 0 || by_entry[at(maker[at(v)])]);
    }
    // An equation may run together with the only one that reads its result.
    const auto runs_at = [&](int e) {
      const int v = g.equations()[at(e)].out[0];
      return readers[at(v)] == 1 && !kept[at(v)] ? std::max(e, reader[at(v)]) : e;
    };
    std::vector<int> last(at(g.num_inputs()), -1);  // when an input has been read; n: never to be overwritten
    for (int i = 0; i < g.num_inputs(); ++i)
      if (kept[at(i)]) last[at(i)] = n;
    for (int e = 0; e < n; ++e)
      for (int v : g.equations()[at(e)].in)
        if (v < g.num_inputs()) last[at(v)] = std::max(last[at(v)], by_entry[at(e)] ? runs_at(e) : n);
    // Results in the order in which they are made; of its inputs, each prefers the one that is read last.
    std::vector<size_t> order;
    for (size_t k = 0; k < body_->outputs().size(); ++k) {
      const int v = g.outputs()[k], e = maker[at(v)];
      if (e >= 0 && by_entry[at(e)] && std::count(g.outputs().begin(), g.outputs().end(), v) == 1)
        order.push_back(k);
    }
    const auto made = [&](size_t k) { return maker[at(g.outputs()[k])]; };
    std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return made(a) < made(b); });
    std::vector<Overwriting> out;
    for (const size_t k : order) {
      Overwriting o{k, {}};
      for (int i = 0; i < g.num_inputs(); ++i)
        if (last[at(i)] <= made(k) && g.values()[at(i)] == g.values()[at(g.outputs()[k])])
          o.inputs.push_back(at(i));
      std::stable_sort(o.inputs.begin(), o.inputs.end(),
                       [&](size_t a, size_t b) { return last[a] > last[b]; });
      if (!o.inputs.empty()) out.push_back(std::move(o));
    }
    return out;
  }

  Ref<const Graph> body_;
  StridedTiles tiles_;
  std::vector<Overwriting> overwritten_;
};

bool is_small(const Graph& g, const Graph::Equation& eq) {
  if (eq.in.empty() || eq.op->may_overwrite()) return false;
  for (const auto& [key, p] : eq.op->params())
    if (std::holds_alternative<Ref<const Graph>>(p)) return false;
  const auto most = [&](int64_t entries) {
    const auto within = [&](int v) {
      const Shape& shape = g.values()[at(v)].shape;
      return (shape.empty() || shape[0] != kDynamic) && num_elements(shape) <= entries;
    };
    return std::all_of(eq.in.begin(), eq.in.end(), within) &&
           std::all_of(eq.out.begin(), eq.out.end(), within);
  };
  if (eq.op->is_view() && eq.in.size() == 1) return most(kMostEntries);
  if (!eq.op->has_lane_kernel()) return false;
  const bool entries = eq.out.size() == 1 && eq.op->entry_kernel(g.values()[at(eq.in.back())].dtype).kind !=
                                                 EntryKernel::Kind::None;
  return most(entries ? kMostEntries : kMostOthers);
}

/// What gathers the equations of a graph.
class Blocks {
 public:
  explicit Blocks(const Graph& g) : g_(g) {
    std::vector<int> level(g.values().size(), 0);
    int last_effect = 0;
    for (const Graph::Equation& eq : g.equations()) {
      int l = 0;
      for (int v : eq.in) l = std::max(l, level[at(v)]);
      if (eq.op->has_effect()) l = last_effect = std::max(l, last_effect);  // effects keep their order
      const bool small = is_small(g, eq);
      for (int v : eq.out) level[at(v)] = l + (small ? 0 : 1);
      if (small_.size() <= static_cast<size_t>(l)) {
        small_.resize(static_cast<size_t>(l) + 1);
        others_.resize(static_cast<size_t>(l) + 1);
      }
      (small ? small_ : others_)[static_cast<size_t>(l)].push_back(&eq);
    }
  }

  Ref<const Graph> result() {
    constexpr size_t kFew = 3;  // below, a call of each costs as much
    std::vector<Graph::Equation> out;
    for (size_t l = 0; l < small_.size(); ++l) {
      if (small_[l].size() >= kFew)
        add_block(small_[l], out);
      else
        for (const auto* eq : small_[l]) out.push_back(*eq);
      for (const auto* eq : others_[l]) out.push_back(*eq);
    }
    return without_unused_values(std::move(out));
  }

 private:
  // A run has a place for every value, and copies every constant: what lives in blocks needs none.
  Ref<const Graph> without_unused_values(std::vector<Graph::Equation> equations) const {
    std::vector<int> outputs = g_.outputs(), number(g_.values().size(), -1);
    std::vector<bool> used(number.size(), false);
    std::fill_n(used.begin(), g_.num_inputs(), true);
    for (const Graph::Equation& eq : equations)
      for (const std::vector<int>* all : {&eq.in, &eq.out})
        for (int v : *all) used[at(v)] = true;
    for (int v : outputs) used[at(v)] = true;
    std::vector<Aval> values;
    for (size_t v = 0; v < used.size(); ++v)
      if (used[v]) {
        number[v] = static_cast<int>(values.size());
        values.push_back(g_.values()[v]);
      }
    std::vector<std::pair<int, Array>> constants;
    for (const auto& [v, a] : g_.constants())
      if (used[at(v)]) constants.emplace_back(number[at(v)], a);
    const auto renumber = [&](std::vector<int>& all) {
      for (int& v : all) v = number[at(v)];
    };
    for (Graph::Equation& eq : equations) {
      renumber(eq.in);
      renumber(eq.out);
    }
    renumber(outputs);
    return Graph::assemble(g_.num_inputs(), std::move(values), std::move(constants), std::move(equations),
                           std::move(outputs));
  }
  void add_block(const std::vector<const Graph::Equation*>& members,
                 std::vector<Graph::Equation>& out) const {
    std::vector<bool> read(g_.values().size(), false);
    for (int v : g_.outputs()) read[at(v)] = true;
    const std::set<const Graph::Equation*> here(members.begin(), members.end());
    for (const Graph::Equation& eq : g_.equations())
      if (!here.count(&eq))
        for (int v : eq.in) read[at(v)] = true;
    GraphPart part = part_of(g_, members, read);
    out.push_back({make_op<BlockOp>(std::move(part.graph)), std::move(part.inputs), std::move(part.outputs),
                   members.front()->source});
  }

  const Graph& g_;
  std::vector<std::vector<const Graph::Equation*>> small_, others_;  // by level
};

}  // namespace

Ref<const Graph> blocked(const Ref<const Graph>& g) { return Blocks(*g).result(); }

}  // namespace hesse
