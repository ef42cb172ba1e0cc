# What every room, executable, test and bench of Retort is declared with.

# (GCC 12 reports -Wrestrict in its own std::string.)
add_library(retort_options INTERFACE)
target_compile_options(retort_options INTERFACE -Wall -Wextra -Wpedantic -Werror=return-type
                       -Wno-restrict)
target_include_directories(retort_options INTERFACE ${CMAKE_SOURCE_DIR}/src)
if(RETORT_SANITIZE)
  target_compile_options(retort_options INTERFACE -fsanitize=${RETORT_SANITIZE}
                         -fno-omit-frame-pointer -g1)
  target_link_options(retort_options INTERFACE -fsanitize=${RETORT_SANITIZE})
endif()

# One precompiled header of libtorch for all rooms that include it (18 s a file without).
function(retort_use_torch target)
  target_compile_options(${target} PRIVATE -Wno-pedantic -Wno-unused-parameter)
  target_include_directories(${target} SYSTEM PUBLIC ${TORCH_INCLUDE_DIRS})
  target_link_libraries(${target} PUBLIC ${TORCH_LIBRARIES})
  if(NOT TARGET retort_torch_pch)
    file(WRITE ${CMAKE_BINARY_DIR}/torch_pch.cc "")
    add_library(retort_torch_pch OBJECT ${CMAKE_BINARY_DIR}/torch_pch.cc)
    target_link_libraries(retort_torch_pch PRIVATE retort_options ${TORCH_LIBRARIES})
    target_compile_options(retort_torch_pch PRIVATE -Wno-pedantic -Wno-unused-parameter)
    target_include_directories(retort_torch_pch SYSTEM PUBLIC ${TORCH_INCLUDE_DIRS})
    target_precompile_headers(retort_torch_pch PRIVATE <torch/torch.h>)
  endif()
  target_precompile_headers(${target} REUSE_FROM retort_torch_pch)
endfunction()

# retort_room(NAME SOURCES a.cc b.cc DEPS common log LIBS DuckDB::duckdb [TORCH])
# A room is the static library retort_NAME.
function(retort_room name)
  cmake_parse_arguments(arg "TORCH" "" "SOURCES;DEPS;LIBS" ${ARGN})
  add_library(retort_${name} STATIC ${arg_SOURCES})
  list(TRANSFORM arg_DEPS PREPEND retort_)
  target_link_libraries(retort_${name} PUBLIC retort_options ${arg_DEPS} ${arg_LIBS})
  if(arg_TORCH)
    retort_use_torch(retort_${name})
  endif()
endfunction()

# retort_tests(NAME SOURCES a_test.cc DEPS dataset [TORCH] [WHOLE] [LABEL slow] [TIMEOUT 300])
# The executable test_NAME; each TEST in it is a test of CTest with the label (unit by default), or
# with WHOLE all together are one: for tests that share what is dear to make.
# Fixtures are found under the macro RETORT_TESTS, the root of tests/.
function(retort_tests name)
  cmake_parse_arguments(arg "TORCH;WHOLE" "LABEL;TIMEOUT" "SOURCES;DEPS;LIBS" ${ARGN})
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
  if(arg_TORCH)
    retort_use_torch(test_${name})
  endif()
  if(arg_WHOLE)
    add_test(NAME ${name} COMMAND test_${name})
    set_tests_properties(${name} PROPERTIES LABELS ${arg_LABEL} TIMEOUT ${arg_TIMEOUT})
    return()
  endif()
  include(GoogleTest)
  gtest_discover_tests(test_${name} DISCOVERY_TIMEOUT 120
                       PROPERTIES LABELS ${arg_LABEL} TIMEOUT ${arg_TIMEOUT})
endfunction()

# retort_bench(NAME SOURCES bench_x.cc DEPS dataset [TORCH])
function(retort_bench name)
  cmake_parse_arguments(arg "TORCH" "" "SOURCES;DEPS;LIBS" ${ARGN})
  add_executable(bench_${name} ${arg_SOURCES})
  list(TRANSFORM arg_DEPS PREPEND retort_)
  target_link_libraries(bench_${name} PRIVATE retort_options ${arg_DEPS} ${arg_LIBS}
                        benchmark::benchmark)
  if(arg_TORCH)
    retort_use_torch(bench_${name})
  endif()
endfunction()
