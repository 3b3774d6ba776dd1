# SPDX-License-Identifier: Apache-2.0
# The module, its settings for tests, and a client. Included before find_package(Zephyr).
list(APPEND ZEPHYR_EXTRA_MODULES ${CMAKE_CURRENT_LIST_DIR}/../../..)
list(APPEND EXTRA_CONF_FILE ${CMAKE_CURRENT_LIST_DIR}/loopback.conf)
set(CLIENT_DIR ${CMAKE_CURRENT_LIST_DIR})

function(add_client)
  target_sources(app PRIVATE ${CLIENT_DIR}/client.c)
  target_include_directories(app PRIVATE ${CLIENT_DIR})
endfunction()
