#pragma once
#include <atomic>
#include <cstddef>
#include <functional>
#include <iosfwd>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/dtype.h"
#include "core/intrusive.h"
#include "core/shape.h"

namespace hesse {

class Node;
class Trace;

/// A block of memory, counted by reference. It either owns its bytes or keeps foreign bytes alive (NumPy,
/// DLPack).
class Buffer : public RefCounted<Buffer> {
 public:
  /// Uninitialised memory, 64-byte aligned, from the pool of core/allocator.h.
  static Ref<Buffer> allocate(size_t bytes);
  /// Foreign memory; `release` is called once, when the last reference goes.
  static Ref<Buffer> wrap(void* data, size_t bytes, std::function<void()> release);
  ~Buffer();
  void* data() const { return data_; }
  size_t bytes() const { return bytes_; }
  /// Whether the bytes belong to somebody else, who sees what is written to them.
  bool is_foreign() const { return static_cast<bool>(release_); }
  /// How many buffers are alive in the process, and their bytes: for tests of leaks.
  static int64_t live_count();
  static int64_t live_bytes();
  /// All that was ever asked for: tests count what a program allocates.
  static int64_t total_bytes();

 private:
  Buffer(void* data, size_t bytes, std::function<void()> release);
  void* data_;
  size_t bytes_;
  std::function<void()> release_;
};

/// Strided memory without ownership: what kernels read and write. Strides in elements; 0 where broadcast.
struct View {
  void* data = nullptr;
  DType dtype = DType::Float64;
  Shape shape;
  Strides strides;
  int64_t size() const { return num_elements(shape); }
  template <class T>
  T* as() const {
    return static_cast<T*>(data);
  }
};
bool is_contiguous(const Shape& shape, const Strides& strides);

/// An immutable n-dimensional array: a shape and dtype with data, or a symbol in a trace, or data with its
/// history while a derivative needs it. Cheap to copy.
class Array {
 public:
  Array() = default;
  /// A weak scalar: it takes the dtype of the array it meets (`2.0 * x` stays float32 for a float32 x), as
  /// Python numbers do in the array API standard; alone it is of default_dtype(), int64 or the default's
  /// complex dtype.
  Array(double v);      // NOLINT: implicit, so that `2.0 * x` reads like maths
  Array(int v);         // NOLINT
  Array(int64_t v);     // NOLINT
  Array(complex128 v);  // NOLINT
  explicit Array(bool v);
  explicit Array(Key k);
  Array(Shape shape, DType dtype, Ref<Buffer> buffer);                                   ///< row-major data
  Array(Shape shape, Strides strides, int64_t offset, DType dtype, Ref<Buffer> buffer);  ///< strided data
  /// Copies `values`, row-major; throws ValueError when their number does not fit the shape.
  template <class T>
  static Array from(std::span<const T> values, const Shape& shape);
  template <class T>
  static Array from(std::initializer_list<T> values) {
    return from<T>(std::span<const T>(values.begin(), values.size()),
                   Shape{static_cast<int64_t>(values.size())});
  }
  /// Uninitialised memory, to be filled by a kernel before anyone else sees it.
  static Array uninitialized(Shape shape, DType dtype);

  bool defined() const { return static_cast<bool>(impl_); }
  const Shape& shape() const { return impl_->shape; }
  DType dtype() const { return impl_->dtype; }
  size_t ndim() const { return impl_->shape.size(); }
  int64_t size() const { return num_elements(impl_->shape); }
  /// Length of an axis; negative axes count from the end.
  int64_t dim(int64_t axis) const;

  bool is_weak() const { return impl_->weak; }
  bool has_data() const { return impl_->has_data; }
  /// Strided data; throws TraceError on a symbol, naming the remedy (`where`, `cond`, a static argument). The
  /// view of a symbol that depends on constants alone is valid while its trace is open.
  View view() const;
  /// The same with its data: a symbol that depends on constants alone is computed. Throws TraceError on
  /// others.
  Array materialised() const;
  const Strides& strides() const { return impl_->strides; }
  int64_t offset() const { return impl_->offset; }
  const Ref<Buffer>& buffer() const { return impl_->buffer; }
  bool contiguous() const;
  /// Whether nobody else can see this array's data: it may be overwritten.
  bool is_sole_owner() const {
    return impl_->has_data && !impl_->node && impl_->use_count() == 1 && impl_->buffer->use_count() == 1 &&
           !impl_->buffer->is_foreign();
  }
  /// Row-major data of type T; copies only when it must. Throws TypeError for another dtype.
  template <class T>
  std::vector<T> to_vector() const;
  /// The value of an array with one element, converted. Throws ValueError for more elements, TraceError for a
  /// symbol.
  template <class T>
  T item() const;

  /// The equation that made this array, or null: a constant. And which of its outputs it is.
  const Ref<Node>& node() const { return impl_->node; }
  int output_index() const { return impl_->output; }
  bool is_symbol() const { return !impl_->has_data; }
  /// Identity of the handle's contents: equal for copies of one Array.
  const void* id() const { return impl_.get(); }

  /// The same array with another view of its data: `v.data` lies in this array's buffer. No history.
  Array viewed(const View& v) const;
  /// The same data without history.
  Array detached() const;
  /// The same identity, shape and dtype without the data: what a node keeps of an input that no rule reads.
  Array without_data() const;
  /// With history `node`, output `k`. For core/apply.cpp and traces only.
  Array linked(Ref<Node> node, int k) const;
  static Array symbol(Shape shape, DType dtype, Ref<Node> node, int k);

 private:
  struct Impl : RefCounted<Impl> {
    Shape shape;
    Strides strides;
    int64_t offset = 0;
    DType dtype = DType::Float64;
    bool has_data = false, weak = false;
    int output = 0;
    Ref<Buffer> buffer;
    Ref<Node> node;
  };
  explicit Array(Ref<Impl> impl) : impl_(std::move(impl)) {}
  Ref<Impl> impl_;
};

using Arrays = std::vector<Array>;
/// A missing tangent or cotangent is nullopt: zero, never allocated.
using MaybeArray = std::optional<Array>;
using MaybeArrays = std::vector<MaybeArray>;

/// NumPy-like text with at most `max_items` entries; a symbol prints its dtype and shape.
std::string to_string(const Array& a, int64_t max_items = 1000);
std::ostream& operator<<(std::ostream& out, const Array& a);
/// "float64[2,3]": for messages. Formatted only when printed, so it costs nothing where nothing fails; valid
/// while its array or shape lives.
struct Description {
  const Shape& shape;
  DType dtype;
  operator std::string() const;  // NOLINT: it is a text
};
std::ostream& operator<<(std::ostream& out, const Description& d);
std::string operator+(const std::string& a, const Description& b);
std::string operator+(const Description& a, const std::string& b);
inline Description describe(const Shape& shape, DType dtype) { return {shape, dtype}; }
inline Description describe(const Array& a) { return {a.shape(), a.dtype()}; }

}  // namespace hesse
