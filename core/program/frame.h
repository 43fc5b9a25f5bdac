#pragma once
#include <vector>

#include "core/array.h"

namespace hesse {

/// A scalar in a frame: a row of lanes, so many bytes behind the frame's beginning, or one entry for all.
struct FrameRow {
  int64_t offset = 0;
  DType dtype = kFloat64;
  int64_t item = static_cast<int64_t>(itemsize(dtype));  // bytes of an entry
  bool uniform = false;
  bool operator==(const FrameRow&) const = default;
};

/// Memory in which every scalar has a row of so many lanes, one entry behind the other.
class Frame {
 public:
  explicit Frame(int64_t lanes) : lanes_(lanes), width_(lanes) {}
  /// For a number of lanes that the instruction set does not choose: rows are filled up to whole vectors,
  /// what code computes there means nothing, and floats that are the same for all lanes have one entry.
  static Frame of_rows(int64_t lanes);
  int64_t lanes() const { return lanes_; }
  int64_t width() const { return width_; }  ///< of a row, in entries
  int64_t bytes() const { return bytes_; }
  FrameRow take(DType dtype) { return {take_offset(), dtype}; }
  int64_t take_offset();
  /// For what is the same for all lanes: one entry where that can be.
  FrameRow take_constant(DType dtype);
  /// The row of a constant, the same for equal ones.
  FrameRow constant(const Array& scalar);
  /// Sets constants, and all else to zero.
  void initialise(char* frame) const;

 private:
  struct Constant {
    FrameRow row;
    std::vector<char> value;  // of one lane
  };
  int64_t lanes_, width_, bytes_ = 0;
  bool uniform_constants_ = false;
  std::vector<Constant> constants_;
};

}  // namespace hesse
