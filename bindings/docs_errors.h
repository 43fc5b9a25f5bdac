#pragma once
#include "bindings/docs.h"

/// Docstrings: exceptions.
namespace hesse::python::docs {

constexpr Doc kError{
    .meaning = "Base class of every error that Hesse itself raises.",
    .example = R"(
>>> issubclass(hs.ArgumentError, hs.Error)
True)",
};
constexpr Doc kArgumentError{
    .meaning = "A value, shape or parameter that the function cannot take; a ValueError.",
    .example = R"(
>>> hs.zeros(2) + hs.zeros(3)
Traceback (most recent call last):
    ...
hesse.ArgumentError: ...)",
};
constexpr Doc kArgumentTypeError{
    .meaning = "A dtype or kind of argument that the function cannot take; a TypeError.",
    .example = R"(
>>> hs.erf(1.0j)
Traceback (most recent call last):
    ...
hesse.ArgumentTypeError: ...)",
};
constexpr Doc kOutOfRangeError{
    .meaning = "An index or axis out of range; an IndexError.",
    .example = R"(
>>> hs.zeros(2)[5]
Traceback (most recent call last):
    ...
hesse.OutOfRangeError: ...)",
};
constexpr Doc kNumericalError{
    .meaning = "A failure that depends on data, such as an indefinite matrix; a FloatingPointError.",
    .example = R"(
>>> hs.linalg.cholesky(-hs.eye(2))
Traceback (most recent call last):
    ...
hesse.NumericalError: ...)",
};
constexpr Doc kTraceError{
    .meaning = "A value was asked of a symbol, or a symbol outlived its trace; a TypeError.",
    .example = R"(
>>> hs.compile(lambda x: 1.0 if x > 0 else 2.0)(1.0)
Traceback (most recent call last):
    ...
hesse.TraceError: ...)",
};
constexpr Doc kFileError{
    .meaning = "A file that cannot be opened, read or written; an OSError.",
    .example = R"(
>>> issubclass(hs.FileError, OSError)
True)",
};
constexpr Doc kFileMissingError{
    .meaning = "A file that is missing; a FileNotFoundError.",
    .example = R"(
>>> hs.io.load_safetensors('/no/such/file')
Traceback (most recent call last):
    ...
hesse.FileMissingError: ...)",
};
constexpr Doc kFormatError{
    .meaning = "A file that is not what it claims to be; a ValueError.",
    .example = R"(
>>> import tempfile, os
>>> path = os.path.join(tempfile.mkdtemp(), 'x.safetensors')
>>> written = open(path, 'w').write('nonsense')
>>> hs.io.load_safetensors(path)
Traceback (most recent call last):
    ...
hesse.FormatError: ...)",
};

}  // namespace hesse::python::docs
