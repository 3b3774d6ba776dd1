/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TCP_ECHO_H
#define TCP_ECHO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TCP_ECHO_PORT 18007
#if !defined(WEBSOCKET_PORT)
#define WEBSOCKET_PORT 18080
#endif

/** Handles what a client sent. Returns false to close the connection. */
typedef bool (*tcp_handler)(int fd, const uint8_t *data, size_t len);

/** Serves TCP clients, TCP_CLIENTS at a time. Returns only if it cannot listen. */
void tcp_serve(tcp_handler handler);

/** Sends all of it. Returns false if the connection is gone. Also the handler of an echo. */
bool tcp_send(int fd, const uint8_t *data, size_t len);

/** Sends all of it to every client. Returns false if a connection is gone. */
bool tcp_broadcast(const uint8_t *data, size_t len);

/** Serves an echo. */
void tcp_echo(void);

#endif
