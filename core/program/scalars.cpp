#include "core/program/scalars.h"

#include <algorithm>
#include <limits>

#include "core/cpu/assign.h"
#include "core/ops.h"
#include "core/ops/elementwise.h"
#include "core/ops/map_split.h"
#include "core/ops/reduce.h"
#include "core/status.h"

namespace hesse {
namespace {

size_t at(int64_t v) { return static_cast<size_t>(v); }

/// Thrown inside this file only: the graph stays whole.
struct NotScalar {};

/// Entries of the values of a graph.
class Entries {
 public:
  Entries(const Graph& g, int64_t most)
      : g_(g),
        most_(most),
        of_(g.values().size()),
        left_out_(of_.size()),
        exchanged_(of_.size()),
        inverse_(of_.size()) {}

  Arrays run(std::span<const Array> inputs) {
    size_t next = 0;
    for (int i = 0; i < g_.num_inputs(); ++i)
      for (int64_t k = num_elements(g_.input_aval(i).shape); k-- > 0;) of_[at(i)].push_back(inputs[next++]);
    for (const auto& [id, a] : g_.constants()) of_[at(id)] = entries_of(a);
    for (const Graph::Equation& eq : g_.equations()) {
      const SourceScope line(eq.source);
      equation(eq);
    }
    Arrays out;
    for (const int v : g_.outputs()) {
      if (left_out_[at(v)]) throw NotScalar{};
      out.insert(out.end(), of_[at(v)].begin(), of_[at(v)].end());
    }
    return out;
  }

 private:
  static Arrays entries_of(const Array& a) {
    Arrays out;
    const View v = a.view();
    const Array flat = Array::uninitialized(a.shape(), a.dtype());
    cpu::assign(v, flat.view());
    const int64_t n = a.size();
    for (int64_t i = 0; i < n; ++i) out.push_back(flat.viewed(cpu::at(reshaped(flat.view(), n), 0, i)));
    return out;
  }
  static View reshaped(View v, int64_t n) {
    v.shape = {n};
    v.strides = {1};
    return v;
  }
  const Aval& aval_of(int v) const { return g_.values()[at(v)]; }
  Array entry(int v, int64_t i) const { return of_[at(v)][at(i)]; }
  void equation(const Graph::Equation& eq) {
    const std::string_view name = eq.op->name();
    for (const int v : eq.in)
      if (left_out_[at(v)]) throw NotScalar{};
    if (dynamic_cast<const ActsOnEntries*>(eq.op.get()))
      entrywise(eq);
    else if (name == "stop_gradient")
      of_[at(eq.out[0])] = of_[at(eq.in[0])];
    else if (eq.op->is_view() || name == "copy" || name == "concatenate" || name == "unslice" ||
             name == "gather")
      moves(eq);
    else if (name == "sum" || name == "prod" || name == "max" || name == "min" || name == "all" ||
             name == "any")
      reduction(eq);
    else if (name == "matmul")
      product(eq);
    else if (name == "lu")
      factors(eq);
    else if (name == "solve_or_nan")
      solution(eq);
    else if (name == "map")
      examples(eq, *map_parts(*eq.op));
    else
      throw NotScalar{};
    for (const int v : eq.out)
      if (static_cast<int64_t>(of_[at(v)].size()) != num_elements(aval_of(v).shape)) throw NotScalar{};
  }

  void entrywise(const Graph::Equation& eq) {
    Arrays& out = of_[at(eq.out[0])];
    const int64_t n = num_elements(aval_of(eq.out[0]).shape);
    for (int64_t i = 0; i < n; ++i) {
      Arrays in;
      for (const int v : eq.in) in.push_back(entry(v, i));
      if (--most_ < 0) throw NotScalar{};
      const std::optional<Array> simple = of_simple_ops(eq, in);
      out.push_back(simple ? *simple : apply1(eq.op, std::move(in)));
    }
  }

  // The same by comparisons, selections and logical operations, which take an instruction each.
  std::optional<Array> of_simple_ops(const Graph::Equation& eq, const Arrays& in) const {
    const std::string_view name = eq.op->name();
    const DType dtype = in.back().dtype(), result = aval_of(eq.out[0]).dtype;
    if (is_floating(dtype)) {
      if (name == "integer_pow")
        if (const std::optional<Array> power = small_power(*eq.op, in[0])) return power;
      const Array infinity = literal(std::numeric_limits<double>::infinity(), {}, dtype);
      if (name == "isfinite") return less(abs(in[0]), infinity);
      if (name == "isinf") return equal(abs(in[0]), infinity);
      if (name == "isnan") return not_equal(in[0], in[0]);
    } else if (dtype == kBool) {
      if (name == "convert" && (is_floating(result) || result == kInt64))
        return where(in[0], literal(1.0, {}, result), literal(0.0, {}, result));
      if (name == "where")
        return logical_or(logical_and(in[0], in[1]), logical_and(logical_not(in[0]), in[2]));
      const auto differ = [&] {
        return logical_and(logical_or(in[0], in[1]), logical_not(logical_and(in[0], in[1])));
      };
      if (name == "bitwise_xor" || name == "not_equal") return differ();
      if (name == "equal") return logical_not(differ());
    }
    return std::nullopt;
  }

  static std::optional<Array> small_power(const Op& op, const Array& x) {
    int64_t n = 0;
    for (const auto& [key, value] : op.params())
      if (key == "n") n = std::get<int64_t>(value);
    if (n == 2) return square(x);
    if (n == 3) return multiply(square(x), x);
    if (n == 4) return square(square(x));
    return std::nullopt;
  }

  // The op is run on the numbers of the entries; 0: a zero that it puts in.
  void moves(const Graph::Equation& eq) {
    const bool gather = eq.op->name() == "gather";
    Arrays numbers, all;
    int64_t next = 1;
    for (size_t i = 0; i < eq.in.size(); ++i) {
      const int v = eq.in[i];
      const Shape& shape = aval_of(v).shape;
      const Array a = Array::uninitialized(shape, kInt64);
      auto* const p = a.view().as<int64_t>();
      for (int64_t k = 0; k < a.size(); ++k) {
        const Array x = entry(v, k);
        if (gather && i == 1) {
          if (!x.has_data()) throw NotScalar{};
          p[k] = x.item<int64_t>();
        } else {
          p[k] = next++;
          all.push_back(x);
        }
      }
      numbers.push_back(a);
    }
    const FailureScope failures;
    const Array moved = eq.op->eval(numbers)[0];
    if (failures.failed()) throw NotScalar{};  // an index out of range: said when it runs
    for (const int64_t i : materialised(moved).to_vector<int64_t>())
      of_[at(eq.out[0])].push_back(i > 0 ? all[at(i - 1)] : literal(0.0, {}, aval_of(eq.out[0]).dtype));
  }
  static Array materialised(const Array& a) {
    const Array out = Array::uninitialized(a.shape(), a.dtype());
    cpu::assign(a.view(), out.view());
    return out;
  }

  void reduction(const Graph::Equation& eq) {
    const std::string_view name = eq.op->name();
    Dims axes;
    for (const auto& [key, value] : eq.op->params())
      if (key == "axes") axes = std::get<Dims>(value);
    const Shape& shape = aval_of(eq.in[0]).shape;
    const auto combine = [&](const Array& a, const Array& b) {
      if (--most_ < 0) throw NotScalar{};
      if (name == "sum") return add(a, b);
      if (name == "prod") return multiply(a, b);
      if (name == "max") return maximum(a, b);
      if (name == "min") return minimum(a, b);
      return name == "all" ? logical_and(a, b) : logical_or(a, b);
    };
    const int64_t n = num_elements(aval_of(eq.out[0]).shape);
    std::vector<std::optional<Array>> out(at(n));
    Dims index(shape.size(), 0);
    for (int64_t k = 0; k < num_elements(shape); ++k) {
      int64_t to = 0;
      for (size_t d = 0; d < shape.size(); ++d)
        if (std::find(axes.begin(), axes.end(), static_cast<int64_t>(d)) == axes.end())
          to = to * shape[d] + index[d];
      std::optional<Array>& sum = out[at(to)];
      sum = sum ? combine(*sum, entry(eq.in[0], k)) : entry(eq.in[0], k);
      for (size_t d = shape.size(); d-- > 0;) {
        if (++index[d] < shape[d]) break;
        index[d] = 0;
      }
    }
    for (const auto& sum : out) {
      if (!sum) throw NotScalar{};  // of no entries
      of_[at(eq.out[0])].push_back(*sum);
    }
  }

  void product(const Graph::Equation& eq) {
    const Aval &a = aval_of(eq.in[0]), &b = aval_of(eq.in[1]);
    if (a.shape.size() != 2 || !is_floating(a.dtype)) throw NotScalar{};
    const int64_t m = a.shape[0], k = a.shape[1], n = b.shape[1];
    for (int64_t i = 0; i < m; ++i)
      for (int64_t j = 0; j < n; ++j) {
        Arrays terms;
        for (int64_t l = 0; l < k; ++l) {
          if (--most_ < 0) throw NotScalar{};
          terms.push_back(multiply(entry(eq.in[0], i * k + l), entry(eq.in[1], l * n + j)));
        }
        of_[at(eq.out[0])].push_back(terms.empty() ? literal(0.0, {}, a.dtype) : sum_of(terms));
      }
  }

  // Of many terms four sums at a time, so that additions do not wait for each other.
  static Array sum_of(const Arrays& terms) {
    const size_t lanes = terms.size() < 16 ? 1 : 4;
    Arrays sums(terms.begin(), terms.begin() + static_cast<int64_t>(lanes));
    for (size_t i = lanes; i < terms.size(); ++i) sums[i % lanes] = add(sums[i % lanes], terms[i]);
    return lanes == 1 ? sums[0] : add(add(sums[0], sums[2]), add(sums[1], sums[3]));
  }

  // Row by row the larger of two neighbours moves up, so that the largest pivot of a column is used.
  void factors(const Graph::Equation& eq) {
    const Aval& a = aval_of(eq.in[0]);
    if (a.shape.size() != 2 || a.shape[0] != a.shape[1] || !is_floating(a.dtype)) throw NotScalar{};
    const int64_t n = a.shape[0];
    Arrays m = of_[at(eq.in[0])], swaps, inverse, rows;
    for (int64_t i = 0; i < n; ++i) rows.push_back(literal(static_cast<double>(i), {}, kInt64));
    const auto at_ = [&](int64_t i, int64_t j) -> Array& { return m[at(i * n + j)]; };
    for (int64_t k = 0; k < n; ++k) {
      for (int64_t i = k + 1; i < n; ++i) {
        const Array larger = greater(abs(at_(i, k)), abs(at_(k, k)));
        swaps.push_back(larger);
        most_ -= 3 + 2 * n;
        for (int64_t j = 0; j < n; ++j) exchange(larger, at_(k, j), at_(i, j));
        exchange(larger, rows[at(k)], rows[at(i)]);
      }
      inverse.push_back(reciprocal(at_(k, k)));
      for (int64_t i = k + 1; i < n; ++i) {
        at_(i, k) = multiply(at_(i, k), inverse[at(k)]);
        for (int64_t j = k + 1; j < n; ++j) at_(i, j) = minus(at_(i, j), at_(i, k), at_(k, j));
      }
      if (most_ < 0) throw NotScalar{};
    }
    of_[at(eq.out[0])] = m;
    inverse_[at(eq.out[0])] = inverse;
    of_[at(eq.out[1])] = rows;
    left_out_[at(eq.out[1])] = true;  // which rows LAPACK would exchange
    of_[at(eq.out[2])] = rows;
    exchanged_[at(eq.out[2])] = swaps;
  }
  static void exchange(const Array& condition, Array& x, Array& y) {
    const Array first = where(condition, y, x);
    y = where(condition, x, y);
    x = first;
  }
  Array minus(const Array& x, const Array& a, const Array& b) {
    if (--most_ < 0) throw NotScalar{};
    return subtract(x, multiply(a, b));
  }

  // a x = b by l u = p a, or a^T x = b.
  void solution(const Graph::Equation& eq) {
    bool transpose = false;
    for (const auto& [key, value] : eq.op->params())
      if (key == "transpose") transpose = std::get<bool>(value);
    const Aval& b = aval_of(eq.in[1]);
    if (b.shape.size() != 2) throw NotScalar{};
    const Arrays& lu = of_[at(eq.in[2])];
    const int64_t n = b.shape[0], columns = b.shape[1];
    Arrays inverse = inverse_[at(eq.in[2])];
    if (inverse.empty())  // factors that come from elsewhere
      for (int64_t i = 0; i < n; ++i) inverse.push_back(reciprocal(lu[at(i * n + i)]));
    const auto factor = [&](int64_t i, int64_t j) { return lu[at(i * n + j)]; };
    Arrays out(of_[at(eq.in[1])].size(), lu[0]);
    for (int64_t c = 0; c < columns; ++c) {
      Arrays x;
      for (int64_t i = 0; i < n; ++i) x.push_back(entry(eq.in[1], i * columns + c));
      const auto x_ = [&](int64_t i) -> Array& { return x[at(i)]; };
      most_ -= n;
      if (!transpose) {
        permute(x, eq.in[3], false);
        for (int64_t i = 0; i < n; ++i)
          for (int64_t j = 0; j < i; ++j) x_(i) = minus(x_(i), factor(i, j), x_(j));
        for (int64_t i = n; i-- > 0;) {
          for (int64_t j = i + 1; j < n; ++j) x_(i) = minus(x_(i), factor(i, j), x_(j));
          x_(i) = multiply(x_(i), inverse[at(i)]);
        }
      } else {  // u^T l^T p x = b
        for (int64_t i = 0; i < n; ++i) {
          for (int64_t j = 0; j < i; ++j) x_(i) = minus(x_(i), factor(j, i), x_(j));
          x_(i) = multiply(x_(i), inverse[at(i)]);
        }
        for (int64_t i = n; i-- > 0;)
          for (int64_t j = i + 1; j < n; ++j) x_(i) = minus(x_(i), factor(j, i), x_(j));
        permute(x, eq.in[3], true);
      }
      for (int64_t i = 0; i < n; ++i) out[at(i * columns + c)] = x_(i);
    }
    of_[at(eq.out[0])] = out;
  }
  // p x, or p^T x: by the exchanges that p was made of where they are known, else by comparisons.
  void permute(Arrays& x, int p, bool transpose) {
    const auto n = static_cast<int64_t>(x.size());
    most_ -= n * n;
    if (most_ < 0) throw NotScalar{};
    if (const Arrays& swaps = exchanged_[at(p)]; !swaps.empty()) {
      size_t s = transpose ? swaps.size() : 0;
      const auto order = [&](int64_t k, int64_t i, size_t which) {
        exchange(swaps[which], x[at(k)], x[at(i)]);
      };
      if (!transpose)
        for (int64_t k = 0; k < n; ++k)
          for (int64_t i = k + 1; i < n; ++i) order(k, i, s++);
      else
        for (int64_t k = n; k-- > 0;)
          for (int64_t i = n; i-- > k + 1;) order(k, i, --s);
      return;
    }
    Arrays out;
    for (int64_t to = 0; to < n; ++to) {
      Array found = x[0];
      for (int64_t from = transpose ? 0 : 1; from < n; ++from) {
        const int64_t row = transpose ? from : to, is = transpose ? to : from;
        found = where(equal(entry(p, row), literal(static_cast<double>(is), {}, kInt64)), x[at(from)], found);
      }
      out.push_back(found);
    }
    x = out;
  }
  // A map's body for each example in turn.
  void examples(const Graph::Equation& eq, const MapParts& map) {
    for (const Access& a : map.access)
      if (a.kind == Access::Kind::Gather) throw NotScalar{};
    for (const Result& r : map.results)
      if (r.kind == Result::Kind::SegmentSum) throw NotScalar{};
    for (int64_t e = 0; e < map.n; ++e) {
      Arrays in;
      for (size_t i = 0; i < map.access.size(); ++i) {
        const Arrays& from = of_[at(eq.in[i])];
        const bool all = map.access[i].kind == Access::Kind::Uniform;
        const int64_t n = num_elements(map.body->input_aval(static_cast<int>(i)).shape);
        const auto begin = from.begin() + (all ? 0 : e * n);
        in.insert(in.end(), begin, begin + n);
      }
      Entries body(*map.body, most_);
      const Arrays y = body.run(in);
      most_ = body.most_;
      size_t next = 0;
      for (size_t k = 0; k < map.results.size(); ++k) {
        Arrays& out = of_[at(eq.out[k])];
        const int64_t n = num_elements(map.body->output_aval(static_cast<int>(k)).shape);
        for (int64_t i = 0; i < n; ++i, ++next) {
          if (map.results[k].kind == Result::Kind::Each || e == 0)
            out.push_back(y[next]);
          else
            out[at(i)] = add(out[at(i)], y[next]);
        }
      }
    }
  }

  const Graph& g_;
  int64_t most_;
  std::vector<Arrays> of_;         // by value
  std::vector<bool> left_out_;     // by value: not made, as nobody reads it
  std::vector<Arrays> exchanged_;  // by value: of a permutation, which neighbours were exchanged
  std::vector<Arrays> inverse_;    // by value: of factors, one over each pivot, as divisions take long
};

}  // namespace

std::optional<Ref<const Graph>> scalarised(const Graph& g, int64_t most) {
  if (g.is_dynamic()) return std::nullopt;
  int64_t entries = 0;
  for (const Aval& a : g.values()) entries += num_elements(a.shape);
  if (entries > 8 * most) return std::nullopt;  // seen at once
  Avals avals;
  for (const Aval& a : g.input_avals()) {
    if (num_elements(a.shape) > most) return std::nullopt;
    for (int64_t k = num_elements(a.shape); k-- > 0;) avals.push_back({{}, a.dtype});
  }
  try {
    return trace_closed([&](std::span<const Array> x) { return Entries(g, most).run(x); }, avals);
  } catch (const NotScalar&) {
    return std::nullopt;
  }
}

}  // namespace hesse
