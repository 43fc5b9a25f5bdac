#include "core/array.h"

#include <cstring>
#include <limits>

#include "core/allocator.h"
#include "core/node.h"

namespace hesse {
namespace {
std::atomic<int64_t> g_live_count{0}, g_total_bytes{0}, g_freed_bytes{0};

template <class T>
Array scalar(T v) {
  Array a = Array::uninitialized({}, dtype_of<T>);
  *a.view().as<T>() = v;
  return a;
}

// Copies strided elements in row-major order.
template <class T>
void gather_elements(const View& v, T* out) {
  const size_t n = v.shape.size();
  const int64_t total = v.size();
  Dims at(n, 0);
  const T* p = v.as<const T>();
  for (int64_t k = 0; k < total; ++k) {
    out[k] = *p;
    for (size_t d = n; d-- > 0;) {
      p += v.strides[d];
      if (++at[d] < v.shape[d]) break;
      p -= v.strides[d] * v.shape[d];
      at[d] = 0;
    }
  }
}
}  // namespace

Buffer::Buffer(void* data, size_t bytes, std::function<void()> release)
    : data_(data), bytes_(bytes), release_(std::move(release)) {
  g_live_count.fetch_add(1, std::memory_order_relaxed);
  g_total_bytes.fetch_add(static_cast<int64_t>(bytes), std::memory_order_relaxed);
}
Buffer::~Buffer() {
  g_live_count.fetch_sub(1, std::memory_order_relaxed);
  g_freed_bytes.fetch_add(static_cast<int64_t>(bytes_), std::memory_order_relaxed);
  if (release_)
    release_();
  else
    free_bytes(data_, bytes_);
}
Ref<Buffer> Buffer::allocate(size_t bytes) {
  return Ref<Buffer>(new Buffer(allocate_bytes(bytes), bytes, nullptr));
}
Ref<Buffer> Buffer::wrap(void* data, size_t bytes, std::function<void()> release) {
  return Ref<Buffer>(new Buffer(
      data, bytes, release ? std::move(release) : [] {}));
}
int64_t Buffer::live_count() { return g_live_count.load(); }
int64_t Buffer::live_bytes() {
  const int64_t freed = g_freed_bytes.load();  // first: the difference is never below zero
  return g_total_bytes.load() - freed;
}
int64_t Buffer::total_bytes() { return g_total_bytes.load(); }

bool is_contiguous(const Shape& shape, const Strides& strides) {
  int64_t step = 1;
  for (size_t i = shape.size(); i-- > 0;) {
    if (shape[i] == 0) return true;
    if (shape[i] != 1 && strides[i] != step) return false;
    step *= shape[i];
  }
  return true;
}

Array::Array(double v) {
  *this = default_dtype() == DType::Float32 ? scalar(static_cast<float>(v)) : scalar(v);
  impl_->weak = true;
}
Array::Array(int v) : Array(static_cast<int64_t>(v)) {}
Array::Array(int64_t v) {
  *this = scalar(v);
  impl_->weak = true;
}
Array::Array(complex128 v) {
  *this = default_dtype() == DType::Float32 ? scalar(complex64(v)) : scalar(v);
  impl_->weak = true;
}
Array::Array(bool v) { *this = scalar(v); }
Array::Array(Key k) { *this = scalar(k); }

Array::Array(Shape shape, DType dtype, Ref<Buffer> buffer) : impl_(make_ref<Impl>()) {
  impl_->shape = std::move(shape);
  impl_->strides = contiguous_strides(impl_->shape);
  impl_->dtype = dtype;
  impl_->has_data = true;
  impl_->buffer = std::move(buffer);
}

Array::Array(Shape shape, Strides strides, int64_t offset, DType dtype, Ref<Buffer> buffer)
    : impl_(make_ref<Impl>()) {
  impl_->shape = std::move(shape);
  impl_->strides = std::move(strides);
  impl_->offset = offset;
  impl_->dtype = dtype;
  impl_->has_data = true;
  impl_->buffer = std::move(buffer);
}

Array Array::uninitialized(Shape shape, DType dtype) {
  int64_t n = 1;
  for (int64_t d : shape) {
    require(d >= 0, "array: negative length in shape ", shape);
    const int64_t limit = std::numeric_limits<int64_t>::max() / 32;
    require(d == 0 || n <= limit / d, "array: shape ", shape, " has too many elements");
    n *= d;
  }
  Ref<Buffer> buffer;
  try {
    buffer = Buffer::allocate(static_cast<size_t>(n * itemsize(dtype)));
  } catch (const std::bad_alloc&) {
    throw OutOfMemory(concat("not enough memory for an array ", describe(shape, dtype), " (",
                             describe_bytes(static_cast<double>(n * itemsize(dtype))),
                             "); take fewer examples at a time, or a smaller dtype"));
  }
  return Array(std::move(shape), dtype, std::move(buffer));
}

template <class T>
Array Array::from(std::span<const T> values, const Shape& shape) {
  require(num_elements(shape) == static_cast<int64_t>(values.size()), "array: ", values.size(),
          " values do not fill shape ", shape);
  Array a = uninitialized(shape, dtype_of<T>);
  if (!values.empty()) std::memcpy(a.view().data, values.data(), values.size_bytes());
  return a;
}

int64_t Array::dim(int64_t axis) const {
  return shape()[static_cast<size_t>(normalize_axis("dim", axis, ndim()))];
}

Array Array::materialised() const {
  if (has_data()) return *this;
  refuse_given_away(*this);
  if (node() && node()->trace() && node()->trace()->open())
    if (Array value = node()->trace()->value(*this); value.defined()) return value;
  throw TraceError(
      concat("the value of a symbol ", describe(*this), at_source(node() ? node()->source() : 0),
             " was asked for while a function is being recorded; use where or cond for branches on values, "
             "while_loop for loops, or make the argument static"));
}

View Array::view() const {
  if (!has_data()) [[unlikely]]
    return materialised().view();
  auto* base = static_cast<char*>(impl_->buffer->data()) + impl_->offset * itemsize(dtype());
  return {base, dtype(), impl_->shape, impl_->strides};
}

bool Array::contiguous() const { return has_data() && is_contiguous(impl_->shape, impl_->strides); }

template <class T>
std::vector<T> Array::to_vector() const {
  require<TypeError>(dtype() == dtype_of<T>, "to_vector: the array is ", dtype(), ", asked for ", dtype_of<T>,
                     "; convert with astype");
  const View v = view();
  std::vector<T> out(static_cast<size_t>(size()));
  if constexpr (std::is_same_v<T, bool>) {
    std::vector<uint8_t> bytes(out.size());
    gather_elements<uint8_t>(v, bytes.data());
    for (size_t i = 0; i < out.size(); ++i) out[i] = bytes[i] != 0;
  } else {
    if (!out.empty()) gather_elements<T>(v, out.data());
  }
  return out;
}

template <class T>
T Array::item() const {
  const View v = view();
  require(size() == 1, "item: expected one element, the array has shape ", shape());
  return visit_dtype(dtype(), [&](auto tag) -> T {
    using S = typename decltype(tag)::type;
    const S s = *v.as<S>();
    if constexpr (std::is_same_v<S, Key> || std::is_same_v<T, Key>) {
      if constexpr (std::is_same_v<S, T>)
        return s;
      else
        throw TypeError("item: a key is not a number");
    } else if constexpr (std::is_same_v<S, complex64> || std::is_same_v<S, complex128>) {
      if constexpr (std::is_same_v<T, complex64> || std::is_same_v<T, complex128>)
        return T(static_cast<typename T::value_type>(s.real()),
                 static_cast<typename T::value_type>(s.imag()));
      else
        throw TypeError("item: a complex value is not a real number; use real or abs");
    } else if constexpr (std::is_same_v<T, complex64> || std::is_same_v<T, complex128>) {
      return T(static_cast<typename T::value_type>(s));
    } else {
      return static_cast<T>(s);
    }
  });
}

#define HESSE_X(type, tag)                                               \
  template Array Array::from<type>(std::span<const type>, const Shape&); \
  template std::vector<type> Array::to_vector<type>() const;             \
  template type Array::item<type>() const;
HESSE_DTYPES(HESSE_X)
#undef HESSE_X

Array Array::viewed(const View& v) const {
  const auto* base = static_cast<const char*>(impl_->buffer->data());
  const int64_t offset = (static_cast<const char*>(v.data) - base) / itemsize(dtype());
  return Array(v.shape, v.strides, offset, dtype(), impl_->buffer);
}

Array Array::detached() const {
  if (!impl_->node) return *this;
  Array a(make_ref<Impl>(*impl_));
  a.impl_->node = nullptr;
  return a;
}

Array Array::without_data() const {
  if (!impl_->buffer) return *this;
  Array a(make_ref<Impl>(*impl_));
  a.impl_->buffer = nullptr;
  a.impl_->has_data = false;
  return a;
}

Array Array::linked(Ref<Node> node, int k) const {
  Array a(make_ref<Impl>(*impl_));
  a.impl_->node = std::move(node);
  a.impl_->output = k;
  a.impl_->weak = false;
  return a;
}

Array Array::symbol(Shape shape, DType dtype, Ref<Node> node, int k) {
  Array a(make_ref<Impl>());
  a.impl_->shape = std::move(shape);
  a.impl_->dtype = dtype;
  a.impl_->node = std::move(node);
  a.impl_->output = k;
  return a;
}

std::ostream& operator<<(std::ostream& out, const Description& d) {
  out << d.dtype << '[';
  for (size_t i = 0; i < d.shape.size(); ++i) {
    if (i) out << ',';
    if (d.shape[i] == kDynamic)
      out << '?';
    else
      out << d.shape[i];
  }
  return out << ']';
}
Description::operator std::string() const { return concat(*this); }
std::string operator+(const std::string& a, const Description& b) { return a + std::string(b); }
std::string operator+(const Description& a, const std::string& b) { return std::string(a) + b; }

}  // namespace hesse
