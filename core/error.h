#pragma once
#include <sstream>
#include <stdexcept>
#include <string>

/// Typed exceptions. Python sees the matching built-in: ValueError, TypeError, IndexError,
/// FloatingPointError, RuntimeError. A message names the function, the argument, what was given and what to
/// do.
namespace hesse {

class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};
/// A value, shape or parameter that the function cannot take (Python: ValueError).
class ValueError : public Error {
 public:
  using Error::Error;
};
/// A dtype or kind of argument that the function cannot take (Python: TypeError).
class TypeError : public Error {
 public:
  using Error::Error;
};
/// An index out of range (Python: IndexError).
class IndexError : public Error {
 public:
  using Error::Error;
};
/// A failure that depends on data: an indefinite matrix, a NaN under debug_nans (Python: FloatingPointError).
class NumericalError : public Error {
 public:
  using Error::Error;
};
/// A value was asked of a symbol, or a symbol outlived its trace (Python: hesse.TraceError).
class TraceError : public Error {
 public:
  using Error::Error;
};
/// A file that is missing (Python: FileNotFoundError).
class FileNotFound : public Error {
 public:
  using Error::Error;
};
/// A file that cannot be opened, read or written (Python: OSError).
class FileError : public Error {
 public:
  using Error::Error;
};
/// A file that is not what it claims to be (Python: ValueError).
class FormatError : public ValueError {
 public:
  using ValueError::ValueError;
};
/// The caller asked to stop, Ctrl-C (Python: KeyboardInterrupt).
class Interrupted : public Error {
 public:
  using Error::Error;
};

/// Joins its arguments into one string with operator<<.
template <class... T>
std::string concat(const T&... parts) {
  std::ostringstream out;
  (out << ... << parts);
  return out.str();
}

/// Throws E(concat(parts...)) unless `ok`. The parts are only formatted on failure.
template <class E = ValueError, class... T>
void require(bool ok, const T&... parts) {
  if (!ok) [[unlikely]]
    throw E(concat(parts...));
}

}  // namespace hesse
