# find_package(Flash), from the build tree and from an install tree.
#
#   find_package(Flash REQUIRED CONFIG)   with Flash_DIR = PREFIX/lib/cmake/flash
#   target_link_libraries(mine PRIVATE MLIRFlash ...)
#
# The targets carry the names that they have in this build, as MLIR's do.

include(CMakePackageConfigHelpers)

set(FLASH_CMAKE_DIR lib/cmake/flash)

configure_package_config_file(
  ${PROJECT_SOURCE_DIR}/cmake/FlashConfig.cmake.in
  ${PROJECT_BINARY_DIR}/${FLASH_CMAKE_DIR}/FlashConfig.cmake
  INSTALL_DESTINATION ${FLASH_CMAKE_DIR})
write_basic_package_version_file(
  ${PROJECT_BINARY_DIR}/${FLASH_CMAKE_DIR}/FlashConfigVersion.cmake
  COMPATIBILITY SameMinorVersion)
export(EXPORT FlashTargets
  FILE ${PROJECT_BINARY_DIR}/${FLASH_CMAKE_DIR}/FlashTargets.cmake)

install(EXPORT FlashTargets DESTINATION ${FLASH_CMAKE_DIR})
install(FILES
  ${PROJECT_BINARY_DIR}/${FLASH_CMAKE_DIR}/FlashConfig.cmake
  ${PROJECT_BINARY_DIR}/${FLASH_CMAKE_DIR}/FlashConfigVersion.cmake
  DESTINATION ${FLASH_CMAKE_DIR})
install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/ ${PROJECT_BINARY_DIR}/include/
  DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}
  FILES_MATCHING PATTERN "*.h" PATTERN "*.td" PATTERN "*.inc"
  PATTERN CMakeFiles EXCLUDE)
install(FILES ${PROJECT_SOURCE_DIR}/LICENSE DESTINATION ${CMAKE_INSTALL_DATADIR}/flash)
