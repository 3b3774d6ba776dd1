/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TLS for the client, apart from its socket: what it encrypts and decrypts lies in memory, so that only the server's
 * work is counted.
 */
#ifndef TLS_CLIENT_H
#define TLS_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Bytes that must be sent, and bytes that were received and are not decrypted yet. */
struct tls_bytes {
	uint8_t data[32768];
	size_t len;
};

extern struct tls_bytes tls_outgoing, tls_incoming;

/** Begins a connection with TLS 1.2 or 1.3, as Mbed TLS numbers them. Returns false if it cannot. */
bool tls_begin(int version);

/** Continues the handshake as far as the received bytes go. Returns 1 if it is over, 0 if not, or -1. */
int tls_handshake(void);

/** Encrypts into `tls_outgoing`. */
bool tls_encrypt(const uint8_t *data, size_t len);

/** Decrypts what was received. Returns how many bytes there are in `data`: 0 if there is no whole record; or -1. */
int tls_decrypt(uint8_t *data, size_t len);

/** Ends the connection. */
void tls_end(void);

#endif
