#include "core/program/tile.h"

#include <algorithm>
#include <map>

#include "core/cpu/assign.h"
#include "core/cpu/simd_kernels.h"
#include "core/profile.h"
#include "core/program/lane_sums.h"
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

Tile::Tile(const Schedule& s, const Dims& lanes, const std::vector<std::optional<Strides>>& outside,
           Results results)
    : graph_(*s.graph), lanes_(lanes) {
  std::vector<int> kept = graph_.outputs();
  if (results == Results::Kept)
    for (const TileSum& sum : s.sums) {
      if (sum.outer.empty()) kept.push_back(sum.value);
      for (const auto& [left, right] : sum.outer) kept.insert(kept.end(), {left, right});
    }
  const std::vector<TileSum> none, &sums = results == Results::Sums ? s.sums : none;
  select(sums);
  const std::vector<int> owner = place_views(outside, results);
  fuse_products(kept);
  place_slots(outside, kept, owner);
  prepare(sums, outside.size());
}

// The equations to run, and each sum after the last that makes what it adds.
void Tile::select(const std::vector<TileSum>& sums) {
  std::vector<bool> known(graph_.values().size(), true), added(sums.size(), false);
  for (const Graph::Equation& eq : graph_.equations())
    for (int v : eq.out) known[at(v)] = false;
  const auto add_sums = [&] {
    for (size_t s = 0; s < sums.size(); ++s) {
      std::vector<int> in;
      if (sums[s].outer.empty()) in.push_back(sums[s].value);
      for (const auto& [left, right] : sums[s].outer) in.insert(in.end(), {left, right});
      if (added[s] || !std::all_of(in.begin(), in.end(), [&](int v) { return known[at(v)]; })) continue;
      added[s] = true;
      works_.push_back({nullptr, {}, in, {}, static_cast<int>(s)});
    }
  };
  add_sums();
  for (const Graph::Equation& eq : graph_.equations()) {
    const bool entries = !eq.in.empty() && eq.out.size() == 1;
    works_.push_back({&eq,
                      entries ? eq.op->entry_kernel(graph_.values()[at(eq.in.back())].dtype) : EntryKernel{},
                      eq.in, eq.out});
    for (int v : eq.out) known[at(v)] = true;
    add_sums();
  }
}

// x * y + z, x * y - z and z - x * y, where nothing else reads the product: one kernel, rounded once.
void Tile::fuse_products(const std::vector<int>& kept) {
  using Role = EntryKernel::Role;
  const auto& values = graph_.values();
  std::vector<int> uses(values.size(), 0), maker(values.size(), -1);
  for (size_t w = 0; w < works_.size(); ++w) {
    for (int v : works_[w].in) ++uses[at(v)];
    if (works_[w].kernel.role == Role::Multiply || works_[w].kernel.role == Role::Square)
      maker[at(works_[w].out[0])] = static_cast<int>(w);
  }
  for (int v : kept) ++uses[at(v)];
  std::vector<bool> gone(works_.size(), false);
  for (Work& sum : works_) {
    const Role role = sum.kernel.role;
    if (role != Role::Add && role != Role::Subtract) continue;
    for (size_t i = 0; i < 2; ++i) {
      const int v = sum.in[i], other = sum.in[1 - i], m = maker[at(v)];
      if (m < 0 || uses[at(v)] != 1 || gone[at(m)]) continue;
      const std::vector<int> in{works_[at(m)].in.front(), works_[at(m)].in.back(), other};
      const Place* const operands[] = {&places_[at(in[0])], &places_[at(in[1])], &places_[at(other)]};
      if (!Chain::takes(operands, places_[at(sum.out[0])])) continue;
      visit_dtype(values[at(v)].dtype, [&](auto tag) {
        using T = typename decltype(tag)::type;
        if constexpr (std::is_same_v<T, float> || std::is_same_v<T, double>) {
          const auto& k = cpu::simd_kernels<T>();
          const auto f = role == Role::Add ? k.multiply_add
                         : i == 0          ? k.multiply_subtract
                                           : k.subtract_product;
          sum.kernel = {EntryKernel::Kind::Ternary, Role::Plain, reinterpret_cast<void (*)()>(f)};
          sum.in = in;
          gone[at(m)] = true;
        }
      });
      break;
    }
  }
  std::vector<Work> rest;
  for (size_t w = 0; w < works_.size(); ++w)
    if (!gone[w]) rest.push_back(std::move(works_[w]));
  works_ = std::move(rest);
}

// Strides, and what lies outside or is a view; slots come after.
std::vector<int> Tile::place_views(const std::vector<std::optional<Strides>>& outside, Results results) {
  const auto& values = graph_.values();
  places_.resize(values.size());
  std::vector<int> owner(values.size());  // the value whose slot it lies in
  for (size_t v = 0; v < values.size(); ++v) {
    const Shape shape = with_lanes(values[v].shape, lanes_);
    places_[v].view = {nullptr, values[v].dtype, shape, contiguous_strides(shape)};
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
  if (results == Results::Outside) {  // views follow where their operands lie
    std::vector<bool> computed(values.size(), false);
    for (const Work& work : works_)
      for (int v : work.out) computed[at(v)] = !work.equation->op->is_view();
    for (size_t k = 0; k < graph_.outputs().size(); ++k) {
      const int v = graph_.outputs()[k];
      if (computed[at(v)] && places_[at(v)].base == 0)
        places_[at(v)].base = static_cast<int>(1 + outside.size() + graph_.constants().size() + k);
      else
        to_copy_.push_back(k);
    }
  }
  for (Work& work : works_) {
    if (!work.equation) continue;
    const Graph::Equation& eq = *work.equation;
    if (!eq.op->is_view() || eq.in.size() != 1) continue;
    const Place& from = places_[at(eq.in[0])];
    const auto v = alias_of(*eq.op, from.view, static_cast<int>(lanes_.size()));
    if (!v) continue;
    work.aliased = true;
    Place& p = places_[at(eq.out[0])];
    p = {*v, from.base, from.offset + static_cast<int64_t>(reinterpret_cast<intptr_t>(v->data))};
    p.view.data = nullptr;
    owner[at(eq.out[0])] = owner[at(eq.in[0])];
  }
  return owner;
}

// A slot is free again after the last equation that reads its value or a view of it.
void Tile::place_slots(const std::vector<std::optional<Strides>>& outside, const std::vector<int>& kept,
                       const std::vector<int>& owner) {
  const auto size = [&](int v) {
    const View& view = places_[at(v)].view;
    return (num_elements(view.shape) * itemsize(view.dtype) + 63) / 64 * 64;
  };
  std::vector<int> last(places_.size(), -1);
  for (size_t w = 0; w < works_.size(); ++w) {
    for (int v : works_[w].in) last[at(owner[at(v)])] = static_cast<int>(w);
    for (int v : works_[w].out) last[at(owner[at(v)])] = static_cast<int>(w);
  }
  for (int v : kept) last[at(owner[at(v)])] = static_cast<int>(works_.size());
  Slots slots;
  std::vector<int64_t> slot(places_.size(), 0);
  for (size_t i = 0; i < outside.size(); ++i)
    if (!outside[i]) slot[i] = slots.take(size(static_cast<int>(i)));
  for (size_t w = 0; w < works_.size(); ++w) {
    const Work& work = works_[w];
    std::vector<int> dead(work.in);
    for (int v : work.out) {
      if (!work.aliased && places_[at(v)].base == 0) slot[at(v)] = slots.take(size(v));
      dead.push_back(v);
    }
    for (int& v : dead) v = owner[at(v)];
    std::sort(dead.begin(), dead.end());
    dead.erase(std::unique(dead.begin(), dead.end()), dead.end());
    for (int v : dead)
      if (places_[at(v)].base == 0 && last[at(v)] == static_cast<int>(w)) slots.release(slot[at(v)], size(v));
  }
  for (size_t v = 0; v < places_.size(); ++v)
    if (places_[v].base == 0) places_[v].offset += slot[at(owner[v])];
  bytes_ = slots.bytes;
}

void Tile::prepare(const std::vector<TileSum>& sums, size_t num_inputs) {
  for (const Work& work : works_) {
    if (work.aliased) continue;
    if (!work.equation) {
      const size_t base = 1 + num_inputs + graph_.constants().size() + at(work.sum);
      steps_.emplace_back(accumulation(sums[at(work.sum)], base));
      first_.push_back(nullptr);
      continue;
    }
    const Graph::Equation& eq = *work.equation;
    if (work.kernel.kind != EntryKernel::Kind::None) {
      std::vector<const Place*> in;
      for (int v : work.in) in.push_back(&places_[at(v)]);
      const Place& out = places_[at(eq.out[0])];
      const DType dtype = graph_.values()[at(work.in.back())].dtype;
      Chain* last = steps_.empty() ? nullptr : std::get_if<Chain>(&steps_.back());
      if (last && last->add(work.kernel, dtype, in, out)) continue;
      Chain chain;
      if (chain.add(work.kernel, dtype, in, out)) {
        steps_.emplace_back(std::move(chain));
        first_.push_back(&eq);
        continue;
      }
    }
    first_.push_back(&eq);
    if (const auto p = product(eq))
      steps_.emplace_back(*p);
    else
      steps_.emplace_back(&eq);
  }
}

std::optional<Tile::Product> Tile::product(const Graph::Equation& eq) const {
  if (eq.op->name() != "matmul" || lanes_.size() != 1) return std::nullopt;
  const Place &a = places_[at(eq.in[0])], &x = places_[at(eq.in[1])], &out = places_[at(eq.out[0])];
  const DType t = out.view.dtype;
  if (out.view.shape.size() != 3 || (t != kFloat32 && t != kFloat64)) return std::nullopt;
  const int64_t lanes = lanes_[0];
  const auto lane = [&](const Place& p) { return p.view.strides[2]; };
  if (lanes < 2 || lane(out) != 1 || lane(a) > 1 || lane(x) > 1 || lane(a) + lane(x) == 0)
    return std::nullopt;
  Product p{t,  a.view.shape[0],       x.view.shape[1], a.view.shape[1], lanes, &a, &x, &out,
            {}, lane(a) + lane(x) == 2};
  const auto strides = [&](int i, const Place& q, bool flipped) {
    p.strides[2 * i] = q.view.strides[flipped ? 1 : 0];
    p.strides[2 * i + 1] = q.view.strides[flipped ? 0 : 1];
  };
  const bool flipped = lane(x) == 0;  // (x^T a^T)^T: the uniform matrix stands on the left
  if (flipped) {
    std::swap(p.m, p.n);
    std::swap(p.a, p.x);
  }
  strides(0, *p.a, flipped);
  strides(1, *p.x, flipped);
  strides(2, *p.out, flipped);
  return p;
}

void Tile::run_product(const Product& p, char* const* bases) const {
  const auto run = [&]<class T>(TypeTag<T>) {
    const auto data = [&](const Place* q) { return reinterpret_cast<T*>(bases[q->base] + q->offset); };
    const auto& kernels = cpu::lane_kernels<T>();
    (p.varying ? kernels.varying : kernels.uniform)(
        p.m, p.n, p.k, p.lanes, {data(p.a), p.strides[0], p.strides[1]},
        {data(p.x), p.strides[2], p.strides[3]}, {data(p.out), p.strides[4], p.strides[5]});
  };
  if (p.dtype == kFloat32)
    run(TypeTag<float>{});
  else
    run(TypeTag<double>{});
}

Tile::Accumulate Tile::accumulation(const TileSum& sum, size_t base) const {
  Accumulate out;
  out.into = {nullptr, sum.of.dtype, sum.of.shape, contiguous_strides(sum.of.shape)};
  out.base = static_cast<int>(base);
  out.lanes = lanes_.empty() ? 1 : lanes_.back();
  if (sum.outer.empty()) {
    out.value = &places_[at(sum.value)];
    out.packed = (sum.of.dtype == kFloat32 || sum.of.dtype == kFloat64) &&
                 is_contiguous(out.value->view.shape, out.value->view.strides);
  }
  for (const auto& [left, right] : sum.outer) {
    const Place &a = places_[at(left)], &b = places_[at(right)];
    for (int64_t k = 0; k < a.view.shape[1]; ++k)  // column k of a times row k of b
      out.outer.push_back({{&a, k * a.view.strides[1], a.view.shape[0], a.view.strides[0]},
                           {&b, k * b.view.strides[0], b.view.shape[1], b.view.strides[1]}});
  }
  return out;
}

void Tile::accumulate(const Accumulate& sum, char* const* bases) const {
  const auto run = [&]<class T>(TypeTag<T>) {
    const auto data = [&](const Place* p) { return reinterpret_cast<const T*>(bases[p->base] + p->offset); };
    const auto& kernels = cpu::lane_kernels<T>();
    T* const acc = reinterpret_cast<T*>(bases[sum.base]);
    if (sum.value) return kernels.row_sums(num_elements(sum.into.shape), sum.lanes, data(sum.value), acc);
    constexpr size_t kAtOnce = 16;
    cpu::OuterTerm<T> terms[kAtOnce];
    for (size_t begin = 0; begin < sum.outer.size(); begin += kAtOnce) {
      const size_t n = std::min(kAtOnce, sum.outer.size() - begin);
      for (size_t i = 0; i < n; ++i) {
        const auto& [a, b] = sum.outer[begin + i];
        terms[i] = {data(a.place) + a.begin, a.row, data(b.place) + b.begin, b.row};
      }
      kernels.outer_accumulate(sum.outer[0].first.count, sum.outer[0].second.count, sum.lanes, terms,
                               static_cast<int64_t>(n), acc, sum.into.shape[1]);
    }
  };
  if (sum.value && !sum.packed) {
    View value = sum.value->view, into = sum.into;
    value.data = bases[sum.value->base] + sum.value->offset;
    into.data = bases[sum.base];
    add_lane_sums(value, into);
  } else if (sum.into.dtype == kFloat32) {
    run(TypeTag<float>{});
  } else {
    run(TypeTag<double>{});
  }
}

void Tile::run(char* const* bases) const {
  if (!profile::active()) {
    for (const Step& step : steps_) run_step(step, bases);
    return;
  }
  for (size_t i = 0; i < steps_.size(); ++i) {
    const int64_t begin = profile::now();
    run_step(steps_[i], bases);
    const int64_t duration = profile::now() - begin;
    if (const auto* chain = std::get_if<Chain>(&steps_[i]); chain && chain->size() > 1)
      profile::add_step(concat(first_[i]->op->name(), " and ", chain->size() - 1, " more entry by entry"),
                        first_[i]->source, duration);
    else
      profile::add_step(first_[i] ? first_[i]->op->name() : "sum over examples",
                        first_[i] ? first_[i]->source : 0, duration);
  }
}

void Tile::run_step(const Step& step, char* const* bases) const {
  if (const auto* chain = std::get_if<Chain>(&step)) {
    chain->run(bases);
  } else if (const auto* p = std::get_if<Product>(&step)) {
    run_product(*p, bases);
  } else if (const auto* sum = std::get_if<Accumulate>(&step)) {
    accumulate(*sum, bases);
  } else {
    const Graph::Equation& eq = *std::get<const Graph::Equation*>(step);
    run_equation(eq, bases);
    locate_failure(eq.source);
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

}  // namespace hesse
