#include "core/io/safetensors.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>
#include <fstream>

#include "core/ops.h"

namespace hesse::io {
namespace {

namespace fs = std::filesystem;

class SafetensorsTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::temp_directory_path() / concat("hesse-safetensors-", ::getpid());
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  fs::path path() const { return folder_ / "weights.safetensors"; }

  // A file with that header text and `bytes` bytes of data.
  void write(const std::string& header, size_t bytes, uint64_t length_given = UINT64_MAX) const {
    const uint64_t length = length_given == UINT64_MAX ? header.size() : length_given;
    std::string text(8, '\0');
    std::memcpy(text.data(), &length, 8);
    write_raw(text + header + std::string(bytes, '\1'));
  }
  void write_raw(const std::string& text) const { std::ofstream(path(), std::ios::binary) << text; }

  std::string refusal() const {
    try {
      (void)load_safetensors(path());
    } catch (const FormatError& e) {
      return e.what();
    }
    return "no FormatError";
  }
  void expect_refused(const std::string& header, size_t bytes, const std::string& defect) const {
    write(header, bytes);
    EXPECT_NE(refusal().find(defect), std::string::npos) << header << " gave: " << refusal();
    EXPECT_NE(refusal().find(path().string()), std::string::npos);
  }

  fs::path folder_;
};

TEST_F(SafetensorsTest, RoundTripKeepsNamesShapesDtypesAndMetadata) {
  const Array matrix = Array::from<double>(std::vector<double>{1, 2, 3, 4, 5, 6}, {2, 3});
  Safetensors contents;
  contents.tensors = {{"flags", Array::from<uint8_t>({1, 0, 255})},
                      {"layers.0.weight", matrix},
                      {"strided", transpose(matrix)},
                      {"scalar", Array::from<float>(std::vector<float>{2.5f}, {})},
                      {"empty", zeros({0, 4}, kInt32)},
                      {"complex", Array::from<complex64>({complex64(1, -2)})}};
  contents.metadata = {{"epoch", "7"}, {"quote", "\"\n\u00e9"}};
  save_safetensors(path(), contents);
  const Safetensors read = load_safetensors(path());
  EXPECT_EQ(read.metadata, contents.metadata);
  ASSERT_EQ(read.tensors.size(), contents.tensors.size());
  const std::map<std::string, Array> by_name(read.tensors.begin(), read.tensors.end());
  for (const auto& [name, value] : contents.tensors) {
    ASSERT_TRUE(by_name.contains(name)) << name;
    const Array& got = by_name.at(name);
    EXPECT_EQ(got.dtype(), value.dtype()) << name;
    EXPECT_EQ(got.shape(), value.shape()) << name;
    EXPECT_EQ(sum(astype(not_equal(got, value), kFloat64)).item<double>(), 0.0) << name;
  }
  EXPECT_EQ(std::distance(fs::directory_iterator(folder_), {}), 1) << "no temporary file is left";
}

TEST_F(SafetensorsTest, HalfPrecisionIsWidened) {
  const std::string header = R"({"h":{"dtype":"F16","shape":[6],"data_offsets":[0,12]},)"
                             R"("b":{"dtype":"BF16","shape":[2],"data_offsets":[12,16]}})";
  const uint64_t length = header.size();
  std::string text(8, '\0');
  std::memcpy(text.data(), &length, 8);
  const uint16_t half[] = {0x3c00, 0xc000, 0x0001, 0x7bff, 0x7c00, 0x8000, 0x3f80, 0xc020};
  text += header + std::string(reinterpret_cast<const char*>(half), sizeof half);
  write_raw(text);
  const Safetensors read = load_safetensors(path());
  EXPECT_EQ(read.tensors.at(0).second.to_vector<float>(),
            (std::vector<float>{1.0f, -2.0f, 0x1p-24f, 65504.0f, HUGE_VALF, -0.0f}));
  EXPECT_EQ(read.tensors.at(1).second.to_vector<float>(), (std::vector<float>{1.0f, -2.5f}));
}

TEST_F(SafetensorsTest, MissingFilesAndFolders) {
  EXPECT_THROW((void)load_safetensors(folder_ / "none"), FileNotFound);
  EXPECT_THROW((void)load_safetensors(folder_), FileError);
  EXPECT_THROW(save_safetensors(folder_ / "no" / "such" / "folder", {}), FileError);
}

TEST_F(SafetensorsTest, TruncatedAndOversizedHeaders) {
  write_raw("abc");
  EXPECT_NE(refusal().find("truncated: 3 bytes"), std::string::npos) << refusal();
  write("{}", 0, 50);
  EXPECT_NE(refusal().find("truncated header: 50 bytes announced, 2 left"), std::string::npos) << refusal();
  write("{}", 0, uint64_t{1} << 63);
  EXPECT_NE(refusal().find("above the limit"), std::string::npos) << refusal();
  write("", 0, 0);
  EXPECT_NE(refusal().find("does not begin with '{'"), std::string::npos) << refusal();
}

TEST_F(SafetensorsTest, DefectsAreNamed) {
  expect_refused("[]", 0, "does not begin with '{'");
  expect_refused(R"({"a":)", 0, "not valid JSON");
  expect_refused("{\"\xff\":1}", 0, "not valid JSON");
  expect_refused(R"({"a":1})", 0, "\"a\" is described by number");
  expect_refused(R"({"a":{"dtype":"F64","shape":[]}})", 0, "\"a\" has no data_offsets");
  expect_refused(R"({"a":{"dtype":"F64","shape":[],"data_offsets":[0,8],"x":1}})", 8, "has other keys");
  expect_refused(R"({"a":{"dtype":"F63","shape":[],"data_offsets":[0,8]}})", 8, "unknown dtype \"F63\"");
  expect_refused(R"({"a":{"dtype":"","shape":[],"data_offsets":[0,8]}})", 8, "unknown dtype \"\"");
  expect_refused(R"({"a":{"dtype":5,"shape":[],"data_offsets":[0,8]}})", 8, "dtype is not a string");
  expect_refused(R"({"a":{"dtype":"F64","shape":{},"data_offsets":[0,8]}})", 8, "shape is not a list");
  expect_refused(R"({"a":{"dtype":"F64","shape":[-1],"data_offsets":[0,8]}})", 8, "shape holds -1");
  expect_refused(R"({"a":{"dtype":"F64","shape":[1.5],"data_offsets":[0,8]}})", 8, "shape holds 1.5");
  expect_refused(R"({"a":{"dtype":"F64","shape":[99999999999999999999],"data_offsets":[0,8]}})", 8,
                 "shape holds");
  expect_refused(R"({"a":{"dtype":"F64","shape":[4294967296,4294967296],"data_offsets":[0,8]}})", 8,
                 "overflows");
  expect_refused(R"({"a":{"dtype":"F64","shape":[2305843009213693952,0],"data_offsets":[0,0]}})", 0,
                 "overflows");
  expect_refused(R"({"a":{"dtype":"F64","shape":[2],"data_offsets":[0,8]}})", 8,
                 "takes 16 bytes, its data_offsets hold 8");
  expect_refused(R"({"a":{"dtype":"F64","shape":[1],"data_offsets":[8,0]}})", 8, "out of range");
  expect_refused(R"({"a":{"dtype":"F64","shape":[1],"data_offsets":[0,8]}})", 4, "out of range for 4 bytes");
  expect_refused(R"({"a":{"dtype":"F64","shape":[1],"data_offsets":[0,8,9]}})", 8,
                 "not a list of two numbers");
  expect_refused(R"({"a":{"dtype":"F64","shape":[1],"data_offsets":[8,16]}})", 16,
                 "a hole of 8 bytes before tensor \"a\"");
  expect_refused(R"({"a":{"dtype":"F64","shape":[1],"data_offsets":[0,8]}})", 9,
                 "1 bytes after the last tensor");
  expect_refused(
      R"({"a":{"dtype":"F64","shape":[2],"data_offsets":[0,16]},"b":{"dtype":"F64","shape":[1],"data_offsets":[8,16]}})",
      16, "\"b\" overlaps");
  expect_refused(
      R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})",
      1, "duplicate key \"a\"");
  expect_refused(R"({"a":{"dtype":"U8","dtype":"U8","shape":[1],"data_offsets":[0,1]}})", 1,
                 "duplicate key \"dtype\"");
  expect_refused(R"({"__metadata__":{"k":1}})", 0, "the value of \"k\" is not a string");
  expect_refused(R"({"__metadata__":[]})", 0, "__metadata__ is not an object");
  expect_refused(R"({"a":{"dtype":"BOOL","shape":[2],"data_offsets":[0,2]}} )" + std::string(0, ' '), 3,
                 "after the last tensor");
  expect_refused("{\"a\":" + std::string(100000, '[') + std::string(100000, ']') + "}", 0,
                 "nested too deeply");
}

TEST_F(SafetensorsTest, BooleansAreZeroOrOne) {
  const std::string header = R"({"a":{"dtype":"BOOL","shape":[1],"data_offsets":[0,1]}})";
  const uint64_t length = header.size();
  std::string text(8, '\0');
  std::memcpy(text.data(), &length, 8);
  write_raw(text + header + '\2');
  EXPECT_NE(refusal().find("a BOOL that is neither 0 nor 1"), std::string::npos) << refusal();
}

TEST_F(SafetensorsTest, EveryTruncationAndEveryFlippedHeaderByteIsRefusedOrRead) {
  save_safetensors(path(),
                   {{{"a", Array::from<double>({1, 2})}, {"b", Array::from<int32_t>({3})}}, {{"k", "v"}}});
  std::ifstream in(path(), std::ios::binary);
  const std::string good{std::istreambuf_iterator<char>(in), {}};
  for (size_t n = 0; n < good.size(); ++n) {
    write_raw(good.substr(0, n));
    EXPECT_THROW((void)load_safetensors(path()), FormatError) << n;
  }
  for (size_t i = 0; i < good.size(); ++i)
    for (const int flip : {1, 16, 128}) {
      std::string bad = good;
      bad[i] = static_cast<char>(bad[i] ^ flip);
      write_raw(bad);
      try {
        (void)load_safetensors(path());
      } catch (const FormatError&) {
      }
    }
}

TEST_F(SafetensorsTest, WhatCannotBeSaved) {
  const Array x = Array::from<double>({1.0});
  EXPECT_THROW(save_safetensors(path(), {{{"a", x}, {"a", x}}, {}}), ValueError);
  EXPECT_THROW(save_safetensors(path(), {{{"__metadata__", x}}, {}}), ValueError);
  EXPECT_THROW(save_safetensors(path(), {{{"\xff", x}}, {}}), ValueError);
  EXPECT_THROW(save_safetensors(path(), {{{"z", zeros({2}, kComplex128)}}, {}}), TypeError);
  EXPECT_FALSE(fs::exists(path()));
}

TEST_F(SafetensorsTest, AFailedWriteLeavesTheOldFile) {
  save_safetensors(path(), {{{"a", Array::from<double>({1.0})}}, {}});
  EXPECT_THROW(save_safetensors(path(), {{{"\xff", Array::from<double>({2.0})}}, {}}), ValueError);
  EXPECT_EQ(load_safetensors(path()).tensors.at(0).second.to_vector<double>(), std::vector<double>{1.0});
}

struct Layer {
  Array weight;
  std::optional<Array> bias;
  auto fields() { return hesse::fields("weight", weight, "bias", bias); }
};

TEST_F(SafetensorsTest, TreesByTheirNames) {
  const std::vector<Layer> saved{{arange(0.0, 6.0, 1.0, kFloat64), ones({2}, kFloat32)}, {ones({1}), {}}};
  save_safetensors(path(), saved, {{"epoch", "7"}});
  EXPECT_EQ(load_safetensors(path()).metadata.at("epoch"), "7");
  std::vector<Layer> like{{zeros({6}), zeros({2}, kFloat32)}, {zeros({1}), {}}};
  const std::vector<Layer> read = load_safetensors(path(), like);
  EXPECT_EQ(read[0].weight.to_vector<double>(), saved[0].weight.to_vector<double>());
  EXPECT_EQ(read[0].bias->to_vector<float>(), (std::vector<float>{1, 1}));
  EXPECT_FALSE(read[1].bias);

  const auto refusal_of = [&](const std::vector<Layer>& tree) -> std::string {
    try {
      (void)load_safetensors(path(), tree);
    } catch (const ValueError& e) {
      return e.what();
    }
    return "no ValueError";
  };
  const auto expect_part = [&](const std::string& part) {
    EXPECT_NE(refusal_of(like).find(part), std::string::npos) << refusal_of(like);
  };
  like[1].bias = zeros({1});
  expect_part("lacks \"1.bias\"");
  like[1].bias.reset();
  like[0].bias.reset();
  expect_part("has besides \"0.bias\"");
  like[1].bias = zeros({1});
  expect_part("lacks \"1.bias\" and has besides \"0.bias\"");
  like = saved;
  like[0].bias = zeros({2}, kFloat64);
  expect_part("\"0.bias\" is float32[2] in the file but float64[2] in the model");

  save_safetensors(path(), ones({3}));
  EXPECT_EQ(load_safetensors(path()).tensors.at(0).first, "array");
  EXPECT_EQ(load_safetensors(path(), zeros({3})).to_vector<double>(), (std::vector<double>{1, 1, 1}));
}

}  // namespace
}  // namespace hesse::io
