// What a tile does with data; tile.cpp lays it out.
#include <algorithm>

#include "core/cpu/assign.h"
#include "core/cpu/gemm.h"
#include "core/profile.h"
#include "core/program/lane_sums.h"
#include "core/program/tile.h"
#include "core/status.h"

namespace hesse {
void Tile::run_product(const Product& p, char* const* bases, const Rows& rows) const {
  const int64_t m = p.rows_of_m < 0 ? p.m : rows.count[p.rows_of_m];
  const int64_t k = p.rows_of_k < 0 ? p.k : rows.count[p.rows_of_k];
  const auto run = [&]<class T>(TypeTag<T>) {
    const auto data = [&](const Matrix& q) {
      return q.place ? reinterpret_cast<T*>(bases[q.place->base] + q.place->offset) : nullptr;
    };
    if (lanes_.empty())
      return cpu::gemm_by_columns<T>({data(p.a), m, k, p.a.row, p.a.col}, {data(p.x), k, p.lanes, p.x.row, 1},
                                     {data(p.addend), p.addend.row, 0, p.addend.lane},
                                     {data(p.out), m, p.lanes, p.out.row, 1});
    const auto& kernels = cpu::lane_kernels<T>();
    (p.a.lane == 1 ? kernels.varying : kernels.uniform)(
        p.m, p.n, p.k, p.lanes, {data(p.a), p.a.row, p.a.col}, {data(p.x), p.x.row, p.x.col},
        {data(p.addend), p.addend.row, p.addend.col, p.addend.lane}, {data(p.out), p.out.row, p.out.col});
  };
  if (p.dtype == kFloat32)
    run(TypeTag<float>{});
  else
    run(TypeTag<double>{});
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

void Tile::run(char* const* bases, const Rows& rows) const {
  if (!profile::active()) {
    for (const Step& step : steps_) run_step(step, bases, rows);
    return;
  }
  for (size_t i = 0; i < steps_.size(); ++i) {
    const int64_t begin = profile::now();
    run_step(steps_[i], bases, rows);
    const int64_t duration = profile::now() - begin;
    if (const auto* chain = std::get_if<Chain>(&steps_[i]); chain && chain->size() > 1)
      profile::add_step(concat(first_[i]->op->name(), " and ", chain->size() - 1, " more entry by entry"),
                        first_[i]->source, duration);
    else
      profile::add_step(first_[i] ? first_[i]->op->name() : "sum over examples",
                        first_[i] ? first_[i]->source : 0, duration);
  }
}

void Tile::run_step(const Step& step, char* const* bases, const Rows& rows) const {
  if (const auto* chain = std::get_if<Chain>(&step)) {
    chain->run(bases, rows.count);
  } else if (const auto* p = std::get_if<Product>(&step)) {
    run_product(*p, bases, rows);
  } else if (const auto* sum = std::get_if<Accumulate>(&step)) {
    accumulate(*sum, bases);
  } else if (const auto* linked = std::get_if<Linked>(&step)) {
    run_linked(*linked, bases, rows);
    locate_failure(linked->equation->source);
  } else {
    const Graph::Equation& eq = *std::get<const Graph::Equation*>(step);
    run_equation(eq, bases, rows);
    locate_failure(eq.source);
  }
}

void Tile::run_linked(const Linked& step, char* const* bases, const Rows& rows) const {
  const std::vector<int>& values = step.equation->in;
  View in[LinkedRows::kMostOperands];
  for (size_t i = 0; i < values.size(); ++i) in[i] = view(values[i], bases, rows);
  step.op->run({in, values.size()}, view(step.equation->out[0], bases, rows), rows.begin, rows.count,
               step.add);
}

void Tile::run_equation(const Graph::Equation& eq, char* const* bases, const Rows& rows) const {
  if (eq.op->is_view()) {  // what strides cannot express: through a packed copy of the operand
    const View in = view(eq.in[0], bases);
    const Array packed = Array::uninitialized(in.shape, in.dtype);
    cpu::assign(in, packed.view());
    const std::optional<View> v = eq.op->alias(packed.view(), static_cast<int>(lanes_.size()));
    require<Error>(v.has_value(), eq.op->name(), ": no view of a row-major operand");
    return cpu::assign(*v, view(eq.out[0], bases));
  }
  if (!eq.op->has_lane_kernel()) return lane_by_lane(eq, bases);
  if (!eq.in.empty() && eq.in.size() <= 2 && eq.out.size() == 1) {  // most: without memory for lists
    const View out = view(eq.out[0], bases, rows);
    const View in[2] = {view(eq.in.front(), bases, rows),
                        eq.in.size() == 2 ? view(eq.in[1], bases, rows) : View()};
    return eq.op->kernel({in, eq.in.size()}, {&out, 1}, static_cast<int>(lanes_.size()));
  }
  std::vector<View> in, out;
  for (int v : eq.in) in.push_back(view(v, bases, rows));
  for (int v : eq.out) out.push_back(view(v, bases, rows));
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
