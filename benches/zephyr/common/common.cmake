# SPDX-License-Identifier: Apache-2.0
#
# Included before find_package(Zephyr): the common configuration, and what depends on the number of
# clients, which Kconfig cannot calculate.
#
#   cmake -DCLIENTS=3 -DBUFFER=1400 …

set(TCP_CLIENTS 2 CACHE STRING "Clients of the plain TCP echo at one time")
set(CLIENTS 2 CACHE STRING "WebSocket clients at one time")
set(BUFFER 1400 CACHE STRING "Largest WebSocket message, in bytes")

list(APPEND EXTRA_CONF_FILE ${CMAKE_CURRENT_LIST_DIR}/common.conf)
if(BOARD MATCHES "^native_sim")
  list(APPEND EXTRA_CONF_FILE ${CMAKE_CURRENT_LIST_DIR}/native_sim.conf)
else()
  string(REGEX MATCH "^[^/@]+" board "${BOARD}")
  list(APPEND EXTRA_CONF_FILE ${CMAKE_CURRENT_LIST_DIR}/${board}.conf)
endif()

# bench_sockets(SOCKETS n DESCRIPTORS n POLL n): the sockets and other descriptors that a server has open
# at most, and how many of them it polls at a time. The plain TCP echo's listener and clients, which it
# polls for itself, come on top.
function(bench_sockets)
  cmake_parse_arguments(arg "" "SOCKETS;DESCRIPTORS;POLL" "" ${ARGN})
  math(EXPR tcp_echo "1 + ${TCP_CLIENTS}")
  math(EXPR sockets "${tcp_echo} + ${arg_SOCKETS}")
  math(EXPR descriptors "${sockets} + ${arg_DESCRIPTORS}")
  set(poll ${arg_POLL})
  if(poll LESS tcp_echo)
    set(poll ${tcp_echo})
  endif()
  set(conf ${CMAKE_CURRENT_BINARY_DIR}/sockets.conf)
  file(CONFIGURE OUTPUT ${conf} @ONLY CONTENT
"CONFIG_NET_MAX_CONTEXTS=@sockets@
CONFIG_NET_MAX_CONN=@sockets@
CONFIG_ZVFS_OPEN_MAX=@descriptors@
CONFIG_ZVFS_POLL_MAX=@poll@
")
  set(EXTRA_CONF_FILE ${EXTRA_CONF_FILE} ${conf} PARENT_SCOPE)
endfunction()
