#pragma once
#include <optional>
#include <span>

#include "core/cpu/entry_code.h"
#include "core/op.h"

namespace hesse {

/// Where a value of a tile lies: in the arena (base 0) or in input base - 1, so many bytes behind its
/// beginning.
struct Place {
  View view;  ///< without its data
  int base = 0;
  int64_t offset = 0;
  bool passing = false;         ///< within one chain only: there is room for one block of its rows
  int rows = -1, row_axis = 0;  ///< of groups of rows: the space that it has rows of, and along which axis
};

/// Entry-by-entry equations of one shape, one after the other, run in blocks of rows that stay in the
/// first-level cache. A value of shape [features..., lanes...] is rows x runs: a run is the innermost axis.
/// What one equation writes another may read row by row only. Neighbours that take a few instructions each
/// become one loop of machine code where that can be made; the others call their kernels.
class Chain {
 public:
  struct Geometry {
    int64_t rows[2] = {1, 1}, run = 1;
    bool operator==(const Geometry&) const = default;
  };
  /// The geometry of a chain that out = kernel(in...) can be part of; nullopt where none can.
  static std::optional<Geometry> fits(const EntryKernel& kernel, std::span<const Place* const> in,
                                      const Place& out);
  static constexpr int64_t kBlockBytes = 8192;  ///< at most, of one value, where a row is not longer

  /// Adds out = kernel(in...), which fits the geometry of the others. The kernel is one for entries of
  /// `dtype`.
  void add(const EntryKernel& kernel, DType dtype, std::span<const Place* const> in, const Place& out);
  /// The first axis of its values, of length `whole`, has as many entries in a run as `counts` says there.
  void vary_first_axis(int64_t whole, size_t place) { varying_ = {{whole, place}}; }
  size_t size() const { return steps_.size(); }
  /// After the last of them, before the first run: writes loops into `code`, which must outlive the chain and
  /// is to be finished; null: kernels only. The last call counts.
  void finish(cpu::EntryCode* code);
  void run(char* const* bases, const int64_t* counts = nullptr) const;

 private:
  /// Strides in bytes over the two levels of rows; `step` is 0 where the run is one value.
  struct Operand {
    int base = 0;
    int64_t offset = 0, rows[2] = {0, 0}, step = 0, item = 0;
    bool passing = false;
  };
  struct Step {
    EntryKernel kernel;
    DType dtype = kFloat32;
    void (*call)(const Step&, char* const* at, int64_t n) = nullptr;  // the kernel, by its type
    Operand in[3], out;
    int count = 0;
    int64_t step[3] = {1, 1, 1};             // of the operands, as the kernel meets them
    bool packed[3] = {false, false, false};  // short rows that do not follow each other: copied
    bool whole = false;                      // rows then follow each other: a block is one run
  };
  /// Steps from `first` to before `last`: by code, or each by its kernel.
  struct Piece {
    size_t first = 0, last = 0;
    const cpu::EntryCode::Function* code = nullptr;
    std::vector<Operand> pointers;  // what the code's pointers point at, row by row
    bool flat = true;               // rows follow each other everywhere: a block is one
  };
  class Coder;
  static std::optional<Geometry> geometry(const Place& out);
  static std::optional<Operand> operand(const Place& p, const Geometry& g);
  template <class T>
  static void call(const Step& s, char* const* at, int64_t n);
  Geometry geometry_of(const int64_t* counts) const;
  bool follows(const Operand& o) const;
  /// Some rows, the first of which is `begin`, of values of this geometry.
  struct Block {
    const Geometry& geometry;
    char* const* bases;
    int64_t begin, rows;
    char* row(const Operand& o, int64_t row) const;
    void pack(const Operand& o, char* to) const;
  };
  static void run_block(const Step& s, const Block& block);
  static void run_code(const Piece& piece, const Block& block);

  Geometry geometry_;
  std::optional<std::pair<int64_t, size_t>> varying_;  // length and place of the first axis, if it varies
  std::vector<Step> steps_;
  std::vector<Piece> pieces_;
  int64_t block_ = 1;     // rows
  bool at_once_ = false;  // all rows, not by blocks
};

}  // namespace hesse
