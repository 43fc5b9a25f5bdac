#include "autodiff/dependence.h"

#include <algorithm>
#include <numeric>
#include <random>
#include <unordered_map>

#include "core/ops.h"
#include "core/ops/control_graph.h"
#include "core/ops/elementwise.h"
#include "core/program/unroll.h"
#include "core/status.h"

namespace hesse {
namespace {

bool has_run_time_length(const Aval& a) {
  return std::find(a.shape.begin(), a.shape.end(), kDynamic) != a.shape.end();
}
int64_t size_of(const Aval& a) { return num_elements(a.shape); }

/// f(), or nullopt where an op refuses what it is given: these are questions, not computations.
template <class F>
auto asked(F f) -> std::optional<decltype(f())> {
  const FailureScope failures;
  try {
    return f();
  } catch (const Error&) {
    return std::nullopt;
  }
}

Array in_double(const Array& a) {
  if (a.dtype() == kFloat32) return astype(a, kFloat64);
  return a.dtype() == DType::Complex64 ? astype(a, kComplex128) : a;
}
DType in_double(DType t) { return t == kFloat32 ? kFloat64 : t == DType::Complex64 ? kComplex128 : t; }

/// Numbers of [1, 2) whose sums and differences are none of them, as a program may count on; real and
/// imaginary parts where they are to be complex.
std::vector<complex128> distinct_numbers(const Aval& like, uint64_t seed) {
  std::mt19937_64 bits(seed);
  const auto next = [&] { return 1.0 + static_cast<double>(bits() >> 12) * 0x1p-52; };
  std::vector<complex128> out(static_cast<size_t>(size_of(like)));
  for (complex128& x : out) {
    const double re = next();
    x = {re, is_complex(like.dtype) ? next() : 0.0};
  }
  return out;
}
Array array_of(const std::vector<complex128>& x, const Aval& like) {
  const Array a = Array::from<complex128>(std::span<const complex128>(x), like.shape);
  return is_complex(like.dtype) ? a : real(a);
}
std::vector<complex128> entries_of(const Array& y) { return astype(y, kComplex128).to_vector<complex128>(); }

/// For every y which entry of x it is, -1 for zeros; nullopt where one is neither.
std::optional<std::vector<int64_t>> found_in(const std::vector<complex128>& y,
                                             const std::vector<complex128>& x) {
  std::unordered_map<double, int64_t> place;
  for (size_t i = 0; i < x.size(); ++i)
    if (!place.emplace(x[i].real(), static_cast<int64_t>(i)).second) return std::nullopt;
  std::vector<int64_t> out;
  out.reserve(y.size());
  for (const complex128 v : y) {
    const auto it = place.find(v.real());
    const bool found = it != place.end() && x[static_cast<size_t>(it->second)] == v;
    if (!found && v != 0.0) return std::nullopt;
    out.push_back(found ? it->second : -1);
  }
  return out;
}

/// Operands at which a linear op shows its structure: what is known; zero, where it does not matter; else
/// generic numbers, which make nothing vanish. nullopt where an index is not known.
std::optional<Arrays> generic_operands(const Met& e) {
  std::vector<bool> all;
  for (const Aval& a : e.in) all.push_back(is_inexact(a.dtype));
  const bool together = e.op.is_linear_in(all);
  Arrays out;
  for (size_t i = 0; i < e.in.size(); ++i) {
    if (e.known[i])
      out.push_back(in_double(*e.known[i]));
    else if (!is_inexact(e.in[i].dtype))
      return std::nullopt;
    else if (together)
      out.push_back(zeros_of({e.in[i].shape, in_double(e.in[i].dtype)}));
    else
      out.push_back(array_of(distinct_numbers(e.in[i], 17 + i), e.in[i]));
  }
  return out;
}

}  // namespace

bool has_run_time_length(std::span<const Aval> all) {
  return std::any_of(all.begin(), all.end(), [](const Aval& a) { return has_run_time_length(a); });
}

int DependenceWalk::union_of(const Dependence& d, int64_t size) {
  if (d.uniform() || size <= 0) return d[0];
  std::vector<int> all;
  for (int64_t i = 0; i < size; ++i) all.push_back(d[i]);
  return sets_.unite(all);
}

Dependence DependenceWalk::united(const Dependence& a, const Dependence& b, int64_t size) {
  if (a.none()) return b;
  if (b.none()) return a;
  if (a.uniform() && b.uniform()) return Dependence(sets_.unite(a[0], b[0]));
  std::vector<int> out(static_cast<size_t>(size));
  for (int64_t i = 0; i < size; ++i) out[static_cast<size_t>(i)] = sets_.unite(a[i], b[i]);
  return Dependence(std::move(out));
}

Dependences DependenceWalk::outputs(const Graph& g, Dependences inputs, MaybeArrays known) {
  std::vector<Dependence> on = std::move(inputs);
  on.resize(g.values().size());
  known.resize(g.values().size());
  for (const auto& [id, a] : g.constants()) known[static_cast<size_t>(id)] = a;
  for (const Graph::Equation& eq : g.equations()) {
    std::vector<Dependence> x;
    MaybeArrays values;
    Avals in, out;
    for (const int v : eq.in) {
      x.push_back(on[static_cast<size_t>(v)]);
      values.push_back(known[static_cast<size_t>(v)]);
      in.push_back(g.values()[static_cast<size_t>(v)]);
    }
    for (const int v : eq.out) out.push_back(g.values()[static_cast<size_t>(v)]);
    const bool all_known =
        std::all_of(values.begin(), values.end(), [](const auto& v) { return v.has_value(); });
    if (all_known && !eq.op->has_effect()) {
      Arrays at;
      for (const MaybeArray& v : values) at.push_back(*v);
      if (const auto y = asked([&] { return eq.op->eval(at); }))
        for (size_t k = 0; k < y->size(); ++k) known[static_cast<size_t>(eq.out[k])] = (*y)[k];
      continue;
    }
    if (std::all_of(x.begin(), x.end(), [](const Dependence& d) { return d.none(); })) continue;
    Dependences y = equation({*eq.op, x, values, in, out});
    for (size_t k = 0; k < y.size(); ++k)
      if (is_inexact(out[k].dtype)) on[static_cast<size_t>(eq.out[k])] = std::move(y[k]);
  }
  Dependences out;
  for (const int v : g.outputs()) out.push_back(on[static_cast<size_t>(v)]);
  return out;
}

Dependences DependenceWalk::equation(const Met& e) {
  if (dynamic_cast<const NonDifferentiable*>(&e.op)) return Dependences(e.out.size());
  if (auto y = by_graphs(e)) return *std::move(y);
  if (has_run_time_length(e.in) || has_run_time_length(e.out)) return dense(e);
  if (auto y = entrywise(e)) return *std::move(y);
  if (auto y = sparse_product(e)) return *std::move(y);
  if (auto y = by_rule(e)) return *std::move(y);
  if (e.out.size() != 1) return dense(e);
  // Every operand by itself: dy = sum_i dy/dx_i dx_i.
  Dependence y;
  for (size_t i = 0; i < e.in.size(); ++i) {
    if (e.on[i].none()) continue;
    auto part = by_constant_matrix(e, i);
    if (!part) part = moved(e, i);
    if (!part) part = along_axes(e, i);
    y = united(y, part ? *part : Dependence(union_of(e.on[i], size_of(e.in[i]))), size_of(e.out[0]));
  }
  return {y};
}

Dependences DependenceWalk::dense(const Met& e) {
  std::vector<bool> marked;
  int all = IndexSets::kEmpty;
  for (size_t i = 0; i < e.in.size(); ++i) {
    marked.push_back(!e.on[i].none());
    all = sets_.unite(all, union_of(e.on[i], size_of(e.in[i])));
  }
  const std::vector<bool> depends = e.op.depends_on(marked);
  Dependences out;
  for (size_t k = 0; k < e.out.size(); ++k)
    out.emplace_back(depends.empty() || depends[k] ? all : IndexSets::kEmpty);
  return out;
}

// Entries do not meet. An operand without a partial derivative does not count.
std::optional<Dependences> DependenceWalk::entrywise(const Met& e) {
  if (!dynamic_cast<const ActsOnEntries*>(&e.op)) return std::nullopt;
  std::vector<bool> counts(e.in.size(), true);
  if (const auto* f = dynamic_cast<const Elementwise*>(&e.op)) {
    Avals scalars;
    for (const Aval& a : e.in) scalars.push_back({{}, a.dtype});
    for (const Aval& a : e.out) scalars.push_back({{}, a.dtype});
    (void)asked([&] {
      (void)trace(
          [&](std::span<const Array> x) {
            for (size_t i = 0; i < e.in.size(); ++i)
              counts[i] = f->partial(x.first(e.in.size()), x.back(), static_cast<int>(i)).has_value();
            return Arrays{};
          },
          scalars, true);
      return true;
    });
  }
  Dependence y;
  for (size_t i = 0; i < e.in.size(); ++i)
    if (counts[i]) y = united(y, e.on[i], size_of(e.out[0]));
  return Dependences{y};
}

// A user's rule may say more than the function: the pattern is that of the rule.
std::optional<Dependences> DependenceWalk::by_rule(const Met& e) {
  const auto* expands = dynamic_cast<const Expands*>(&e.op);
  constexpr int kDeepest = 12;
  if (!expands || dynamic_cast<const General*>(&e.op) || depth_ > kDeepest) return std::nullopt;
  Avals avals(e.in.begin(), e.in.end());
  if (e.op.name() == "linear_call") {  // its own derivative
    const auto g = asked(
        [&] { return trace_closed([&](std::span<const Array> x) { return expands->expanded(x); }, avals); });
    if (!g) return std::nullopt;
    return DependenceWalk(sets_, depth_ + 1)
        .outputs(**g, {e.on.begin(), e.on.end()}, {e.known.begin(), e.known.end()});
  }
  const size_t n = e.in.size(), m = e.out.size();
  avals.insert(avals.end(), e.out.begin(), e.out.end());
  for (size_t i = 0; i < n; ++i)
    if (!e.on[i].none()) avals.push_back(e.in[i]);
  std::vector<bool> present;
  const auto g = asked([&] {
    return trace_closed(
        [&](std::span<const Array> x) {
          MaybeArrays dx(n);
          for (size_t i = 0, j = n + m; i < n; ++i)
            if (!e.on[i].none()) dx[i] = x[j++];
          Arrays out;
          for (const MaybeArray& dy : e.op.jvp(x.first(n), x.subspan(n, m), dx)) {
            present.push_back(dy.has_value());
            if (dy) out.push_back(*dy);
          }
          return out;
        },
        avals);
  });
  if (!g) return std::nullopt;
  for (const Graph::Equation& eq : (*g)->equations())
    if (eq.op->equals(e.op)) return std::nullopt;
  Dependences in(n + m);
  MaybeArrays known(e.known.begin(), e.known.end());
  for (size_t i = 0; i < n; ++i)
    if (!e.on[i].none()) in.push_back(e.on[i]);
  known.resize(in.size());
  const Dependences dy = DependenceWalk(sets_, depth_ + 1).outputs(**g, in, known);
  Dependences out(m);
  for (size_t k = 0, j = 0; k < m; ++k)
    if (present[k]) out[k] = dy[j++];
  return out;
}

// What moves entries is asked where they go: of numbers that differ, or none, from the operand to the result
// (slices, gathers, transposes); or for their cotangents, back (sums over axes and segments).
std::optional<Dependence> DependenceWalk::moved(const Met& e, size_t operand) {
  std::vector<bool> one(e.in.size(), false);
  one[operand] = true;
  if (!e.op.is_linear_in(one)) return std::nullopt;
  auto at = generic_operands(e);
  if (!at) return std::nullopt;
  const int64_t n = size_of(e.in[operand]), m = size_of(e.out[0]);
  if (n == 0 || m == 0) return Dependence();
  const auto x = distinct_numbers(e.in[operand], 1);
  (*at)[operand] = array_of(x, e.in[operand]);
  if (const auto result = asked([&] { return entries_of(e.op.eval(*at)[0]); }))
    if (const auto from = found_in(*result, x)) {
      std::vector<int> y;
      for (const int64_t i : *from) y.push_back(i < 0 ? IndexSets::kEmpty : e.on[operand][i]);
      return Dependence(std::move(y));
    }
  if (const auto* linear = dynamic_cast<const Linear*>(&e.op)) {
    const auto c = distinct_numbers(e.out[0], 2);
    const auto back = asked([&] {
      const MaybeArray t = linear->transpose(*at, array_of(c, e.out[0]), static_cast<int>(operand));
      return t ? entries_of(*t) : std::vector<complex128>(static_cast<size_t>(n));
    });
    if (back)
      if (const auto to = found_in(*back, c)) {
        std::vector<std::vector<int>> from(static_cast<size_t>(m));
        for (size_t i = 0; i < to->size(); ++i)
          if ((*to)[i] >= 0)
            from[static_cast<size_t>((*to)[i])].push_back(e.on[operand][static_cast<int64_t>(i)]);
        std::vector<int> y;
        for (const auto& parts : from) y.push_back(sets_.unite(parts));
        return Dependence(std::move(y));
      }
  }
  if (auto y = by_weights(e, operand, *at, x)) return y;
  return by_columns(e, operand, *at);
}

// A product with few weights, such as a convolution, is a sum over them of what moves entries.
std::optional<Dependence> DependenceWalk::by_weights(const Met& e, size_t operand, const Arrays& generic,
                                                     const std::vector<complex128>& x) {
  constexpr int64_t kMostWeights = 128;
  std::optional<size_t> weights;
  for (size_t i = 0; i < e.in.size(); ++i) {
    if (i == operand || !is_inexact(e.in[i].dtype)) continue;
    std::vector<bool> one(e.in.size(), false);
    one[i] = true;
    if (weights || size_of(e.in[i]) > kMostWeights || !e.op.is_linear_in(one)) return std::nullopt;
    weights = i;
  }
  if (!weights) return std::nullopt;
  Arrays at = generic;
  at[operand] = array_of(x, e.in[operand]);
  const std::vector<complex128> w = entries_of(generic[*weights]);
  std::vector<std::vector<int>> from(static_cast<size_t>(size_of(e.out[0])));
  for (size_t j = 0; j < w.size(); ++j) {
    if (w[j] == 0.0) continue;
    std::vector<complex128> unit(w.size(), 0.0);
    unit[j] = 1.0;
    at[*weights] = array_of(unit, e.in[*weights]);
    const auto y = asked([&] { return entries_of(e.op.eval(at)[0]); });
    const auto places = y ? found_in(*y, x) : std::nullopt;
    if (!places) return std::nullopt;
    for (size_t i = 0; i < places->size(); ++i)
      if ((*places)[i] >= 0) from[i].push_back(e.on[operand][(*places)[i]]);
  }
  std::vector<int> out;
  for (const auto& parts : from) out.push_back(sets_.unite(parts));
  return Dependence(std::move(out));
}

// A small linear function is asked for its matrix. (Of complex numbers it may be linear over the reals
// alone.)
std::optional<Dependence> DependenceWalk::by_columns(const Met& e, size_t operand, const Arrays& generic) {
  constexpr double kMostWork = 2e8;
  constexpr int64_t kMostPlaces = 1 << 22;
  const int64_t n = size_of(e.in[operand]), m = size_of(e.out[0]);
  const double each = 5000 + e.op.flops(e.in, e.out) + static_cast<double>(n + m);
  if (static_cast<double>(n) * each > kMostWork) return std::nullopt;
  Arrays at = generic;
  std::vector<std::vector<int>> from(static_cast<size_t>(m));
  std::vector<complex128> unit(static_cast<size_t>(n), 0.0);
  int64_t places = 0;
  for (int64_t j = 0; j < n; ++j) {
    for (const complex128 one : {complex128(1.0), complex128(0.0, 1.0)}) {
      if (one.imag() != 0 && !is_complex(e.in[operand].dtype)) continue;
      unit[static_cast<size_t>(j)] = one;
      at[operand] = array_of(unit, e.in[operand]);
      unit[static_cast<size_t>(j)] = 0.0;
      const auto y = asked([&] { return entries_of(e.op.eval(at)[0]); });
      if (!y) return std::nullopt;
      for (int64_t i = 0; i < m; ++i)
        if ((*y)[static_cast<size_t>(i)] != 0.0) {
          from[static_cast<size_t>(i)].push_back(e.on[operand][j]);
          ++places;
        }
    }
    if (places > kMostPlaces) return std::nullopt;
  }
  std::vector<int> y;
  for (const auto& parts : from) y.push_back(sets_.unite(parts));
  return Dependence(std::move(y));
}

// Along an axis where the op acts on every row alone, row r of the result depends on row r of the operand;
// along the others on all.
std::optional<Dependence> DependenceWalk::along_axes(const Met& e, size_t operand) {
  const Shape &from = e.in[operand].shape, &to = e.out[0].shape;
  const auto axis_of_result = [&](const std::vector<RowAxis>& axes) -> std::optional<int64_t> {
    Avals rows;
    for (size_t j = 0; j < e.in.size(); ++j) {
      rows.push_back(e.in[j]);
      if (axes[j] >= 0) rows.back().shape.erase(static_cast<size_t>(axes[j]));
    }
    std::optional<int64_t> out;
    (void)asked([&] {
      (void)trace(
          [&](std::span<const Array> x) {
            if (const auto row = e.op.on_row(x, axes, e.in); row && !row->summed && row->axis >= 0)
              out = row->axis;
            return Arrays{};
          },
          rows, true);
      return true;
    });
    return out;
  };
  std::vector<std::pair<size_t, size_t>> passing;  // axes of the operand and of the result
  for (size_t a = 0; a < from.size(); ++a) {
    if (from[a] < 2) continue;
    std::vector<RowAxis> alone(e.in.size(), kShared), beside = alone, at_end = alone;
    for (size_t j = 0; j < e.in.size(); ++j) {
      const Shape& s = e.in[j].shape;
      if (j == operand || s == from) beside[j] = static_cast<int64_t>(a);
      const int64_t b = static_cast<int64_t>(s.size() + a) - static_cast<int64_t>(from.size());
      if (b >= 0 && s[static_cast<size_t>(b)] == from[a]) at_end[j] = b;
    }
    alone[operand] = static_cast<int64_t>(a);
    for (const auto& axes : {alone, beside, at_end})
      if (const auto b = axis_of_result(axes);
          b && *b < static_cast<int64_t>(to.size()) && to[static_cast<size_t>(*b)] == from[a]) {
        passing.emplace_back(a, static_cast<size_t>(*b));
        break;
      }
  }
  if (passing.empty()) return std::nullopt;
  // Entries by their coordinates along the axes that pass.
  const auto groups = [&](const Shape& shape, bool result) {
    std::vector<int64_t> out(static_cast<size_t>(num_elements(shape)), 0);
    int64_t stride = 1;
    for (const auto& [a, b] : passing) {
      const size_t axis = result ? b : a;
      int64_t inner = 1;
      for (size_t d = axis + 1; d < shape.size(); ++d) inner *= shape[d];
      for (size_t i = 0; i < out.size(); ++i)
        out[i] += stride * (static_cast<int64_t>(i) / inner % shape[axis]);
      stride *= shape[axis];
    }
    return out;
  };
  int64_t count = 1;
  for (const auto& [a, b] : passing) count *= from[a];
  std::vector<std::vector<int>> members(static_cast<size_t>(count));
  const auto sources = groups(from, false);
  for (size_t i = 0; i < sources.size(); ++i)
    members[static_cast<size_t>(sources[i])].push_back(e.on[operand][static_cast<int64_t>(i)]);
  std::vector<int> unions;
  for (const auto& m : members) unions.push_back(sets_.unite(m));
  std::vector<int> y;
  for (const int64_t g : groups(to, true)) y.push_back(unions[static_cast<size_t>(g)]);
  return Dependence(std::move(y));
}

}  // namespace hesse
