#pragma once
#include "core/graph.h"
#include "core/program/on_rows.h"

namespace hesse {

/// Which equations of a graph work row by row on several spaces of rows (nodes, edges, graphs), which an
/// index links: a gather, a sum or the largest of segments, a product with a sparse matrix. A space is told
/// by its number of rows; where rows are is followed from equation to equation (Op::on_row), as in Batch. A
/// guess where it begins can find spaces that are none, but no wrong equation: each says itself what its rows
/// are.
class RowSpaces {
 public:
  explicit RowSpaces(const Graph& g);

  /// Where a value has rows of a space; space -1: it has none, or is met as a whole.
  struct Label {
    int space = -1;
    RowAxis axis = kShared;
    bool operator==(const Label&) const = default;
  };
  /// An equation that works on rows.
  struct Member {
    size_t equation;
    std::vector<Label> in, out;
    bool summed = false;  ///< the result is a sum over rows
    bool linked = false;  ///< it finds rows by index: those of its first `tables` operands, or of its result
    size_t tables = 0;
  };
  /// In the order of the graph.
  const std::vector<Member>& members() const { return members_; }
  /// Whether an equation needs what members make, and is none.
  bool follows(size_t equation) const { return follows_[equation]; }
  /// The number of rows, by space.
  const Dims& counts() const { return counts_; }

  /// Row i of a space meets row index[i] of another one.
  struct IndexLink {
    int from, to, index;  ///< index: a value
    bool operator==(const IndexLink&) const = default;
  };
  /// Row r of a pattern meets its columns and its entries, each of a space or of none (-1).
  struct PatternLink {
    int rows, columns, entries;
    int starts, column_of, entry_of;  ///< values
    bool operator==(const PatternLink&) const = default;
  };
  const std::vector<IndexLink>& index_links() const { return index_links_; }
  const std::vector<PatternLink>& pattern_links() const { return pattern_links_; }

 private:
  const Aval& value(int v) const { return g_.values()[static_cast<size_t>(v)]; }
  void find_counts();
  bool feeds_its_gather(size_t e) const;
  int space_of(int64_t count) const;
  std::optional<Member> member(size_t e);
  std::optional<Member> gather(size_t e);
  std::optional<Member> segments(size_t e);
  std::optional<Member> sparse(size_t e);
  std::optional<Member> row_by_row(size_t e);
  std::optional<Member> sum_of_sums(size_t e) const;
  Label likely(int v) const;
  Label first_axis(int v, int space) const;
  bool is_given(int v) const { return maker_[static_cast<size_t>(v)] < 0; }
  const Label& label(int v) const { return label_[static_cast<size_t>(v)]; }

  const Graph& g_;
  RowQuestions questions_;
  Dims counts_;
  std::vector<bool> guessed_;  // by space: values of its length are taken to have its rows
  std::vector<bool> follows_;  // by equation
  std::vector<int> maker_;     // by value: the member that makes it; -1: made before members run
  std::vector<bool> late_;     // by value: not there before members have run
  std::vector<int> uses_;      // by value
  std::vector<Label> label_;   // by value that a member makes
  std::vector<Member> members_;
  std::vector<IndexLink> index_links_;
  std::vector<PatternLink> pattern_links_;
};

}  // namespace hesse
