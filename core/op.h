#pragma once
#include <atomic>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "core/array.h"

namespace hesse {

class Graph;

/// How an operand or a result meets the rows of a batch: along that axis of its own; kShared: every row has
/// all of it; kEveryEntry: each of its entries is a row.
using RowAxis = int64_t;
inline constexpr RowAxis kShared = -1, kEveryEntry = -2;

/// Shape and dtype of a value: what is known of a symbol. A leading kDynamic is a run-time count (stacks).
struct Aval {
  Shape shape;
  DType dtype = DType::Float64;
  bool operator==(const Aval&) const = default;
};
using Avals = std::vector<Aval>;
inline Aval aval(const Array& a) { return {a.shape(), a.dtype()}; }
/// How many entries values of these shapes have together; a run-time length counts as one.
double num_entries(const Aval& a);
double num_entries(std::span<const Aval> all);

/// One static parameter of an op; equality, hashing, printing and files read these and nothing else.
using Param =
    std::variant<bool, int64_t, double, std::string, Dims, DType, Ref<const Graph>, std::vector<std::string>>;
using Params = std::vector<std::pair<std::string_view, Param>>;

/// The vector kernel of an op that works entry by entry, for one dtype: what programs chain over short runs
/// of entries, without views. The types are those of core/cpu/simd_kernels.h.
struct EntryKernel {
  enum class Kind : uint8_t { None, Unary, Binary, Compare, Select, Ternary };
  /// All but Plain take one instruction: such values may be made again rather than kept. The last four let a
  /// product and a sum be one fused operation.
  enum class Role : uint8_t { Plain, Single, Square, Add, Subtract, Multiply };
  Kind kind = Kind::None;
  Role role = Role::Plain;
  void (*f)() = nullptr;  ///< to be cast to the type of `kind`
};

/// One operation: everything the library knows about it. Immutable. Derive from one of the three kinds below.
class Op : public RefCounted<Op> {
 public:
  virtual ~Op() = default;
  virtual std::string_view name() const = 0;
  virtual Params params() const { return {}; }

  /// Output shapes and dtypes. The only place where bad arguments are reported (function, argument, given,
  /// remedy).
  virtual Avals infer(std::span<const Aval> x) const = 0;

  /// Evaluates on data. The default allocates row-major outputs by `infer` and calls `kernel`; ops that alias
  /// their operand, or whose output shape depends on data, override it.
  virtual Arrays eval(std::span<const Array> x) const;
  /// As eval, where an operand that nobody else holds (Array::is_sole_owner) may be overwritten: what
  /// programs call. Takes what it wants of x.
  virtual Arrays eval_owned(Arrays& x) const { return eval(x); }
  /// Whether eval_owned writes into its first operand where it can: programs leave that operand where it is.
  virtual bool may_overwrite() const { return false; }
  /// The plain kernel on strided operands, and the specification. `out` is row-major over its shape. On a
  /// tile every operand and output has `lane_axes` further, innermost axes; an operand's lane stride is 0
  /// where it is uniform. Called with lane_axes > 0 only if `has_lane_kernel()`. Never throws on data: writes
  /// NaN and sets a status.
  virtual void kernel(std::span<const View> x, std::span<const View> out, int lane_axes) const;
  virtual bool has_lane_kernel() const { return false; }
  /// For ops that find rows by index: writes rows [first, last) of `out` (of a pattern, where entries of a
  /// sparse matrix come out: those that these rows hold), and reads only what they need, in memory where no
  /// other rows need be. What has a row for every index is given for this range only; indices count from
  /// row 0. No lanes. What is out of range is reported as by `kernel`.
  virtual void kernel_on_rows(std::span<const View> x, const View& out, int64_t first, int64_t last) const;
  /// Ops that only re-arrange strides: the result as a view of the operand's memory, passing `lane_axes`
  /// trailing axes through; nullopt when this operand needs a copy first. `is_view()` says that the op is of
  /// this sort.
  virtual bool is_view() const { return false; }
  virtual std::optional<View> alias(const View& x, int lane_axes) const;

  /// Tangents of the outputs from those of the inputs, written with other ops. x: inputs, y: outputs, dx:
  /// tangents of inputs (nullopt: zero). Returns one entry per output.
  virtual MaybeArrays jvp(std::span<const Array> x, std::span<const Array> y,
                          std::span<const MaybeArray> dx) const = 0;
  /// Cotangents of the inputs with wanted[i], from those of the outputs. Linear and elementwise ops have it
  /// from their one rule; nullopt: not stated, to be derived by linearising `jvp` on symbols and transposing
  /// (autodiff/walk.h).
  virtual std::optional<MaybeArrays> vjp(std::span<const Array> x, std::span<const Array> y,
                                         std::span<const MaybeArray> ct,
                                         const std::vector<bool>& wanted) const;
  /// Whether the op is linear in the inputs marked, jointly, with the others fixed. Transposition refuses
  /// others.
  virtual bool is_linear_in(const std::vector<bool>& marked) const = 0;
  /// Which outputs depend on the inputs marked; empty: all may. Ops that hold graphs know it of each: the
  /// counter of a loop does not depend on what else the loop carries.
  virtual std::vector<bool> depends_on(const std::vector<bool>& marked) const {
    return (void)marked, std::vector<bool>{};
  }

  /// Linear in all inexact inputs together, in each with the others fixed, or neither: what moves out of a
  /// sum over lanes.
  enum class Linearity { None, Together, Each };
  virtual Linearity linearity() const { return Linearity::None; }

  /// Which input and output values the rules read: a node keeps only those.
  virtual bool reads_input(int i) const { return (void)i, true; }
  virtual bool reads_output(int i) const { return (void)i, true; }

  /// The kernel for entries of `dtype` (of the last operand); none: only `kernel` runs it.
  virtual EntryKernel entry_kernel(DType dtype) const { return (void)dtype, EntryKernel{}; }

  /// The result of one row of a batch, and where the output has the rows.
  struct Row {
    Array value;
    RowAxis axis = 0;
    bool summed = false;  ///< the output is the sum of these over rows, and not their stack
  };
  /// Where the op acts on every row alone: its result for one row, written with other ops. `x` are the
  /// operands of one row, those with an axis of rows without it, those of kEveryEntry scalars; `whole` are
  /// the operands' shapes. nullopt where rows meet. This is how programs written for a batch become maps.
  virtual std::optional<Row> on_row(std::span<const Array> x, std::span<const RowAxis> axes,
                                    std::span<const Aval> whole) const {
    return (void)x, (void)axes, (void)whole, std::nullopt;
  }

  /// Arithmetic operations of one evaluation, whatever the dtype and however long one takes. By default the
  /// bodies' of graphs, once each; otherwise one for every entry that comes out, none for views.
  virtual double flops(std::span<const Aval> x, std::span<const Aval> out) const;

  /// Whether op(a, b) and op(b, a) are the same bits: equal equations are merged in either order.
  virtual bool is_commutative() const { return false; }
  /// Whether running it does something beyond its outputs (a print): never merged, never dropped.
  virtual bool has_effect() const { return false; }
  /// An array that equals the output bit for bit without this equation (x * 1, -(-x), a reshape to the same
  /// shape), or nullopt. Asked when an equation is recorded.
  virtual MaybeArray simplify(std::span<const Array> x) const { return (void)x, std::nullopt; }

  /// Equal name and params.
  bool equals(const Op& other) const;
  size_t hash() const;

 private:
  mutable std::atomic<size_t> hash_{0};  // 0: not yet computed
};
using OpRef = Ref<const Op>;

/// Applies an op: infers, evaluates when every input holds data, records otherwise. No other function builds
/// nodes.
Arrays apply(const OpRef& op, Arrays inputs);
Array apply1(const OpRef& op, Arrays inputs);

/// `on_row` of an op that works entry by entry: itself, if every operand has its rows in one place.
std::optional<Op::Row> entrywise_on_row(const Op& op, std::span<const Array> x,
                                        std::span<const RowAxis> axes);

/// The one instance of a parameterless op.
template <class T>
const OpRef& the() {
  static const OpRef instance{new T()};
  return instance;
}
/// A new op with parameters.
template <class T, class... A>
OpRef make_op(A&&... args) {
  return OpRef(new T(std::forward<A>(args)...));
}

/// Kind 1. Elementwise: inputs and outputs of one shape; states dy/dx_i entry by entry.
class Elementwise : public Op {
 public:
  /// dy/dx_i, of the output's shape; nullopt where it is zero everywhere.
  virtual MaybeArray partial(std::span<const Array> x, const Array& y, int i) const = 0;
  MaybeArrays jvp(std::span<const Array> x, std::span<const Array> y,
                  std::span<const MaybeArray> dx) const final;
  std::optional<MaybeArrays> vjp(std::span<const Array> x, std::span<const Array> y,
                                 std::span<const MaybeArray> ct, const std::vector<bool>& wanted) const final;
  bool is_linear_in(const std::vector<bool>&) const override { return false; }
  bool has_lane_kernel() const override { return true; }
  std::optional<Row> on_row(std::span<const Array> x, std::span<const RowAxis> axes,
                            std::span<const Aval> whole) const override;
};

/// Kind 2. Linear in all inexact inputs together (sum, reshape, add), or in each of them with the others
/// fixed (mul, matmul): states its transpose. One output.
class Linear : public Op {
 public:
  enum class In { Together, Each };
  explicit Linear(In in = In::Together) : in_(in) {}
  /// The cotangent of input i from that of the output; x_i itself carries only shape and dtype.
  /// nullopt where it is structurally zero.
  virtual MaybeArray transpose(std::span<const Array> x, const Array& ct, int i) const = 0;
  MaybeArrays jvp(std::span<const Array> x, std::span<const Array> y,
                  std::span<const MaybeArray> dx) const override;
  std::optional<MaybeArrays> vjp(std::span<const Array> x, std::span<const Array> y,
                                 std::span<const MaybeArray> ct, const std::vector<bool>& wanted) const final;
  bool is_linear_in(const std::vector<bool>& marked) const override;
  Linearity linearity() const override { return in_ == In::Together ? Linearity::Together : Linearity::Each; }
  /// Together: none. Each: all (an input's tangent meets the other inputs' values).
  bool reads_input(int) const override { return in_ == In::Each; }
  bool reads_output(int) const override { return false; }

 private:
  In in_;
};

/// Kind 3. The rest states `jvp` (see Op).
class General : public Op {
 public:
  bool is_linear_in(const std::vector<bool>&) const override { return false; }
};

/// No derivative: comparisons, integer results, arg-reductions. Its jvp is zero.
class NonDifferentiable : public Op {
 public:
  MaybeArrays jvp(std::span<const Array>, std::span<const Array> y, std::span<const MaybeArray>) const final {
    return MaybeArrays(y.size());
  }
  bool is_linear_in(const std::vector<bool>&) const final { return false; }
  bool reads_input(int) const final { return false; }
  bool reads_output(int) const final { return false; }
};

}  // namespace hesse
