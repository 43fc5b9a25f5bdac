#include "core/program/tile.h"

#include <algorithm>
#include <map>

#include "core/cpu/gemm.h"
#include "core/cpu/simd_kernels.h"

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
           Results results, const std::vector<bool>& added, const Dims& most)
    : graph_(*s.graph), lanes_(lanes), most_(most) {
  std::vector<int> kept = graph_.outputs();
  if (results == Results::Kept)
    for (const TileSum& sum : s.sums) {
      if (sum.outer.empty()) kept.push_back(sum.value);
      for (const auto& [left, right] : sum.outer) kept.insert(kept.end(), {left, right});
    }
  const std::vector<TileSum> none, &sums = results == Results::Sums ? s.sums : none;
  select(sums);
  const std::vector<int> owner = place_views(outside, results, sums.size(), added);
  if (!most_.empty()) find_rows();
  add_to_products(kept);
  fuse_products(kept);
  form_chains(owner);
  place_passing(kept, owner);
  place_slots(outside, kept, owner);
  prepare(sums, outside.size());
}

int Tile::space_of(int64_t length) const {
  const auto it = std::find(most_.begin(), most_.end(), length);
  return it == most_.end() ? -1 : static_cast<int>(it - most_.begin());
}

// Results have them along their first axis: only then do strides not depend on their number. Views that need
// a copy state it.
void Tile::find_rows() {
  for (Place& p : places_)
    for (size_t d = 0; d < p.view.shape.size(); ++d)
      if (const int space = space_of(p.view.shape[d]); space >= 0) {
        p.rows = space;
        p.row_axis = static_cast<int>(d);
      }
  for (const Work& work : works_) {
    if (work.aliased) continue;
    const Graph::Equation& eq = *work.equation;
    require<Error>(!eq.op->is_view(), eq.op->name(), ": a view that needs a copy in a group");
    for (const int v : work.out)
      require<Error>(places_[at(v)].row_axis == 0, eq.op->name(), ": rows of a group along axis ",
                     places_[at(v)].row_axis);
  }
}

// The equations to run, and each sum after the last that makes what it adds.
void Tile::select(const std::vector<TileSum>& sums) {
  const auto n = graph_.equations().size();
  std::vector<size_t> made(graph_.values().size(), 0);  // by which equation, counted from 1
  for (size_t e = 0; e < n; ++e)
    for (int v : graph_.equations()[e].out) made[at(v)] = e + 1;
  // A sum stands where the last of what it reads is made.
  std::vector<std::vector<size_t>> sums_after(n + 1);
  const auto read_by = [](const TileSum& sum) {
    std::vector<int> in;
    if (sum.outer.empty()) in.push_back(sum.value);
    for (const auto& [left, right] : sum.outer) {
      in.push_back(left);
      in.push_back(right);
    }
    return in;
  };
  for (size_t s = 0; s < sums.size(); ++s) {
    size_t last = 0;
    for (int v : read_by(sums[s])) last = std::max(last, made[at(v)]);
    sums_after[last].push_back(s);
  }
  for (size_t e = 0; e <= n; ++e) {
    if (e > 0) {
      const Graph::Equation& eq = graph_.equations()[e - 1];
      const bool entries = !eq.in.empty() && eq.out.size() == 1;
      works_.push_back(
          {&eq, entries ? eq.op->entry_kernel(graph_.values()[at(eq.in.back())].dtype) : EntryKernel{}, eq.in,
           eq.out});
    }
    for (size_t s : sums_after[e]) works_.push_back({nullptr, {}, read_by(sums[s]), {}, static_cast<int>(s)});
  }
}

// a x + z, where nothing else reads the product: it begins at z. Reshapes may stand between the two.
void Tile::add_to_products(const std::vector<int>& kept) {
  std::vector<int> uses(places_.size(), 0), maker(places_.size(), -1);
  for (size_t w = 0; w < works_.size(); ++w) {
    for (int v : works_[w].in) ++uses[at(v)];
    for (int v : works_[w].out) maker[at(v)] = static_cast<int>(w);
  }
  for (int v : kept) ++uses[at(v)];
  std::vector<bool> gone(works_.size(), false);
  for (size_t w = 0; w < works_.size(); ++w) {
    if (works_[w].kernel.role != EntryKernel::Role::Add) continue;
    std::optional<Work> best;  // of two products the later one: the other is known by then
    std::vector<int> absorbed;
    for (size_t i = 0; i < 2; ++i) {
      std::vector<int> through;
      int m = maker[at(works_[w].in[i])];
      for (int v = works_[w].in[i]; m >= 0 && uses[at(v)] == 1; m = maker[at(v)]) {
        through.push_back(m);
        if (!works_[at(m)].aliased) break;
        v = works_[at(m)].in[0];
      }
      if (m < 0 || through.empty() || through.back() != m || !works_[at(m)].equation) continue;
      const Place &made = places_[at(works_[at(m)].out[0])], &read = places_[at(works_[w].in[i])];
      if (read.offset != made.offset || num_elements(read.view.shape) != num_elements(made.view.shape) ||
          !is_contiguous(read.view.shape, read.view.strides))
        continue;
      Work sum{works_[at(m)].equation, {}, works_[at(m)].in, works_[w].out};
      sum.addend = works_[w].in[1 - i];
      sum.in.push_back(sum.addend);
      if ((best && through.back() < absorbed.back()) || works_[at(m)].addend >= 0 || !product(sum)) continue;
      best = std::move(sum);
      absorbed = std::move(through);
    }
    if (!best) continue;
    works_[w] = std::move(*best);
    for (int m : absorbed) gone[at(m)] = true;
  }
  erase(gone);
}

void Tile::erase(const std::vector<bool>& gone) {
  std::vector<Work> rest;
  for (size_t w = 0; w < works_.size(); ++w)
    if (!gone[w]) rest.push_back(std::move(works_[w]));
  works_ = std::move(rest);
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
      if (!Chain::fits(sum.kernel, places_of(in), places_[at(sum.out[0])])) continue;
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
  erase(gone);
}

// Strides, and what lies outside or is a view; slots come after.
std::vector<int> Tile::place_views(const std::vector<std::optional<Strides>>& outside, Results results,
                                   size_t num_sums, const std::vector<bool>& added) {
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
  const auto first_output = static_cast<int>(1 + outside.size() + graph_.constants().size() + num_sums);
  if (results != Results::Kept) {  // views follow where their operands lie
    std::vector<bool> computed(values.size(), false);
    for (const Work& work : works_)
      for (int v : work.out)
        computed[at(v)] = !work.equation->op->is_view() &&
                          (results == Results::Outside || graph_.values()[at(v)].shape.empty());
    for (size_t k = 0; k < graph_.outputs().size(); ++k) {
      const int v = graph_.outputs()[k];
      if (k < added.size() && added[k]) continue;
      if (computed[at(v)] && places_[at(v)].base == 0)
        places_[at(v)].base = first_output + static_cast<int>(k);
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
  add_to_outputs(added, first_output);
  return owner;
}

// A product that nothing else reads begins at what it is added to; others are copied.
void Tile::add_to_outputs(const std::vector<bool>& added, int first_base) {
  for (size_t k = 0; k < added.size(); ++k) {
    if (!added[k]) continue;
    const int v = graph_.outputs()[k];
    Work* maker = nullptr;
    bool read = std::count(graph_.outputs().begin(), graph_.outputs().end(), v) > 1;
    for (Work& w : works_) {
      read = read || std::find(w.in.begin(), w.in.end(), v) != w.in.end();
      if (w.equation && w.out[0] == v) maker = &w;
    }
    const LinkedRows* const linked = maker ? linked_rows(*maker->equation->op) : nullptr;
    if (!read && maker && (product(*maker) || (linked && linked->can_add()))) {
      places_[at(v)].base = first_base + static_cast<int>(k);
      maker->addend = v;
    } else {
      to_copy_.push_back(k);
    }
  }
}

bool Tile::may_overwrite(size_t k, int input) const {
  if (std::find(to_copy_.begin(), to_copy_.end(), k) != to_copy_.end()) return false;
  const int result = graph_.outputs()[k];
  bool made = false;
  for (const Work& work : works_) {
    if (!work.equation || work.aliased || work.kernel.kind == EntryKernel::Kind::None) return false;
    if (made && std::find(work.in.begin(), work.in.end(), input) != work.in.end()) return false;
    made = made || work.out[0] == result;
  }
  return made;
}

std::vector<const Place*> Tile::places_of(const std::vector<int>& values) const {
  std::vector<const Place*> out;
  for (int v : values) out.push_back(&places_[at(v)]);
  return out;
}

// Neighbours of one geometry run as one chain; but what one of them makes, another must read where it was
// written, and not through a view that moves entries.
void Tile::form_chains(const std::vector<int>& owner) {
  std::optional<Chain::Geometry> current;
  std::vector<int> made(places_.size(), -1);  // by value: the unit that makes it
  int unit = -1;
  for (Work& work : works_) {
    if (work.aliased) {  // does nothing: stands between two of a chain
      work.unit = std::max(unit, 0);
      continue;
    }
    std::optional<Chain::Geometry> geometry;
    if (work.equation && work.kernel.kind != EntryKernel::Kind::None)
      geometry = Chain::fits(work.kernel, places_of(work.in), places_[at(work.out[0])]);
    const bool joins =
        geometry && geometry == current && std::all_of(work.in.begin(), work.in.end(), [&](int v) {
          const Place &read = places_[at(v)], &written = places_[at(owner[at(v)])];
          return made[at(owner[at(v)])] != unit ||
                 (read.offset == written.offset && read.view.shape == written.view.shape &&
                  read.view.strides == written.view.strides);
        });
    if (!joins) ++unit;
    current = geometry;
    work.unit = unit;
    for (int v : work.out) made[at(v)] = unit;
  }
}

// What is read in its own chain only, and has no views, lies in buffers that all chains share.
void Tile::place_passing(const std::vector<int>& kept, const std::vector<int>& owner) {
  constexpr int64_t kWidest = 8;  // bytes of an entry
  std::vector<int> last(places_.size(), -1), maker(places_.size(), -1);
  std::vector<bool> passes(places_.size(), true);
  for (size_t w = 0; w < works_.size(); ++w) {
    for (int v : works_[w].out) maker[at(v)] = static_cast<int>(w);
    for (int v : works_[w].in) {
      last[at(v)] = static_cast<int>(w);
      if (maker[at(v)] < 0 || works_[at(maker[at(v)])].unit != works_[w].unit || works_[w].aliased)
        passes[at(v)] = false;
    }
  }
  for (int v : kept) passes[at(owner[at(v)])] = false;
  std::vector<int64_t> buffer(places_.size(), -1);
  std::vector<int64_t> free;
  int64_t buffers = 0;
  int unit = -1;
  for (size_t w = 0; w < works_.size(); ++w) {
    const Work& work = works_[w];
    if (work.unit != unit) {
      unit = work.unit;
      free.clear();
      for (int64_t b = buffers; b-- > 0;) free.push_back(b);
    }
    if (work.aliased || work.out.size() != 1) continue;
    std::vector<int> dead(work.in);
    std::sort(dead.begin(), dead.end());
    dead.erase(std::unique(dead.begin(), dead.end()), dead.end());
    const int v = work.out[0];
    Place& p = places_[at(v)];
    // A result may take the place of an operand, entry by entry.
    const auto release = [&](bool same_size) {
      for (int x : dead)
        if (buffer[at(x)] >= 0 && last[at(x)] == static_cast<int>(w) &&
            same_size == (itemsize(places_[at(x)].view.dtype) == itemsize(p.view.dtype)))
          free.push_back(buffer[at(x)]);
    };
    release(true);
    const int64_t run = p.view.shape.empty() ? 1 : p.view.shape.back();
    if (passes[at(v)] && last[at(v)] >= 0 && p.base == 0 && run * kWidest <= Chain::kBlockBytes) {
      if (free.empty()) free.push_back(buffers++);
      buffer[at(v)] = free.back();
      free.pop_back();
      p.passing = true;
      p.offset = buffer[at(v)] * Chain::kBlockBytes;
    }
    release(false);
  }
  passing_bytes_ = buffers * Chain::kBlockBytes;
}

// A slot is free again after the last unit that reads its value or a view of it.
void Tile::place_slots(const std::vector<std::optional<Strides>>& outside, const std::vector<int>& kept,
                       const std::vector<int>& owner) {
  const auto size = [&](int v) {
    const View& view = places_[at(v)].view;
    return (num_elements(view.shape) * itemsize(view.dtype) + 63) / 64 * 64;
  };
  const int end = works_.empty() ? 0 : works_.back().unit + 1;
  std::vector<int> last(places_.size(), -1);
  for (const Work& work : works_) {
    for (int v : work.in) last[at(owner[at(v)])] = work.unit;
    for (int v : work.out) last[at(owner[at(v)])] = work.unit;
  }
  for (int v : kept) last[at(owner[at(v)])] = end;
  Slots slots;
  std::vector<int64_t> slot(places_.size(), 0);
  const auto has_slot = [&](int v) { return places_[at(v)].base == 0 && !places_[at(v)].passing; };
  for (size_t i = 0; i < outside.size(); ++i)
    if (!outside[i]) slot[i] = slots.take(size(static_cast<int>(i)));
  for (size_t w = 0; w < works_.size();) {
    const int unit = works_[w].unit;
    std::vector<int> dead;
    for (; w < works_.size() && works_[w].unit == unit; ++w) {
      const Work& work = works_[w];
      for (int v : work.out)
        if (!work.aliased && has_slot(v)) slot[at(v)] = slots.take(size(v));
      for (const std::vector<int>* values : {&work.in, &work.out})
        for (int v : *values) dead.push_back(owner[at(v)]);
    }
    std::sort(dead.begin(), dead.end());
    dead.erase(std::unique(dead.begin(), dead.end()), dead.end());
    for (int v : dead)
      if (has_slot(v) && last[at(v)] == unit) slots.release(slot[at(v)], size(v));
  }
  bytes_ = slots.bytes;
  for (size_t v = 0; v < places_.size(); ++v)
    if (places_[v].base == 0) places_[v].offset += places_[v].passing ? bytes_ : slot[at(owner[v])];
}

void Tile::prepare(const std::vector<TileSum>& sums, size_t num_inputs) {
  int chained = -1;  // the unit of the chain that is being filled
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
      const std::vector<const Place*> in = places_of(work.in);
      const Place& out = places_[at(work.out[0])];
      if (Chain::fits(work.kernel, in, out)) {
        if (work.unit != chained) {
          steps_.emplace_back(Chain());
          first_.push_back(&eq);
          chained = work.unit;
          if (out.rows >= 0)
            std::get<Chain>(steps_.back()).vary_first_axis(out.view.shape[0], static_cast<size_t>(out.rows));
        }
        std::get<Chain>(steps_.back()).add(work.kernel, graph_.values()[at(work.in.back())].dtype, in, out);
        continue;
      }
    }
    first_.push_back(&eq);
    if (const LinkedRows* op = linked_rows(*eq.op))
      steps_.emplace_back(Linked{op, &eq, work.addend >= 0});
    else if (const auto p = product(work))
      steps_.emplace_back(*p);
    else
      steps_.emplace_back(&eq);
  }
  std::vector<Chain*> chains;
  for (Step& step : steps_)
    if (auto* const chain = std::get_if<Chain>(&step)) chains.push_back(chain);
  if (chains.empty()) return;
  try {
    if (cpu::EntryCode::available()) code_ = std::make_unique<cpu::EntryCode>();
    for (Chain* chain : chains) chain->finish(code_.get());
    if (code_) code_->finish();
  } catch (const Error&) {  // no memory for code: the kernels do the same
    for (Chain* chain : chains) chain->finish(nullptr);
    code_.reset();
  }
}

// Value v as [m, n, lanes]: as it is, or its entries in order where they are one row or column.
std::optional<Tile::Matrix> Tile::matrix(int v, int64_t m, int64_t n) const {
  const Place& p = places_[at(v)];
  const View& view = p.view;
  const size_t features = view.shape.size() - 1;
  const int64_t lane = view.strides.back();
  if (features == 2 && view.shape[0] == m && view.shape[1] == n)
    return Matrix{&p, view.strides[0], view.strides[1], lane};
  if (m != 1 && n != 1) return std::nullopt;
  int64_t step = 0, expected = 0, length = 1;
  for (size_t d = features; d-- > 0;) {
    if (view.shape[d] == 1) continue;
    if (length == 1) step = view.strides[d];
    if (length > 1 && view.strides[d] != expected) return std::nullopt;
    expected = view.strides[d] * view.shape[d];
    length *= view.shape[d];
  }
  if (length != m * n) return std::nullopt;
  return Matrix{&p, n == 1 ? step : 0, n == 1 ? 0 : step, lane};
}

std::optional<Tile::Product> Tile::product(const Work& work) const {
  if (work.equation->op->name() != "matmul") return std::nullopt;
  if (lanes_.empty()) return product_by_columns(work);
  if (lanes_.size() != 1) return std::nullopt;
  const View &a = places_[at(work.in[0])].view, &x = places_[at(work.in[1])].view;
  if (a.shape.size() != 3 || x.shape.size() != 3 || (a.dtype != kFloat32 && a.dtype != kFloat64))
    return std::nullopt;
  Product p{a.dtype, a.shape[0], x.shape[1], a.shape[1], lanes_[0], {}, {}, {}, {}};
  const auto out = matrix(work.out[0], p.m, p.n);
  const auto addend = work.addend < 0 ? Matrix{} : matrix(work.addend, p.m, p.n);
  if (!out || !addend) return std::nullopt;
  p.a = *matrix(work.in[0], p.m, p.k);
  p.x = *matrix(work.in[1], p.k, p.n);
  p.addend = *addend;
  p.out = *out;
  if (p.lanes < 2 || p.out.lane != 1 || p.addend.lane > 1 || p.a.lane > 1 || p.x.lane > 1 ||
      p.a.lane + p.x.lane == 0)
    return std::nullopt;
  if (p.x.lane == 0) {  // (x^T a^T)^T: the uniform matrix stands on the left
    std::swap(p.m, p.n);
    std::swap(p.a, p.x);
    for (Matrix* q : {&p.a, &p.x, &p.addend, &p.out}) *q = q->transposed();
  }
  return p;
}

std::optional<Tile::Product> Tile::product_by_columns(const Work& work) const {
  const auto as_lanes = [&](int v) -> std::optional<Matrix> {
    const Place& p = places_[at(v)];
    if (p.view.shape.size() != 2) return std::nullopt;
    return Matrix{&p, p.view.strides[0], 0, p.view.strides[1]};
  };
  const auto a = as_lanes(work.in[0]), x = as_lanes(work.in[1]), out = as_lanes(work.out[0]);
  const auto addend = work.addend < 0 ? Matrix{} : as_lanes(work.addend);
  if (!a || !x || !out || !addend) return std::nullopt;
  const View &av = a->place->view, &xv = x->place->view;
  if ((av.dtype != kFloat32 && av.dtype != kFloat64) || av.shape[0] == 0 || av.shape[1] == 0 ||
      !cpu::columns_as_lanes(xv.shape[1]) || x->lane != 1 || out->lane != 1 ||
      (addend->lane != 0 && addend->lane != 1) || addend->row < 0)
    return std::nullopt;
  Product p{av.dtype, av.shape[0], 1, av.shape[1], xv.shape[1], *a, *x, *addend, *out};
  std::swap(p.a.col, p.a.lane);  // no lanes in it
  p.rows_of_m = space_of(p.m);
  p.rows_of_k = space_of(p.k);
  return p;
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

}  // namespace hesse
