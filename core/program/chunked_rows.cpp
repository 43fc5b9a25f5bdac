#include "core/program/chunked_rows.h"

#include <algorithm>

#include "core/cpu/assign.h"
#include "core/cpu/threads.h"
#include "core/debug.h"
#include "core/program/failed_rows.h"

namespace hesse {
namespace {

size_t at(int64_t v) { return static_cast<size_t>(v); }

// Flags as a parameter.
Dims dims_of(const std::vector<bool>& flags) {
  Dims out;
  for (const bool f : flags) out.push_back(f ? 1 : 0);
  return out;
}

Array rows_of(const Array& a, int64_t begin, int64_t n) {
  return a.viewed(cpu::range(a.view(), 0, begin, n));
}

}  // namespace

ChunkedRows::Form::Form(const Ref<const Graph>& g, const std::vector<bool>& summed)
    : graph(*g), tiles(with_recomputation(as_recorded(*g, g->outputs(), {}, {})), summed) {}

ChunkedRows::ChunkedRows(Parts parts)
    : parts_(std::move(parts)),
      whole_(parts_.chunk, parts_.summed),
      rest_(parts_.rest ? std::make_unique<Form>(parts_.rest, parts_.summed) : nullptr) {}

Params ChunkedRows::params() const {
  return {{"body", parts_.chunk},
          {"n", parts_.n},
          {"rows", parts_.rows},
          {"by_row", dims_of(parts_.by_row)},
          {"summed", dims_of(parts_.summed)}};
}

Avals ChunkedRows::infer(std::span<const Aval>) const {
  Avals out = whole_.graph.output_avals();
  for (size_t k = 0; k < out.size(); ++k)
    if (!parts_.summed[k]) out[k].shape[0] = parts_.n;
  return out;
}

MaybeArrays ChunkedRows::jvp(std::span<const Array>, std::span<const Array>,
                             std::span<const MaybeArray>) const {
  throw Error("row_chunks: belongs to a program that is run; differentiate the graph it was made from");
}

double ChunkedRows::flops(std::span<const Aval>, std::span<const Aval>) const {
  return whole_.graph.flops() * static_cast<double>(parts_.n) / static_cast<double>(parts_.rows);
}

/// What the chunks of one evaluation have in common.
struct ChunkedRows::Run {
  Arrays operands;
  Arrays out;  // sums: of all groups, at the end
  std::shared_ptr<const Tile> whole, rest;
  Ref<Buffer> arena() const {
    return Buffer::allocate(at(std::max({whole->bytes(), rest ? rest->bytes() : 0, int64_t{64}})));
  }
};

Arrays ChunkedRows::eval(std::span<const Array> x) const {
  const int64_t chunks = (parts_.n + parts_.rows - 1) / parts_.rows;
  const Avals avals = infer({});
  Run run{{x.begin(), x.end()}, {}, nullptr, nullptr};
  for (size_t k = 0; k < avals.size(); ++k) {
    run.out.push_back(Array::uninitialized(avals[k].shape, avals[k].dtype));
    if (parts_.summed[k]) cpu::set_zero(run.out[k].view());
  }
  if (debug_nans()) return equation_by_equation(x, std::move(run.out));
  for (size_t i = 0; i < x.size(); ++i)  // transposed weights: copied once, not by every product
    if (!parts_.by_row[i] && x[i].ndim() > 1 && !x[i].contiguous()) {
      run.operands[i] = Array::uninitialized(x[i].shape(), x[i].dtype());
      cpu::assign(x[i].view(), run.operands[i].view());
    }
  run.whole = whole_.tiles.of(run.operands);
  if (rest_) run.rest = rest_->tiles.of(run.operands);

  constexpr int64_t kGroups = 16;  // of partial sums: fixed by the problem, never by the number of threads
  const int64_t per_group = (chunks + kGroups - 1) / kGroups, groups = (chunks + per_group - 1) / per_group;
  std::vector<Arrays> sums(at(groups));
  std::vector<std::optional<FailedRows>> failures(at(groups));
  parallel_for(groups, [&](int64_t g) {
    const FailureScope scope;
    const int64_t first = g * per_group, last = std::min(chunks, first + per_group);
    for (size_t k = 0; k < avals.size(); ++k)
      if (parts_.summed[k]) {
        sums[at(g)].push_back(Array::uninitialized(avals[k].shape, avals[k].dtype));
        cpu::set_zero(sums[at(g)].back().view());
      }
    run_group(run, first, last, sums[at(g)]);
    failures[at(g)] = failed_rows(scope);
  });
  report_first(failures, [&](size_t g) {
    const int64_t begin = static_cast<int64_t>(g) * per_group * parts_.rows;
    return concat("rows ", begin, " to ", std::min(parts_.n, begin + per_group * parts_.rows) - 1);
  });
  for (size_t k = 0, s = 0; k < avals.size(); ++k)
    if (parts_.summed[k]) {
      for (const Arrays& of_group : sums) cpu::accumulate(of_group[s].view(), run.out[k].view());
      ++s;
    }
  return std::move(run.out);
}

// The chunks [first, last), in order, added to `sums`.
void ChunkedRows::run_group(const Run& run, int64_t first, int64_t last, const Arrays& sums) const {
  const Ref<Buffer> arena = run.arena();
  for (int64_t c = first; c < last; ++c) {
    const int64_t begin = c * parts_.rows, n = std::min(parts_.rows, parts_.n - begin);
    const Form& form = n == parts_.rows ? whole_ : *rest_;
    const Tile& tile = n == parts_.rows ? *run.whole : *run.rest;
    std::vector<char*> bases{static_cast<char*>(arena->data())};
    for (size_t i = 0; i < run.operands.size(); ++i) {
      const Array& x = run.operands[i];
      bases.push_back(first_entry(x) + (parts_.by_row[i] ? begin * x.strides()[0] * itemsize(x.dtype()) : 0));
    }
    for (const auto& [id, a] : form.graph.constants()) bases.push_back(first_entry(a));
    Arrays to;
    for (size_t k = 0, s = 0; k < parts_.summed.size(); ++k) {
      to.push_back(parts_.summed[k] ? sums[s++] : rows_of(run.out[k], begin, n));
      bases.push_back(first_entry(to.back()));
    }
    tile.run(bases.data());
    for (const size_t k : tile.outputs_to_copy()) {
      const View y = tile.view(form.graph.outputs()[k], bases.data());
      if (parts_.summed[k])
        cpu::accumulate(y, to[k].view());
      else
        cpu::assign(y, to[k].view());
    }
  }
}

// As recorded, in order: with debug_nans every value is looked at.
Arrays ChunkedRows::equation_by_equation(std::span<const Array> x, Arrays out) const {
  for (int64_t begin = 0; begin < parts_.n; begin += parts_.rows) {
    const int64_t n = std::min(parts_.rows, parts_.n - begin);
    Arrays in;
    for (size_t i = 0; i < x.size(); ++i) in.push_back(parts_.by_row[i] ? rows_of(x[i], begin, n) : x[i]);
    const Arrays y = (n == parts_.rows ? whole_ : *rest_).graph.run(in);
    for (size_t k = 0; k < y.size(); ++k)
      if (parts_.summed[k])
        cpu::accumulate(y[k].view(), out[k].view());
      else
        cpu::assign(y[k].view(), rows_of(out[k], begin, n).view());
  }
  return out;
}

}  // namespace hesse
