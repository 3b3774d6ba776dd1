# SPDX-License-Identifier: Apache-2.0
#
# Builds the SYS_WSS interface, in Rust, for an application in C. rust_cargo_application() of the module lang-rust is
# for applications in Rust only, but that module knows the Rust target of the board.

if(NOT COMMAND _rust_map_target)
  message(FATAL_ERROR "The module at ${ZEPHYR_LANG_RUST_MODULE_DIR} has no _rust_map_target(): WSS does not know it")
endif()
_rust_map_target()

set(library_dir ${CMAKE_CURRENT_LIST_DIR}/library)
set(target_dir ${WSS_BINARY_DIR}/rust)
set(library ${target_dir}/${RUST_TARGET}/release/libwss_library.a)
set(features "")
# Removes the code of log levels that are off.
if(NOT CONFIG_LOG OR CONFIG_WSS_LOG_LEVEL EQUAL 0)
  list(APPEND features --features log_off)
elseif(CONFIG_WSS_LOG_LEVEL EQUAL 1)
  list(APPEND features --features log_err)
elseif(CONFIG_WSS_LOG_LEVEL EQUAL 2)
  list(APPEND features --features log_wrn)
elseif(CONFIG_WSS_LOG_LEVEL EQUAL 3)
  list(APPEND features --features log_inf)
endif()

# Uses Rust packages for SHA-1 and Base64, instead of the small functions.
if(NOT CONFIG_WSS_COMPACT)
  list(APPEND features --features packages)
endif()

# Optimizes Rust like C.
set(opt_level s)
if(CONFIG_SIZE_OPTIMIZATIONS)
  set(opt_level z)
elseif(CONFIG_SPEED_OPTIMIZATIONS)
  set(opt_level 3)
endif()

# Rust's own memcpy() and related functions are optimized for speed, and would replace those of the C library. A
# size-optimized C library has small ones: link without Rust's, and with the compiler's functions for 64-bit arithmetic.
if(CONFIG_SIZE_OPTIMIZATIONS AND CONFIG_ARM AND CONFIG_PICOLIBC)
  set(linked ${target_dir}/libwss_small.a)
  set(without_builtins COMMAND ${CMAKE_COMMAND} -DAR=${CMAKE_AR} -DFROM=${library} -DTO=${linked}
    -P ${CMAKE_CURRENT_LIST_DIR}/without_builtins.cmake)
else()
  set(linked ${library})
  set(without_builtins "")
endif()

# Always run Cargo, which knows better than Ninja what has changed. It does not touch the library if nothing has.
add_custom_target(wss_cargo
  COMMAND ${CMAKE_COMMAND} -E env DOTCONFIG=${DOTCONFIG}
    CARGO_PROFILE_RELEASE_OPT_LEVEL=${opt_level}
    cargo build --release --locked --target ${RUST_TARGET} --target-dir ${target_dir} ${features}
  ${without_builtins}
  BYPRODUCTS ${linked}
  WORKING_DIRECTORY ${library_dir}
  COMMENT "Building the WSS service"
  USES_TERMINAL
  VERBATIM
)

add_library(wss_rust STATIC IMPORTED GLOBAL)
set_target_properties(wss_rust PROPERTIES IMPORTED_LOCATION ${linked})
add_dependencies(wss_rust wss_cargo)
# Not one of Zephyr's own libraries, which are linked whole. It needs the port, and the port needs it.
target_link_libraries(wss PUBLIC wss_rust)
