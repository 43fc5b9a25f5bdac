#pragma once
#include "bindings/docs.h"

/// Docstrings: Fourier transforms.
namespace hesse::python::docs {

constexpr Doc kFft{
    .meaning = "The discrete Fourier transform along an axis: sum over j of x[j] exp(-2 pi i j k / n).",
    .parameters = {"x : array\n    Any shape.", param::kFftLength, param::kLastAxis, param::kNorm},
    .returns = "Array\n    Complex.",
    .notes = "Lengths with prime factors above 11 use Bluestein's algorithm: n log(n) operations for all n.",
    .example = R"(
>>> hs.fft.fft(hs.array([1.0, 0.0, 0.0, 0.0])).real
Array([1., 1., 1., 1.], dtype=float64))",
};
constexpr Doc kIfft{
    .meaning = "The inverse of `fft`.",
    .parameters = {"x : array\n    Any shape.", param::kFftLength, param::kLastAxis, param::kNorm},
    .returns = "Array\n    Complex.",
    .example = R"(
>>> hs.allclose(hs.fft.ifft(hs.fft.fft(hs.array([1.0, 2.0, 3.0]))), hs.array([1.0, 2.0, 3.0]))
Array(True, dtype=bool))",
};
constexpr Doc kRfft{
    .meaning = "The non-negative frequencies of a real signal.",
    .parameters = {"x : array\n    Any shape.", param::kFftLength, param::kLastAxis, param::kNorm},
    .returns = "Array\n    Complex, of length n // 2 + 1 along the axis.",
    .example = R"(
>>> hs.fft.rfft(hs.ones(4)).real
Array([4., 0., 0.], dtype=float64))",
};
constexpr Doc kIrfft{
    .meaning = "The inverse of `rfft`. The default n is even, 2 (m - 1) for m frequencies.",
    .parameters = {"x : array\n    Any shape.", param::kFftLength, param::kLastAxis, param::kNorm},
    .returns = "Array\n    Real.",
    .example = R"(
>>> hs.allclose(hs.fft.irfft(hs.fft.rfft(hs.array([1.0, 2.0, 3.0])), n=3), hs.array([1.0, 2.0, 3.0]))
Array(True, dtype=bool))",
};
constexpr Doc kFftn{
    .meaning = "The discrete Fourier transform over several axes.",
    .parameters = {"x : array\n    Any shape.", param::kFftLengths, param::kFftAxes, param::kNorm},
    .returns = "Array\n    Complex.",
    .example = R"(
>>> hs.fft.fftn(hs.ones((2, 2))).real
Array([[4., 0.],
       [0., 0.]], dtype=float64))",
};
constexpr Doc kIfftn{
    .meaning = "The inverse of `fftn`.",
    .parameters = {"x : array\n    Any shape.", param::kFftLengths, param::kFftAxes, param::kNorm},
    .returns = "Array\n    Complex.",
    .example = R"(
>>> x = hs.array([[1.0, 2.0], [3.0, 4.0]])
>>> hs.allclose(hs.fft.ifftn(hs.fft.fftn(x)), x)
Array(True, dtype=bool))",
};
constexpr Doc kRfftn{
    .meaning = "`fftn` of a real signal, the non-negative frequencies of the last axis.",
    .parameters = {"x : array\n    Any shape.", param::kFftLengths, param::kFftAxes, param::kNorm},
    .returns = "Array\n    Complex.",
    .example = R"(
>>> hs.fft.rfftn(hs.ones((2, 4))).shape
(2, 3))",
};
constexpr Doc kIrfftn{
    .meaning = "The inverse of `rfftn`.",
    .parameters = {"x : array\n    Any shape.", param::kFftLengths, param::kFftAxes, param::kNorm},
    .returns = "Array\n    Real.",
    .example = R"(
>>> x = hs.array([[1.0, 2.0], [3.0, 4.0]])
>>> hs.allclose(hs.fft.irfftn(hs.fft.rfftn(x)), x)
Array(True, dtype=bool))",
};
constexpr Doc kFftfreq{
    .meaning = "The frequencies of `fft`, for samples d apart, in cycles per unit of d.",
    .parameters = {"n : int\n    The number of samples.", "d : float", param::kNewDtype, param::kDevice},
    .returns = "Array, (n,)",
    .example = R"(
>>> hs.fft.fftfreq(4, d=0.5)
Array([ 0. ,  0.5, -1. , -0.5], dtype=float64))",
};
constexpr Doc kRfftfreq{
    .meaning = "The frequencies of `rfft`, for samples d apart, in cycles per unit of d.",
    .parameters = {"n : int\n    The number of samples.", "d : float", param::kNewDtype, param::kDevice},
    .returns = "Array, (n // 2 + 1,)",
    .example = R"(
>>> hs.fft.rfftfreq(4, d=0.5)
Array([0. , 0.5, 1. ], dtype=float64))",
};

}  // namespace hesse::python::docs
