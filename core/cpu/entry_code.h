#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "core/cpu/isa.h"
#include "core/dtype.h"

/// Machine code for straight lines of entry-by-entry operations, written while a program is prepared: one
/// loop over the entries in which what one operation makes the next one reads from a register. The
/// instructions, and so the bits, are those of SimdKernels.
namespace hesse::cpu {

/// What takes a few instructions; comparisons make bools, And, Or and Not work on bools, Where reads
/// (bool, x, y). Those named Int, and Where and Copy, also take int64 in loops of float64, whose entries have
/// the same size.
enum class EntryOp : uint8_t {
  Negative,
  Abs,
  Square,
  Reciprocal,
  Sqrt,
  Rsqrt,
  Add,
  Subtract,
  Multiply,
  Divide,
  Maximum,
  Minimum,
  Equal,
  NotEqual,
  Less,
  LessEqual,
  And,
  Or,
  Not,
  Where,
  MultiplyAdd,
  MultiplySubtract,
  SubtractProduct,
  AddInt,
  SubtractInt,
  EqualInt,
  NotEqualInt,
  LessInt,
  LessEqualInt,
  Copy,
};  // clang-format keeps a line for each kind

/// The operation that a kernel of simd_kernels<T>() computes; nullopt for the others (exp, tanh, ...).
template <class T>
std::optional<EntryOp> entry_op(void (*kernel)());

/// A loop: for every row, for every entry i of the row, all steps in their order. Rows of memory are found by
/// pointers that are given with each run and advance by `row_bytes` from row to row.
struct EntryLoop {
  /// Entry i of a row lies at pointers[pointer] + offset + i * itemsize, or all at the first place if
  /// uniform.
  struct Memory {
    int pointer = 0;
    int64_t offset = 0;
    bool uniform = false;
    bool operator==(const Memory&) const = default;
  };
  /// Operands are numbered: loads first, then the results of steps.
  struct Step {
    EntryOp op;
    int in[3] = {-1, -1, -1};
    std::optional<Memory> out;  ///< where the result is stored too
  };
  static constexpr int kMostPointers = 9;
  static constexpr size_t kMostSteps = 512;  ///< each may need a place on the stack

  static constexpr int64_t kMostRun = int64_t{1} << 30;  ///< that `run` states

  /// Entries of every row where that is known: code for other lengths is then not written. 0: any.
  int64_t run = 0;
  /// Or kFloat64. Bools are the results of comparisons, operands of And, Or and Not, the first one of Where.
  DType dtype = kFloat32;
  std::vector<int64_t> row_bytes;  ///< by pointer, at most kMostPointers
  std::vector<Memory> loads;
  std::vector<bool> is_bool;  ///< by load: bytes, which cannot be uniform
  std::vector<Step> steps;    ///< at most kMostSteps
};

/// Loops as code. Add all, then finish; after that it is immutable, and any number of threads run it. All
/// three throw Error where the system gives no memory.
class EntryCode {
 public:
  /// Runs a loop over `rows` rows of `run` entries, those of the loop if it states them.
  using Function = void (*)(char* const* pointers, int64_t rows, int64_t run);

  /// Whether code can be made here: the instruction set in use is AVX2 or better, and the system lets
  /// a process make memory executable.
  static bool available();
  /// Whether entries that do not fill a vector are run as part of one (AVX-512), and not one by one.
  static bool has_parts() { return active_isa() >= Isa::Avx512; }

  EntryCode();
  ~EntryCode();
  EntryCode(const EntryCode&) = delete;
  EntryCode& operator=(const EntryCode&) = delete;

  /// Adds a loop. What comes back points at its function from finish() on, as long as this object lives.
  const Function* add(const EntryLoop& loop);
  void finish();

 private:
  struct Assembler;
  std::unique_ptr<Assembler> assembler_;
};

}  // namespace hesse::cpu
