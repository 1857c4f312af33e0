# How every part of Flash is compiled, linked and installed; see the functions
# below.
#
# Flash does not use HandleLLVMOptions: the flags that must agree with
# Debian's LLVM are few and are spelled out here.

include(GNUInstallDirs)

find_program(FLASH_CCACHE ccache)
if(FLASH_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_C_COMPILER_LAUNCHER ${FLASH_CCACHE})
  set(CMAKE_CXX_COMPILER_LAUNCHER ${FLASH_CCACHE})
endif()

# What users of any Flash library need, inside this build or after
# find_package(Flash). NDEBUG always: LLVM is packaged without assertions and
# types visible in its headers change size with them.
add_library(flash_headers INTERFACE)
target_include_directories(flash_headers INTERFACE
  $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>
  $<BUILD_INTERFACE:${PROJECT_BINARY_DIR}/include>
  $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
target_compile_definitions(flash_headers INTERFACE NDEBUG)
target_compile_features(flash_headers INTERFACE cxx_std_20)
if(FLASH_SANITIZE)
  target_link_options(flash_headers INTERFACE -fsanitize=address,undefined)
endif()

# The same for what includes LLVM or MLIR headers. FlashConfig.cmake adds LLVM's
# include directories for users of an installed Flash.
add_library(flash_mlir INTERFACE)
target_include_directories(flash_mlir SYSTEM INTERFACE
  "$<BUILD_INTERFACE:${LLVM_INCLUDE_DIRS};${MLIR_INCLUDE_DIRS}>")
target_link_libraries(flash_mlir INTERFACE flash_headers MLIR LLVM)
install(TARGETS flash_headers flash_mlir EXPORT FlashTargets)

# The parts of the three functions below that are the same.
function(flash_set_up_target name no_mlir link depends)
  target_compile_options(${name} PRIVATE -fno-exceptions -Wall -Wextra
    -Wno-unused-parameter -Wno-missing-field-initializers)
  if(FLASH_SANITIZE)
    # vptr needs the type information of LLVM's classes as its build emits it.
    target_compile_options(${name} PRIVATE -fsanitize=address,undefined
      -fno-sanitize=vptr -fno-omit-frame-pointer -fno-sanitize-recover=undefined)
  endif()
  target_link_options(${name} PRIVATE -fuse-ld=lld)
  if(no_mlir)
    target_link_libraries(${name} PUBLIC flash_headers ${link})
  else()
    target_link_libraries(${name} PUBLIC flash_mlir ${link})
  endif()
  if(depends)
    add_dependencies(${name} ${depends})
  endif()
endfunction()

# flash_add_library(NAME sources... [DEPENDS targets...] [LINK libs...] [NO_MLIR])
#
# A static library of Flash, installed and exported. DEPENDS names the tablegen
# targets whose headers the sources include, LINK other Flash libraries. NO_MLIR
# keeps LLVM and MLIR off the include path and the link line (the emulator and
# the runtime).
function(flash_add_library name)
  cmake_parse_arguments(ARG "NO_MLIR" "" "DEPENDS;LINK" ${ARGN})
  add_library(${name} STATIC ${ARG_UNPARSED_ARGUMENTS})
  flash_set_up_target(${name} "${ARG_NO_MLIR}" "${ARG_LINK}" "${ARG_DEPENDS}")
  set_property(GLOBAL APPEND PROPERTY FLASH_LIBRARIES ${name})
  install(TARGETS ${name} EXPORT FlashTargets
    ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
endfunction()

# flash_add_tool(NAME sources... [DEPENDS targets...] [LINK libs...] [NO_MLIR])
#
# An executable in build/bin, which check-flash builds before it runs the tests.
function(flash_add_tool name)
  cmake_parse_arguments(ARG "NO_MLIR" "" "DEPENDS;LINK" ${ARGN})
  add_executable(${name} ${ARG_UNPARSED_ARGUMENTS})
  flash_set_up_target(${name} "${ARG_NO_MLIR}" "${ARG_LINK}" "${ARG_DEPENDS}")
  set_property(GLOBAL APPEND PROPERTY FLASH_TOOLS ${name})
  install(TARGETS ${name} RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endfunction()

# flash_add_unittest(NAME sources... [DEPENDS targets...] [LINK libs...] [NO_MLIR])
#
# A GoogleTest executable below build/test/Unit, which check-flash builds and
# runs. NAME must end in "Tests": that is how lit finds it.
function(flash_add_unittest name)
  cmake_parse_arguments(ARG "NO_MLIR" "" "DEPENDS;LINK" ${ARGN})
  if(NOT name MATCHES "Tests$")
    message(FATAL_ERROR "flash_add_unittest: expected a name ending in Tests, got ${name}")
  endif()
  add_executable(${name} ${ARG_UNPARSED_ARGUMENTS})
  flash_set_up_target(${name} "${ARG_NO_MLIR}"
    "${ARG_LINK};GTest::gtest;GTest::gtest_main" "${ARG_DEPENDS}")
  set_target_properties(${name} PROPERTIES
    RUNTIME_OUTPUT_DIRECTORY ${CMAKE_CURRENT_BINARY_DIR})
  set_property(GLOBAL APPEND PROPERTY FLASH_UNIT_TESTS ${name})
endfunction()
