#pragma once
#include <cstddef>

namespace hesse {

/// 64-byte aligned memory. Freed blocks are kept per thread, by size class, up to a bound: large temporaries
/// given back to the system and faulted in again cost the peers up to half of a training step.
void* allocate_bytes(size_t bytes);
void free_bytes(void* p, size_t bytes);

}  // namespace hesse
