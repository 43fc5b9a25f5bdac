# Options, language level, warnings, sanitizers and the compiler cache.

# Optional dependencies. With all of them off the library builds and passes its tests.
option(HESSE_CUDA     "CUDA kernels (needs the CUDA toolkit)" OFF)
option(HESSE_SUNDIALS "stiff ODE and DAE solvers from SUNDIALS" OFF)
option(HESSE_KLU      "sparse direct solvers from SuiteSparse's KLU" OFF)
option(HESSE_PETSC    "large sparse and distributed solvers from PETSc" OFF)
option(HESSE_HDF5     "HDF5 files from C++" OFF)
option(HESSE_PYTHON   "the Python module hesse._hesse (needs pybind11)" OFF)
option(HESSE_TESTS    "C++ tests (needs GoogleTest)" ${PROJECT_IS_TOP_LEVEL})
option(HESSE_EXAMPLES "C++ examples, run by ctest" ${PROJECT_IS_TOP_LEVEL})
option(HESSE_INSTALL  "install rules for the C++ library" ${PROJECT_IS_TOP_LEVEL})
option(HESSE_WERROR   "treat warnings as errors" OFF)
option(HESSE_X86_ISA_UNITS "compile the Eigen units for AVX2 and AVX-512 too" ON)
option(HESSE_CCACHE   "compile through ccache where it is present" ON)
set(HESSE_SANITIZE "" CACHE STRING "sanitizers, as for -fsanitize= (for example address,undefined)")

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_CXX_FLAGS_RELEASE "-O2 -DNDEBUG" CACHE STRING "" FORCE)
set(CMAKE_CXX_FLAGS_DEV "-O1 -g1" CACHE STRING "flags of the build type Dev: quick to compile, with assertions" FORCE)
if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "" FORCE)
endif()

# ccache: paths relative to the source directory, so that several work trees share one cache.
find_program(HESSE_CCACHE_PROGRAM ccache)
mark_as_advanced(HESSE_CCACHE_PROGRAM)
if(HESSE_CCACHE AND HESSE_CCACHE_PROGRAM AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(ccache_command ${CMAKE_COMMAND} -E env
      "CCACHE_BASEDIR=${PROJECT_SOURCE_DIR}" CCACHE_NOHASHDIR=true
      "CCACHE_SLOPPINESS=time_macros" ${HESSE_CCACHE_PROGRAM})
  set(CMAKE_CXX_COMPILER_LAUNCHER ${ccache_command})
  set(CMAKE_CUDA_COMPILER_LAUNCHER ${ccache_command})
endif()

# Everything compiled in this project, tests and bindings too. -ffp-contract=off: bits do not depend on where the compiler
# finds a multiply-add; kernels that want one ask for it.
add_library(hesse_flags INTERFACE)
target_compile_options(hesse_flags INTERFACE
  $<$<COMPILE_LANGUAGE:CXX>:-ffp-contract=off>
  $<$<COMPILE_LANGUAGE:CXX>:-Wall;-Wextra;-Wpedantic;-Wnon-virtual-dtor;-Woverloaded-virtual>
  $<$<AND:$<COMPILE_LANGUAGE:CXX>,$<BOOL:${HESSE_WERROR}>>:-Werror>
  # GCC 12 takes the "undefined" operands of its own AVX-512 intrinsics for a mistake (GCC bug 105593).
  $<$<AND:$<COMPILE_LANG_AND_ID:CXX,GNU>,$<VERSION_LESS:$<CXX_COMPILER_VERSION>,13>>:-Wno-maybe-uninitialized>
  $<$<COMPILE_LANGUAGE:CXX>:-ffile-prefix-map=${PROJECT_SOURCE_DIR}=.>)
target_include_directories(hesse_flags INTERFACE "${PROJECT_SOURCE_DIR}")

if(HESSE_SANITIZE)
  target_compile_options(hesse_flags INTERFACE
    -fsanitize=${HESSE_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  target_link_options(hesse_flags INTERFACE -fsanitize=${HESSE_SANITIZE})
endif()
