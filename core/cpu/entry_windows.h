#pragma once
#include <xbyak/xbyak.h>

#include <algorithm>
#include <array>
#include <map>

#include "core/cpu/entry_code.h"

/// How the code of an EntryLoop names memory in short.
namespace hesse::cpu::entry {

using Xbyak::Reg64;
using Loop = EntryLoop;

// Bytes of the widest vectors.
inline constexpr int kVector = 64;

/// Registers for places in the memory that a loop's one pointer points at: an instruction that names a place
/// within 128 vectors, or entries, of a register takes 8 bytes, else 11, and straight lines of code are bound
/// by how fast they are read.
class Windows {
 public:
  Windows(const Loop& loop, std::vector<Reg64> registers) : item_(static_cast<int>(itemsize(loop.dtype))) {
    std::array<std::map<int64_t, int>, 2> uses;  // of rows, of uniform entries; by window
    const auto count = [&](const Loop::Memory& m) { ++uses[m.uniform][number(m)]; };
    for (const Loop::Memory& m : loop.loads) count(m);
    for (const Loop::Step& s : loop.steps)
      if (s.out) count(*s.out);
    std::vector<std::pair<int, Window>> found;
    for (const bool uniform : {false, true})
      for (const auto& [n, times] : uses[uniform])
        if (times >= kFewest && n != 0) found.push_back({times, {uniform, n, Reg64()}});
    std::ranges::stable_sort(found, std::greater<>(), &std::pair<int, Window>::first);
    for (size_t k = 0; k < std::min(found.size(), registers.size()); ++k) {
      found[k].second.reg = registers[k];
      windows_.push_back(found[k].second);
    }
  }
  void set(Xbyak::CodeGenerator& code, const Reg64& base) const {
    for (const Window& w : windows_) code.lea(w.reg, Xbyak::util::ptr[base + static_cast<int>(middle(w))]);
  }
  /// The register from which a place is named, and how far it is.
  std::pair<Reg64, int> of(const Loop::Memory& m, const Reg64& base) const {
    for (const Window& w : windows_)
      if (w.uniform == m.uniform && w.number == number(m))
        return {w.reg, static_cast<int>(m.offset - middle(w))};
    return {base, static_cast<int>(m.offset)};
  }

 private:
  static constexpr int kFewest = 8;  // places: below, a register is not worth its instruction
  struct Window {
    bool uniform;
    int64_t number;
    Reg64 reg;
  };
  // Of the places that a byte can name, counted in vectors or entries: -128 to 127.
  int64_t width(bool uniform) const { return 256 * (uniform ? item_ : kVector); }
  int64_t number(const Loop::Memory& m) const { return (m.offset + width(m.uniform) / 2) / width(m.uniform); }
  int64_t middle(const Window& w) const { return w.number * width(w.uniform); }

  int item_;
  std::vector<Window> windows_;
};

}  // namespace hesse::cpu::entry
