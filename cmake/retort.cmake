# What every room, executable, test and bench of Retort is declared with.

# (GCC 12 reports -Wrestrict, -Wstringop-overflow and -Warray-bounds in its own std::string.)
add_library(retort_options INTERFACE)
target_compile_options(retort_options INTERFACE -Wall -Wextra -Wpedantic -Werror=return-type
                       -Wno-restrict -Wno-stringop-overflow -Wno-array-bounds)
target_include_directories(retort_options INTERFACE ${CMAKE_SOURCE_DIR}/src)
if(RETORT_QUICK_BUILD)
  # GCC sweeps its memory every time it has grown by a third: with a precompiled header of 600 MB
  # that is a sixth of the compilation, and what it frees is a few per cent.
  target_compile_options(retort_options INTERFACE
    $<$<CXX_COMPILER_ID:GNU>:--param=ggc-min-expand=300> $<$<CXX_COMPILER_ID:GNU>:--param=ggc-min-heapsize=1000000>)
  find_program(RETORT_GOLD ld.gold)
  if(RETORT_GOLD AND NOT RETORT_SANITIZE)  # a fifth of the time of the default linker
    target_link_options(retort_options INTERFACE -fuse-ld=gold)
  endif()
endif()
# (Its checks make GCC's -Wmaybe-uninitialized err, as its manual says.)
if(RETORT_SANITIZE)
  target_compile_options(retort_options INTERFACE -fsanitize=${RETORT_SANITIZE}
                         -fno-sanitize-recover=all -fno-omit-frame-pointer -g1
                         -Wno-maybe-uninitialized)
  target_link_options(retort_options INTERFACE -fsanitize=${RETORT_SANITIZE})
endif()

# Several sources of a target a compile: most of the time of a source on libtorch goes into what its
# headers instantiate, which is then paid once for eight of them.
function(retort_unity target)
  set_target_properties(${target} PROPERTIES UNITY_BUILD ${RETORT_QUICK_BUILD}
                        UNITY_BUILD_BATCH_SIZE 8)
endfunction()

# A precompiled header shared by all targets of one kind: retort_precompile(TARGET KIND HEADERS
# [TORCH]). Targets of a kind have the same optimisation, without which it would not fit.
function(retort_precompile target kind)
  cmake_parse_arguments(arg "TORCH" "" "" ${ARGN})
  set(pch retort_pch_${kind})
  if(NOT TARGET ${pch})
    file(CONFIGURE OUTPUT ${CMAKE_BINARY_DIR}/${pch}.cc CONTENT "")
    add_library(${pch} OBJECT ${CMAKE_BINARY_DIR}/${pch}.cc)
    target_link_libraries(${pch} PRIVATE retort_options)
    if(RETORT_QUICK_BUILD OR kind MATCHES test)
      target_link_libraries(${pch} PRIVATE fmt::fmt nlohmann_json::nlohmann_json)
    endif()
    set_target_properties(${pch} PROPERTIES UNITY_BUILD OFF)
    if(arg_TORCH)
      retort_torch_options(${pch})
    endif()
    if(kind MATCHES test)
      target_link_libraries(${pch} PRIVATE GTest::gmock)
      retort_test_options(${pch})
    endif()
    if(kind MATCHES cli)
      retort_cli_options(${pch})
    endif()
    target_precompile_headers(${pch} PRIVATE ${arg_UNPARSED_ARGUMENTS})
  endif()
  target_precompile_headers(${target} REUSE_FROM ${pch})
endfunction()

# What nearly every source includes, directly or not.
if(RETORT_QUICK_BUILD)
  set(RETORT_COMMON_HEADERS <fmt/format.h> <nlohmann/json.hpp> <algorithm> <array> <chrono> <cmath>
      <filesystem> <fstream> <functional> <map> <memory> <numeric> <optional> <set> <span> <string>
      <unordered_map> <utility> <vector>)
  # One precompiled header with libtorch for rooms and tests: half a minute of a core less. It fits
  # only where what GoogleTest defines is defined.
  set(RETORT_TORCH_HEADERS <gmock/gmock.h> ${RETORT_COMMON_HEADERS} <torch/torch.h>)
  add_compile_definitions(GTEST_HAS_PTHREAD=1)
else()
  set(RETORT_TORCH_HEADERS <torch/torch.h>)
endif()

# Rooms on libtorch: its templates are what their compilation takes, and the loops that count are
# in kernel/, so that -O1 is enough (bench_training: no slower than with -O2).
function(retort_torch_options target)
  target_compile_options(${target} PRIVATE -Wno-pedantic -Wno-unused-parameter
                         $<$<CONFIG:Release>:-O1>)
  target_include_directories(${target} SYSTEM PUBLIC ${TORCH_INCLUDE_DIRS})
  target_link_libraries(${target} PUBLIC ${TORCH_LIBRARIES})
endfunction()

# Commands only parse flags and call rooms; the parser's templates are what their compilation takes.
function(retort_cli_options target)
  target_compile_options(${target} PRIVATE $<$<CONFIG:Release>:-O1>)
  target_link_libraries(${target} PRIVATE CLI11::CLI11)
endfunction()
function(retort_cli target)
  if(RETORT_QUICK_BUILD)
    retort_cli_options(${target})
    retort_precompile(${target} cli ${RETORT_COMMON_HEADERS} <CLI/CLI.hpp>)
  endif()
endfunction()

# Tests are compiled more often than their own loops run.
function(retort_test_options target)
  target_compile_options(${target} PRIVATE -O1)
endfunction()

# retort_room(NAME SOURCES a.cc b.cc DEPS common log LIBS DuckDB::duckdb [TORCH] [PLAIN])
# A room is the static library retort_NAME. PLAIN: its sources have flags of their own, or few
# headers, so that the precompiled header would not fit or pay.
function(retort_room name)
  cmake_parse_arguments(arg "TORCH;PLAIN" "" "SOURCES;DEPS;LIBS" ${ARGN})
  add_library(retort_${name} STATIC ${arg_SOURCES})
  list(TRANSFORM arg_DEPS PREPEND retort_)
  target_link_libraries(retort_${name} PUBLIC retort_options ${arg_DEPS} ${arg_LIBS})
  if(arg_TORCH)
    retort_torch_options(retort_${name})
    retort_precompile(retort_${name} torch ${RETORT_TORCH_HEADERS} TORCH)
    retort_unity(retort_${name})
  elseif(RETORT_QUICK_BUILD AND NOT arg_PLAIN)
    retort_precompile(retort_${name} room ${RETORT_COMMON_HEADERS})
  endif()
endfunction()

# retort_embed(TARGET FUNCTION FILE..): the files become part of the target, which has to declare
# `std::span<const EmbeddedFile> FUNCTION()` (common/embedded_file.h) to reach them.
function(retort_embed target function)
  set(files "")
  foreach(file IN LISTS ARGN)
    cmake_path(ABSOLUTE_PATH file BASE_DIRECTORY ${CMAKE_CURRENT_SOURCE_DIR})
    list(APPEND files ${file})
  endforeach()
  set(out ${CMAKE_CURRENT_BINARY_DIR}/${function}.cc)
  list(JOIN files "|" joined)
  add_custom_command(OUTPUT ${out}
    COMMAND ${CMAKE_COMMAND} -DOUT=${out} -DFUNCTION=${function} "-DFILES=${joined}"
            -P ${CMAKE_SOURCE_DIR}/cmake/embed.cmake
    DEPENDS ${files} ${CMAKE_SOURCE_DIR}/cmake/embed.cmake VERBATIM)
  set_source_files_properties(${out} PROPERTIES SKIP_PRECOMPILE_HEADERS ON
                              SKIP_UNITY_BUILD_INCLUSION ON)
  target_sources(${target} PRIVATE ${out})
endfunction()

# retort_tests(NAME SOURCES a_test.cc DEPS dataset [TORCH] [LABEL slow] [TIMEOUT 300])
# The executable test_NAME, which is one test of CTest with the label (unit by default) and names
# what failed in it: a process a TEST would take several times as long, to load the libraries.
# One alone: bin/test_NAME --gtest_filter=Suite.Name.
# Fixtures are found under the macro RETORT_TESTS, the root of tests/.
function(retort_tests name)
  cmake_parse_arguments(arg "TORCH" "LABEL;TIMEOUT" "SOURCES;DEPS;LIBS" ${ARGN})
  if(NOT arg_LABEL)
    set(arg_LABEL unit)
  endif()
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 300)
  endif()
  add_executable(test_${name} ${arg_SOURCES})
  list(TRANSFORM arg_DEPS PREPEND retort_)
  target_link_libraries(test_${name} PRIVATE retort_options ${arg_DEPS} ${arg_LIBS}
                        GTest::gmock GTest::gtest_main)
  target_include_directories(test_${name} PRIVATE ${CMAKE_SOURCE_DIR})
  target_compile_definitions(test_${name} PRIVATE RETORT_TESTS="${CMAKE_SOURCE_DIR}/tests"
    RETORT_BIN="${CMAKE_RUNTIME_OUTPUT_DIRECTORY}" RETORT_SOURCE="${CMAKE_SOURCE_DIR}")
  set(headers <gmock/gmock.h> <fmt/format.h> <nlohmann/json.hpp> ${RETORT_COMMON_HEADERS})
  list(REMOVE_DUPLICATES headers)
  if(arg_TORCH)
    retort_torch_options(test_${name})
    if(RETORT_QUICK_BUILD)
      retort_precompile(test_${name} torch ${RETORT_TORCH_HEADERS} TORCH)
    else()
      retort_precompile(test_${name} torch_test ${headers} <torch/torch.h> TORCH)
    endif()
    retort_unity(test_${name})
  else()
    retort_precompile(test_${name} test ${headers})
  endif()
  retort_test_options(test_${name})
  add_test(NAME ${name} COMMAND test_${name} --gtest_brief=1)
  set_tests_properties(${name} PROPERTIES LABELS ${arg_LABEL} TIMEOUT ${arg_TIMEOUT})
endfunction()

# retort_bench(NAME SOURCES bench_x.cc DEPS dataset [TORCH])
function(retort_bench name)
  cmake_parse_arguments(arg "TORCH" "" "SOURCES;DEPS;LIBS" ${ARGN})
  add_executable(bench_${name} ${arg_SOURCES})
  list(TRANSFORM arg_DEPS PREPEND retort_)
  target_link_libraries(bench_${name} PRIVATE retort_options ${arg_DEPS} ${arg_LIBS}
                        benchmark::benchmark)
  if(arg_TORCH)
    retort_torch_options(bench_${name})
    retort_precompile(bench_${name} torch ${RETORT_TORCH_HEADERS} TORCH)
  endif()
endfunction()
