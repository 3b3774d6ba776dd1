# SPDX-License-Identifier: Apache-2.0
#
# Checks the requirements of the service, and lists everything that is missing in one message. Kconfig alone would turn
# CONFIG_WSS off with a warning, and the build would fail at the first header.

set(missing "")

set(minimum 4.3.0)
set(version ${KERNEL_VERSION_MAJOR}.${KERNEL_VERSION_MINOR}.${KERNEL_PATCHLEVEL})
if(version VERSION_LESS minimum)
  list(APPEND missing "Zephyr ${minimum} or later (this is ${version})")
endif()

if(NOT DEFINED ZEPHYR_LANG_RUST_MODULE_DIR)
  list(APPEND missing "Zephyr's module for Rust in the workspace: \
west config manifest.project-filter -- +zephyr-lang-rust && west update")
elseif(CONFIG_ARCH_POSIX AND NOT CONFIG_64BIT)
  list(APPEND missing "a 64-bit build of native_sim: west build -b native_sim/native/64")
elseif(CONFIG_CPU_CORTEX_M0 OR CONFIG_CPU_CORTEX_M0PLUS OR CONFIG_CPU_CORTEX_M1)
  list(APPEND missing "a processor with atomic compare-and-swap: not Cortex-M0, M0+ or M1 \
(${BOARD}${BOARD_QUALIFIERS})")
elseif(CONFIG_RISCV AND NOT CONFIG_64BIT)
  list(APPEND missing "a processor with atomic compare-and-swap: Zephyr's module for Rust builds 32-bit RISC-V \
without it (${BOARD}${BOARD_QUALIFIERS})")
elseif(NOT CONFIG_RUST_SUPPORTED)
  list(APPEND missing "an architecture that Zephyr's module for Rust supports: Cortex-M, 64-bit RISC-V or 64-bit \
native_sim (this is ${ARCH}, ${BOARD}${BOARD_QUALIFIERS})")
endif()

foreach(option NETWORKING NET_TCP NET_SOCKETS)
  if(NOT CONFIG_${option})
    list(APPEND missing "CONFIG_${option}=y")
  endif()
endforeach()
if(CONFIG_NETWORKING AND NOT CONFIG_NET_IPV4 AND NOT CONFIG_NET_IPV6)
  list(APPEND missing "CONFIG_NET_IPV4=y or CONFIG_NET_IPV6=y")
endif()

if(missing)
  list(JOIN missing "\n  - " missing)
  message(FATAL_ERROR "CONFIG_WSS=y needs what this build lacks:\n  - ${missing}\n\
See \"Requirements\" in docs/zephyr.md of the module wss.")
endif()

if(NOT CONFIG_ENTROPY_HAS_DRIVER AND NOT CONFIG_TEST_RANDOM_GENERATOR)
  message(WARNING "Zephyr's TCP needs random numbers, and ${BOARD}${BOARD_QUALIFIERS} has no entropy driver. For \
tests: CONFIG_TEST_RANDOM_GENERATOR=y")
endif()

# wss_at_least(OPTION number REASON): checks that the option is at least this number.
function(wss_at_least option number reason)
  if(CONFIG_${option} LESS number)
    list(APPEND wrong "${reason} needs CONFIG_${option} >= ${number} (is ${CONFIG_${option}})")
    set(wrong "${wrong}" PARENT_SCOPE)
  endif()
endfunction()

set(wrong "")
# The descriptors that one server polls: clients, one that is rejected, listeners, and the wake-up.
math(EXPR polls "${CONFIG_WSS_MAX_CLIENTS} + 1 + ${CONFIG_WSS_LISTENERS} + 1")
math(EXPR open "${CONFIG_WSS_SERVERS} * (${polls} + 1)")
math(EXPR contexts "${CONFIG_WSS_SERVERS} * (${polls} - 1)")
set(clients "CONFIG_WSS_MAX_CLIENTS=${CONFIG_WSS_MAX_CLIENTS}")
if(CONFIG_WSS_SERVERS GREATER 1)
  string(APPEND clients " with CONFIG_WSS_SERVERS=${CONFIG_WSS_SERVERS}")
endif()
wss_at_least(ZVFS_POLL_MAX ${polls} "CONFIG_WSS_MAX_CLIENTS=${CONFIG_WSS_MAX_CLIENTS}")
wss_at_least(ZVFS_OPEN_MAX ${open} "${clients}")
if(NOT CONFIG_NET_SOCKETS_OFFLOAD)
  wss_at_least(NET_MAX_CONTEXTS ${contexts} "${clients}")
  wss_at_least(NET_MAX_CONN ${contexts} "${clients}")
endif()
if(CONFIG_WSS_CLIENT_TIMEOUT_MS GREATER 0 AND CONFIG_WSS_CLIENT_TIMEOUT_MS LESS 100)
  list(APPEND wrong "CONFIG_WSS_CLIENT_TIMEOUT_MS=${CONFIG_WSS_CLIENT_TIMEOUT_MS} is out of range: use 100 to 65535, \
or 0 to disable the timeout")
endif()

if(CONFIG_WSS_TLS AND NOT CONFIG_WSS_TLS_1_2 AND NOT CONFIG_WSS_TLS_1_3)
  list(APPEND wrong "CONFIG_WSS_TLS=y needs CONFIG_WSS_TLS_1_2=y or CONFIG_WSS_TLS_1_3=y")
endif()
# Neither native_sim's fake driver nor Mbed TLS's legacy generator without a driver provides entropy.
if(CONFIG_WSS_TLS AND NOT CONFIG_WSS_TLS_TEST_ENTROPY AND (CONFIG_FAKE_ENTROPY_NATIVE_SIM
    OR CONFIG_TEST_CSPRNG_GENERATOR OR NOT CONFIG_CSPRNG_ENABLED OR NOT CONFIG_MBEDTLS_PSA_CRYPTO_EXTERNAL_RNG
    OR CONFIG_MBEDTLS_PSA_CRYPTO_EXTERNAL_RNG_ALLOW_NON_CSPRNG))
  list(APPEND wrong "CONFIG_WSS_TLS=y needs a driver for entropy, which ${BOARD}${BOARD_QUALIFIERS} \
lacks: keys could be guessed. For tests: CONFIG_WSS_TLS_TEST_ENTROPY=y")
endif()

if(wrong)
  list(JOIN wrong "\n  - " wrong)
  message(FATAL_ERROR "The limits of this build do not fit the WSS service:\n  - ${wrong}")
endif()
