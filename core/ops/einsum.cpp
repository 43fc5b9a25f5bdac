#include <algorithm>
#include <map>
#include <set>

#include "core/ops/elementwise.h"
#include "core/ops/matmul.h"
#include "core/ops/reduce.h"

/// Sums of products by named axes: diagonals, sums, and pairwise products in a greedy order.
namespace hesse {
namespace {

/// Axes are labelled by the character codes of their letters; those of an ellipsis by negative numbers, -1
/// the last.
using Labels = std::vector<int>;

bool contains(const Labels& labels, int label) {
  return std::find(labels.begin(), labels.end(), label) != labels.end();
}

struct Operand {
  Array x;
  Labels labels;
  int64_t axis(int label) const { return std::find(labels.begin(), labels.end(), label) - labels.begin(); }
};

/// What the subscripts say.
class Subscripts {
 public:
  Subscripts(const std::string& text, const Arrays& operands) : text_(text) {
    std::string compact;
    for (const char c : text)
      if (c != ' ') compact += c;
    const size_t arrow = compact.find("->");
    std::vector<std::string> terms{""};
    for (const char c : compact.substr(0, arrow)) {
      if (c == ',')
        terms.emplace_back();
      else
        terms.back() += c;
    }
    check(terms.size() == operands.size(), "name ", terms.size(), " operands, got ", operands.size());
    size_t ellipsis = 0;
    for (size_t i = 0; i < terms.size(); ++i) {
      inputs_.push_back(labels_of_input(terms[i], i, operands[i].shape()));
      const auto more = std::count_if(inputs_[i].begin(), inputs_[i].end(), [](int l) { return l < 0; });
      ellipsis = std::max(ellipsis, static_cast<size_t>(more));
    }
    for (size_t i = 0; i < operands.size(); ++i) measure(inputs_[i], operands[i].shape());
    if (arrow == std::string::npos)
      implicit_output(ellipsis);
    else
      explicit_output(compact.substr(arrow + 2), ellipsis);
  }
  const Labels& input(size_t i) const { return inputs_[i]; }
  const Labels& output() const { return output_; }
  int64_t size(int label) const { return sizes_.at(label); }

 private:
  template <class... T>
  void check(bool ok, const T&... what) const {
    require(ok, "einsum: the subscripts '", text_, "' ", what...);
  }

  /// The labels of a term, dots for its ellipsis (if any) replaced by `ellipsis` labels.
  Labels parse(const std::string& term, size_t ellipsis, bool& has_ellipsis) const {
    Labels out;
    has_ellipsis = false;
    for (size_t i = 0; i < term.size(); ++i) {
      const char c = term[i];
      if (c == '.') {
        check(term.compare(i, 3, "...") == 0 && !has_ellipsis, "have a stray '.' in '", term,
              "'; an ellipsis is '...', once in a term");
        has_ellipsis = true;
        for (size_t k = ellipsis; k > 0; --k) out.push_back(-static_cast<int>(k));
        i += 2;
      } else {
        check((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'), "contain '", c,
              "'; axes are named by letters, operands separated by ',', the result introduced by '->'");
        out.push_back(c);
      }
    }
    return out;
  }

  Labels labels_of_input(const std::string& term, size_t i, const Shape& shape) const {
    bool has_ellipsis = false;
    const size_t letters = parse(term, 0, has_ellipsis).size();
    check(has_ellipsis ? letters <= shape.size() : letters == shape.size(), "name ", letters,
          " axes of operand ", i, ", which has shape ", shape);
    return parse(term, shape.size() - letters, has_ellipsis);
  }

  /// An axis of length one goes with any length.
  void measure(const Labels& labels, const Shape& shape) {
    for (size_t d = 0; d < labels.size(); ++d) {
      const auto [it, fresh] = sizes_.try_emplace(labels[d], shape[d]);
      if (fresh || it->second == shape[d] || shape[d] == 1) continue;
      check(it->second == 1, "give axis ", printed(labels[d]), " the lengths ", it->second, " and ",
            shape[d]);
      it->second = shape[d];
    }
  }

  static std::string printed(int label) {
    return label < 0 ? "'...'" : concat("'", static_cast<char>(label), "'");
  }

  /// The ellipsis, then the letters that occur once, in alphabetical order.
  void implicit_output(size_t ellipsis) {
    for (size_t k = ellipsis; k > 0; --k) output_.push_back(-static_cast<int>(k));
    std::map<int, int> occurrences;
    for (const Labels& labels : inputs_)
      for (const int l : labels)
        if (l > 0) ++occurrences[l];
    for (const auto& [label, count] : occurrences)
      if (count == 1) output_.push_back(label);
  }

  void explicit_output(const std::string& term, size_t ellipsis) {
    bool has_ellipsis = false;
    output_ = parse(term, ellipsis, has_ellipsis);
    check(has_ellipsis || ellipsis == 0,
          "leave '...' out of the result; add it, or name the axes to sum them");
    std::set<int> seen;
    for (const int l : output_) {
      check(seen.insert(l).second, "name axis ", printed(l), " twice in the result");
      check(sizes_.count(l) > 0, "name axis ", printed(l), " of the result, which no operand has");
    }
  }

  std::string text_;
  std::vector<Labels> inputs_;
  Labels output_;
  std::map<int, int64_t> sizes_;
};

/// The operand with its axes in the order of `labels`.
Array ordered(const Operand& a, const Labels& labels) {
  Axes axes;
  for (const int l : labels) axes.push_back(a.axis(l));
  return axes == all_axes(axes.size()) ? a.x : transpose(a.x, axes);
}

/// Repeated labels become one: the diagonal. Axes of length one that stand for longer ones go: products
/// broadcast.
void simplify(Operand& a, const Subscripts& subscripts) {
  for (size_t d = a.labels.size(); d-- > 0;)
    if (a.x.shape()[d] == 1 && subscripts.size(a.labels[d]) != 1) {
      a.x = squeeze(a.x, Axes{static_cast<int64_t>(d)});
      a.labels.erase(a.labels.begin() + static_cast<int64_t>(d));
    }
  for (size_t d = 0; d < a.labels.size();) {
    const int label = a.labels[d];
    const auto again = std::find(a.labels.begin() + static_cast<int64_t>(d) + 1, a.labels.end(), label);
    if (again == a.labels.end()) {
      ++d;
      continue;
    }
    a.x = diagonal(moveaxis(a.x, {static_cast<int64_t>(d), again - a.labels.begin()}, {-2, -1}));
    a.labels.erase(again);
    a.labels.erase(a.labels.begin() + static_cast<int64_t>(d));
    a.labels.push_back(label);
  }
}

/// Sums over the labels that are not among `kept`.
void sum_out(Operand& a, const Labels& kept) {
  Axes axes;
  Labels rest;
  for (size_t d = 0; d < a.labels.size(); ++d) {
    if (contains(kept, a.labels[d]))
      rest.push_back(a.labels[d]);
    else
      axes.push_back(static_cast<int64_t>(d));
  }
  if (axes.empty()) return;
  a.x = apply1(make_op<ReduceSum>(axes, false), {a.x});
  a.labels = rest;
}

/// How the labels of two operands meet when all but `kept` are summed.
struct Meeting {
  Labels batch, left, right, summed;
  Meeting(const Labels& a, const Labels& b, const Labels& kept) {
    for (const int l : a)
      if (!contains(b, l))
        left.push_back(l);
      else
        (contains(kept, l) ? batch : summed).push_back(l);
    for (const int l : b)
      if (!contains(a, l)) right.push_back(l);
  }
  Labels result() const {
    Labels out = batch;
    out.insert(out.end(), left.begin(), left.end());
    out.insert(out.end(), right.begin(), right.end());
    return out;
  }
};

Labels joined(std::initializer_list<Labels> parts) {
  Labels out;
  for (const Labels& part : parts) out.insert(out.end(), part.begin(), part.end());
  return out;
}

Shape shape_of(const Labels& labels, const Subscripts& subscripts) {
  Shape out;
  for (const int l : labels) out.push_back(subscripts.size(l));
  return out;
}

double size_of(const Labels& labels, const Subscripts& subscripts) {
  double n = 1;
  for (const int l : labels) n *= static_cast<double>(subscripts.size(l));
  return n;
}

/// The product of two operands, summed over the labels not in `kept`: a batch of matrix products, or, where
/// nothing is summed or the matrices are vectors, products entry by entry.
Operand contract(const Operand& a, const Operand& b, const Labels& kept, const Subscripts& subscripts) {
  const Meeting m(a.labels, b.labels, kept);
  const bool vectors = m.left.empty() && m.right.empty() && !m.batch.empty();
  if (m.summed.empty() || vectors) {
    const auto aligned = [&](const Operand& o, const Labels& own, bool first) {
      Shape shape = shape_of(joined({m.batch, own}), subscripts);
      const size_t at = first ? shape.size() : m.batch.size();
      for (size_t i = 0; i < (first ? m.right : m.left).size(); ++i) shape.insert(at, 1);
      for (const int64_t n : shape_of(m.summed, subscripts)) shape.push_back(n);
      return reshape(ordered(o, joined({m.batch, own, m.summed})), shape);
    };
    Operand product{multiply(aligned(a, m.left, true), aligned(b, m.right, false)),
                    joined({m.batch, m.left, m.right, m.summed})};
    sum_out(product, kept);
    return product;
  }
  const Shape batch = shape_of(m.batch, subscripts);
  const auto matrices = [&](const Array& x, int64_t rows, int64_t columns) {
    Shape shape = batch;
    shape.push_back(rows);
    shape.push_back(columns);
    return reshape(x, shape);
  };
  const int64_t rows = num_elements(shape_of(m.left, subscripts)),
                columns = num_elements(shape_of(m.right, subscripts)),
                summed = num_elements(shape_of(m.summed, subscripts));
  const Array x = matrices(ordered(a, joined({m.batch, m.left, m.summed})), rows, summed);
  const Array y = matrices(ordered(b, joined({m.batch, m.summed, m.right})), summed, columns);
  return {reshape(apply1(the<MatMul>(), {x, y}), shape_of(m.result(), subscripts)), m.result()};
}

}  // namespace

Array einsum(const std::string& subscripts, const Arrays& operands) {
  require(!operands.empty(), "einsum: no operands for the subscripts '", subscripts, "'");
  const Subscripts parsed(subscripts, operands);
  const DType dtype = common_dtype("einsum", operands);
  require<TypeError>(dtype != kKey && dtype != kBool, "einsum: operands must be numeric, got dtype ", dtype,
                     "; convert with astype first");
  std::vector<Operand> remaining;
  for (size_t i = 0; i < operands.size(); ++i) {
    remaining.push_back({converted(operands[i], dtype), parsed.input(i)});
    simplify(remaining.back(), parsed);
  }
  // What is needed of operands i and j: the labels of the result and of all others.
  const auto needed = [&](size_t i, size_t j) {
    Labels kept = parsed.output();
    for (size_t k = 0; k < remaining.size(); ++k)
      if (k != i && k != j) kept.insert(kept.end(), remaining[k].labels.begin(), remaining[k].labels.end());
    return kept;
  };
  for (size_t i = 0; i < remaining.size(); ++i) sum_out(remaining[i], needed(i, i));
  // Greedy: the pair whose product frees most memory; the first of equals.
  while (remaining.size() > 1) {
    size_t best_i = 0, best_j = 1;
    double best = 0;
    for (size_t i = 0; i < remaining.size(); ++i)
      for (size_t j = i + 1; j < remaining.size(); ++j) {
        const Meeting m(remaining[i].labels, remaining[j].labels, needed(i, j));
        const double growth = size_of(m.result(), parsed) - size_of(remaining[i].labels, parsed) -
                              size_of(remaining[j].labels, parsed);
        if ((i == 0 && j == 1) || growth < best) {
          best = growth;
          best_i = i;
          best_j = j;
        }
      }
    Operand product = contract(remaining[best_i], remaining[best_j], needed(best_i, best_j), parsed);
    remaining.erase(remaining.begin() + static_cast<int64_t>(best_j));
    remaining[best_i] = std::move(product);
  }
  return ordered(remaining[0], parsed.output());
}

}  // namespace hesse
