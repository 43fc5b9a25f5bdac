// What a map does with data; map_program.cpp lays it out.
#include <algorithm>
#include <cstring>

#include "core/allocator.h"
#include "core/cpu/assign.h"
#include "core/cpu/gemm.h"
#include "core/cpu/subnormals.h"
#include "core/cpu/threads.h"
#include "core/debug.h"
#include "core/ops/control_graph.h"
#include "core/program/lane_sums.h"
#include "core/program/map_plan.h"
#include "core/status.h"

namespace hesse {
namespace {

constexpr int64_t kGroups = 64;  // partial sums: fixed by the problem, never by the number of threads

size_t index_of(int v) { return static_cast<size_t>(v); }

Shape with_front(int64_t n, Shape s) {
  s.insert(0, n);
  return s;
}

/// The sums of a map, one after the other in one block of memory; every group of tiles has its own.
class Sums {
 public:
  Sums(const Graph& body, const std::vector<size_t>& results) {
    for (const size_t k : results) {
      const Aval a = body.output_aval(static_cast<int>(k));
      begins_.push_back(bytes_);
      views_.push_back({nullptr, a.dtype, a.shape, contiguous_strides(a.shape)});
      const int64_t bytes = num_elements(a.shape) * itemsize(a.dtype);
      bytes_ += (bytes + 63) / 64 * 64;
    }
  }
  size_t size() const { return views_.size(); }
  Ref<Buffer> zeros() const {
    try {
      Ref<Buffer> out = Buffer::allocate(static_cast<size_t>(bytes_));
      std::memset(out->data(), 0, static_cast<size_t>(bytes_));
      return out;
    } catch (const std::bad_alloc&) {
      const auto largest = std::max_element(views_.begin(), views_.end(), [](const View& a, const View& b) {
        return a.size() * itemsize(a.dtype) < b.size() * itemsize(b.dtype);
      });
      throw OutOfMemory(
          concat("map: not enough memory for an array ", describe(largest->shape, largest->dtype),
                 ", a sum over examples (", describe_bytes(static_cast<double>(bytes_)),
                 " of sums for each of up to 64 groups of examples); use a smaller "
                 "dtype, or add up fewer examples at a time"),
          true);
    }
  }
  View view(size_t s, const Buffer& block) const {
    View out = views_[s];
    out.data = static_cast<char*>(block.data()) + begins_[s];
    return out;
  }
  void add(const Buffer& block, const Buffer& to) const {
    for (size_t s = 0; s < size();) {  // neighbours of one dtype as one run, the gaps between them included
      size_t end = s + 1;
      while (end < size() && views_[end].dtype == views_[s].dtype) ++end;
      const int64_t bytes = (end < size() ? begins_[end] : bytes_) - begins_[s];
      View from = view(s, block), into = view(s, to);
      for (View* v : {&from, &into}) {
        v->shape = {bytes / itemsize(v->dtype)};
        v->strides = {1};
      }
      cpu::accumulate(from, into);
      s = end;
    }
  }

 private:
  std::vector<View> views_;  // without their data
  std::vector<int64_t> begins_;
  int64_t bytes_ = 0;
};

// The same entries in memory of their own.
Array packed(const Array& a) {
  const Array out = Array::uninitialized(a.shape(), a.dtype());
  cpu::assign(a.view(), out.view());
  return out;
}

// The memory of a tile of so many examples.
Ref<Buffer> arena_for(int64_t bytes, const Graph& body, int64_t lanes) {
  try {
    return Buffer::allocate(static_cast<size_t>(std::max<int64_t>(bytes, 64)));
  } catch (const std::bad_alloc&) {
    const Aval* largest = nullptr;
    for (const Graph::Equation& eq : body.equations())
      for (int v : eq.out)
        if (const Aval& a = body.values()[static_cast<size_t>(v)];
            !largest || bytes_of(a) > bytes_of(*largest))
          largest = &a;
    throw OutOfMemory(
        concat("map: not enough memory for a tile of ", lanes, lanes == 1 ? " example, " : " examples, ",
               describe_bytes(static_cast<double>(bytes)),
               largest ? concat("; the largest value of one example is ",
                                describe(largest->shape, largest->dtype))
                       : "",
               ". Make examples smaller (a vmap over the rows of that value, with a sum), use a smaller "
               "dtype, or "
               "set_num_threads: every thread has a tile"),
        true);
  }
}

int64_t checked(int64_t row, int64_t rows, int64_t position) {
  if (row >= 0 && row < rows) return row;
  report_failure(Failure::Index, "map",
                 concat("index ", row, " at position ", position, " is out of range for ", rows, " rows"));
  return 0;
}
int64_t row_of(const View& index, int64_t i, int64_t rows) {
  return checked(index.as<int64_t>()[i * index.strides[0]], rows, i);
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
      in.push_back(
          x.viewed(cpu::at(x.view(), 0, row_of(indices[index_of(access[j].index)].view(), i, x.shape()[0]))));
  }
  return in;
}

}  // namespace

/// One call on data.
struct MapProgram::Call {
  const MapProgram& map;
  const Plan& plan;
  std::span<const Array> operands, indices;
  int64_t lanes = 1;
  std::shared_ptr<const Layout> whole, rest;
  const Graph* one_by_one = nullptr;  // what runs for each example, where they do not run on tiles
  Sums sums;
  std::vector<char*> bases;  // what a tile finds where: its arena, to be set, the operands and constants
  Arrays outputs;
  std::vector<size_t> kept;  // outputs that are not sums

  Call(const MapProgram& m, std::span<const Array> x, std::span<const Array> i)
      : map(m), plan(m.plan()), operands(x), indices(i), sums(m.body_, m.sum_results_), bases{nullptr} {
    for (const Array& a : operands) bases.push_back(static_cast<char*>(a.view().data));
    for (const auto& [id, a] : map.body_.constants()) bases.push_back(static_cast<char*>(a.view().data));
    if (plan.example || debug_nans()) {
      // For the first examples a program is not worth making; with debug_nans every equation is looked at.
      const bool prepared = plan.example && !debug_nans() && plan.ran.fetch_add(map.n_) + map.n_ > 4;
      one_by_one = prepared ? &plan.example->program() : &map.body_;
    } else {
      lanes = map.lanes();
      whole = layout(lanes);
      rest = map.n_ % lanes ? layout(map.n_ % lanes) : whole;
    }
  }

  void make_outputs(bool owned) {
    for (size_t k = 0; k < map.results_.size(); ++k) {
      Aval a = map.body_.output_aval(static_cast<int>(k));
      a.shape = with_front(map.n_, a.shape);
      const bool each = map.results_[k].kind == Result::Kind::Each;
      if (map.results_[k].kind == Result::Kind::Sum) {
        outputs.emplace_back();
        continue;
      }
      kept.push_back(k);
      if (const Array* x = owned && each ? to_overwrite(a) : nullptr)
        outputs.push_back(*x);  // held twice from here on: nobody else takes it
      else
        outputs.push_back(Array::uninitialized(a.shape, a.dtype));
    }
  }

  bool is_direct(size_t j) const {  // of those that are kept, written by the equation that makes it
    const std::vector<size_t>& copied = whole->tile.outputs_to_copy();
    return std::find(copied.begin(), copied.end(), j) == copied.end();
  }

  // An operand in whose place the last of `kept` may be written: a tile has read its rows when it writes its
  // results, and no other tile reads them. No result may be a view of an operand.
  const Array* to_overwrite(const Aval& result) const {
    const auto computed = [&](int v) {
      for (const Graph::Equation& eq : map.body_.equations())
        if (std::find(eq.out.begin(), eq.out.end(), v) != eq.out.end()) return !eq.op->is_view();
      return false;
    };
    for (size_t i = 0; i < operands.size(); ++i)
      if (map.is_each(i) && operands[i].is_sole_owner() && operands[i].contiguous() &&
          aval(operands[i]) == result &&
          (one_by_one || !is_direct(kept.size() - 1) ||
           whole->tile.may_overwrite(kept.size() - 1, static_cast<int>(i))) &&
          std::all_of(map.body_.outputs().begin(), map.body_.outputs().end(), computed))
        return &operands[i];
    return nullptr;
  }

  // Uniform operands are read in place, and scalars that lie side by side, example by example.
  std::shared_ptr<const Layout> layout(int64_t width) const {
    std::vector<std::optional<Strides>> outside;
    for (size_t i = 0; i < operands.size(); ++i) {
      outside.emplace_back();
      if (map.is_uniform(i)) {
        outside[i] = operands[i].strides();
        outside[i]->push_back(0);
      } else if (in_place(i)) {
        outside[i] = operands[i].strides();
      }
    }
    return map.layout({width}, outside, false);
  }
  bool in_place(size_t i) const {
    return map.is_each(i) && operands[i].ndim() == 1 && operands[i].strides()[0] == 1;
  }

  Arrays run(bool owned) {
    const auto by_segment = [](const Result& r) { return r.kind == Result::Kind::SegmentSum; };
    if (map.n_ == 1 && one_by_one && std::none_of(map.results_.begin(), map.results_.end(), by_segment))
      return run_only_example();
    make_outputs(owned);
    const int64_t tiles = (map.n_ + lanes - 1) / lanes;
    const int64_t per_group = std::max<int64_t>(1, (tiles + kGroups - 1) / kGroups);
    const int64_t groups = (tiles + per_group - 1) / per_group;
    std::vector<Ref<Buffer>> partial(static_cast<size_t>(groups));
    std::vector<std::unique_ptr<Failed>> failures(static_cast<size_t>(groups));
    std::vector<std::pair<char*, int64_t>> kept_rows;  // where they begin, and the bytes of a row
    for (const size_t k : kept) {
      const View v = outputs[k].view();
      kept_rows.emplace_back(static_cast<char*>(v.data), v.strides[0] * itemsize(v.dtype));
    }
    const auto run_group = [&](int64_t group) {
      const FailureScope scope;
      const Ref<Buffer> acc = sums.zeros();
      auto& failure = failures[static_cast<size_t>(group)];
      const int64_t first = group * per_group, last = std::min(tiles, (group + 1) * per_group);
      if (one_by_one) {
        for (int64_t i = first; i < last; ++i) {
          run_example(i, *acc);
          if (scope.failed() && !failure) failure = std::make_unique<Failed>(scope, i);
        }
      } else {
        // A narrower tile may need more: values that shared a slot may differ in size once rounded.
        const Ref<Buffer> arena =
            arena_for(std::max(whole->tile.bytes(), rest->tile.bytes()), map.body_, lanes);
        std::vector<char*> at = bases;
        at[0] = static_cast<char*>(arena->data());
        for (size_t s = 0; s < sums.size(); ++s) at.push_back(static_cast<char*>(sums.view(s, *acc).data));
        const size_t direct = at.size();
        at.resize(direct + kept.size());
        for (int64_t t = first; t < last; ++t) {
          const int64_t begin = t * lanes, width = std::min(lanes, map.n_ - begin);
          const Tile& tile = width == lanes ? whole->tile : rest->tile;
          for (size_t j = 0; j < kept.size(); ++j)
            at[direct + j] = kept_rows[j].first + begin * kept_rows[j].second;
          run_tile(tile, begin, width, at);
          if (scope.failed() && !failure)  // before results are stored: they may take the place of operands
            failure = std::make_unique<Failed>(scope, first_failing(begin, width));
          store(tile, begin, width, at);
        }
      }
      partial[static_cast<size_t>(group)] = acc;
    };
    const bool effects = std::any_of(map.body_.equations().begin(), map.body_.equations().end(),
                                     [](const auto& e) { return e.op->has_effect(); });
    if (effects || debug_nans())  // prints and the like come in the order of the examples
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
  struct Failed {
    Failed(const FailureScope& s, int64_t example)
        : failure(s.failure()), message(concat("example ", example, ": ", s.message())), source(s.source()) {}
    void report() const {
      report_failure(failure, "map", message);
      locate_failure(source);
    }
    Failure failure;
    std::string message;
    SourceLine source;
  };

  // Which of the examples failed, once a tile has: kernels say what, not where.
  int64_t first_failing(int64_t begin, int64_t width) const {
    for (int64_t i = begin; i < begin + width; ++i) {
      const FailureScope scope;
      map.body_.run(example(operands, map.access_, indices, i));
      if (scope.failed()) return i;
    }
    return begin;
  }

  // Its results are those of the map, with an axis more.
  Arrays run_only_example() {
    std::optional<Failed> failure;
    {
      const FailureScope scope;
      outputs = one_by_one->run(example(operands, map.access_, indices, 0));
      if (scope.failed()) failure.emplace(scope, 0);
    }
    if (failure) failure->report();
    for (size_t k = 0; k < outputs.size(); ++k) {
      if (map.results_[k].kind == Result::Kind::Sum) continue;
      View v = outputs[k].view();
      v.shape = with_front(1, v.shape);
      v.strides.insert(0, 0);
      outputs[k] = outputs[k].viewed(v);
    }
    return std::move(outputs);
  }

  void run_example(int64_t i, const Buffer& acc) {
    Arrays y = one_by_one->run(example(operands, map.access_, indices, i));
    for (Array& a : y)  // what the body gives out as it got it, where a result takes an operand's place
      for (const Array& out : outputs)
        if (out.defined() && a.buffer() == out.buffer()) a = packed(a);
    size_t sum = 0;
    for (size_t k = 0; k < y.size(); ++k)
      if (map.results_[k].kind == Result::Kind::Sum)
        cpu::accumulate(y[k].view(), sums.view(sum++, acc));
      else
        cpu::assign(y[k].view(), cpu::at(outputs[k].view(), 0, i));
  }

  void run_tile(const Tile& tile, int64_t begin, int64_t width, std::vector<char*>& at) const {
    for (size_t i = 0; i < operands.size(); ++i) {
      if (map.is_uniform(i)) continue;
      if (in_place(i))
        at[1 + i] = bases[1 + i] + begin * itemsize(operands[i].dtype());
      else
        load(i, tile.view(static_cast<int>(i), at.data()), begin, width);
    }
    tile.run(at.data());
  }

  void store(const Tile& tile, int64_t begin, int64_t width, const std::vector<char*>& at) const {
    for (const size_t j : tile.outputs_to_copy()) {
      const size_t k = kept[j];
      const View dst = cpu::range(outputs[k].view(), 0, begin, width);
      cpu::assign(tile.view(map.body_.outputs()[k], at.data()), cpu::moved(dst, 0, dst.shape.size() - 1));
    }
  }

  void load(size_t i, const View& dst, int64_t begin, int64_t width) const {
    const View src = operands[i].view();
    const size_t lane_axis = dst.shape.size() - 1;
    if (map.is_each(i)) return cpu::assign(cpu::moved(cpu::range(src, 0, begin, width), 0, lane_axis), dst);
    const View index = indices[index_of(map.access_[i].index)].view();
    const View one = cpu::at(src, 0, 0);  // a row
    if (src.shape[0] == 0 || !is_contiguous(one.shape, one.strides)) {
      for (int64_t l = 0; l < width; ++l)
        cpu::assign(cpu::at(src, 0, row_of(index, begin + l, src.shape[0])), cpu::at(dst, lane_axis, l));
      return;
    }
    // Rows are brought together and then turned as a whole: one at a time they would be a column of lanes
    // each, an entry per line of the cache. width * row bytes are read twice and written twice.
    const size_t row = static_cast<size_t>(one.size() * itemsize(src.dtype));
    const Ref<Buffer> together = Buffer::allocate(std::max<size_t>(row * static_cast<size_t>(width), 1));
    char* to = static_cast<char*>(together->data());
    const char* from = static_cast<const char*>(src.data);
    const int64_t stride = src.strides[0] * itemsize(src.dtype);
    for (int64_t l = 0; l < width; ++l, to += row)
      std::memcpy(to, from + row_of(index, begin + l, src.shape[0]) * stride, row);
    const Shape shape = with_front(width, one.shape);
    const View rows{together->data(), src.dtype, shape, contiguous_strides(shape)};
    cpu::assign(cpu::moved(rows, 0, lane_axis), dst);
  }

  // Partial sums in the order of their groups.
  Arrays finish(const std::vector<Ref<Buffer>>& partial) {
    if (sums.size() > 0) {
      const Ref<Buffer> total = partial.empty() ? sums.zeros() : partial[0];
      for (size_t g = 1; g < partial.size(); ++g) sums.add(*partial[g], *total);
      for (size_t s = 0; s < sums.size(); ++s) {
        const View sum = sums.view(s, *total);
        Array& out = outputs[map.sum_results_[s]];
        out = Array::uninitialized(sum.shape, sum.dtype);  // of its own: who gets it may overwrite it
        cpu::assign(sum, out.view());
      }
    }
    for (size_t k = 0; k < outputs.size(); ++k)
      if (map.results_[k].kind == Result::Kind::SegmentSum) outputs[k] = segment_rows(outputs[k], k);
    return std::move(outputs);
  }

  // Rows added in order of the example: the same bits for any number of threads.
  Array segment_rows(const Array& rows, size_t k) const {
    Shape shape = rows.shape();
    shape[0] = map.results_[k].num_segments;
    const Array out = Array::uninitialized(shape, rows.dtype());
    cpu::set_zero(out.view());
    const View index = indices[index_of(map.results_[k].index)].view();
    if (shape[0] == 0 || map.n_ == 0) {
      for (int64_t i = 0; i < map.n_; ++i) row_of(index, i, 0);
      return out;
    }
    std::vector<int64_t> to(static_cast<size_t>(map.n_));
    for (int64_t i = 0; i < map.n_; ++i) to[static_cast<size_t>(i)] = row_of(index, i, shape[0]);
    const int64_t entries = out.size() / shape[0];
    visit_dtype(rows.dtype(), [&](auto tag) {
      using T = typename decltype(tag)::type;
      if constexpr (std::is_same_v<T, Key>)
        throw TypeError("map: keys cannot be added");
      else
        add_rows(static_cast<const T*>(rows.view().data), static_cast<T*>(out.view().data), to, entries,
                 shape[0]);
    });
    return out;
  }

  // out[to[i]] += rows[i]. Parts have rows of the result to themselves; every one reads all of `to`, 8 bytes
  // for `entries` entries.
  template <class T>
  static void add_rows(const T* rows, T* out, const std::vector<int64_t>& to, int64_t entries,
                       int64_t num_rows) {
    constexpr int64_t kPartEntries = int64_t{1} << 15, kMostParts = 8;
    const auto n = static_cast<int64_t>(to.size());
    const int64_t parts = entries < 8 ? 1 : std::clamp<int64_t>(n * entries / kPartEntries, 1, kMostParts);
    parallel_for(parts, [&](int64_t part) {
      const int64_t first = num_rows * part / parts, last = num_rows * (part + 1) / parts;
      for (int64_t i = 0; i < n; ++i) {
        const int64_t row = to[static_cast<size_t>(i)];
        if (row < first || row >= last) continue;
        const T* s = rows + i * entries;
        T* d = out + row * entries;
        for (int64_t j = 0; j < entries; ++j)
          if constexpr (std::is_same_v<T, bool>)
            d[j] = d[j] || s[j];
          else
            d[j] = static_cast<T>(d[j] + s[j]);
      }
    });
  }
};

Arrays MapProgram::run(std::span<const Array> operands, std::span<const Array> indices, bool owned) const {
  const cpu::FlushSubnormals scope;
  return Call(*this, operands, indices).run(owned);
}

// The examples are taken in pieces that fit beside the lanes of the outer tile; sums run over them in order.
void MapProgram::run_nested(std::span<const View> x, std::span<const View> out, int lane_axes) const {
  const auto outer = static_cast<size_t>(lane_axes);
  if (out.empty()) return;
  const Order& p = order();
  Dims lanes;
  for (size_t d = out[0].shape.size() - outer; d < out[0].shape.size(); ++d) lanes.push_back(out[0].shape[d]);
  const int64_t outer_lanes = std::max<int64_t>(num_elements(lanes), 1);
  const int64_t piece =
      std::clamp<int64_t>(kTileBytes / (p.bytes_per_example * outer_lanes), 1, std::max<int64_t>(n_, 1));
  for (size_t result : sum_results_) {
    const Array zero = zeros_of({out[result].shape, out[result].dtype});
    cpu::assign(zero.view(), out[result]);
  }
  Ref<Buffer> arena;
  for (int64_t begin = 0; begin < n_; begin += piece) {
    const int64_t width = std::min(piece, n_ - begin);
    Dims all = lanes;
    all.insert(0, width);
    // Every operand as [features..., width, lanes...].
    std::vector<std::optional<Strides>> outside;
    std::vector<char*> bases{nullptr};
    for (size_t i = 0; i < x.size(); ++i) {
      View v = x[i];
      const size_t features = v.shape.size() - outer;
      if (is_each(i)) {
        v = cpu::moved(cpu::range(v, 0, begin, width), 0, features - 1);
      } else {
        v.strides.insert(features, 0);
      }
      outside.emplace_back(v.strides);
      bases.push_back(static_cast<char*>(v.data));
    }
    for (const auto& [id, a] : body_.constants()) bases.push_back(static_cast<char*>(a.view().data));
    const auto laid_out = layout(all, outside, true);
    const Tile& tile = laid_out->tile;
    if (!arena || static_cast<int64_t>(arena->bytes()) < tile.bytes())
      arena = arena_for(tile.bytes(), body_, width);
    bases[0] = static_cast<char*>(arena->data());
    tile.run(bases.data());
    for (size_t i = 0; i < p.schedule.sums.size(); ++i) {
      const TileSum& s = p.schedule.sums[i];
      const View& into = out[sum_results_[i]];
      for (const auto& [left, right] : s.outer) {
        // [m, k, width, lanes...] and [k, n, width, lanes...]: products over width
        const View a = tile.view(left, bases.data()), b = tile.view(right, bases.data());
        const Array product = Array::uninitialized(into.shape, into.dtype);
        for (int64_t i = 0; i < a.shape[1]; ++i) {
          cpu::matmul(cpu::at(a, 1, i), cpu::moved(cpu::at(b, 0, i), 1, 0), product.view(), lane_axes);
          cpu::accumulate(product.view(), into);
        }
      }
      if (s.outer.empty()) {
        const View v = tile.view(s.value, bases.data());
        const size_t axis = v.shape.size() - outer - 1;
        for (int64_t l = 0; l < width; ++l) cpu::accumulate(cpu::at(v, axis, l), into);
      }
    }
    for (size_t k = 0; k < results_.size(); ++k) {
      if (results_[k].kind != Result::Kind::Each) continue;
      const View dst = cpu::range(out[k], 0, begin, width);
      cpu::assign(tile.view(body_.outputs()[k], bases.data()),
                  cpu::moved(dst, 0, dst.shape.size() - outer - 1));
    }
  }
}

}  // namespace hesse
