# SPDX-License-Identifier: Apache-2.0
# Included before find_package(Zephyr): the service for CLIENTS clients with receive buffers of BUFFER bytes,
# with ONE_THREAD without a work queue, with TLS with that.

# The service is a module of the application's, so that no manifest has to name it; zephyr-lang-rust
# is one of the workspace's.
list(APPEND ZEPHYR_EXTRA_MODULES ${CMAKE_CURRENT_LIST_DIR}/../../..)

file(WRITE ${CMAKE_CURRENT_BINARY_DIR}/clients.conf
"CONFIG_WSS_MAX_CLIENTS=${CLIENTS}
CONFIG_WSS_RX_BUFFER_SIZE=${BUFFER}
")
list(APPEND EXTRA_CONF_FILE ${CMAKE_CURRENT_BINARY_DIR}/clients.conf)
if(ONE_THREAD)
  list(APPEND EXTRA_CONF_FILE ${CMAKE_CURRENT_LIST_DIR}/one_thread.conf)
endif()
if(TLS)
  list(APPEND EXTRA_CONF_FILE ${CMAKE_CURRENT_LIST_DIR}/tls.conf)
endif()
