#pragma once
#include <cstddef>
#include <new>
#include <string>
#include <string_view>

namespace hesse {

/// Memory that the system does not give (Python: MemoryError): for what, how much, and what to do.
class OutOfMemory : public std::bad_alloc {
 public:
  /// `named`: the message begins with the function.
  explicit OutOfMemory(std::string message, bool named = false)
      : message_(std::move(message)), named_(named) {}
  /// The same, said of a function, unless it says so already.
  OutOfMemory in(std::string_view function) const {
    return named_ ? *this : OutOfMemory(std::string(function) + ": " + message_, true);
  }
  const char* what() const noexcept override { return message_.c_str(); }

 private:
  std::string message_;
  bool named_;
};

/// f(), whose OutOfMemory names the function.
template <class F>
auto with_memory_for(std::string_view function, F&& f) {
  try {
    return f();
  } catch (const OutOfMemory& e) {
    throw e.in(function);
  }
}

/// A number of bytes to read: "1.5 GiB".
std::string describe_bytes(double bytes);

/// 64-byte aligned memory. Freed blocks are kept by size class, few by each thread and up to a bound by all:
/// large temporaries given back to the system and faulted in again cost the peers up to half of a training
/// step.
/// Throws std::bad_alloc; who knows what it is for says so by OutOfMemory.
void* allocate_bytes(size_t bytes);
void free_bytes(void* p, size_t bytes);

}  // namespace hesse
