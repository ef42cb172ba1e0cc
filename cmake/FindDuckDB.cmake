# Finds DuckDB's C API: a CMake package of the system first, then the pinned copy that
# scripts/install unpacks into the cache folder. Defines the target DuckDB::duckdb.
find_package(DuckDB CONFIG QUIET)
if(TARGET duckdb)
  add_library(DuckDB::duckdb ALIAS duckdb)
  set(DuckDB_FOUND TRUE)
  return()
endif()

find_path(DuckDB_INCLUDE_DIR duckdb.h PATHS ${RETORT_CACHE}/duckdb-1.4.4/include)
find_library(DuckDB_LIBRARY duckdb PATHS ${RETORT_CACHE}/duckdb-1.4.4/lib)

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(DuckDB REQUIRED_VARS DuckDB_LIBRARY DuckDB_INCLUDE_DIR
  REASON_FAILURE_MESSAGE "run scripts/install, which unpacks the pinned DuckDB")
if(DuckDB_FOUND AND NOT TARGET DuckDB::duckdb)
  add_library(DuckDB::duckdb SHARED IMPORTED)
  set_target_properties(DuckDB::duckdb PROPERTIES
    IMPORTED_LOCATION "${DuckDB_LIBRARY}" IMPORTED_NO_SONAME TRUE
    INTERFACE_INCLUDE_DIRECTORIES "${DuckDB_INCLUDE_DIR}")
endif()
