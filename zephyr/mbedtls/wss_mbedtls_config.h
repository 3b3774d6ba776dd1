/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What Kconfig has no options for: MBEDTLS_USER_CONFIG_FILE, at the end of Mbed TLS' configuration. An application that
 * has one of its own includes this.
 */

/* Several threads use Mbed TLS: see threading_alt.h and tls.c. */
#define MBEDTLS_THREADING_C
#define MBEDTLS_THREADING_ALT

/* Two for each session, five more for each handshake, and a private key for each server, besides those of Kconfig. */
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
 * Without this the premaster secret of TLS 1.2 has room for one byte where elliptic curves are P256-M's: Mbed TLS 3.6
 * takes its size from its own curves.
 */
#if defined(CONFIG_WSS_TLS_1_2) && defined(CONFIG_MBEDTLS_PSA_P256M_DRIVER_ENABLED)
#define MBEDTLS_PK_PARSE_EC_COMPRESSED
#define MBEDTLS_ECP_DP_SECP256R1_ENABLED
#endif
