#pragma once
#include <map>

#include "core/graph.h"

namespace hesse {

/// What a map runs over: so many rows, which are the entries of an axis, or every entry of arrays of that
/// size.
struct Rows {
  int64_t count = 0;
  bool entries = false;
};

/// Which equations of a graph work on each of so many rows alone, found by following the axis of rows from
/// the operands that have one of that length through the ops (Op::on_row). A guess where it begins can make
/// a map that is not worth having, but no wrong one: every equation says itself what its rows are.
///
/// What depends on a sum over all rows cannot be in the map that forms it: members are grouped by levels, the
/// number of such sums behind them.
class Batch {
 public:
  /// Whether rows become lanes of a tile, which costs where they have several entries.
  enum class Layout { Lanes, AsTheyAre };
  Batch(const Graph& g, Rows rows, Layout layout = Layout::Lanes);

  /// By level, the equations that become one map, in order.
  const std::map<int, std::vector<size_t>>& groups() const { return groups_; }
  bool is_member(size_t equation) const { return member_[equation]; }
  int level(size_t equation) const { return at_level_[equation]; }
  int last_level() const;
  /// Where a value that a member makes has its rows; kShared: it has none, or a sum over them.
  RowAxis rows_of(int v) const { return rows_of_[static_cast<size_t>(v)]; }
  bool is_summed(int v) const { return summed_[static_cast<size_t>(v)]; }
  /// How a member that is no map meets its operands.
  const std::vector<RowAxis>& operand_rows(size_t equation) const { return marks_[equation]; }
  /// What joining saves, in entries: those that members work on, less what moving rows into lanes costs.
  double worth() const { return worth_; }
  /// The equation that makes a value, or -1.
  int maker(int v) const { return maker_[static_cast<size_t>(v)]; }

  /// Shape and dtype of a row of a value that has them along `axis`.
  Aval row_of(int v, RowAxis axis) const;

 private:
  const Aval& value(int v) const { return g_.values()[static_cast<size_t>(v)]; }
  const Graph::Equation& equation(size_t e) const { return g_.equations()[e]; }
  void find_levels();
  bool dissolve();
  bool joins(size_t e);
  bool adds_sums(const Graph::Equation& eq) const;
  /// What an op says of its rows.
  struct Answer {
    RowAxis axis;
    bool summed;
  };
  bool works_on_rows(size_t e, const std::vector<RowAxis>& marks);
  std::optional<Answer> on_row(const Graph::Equation& eq, const std::vector<RowAxis>& marks) const;
  std::vector<RowAxis> with_rows_beside(const Graph::Equation& eq, const std::vector<RowAxis>& marks) const;
  RowAxis likely_rows(int v) const;
  bool is_broadcast(int v) const;
  double transposed_entries(const std::vector<size_t>& members) const;

  const Graph& g_;
  Rows rows_;
  Layout layout_;
  Ref<Trace> trace_;                           // holds the rows on which ops are asked
  std::vector<int> level_, maker_;             // by value
  std::vector<int> uses_;                      // by value
  std::vector<RowAxis> rows_of_;               // by value
  std::vector<bool> summed_, outer_;           // by value: a sum over rows, of outer products
  std::vector<bool> alone_, member_;           // by equation: never joined, joined
  std::vector<int> at_level_;                  // by equation
  std::vector<std::vector<RowAxis>> marks_;    // by equation
  std::map<int, std::vector<size_t>> groups_;  // equations to join, by level
  std::map<std::pair<size_t, std::vector<RowAxis>>, std::optional<Answer>> answers_;  // asked once
  double worth_ = 0;
};

/// The numbers of rows that a graph may have maps over: those of its maps, long axes, sizes of large arrays.
std::vector<Rows> possible_rows(const Graph& g);

/// For tests, which then meet small ones too: what becomes of batches also where it does not pay.
enum class Joining { AsPays, Maps, Chunks, Groups };
void set_joining(Joining how);
Joining joining();

}  // namespace hesse
