/* SPDX-License-Identifier: Apache-2.0 */
/* A client of the server, in the same image. A failure fails the test. */
#ifndef CLIENT_H
#define CLIENT_H

#include <stddef.h>
#include <stdint.h>

/* Connects to an IPv4 or IPv6 address, and sends nothing. */
int client_dial(const char *address, uint16_t port);
/* Sends bytes that are not a frame. */
void client_says(int fd, const char *text);

/* Connects to CONFIG_WSS_PORT at an IPv4 or IPv6 address, and requests a path. */
int client_connect(const char *address, const char *path);
/* The same on another port. */
int client_connect_at(const char *address, uint16_t port, const char *path);

/* Connects and sends a request. The response must begin with `answer`, at most a line. */
void client_is_refused(const char *address, const char *answer);

/* Sends a frame of up to 125 bytes. */
void client_sends_frame(int fd, uint8_t opcode, const void *payload, size_t len);
/* Sends a text of up to 125 bytes. */
void client_sends(int fd, const char *text);

/* Waits for these bytes. */
void client_receives(int fd, const void *bytes, size_t len);

/* Waits for the end of the connection, and closes it. */
void client_ends(int fd);

#endif
