#pragma once
#include <atomic>
#include <cstdint>
#include <utility>

#include "core/allocator.h"

namespace hesse {

/// Base of objects that count their own references.
template <class T>
class RefCounted {
 public:
  RefCounted() = default;
  RefCounted(const RefCounted&) {}
  RefCounted& operator=(const RefCounted&) { return *this; }
  void retain() const { count_.fetch_add(1, std::memory_order_relaxed); }
  void release() const {
    if (count_.fetch_sub(1, std::memory_order_acq_rel) == 1) delete static_cast<const T*>(this);
  }
  int64_t use_count() const { return count_.load(std::memory_order_acquire); }

  /// From the pool: a recording makes and drops thousands of nodes and arrays.
  static void* operator new(size_t bytes) { return allocate_bytes(bytes); }
  static void operator delete(void* p, size_t bytes) { free_bytes(p, bytes); }

 private:
  mutable std::atomic<int64_t> count_{0};
};

template <class T>
void retain(const T* p) {
  p->retain();
}
template <class T>
void release(const T* p) {
  p->release();
}
/// For the two types that are held before they are complete; defined beside them.
class Node;
class Graph;
void retain(const Node* p);
void release(const Node* p);
void retain(const Graph* p);
void release(const Graph* p);

/// A counted pointer to a RefCounted object.
template <class T>
class Ref {
 public:
  Ref() = default;
  Ref(std::nullptr_t) {}
  explicit Ref(T* p) : p_(p) {
    if (p_) hesse::retain(p_);
  }
  Ref(const Ref& o) : p_(o.p_) {
    if (p_) hesse::retain(p_);
  }
  Ref(Ref&& o) noexcept : p_(std::exchange(o.p_, nullptr)) {}
  Ref& operator=(Ref o) noexcept {
    std::swap(p_, o.p_);
    return *this;
  }
  ~Ref() {
    if (p_) hesse::release(p_);
  }
  T* get() const { return p_; }
  T* operator->() const { return p_; }
  T& operator*() const { return *p_; }
  explicit operator bool() const { return p_ != nullptr; }
  bool operator==(const Ref& o) const { return p_ == o.p_; }
  bool operator==(std::nullptr_t) const { return p_ == nullptr; }

 private:
  T* p_ = nullptr;
};

template <class T, class... A>
Ref<T> make_ref(A&&... args) {
  return Ref<T>(new T(std::forward<A>(args)...));
}

}  // namespace hesse
