# cmake --install: the library, its headers and the package files that find_package(Hesse) reads.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

install(TARGETS hesse EXPORT HesseTargets COMPONENT library
  LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT library
  ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT library)
install(FILES hesse.h DESTINATION include/hesse COMPONENT library)
foreach(folder core autodiff solvers gnn physics fewshot)
  if(IS_DIRECTORY "${PROJECT_SOURCE_DIR}/${folder}")
    install(DIRECTORY ${folder} DESTINATION include/hesse COMPONENT library FILES_MATCHING PATTERN "*.h"
      PATTERN "core/cpu" EXCLUDE PATTERN "core/cuda" EXCLUDE
      PATTERN "solvers/sundials" EXCLUDE PATTERN "solvers/klu" EXCLUDE PATTERN "solvers/petsc" EXCLUDE)
  endif()
endforeach()

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/Hesse)
install(EXPORT HesseTargets NAMESPACE hesse:: DESTINATION ${package_dir} COMPONENT library)
configure_package_config_file(cmake/HesseConfig.cmake.in "${PROJECT_BINARY_DIR}/HesseConfig.cmake"
  INSTALL_DESTINATION ${package_dir} NO_SET_AND_CHECK_MACRO NO_CHECK_REQUIRED_COMPONENTS_MACRO)
write_basic_package_version_file("${PROJECT_BINARY_DIR}/HesseConfigVersion.cmake" COMPATIBILITY SameMinorVersion)
install(FILES "${PROJECT_BINARY_DIR}/HesseConfig.cmake" "${PROJECT_BINARY_DIR}/HesseConfigVersion.cmake"
  cmake/HesseDependencies.cmake cmake/HesseHighway.cmake DESTINATION ${package_dir} COMPONENT library)
