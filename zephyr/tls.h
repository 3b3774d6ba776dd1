/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Mbed TLS for the service in Rust: sessions, which are counted from 0, CONFIG_WSS_MAX_CLIENTS of them for each server.
 * `zephyr/port/src/tls.rs` is the other side of it, and decides; this has the structures of Mbed TLS. One thread at a
 * time uses a session.
 */
#ifndef WSS_ZEPHYR_TLS_H
#define WSS_ZEPHYR_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "port.h"

/* Results besides those of port.h. TLS failed, and an alert was tried: wss_tls_reason() says why. */
#define WSS_TLS_FAILED (-1003)
/* The stream ended without close_notify. */
#define WSS_TLS_TRUNCATED (-1004)

/* As struct wss_tls in wss.h. */
struct wss_tls_credentials {
	/* NULL, as all of them: those with the tags in CONFIG_WSS_TLS_SEC_TAGS. */
	const uint8_t *cert;
	size_t cert_len;
	const uint8_t *key;
	size_t key_len;
	const uint8_t *ca;
	size_t ca_len;
	/* enum wss_client_auth. */
	uint32_t client_auth;
};

/* The socket of a session. Both return what wss_port_receive() and wss_port_send() do. */
struct wss_tls_socket {
	int32_t (*receive)(uint32_t session, uint8_t *data, size_t len);
	int32_t (*send)(uint32_t session, const uint8_t *data, size_t len);
};

/* Makes the sessions of a server, which does not run, ready: 0, or an error, which was logged. */
int32_t wss_tls_start(size_t server, const struct wss_tls_credentials *credentials,
		      const struct wss_tls_socket *socket);

/* Makes a session ready for its next client, and gives back what the one before took. */
void wss_tls_reset(uint32_t session);

/* Goes on with the handshake: 0 if it is over, or an error. */
int32_t wss_tls_handshake(uint32_t session);
/* How far the handshake is: another number when it went on. */
int32_t wss_tls_progress(uint32_t session);

/* Receives as wss_port_receive() does. 0: the client has sent close_notify. */
int32_t wss_tls_receive(uint32_t session, uint8_t *data, size_t len);
/* Whether more can be received of which the socket does not know. */
bool wss_tls_has_buffered(uint32_t session);

/*
 * Encrypts one record of what follows the first `skip` bytes of `parts`: how many bytes are in it. They count as sent,
 * even if the socket did not take them. To be called when nothing is unsent.
 */
int32_t wss_tls_send(uint32_t session, const struct wss_port_part *parts, size_t count, size_t skip);
/* Whether the socket has not taken everything. */
bool wss_tls_has_unsent(uint32_t session);
/* Sends what is unsent: 0, or an error. */
int32_t wss_tls_flush(uint32_t session);
/* To be called when nothing is unsent. */
void wss_tls_close_notify(uint32_t session);
/* Sends a fatal alert (RFC 8446 section 6), unless something is unsent. */
void wss_tls_alert(uint32_t session, uint8_t alert);

/* Why it failed: the error of Mbed TLS, and the alert that the peer has sent, or -1. */
void wss_tls_reason(uint32_t session, int32_t *error, int32_t *alert);

#endif /* WSS_ZEPHYR_TLS_H */
