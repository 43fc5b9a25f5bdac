#include "core/io/safetensors.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string_view>

#include "core/io/atomic_file.h"
#include "core/ops.h"

namespace hesse::io {
namespace {

static_assert(std::endian::native == std::endian::little, "the safetensors layout is little-endian");

using Json = nlohmann::ordered_json;

constexpr uint64_t kMaxHeader = 100'000'000;  // the limit of the reference implementation
constexpr const char* kMetadata = "__metadata__";

// How one dtype of the layout is stored, and which of ours holds it.
struct Storage {
  std::string_view name;
  uint64_t bytes;
  DType dtype;
};
constexpr std::array<Storage, 14> kStorage{{{"F64", 8, kFloat64},
                                            {"F32", 4, kFloat32},
                                            {"C64", 8, kComplex64},
                                            {"I64", 8, kInt64},
                                            {"I32", 4, kInt32},
                                            {"I16", 2, kInt16},
                                            {"I8", 1, kInt8},
                                            {"U64", 8, kUInt64},
                                            {"U32", 4, kUInt32},
                                            {"U16", 2, kUInt16},
                                            {"U8", 1, kUInt8},
                                            {"BOOL", 1, kBool},
                                            // Widened to float32.
                                            {"F16", 2, kFloat32},
                                            {"BF16", 2, kFloat32}}};
constexpr size_t kWritable = 12;  // the first entries, which map one to one

struct Entry {
  std::string name;
  Storage storage;
  Shape shape;
  uint64_t begin, end;
};

class Reader {
 public:
  explicit Reader(const std::filesystem::path& path) : path_(path) {
    std::error_code error;
    const auto status = std::filesystem::status(path, error);
    require<FileNotFound>(std::filesystem::exists(status), "load_safetensors: there is no file ",
                          path.string());
    require<FileError>(std::filesystem::is_regular_file(status), "load_safetensors: ", path.string(),
                       " is not a regular file");
    file_.open(path, std::ios::binary);
    require<FileError>(file_.is_open(), "load_safetensors: cannot open ", path.string(), " for reading");
    size_ = std::filesystem::file_size(path);
  }

  Safetensors read() {
    const Json header = read_header();
    Safetensors result;
    std::vector<Entry> entries;
    for (const auto& [name, value] : header.items()) {
      if (name == kMetadata)
        result.metadata = read_metadata(value);
      else
        entries.push_back(read_entry(name, value));
    }
    check_layout(entries);
    for (const Entry& e : entries) result.tensors.emplace_back(e.name, read_data(e));
    return result;
  }

 private:
  template <class... T>
  void check(bool ok, const T&... parts) const {
    if (!ok) throw FormatError(concat("load_safetensors: ", path_.string(), ": ", parts...));
  }

  void read_bytes(void* to, uint64_t bytes) {
    file_.read(static_cast<char*>(to), static_cast<std::streamsize>(bytes));
    check(static_cast<uint64_t>(file_.gcount()) == bytes, "truncated while it was read");
  }

  Json read_header() {
    check(size_ >= 8, "truncated: ", size_, " bytes, and the length of the header alone takes 8");
    uint64_t length = 0;
    read_bytes(&length, 8);
    check(length <= kMaxHeader, "the header length ", length, " is above the limit of ", kMaxHeader,
          " bytes; is this a safetensors file?");
    check(length <= size_ - 8, "truncated header: ", length, " bytes announced, ", size_ - 8,
          " left in the file");
    std::string text(length, '\0');
    read_bytes(text.data(), length);
    data_begin_ = 8 + length;
    check(!text.empty() && text.front() == '{', "the header does not begin with '{'");

    // nlohmann keeps the last of equal keys; the layout forbids them, so they are looked for while parsing.
    std::vector<std::set<std::string>> keys;
    const auto watch = [&](int depth, Json::parse_event_t event, Json& value) {
      check(depth <= 4, "the header is nested too deeply");
      if (event == Json::parse_event_t::object_start) {
        keys.emplace_back();
      } else if (event == Json::parse_event_t::object_end) {
        keys.pop_back();
      } else if (event == Json::parse_event_t::key) {
        const auto& key = value.get_ref<const std::string&>();
        check(keys.back().insert(key).second, "duplicate key \"", key, "\" in the header");
      }
      return true;
    };
    try {
      return Json::parse(text.begin(), text.end(), watch);
    } catch (const nlohmann::json::exception& e) {
      throw FormatError(
          concat("load_safetensors: ", path_.string(), ": the header is not valid JSON: ", e.what()));
    }
  }

  std::map<std::string, std::string> read_metadata(const Json& value) const {
    check(value.is_object(), kMetadata, " is not an object");
    std::map<std::string, std::string> result;
    for (const auto& [key, text] : value.items()) {
      check(text.is_string(), kMetadata, ": the value of \"", key, "\" is not a string");
      result[key] = text.get<std::string>();
    }
    return result;
  }

  uint64_t read_count(const std::string& name, const char* what, const Json& value) const {
    check(value.is_number_unsigned(), "tensor \"", name, "\": ", what, " holds ", value.dump(),
          " where a non-negative integer is needed");
    return value.get<uint64_t>();
  }

  Entry read_entry(const std::string& name, const Json& value) const {
    check(value.is_object(), "tensor \"", name, "\" is described by ", value.type_name(),
          ", not by an object");
    for (const char* key : {"dtype", "shape", "data_offsets"})
      check(value.contains(key), "tensor \"", name, "\" has no ", key);
    check(value.size() == 3, "tensor \"", name, "\" has other keys than dtype, shape and data_offsets");

    const Json& dtype = value["dtype"];
    check(dtype.is_string(), "tensor \"", name, "\": dtype is not a string");
    const auto* storage = std::find_if(kStorage.begin(), kStorage.end(),
                                       [&](const Storage& s) { return s.name == dtype.get<std::string>(); });
    check(storage != kStorage.end(), "tensor \"", name, "\": unknown dtype ", dtype.dump(),
          " (known: F64 F32 F16 BF16 C64 I64 I32 I16 I8 U64 U32 U16 U8 BOOL)");

    const Json& shape = value["shape"];
    check(shape.is_array(), "tensor \"", name, "\": shape is not a list");
    check(shape.size() <= 64, "tensor \"", name, "\": ", shape.size(), " dimensions are more than 64");
    Entry e{name, *storage, {}, 0, 0};
    bool zero = false, overflow = false;
    uint64_t bytes = storage->bytes;
    for (const Json& length : shape) {
      const uint64_t n = read_count(name, "shape", length);
      overflow = overflow || n > uint64_t{1} << 62 ||
                 __builtin_mul_overflow(bytes, std::max<uint64_t>(n, 1), &bytes);
      zero = zero || n == 0;
      e.shape.push_back(static_cast<int64_t>(n));
    }
    check(!overflow && bytes <= uint64_t{1} << 62, "tensor \"", name, "\": the size of shape ", shape.dump(),
          " overflows");
    if (zero) bytes = 0;

    const Json& offsets = value["data_offsets"];
    check(offsets.is_array() && offsets.size() == 2, "tensor \"", name,
          "\": data_offsets is not a list of two numbers");
    e.begin = read_count(name, "data_offsets", offsets[0]);
    e.end = read_count(name, "data_offsets", offsets[1]);
    const uint64_t available = size_ - data_begin_;
    check(e.begin <= e.end && e.end <= available, "tensor \"", name, "\": data_offsets [", e.begin, ", ",
          e.end, "] are out of range for ", available, " bytes of data");
    check(e.end - e.begin == bytes, "tensor \"", name, "\": shape ", shape.dump(), " of ", storage->name,
          " takes ", bytes, " bytes, its data_offsets hold ", e.end - e.begin);
    return e;
  }

  // The data of all tensors follow each other without hole or overlap and fill the file.
  void check_layout(const std::vector<Entry>& entries) const {
    std::vector<const Entry*> sorted;
    for (const Entry& e : entries) sorted.push_back(&e);
    std::sort(sorted.begin(), sorted.end(),
              [](auto* a, auto* b) { return std::pair(a->begin, a->end) < std::pair(b->begin, b->end); });
    uint64_t at = 0;
    for (const Entry* e : sorted) {
      check(e->begin >= at, "tensor \"", e->name, "\" overlaps the one before it: it begins at ", e->begin,
            ", before ", at);
      check(e->begin <= at, "a hole of ", e->begin - at, " bytes before tensor \"", e->name, "\"");
      at = e->end;
    }
    check(at == size_ - data_begin_, size_ - data_begin_ - at, " bytes after the last tensor belong to none");
  }

  Array read_data(const Entry& e) {
    file_.seekg(static_cast<std::streamoff>(data_begin_ + e.begin));
    const uint64_t bytes = e.end - e.begin;
    Array result = Array::uninitialized(e.shape, e.storage.dtype);
    if (bytes == 0) return result;
    void* data = result.view().data;
    if (e.storage.bytes == static_cast<uint64_t>(itemsize(e.storage.dtype))) {
      read_bytes(data, bytes);
      if (e.storage.dtype == kBool) {
        const auto* b = static_cast<const unsigned char*>(data);
        check(std::all_of(b, b + bytes, [](unsigned char v) { return v <= 1; }), "tensor \"", e.name,
              "\": a BOOL that is neither 0 nor 1");
      }
      return result;
    }
    std::vector<uint16_t> half(bytes / 2);
    read_bytes(half.data(), bytes);
    std::transform(half.begin(), half.end(), static_cast<float*>(data),
                   e.storage.name == "F16" ? widen_f16 : widen_bf16);
    return result;
  }

  static float widen_bf16(uint16_t h) { return std::bit_cast<float>(static_cast<uint32_t>(h) << 16); }

  // IEEE 754 binary16: 1 sign, 5 exponent (bias 15), 10 fraction bits.
  static float widen_f16(uint16_t h) {
    const uint32_t sign = static_cast<uint32_t>(h & 0x8000u) << 16, exponent = (h >> 10) & 31u,
                   fraction = h & 1023u;
    if (exponent == 0) {  // zero or subnormal: fraction * 2^-24, exact
      const float v = static_cast<float>(fraction) * 0x1p-24f;
      return sign ? -v : v;
    }
    const uint32_t wide = exponent == 31 ? 255u : exponent + 112u;
    return std::bit_cast<float>(sign | wide << 23 | fraction << 13);
  }

  std::filesystem::path path_;
  std::ifstream file_;
  uint64_t size_ = 0, data_begin_ = 0;
};

const Storage& storage_of(const std::string& name, DType dtype) {
  for (size_t i = 0; i < kWritable; ++i)
    if (kStorage[i].dtype == dtype) return kStorage[i];
  throw TypeError(
      concat("save_safetensors: tensor \"", name, "\" is ", dtype, ", which the layout lacks; save ",
             is_complex(dtype) ? "its real and imaginary parts" : "integers made from it", " instead"));
}

std::span<const std::byte> bytes_of(const void* data, size_t n) {
  return {static_cast<const std::byte*>(data), n};
}

}  // namespace

Safetensors load_safetensors(const std::filesystem::path& path) { return Reader(path).read(); }

void save_safetensors(const std::filesystem::path& path, const Safetensors& contents) {
  struct Item {
    const std::string* name;
    const Storage* storage;
    Array value;
  };
  std::vector<Item> items;
  std::set<std::string_view> names{kMetadata};
  for (const auto& [name, value] : contents.tensors) {
    require(names.insert(name).second, "save_safetensors: the name \"", name, "\" ",
            name == kMetadata ? "is reserved" : "occurs twice");
    items.push_back(
        {&name, &storage_of(name, value.dtype()), value.contiguous() ? value : copy(value.detached())});
  }
  std::stable_sort(items.begin(), items.end(), [](const Item& a, const Item& b) {
    return a.storage->bytes != b.storage->bytes ? a.storage->bytes > b.storage->bytes : *a.name < *b.name;
  });

  Json header = Json::object();
  if (!contents.metadata.empty()) header[kMetadata] = contents.metadata;
  uint64_t at = 0;
  for (const Item& i : items) {
    const uint64_t end = at + static_cast<uint64_t>(i.value.size()) * i.storage->bytes;
    header[*i.name] = {
        {"dtype", i.storage->name}, {"shape", i.value.shape().vec()}, {"data_offsets", {at, end}}};
    at = end;
  }
  std::string text;
  try {
    text = header.dump();
  } catch (const nlohmann::json::exception&) {
    throw ValueError("save_safetensors: a name or the metadata is not valid UTF-8");
  }
  text.resize((text.size() + 7) / 8 * 8, ' ');
  require(text.size() <= kMaxHeader, "save_safetensors: the header takes ", text.size(), " bytes, more than ",
          kMaxHeader);

  AtomicFile file(path);
  const uint64_t length = text.size();
  file.write(bytes_of(&length, 8));
  file.write(bytes_of(text.data(), text.size()));
  for (const Item& i : items)
    file.write(bytes_of(i.value.view().data, static_cast<size_t>(i.value.size()) * i.storage->bytes));
  file.commit();
}

namespace detail {
namespace {

void name_single(std::vector<std::string>& names) {
  if (names.size() == 1 && names[0].empty()) names[0] = "array";
}

std::string quoted(const std::set<std::string>& names) {
  std::string text;
  size_t k = 0;
  for (const std::string& name : names) {
    if (k == 5) return text + " ...";
    text += concat(k++ == 0 ? "" : ", ", "\"", name, "\"");
  }
  return text;
}

}  // namespace

void save_named(const std::filesystem::path& path, std::vector<std::string> names, const Arrays& arrays,
                std::map<std::string, std::string> metadata) {
  name_single(names);
  Safetensors contents;
  contents.metadata = std::move(metadata);
  for (size_t k = 0; k < arrays.size(); ++k) contents.tensors.emplace_back(std::move(names[k]), arrays[k]);
  save_safetensors(path, contents);
}

Arrays load_named(const std::filesystem::path& path, std::vector<std::string> names, const Arrays& like) {
  name_single(names);
  std::map<std::string, Array> found;
  std::set<std::string> missing(names.begin(), names.end()), unexpected;
  for (auto& [name, value] : load_safetensors(path).tensors) {
    if (missing.erase(name) == 0) unexpected.insert(name);
    found.emplace(name, std::move(value));
  }
  require(missing.empty() && unexpected.empty(), "load_safetensors: ", path.string(),
          missing.empty() ? "" : " lacks ", quoted(missing),
          missing.empty() || unexpected.empty() ? "" : " and", unexpected.empty() ? "" : " has besides ",
          quoted(unexpected));
  Arrays result;
  for (size_t k = 0; k < like.size(); ++k) {
    const Array& value = found.at(names[k]);
    require(value.shape() == like[k].shape() && value.dtype() == like[k].dtype(),
            "load_safetensors: ", path.string(), ": \"", names[k], "\" is ", describe(value),
            " in the file but ", describe(like[k]), " in the model");
    result.push_back(value);
  }
  return result;
}

}  // namespace detail
}  // namespace hesse::io
