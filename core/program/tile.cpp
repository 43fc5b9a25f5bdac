#include "core/program/tile.h"

#include <algorithm>
#include <map>

#include "core/cpu/assign.h"
#include "core/status.h"

namespace hesse {
namespace {

size_t at(int v) { return static_cast<size_t>(v); }

Shape with_lanes(Shape features, const Dims& lanes) {
  for (const int64_t n : lanes) features.push_back(n);
  return features;
}

/// Slots of the arena, by size: a slot that is free again is taken before a new one.
class Slots {
 public:
  int64_t take(int64_t size) {
    if (const auto it = free_.find(size); it != free_.end()) {
      const int64_t offset = it->second;
      free_.erase(it);
      return offset;
    }
    const int64_t offset = bytes;
    bytes += size;
    return offset;
  }
  void release(int64_t offset, int64_t size) { free_.emplace(size, offset); }
  int64_t bytes = 0;

 private:
  std::multimap<int64_t, int64_t> free_;
};

/// A view that op makes of `x`, its data counted from that of x; nullopt where it needs a copy.
std::optional<View> alias_of(const Op& op, View x, int lane_axes) {
  char origin = 0;
  x.data = &origin;
  std::optional<View> out = op.alias(x, lane_axes);
  if (out) out->data = reinterpret_cast<void*>(static_cast<char*>(out->data) - &origin);
  return out;
}

}  // namespace

Tile::Tile(const Graph& g, const Dims& lanes, const std::vector<std::optional<Strides>>& outside,
           const std::vector<int>& kept, const std::vector<int>& unformed)
    : graph_(g), lanes_(lanes) {
  for (const Graph::Equation& eq : g.equations())
    skipped_.push_back(std::find(unformed.begin(), unformed.end(), eq.out[0]) != unformed.end());
  lay_out(outside, kept);
}

void Tile::lay_out(const std::vector<std::optional<Strides>>& outside, const std::vector<int>& kept) {
  const auto& values = graph_.values();
  const auto& equations = graph_.equations();
  places_.resize(values.size());
  std::vector<int64_t> size(values.size());  // of the slot
  std::vector<int> owner(values.size());     // the value whose slot it lies in
  for (size_t v = 0; v < values.size(); ++v) {
    Place& p = places_[v];
    const Shape shape = with_lanes(values[v].shape, lanes_);
    p.view = {nullptr, values[v].dtype, shape, contiguous_strides(shape)};
    size[v] = (num_elements(shape) * itemsize(values[v].dtype) + 63) / 64 * 64;
    owner[v] = static_cast<int>(v);
  }
  for (size_t i = 0; i < outside.size(); ++i)
    if (outside[i]) {
      places_[i].view.strides = *outside[i];
      places_[i].base = static_cast<int>(i) + 1;
    }
  // Constants are inputs that follow the others.
  for (size_t c = 0; c < graph_.constants().size(); ++c) {
    const auto& [id, a] = graph_.constants()[c];
    Strides strides = a.strides();
    for (size_t d = 0; d < lanes_.size(); ++d) strides.push_back(0);
    places_[at(id)].view.strides = strides;
    places_[at(id)].base = static_cast<int>(outside.size() + c) + 1;
  }
  // Views first: they hold the slot of what they look at.
  std::vector<int> last(values.size(), -1);
  std::vector<bool> aliased(equations.size(), false);
  for (size_t e = 0; e < equations.size(); ++e) {
    const Graph::Equation& eq = equations[e];
    if (skipped_[e]) continue;
    if (eq.op->is_view() && eq.in.size() == 1)
      if (const auto v = alias_of(*eq.op, places_[at(eq.in[0])].view, static_cast<int>(lanes_.size()))) {
        skipped_[e] = aliased[e] = true;
        Place& p = places_[at(eq.out[0])];
        p.view = *v;
        p.offset = places_[at(eq.in[0])].offset + static_cast<int64_t>(reinterpret_cast<intptr_t>(v->data));
        p.base = places_[at(eq.in[0])].base;
        owner[at(eq.out[0])] = owner[at(eq.in[0])];
      }
    for (int v : eq.in) last[at(owner[at(v)])] = static_cast<int>(e);
    for (int v : eq.out) last[at(owner[at(v)])] = static_cast<int>(e);
  }
  for (int v : kept) last[at(owner[at(v)])] = static_cast<int>(equations.size());
  // Then slots, in order; a view moves with its owner.
  Slots slots;
  std::vector<int64_t> slot(values.size(), 0);
  for (size_t i = 0; i < outside.size(); ++i)
    if (!outside[i]) slot[i] = slots.take(size[i]);
  for (size_t e = 0; e < equations.size(); ++e) {
    const Graph::Equation& eq = equations[e];
    if (skipped_[e] && !aliased[e]) continue;
    if (!aliased[e])
      for (int v : eq.out) slot[at(v)] = slots.take(size[at(v)]);
    std::vector<int> dead(eq.in);
    dead.insert(dead.end(), eq.out.begin(), eq.out.end());
    for (int& v : dead) v = owner[at(v)];
    std::sort(dead.begin(), dead.end());
    dead.erase(std::unique(dead.begin(), dead.end()), dead.end());
    for (int v : dead)
      if (places_[at(v)].base == 0 && last[at(v)] == static_cast<int>(e))
        slots.release(slot[at(v)], size[at(v)]);
  }
  for (size_t v = 0; v < values.size(); ++v)
    if (places_[v].base == 0) places_[v].offset += slot[at(owner[v])];
  bytes_ = slots.bytes;
}

void Tile::run(char* const* bases) const {
  const auto& equations = graph_.equations();
  for (size_t e = 0; e < equations.size(); ++e) {
    if (skipped_[e]) continue;
    run_equation(equations[e], bases);
    locate_failure(equations[e].source);
  }
}

void Tile::run_equation(const Graph::Equation& eq, char* const* bases) const {
  constexpr size_t kMost = 8;
  View local[2 * kMost];
  if (eq.op->is_view()) {  // what strides cannot express: through a packed copy of the operand
    const View in = view(eq.in[0], bases);
    const Array packed = Array::uninitialized(in.shape, in.dtype);
    cpu::assign(in, packed.view());
    const std::optional<View> v = eq.op->alias(packed.view(), static_cast<int>(lanes_.size()));
    require<Error>(v.has_value(), eq.op->name(), ": no view of a row-major operand");
    return cpu::assign(*v, view(eq.out[0], bases));
  }
  if (!eq.op->has_lane_kernel()) return lane_by_lane(eq, bases);
  if (eq.in.size() <= kMost && eq.out.size() <= kMost) {
    for (size_t i = 0; i < eq.in.size(); ++i) local[i] = view(eq.in[i], bases);
    for (size_t k = 0; k < eq.out.size(); ++k) local[kMost + k] = view(eq.out[k], bases);
    eq.op->kernel({local, eq.in.size()}, {local + kMost, eq.out.size()}, static_cast<int>(lanes_.size()));
    return;
  }
  std::vector<View> in, out;
  for (int v : eq.in) in.push_back(view(v, bases));
  for (int v : eq.out) out.push_back(view(v, bases));
  eq.op->kernel(in, out, static_cast<int>(lanes_.size()));
}

// One example at a time, with the ordinary kernel. Only tiles with one axis of lanes come here.
void Tile::lane_by_lane(const Graph::Equation& eq, char* const* bases) const {
  Arrays in(eq.in.size());
  std::vector<bool> same(eq.in.size());
  for (size_t i = 0; i < eq.in.size(); ++i) {
    const View all = view(eq.in[i], bases), first = cpu::at(all, all.shape.size() - 1, 0);
    same[i] = all.strides.back() == 0;
    if (same[i])  // read where it is
      in[i] = Array(first.shape, first.strides, 0, first.dtype, Buffer::wrap(first.data, 0, [] {}));
  }
  for (int64_t l = 0; l < lanes_.back(); ++l) {
    for (size_t i = 0; i < eq.in.size(); ++i) {
      if (same[i]) continue;
      const View all = view(eq.in[i], bases), lane = cpu::at(all, all.shape.size() - 1, l);
      in[i] = Array::uninitialized(lane.shape, lane.dtype);
      cpu::assign(lane, in[i].view());
    }
    const Arrays y = eq.op->eval(in);
    for (size_t k = 0; k < y.size(); ++k) {
      const View all = view(eq.out[k], bases);
      cpu::assign(y[k].view(), cpu::at(all, all.shape.size() - 1, l));
    }
  }
}

int64_t live_bytes(const Graph& g, const std::vector<bool>& counted) {
  const auto bytes = [&](int v) {
    return num_elements(g.values()[at(v)].shape) * itemsize(g.values()[at(v)].dtype);
  };
  std::vector<int> last(g.values().size(), -1);
  for (size_t e = 0; e < g.equations().size(); ++e) {
    for (int v : g.equations()[e].in) last[at(v)] = static_cast<int>(e);
    for (int v : g.equations()[e].out) last[at(v)] = static_cast<int>(e);
  }
  for (int v : g.outputs()) last[at(v)] = static_cast<int>(g.equations().size());
  int64_t live = 0;
  for (int v = 0; v < g.num_inputs(); ++v)
    if (counted[at(v)]) live += bytes(v);
  int64_t most = std::max<int64_t>(live, 1);
  for (size_t e = 0; e < g.equations().size(); ++e) {
    const Graph::Equation& eq = g.equations()[e];
    if (!eq.op->is_view())
      for (int v : eq.out) live += bytes(v);
    most = std::max(most, live);
    for (int v : eq.in)
      if (last[at(v)] == static_cast<int>(e) && (v >= g.num_inputs() || counted[at(v)])) {
        live -= bytes(v);
        last[at(v)] = -1;
      }
  }
  return most;
}

}  // namespace hesse
