// What an operation and a compiled call cost beside their arithmetic: ./run bench --cpp
#include <benchmark/benchmark.h>

#include "hesse.h"

namespace hesse {
namespace {

Array eight() { return Array::from<float>({0.1f, 0.2f, 0.3f, 0.4f, 0.5f, 0.6f, 0.7f, 0.8f}); }

// Eight numbers are one or two vectors: nearly all of this is overhead. Goal: below 300 ns.
void EagerAdd(benchmark::State& state) {
  const Array a = eight(), b = eight();
  for (auto _ : state) benchmark::DoNotOptimize(a + b);
}
BENCHMARK(EagerAdd);

// The same recorded: one addition behind a compiled call of a function of two arrays.
void CompiledAdd(benchmark::State& state) {
  const Array a = eight(), b = eight();
  const auto add = compile([](Array x, Array y) { return x + y; });
  for (auto _ : state) benchmark::DoNotOptimize(add(a, b));
}
BENCHMARK(CompiledAdd);

// 33 times (add, multiply, tanh) on 8 numbers, forward and backward in one compiled call.
void CompiledChain(benchmark::State& state) {
  const Array x = eight(), shift = eight(), scale = eight();
  const auto chain = [](Array x, Array shift, Array scale) {
    for (int k = 0; k < 33; ++k) x = tanh((x + shift) * scale);
    return sum(x);
  };
  const auto both = compile(value_and_grad(chain));
  for (auto _ : state) benchmark::DoNotOptimize(both(x, shift, scale));
}
BENCHMARK(CompiledChain);

}  // namespace
}  // namespace hesse
