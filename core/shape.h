#pragma once
#include <cstdint>
#include <initializer_list>
#include <iosfwd>
#include <span>
#include <string_view>
#include <vector>

#include "core/error.h"

namespace hesse {

/// A run-time count: the leading axis of a stack written by a while_loop (docs/decisions.md, stacks).
inline constexpr int64_t kDynamic = -(int64_t{1} << 40);

/// A short list of axis lengths, strides or axes; up to six without allocation.
class Dims {
 public:
  Dims() = default;
  Dims(std::initializer_list<int64_t> v) { assign(v.begin(), v.end()); }
  explicit Dims(std::span<const int64_t> v) { assign(v.data(), v.data() + v.size()); }
  explicit Dims(const std::vector<int64_t>& v) { assign(v.data(), v.data() + v.size()); }
  Dims(size_t n, int64_t value) { resize(n, value); }
  Dims(const Dims& o) { assign(o.begin(), o.end()); }
  Dims(Dims&& o) noexcept { steal(o); }
  Dims& operator=(const Dims& o) {
    if (this != &o) {
      size_ = 0;
      assign(o.begin(), o.end());
    }
    return *this;
  }
  Dims& operator=(Dims&& o) noexcept {
    if (this != &o) {
      release();
      steal(o);
    }
    return *this;
  }
  ~Dims() { release(); }

  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  int64_t* data() { return heap_ ? heap_ : local_; }
  const int64_t* data() const { return heap_ ? heap_ : local_; }
  int64_t* begin() { return data(); }
  int64_t* end() { return data() + size_; }
  const int64_t* begin() const { return data(); }
  const int64_t* end() const { return data() + size_; }
  int64_t& operator[](size_t i) { return data()[i]; }
  int64_t operator[](size_t i) const { return data()[i]; }
  int64_t& back() { return data()[size_ - 1]; }
  int64_t back() const { return data()[size_ - 1]; }
  int64_t front() const { return data()[0]; }
  void push_back(int64_t v) {
    grow(size_ + 1);
    data()[size_++] = v;
  }
  void pop_back() { --size_; }
  void insert(size_t at, int64_t v) {
    push_back(v);
    for (size_t i = size_ - 1; i > at; --i) data()[i] = data()[i - 1];
    data()[at] = v;
  }
  void erase(size_t at) {
    for (size_t i = at; i + 1 < size_; ++i) data()[i] = data()[i + 1];
    --size_;
  }
  void resize(size_t n, int64_t value = 0) {
    grow(n);
    for (size_t i = size_; i < n; ++i) data()[i] = value;
    size_ = n;
  }
  bool operator==(const Dims& o) const {
    if (size_ != o.size_) return false;
    for (size_t i = 0; i < size_; ++i)
      if (data()[i] != o.data()[i]) return false;
    return true;
  }
  std::vector<int64_t> vec() const { return {begin(), end()}; }

 private:
  static constexpr size_t kLocal = 6;
  void assign(const int64_t* b, const int64_t* e) {
    grow(static_cast<size_t>(e - b));
    size_ = static_cast<size_t>(e - b);
    for (size_t i = 0; i < size_; ++i) data()[i] = b[i];
  }
  void grow(size_t n) {
    if (n <= capacity_) return;
    const size_t cap = n < 2 * capacity_ ? 2 * capacity_ : n;
    auto* fresh = new int64_t[cap];
    for (size_t i = 0; i < size_; ++i) fresh[i] = data()[i];
    delete[] heap_;
    heap_ = fresh;
    capacity_ = cap;
  }
  void release() {
    delete[] heap_;
    heap_ = nullptr;
    capacity_ = kLocal;
    size_ = 0;
  }
  void steal(Dims& o) noexcept {
    heap_ = o.heap_;
    size_ = o.size_;
    capacity_ = o.capacity_;
    for (size_t i = 0; i < kLocal; ++i) local_[i] = o.local_[i];
    o.heap_ = nullptr;
    o.size_ = 0;
    o.capacity_ = kLocal;
  }
  int64_t local_[kLocal] = {};
  int64_t* heap_ = nullptr;
  size_t size_ = 0, capacity_ = kLocal;
};

using Shape = Dims;
using Strides = Dims;  // in elements, not bytes
using Axes = Dims;

/// "(2, 3)", "(4,)", "()"; a run-time count prints as "?".
std::ostream& operator<<(std::ostream& out, const Dims& d);

/// The number of elements, 1 for a scalar.
int64_t num_elements(const Shape& s);
/// Row-major strides in elements.
Strides contiguous_strides(const Shape& s);
/// The shape both broadcast to by NumPy's rules; throws ValueError naming `function` and both shapes.
Shape broadcast_shapes(std::string_view function, const Shape& a, const Shape& b);
/// `axis` in [0, ndim), negative ones counted from the end; throws IndexError naming `function`.
int64_t normalize_axis(std::string_view function, int64_t axis, size_t ndim);
/// Normalised, sorted and without repeats (throws ValueError for a repeat).
Axes normalize_axes(std::string_view function, const Axes& axes, size_t ndim);
/// 0, 1, ..., n-1.
Axes all_axes(size_t n);

}  // namespace hesse
