# SPDX-License-Identifier: Apache-2.0
#
# The part of the module that needs the functions of Zephyr's module for Rust. It is included after all modules, because
# that module may come later in the list.

if(CONFIG_WSS_C_LIBRARY)
  include(${CMAKE_CURRENT_LIST_DIR}/library.cmake)
  return()
endif()

# A Rust application names the crates wss and wss_zephyr by version only. The build passes their folders to Cargo.
# rust_cargo_application() has no argument for that, but passes the folders of its own crates in the variable
# `command_paths`. The function below adds to that variable before it calls Cargo.
if(NOT COMMAND add_cargo_target_with_zephyr_env)
  message(FATAL_ERROR "CONFIG_WSS=y in a Rust application needs a newer Zephyr module for Rust than \
${ZEPHYR_LANG_RUST_MODULE_DIR}: name zephyr-lang-rust in the workspace's manifest with the revision in west.yml of \
the module wss, and run west update")
endif()

set_property(GLOBAL PROPERTY WSS_DIR ${WSS_DIR})

function(add_cargo_target_with_zephyr_env)
  get_property(wss GLOBAL PROPERTY WSS_DIR)
  list(APPEND command_paths
    --config "patch.crates-io.wss.path=\\\"${wss}\\\""
    --config "patch.crates-io.wss_zephyr.path=\\\"${wss}/zephyr/port\\\""
  )
  # Follows CONFIG_WSS_COMPACT, if the application has a feature for it.
  set(manifest ${CMAKE_CURRENT_SOURCE_DIR}/Cargo.toml)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${manifest})
  file(STRINGS ${manifest} feature REGEX "^wss_packages *=")
  if(feature AND NOT CONFIG_WSS_COMPACT)
    list(APPEND command_paths --features wss_packages)
  endif()
  _add_cargo_target_with_zephyr_env(${ARGN})
endfunction()
