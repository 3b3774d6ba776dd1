# SPDX-License-Identifier: Apache-2.0
# Included before find_package(Zephyr): Zephyr's HTTP server for CLIENTS clients, with TLS with that.
file(WRITE ${CMAKE_CURRENT_BINARY_DIR}/clients.conf
"CONFIG_HTTP_SERVER_MAX_CLIENTS=${CLIENTS}
CONFIG_WEBSOCKET_MAX_CONTEXTS=${CLIENTS}
")
list(APPEND EXTRA_CONF_FILE ${CMAKE_CURRENT_BINARY_DIR}/clients.conf)
if(TLS)
  math(EXPR contexts "2 + ${CLIENTS}")
  math(EXPR key_slots "16 + 4 * ${CLIENTS}")
  file(WRITE ${CMAKE_CURRENT_BINARY_DIR}/tls.conf
"CONFIG_NET_SOCKETS_TLS_MAX_CONTEXTS=${contexts}
CONFIG_MBEDTLS_PSA_KEY_SLOT_COUNT=${key_slots}
")
  list(APPEND EXTRA_CONF_FILE ${CMAKE_CURRENT_LIST_DIR}/tls.conf ${CMAKE_CURRENT_BINARY_DIR}/tls.conf)
endif()
