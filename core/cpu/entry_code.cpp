#include "core/cpu/entry_code.h"

#include "core/cpu/simd_kernels.h"
#include "core/error.h"

#if defined(__x86_64__)
#include <deque>

#include "core/cpu/entry_body.h"
#endif

namespace hesse::cpu {

template <class T>
std::optional<EntryOp> entry_op(void (*kernel)()) {
  static const std::vector<std::pair<void (*)(), EntryOp>> known = [] {
    const SimdKernels<T>& k = simd_kernels<T>();
    std::vector<std::pair<void (*)(), EntryOp>> out;
    const auto add = [&](auto f, EntryOp op) { out.emplace_back(reinterpret_cast<void (*)()>(f), op); };
    add(k.negative, EntryOp::Negative);
    add(k.abs, EntryOp::Abs);
    add(k.square, EntryOp::Square);
    add(k.reciprocal, EntryOp::Reciprocal);
    add(k.sqrt, EntryOp::Sqrt);
    add(k.rsqrt, EntryOp::Rsqrt);
    add(k.add, EntryOp::Add);
    add(k.subtract, EntryOp::Subtract);
    add(k.multiply, EntryOp::Multiply);
    add(k.divide, EntryOp::Divide);
    add(k.maximum, EntryOp::Maximum);
    add(k.minimum, EntryOp::Minimum);
    add(k.equal, EntryOp::Equal);
    add(k.not_equal, EntryOp::NotEqual);
    add(k.less, EntryOp::Less);
    add(k.less_equal, EntryOp::LessEqual);
    add(k.where, EntryOp::Where);
    add(k.multiply_add, EntryOp::MultiplyAdd);
    add(k.multiply_subtract, EntryOp::MultiplySubtract);
    add(k.subtract_product, EntryOp::SubtractProduct);
    return out;
  }();
  for (const auto& [f, op] : known)
    if (f == kernel) return op;
  return std::nullopt;
}
template std::optional<EntryOp> entry_op<float>(void (*)());
template std::optional<EntryOp> entry_op<double>(void (*)());

#if defined(__x86_64__)

using namespace entry;

struct EntryCode::Assembler : Xbyak::CodeGenerator {
  Assembler() : CodeGenerator(4096, Xbyak::AutoGrow) {}
  std::deque<Function> functions;
  std::vector<size_t> begins;

  void loop(const Loop& body) {
    using namespace Xbyak::util;
    const std::vector<Reg64> all{r8, r9, r10, r11, rbx, r12, r13, r14, rdi};
    const std::vector<Reg64> pointers(all.end() - static_cast<std::ptrdiff_t>(body.row_bytes.size()),
                                      all.end());
    const Reg64& rows = rsi;
    const Reg64 saved[] = {rbx, rbp, r12, r13, r14, r15};
    for (const Reg64& r : saved) push(r);
    mov(rbp, rsp);
    sub(rsp, static_cast<uint32_t>(kVector * body.steps.size()));
    and_(rsp, -kVector);
    for (size_t p = 0; p < pointers.size(); ++p)  // rdi, where the others are found, last
      mov(pointers[p], ptr[rdi + 8 * static_cast<int>(p)]);

    Xbyak::Label row;
    L(row);
    body.run > 0 ? known_entries(body, pointers) : any_entries(body, pointers);
    for (size_t p = 0; p < pointers.size(); ++p)
      if (body.row_bytes[p] != 0) add(pointers[p], static_cast<uint32_t>(body.row_bytes[p]));
    dec(rows);
    jnz(row, T_NEAR);

    vzeroupper();
    mov(rsp, rbp);
    for (size_t i = std::size(saved); i-- > 0;) pop(saved[i]);
    ret();
  }

 private:
  const Reg64& index_ = Xbyak::util::rcx;
  const Reg64& run_ = Xbyak::util::rdx;
  const Reg64& whole_ = Xbyak::util::r15;

  static int width_of(const Loop& body) {  // of the widest vectors
    return (active_isa() < Isa::Avx512 ? 32 : kVector) / static_cast<int>(itemsize(body.dtype));
  }
  // Of a row there are as many of the widest vectors as fit; the rest is part of one (AVX-512), or goes entry
  // by entry.
  void any_entries(const Loop& body, const std::vector<Reg64>& pointers) {
    using namespace Xbyak::util;
    Xbyak::Label again, rest, next;
    const int width = width_of(body);
    xor_(index_, index_);
    mov(whole_, run_);
    sub(whole_, width);
    jl(rest, T_NEAR);
    L(again);
    Body(*this, body, pointers, &index_, width).emit();
    add(index_, width);
    cmp(index_, whole_);
    jle(again, T_NEAR);
    L(rest);
    cmp(index_, run_);
    jae(next, T_NEAR);
    if (active_isa() >= Isa::Avx512) {
      mov(whole_, run_);
      sub(whole_, index_);
      mov(eax, -1);
      bzhi(eax, eax, whole_.cvt32());
      kmovw(kFirstEntries, eax);
      Body(*this, body, pointers, &index_, width, nullptr, true).emit();
    } else {
      Xbyak::Label one;
      L(one);
      Body(*this, body, pointers, &index_, 1).emit();
      add(index_, 1);
      cmp(index_, run_);
      jb(one, T_NEAR);
    }
    L(next);
  }
  void known_entries(const Loop& body, const std::vector<Reg64>& pointers) {
    using namespace Xbyak::util;
    std::optional<Windows> windows;
    if (active_isa() >= Isa::Avx512 && pointers.size() == 1) {
      windows.emplace(body, std::vector<Reg64>{r8, r9, r10, r11, rbx, r12, r13, r14, r15, rdx});
      windows->set(*this, pointers[0]);
    }
    const Windows* const from = windows ? &*windows : nullptr;
    const int width = width_of(body);
    const bool masked = active_isa() >= Isa::Avx512;
    const auto run = static_cast<int>(body.run), whole = run / width * width;
    // Short rows of a few steps have no loop; long code is bound by how fast it is read.
    constexpr int kFewVectors = 4;
    constexpr size_t kFewSteps = 16;
    const bool few = masked && run <= kFewVectors * width && body.steps.size() <= kFewSteps;
    const bool written_out = few || run == width;
    if (written_out)
      for (int first = 0; first < whole; first += width)
        Body(*this, body, pointers, nullptr, width, from, false, first).emit();
    const auto loop = [&](int end, int at_once) {
      Xbyak::Label again;
      L(again);
      Body(*this, body, pointers, &index_, at_once, from).emit();
      add(index_, at_once);
      cmp(index_, static_cast<uint32_t>(end));
      jl(again);
    };
    if (!written_out) {
      xor_(index_, index_);
      if (whole > 0) loop(whole, width);
    }
    if (whole == run) return;
    if (!masked) return loop(run, 1);
    mov(eax, (1U << (run - whole)) - 1);
    kmovw(kFirstEntries, eax);
    Body(*this, body, pointers, written_out ? nullptr : &index_, width, from, true, whole).emit();
  }
};

namespace {
// What the assembler throws is that there is no memory, or none that may be run.
template <class F>
auto guarded(F f) {
  try {
    return f();
  } catch (const Xbyak::Error& e) {
    throw Error(std::string("the system gives no memory for machine code (") + e.what() + ")");
  }
}
}  // namespace

EntryCode::EntryCode() : assembler_(guarded([] { return std::make_unique<Assembler>(); })) {}
EntryCode::~EntryCode() = default;

bool EntryCode::available() {
  static const bool yes = [] {
    if (active_isa() < Isa::Avx2) return false;
    try {
      EntryCode probe;
      probe.assembler_->ret();
      probe.finish();
      return true;
    } catch (const Error&) {  // memory that is written may not be run here
      return false;
    }
  }();
  return yes;
}

const EntryCode::Function* EntryCode::add(const EntryLoop& loop) {
  require<Error>(
      loop.steps.size() <= EntryLoop::kMostSteps && loop.row_bytes.size() <= EntryLoop::kMostPointers,
      "EntryCode: a loop of ", loop.steps.size(), " steps and ", loop.row_bytes.size(), " pointers");
  Assembler& a = *assembler_;
  guarded([&] {
    a.align(16);
    a.begins.push_back(a.getSize());
    a.loop(loop);
  });
  return &a.functions.emplace_back(nullptr);
}

void EntryCode::finish() {
  Assembler& a = *assembler_;
  guarded([&] { a.readyRE(); });
  for (size_t i = 0; i < a.functions.size(); ++i)
    a.functions[i] = reinterpret_cast<Function>(reinterpret_cast<uintptr_t>(a.getCode() + a.begins[i]));
}

#else

struct EntryCode::Assembler {};
EntryCode::EntryCode() = default;
EntryCode::~EntryCode() = default;
bool EntryCode::available() { return false; }
const EntryCode::Function* EntryCode::add(const EntryLoop&) { return nullptr; }
void EntryCode::finish() {}

#endif

}  // namespace hesse::cpu
