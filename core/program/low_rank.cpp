#include "core/program/low_rank.h"

#include <algorithm>
#include <map>

#include "core/cpu/assign.h"
#include "core/ops.h"
#include "core/ops/map_split.h"
#include "core/program/rewrite.h"

namespace hesse {
namespace {

size_t at(int v) { return static_cast<size_t>(v); }

/// A matrix, or its transpose.
struct Factor {
  int value;
  bool transposed;
};
/// +-scale... factor factor...
struct Term {
  bool negative = false;
  std::vector<int> scales;  // matrices of one repeated entry
  std::vector<Factor> factors;
};

/// What rewrites the body of a map.
class Products {
 public:
  Products(const Graph& g, const std::vector<Access>& access) : g_(g) {
    std::vector<bool> marked;
    for (const Access& a : access) marked.push_back(a.kind != Access::Kind::Uniform);
    varies_ = g.depends_on(marked);
    producer_ = producers_and_uses(g).first;
    constants_.resize(g.values().size());
    for (const auto& [id, a] : g.constants()) constants_[at(id)] = a;
    rewritten_.resize(g.equations().size());
    choose();
  }

  bool any() const {
    return std::any_of(rewritten_.begin(), rewritten_.end(), [](const auto& r) { return r.has_value(); });
  }

  Ref<const Graph> result() const {
    return replaced(g_, [this](size_t e, const Arrays& env) -> std::optional<Arrays> {
      if (!rewritten_[e]) return std::nullopt;
      return Arrays{product(*rewritten_[e], g_.equations()[e], env)};
    });
  }

 private:
  /// A product of which one side is a sum of terms.
  struct Rewriting {
    std::vector<Term> terms;
    bool left;  // the terms are the left factor
  };
  struct Dimensions {
    int64_t rows, columns;
  };

  const Shape& shape(int v) const { return g_.values()[at(v)].shape; }
  const Graph::Equation* maker(int v) const {
    const int e = producer_[at(v)];
    return e < 0 ? nullptr : &g_.equations()[at(e)];
  }
  Dimensions dimensions(const Factor& f) const {
    const Shape& s = shape(f.value);
    return f.transposed ? Dimensions{s[1], s[0]} : Dimensions{s[0], s[1]};
  }

  // One entry repeated: a constant, or a scalar that was broadcast.
  bool is_scale(int v) const {
    if (const Array& a = constants_[at(v)]; a.defined()) return is_repeated(a);
    const Graph::Equation* eq = maker(v);
    return eq && eq->op->name() == "broadcast_to" && num_elements(shape(eq->in[0])) == 1;
  }
  Array scale(int v, const Arrays& env) const {
    if (const Array& a = constants_[at(v)]; a.defined()) {
      View entry = a.view();
      while (!entry.shape.empty()) entry = cpu::at(entry, 0, 0);
      return a.viewed(entry);
    }
    return reshape(env[at(maker(v)->in[0])], {});
  }

  // The matrix as a sum of products: as far as it differs between examples.
  std::vector<Term> expanded(int v, bool transposed) const {
    const std::vector<Term> whole{{false, {}, {{v, transposed}}}};
    const Graph::Equation* eq = maker(v);
    if (!eq || !varies_[at(v)] || shape(v).size() != 2) return whole;
    const std::string_view op = eq->op->name();
    const auto of = [&](size_t i) { return expanded(eq->in[i], transposed); };
    const auto negated = [](std::vector<Term> terms) {
      for (Term& t : terms) t.negative = !t.negative;
      return terms;
    };
    std::vector<Term> out;
    if (op == "transpose") return expanded(eq->in[0], !transposed);  // of a matrix, or it would be none
    if (op == "negative") return negated(of(0));
    if (op == "add" || op == "subtract") {
      out = of(0);
      for (Term& t : op == "add" ? of(1) : negated(of(1))) out.push_back(std::move(t));
    } else if (op == "multiply" && (is_scale(eq->in[0]) || is_scale(eq->in[1]))) {
      const size_t i = is_scale(eq->in[0]) ? 0 : 1;
      out = of(1 - i);
      for (Term& t : out) t.scales.push_back(eq->in[i]);
    } else if (op == "matmul") {
      const Factor a{eq->in[0], transposed}, b{eq->in[1], transposed};
      out = {{false, {}, transposed ? std::vector<Factor>{b, a} : std::vector<Factor>{a, b}}};
    }
    constexpr size_t kMostTerms = 4;
    return out.empty() || out.size() > kMostTerms ? whole : out;
  }

  // Costs in multiply-adds of a product of matrices that differ between examples; with one that does not, its
  // entries are read once and not in every lane.
  static constexpr double kShared = 0.4;
  static double product_cost(int64_t m, int64_t k, int64_t n, bool a_varies, bool b_varies) {
    return static_cast<double>(m * k * n) * (a_varies && b_varies   ? 1.0
                                             : a_varies || b_varies ? kShared
                                                                    : 0.0);
  }
  double cost(const std::vector<Term>& terms, bool left, int other) const {
    const Dimensions x{shape(other)[0], shape(other)[1]};
    double out = 0;
    for (const Term& t : terms) {
      bool varies = varies_[at(other)];
      const auto meet = [&](const Factor& f, int64_t n) {
        const Dimensions d = dimensions(f);
        out += product_cost(d.rows, d.columns, n, varies_[at(f.value)], varies);
        varies = varies || varies_[at(f.value)];
      };
      if (left)
        for (size_t i = t.factors.size(); i-- > 0;) meet(t.factors[i], x.columns);
      else
        for (const Factor& f : t.factors) meet(f, x.rows);
    }
    const int64_t rest = left ? dimensions(terms[0].factors[0]).rows * x.columns
                              : dimensions(terms[0].factors.back()).columns * x.rows;
    return out + static_cast<double>(rest) * static_cast<double>(terms.size() - 1);
  }
  double cost(const Graph::Equation& eq) const {
    if (eq.op->is_view() || eq.out.empty() || !varies_[at(eq.out[0])]) return 0;
    if (is_matrix_product(eq))
      return product_cost(shape(eq.in[0])[0], shape(eq.in[0])[1], shape(eq.out[0])[1], varies_[at(eq.in[0])],
                          varies_[at(eq.in[1])]);
    return static_cast<double>(num_elements(shape(eq.out[0])));
  }
  bool is_matrix_product(const Graph::Equation& eq) const {
    return eq.op->name() == "matmul" && shape(eq.out[0]).size() == 2 &&
           is_floating(g_.values()[at(eq.out[0])].dtype);
  }

  // What all that is still read costs.
  double total() const {
    std::vector<bool> read(g_.values().size(), false);
    for (int v : g_.outputs()) read[at(v)] = true;
    double out = 0;
    for (size_t e = rewritten_.size(); e-- > 0;) {
      const Graph::Equation& eq = g_.equations()[e];
      if (std::none_of(eq.out.begin(), eq.out.end(), [&](int v) { return read[at(v)]; })) continue;
      if (!rewritten_[e]) {
        out += cost(eq);
        for (int v : eq.in) read[at(v)] = true;
        continue;
      }
      const Rewriting& r = *rewritten_[e];
      const int other = eq.in[r.left ? 1 : 0];
      out += cost(r.terms, r.left, other);
      read[at(other)] = true;
      for (const Term& t : r.terms) {
        for (const Factor& f : t.factors) read[at(f.value)] = true;
        for (int v : t.scales)
          if (const Graph::Equation* made = maker(v)) read[at(made->in[0])] = true;
      }
    }
    return out;
  }

  // Matrix by matrix: all products with it, or its transpose, are taken apart if the whole then costs less,
  // what is no longer formed included.
  void choose() {
    std::map<int, std::vector<std::pair<size_t, bool>>>
        products;  // by matrix: equation, and whether on the left
    for (size_t e = 0; e < rewritten_.size(); ++e) {
      const Graph::Equation& eq = g_.equations()[e];
      if (!is_matrix_product(eq)) continue;
      for (const bool left : {true, false}) {
        int v = eq.in[left ? 0 : 1];
        while (maker(v) && maker(v)->op->name() == "transpose") v = maker(v)->in[0];
        products[v].emplace_back(e, left);
      }
    }
    constexpr int kRounds = 3;
    double least = total();
    for (int round = 0; round < kRounds; ++round) {
      const double before = least;
      for (auto it = products.rbegin(); it != products.rend(); ++it) {
        const auto kept = rewritten_;
        bool any = false;
        for (const auto& [e, left] : it->second) {
          const std::vector<Term> terms = expanded(g_.equations()[e].in[left ? 0 : 1], false);
          if (terms.size() == 1 && terms[0].factors.size() == 1) continue;
          rewritten_[e] = Rewriting{terms, left};
          any = true;
        }
        if (!any) continue;
        if (const double now = total(); now < least)
          least = now;
        else
          rewritten_ = kept;
      }
      if (least == before) break;
    }
  }

  Array product(const Rewriting& r, const Graph::Equation& eq, const Arrays& env) const {
    const Array& other = env[at(eq.in[r.left ? 1 : 0])];
    const auto matrix = [&](const Factor& f) {
      return f.transposed ? matrix_transpose(env[at(f.value)]) : env[at(f.value)];
    };
    MaybeArray sum;
    for (const Term& t : r.terms) {
      Array y = other;
      for (size_t i = 0; i < t.factors.size(); ++i)
        y = r.left ? matmul(matrix(t.factors[t.factors.size() - 1 - i]), y) : matmul(y, matrix(t.factors[i]));
      for (int s : t.scales) y = multiply(y, broadcast_to(scale(s, env), y.shape()));
      sum = !sum ? (t.negative ? negative(y) : y) : t.negative ? subtract(*sum, y) : add(*sum, y);
    }
    return *sum;
  }

  const Graph& g_;
  std::vector<bool> varies_;
  std::vector<int> producer_;
  Arrays constants_;
  std::vector<std::optional<Rewriting>> rewritten_;  // by equation
};

}  // namespace

Ref<const Graph> with_low_rank_products(const Ref<const Graph>& g) {
  return with_bodies(g, [](const Graph::Equation& eq) -> Ref<const Graph> {
    const MapParts& map = *map_parts(*eq.op);
    const Products products(*map.body, map.access);
    return products.any() ? products.result() : nullptr;
  });
}

}  // namespace hesse
