#include "core/program/lanes.h"

#include <algorithm>
#include <map>

#include "core/cpu/assign.h"
#include "core/cpu/lane_gemm.h"
#include "core/cpu/threads.h"
#include "core/debug.h"
#include "core/ops.h"
#include "core/program/lane_plan.h"
#include "core/status.h"

namespace hesse {
namespace {

constexpr int64_t kGroups = 64;  // partial sums: fixed by the problem, never by the number of threads

/// Where a value of a tile lives: in the arena, as a view of another value, or outside (uniform).
struct Tile {
  Tile(const Graph& g, const LanePlan& plan, const std::vector<Array>& uniform, int64_t lanes);

  View view(int v, char* arena) const {
    View out = views[static_cast<size_t>(v)];
    if (in_arena[static_cast<size_t>(v)]) out.data = arena + offset[static_cast<size_t>(v)];
    return out;
  }
  std::vector<View> views;
  std::vector<bool> in_arena, aliased;  // by value; by equation: its result is a view of its operand's memory
  std::vector<int64_t> offset;
  int64_t bytes = 0, lanes;

 private:
  int64_t allocate(int64_t size);
  void release(int64_t at, int64_t size) { free_.emplace(size, at); }
  std::multimap<int64_t, int64_t> free_;
};

int64_t Tile::allocate(int64_t size) {
  if (const auto it = free_.find(size); it != free_.end()) {
    const int64_t at = it->second;
    free_.erase(it);
    return at;
  }
  const int64_t at = bytes;
  bytes += size;
  return at;
}

Tile::Tile(const Graph& g, const LanePlan& plan, const std::vector<Array>& uniform, int64_t width)
    : lanes(width) {
  const size_t n = g.values().size();
  views.resize(n);
  in_arena.assign(n, false);
  offset.assign(n, 0);
  for (size_t v = 0; v < n; ++v)
    if (!plan.varies[v] && uniform[v].defined()) {
      views[v] = uniform[v].view();
      views[v].shape.push_back(lanes);
      views[v].strides.push_back(0);
    }
  // A view holds its base's slot until its own last use.
  std::vector<int> base(n), last(n, -1);
  for (size_t v = 0; v < n; ++v) base[v] = static_cast<int>(v);
  const auto rounded = [&](size_t v) {
    const Aval& a = g.values()[v];
    return (num_elements(a.shape) * lanes * itemsize(a.dtype) + 63) / 64 * 64;
  };
  const auto place = [&](size_t v) {
    Shape shape = g.values()[v].shape;
    shape.push_back(lanes);
    views[v] = {nullptr, g.values()[v].dtype, shape, contiguous_strides(shape)};
    in_arena[v] = true;
    offset[v] = allocate(rounded(v));
  };
  aliased.assign(g.equations().size(), false);
  const auto try_alias = [&](const Graph::Equation& e) -> std::optional<View> {
    if (!e.op->is_view() || e.in.size() != 1) return std::nullopt;
    View in = views[static_cast<size_t>(e.in[0])];
    char origin = 0;
    in.data = &origin;  // strides and offset only
    std::optional<View> out = e.op->alias(in, 1);
    if (out) out->data = reinterpret_cast<void*>(static_cast<char*>(out->data) - &origin);
    return out;
  };
  // First pass: shapes of views need their operands' strides, which do not depend on slots.
  std::vector<std::optional<View>> alias(g.equations().size());
  for (size_t v = 0; v < n; ++v)
    if (plan.varies[v] && static_cast<int>(v) < g.num_inputs()) {
      Shape shape = g.values()[v].shape;
      shape.push_back(lanes);
      views[v] = {nullptr, g.values()[v].dtype, shape, contiguous_strides(shape)};
    }
  for (size_t i = 0; i < plan.tile.size(); ++i) {
    const auto e = static_cast<size_t>(plan.tile[i]);
    const Graph::Equation& eq = g.equations()[e];
    alias[e] = try_alias(eq);
    aliased[e] = alias[e].has_value();
    for (int v : eq.out) {
      Shape shape = g.values()[static_cast<size_t>(v)].shape;
      shape.push_back(lanes);
      if (alias[e])
        views[static_cast<size_t>(v)] = *alias[e];
      else
        views[static_cast<size_t>(v)] = {nullptr, g.values()[static_cast<size_t>(v)].dtype, shape,
                                         contiguous_strides(shape)};
      if (alias[e]) base[static_cast<size_t>(v)] = base[static_cast<size_t>(eq.in[0])];
    }
    for (int v : eq.in) last[static_cast<size_t>(base[static_cast<size_t>(v)])] = static_cast<int>(i);
    for (int v : eq.out) last[static_cast<size_t>(base[static_cast<size_t>(v)])] = static_cast<int>(i);
  }
  const int kForever = static_cast<int>(plan.tile.size());
  for (const LanePlan::Sum& s : plan.sums)
    for (int v : {s.value, s.left, s.right})
      if (v >= 0) last[static_cast<size_t>(base[static_cast<size_t>(v)])] = kForever;
  for (int v : g.outputs()) last[static_cast<size_t>(base[static_cast<size_t>(v)])] = kForever;
  // Second pass: slots, reused by liveness.
  for (size_t v = 0; v < static_cast<size_t>(g.num_inputs()); ++v)
    if (plan.varies[v] && plan.used[v]) place(v);
  for (size_t i = 0; i < plan.tile.size(); ++i) {
    const auto e = static_cast<size_t>(plan.tile[i]);
    const Graph::Equation& eq = g.equations()[e];
    for (int out : eq.out) {
      const auto v = static_cast<size_t>(out);
      if (!alias[e]) {
        place(v);
        continue;
      }
      const auto b = static_cast<size_t>(eq.in[0]);
      in_arena[v] = true;
      offset[v] = offset[b] + static_cast<int64_t>(reinterpret_cast<intptr_t>(alias[e]->data));
    }
    std::vector<int> dead;
    for (int v : eq.in) dead.push_back(base[static_cast<size_t>(v)]);
    for (int v : eq.out) dead.push_back(base[static_cast<size_t>(v)]);
    std::sort(dead.begin(), dead.end());
    dead.erase(std::unique(dead.begin(), dead.end()), dead.end());
    for (int v : dead) {
      const auto b = static_cast<size_t>(v);
      if (plan.varies[b] && in_arena[b] && last[b] == static_cast<int>(i)) release(offset[b], rounded(b));
    }
  }
}

// acc += sum over the last axis of v, in eight interleaved partial sums.
void add_lane_sums(const View& v, const View& acc) {
  const size_t lane_axis = v.shape.size() - 1;
  visit_dtype(v.dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    if constexpr (std::is_same_v<T, Key>) {
      throw TypeError("map: keys cannot be summed over examples");
    } else {
      const int64_t n = v.shape[lane_axis], s = v.strides[lane_axis];
      View features = v;
      features.shape.pop_back();
      features.strides.pop_back();
      const int64_t count = num_elements(acc.shape);
      Dims at(features.shape.size(), 0);
      const T* p = v.as<const T>();
      T* out = acc.as<T>();
      for (int64_t k = 0; k < count; ++k) {
        T part[8] = {};
        int64_t l = 0;
        for (; l + 8 <= n; l += 8)
          for (int64_t j = 0; j < 8; ++j) part[j] = static_cast<T>(part[j] + p[(l + j) * s]);
        for (; l < n; ++l) part[l % 8] = static_cast<T>(part[l % 8] + p[l * s]);
        T total = static_cast<T>((part[0] + part[4]) + (part[2] + part[6]));
        total = static_cast<T>(total + ((part[1] + part[5]) + (part[3] + part[7])));
        out[k] = static_cast<T>(out[k] + total);
        for (size_t d = features.shape.size(); d-- > 0;) {
          p += features.strides[d];
          if (++at[d] < features.shape[d]) break;
          p -= features.strides[d] * features.shape[d];
          at[d] = 0;
        }
      }
    }
  });
}

// acc[m, n] += sum over lanes of a[m, lanes] b[n, lanes]^T. 2 m n lanes flops.
void add_outer_products(const View& a, const View& b, const View& acc) {
  const auto run = [&]<class T>(TypeTag<T>) {
    cpu::lane_outer_accumulate(a.shape[0], b.shape[0], a.shape[1], a.as<const T>(), a.strides[0],
                               b.as<const T>(), b.strides[0], acc.as<T>(), b.shape[0]);
  };
  if (acc.dtype == kFloat32)
    run(TypeTag<float>{});
  else
    run(TypeTag<double>{});
}

int64_t checked(int64_t row, int64_t rows, int64_t position) {
  if (row >= 0 && row < rows) return row;
  report_failure(Failure::Index, "map",
                 concat("index ", row, " at position ", position, " is out of range for ", rows, " rows"));
  return 0;
}
int64_t row_of(const Array& index, int64_t i, int64_t rows) {
  const View v = index.view();
  return checked(v.as<int64_t>()[i * v.strides[0]], rows, i);
}

// What the body takes for example i.
Arrays example(std::span<const Array> operands, const std::vector<Access>& access,
               std::span<const Array> indices, int64_t i) {
  Arrays in;
  for (size_t j = 0; j < access.size(); ++j) {
    const Array& x = operands[j];
    if (access[j].kind == Access::Kind::Uniform)
      in.push_back(x);
    else if (access[j].kind == Access::Kind::Each)
      in.push_back(x.viewed(cpu::at(x.view(), 0, i)));
    else
      in.push_back(x.viewed(
          cpu::at(x.view(), 0, row_of(indices[static_cast<size_t>(access[j].index)], i, x.shape()[0]))));
  }
  return in;
}

/// One call of a map.
class Run {
 public:
  Run(const Graph& g, int64_t n, std::span<const Array> operands, const std::vector<Access>& access,
      const std::vector<Result>& results, std::span<const Array> indices)
      : g_(g),
        n_(n),
        operands_(operands),
        access_(access),
        results_(results),
        indices_(indices),
        plan_(g, n, access, results) {}

  Arrays run() {
    run_uniform();
    allocate_outputs();
    const int64_t tiles = (n_ + plan_.lanes - 1) / plan_.lanes;
    const int64_t per_group = std::max<int64_t>(1, (tiles + kGroups - 1) / kGroups);
    const int64_t groups = (tiles + per_group - 1) / per_group;
    const Tile whole(g_, plan_, uniform_, plan_.lanes);
    const int64_t rest = n_ % plan_.lanes;
    const Tile tail(g_, plan_, uniform_, rest ? rest : plan_.lanes);
    std::vector<Arrays> partial(static_cast<size_t>(groups));
    std::vector<std::unique_ptr<FailureCopy>> failures(static_cast<size_t>(groups));
    const auto run_group = [&](int64_t group) {
      const FailureScope scope;
      const Ref<Buffer> arena = Buffer::allocate(static_cast<size_t>(std::max<int64_t>(whole.bytes, 64)));
      Arrays acc;
      for (const LanePlan::Sum& s : plan_.sums) {
        const Aval& a = g_.values()[static_cast<size_t>(s.value)];
        acc.push_back(Array::uninitialized(a.shape, a.dtype));
        cpu::set_zero(acc.back().view());
      }
      for (int64_t t = group * per_group; t < std::min(tiles, (group + 1) * per_group); ++t) {
        const int64_t begin = t * plan_.lanes;
        const Tile& tile = begin + plan_.lanes <= n_ ? whole : tail;
        run_tile(tile, begin, arena, acc);
        auto& failure = failures[static_cast<size_t>(group)];
        if (scope.failed() && !failure)
          failure = std::make_unique<FailureCopy>(scope, first_failing(begin, tile.lanes));
      }
      partial[static_cast<size_t>(group)] = std::move(acc);
    };
    const bool effects = std::any_of(plan_.tile.begin(), plan_.tile.end(), [&](int e) {
      return g_.equations()[static_cast<size_t>(e)].op->has_effect();
    });
    if (effects)  // prints and the like come in the order of the examples
      for (int64_t group = 0; group < groups; ++group) run_group(group);
    else
      parallel_for(groups, run_group);
    for (const auto& f : failures)
      if (f) {
        f->report();
        break;
      }
    return finish(partial);
  }

 private:
  struct FailureCopy {
    FailureCopy(const FailureScope& s, int64_t example)
        : failure(s.failure()), message(concat("example ", example, ": ", s.message())), source(s.source()) {}
    void report() const {
      report_failure(failure, "map", message);
      locate_failure(source);
    }
    Failure failure;
    std::string message;
    SourceLine source;
  };

  // Values that are the same for all examples: once, with the ordinary kernels.
  void run_uniform() {
    uniform_.resize(g_.values().size());
    for (size_t i = 0; i < access_.size(); ++i)
      if (access_[i].kind == Access::Kind::Uniform) uniform_[i] = operands_[i];
    for (const auto& [id, a] : g_.constants()) uniform_[static_cast<size_t>(id)] = a;
    for (int e : plan_.before) evaluate(e, uniform_);
  }

  void evaluate(int e, Arrays& env) const {
    const Graph::Equation& eq = g_.equations()[static_cast<size_t>(e)];
    Arrays in;
    for (int v : eq.in) in.push_back(env[static_cast<size_t>(v)]);
    const Arrays out = eq.op->eval(in);
    locate_failure(eq.source);
    for (size_t k = 0; k < out.size(); ++k) env[static_cast<size_t>(eq.out[k])] = out[k];
  }

  // Which of the examples failed, once a tile has: kernels say what, not where.
  int64_t first_failing(int64_t begin, int64_t lanes) const {
    for (int64_t i = begin; i < begin + lanes; ++i) {
      const FailureScope scope;
      g_.run(example(operands_, access_, indices_, i));
      if (scope.failed()) return i;
    }
    return begin;
  }

  void allocate_outputs() {
    for (size_t k = 0; k < results_.size(); ++k) {
      const int v = g_.outputs()[k];
      Aval a = g_.values()[static_cast<size_t>(v)];
      if (results_[k].kind == Result::Kind::Sum || !plan_.varies[static_cast<size_t>(v)]) {
        outputs_.emplace_back();
        continue;
      }
      a.shape.insert(0, n_);
      outputs_.push_back(Array::uninitialized(a.shape, a.dtype));
    }
  }

  void load(const Tile& tile, int64_t begin, char* arena) const {
    for (size_t i = 0; i < access_.size(); ++i) {
      if (access_[i].kind == Access::Kind::Uniform || !plan_.used[i]) continue;
      const View dst = tile.view(static_cast<int>(i), arena);
      const View src = operands_[i].view();
      const size_t lane_axis = dst.shape.size() - 1;
      if (access_[i].kind == Access::Kind::Each) {
        cpu::assign(cpu::moved(cpu::range(src, 0, begin, tile.lanes), 0, lane_axis), dst);
        continue;
      }
      const View index = indices_[static_cast<size_t>(access_[i].index)].view();
      for (int64_t l = 0; l < tile.lanes; ++l) {
        const int64_t row = index.as<int64_t>()[(begin + l) * index.strides[0]];
        const View lane = cpu::at(dst, lane_axis, l);
        cpu::assign(cpu::at(src, 0, checked(row, src.shape[0], begin + l)), lane);
      }
    }
  }

  void run_tile(const Tile& tile, int64_t begin, const Ref<Buffer>& buffer, Arrays& acc) const {
    char* arena = static_cast<char*>(buffer->data());
    load(tile, begin, arena);
    std::vector<View> in, out;
    for (int e : plan_.tile) {
      if (tile.aliased[static_cast<size_t>(e)]) continue;
      const Graph::Equation& eq = g_.equations()[static_cast<size_t>(e)];
      in.clear();
      out.clear();
      for (int v : eq.in) in.push_back(tile.view(v, arena));
      for (int v : eq.out) out.push_back(tile.view(v, arena));
      if (eq.op->is_view()) {
        copy_view(*eq.op, in[0], out[0]);
      } else if (eq.op->has_lane_kernel()) {
        eq.op->kernel(in, out, 1);
      } else {
        lane_by_lane(tile, eq, buffer, out);
      }
      locate_failure(eq.source);
    }
    for (size_t s = 0; s < acc.size(); ++s) {
      const LanePlan::Sum& sum = plan_.sums[s];
      if (sum.left >= 0) {
        View a = tile.view(sum.left, arena), b = tile.view(sum.right, arena);
        add_outer_products(cpu::at(a, 1, 0), cpu::at(b, 0, 0), acc[s].view());
      } else {
        add_lane_sums(tile.view(sum.value, arena), acc[s].view());
      }
    }
    for (size_t k = 0; k < results_.size(); ++k) {
      if (!outputs_[k].defined()) continue;
      const View src = tile.view(g_.outputs()[k], arena);
      const View dst = cpu::range(outputs_[k].view(), 0, begin, tile.lanes);
      cpu::assign(src, cpu::moved(dst, 0, dst.shape.size() - 1));
    }
  }

  // A reshape that strides cannot express: through a packed copy of the operand.
  static void copy_view(const Op& op, const View& in, const View& out) {
    const Array packed = Array::uninitialized(in.shape, in.dtype);
    cpu::assign(in, packed.view());
    const std::optional<View> v = op.alias(packed.view(), 1);
    require<Error>(v.has_value(), op.name(), ": no view of a row-major operand");
    cpu::assign(*v, out);
  }

  void lane_by_lane(const Tile& tile, const Graph::Equation& eq, const Ref<Buffer>& buffer,
                    const std::vector<View>& out) const {
    char* arena = static_cast<char*>(buffer->data());
    for (int64_t l = 0; l < tile.lanes; ++l) {
      Arrays in;
      for (int v : eq.in) {
        if (!plan_.varies[static_cast<size_t>(v)]) {
          in.push_back(uniform_[static_cast<size_t>(v)]);
          continue;
        }
        const View lane = cpu::at(tile.view(v, arena), tile.view(v, arena).shape.size() - 1, l);
        const Array copy = Array::uninitialized(lane.shape, lane.dtype);
        cpu::assign(lane, copy.view());
        in.push_back(copy);
      }
      const Arrays y = eq.op->eval(in);
      for (size_t k = 0; k < y.size(); ++k)
        cpu::assign(y[k].view(), cpu::at(out[k], out[k].shape.size() - 1, l));
    }
  }

  // Partial sums in the order of their groups, then the equations that the sums moved through.
  Arrays finish(const std::vector<Arrays>& partial) {
    for (size_t s = 0; s < plan_.sums.size(); ++s) {
      const int v = plan_.sums[s].value;
      const Aval& a = g_.values()[static_cast<size_t>(v)];
      Array total = partial.empty() ? Array::uninitialized(a.shape, a.dtype) : partial[0][s];
      if (partial.empty()) cpu::set_zero(total.view());
      if (!plan_.varies[static_cast<size_t>(v)]) {  // a uniform value: n times it
        totals_[v] = uniform_[static_cast<size_t>(v)];
        totals_[v] = multiply(totals_[v], astype(Array(n_), totals_[v].dtype())).detached();
        continue;
      }
      for (size_t k = 1; k < partial.size(); ++k) cpu::accumulate(partial[k][s].view(), total.view());
      totals_[v] = total;
    }
    for (int e : plan_.after) {
      const Graph::Equation& eq = g_.equations()[static_cast<size_t>(e)];
      Arrays in;
      for (int v : eq.in)
        in.push_back(plan_.varies[static_cast<size_t>(v)] ? totals_.at(v) : uniform_[static_cast<size_t>(v)]);
      totals_[eq.out[0]] = eq.op->eval(in)[0];
    }
    Arrays out;
    for (size_t k = 0; k < results_.size(); ++k) {
      const int v = g_.outputs()[k];
      Array y = outputs_[k];
      if (results_[k].kind == Result::Kind::Sum) {
        y = totals_.at(v);
      } else if (!y.defined()) {
        Shape shape = g_.values()[static_cast<size_t>(v)].shape;
        shape.insert(0, n_);
        View view = uniform_[static_cast<size_t>(v)].view();
        view.shape = shape;
        view.strides.insert(0, 0);
        y = uniform_[static_cast<size_t>(v)].viewed(view);
      }
      if (results_[k].kind == Result::Kind::SegmentSum) y = segment_rows(y, k);
      out.push_back(y);
    }
    return out;
  }

  // Rows added in order of the example: the same bits for any number of threads.
  Array segment_rows(const Array& rows, size_t k) const {
    Shape shape = rows.shape();
    shape[0] = results_[k].num_segments;
    const Array out = Array::uninitialized(shape, rows.dtype());
    cpu::set_zero(out.view());
    const View index = indices_[static_cast<size_t>(results_[k].index)].view(), src = rows.view();
    for (int64_t i = 0; i < n_; ++i) {
      const int64_t row = index.as<int64_t>()[i * index.strides[0]];
      if (shape[0] > 0)
        cpu::accumulate(cpu::at(src, 0, i), cpu::at(out.view(), 0, checked(row, shape[0], i)));
      else
        checked(row, 0, i);
    }
    return out;
  }

  const Graph& g_;
  int64_t n_;
  std::span<const Array> operands_;
  const std::vector<Access>& access_;
  const std::vector<Result>& results_;
  std::span<const Array> indices_;
  LanePlan plan_;
  Arrays uniform_, outputs_;
  std::map<int, Array> totals_;
};

// Graphs whose values have run-time lengths: example by example.
Arrays run_examples(const Graph& g, int64_t n, std::span<const Array> operands,
                    const std::vector<Access>& access, const std::vector<Result>& results,
                    std::span<const Array> indices) {
  Arrays out;
  for (size_t k = 0; k < results.size(); ++k) {
    Aval a = g.output_aval(static_cast<int>(k));
    if (results[k].kind == Result::Kind::Each) a.shape.insert(0, n);
    if (results[k].kind == Result::Kind::SegmentSum) a.shape.insert(0, results[k].num_segments);
    out.push_back(Array::uninitialized(a.shape, a.dtype));
    cpu::set_zero(out.back().view());
  }
  for (int64_t i = 0; i < n; ++i) {
    const Arrays y = g.run(example(operands, access, indices, i));
    for (size_t k = 0; k < y.size(); ++k) {
      if (results[k].kind == Result::Kind::Each)
        cpu::assign(y[k].view(), cpu::at(out[k].view(), 0, i));
      else if (results[k].kind == Result::Kind::Sum)
        cpu::accumulate(y[k].view(), out[k].view());
      else
        cpu::accumulate(y[k].view(), cpu::at(out[k].view(), 0,
                                             row_of(indices[static_cast<size_t>(results[k].index)], i,
                                                    out[k].shape()[0])));
    }
  }
  return out;
}

}  // namespace

Arrays run_lanes(const Graph& body, int64_t n, std::span<const Array> operands,
                 const std::vector<Access>& access, const std::vector<Result>& results,
                 std::span<const Array> indices) {
  if (body.is_dynamic() || debug_nans()) return run_examples(body, n, operands, access, results, indices);
  return Run(body, n, operands, access, results, indices).run();
}

}  // namespace hesse
