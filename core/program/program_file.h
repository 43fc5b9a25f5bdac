#pragma once
#include <filesystem>
#include <map>
#include <string>

#include "core/ops/control.h"

/// Programs as files. A program is data: equations, shapes and constants, no code; what loads it needs
/// neither the function that was recorded nor its language.
///
/// Layout, little-endian: 8 bytes "\x89Hesse\r\n", uint32 format version, uint32 0, uint64 bytes of text,
/// uint64 bytes of data, uint64 checksum (FNV-1a of everything before and after it), then the text (JSON:
/// graphs, their equations by name and parameters, what constants look like, notes) and the data of the
/// constants.
namespace hesse {

/// What a file holds.
struct SavedProgram {
  Ref<const Graph> graph;
  std::string name;                          ///< of the function, for messages
  std::map<std::string, std::string> notes;  ///< what a host language keeps with it: the trees of arguments
  std::string library;                       ///< the version of Hesse that wrote it
};

/// Writes the file whole or not at all. Throws TypeError naming an op that no file can hold (code of the host
/// language: callbacks, prints), with its line; FileError where writing fails.
void save_program(const std::filesystem::path& path, const SavedProgram& program);
/// A compiled function; what its outside values are now becomes constant. Throws TraceError where one of them
/// is being differentiated or mapped.
///
///     save_program("step.hesse", compile(step, {aval(x), aval(y)}));
///     const Compiled step = load_program("step.hesse");
///     const Arrays out = step(Arrays{x, y});
void save_program(const std::filesystem::path& path, const Compiled& program,
                  const std::string& name = "program");

/// Reads and checks a whole file. Throws FileNotFound, FileError, or FormatError naming the defect: another
/// format version, a truncated or changed file, an op that this library does not have. It detects damage, not
/// intent: load what you trust.
SavedProgram read_program(const std::filesystem::path& path);
/// The program as a function, with the derivatives that every compiled function has.
Compiled load_program(const std::filesystem::path& path);

/// The graph with its last inputs bound to these values.
Ref<const Graph> with_constants(const Ref<const Graph>& g, const Arrays& last);

}  // namespace hesse
