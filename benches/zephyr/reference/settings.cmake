# SPDX-License-Identifier: Apache-2.0
# Included before find_package(Zephyr): Zephyr's HTTP server for CLIENTS clients.
file(WRITE ${CMAKE_CURRENT_BINARY_DIR}/clients.conf
"CONFIG_HTTP_SERVER_MAX_CLIENTS=${CLIENTS}
CONFIG_WEBSOCKET_MAX_CONTEXTS=${CLIENTS}
")
list(APPEND EXTRA_CONF_FILE ${CMAKE_CURRENT_BINARY_DIR}/clients.conf)
