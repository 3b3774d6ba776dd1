/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Mbed TLS for the service in Rust. There are CONFIG_WSS_MAX_CLIENTS sessions for each server, numbered from 0. This
 * file has the structures of Mbed TLS; `zephyr/port/src/tls.rs`, the other side, makes the decisions. Only one thread
 * at a time uses a session.
 */
#ifndef WSS_ZEPHYR_TLS_H
#define WSS_ZEPHYR_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "port.h"

/* Results besides those of port.h. TLS failed, and sending an alert was tried. wss_tls_reason() returns the reason. */
#define WSS_TLS_FAILED (-1003)
/* The stream ended without close_notify. */
#define WSS_TLS_TRUNCATED (-1004)

/* See struct wss_tls in wss.h. */
struct wss_tls_credentials {
	/* NULL, together with the others: use the credentials with the tags in CONFIG_WSS_TLS_SEC_TAGS. */
	const uint8_t *cert;
	size_t cert_len;
	const uint8_t *key;
	size_t key_len;
	const uint8_t *ca;
	size_t ca_len;
	/* enum wss_client_auth. */
	uint32_t client_auth;
};

/* The socket of a session. The functions return the results of wss_port_receive() and wss_port_send(). */
struct wss_tls_socket {
	int32_t (*receive)(uint32_t session, uint8_t *data, size_t len);
	int32_t (*send)(uint32_t session, const uint8_t *data, size_t len);
};

/* Prepares the sessions of a server that does not run. Returns 0, or an error, which was logged. */
int32_t wss_tls_start(size_t server, const struct wss_tls_credentials *credentials,
		      const struct wss_tls_socket *socket);

/* Prepares a session for its next client, and frees the memory of the previous one. */
void wss_tls_reset(uint32_t session);

/* Continues the handshake. Returns 0 when it is finished, or an error. */
int32_t wss_tls_handshake(uint32_t session);
/* Returns the state of the handshake: the number changes when there is progress. */
int32_t wss_tls_progress(uint32_t session);

/* Receives as wss_port_receive(). Returns 0 if the client has sent close_notify. */
int32_t wss_tls_receive(uint32_t session, uint8_t *data, size_t len);
/* Returns whether more can be received that poll() does not report. */
bool wss_tls_has_buffered(uint32_t session);

/*
 * Encrypts the bytes of `parts` after the first `skip`, as one record. Returns how many bytes are in it. They count as
 * sent, even if the socket has not accepted them yet. Call this only when nothing is unsent.
 */
int32_t wss_tls_send(uint32_t session, const struct wss_port_part *parts, size_t count, size_t skip);
/* Returns whether there are bytes that the socket has not accepted. */
bool wss_tls_has_unsent(uint32_t session);
/* Sends the unsent bytes. Returns 0, or an error. */
int32_t wss_tls_flush(uint32_t session);
/* Sends close_notify. Call this only when nothing is unsent. */
void wss_tls_close_notify(uint32_t session);
/* Sends a fatal alert (RFC 8446 section 6), unless something is unsent. */
void wss_tls_alert(uint32_t session, uint8_t alert);

/* Returns the reason of a failure: the error of Mbed TLS, and the alert that the peer has sent, or -1. */
void wss_tls_reason(uint32_t session, int32_t *error, int32_t *alert);

#endif /* WSS_ZEPHYR_TLS_H */
