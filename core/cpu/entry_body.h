#pragma once
#include <xbyak/xbyak.h>

#include <algorithm>
#include <array>

#include "core/cpu/entry_windows.h"

/// The steps of an EntryLoop as instructions of x86-64: which values are in which registers.
namespace hesse::cpu::entry {

using Xbyak::Address;
using Xbyak::Xmm;
using Xbyak::Ymm;  // vectors of any size: the size is part of the value

inline size_t at(int i) { return static_cast<size_t>(i); }
inline bool makes_bools(EntryOp op) {
  return (op >= EntryOp::Equal && op <= EntryOp::Not) ||
         (op >= EntryOp::EqualInt && op <= EntryOp::LessEqualInt);
}

/// The first entries of a vector of 64 bytes: those that are loaded and stored where a row ends within it.
inline const Xbyak::Opmask kFirstEntries = Xbyak::util::k2;

/// The steps of a loop for one vector of entries of 64 bytes (AVX-512) or 32 (AVX2), or for one entry. Values
/// stay in registers while there are enough; then those go whose next reader is farthest: loads are read
/// again, results lie on the stack.
class Body {
 public:
  /// `index`: of the entry, or null: `first`. `windows`: null where there are none. `partial`: only
  /// kFirstEntries of a vector of 64 bytes.
  Body(Xbyak::CodeGenerator& code, const Loop& loop, const std::vector<Reg64>& pointers, const Reg64* index,
       int width, const Windows* windows = nullptr, bool partial = false, int first = 0)
      : c_(code),
        loop_(loop),
        pointers_(pointers),
        index_(index),
        windows_(windows),
        single_(width == 1),
        partial_(partial),
        full_(width * static_cast<int>(itemsize(loop.dtype)) == kVector),
        first_(first) {
    item_ = static_cast<int>(itemsize(loop.dtype));
    wide_ = item_ == 8;
    const size_t n = loop.loads.size() + loop.steps.size();
    uses_.resize(n);
    reg_.assign(n, -1);
    slot_.assign(n, -1);
    holder_.fill(kFree);
    for (size_t s = 0; s < loop.steps.size(); ++s)
      for (int v : loop.steps[s].in)
        if (v >= 0) uses_[at(v)].push_back(static_cast<int>(s));
  }

  void emit() {
    for (now_ = 0; now_ < static_cast<int>(loop_.steps.size()); ++now_) {
      pinned_.fill(false);
      step(loop_.steps[at(now_)]);
    }
  }

 private:
  static constexpr int kFree = -1, kTemporary = -2;

  bool is_load(int v) const { return v < static_cast<int>(loop_.loads.size()); }
  int next_use(int v, int from) const {
    const auto it = std::lower_bound(uses_[at(v)].begin(), uses_[at(v)].end(), from);
    return it == uses_[at(v)].end() ? static_cast<int>(loop_.steps.size()) : *it;
  }
  bool dies(int v) const { return next_use(v, now_ + 1) == static_cast<int>(loop_.steps.size()); }

  Ymm vector(int r) const { return full_ ? Ymm(Xbyak::Zmm(r)) : Ymm(r); }
  int num_registers() const { return full_ ? 32 : 16; }
  Address slot(int s) const { return Xbyak::util::ptr[Xbyak::util::rsp + s * kVector]; }
  Address memory(const Loop::Memory& m, int item) const {
    const auto [base, offset] = place(m);
    if (m.uniform) return Xbyak::util::ptr[base + offset];
    return index_ ? Xbyak::util::ptr[base + *index_ * item + offset]
                  : Xbyak::util::ptr[base + (offset + first_ * item)];
  }
  std::pair<Reg64, int> place(const Loop::Memory& m) const {
    const Reg64& base = pointers_[at(m.pointer)];
    return windows_ ? windows_->of(m, base) : std::pair(base, static_cast<int>(m.offset));
  }

  // A register for a value or temporary, which stays where it is during this step.
  Ymm allocate(int holder) {
    int best = -1, farthest = -1;
    for (int r = 0; r < num_registers(); ++r) {
      if (pinned_[at(r)]) continue;
      if (holder_[at(r)] == kFree) {
        best = r;
        break;
      }
      if (const int next = next_use(holder_[at(r)], now_); next > farthest) farthest = next, best = r;
    }
    if (holder_[at(best)] >= 0) {
      const int v = holder_[at(best)];
      if (!is_load(v) && slot_[at(v)] < 0) {
        slot_[at(v)] = take_slot();
        c_.vmovups(slot(slot_[at(v)]), vector(best));
      }
      reg_[at(v)] = -1;
    }
    holder_[at(best)] = holder;
    pinned_[at(best)] = true;
    if (holder >= 0) reg_[at(holder)] = best;
    return vector(best);
  }
  void release(const Ymm& r) {
    holder_[at(r.getIdx())] = kFree;
    pinned_[at(r.getIdx())] = false;
  }
  int take_slot() {
    if (free_slots_.empty()) return slots_++;
    const int s = free_slots_.back();
    free_slots_.pop_back();
    return s;
  }

  Ymm in_register(int v) {
    if (const int r = reg_[at(v)]; r >= 0) {
      pinned_[at(r)] = true;
      return vector(r);
    }
    const Ymm r = allocate(v);
    if (is_load(v))
      load(r, loop_.loads[at(v)], loop_.is_bool[at(v)]);
    else
      c_.vmovups(r, slot(slot_[at(v)]));
    return r;
  }
  // As the last operand of an instruction: in memory, where it is read once more only.
  bool foldable(int v) const {
    // One number for all lanes is read by the instruction itself, however often.
    if (full_ && reg_[at(v)] < 0 && is_load(v) && loop_.loads[at(v)].uniform)
      return std::count(uses_[at(v)].begin(), uses_[at(v)].end(), now_) == 1;
    if (reg_[at(v)] >= 0 || !dies(v) || std::count(uses_[at(v)].begin(), uses_[at(v)].end(), now_) != 1)
      return false;
    if (!is_load(v)) return true;
    return !single_ && !partial_ && !loop_.loads[at(v)].uniform && !loop_.is_bool[at(v)];
  }
  Address folded(int v) const {
    if (!is_load(v)) return slot(slot_[at(v)]);
    const Loop::Memory& m = loop_.loads[at(v)];
    if (!m.uniform) return memory(m, item_);
    const auto [base, offset] = place(m);
    return Xbyak::util::ptr_b[base + offset];
  }
  // All bits.
  void set_ones(const Ymm& r) { full_ ? c_.vpternlogd(r, r, r, 0xff) : c_.vpcmpeqd(r, r, r); }
  // What is chosen by a mask, x, and else y.
  void choose(const Ymm& out, const Ymm& mask, const Ymm& x, const Ymm& y) {
    if (!full_) return wide_ ? c_.vblendvpd(out, y, x, mask) : c_.vblendvps(out, y, x, mask);
    wide_ ? c_.vpmovq2m(kMask, mask) : c_.vpmovd2m(kMask, mask);
    choose(out, x, y);
  }
  void choose(const Ymm& out, const Ymm& x, const Ymm& y) {  // by kMask
    wide_ ? c_.vblendmpd(out | kMask, y, x) : c_.vblendmps(out | kMask, y, x);
  }
  void spread_mask(const Ymm& out) { wide_ ? c_.vpmovm2q(out, kMask) : c_.vpmovm2d(out, kMask); }

  void load(const Ymm& r, const Loop::Memory& m, bool is_bool) {
    const Xmm x(r.getIdx());
    if (is_bool) {
      const Address from = memory(m, 1);
      if (single_) {
        c_.movzx(Xbyak::util::eax, Xbyak::util::byte[from.getRegExp()]);
        c_.vmovd(x, Xbyak::util::eax);
      } else if (wide_) {
        c_.vpmovzxbq(loaded(r), from);
      } else {
        c_.vpmovzxbd(loaded(r), from);
      }
      if (full_) {
        wide_ ? c_.vptestmq(kMask, r, r) : c_.vptestmd(kMask, r, r);
        return spread_mask(r);
      }
      const Ymm zero = allocate(kTemporary);
      c_.vpxor(zero, zero, zero);
      wide_ ? c_.vpcmpgtq(r, r, zero) : c_.vpcmpgtd(r, r, zero);
      release(zero);
      return;
    }
    const Address from = memory(m, item_);
    if (m.uniform)
      wide_ ? c_.vbroadcastsd(r, from) : c_.vbroadcastss(r, from);
    else if (single_)
      wide_ ? c_.vmovsd(x, from) : c_.vmovss(x, from);
    else
      wide_ ? c_.vmovupd(loaded(r), from) : c_.vmovups(loaded(r), from);
  }
  Ymm loaded(const Ymm& r) const { return partial_ ? r | kFirstEntries | Xbyak::util::T_z : r; }
  Address stored(const Address& to) const { return partial_ ? to | kFirstEntries : to; }

  void store(const Ymm& r, const Loop::Memory& m, bool is_bool) {
    const Xmm x(r.getIdx());
    if (!is_bool) {
      const Address to = memory(m, item_);
      if (!single_)
        wide_ ? c_.vmovupd(stored(to), r) : c_.vmovups(stored(to), r);
      else
        wide_ ? c_.vmovsd(to, x) : c_.vmovss(to, x);
      return;
    }
    const Address to = memory(m, 1);
    if (single_) {
      c_.vmovd(Xbyak::util::eax, x);
      c_.and_(Xbyak::util::eax, 1);
      c_.mov(Xbyak::util::byte[to.getRegExp()], Xbyak::util::al);
      return;
    }
    const Ymm t = allocate(kTemporary);
    if (full_) {
      wide_ ? c_.vpsrlq(t, r, 63) : c_.vpsrld(t, r, 31);
      wide_ ? c_.vpmovqb(stored(to), t) : c_.vpmovdb(stored(to), t);
      return release(t);
    }
    const Xmm bytes(t.getIdx());
    c_.vextracti128(bytes, r, 1);
    c_.vpackssdw(bytes, x, bytes);
    if (wide_) c_.vpackssdw(bytes, bytes, bytes);
    c_.vpacksswb(bytes, bytes, bytes);
    c_.vpabsb(bytes, bytes);
    wide_ ? c_.vmovd(to, bytes) : c_.vmovq(to, bytes);
    release(t);
  }

  // Where the result goes: into the register of an operand that is not read again, or another.
  Ymm result(std::initializer_list<int> operands) {
    const int v = static_cast<int>(loop_.loads.size()) + now_;
    for (int x : operands)
      if (reg_[at(x)] >= 0 && dies(x)) {
        const int r = reg_[at(x)];
        reg_[at(x)] = -1;
        reg_[at(v)] = r;
        holder_[at(r)] = v;
        return vector(r);
      }
    return allocate(v);
  }

  void step(const Loop::Step& s) {
    int a = s.in[0], b = s.in[1];
    const int z = s.in[2];
    const bool commutes = s.op == EntryOp::Add || s.op == EntryOp::Multiply || s.op == EntryOp::MultiplyAdd ||
                          s.op == EntryOp::MultiplySubtract || s.op == EntryOp::SubtractProduct;
    if (full_ && commutes && foldable(a) && !foldable(b)) std::swap(a, b);
    switch (s.op) {
      case EntryOp::Negative:
      case EntryOp::Abs: {
        const Ymm x = in_register(a), bits = allocate(kTemporary);
        const bool negative = s.op == EntryOp::Negative;
        set_ones(bits);
        if (negative)
          wide_ ? c_.vpsllq(bits, bits, 63) : c_.vpslld(bits, bits, 31);
        else
          wide_ ? c_.vpsrlq(bits, bits, 1) : c_.vpsrld(bits, bits, 1);
        const Ymm out = result({a});
        negative ? c_.vxorps(out, x, bits) : c_.vandps(out, x, bits);
        release(bits);
        break;
      }
      case EntryOp::Square: {
        const Ymm x = in_register(a), out = result({a});
        multiply(out, x, x);
        break;
      }
      case EntryOp::Sqrt: {
        const Ymm x = in_register(a), out = result({a});
        wide_ ? c_.vsqrtpd(out, x) : c_.vsqrtps(out, x);
        break;
      }
      case EntryOp::Reciprocal:
      case EntryOp::Rsqrt: {
        const Ymm x = in_register(a), one = allocate(kTemporary), out = result({a});
        set_ones(one);  // the exponent of 1, from ones
        if (wide_) {
          c_.vpsrlq(one, one, 54);
          c_.vpsllq(one, one, 52);
        } else {
          c_.vpsrld(one, one, 25);
          c_.vpslld(one, one, 23);
        }
        if (s.op == EntryOp::Rsqrt) wide_ ? c_.vsqrtpd(out, x) : c_.vsqrtps(out, x);
        const Ymm& root = s.op == EntryOp::Rsqrt ? out : x;
        wide_ ? c_.vdivpd(out, one, root) : c_.vdivps(out, one, root);
        release(one);
        break;
      }
      case EntryOp::Add:
      case EntryOp::Subtract:
      case EntryOp::Multiply:
      case EntryOp::Divide: {
        const Ymm x = in_register(a);
        if (foldable(b)) {
          const Address y = folded(b);
          arithmetic(s.op, result({a}), x, y);
        } else {
          const Ymm y = in_register(b);
          arithmetic(s.op, result({a, b}), x, y);
        }
        break;
      }
      case EntryOp::Maximum:
      case EntryOp::Minimum: {  // of x and NaN the instructions give x: y goes over it
        const Ymm x = in_register(a), y = in_register(b), nan = allocate(kTemporary);
        compare(nan, y, y, kUnordered);
        const Ymm best = allocate(kTemporary);
        if (s.op == EntryOp::Maximum)
          wide_ ? c_.vmaxpd(best, y, x) : c_.vmaxps(best, y, x);
        else
          wide_ ? c_.vminpd(best, y, x) : c_.vminps(best, y, x);
        const Ymm out = result({a, b});
        choose(out, nan, y, best);
        release(nan);
        release(best);
        break;
      }
      case EntryOp::Equal:
        compare(a, b, 0);  // ordered, quiet
        break;
      case EntryOp::NotEqual:
        compare(a, b, 4);  // or unordered
        break;
      case EntryOp::Less:
        compare(a, b, 17);
        break;
      case EntryOp::LessEqual:
        compare(a, b, 18);
        break;
      case EntryOp::And:
      case EntryOp::Or: {
        const Ymm x = in_register(a), y = in_register(b), out = result({a, b});
        s.op == EntryOp::And ? c_.vandps(out, x, y) : c_.vorps(out, x, y);
        break;
      }
      case EntryOp::Not: {
        const Ymm x = in_register(a), ones = allocate(kTemporary);
        set_ones(ones);
        c_.vxorps(result({a}), x, ones);
        release(ones);
        break;
      }
      case EntryOp::Where: {
        const Ymm mask = in_register(a), y = in_register(z), x = in_register(b), out = result({a, b, z});
        choose(out, mask, x, y);
        break;
      }
      case EntryOp::MultiplyAdd:
      case EntryOp::MultiplySubtract:
      case EntryOp::SubtractProduct:
        fused(s.op, a, b, z);
        break;
      case EntryOp::AddInt:
      case EntryOp::SubtractInt: {
        const Ymm x = in_register(a), y = in_register(b), out = result({a, b});
        s.op == EntryOp::AddInt ? c_.vpaddq(out, x, y) : c_.vpsubq(out, x, y);
        break;
      }
      case EntryOp::EqualInt:
      case EntryOp::NotEqualInt:
      case EntryOp::LessInt:
      case EntryOp::LessEqualInt:
        compare_integers(s.op, a, b);
        break;
      case EntryOp::Copy: {
        const Ymm x = in_register(a);
        if (const int v = static_cast<int>(loop_.loads.size()) + now_; s.out && uses_[at(v)].empty()) {
          store(x, *s.out, false);
          if (dies(a)) drop(a);
          return;
        }
        const Ymm out = result({a});
        if (out.getIdx() != x.getIdx()) c_.vmovaps(out, x);
        break;
      }
    }
    const int v = static_cast<int>(loop_.loads.size()) + now_;
    if (s.out) store(vector(reg_[at(v)]), *s.out, makes_bools(s.op));
    for (int x : s.in)
      if (x >= 0 && dies(x)) drop(x);
    if (dies(v)) drop(v);
  }

  void drop(int v) {
    if (reg_[at(v)] >= 0) holder_[at(reg_[at(v)])] = kFree;
    if (slot_[at(v)] >= 0) free_slots_.push_back(slot_[at(v)]);
    reg_[at(v)] = slot_[at(v)] = -1;
  }

  void multiply(const Ymm& out, const Ymm& x, const Xbyak::Operand& y) {
    wide_ ? c_.vmulpd(out, x, y) : c_.vmulps(out, x, y);
  }
  void arithmetic(EntryOp op, const Ymm& out, const Ymm& x, const Xbyak::Operand& y) {
    if (op == EntryOp::Add)
      wide_ ? c_.vaddpd(out, x, y) : c_.vaddps(out, x, y);
    else if (op == EntryOp::Subtract)
      wide_ ? c_.vsubpd(out, x, y) : c_.vsubps(out, x, y);
    else if (op == EntryOp::Multiply)
      multiply(out, x, y);
    else
      wide_ ? c_.vdivpd(out, x, y) : c_.vdivps(out, x, y);
  }
  void compare(int a, int b, uint8_t how) {
    const Ymm x = in_register(a), y = in_register(b), out = result({a, b});
    compare(out, x, y, how);
  }
  void compare(const Ymm& out, const Ymm& x, const Ymm& y, uint8_t how) {
    if (!full_) return wide_ ? c_.vcmppd(out, x, y, how) : c_.vcmpps(out, x, y, how);
    wide_ ? c_.vcmppd(kMask, x, y, how) : c_.vcmpps(kMask, x, y, how);
    spread_mask(out);
  }

  void compare_integers(EntryOp op, int a, int b) {
    const Ymm x = in_register(a), y = in_register(b);
    const bool negated = op == EntryOp::NotEqualInt || op == EntryOp::LessEqualInt;
    const Ymm ones = negated ? allocate(kTemporary) : x;
    const Ymm out = result({a, b});
    if (full_) {
      if (op == EntryOp::LessInt || op == EntryOp::LessEqualInt)
        op == EntryOp::LessInt ? c_.vpcmpgtq(kMask, y, x) : c_.vpcmpgtq(kMask, x, y);
      else
        c_.vpcmpeqq(kMask, x, y);
      spread_mask(out);
    } else if (op == EntryOp::LessInt)
      c_.vpcmpgtq(out, y, x);
    else if (op == EntryOp::LessEqualInt)
      c_.vpcmpgtq(out, x, y);
    else
      c_.vpcmpeqq(out, x, y);
    if (!negated) return;
    set_ones(ones);
    c_.vxorps(out, out, ones);
    release(ones);
  }

  // x y + z and the like: the instructions write over one of the three.
  void fused(EntryOp op, int a, int b, int z) {
    const Ymm x = in_register(a), c = in_register(z);
    const bool fold = foldable(b);
    const Address from = fold ? folded(b) : slot(0);
    const Ymm y = fold ? x : in_register(b);
    const auto last = [&]() -> const Xbyak::Operand& {
      return fold ? static_cast<const Xbyak::Operand&>(from) : y;
    };
    if (dies(z) && z != a && z != b) {
      fma231(op, result({z}), x, last());
    } else if (dies(a) && a != b && a != z && !fold) {
      fma213(op, result({a}), y, c);
    } else if (dies(b) && a != b && b != z && !fold) {
      fma213(op, result({b}), x, c);
    } else {
      const Ymm out = allocate(static_cast<int>(loop_.loads.size()) + now_);
      c_.vmovaps(out, c);
      fma231(op, out, x, last());
    }
  }
  void fma231(EntryOp op, const Ymm& z, const Ymm& x, const Xbyak::Operand& y) {
    if (op == EntryOp::MultiplyAdd)
      wide_ ? c_.vfmadd231pd(z, x, y) : c_.vfmadd231ps(z, x, y);
    else if (op == EntryOp::MultiplySubtract)
      wide_ ? c_.vfmsub231pd(z, x, y) : c_.vfmsub231ps(z, x, y);
    else
      wide_ ? c_.vfnmadd231pd(z, x, y) : c_.vfnmadd231ps(z, x, y);
  }
  void fma213(EntryOp op, const Ymm& x, const Ymm& y, const Ymm& z) {
    if (op == EntryOp::MultiplyAdd)
      wide_ ? c_.vfmadd213pd(x, y, z) : c_.vfmadd213ps(x, y, z);
    else if (op == EntryOp::MultiplySubtract)
      wide_ ? c_.vfmsub213pd(x, y, z) : c_.vfmsub213ps(x, y, z);
    else
      wide_ ? c_.vfnmadd213pd(x, y, z) : c_.vfnmadd213ps(x, y, z);
  }

  static constexpr uint8_t kUnordered = 3;
  const Xbyak::Opmask kMask = Xbyak::util::k1;
  Xbyak::CodeGenerator& c_;
  const Loop& loop_;
  const std::vector<Reg64>& pointers_;
  const Reg64* const index_;
  const Windows* const windows_;
  const bool single_, partial_, full_;
  const int first_;
  int item_ = 4, now_ = 0, slots_ = 0;
  bool wide_ = false;
  std::vector<std::vector<int>> uses_;  // by value: the steps that read it
  std::vector<int> reg_, slot_;         // by value, or -1
  std::vector<int> free_slots_;
  std::array<int, 32> holder_{};  // by register
  std::array<bool, 32> pinned_{};
};

}  // namespace hesse::cpu::entry
