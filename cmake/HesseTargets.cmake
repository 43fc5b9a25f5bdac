# hesse_add_folder(), hesse_add_isa_units(), hesse_add_library(); hesse_dependencies is what the library's sources may use.

set(HESSE_FOLDERS "" CACHE INTERNAL "folders that hold sources of the library")
set(HESSE_ISA_TARGETS "" CACHE INTERNAL "object libraries of the units compiled per instruction set")

# Their headers are system headers: no warnings from them.
add_library(hesse_dependencies INTERFACE)
target_link_libraries(hesse_dependencies INTERFACE ${HESSE_LINKED})
foreach(dependency HDF5 SUNDIALS PETSC CUDA)
  if(HESSE_${dependency})
    target_compile_definitions(hesse_dependencies INTERFACE HESSE_HAVE_${dependency})
  endif()
endforeach()

# hesse_add_folder(<name> [DEPENDS <folder>...])
# One object library hesse_<name> of all sources below <name>/, or an interface library while there are none. What needs an
# optional dependency stays out when that is off.
function(hesse_add_folder name)
  cmake_parse_arguments(arg "" "" "DEPENDS" ${ARGN})
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/${name}/*.cpp")
  list(FILTER sources EXCLUDE REGEX "/core/cpu/eigen/")
  if(HESSE_CUDA)
    file(GLOB_RECURSE cuda_sources CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/${name}/*.cu")
    list(APPEND sources ${cuda_sources})
  else()
    list(FILTER sources EXCLUDE REGEX "/core/cuda/")
  endif()
  if(NOT HESSE_HDF5)
    list(FILTER sources EXCLUDE REGEX "/core/io/hdf5")
  endif()
  if(NOT HESSE_SUNDIALS)
    list(FILTER sources EXCLUDE REGEX "/solvers/sundials/")
  endif()
  if(NOT HESSE_KLU)
    list(FILTER sources EXCLUDE REGEX "/solvers/klu/")
  endif()
  if(NOT HESSE_PETSC)
    list(FILTER sources EXCLUDE REGEX "/solvers/petsc/")
  endif()

  list(TRANSFORM arg_DEPENDS PREPEND hesse_)
  if(sources)
    add_library(hesse_${name} OBJECT ${sources})
    target_link_libraries(hesse_${name} PRIVATE hesse_flags hesse_dependencies PUBLIC ${arg_DEPENDS})
    set(HESSE_FOLDERS ${HESSE_FOLDERS} ${name} CACHE INTERNAL "")
  else()
    add_library(hesse_${name} INTERFACE)
    target_link_libraries(hesse_${name} INTERFACE ${arg_DEPENDS})
  endif()
endfunction()

# hesse_add_isa_units(<folder> <source>...)
# Compiles every source once per instruction set, with the macros HESSE_ISA=<isa> and Eigen=Eigen_<isa>: the latter renames
# Eigen's namespace, so that the linker never merges an AVX-512 copy of a template with the baseline one. A unit puts what
# it exports into a namespace named after HESSE_ISA and must not instantiate other templates with external linkage (the test
# check_isa_units looks). With the x86 variants built, <folder> is compiled with HESSE_HAVE_X86_ISA_UNITS.
function(hesse_add_isa_units folder)
  if(NOT ARGN)
    return()
  endif()
  set(isas baseline)
  set(flags_baseline "")
  set(flags_avx2 -mavx2 -mfma)
  set(flags_avx512 -mavx512f -mavx512dq -mavx512bw -mavx512vl -mavx2 -mfma)
  set(definitions EIGEN_DONT_PARALLELIZE EIGEN_MPL2_ONLY)
  if(HESSE_X86_ISA_UNITS AND CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|amd64|AMD64)$")
    list(APPEND isas avx2 avx512)
    list(APPEND definitions HESSE_HAVE_X86_ISA_UNITS)
    get_target_property(type hesse_${folder} TYPE)
    if(type STREQUAL "OBJECT_LIBRARY")
      target_compile_definitions(hesse_${folder} PRIVATE HESSE_HAVE_X86_ISA_UNITS)
    endif()
  endif()
  if(HESSE_SANITIZE MATCHES "undefined")
    # Eigen loads pairs of floats as doubles, whatever their alignment; and this is slow to compile. Options of
    # sources come last: those of targets stand before the ones they inherit.
    set_source_files_properties(${ARGN} PROPERTIES COMPILE_OPTIONS -fno-sanitize=undefined)
  endif()
  foreach(isa IN LISTS isas)
    set(target hesse_${folder}_${isa})
    add_library(${target} OBJECT ${ARGN})
    target_compile_definitions(${target} PRIVATE HESSE_ISA=${isa} Eigen=Eigen_${isa} ${definitions})
    # -O2 in every build type: unoptimised Eigen is too slow to test with, and leaves templates behind.
    target_compile_options(${target} PRIVATE ${flags_${isa}} -O2 $<$<CXX_COMPILER_ID:GNU>:-Wno-uninitialized>)
    target_link_libraries(${target} PRIVATE hesse_flags hesse_dependencies Eigen3::Eigen)
    set(HESSE_ISA_TARGETS ${HESSE_ISA_TARGETS} ${target} CACHE INTERNAL "")
  endforeach()
endfunction()

# hesse_add_library(): the library people link, hesse::hesse, from the parts.
function(hesse_add_library)
  set(objects "")
  foreach(folder IN LISTS HESSE_FOLDERS)
    list(APPEND objects $<TARGET_OBJECTS:hesse_${folder}>)
  endforeach()
  foreach(target IN LISTS HESSE_ISA_TARGETS)
    list(APPEND objects $<TARGET_OBJECTS:${target}>)
  endforeach()
  set(public_includes
    $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}>
    $<BUILD_INTERFACE:${PROJECT_BINARY_DIR}/include>
    $<INSTALL_INTERFACE:include/hesse>
    $<INSTALL_INTERFACE:include>)
  if(objects)
    add_library(hesse ${objects})
    target_compile_features(hesse PUBLIC cxx_std_20)
    target_include_directories(hesse PUBLIC ${public_includes})
    target_link_libraries(hesse PUBLIC Threads::Threads PRIVATE ${HESSE_LINKED})
    if(HESSE_SANITIZE)
      target_link_options(hesse PUBLIC -fsanitize=${HESSE_SANITIZE})
    endif()
    set_target_properties(hesse PROPERTIES VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR} LINKER_LANGUAGE CXX)
  else()
    add_library(hesse INTERFACE)
    target_compile_features(hesse INTERFACE cxx_std_20)
    target_include_directories(hesse INTERFACE ${public_includes})
    target_link_libraries(hesse INTERFACE Threads::Threads hesse::hwy)
  endif()
  add_library(hesse::hesse ALIAS hesse)
  # <hesse/hesse.h> means the same in the build tree as after installation.
  file(CONFIGURE OUTPUT "${PROJECT_BINARY_DIR}/include/hesse/hesse.h" @ONLY
       CONTENT "#pragma once\n#include \"@PROJECT_SOURCE_DIR@/hesse.h\"\n")
endfunction()
