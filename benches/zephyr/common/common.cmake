# Included before find_package(Zephyr): the common configuration, and what depends on the number of
# clients, which Kconfig cannot calculate.
#
#   cmake -DCLIENTS=3 -DBUFFER=1400 …

set(CLIENTS 2 CACHE STRING "WebSocket clients at one time")
set(BUFFER 1400 CACHE STRING "Largest WebSocket message, in bytes")

list(APPEND EXTRA_CONF_FILE ${CMAKE_CURRENT_LIST_DIR}/common.conf)
if(BOARD MATCHES "^native_sim")
  list(APPEND EXTRA_CONF_FILE ${CMAKE_CURRENT_LIST_DIR}/native_sim.conf)
else()
  string(REGEX MATCH "^[^/@]+" board "${BOARD}")
  list(APPEND EXTRA_CONF_FILE ${CMAKE_CURRENT_LIST_DIR}/${board}.conf)
endif()

# bench_sockets(LISTENERS n DESCRIPTORS n POLL n): what the application has open at most. The plain TCP
# echo, one listener and two connections, comes on top of the first two.
function(bench_sockets)
  cmake_parse_arguments(arg "" "SOCKETS;DESCRIPTORS;POLL" "" ${ARGN})
  math(EXPR sockets "3 + ${arg_SOCKETS}")
  math(EXPR descriptors "${sockets} + ${arg_DESCRIPTORS}")
  set(conf ${CMAKE_CURRENT_BINARY_DIR}/sockets.conf)
  file(CONFIGURE OUTPUT ${conf} @ONLY CONTENT
"CONFIG_NET_MAX_CONTEXTS=@sockets@
CONFIG_NET_MAX_CONN=@sockets@
CONFIG_ZVFS_OPEN_MAX=@descriptors@
CONFIG_ZVFS_POLL_MAX=@arg_POLL@
")
  set(EXTRA_CONF_FILE ${EXTRA_CONF_FILE} ${conf} PARENT_SCOPE)
endfunction()
