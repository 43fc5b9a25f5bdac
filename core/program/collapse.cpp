#include "core/program/collapse.h"

#include <cmath>
#include <map>
#include <unordered_map>

#include "core/ops.h"
#include "core/ops/control_graph.h"
#include "core/ops/map_split.h"
#include "core/program/rewrite.h"

namespace hesse {
namespace {

size_t at(int v) { return static_cast<size_t>(v); }

/// A constant as a product of powers: of the mantissas of those that were written down, and of two. Ratios
/// are then exact.
struct Scale {
  bool negative = false;
  std::vector<std::pair<double, int>> factors;  // more than one, and their powers, ascending

  bool operator==(const Scale&) const = default;
  bool operator<(const Scale& o) const {
    return std::tie(negative, factors) < std::tie(o.negative, o.factors);
  }
  bool is_one() const { return !negative && factors.empty(); }
  double value() const {
    double above = 1, below = 1;
    int twos = 0;
    for (const auto& [f, power] : factors) {
      if (f == 2) twos = power;
      for (int i = 0; f != 2 && i < std::abs(power); ++i) (power > 0 ? above : below) *= f;
    }
    return std::ldexp(negative ? -above / below : above / below, twos);
  }
  /// What may be moved about without leaving the range of floats that a value has room for.
  bool is_moderate(double most_bits = 40) const {
    constexpr int kMostFactors = 16;
    double bits = 0;
    int count = 0;
    for (const auto& [f, power] : factors) {
      bits += power * std::log2(f);
      count += f == 2 ? 0 : std::abs(power);
    }
    return count <= kMostFactors && std::abs(bits) <= most_bits;
  }
  Scale size() const { return {false, factors}; }
  Scale operator*(const Scale& o) const {
    return combined(o, [](int a, int b) { return a + b; });
  }
  Scale operator/(const Scale& o) const {
    return combined(o, [](int a, int b) { return a - b; });
  }
  /// The powers that two have in common.
  Scale shared_with(const Scale& o) const {
    Scale out = combined(
        o, [](int a, int b) { return (a > 0) == (b > 0) ? (a > 0 ? std::min(a, b) : std::max(a, b)) : 0; });
    out.negative = negative;
    return out;
  }

 private:
  template <class F>
  Scale combined(const Scale& o, F power) const {
    Scale out{negative != o.negative, {}};
    auto a = factors.begin(), b = o.factors.begin();
    while (a != factors.end() || b != o.factors.end()) {
      const bool left = b == o.factors.end() || (a != factors.end() && a->first <= b->first);
      const bool right = a == factors.end() || (b != o.factors.end() && b->first <= a->first);
      const double f = left ? a->first : b->first;
      const int p = power(left ? a->second : 0, right ? b->second : 0);
      if (p != 0) out.factors.emplace_back(f, p);
      if (left) ++a;
      if (right) ++b;
    }
    return out;
  }
};

/// A multiple of an expression.
struct Scaled {
  Scale scale;
  int expression;
  bool operator==(const Scaled&) const = default;
  bool operator<(const Scaled& o) const {
    return std::tie(expression, scale) < std::tie(o.expression, o.scale);
  }
};
Scaled operator*(const Scale& c, const Scaled& x) { return {c * x.scale, x.expression}; }
using Terms = std::vector<Scaled>;

/// The values of a graph as multiples of expressions, equal ones being one.
class Expressions {
 public:
  /// `summed`: by output, whether a map adds it up over examples; its scale is applied once, afterwards.
  Expressions(const Graph& g, std::vector<bool> summed) : g_(g), summed_(std::move(summed)) {
    std::vector<Scaled> values(g.values().size());
    const auto given = [&](int v) {
      values[at(v)] = {{}, add({Kind::Given, -1, v, {}, g.values()[at(v)], 0})};
    };
    for (int v = 0; v < g.num_inputs(); ++v) given(v);
    constants_.resize(g.values().size());
    for (const auto& [v, a] : g.constants()) {
      given(v);
      constants_[at(v)] = a;
    }
    for (const Graph::Equation& eq : g.equations()) {
      Terms in;
      for (int v : eq.in) in.push_back(values[at(v)]);
      for (size_t k = 0; k < eq.out.size(); ++k)
        values[at(eq.out[k])] = result(eq, in, static_cast<int>(k), g.values()[at(eq.out[k])]);
    }
    for (int v : g.outputs()) outputs_.push_back(values[at(v)]);
  }

  /// Takes combinations together, seen from the outputs.
  void collapse() {
    for (Scaled& y : outputs_) y = y.scale * rewritten(y.expression);
  }

  /// Where the terms of a sum differ by constants, one goes without, whose constant moves on: x + k y is
  /// k (x / k + y), and k drops out of all that follows. The factors of a second derivative so vanish from
  /// the layers of a network. Done if it makes the whole cheaper.
  void move_factors_on() {
    const Terms before = outputs_;
    const double cost_before = cost().all;
    const std::vector<bool> needed = reached();
    move_on_ = true;
    Terms moved(needed.size());
    for (size_t i = 0; i < needed.size(); ++i) {
      if (!needed[i]) continue;
      Terms in;
      for (const Scaled& x : expressions_[i].in) in.push_back(x.scale * moved[at(x.expression)]);
      moved[i] = with_operands(static_cast<int>(i), std::move(in));
    }
    for (Scaled& y : outputs_) y = y.scale * moved[at(y.expression)];
    if (cost().all >= cost_before) outputs_ = before;
  }

  struct Cost {
    double products = 0, all = 0;
  };
  /// Of one evaluation of the outputs, in entries written; a product of matrices does some flops meanwhile.
  Cost cost() const {
    Cost out;
    const std::vector<bool> needed = reached();
    for (size_t i = 0; i < expressions_.size(); ++i)
      if (needed[i]) add_cost(expressions_[i], out);
    for (size_t k = 0; k < outputs_.size(); ++k)
      out.all += summed_[k] || outputs_[k].scale.is_one() ? 0 : entries(outputs_[k].expression);
    return out;
  }
  static Cost cost_of(const Graph& g) {
    Cost out;
    for (const Graph::Equation& eq : g.equations()) {
      Avals x, y;
      for (int v : eq.in) x.push_back(g.values()[at(v)]);
      for (int v : eq.out) y.push_back(g.values()[at(v)]);
      add_cost(*eq.op, x, y, out);
    }
    return out;
  }

  Ref<const Graph> graph() const {
    return trace_closed(
        [this](std::span<const Array> args) {
          const std::vector<bool> needed = reached();
          Arrays values(expressions_.size());
          for (size_t i = 0; i < expressions_.size(); ++i)
            if (needed[i]) values[i] = evaluated(expressions_[i], values, args);
          Arrays out;
          for (const Scaled& y : outputs_) out.push_back(multiple(y, values));
          return out;
        },
        g_.input_avals());
  }

 private:
  /// Linear: in every operand with the others fixed; operands then have no scales. Sum: of its operands.
  enum class Kind : uint8_t { Given, Any, Linear, Sum };
  struct Expression {
    Kind kind;
    int op;      // its number in ops_
    int output;  // which of its outputs; Given: the value's number in the graph
    Terms in;
    Aval aval;
    SourceLine source;
  };

  // ---- making expressions --------------------------------------------------------------------------------
  int add(Expression e) {
    const auto [it, added] =
        known_.emplace(std::tuple(e.kind, e.op, e.output, e.in), static_cast<int>(expressions_.size()));
    if (added) expressions_.push_back(std::move(e));
    return it->second;
  }
  int number_of(const OpRef& op) {
    const auto [begin, end] = by_hash_.equal_range(op->hash());
    for (auto it = begin; it != end; ++it)
      if (ops_[at(it->second)]->equals(*op)) return it->second;
    ops_.push_back(op);
    by_hash_.emplace(op->hash(), static_cast<int>(ops_.size()) - 1);
    return static_cast<int>(ops_.size()) - 1;
  }

  Scaled result(const Graph::Equation& eq, const Terms& in, int output, const Aval& aval) {
    const bool same_type = is_floating(aval.dtype) && std::all_of(in.begin(), in.end(), [&](const Scaled& x) {
                             return expressions_[at(x.expression)].aval.dtype == aval.dtype;
                           });
    if (same_type && eq.out.size() == 1) {
      const std::string_view name = eq.op->name();
      if (name == "add" || name == "subtract") {
        Terms terms = in;
        terms[1].scale.negative = terms[1].scale.negative != (name == "subtract");
        return sum(std::move(terms), aval, eq.source);
      }
      if (name == "negative") return Scale{true, {}} * in[0];
      if (name == "multiply")
        for (const size_t i : {0, 1})
          if (const auto c = constant(eq.in[i]))
            if (const Scaled y = *c * in[1 - i]; y.scale.is_moderate()) return y;
      const bool each = eq.op->linearity() == Op::Linearity::Each;
      if (each || (eq.op->linearity() == Op::Linearity::Together && in.size() == 1))
        if (const auto y = linear(number_of(eq.op), in, aval, eq.source)) return *y;
    }
    return {{}, add({Kind::Any, number_of(eq.op), output, in, aval, eq.source})};
  }

  // The scale that multiplies by the constant v.
  std::optional<Scale> constant(int v) const {
    const Array& a = constants_[at(v)];
    if (!a.defined() || !is_repeated(a)) return std::nullopt;
    const double c = visit_dtype(a.dtype(), [&](auto tag) -> double {
      using T = typename decltype(tag)::type;
      if constexpr (std::is_floating_point_v<T>)
        return static_cast<double>(*a.view().template as<T>());
      else
        return 0;
    });
    if (c == 0 || !std::isfinite(c)) return std::nullopt;
    Scale out{c < 0, {}};
    int power = 0;  // of two, apart: multiples by it of one constant are then known as such
    const double mantissa = 2 * std::frexp(std::abs(c), &power);
    if (mantissa != 1) out.factors.emplace_back(mantissa, 1);
    if (power != 1) out.factors.emplace_back(2, power - 1);
    return out;
  }

  std::optional<Scaled> linear(int op, Terms in, const Aval& aval, SourceLine source) {
    Scale scale;
    for (Scaled& x : in) {
      scale = scale * x.scale;
      x.scale = {};
    }
    if (!scale.is_moderate()) return std::nullopt;
    if (ops_[at(op)]->is_commutative()) std::sort(in.begin(), in.end());
    return Scaled{scale, add({Kind::Linear, op, 0, std::move(in), aval, source})};
  }

  // What all terms have in common is taken out, with the sign of the first.
  Scale take_common(Terms& terms) const {
    std::sort(terms.begin(), terms.end());
    Scale common = terms[0].scale;
    for (const Scaled& t : terms) common = common.shared_with(t.scale);
    for (Scaled& t : terms) t.scale = t.scale / common;
    if (!move_on_) return common;
    const Scale most = most_frequent(terms);
    constexpr double kMostBits = 20;
    if (!(common * most).is_moderate() || !std::all_of(terms.begin(), terms.end(), [&](const Scaled& t) {
          return (t.scale / most).is_moderate(kMostBits);
        }))
      return common;
    for (Scaled& t : terms) t.scale = t.scale / most;
    return common * most;
  }
  // Of the sizes of scales the one that most terms have; of several, not one.
  static Scale most_frequent(const Terms& terms) {
    std::map<Scale, int> counts;
    for (const Scaled& t : terms) ++counts[t.scale.size()];
    const auto best = std::max_element(counts.begin(), counts.end(), [](const auto& a, const auto& b) {
      return std::pair(a.second, !a.first.is_one()) < std::pair(b.second, !b.first.is_one());
    });
    return best->first;
  }
  Scaled sum(Terms terms, const Aval& aval, SourceLine source) {
    const Scale common = take_common(terms);
    if (terms.size() == 1) return common * terms[0];
    if (move_on_)
      for (Scaled& t : terms) t = scaled_inside(t);
    return {common, add({Kind::Sum, -1, 0, std::move(terms), aval, source})};
  }

  // k (x y) as (k x) y where x is smaller than the product: sums of outer products are not formed.
  Scaled scaled_inside(const Scaled& t) {
    const Expression e = expressions_[at(t.expression)];
    if (t.scale.factors.empty() || e.kind != Kind::Linear) return t;
    Terms in = e.in;
    const auto smallest = std::min_element(in.begin(), in.end(), [this](const Scaled& a, const Scaled& b) {
      return entries(a.expression) < entries(b.expression);
    });
    if (entries(smallest->expression) >= num_entries(e.aval)) return t;
    smallest->scale = t.scale.size();
    return {{t.scale.negative, {}}, add({Kind::Any, e.op, 0, std::move(in), e.aval, e.source})};
  }

  // ---- taking combinations together ----------------------------------------------------------------------
  Scaled rewritten(int i) {
    if (const auto it = rewritten_.find(i); it != rewritten_.end()) return it->second;
    const Expression e = expressions_[at(i)];  // a copy: there will be more
    Terms in;
    if (e.kind != Kind::Sum)
      for (const Scaled& x : e.in) in.push_back(x.scale * rewritten(x.expression));
    const Scaled out =
        e.kind == Kind::Sum ? combination(e.in, e.aval, e.source) : with_operands(i, std::move(in));
    rewritten_.emplace(i, out);
    return out;
  }

  // Expression i, of other operands.
  Scaled with_operands(int i, Terms in) {
    const Expression e = expressions_[at(i)];  // a copy: there will be more
    if (e.kind == Kind::Given) return {{}, i};
    if (e.kind == Kind::Sum) return sum(std::move(in), e.aval, e.source);
    if (e.kind == Kind::Linear)
      if (const auto y = linear(e.op, in, e.aval, e.source)) return *y;
    return {{}, add({Kind::Any, e.op, e.output, std::move(in), e.aval, e.source})};
  }

  Scaled combination(Terms terms, const Aval& aval, SourceLine source) {
    const Scale common = take_common(terms);
    if (const auto it = combinations_.find(terms); it != combinations_.end()) return common * it->second;
    Terms rest = flattened(terms), parts;
    while (const auto group = largest_group(rest)) {
      const Expression first = expressions_[at(rest[group->members[0]].expression)];
      Terms inner, left;
      for (size_t i = 0, m = 0; i < rest.size(); ++i) {
        if (m == group->members.size() || group->members[m] != i) {
          left.push_back(rest[i]);
          continue;
        }
        inner.push_back(
            {rest[i].scale, expressions_[at(rest[i].expression)].in[group->slots[m++]].expression});
      }
      const Aval inner_aval = expressions_[at(inner[0].expression)].aval;
      Terms in;
      for (size_t k = 0; k < first.in.size(); ++k)
        in.push_back(k == group->slots[0] ? combination(inner, inner_aval, first.source)
                                          : rewritten(first.in[k].expression));
      const auto part = linear(first.op, std::move(in), first.aval, first.source);
      if (!part) {
        parts.clear();
        break;
      }
      parts.push_back(*part);
      rest = std::move(left);
    }
    for (const Scaled& t : parts.empty() ? terms : rest) parts.push_back(t.scale * rewritten(t.expression));
    const Scaled out = sum(std::move(parts), aval, source);
    combinations_.emplace(std::move(terms), out);
    return common * out;
  }

  // Sums among the terms are opened, unless terms would then cancel: (x + c) - c is no x to whoever rounds by
  // it.
  Terms flattened(const Terms& terms) const {
    constexpr size_t kMostTerms = 24;
    Terms out = terms;
    for (size_t i = 0; i < out.size();) {
      const Scaled t = out[i];
      const Expression& e = expressions_[at(t.expression)];
      if (e.kind != Kind::Sum || out.size() + e.in.size() > kMostTerms) {
        ++i;
        continue;
      }
      out.erase(out.begin() + static_cast<std::ptrdiff_t>(i));
      for (const Scaled& x : e.in) out.push_back(t.scale * x);
    }
    std::sort(out.begin(), out.end());
    for (size_t i = 1; i < out.size(); ++i)
      if (out[i].expression == out[i - 1].expression) return terms;
    return out;
  }

  /// Terms that are linear in one operand each and have the others in common.
  struct Group {
    std::vector<size_t> members, slots;
  };
  std::optional<Group> largest_group(const Terms& terms) const {
    std::map<std::tuple<int, size_t, std::vector<int>>, Group> groups;  // op, which operand, the others
    for (size_t i = 0; i < terms.size(); ++i) {
      const Expression& e = expressions_[at(terms[i].expression)];
      if (e.kind != Kind::Linear) continue;
      for (size_t slot = 0; slot < e.in.size(); ++slot) {
        std::vector<int> others;
        for (size_t k = 0; k < e.in.size(); ++k)
          if (k != slot) others.push_back(e.in[k].expression);
        const size_t place = ops_[at(e.op)]->is_commutative() ? 0 : slot;
        Group& group = groups[{e.op, place, std::move(others)}];
        if (!group.members.empty() && group.members.back() == i) continue;  // x * x
        if (!group.members.empty() &&
            !(in_slot(terms[group.members[0]], group.slots[0]) == in_slot(terms[i], slot)))
          continue;  // another shape: of a reshape, or of a product with a vector
        group.members.push_back(i);
        group.slots.push_back(slot);
      }
    }
    const Group* best = nullptr;
    for (const auto& [key, group] : groups)
      if (group.members.size() > (best ? best->members.size() : 1)) best = &group;
    return best ? std::optional(*best) : std::nullopt;
  }
  const Aval& in_slot(const Scaled& t, size_t slot) const {
    return expressions_[at(expressions_[at(t.expression)].in[slot].expression)].aval;
  }

  // ---- costs and the new graph ---------------------------------------------------------------------------
  std::vector<bool> reached() const {
    std::vector<bool> out(expressions_.size(), false);
    for (const Scaled& y : outputs_) out[at(y.expression)] = true;
    for (size_t i = out.size(); i-- > 0;)  // operands come before
      if (out[i])
        for (const Scaled& x : expressions_[i].in) out[at(x.expression)] = true;
    return out;
  }
  double entries(int i) const { return num_entries(expressions_[at(i)].aval); }

  static void add_cost(const Op& op, const Avals& x, const Avals& y, Cost& cost) {
    constexpr double kFlopsAnEntry = 5;
    if (op.is_view()) return;
    const double flops = op.flops(x, y), written = num_entries(y);
    if (flops > 2 * written) cost.products += flops;
    cost.all += std::max(written, flops / kFlopsAnEntry);
  }
  void add_cost(const Expression& e, Cost& cost) const {
    if (e.kind == Kind::Given) return;
    if (e.kind == Kind::Sum) {
      double n = static_cast<double>(e.in.size()) - 1;
      for (const Scaled& x : e.in) n += x.scale.factors.empty() ? 0 : 0.5;  // most become multiply-adds
      cost.all += n * num_entries(e.aval);
      return;
    }
    Avals x;
    for (const Scaled& in : e.in) {
      x.push_back(expressions_[at(in.expression)].aval);
      cost.all += in.scale.is_one() ? 0 : num_entries(x.back());
    }
    add_cost(*ops_[at(e.op)], x, {e.aval}, cost);
  }

  static Array multiple(const Scaled& x, const Arrays& values) {
    const Array& a = values[at(x.expression)];
    if (x.scale.factors.empty()) return x.scale.negative ? negative(a) : a;
    return multiply(a, x.scale.value());
  }
  Array evaluated(const Expression& e, const Arrays& values, std::span<const Array> args) const {
    const SourceScope line(e.source);
    if (e.kind == Kind::Given)
      return e.output < g_.num_inputs() ? args[at(e.output)] : constants_[at(e.output)];
    if (e.kind == Kind::Sum) {
      Array total = multiple(e.in[0], values);  // its sign was taken out
      for (size_t k = 1; k < e.in.size(); ++k) {
        const Scaled size{e.in[k].scale.size(), e.in[k].expression};
        const Array term = multiple(size, values);
        total = e.in[k].scale.negative ? subtract(total, term) : hesse::add(total, term);
      }
      return total;
    }
    Arrays in;
    for (const Scaled& x : e.in) in.push_back(multiple(x, values));
    return hesse::apply(ops_[at(e.op)], std::move(in))[at(e.output)];
  }

  const Graph& g_;
  const std::vector<bool> summed_;
  bool move_on_ = false;
  Arrays constants_;  // by value
  std::vector<Expression> expressions_;
  std::vector<OpRef> ops_;
  std::unordered_multimap<size_t, int> by_hash_;
  std::map<std::tuple<Kind, int, int, Terms>, int> known_;
  std::unordered_map<int, Scaled> rewritten_;
  std::map<Terms, Scaled> combinations_;
  std::vector<Scaled> outputs_;
};

}  // namespace

Ref<const Graph> collapsed(const Ref<const Graph>& g) {
  return with_bodies(g, [](const Graph::Equation& eq) -> Ref<const Graph> {
    constexpr size_t kMostEquations = 3000;  // of what is walked recursively
    const Graph& body = *map_parts(*eq.op)->body;
    if (body.equations().size() > kMostEquations || has_effects(body)) return nullptr;
    std::vector<bool> summed;
    for (const Result& r : map_parts(*eq.op)->results) summed.push_back(r.kind == Result::Kind::Sum);
    Expressions expressions(body, std::move(summed));
    expressions.collapse();
    const auto now = expressions.cost(), before = Expressions::cost_of(body);
    if (now.products >= before.products || now.all >= before.all) return nullptr;
    expressions.move_factors_on();
    return expressions.graph();
  });
}

}  // namespace hesse
