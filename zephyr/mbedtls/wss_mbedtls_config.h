/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Settings that have no Kconfig options: MBEDTLS_USER_CONFIG_FILE, included at the end of Mbed TLS's configuration. An
 * application with its own file includes this one.
 */

/* Several threads use Mbed TLS: see threading_alt.h and tls.c. */
#define MBEDTLS_THREADING_C
#define MBEDTLS_THREADING_ALT

/* Besides those of Kconfig: two for each session, five more for each handshake, and a private key for each server. */
#define WSS_TLS_KEY_SLOTS                                                                                    \
	(CONFIG_WSS_SERVERS * (2 * CONFIG_WSS_MAX_CLIENTS + 1) + 5 * CONFIG_WSS_TLS_HANDSHAKES)
#undef MBEDTLS_PSA_KEY_SLOT_COUNT
#define MBEDTLS_PSA_KEY_SLOT_COUNT (CONFIG_MBEDTLS_PSA_KEY_SLOT_COUNT + WSS_TLS_KEY_SLOTS)

#undef MBEDTLS_SSL_IN_CONTENT_LEN
#define MBEDTLS_SSL_IN_CONTENT_LEN CONFIG_WSS_TLS_IN_SIZE
#undef MBEDTLS_SSL_OUT_CONTENT_LEN
#define MBEDTLS_SSL_OUT_CONTENT_LEN CONFIG_WSS_TLS_OUT_SIZE

/* For signatures. */
#ifndef MBEDTLS_ASN1_WRITE_C
#define MBEDTLS_ASN1_WRITE_C
#endif

/*
 * Without this, the premaster secret of TLS 1.2 with P256-M has room for only one byte: Mbed TLS 3.6 derives its size
 * from its own curves.
 */
#if defined(CONFIG_WSS_TLS_1_2) && defined(CONFIG_MBEDTLS_PSA_P256M_DRIVER_ENABLED)
#define MBEDTLS_PK_PARSE_EC_COMPRESSED
#define MBEDTLS_ECP_DP_SECP256R1_ENABLED
#endif
