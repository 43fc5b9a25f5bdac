#include "core/program/program_file.h"

#include <gtest/gtest.h>

#include <unistd.h>

#include <fstream>

#include "core/op_table.h"
#include "core/ops.h"

namespace hesse {
namespace {

std::filesystem::path temporary(const char* name) {
  return std::filesystem::temp_directory_path() / concat("hesse-", ::getpid(), "-", name);
}

Arrays loop(std::span<const Array> x) {
  return scan([](std::span<const Array> v) { return Arrays{v[0] * sin(v[1]), v[0] + v[1]}; }, {x[0]}, {x[1]});
}

TEST(ProgramFile, WhatIsSavedIsLoaded) {
  const auto path = temporary("loop");
  const Array x(1.5), xs = Array::from<double>({0.1, 0.2, 0.3});
  const Compiled saved = compile(loop, Avals{aval(x), aval(xs)});
  save_program(path, saved, "loop");
  EXPECT_EQ(read_program(path).name, "loop");
  const Compiled loaded = load_program(path);
  const Arrays a = saved(Arrays{x, xs}), b = loaded(Arrays{x, xs});
  ASSERT_EQ(a.size(), b.size());
  for (size_t k = 0; k < a.size(); ++k) EXPECT_EQ(a[k].to_vector<double>(), b[k].to_vector<double>());
  std::filesystem::remove(path);
}

TEST(ProgramFile, DamageIsRefused) {
  const auto path = temporary("damaged");
  save_program(path, compile([](std::span<const Array> x) { return Arrays{exp(x[0])}; }, {{{3}, kFloat64}}));
  std::string content;
  {
    std::ifstream file(path, std::ios::binary);
    content.assign(std::istreambuf_iterator<char>(file), {});
  }
  for (size_t i = 0; i < content.size(); i += 3) {
    std::string damaged = content;
    damaged[i] = static_cast<char>(damaged[i] ^ 4);
    std::ofstream(path, std::ios::binary | std::ios::trunc) << damaged;
    EXPECT_THROW(load_program(path), FormatError) << i;
  }
  std::filesystem::remove(path);
  EXPECT_THROW(load_program(path), FileNotFound);
}

TEST(ProgramFile, CodeIsRefused) {
  const Fn host = [](std::span<const Array> x) { return Arrays{x[0]}; };
  const Compiled f =
      compile([&](std::span<const Array> x) { return callback(host, {aval(x[0])}, {x[0]}, "host"); },
              {{{}, kFloat64}});
  EXPECT_THROW(save_program(temporary("code"), f), TypeError);
  EXPECT_FALSE(std::filesystem::exists(temporary("code")));
}

class Twice final : public Linear {
 public:
  std::string_view name() const override { return "twice"; }
  Avals infer(std::span<const Aval> x) const override { return {x[0]}; }
  Arrays eval(std::span<const Array> x) const override { return {2.0 * x[0]}; }
  MaybeArray transpose(std::span<const Array>, const Array& ct, int) const override {
    return apply1(the<Twice>(), {ct});
  }
};

TEST(ProgramFile, OpsOfOnesOwnAreListed) {
  const auto path = temporary("own");
  const Compiled f = compile([](std::span<const Array> x) { return Arrays{apply1(the<Twice>(), {x[0]})}; },
                             {{{}, kFloat64}});
  EXPECT_THROW(save_program(path, f), TypeError);
  register_ops({listed<Twice>()});
  EXPECT_THROW(register_ops({listed<Twice>()}), ValueError);
  save_program(path, f);
  EXPECT_EQ(load_program(path)(Arrays{Array(2.0)})[0].item<double>(), 4.0);
  std::filesystem::remove(path);
}

}  // namespace
}  // namespace hesse
