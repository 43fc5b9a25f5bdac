#pragma once
#include <memory>
#include <variant>

#include "core/cpu/lane_gemm.h"
#include "core/program/chain.h"
#include "core/program/linked_rows.h"
#include "core/program/schedule.h"

namespace hesse {

/// A graph laid out for one tile of examples: every value is [features..., lanes...], the innermost lane
/// axis contiguous. Results of equations lie in one block of memory (an arena) in slots that are reused when
/// their value is dead; inputs lie there too, or outside, as they are. Equations become steps that are
/// prepared once: chains of entry-by-entry ones, products with the lane kernels, and the others with their
/// own kernel. What only one chain reads has no slot, but room for one block of rows. Immutable: any number
/// of threads run it, each with its own memory.
///
/// A tile without lanes may be one of groups of rows, several spaces of them that differ from run to run: it
/// is laid out for the most of each, a length that no other axis has.
class Tile {
 public:
  /// Where results go. Sums: they are added to their accumulators as soon as their values are known; those
  /// are bases behind the inputs and constants, and behind those the memory of outputs of one number for each
  /// example, which are written there at once. Kept: sums are not added, but what they read outlives all
  /// equations. Outside: there are no sums, and outputs are written to memory of their own, row-major, whose
  /// beginnings are the bases behind the inputs and constants.
  enum class Results { Sums, Kept, Outside };

  /// Lays out a schedule, which must outlive the tile, for tiles of shape `lanes`. outside[i]: strides of
  /// input i and its lanes where it is read in place; nullopt where it has a slot that is filled for every
  /// tile. What the schedule's graph gives out outlives all equations. added[k], with Results::Outside:
  /// output k is added to what lies where it goes, at once or, where it is to be copied, by the caller.
  /// most: of groups, by space; throws Error where a value does not have its rows along its first axis.
  Tile(const Schedule& s, const Dims& lanes, const std::vector<std::optional<Strides>>& outside,
       Results results, const std::vector<bool>& added = {}, const Dims& most = {});

  /// The rows of a group, by space: where they begin among all, and how many there are.
  struct Rows {
    const int64_t *begin, *count;
  };

  /// The memory it needs.
  int64_t bytes() const { return bytes_ + passing_bytes_; }
  /// What of it grows with the number of examples.
  int64_t slot_bytes() const { return bytes_; }
  /// Value v, given the beginnings of the arena and of the inputs; of groups, that of its rows.
  View view(int v, char* const* bases, const Rows& rows = {}) const {
    const Place& p = places_[static_cast<size_t>(v)];
    View out = p.view;
    out.data = bases[p.base] + p.offset;
    if (p.rows >= 0) out.shape[static_cast<size_t>(p.row_axis)] = rows.count[p.rows];
    return out;
  }
  /// Of the outputs that are wanted outside, those that lie elsewhere: views of others, inputs, repeated
  /// ones; with Results::Sums also those of more than one number for each example.
  const std::vector<size_t>& outputs_to_copy() const { return to_copy_; }
  /// Whether output k, written at once, may take the memory of an input: everything works entry by entry, and
  /// nothing reads the input later than where the output is made.
  bool may_overwrite(size_t k, int input) const;
  /// Runs all equations.
  void run(char* const* bases, const Rows& rows = {}) const;

 private:
  /// An equation to run, or two that became one: a product, of entries or of matrices, that is only added to
  /// something.
  struct Work {
    const Graph::Equation* equation;  // null: a sum
    EntryKernel kernel;
    std::vector<int> in;
    std::vector<int> out;
    int sum = -1;
    bool aliased = false;  // its result is a view of its operand's memory
    int addend = -1;       // what a product of matrices is added to
    int unit = 0;          // works of one unit run as one chain
  };
  /// into += the sum over lanes of a value, or of the outer products of rows of vectors.
  struct Accumulate {
    struct Vectors {
      const Place* place;
      int64_t begin, count, row;  // in entries
    };
    const Place* value = nullptr;  // null where they are outer products
    std::vector<std::pair<Vectors, Vectors>> outer;
    View into;  // without its data
    int base = 0;
    int64_t lanes = 0;
    bool packed = false;  // floats, one row of lanes after the other
  };
  /// A matrix on one axis of lanes: the strides of its rows, its columns and its lanes.
  struct Matrix {
    const Place* place = nullptr;
    int64_t row = 0, col = 0, lane = 0;
    Matrix transposed() const { return {place, col, row, lane}; }
  };
  /// out[m, n] = addend[m, n] + a[m, k] x[k, n] on one axis of lanes, of float or double. Without lanes the
  /// columns are: n is then 1.
  struct Product {
    DType dtype;
    int64_t m, n, k, lanes;
    Matrix a, x, addend, out;
    int rows_of_m = -1, rows_of_k = -1;  // the space, of groups
  };
  /// What finds rows by index, in a group.
  struct Linked {
    const LinkedRows* op;
    const Graph::Equation* equation;
    bool add;  // to what lies where the result goes
  };
  using Step = std::variant<Chain, Product, Accumulate, Linked, const Graph::Equation*>;

  // The space that an axis of this length is of, or -1.
  int space_of(int64_t length) const;
  void find_rows();

  void select(const std::vector<TileSum>& sums);
  std::vector<int> place_views(const std::vector<std::optional<Strides>>& outside, Results results,
                               size_t num_sums, const std::vector<bool>& added);
  void add_to_outputs(const std::vector<bool>& added, int first_base);
  void add_to_products(const std::vector<int>& kept);
  void fuse_products(const std::vector<int>& kept);
  void erase(const std::vector<bool>& gone);  // of works_
  std::vector<const Place*> places_of(const std::vector<int>& values) const;
  void form_chains(const std::vector<int>& owner);
  void place_passing(const std::vector<int>& kept, const std::vector<int>& owner);
  void place_slots(const std::vector<std::optional<Strides>>& outside, const std::vector<int>& kept,
                   const std::vector<int>& owner);
  void prepare(const std::vector<TileSum>& sums, size_t num_inputs);
  std::optional<Matrix> matrix(int v, int64_t m, int64_t n) const;
  std::optional<Product> product(const Work& work) const;
  std::optional<Product> product_by_columns(const Work& work) const;
  void run_step(const Step& step, char* const* bases, const Rows& rows) const;
  void run_product(const Product& p, char* const* bases, const Rows& rows) const;
  void accumulate(const Accumulate& sum, char* const* bases) const;
  Accumulate accumulation(const TileSum& sum, size_t base) const;
  void run_equation(const Graph::Equation& eq, char* const* bases, const Rows& rows) const;
  void run_linked(const Linked& step, char* const* bases, const Rows& rows) const;
  void lane_by_lane(const Graph::Equation& eq, char* const* bases) const;

  const Graph& graph_;
  Dims lanes_;
  Dims most_;                  // rows of groups, by space
  std::vector<Place> places_;  // by value
  std::vector<Work> works_;
  std::vector<Step> steps_;
  std::unique_ptr<cpu::EntryCode> code_;       // of the chains; null where there is none
  std::vector<const Graph::Equation*> first_;  // of every step: its first equation; null for sums
  std::vector<size_t> to_copy_;
  int64_t bytes_ = 0, passing_bytes_ = 0;
};

}  // namespace hesse
