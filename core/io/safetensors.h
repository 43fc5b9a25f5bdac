#pragma once
#include <filesystem>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "core/tree.h"

/// Arrays by name in the safetensors layout: 8 bytes with the length of a JSON header (little-endian), the
/// header
/// {"name": {"dtype": "F64", "shape": [2, 3], "data_offsets": [0, 48]}, ..., "__metadata__": {"key":
/// "text"}}, the data. Source: the format section of the README of the project huggingface/safetensors.
namespace hesse::io {

struct Safetensors {
  std::vector<std::pair<std::string, Array>> tensors;  ///< names are unique
  std::map<std::string, std::string> metadata;
};

/// Reads and checks a whole file. Half precision (F16, BF16), which Hesse lacks, is widened to float32.
/// Throws FileNotFound, FileError, or FormatError naming the defect and the entry it was found in: a header
/// that is truncated, too long, no JSON or has a key twice; an unknown dtype; a shape that does not fit its
/// bytes; data that overlap, leave a hole or lie outside the file.
Safetensors load_safetensors(const std::filesystem::path& path);

/// Writes the file whole or not at all (core/io/atomic_file.h), larger elements first so that all are
/// aligned. Throws ValueError for a name that occurs twice, is no UTF-8 or is "__metadata__"; TypeError for
/// dtypes that the layout lacks (complex128, keys); TraceError for symbols.
void save_safetensors(const std::filesystem::path& path, const Safetensors& contents);

namespace detail {
void save_named(const std::filesystem::path& path, std::vector<std::string> names, const Arrays& arrays,
                std::map<std::string, std::string> metadata);
Arrays load_named(const std::filesystem::path& path, std::vector<std::string> names, const Arrays& like);
}  // namespace detail

/// The arrays of a tree (core/tree.h) by their names: "layers.0.weight"; "array" for a tree that is one.
template <class Tree>
void save_safetensors(const std::filesystem::path& path, const Tree& tree,
                      std::map<std::string, std::string> metadata = {}) {
  detail::save_named(path, leaf_names(tree), leaves(tree), std::move(metadata));
}
/// `like` with the arrays of a file. Throws ValueError where the file does not hold the same names, shapes
/// and dtypes, besides what load_safetensors(path) throws.
template <class Tree>
Tree load_safetensors(const std::filesystem::path& path, const Tree& like) {
  return with_leaves(like, detail::load_named(path, leaf_names(like), leaves(like)));
}

}  // namespace hesse::io
