/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEBSOCKET_SERVER_H
#define WEBSOCKET_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <zephyr/net/websocket.h>

/**
 * Handles a whole message, on the thread of its client. The application defines it. Returns false to
 * close the connection.
 */
bool websocket_received(int fd, uint8_t *message, size_t len, enum websocket_opcode opcode);

/** Sends a message and waits for the client to take it. Returns false if the connection is gone. */
bool websocket_send(int fd, const uint8_t *message, size_t len, enum websocket_opcode opcode);

/** Sends a message to every client, one after the other. Returns false if a connection is gone. */
bool websocket_broadcast(const uint8_t *message, size_t len, enum websocket_opcode opcode);

#endif
