#pragma once
#include <cstddef>
#include <filesystem>
#include <span>
#include <string>

namespace hesse::io {

/// A file that appears whole or not at all: written under a temporary name in the same folder, flushed to the
/// disk and renamed by commit(). Destroyed without commit(), it leaves what was there before. Throws
/// FileError naming the path.
class AtomicFile {
 public:
  explicit AtomicFile(std::filesystem::path path);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;
  void write(std::span<const std::byte> bytes);
  void commit();

 private:
  [[noreturn]] void fail(const char* what) const;
  std::filesystem::path path_, temporary_;
  int descriptor_ = -1;
};

}  // namespace hesse::io
