/* SPDX-License-Identifier: Apache-2.0 */
/*
 * WebSocket clients that are outside of Zephyr's TCP: a network interface plays them. They need none of the
 * buffers for sending, and can stop acknowledging.
 */
#ifndef PEER_H
#define PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <zephyr/kernel.h>

#define PEERS 10

struct peer {
	/* The sequence numbers of the next byte that it sends, and of the next one that it receives. */
	uint32_t seq;
	uint32_t ack;
	/* The end of the received bytes: of the handshake, then of a frame. */
	size_t skip;
	uint8_t head[4];
	size_t head_len;
	uint16_t port;
	bool known;
	bool upgraded;
	bool closed;
	/* It acknowledges nothing, although its window stays open. */
	bool stalled;
	bool owes_ack;
	bool owes_request;
	/* Called with each text that it receives; frames have up to 125 bytes then. */
	void (*on_text)(struct peer *peer);
	/* Text and binary frames received. */
	uint32_t texts;
	uint32_t binaries;
};

extern struct peer peers[PEERS];

/* Connects, and waits for the response. */
void peer_connect(struct peer *peer);
/* Sends a text of up to 100 bytes. */
void peer_text(struct peer *peer, const char *text, size_t len);

#endif
