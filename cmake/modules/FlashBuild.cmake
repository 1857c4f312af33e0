# How every part of Flash is compiled and linked; see the functions below.
#
# Flash does not use HandleLLVMOptions: the flags that must agree with
# Debian's LLVM are few and are spelled out here.

find_program(FLASH_CCACHE ccache)
if(FLASH_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_C_COMPILER_LAUNCHER ${FLASH_CCACHE})
  set(CMAKE_CXX_COMPILER_LAUNCHER ${FLASH_CCACHE})
endif()

add_library(flash_options INTERFACE)
target_include_directories(flash_options INTERFACE
  ${PROJECT_SOURCE_DIR}/include ${PROJECT_BINARY_DIR}/include)
# NDEBUG always: LLVM is packaged without assertions and types visible in its
# headers change size with them.
target_compile_definitions(flash_options INTERFACE NDEBUG)
target_compile_options(flash_options INTERFACE
  -fno-exceptions -Wall -Wextra -Wno-unused-parameter -Wno-missing-field-initializers)
if(FLASH_SANITIZE)
  target_compile_options(flash_options INTERFACE
    -fsanitize=address,undefined -fno-sanitize=vptr -fno-omit-frame-pointer -fno-sanitize-recover=undefined)
  target_link_options(flash_options INTERFACE -fsanitize=address,undefined)
endif()
target_link_options(flash_options INTERFACE -fuse-ld=lld)

# What a translation unit that includes LLVM or MLIR headers needs on top.
add_library(flash_mlir_options INTERFACE)
target_include_directories(flash_mlir_options SYSTEM INTERFACE
  ${LLVM_INCLUDE_DIRS} ${MLIR_INCLUDE_DIRS})
target_link_libraries(flash_mlir_options INTERFACE flash_options MLIR LLVM)

# flash_add_library(NAME sources... [DEPENDS targets...] [LINK libs...] [NO_MLIR])
#
# A static library of Flash. DEPENDS names the tablegen targets whose headers
# the sources include, LINK other Flash libraries. NO_MLIR keeps LLVM and MLIR
# off the include path and the link line (the emulator and the runtime).
function(flash_add_library name)
  cmake_parse_arguments(ARG "NO_MLIR" "" "DEPENDS;LINK" ${ARGN})
  add_library(${name} STATIC ${ARG_UNPARSED_ARGUMENTS})
  if(ARG_NO_MLIR)
    target_link_libraries(${name} PUBLIC flash_options ${ARG_LINK})
  else()
    target_link_libraries(${name} PUBLIC flash_mlir_options ${ARG_LINK})
  endif()
  if(ARG_DEPENDS)
    add_dependencies(${name} ${ARG_DEPENDS})
  endif()
endfunction()

# flash_add_tool(NAME sources... [LINK libs...] [NO_MLIR]): an executable in
# build/bin, which check-flash builds before it runs the tests.
function(flash_add_tool name)
  cmake_parse_arguments(ARG "NO_MLIR" "" "DEPENDS;LINK" ${ARGN})
  add_executable(${name} ${ARG_UNPARSED_ARGUMENTS})
  set_property(GLOBAL APPEND PROPERTY FLASH_TOOLS ${name})
  if(ARG_NO_MLIR)
    target_link_libraries(${name} PRIVATE flash_options ${ARG_LINK})
  else()
    target_link_libraries(${name} PRIVATE flash_mlir_options ${ARG_LINK})
  endif()
  if(ARG_DEPENDS)
    add_dependencies(${name} ${ARG_DEPENDS})
  endif()
endfunction()

# flash_add_unittest(NAME sources... [LINK libs...] [DEPENDS targets...]
#                    [NO_MLIR])
#
# A GoogleTest executable below build/test/Unit, which check-flash builds and
# runs. NAME must end in "Tests": that is how lit finds it.
function(flash_add_unittest name)
  cmake_parse_arguments(ARG "NO_MLIR" "" "DEPENDS;LINK" ${ARGN})
  if(NOT name MATCHES "Tests$")
    message(FATAL_ERROR "flash_add_unittest: expected a name ending in Tests, got ${name}")
  endif()
  add_executable(${name} ${ARG_UNPARSED_ARGUMENTS})
  set_property(GLOBAL APPEND PROPERTY FLASH_UNIT_TESTS ${name})
  set_target_properties(${name} PROPERTIES
    RUNTIME_OUTPUT_DIRECTORY ${CMAKE_CURRENT_BINARY_DIR})
  if(ARG_NO_MLIR)
    target_link_libraries(${name} PRIVATE flash_options ${ARG_LINK})
  else()
    target_link_libraries(${name} PRIVATE flash_mlir_options ${ARG_LINK})
  endif()
  target_link_libraries(${name} PRIVATE GTest::gtest GTest::gtest_main)
  if(ARG_DEPENDS)
    add_dependencies(${name} ${ARG_DEPENDS})
  endif()
endfunction()
