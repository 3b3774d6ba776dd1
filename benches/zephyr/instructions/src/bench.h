/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shared by the client, the plain TCP server, and the application on a WebSocket server.
 */
#ifndef BENCH_H
#define BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** What a server does with a message. */
enum bench_case {
	/** Sends it back. */
	ECHO,
	/** Sends a fixed reply, bench_reply. */
	REPLY,
	/** Calls bench_received() and sends nothing. */
	RECEIVE,
	/** Puts it on a queue. Another thread of the application takes it and sends it back. */
	QUEUE,
	/** Sends it to every client. */
	BROADCAST,
};

/** The case of this cell, and the size of its messages. Neither changes while a client is connected. */
extern enum bench_case bench_case;
extern size_t bench_size;

#define BENCH_REPLY_SIZE 64
/** One reply for each message in flight, so that the plain TCP server can send them in one write. */
extern uint8_t bench_reply[16][BENCH_REPLY_SIZE];

/** Counts payload that a server received. Resumes the client after the last byte. */
void bench_received(size_t len);

/** The priority of the queue consumer: below the servers, above the client. */
#define BENCH_QUEUE_PRIORITY 9

/* The application on a WebSocket server: see service.c and reference.c. */

/** Starts the server. */
void server_start(void);

/** Returns whether this image measures the case. */
bool server_has(enum bench_case what);

#endif
