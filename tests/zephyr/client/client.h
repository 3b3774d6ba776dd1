/* SPDX-License-Identifier: Apache-2.0 */
/* A client of the server, in the same image. What goes wrong fails the test. */
#ifndef CLIENT_H
#define CLIENT_H

#include <stddef.h>
#include <stdint.h>

/* Connects to an IPv4 or IPv6 address, and says nothing. */
int client_dial(const char *address, uint16_t port);
/* Says something that is no frame. */
void client_says(int fd, const char *text);

/* Connects to CONFIG_WSS_PORT at an IPv4 or IPv6 address, and asks for a path. */
int client_connect(const char *address, const char *path);
/* The same at another port. */
int client_connect_at(const char *address, uint16_t port, const char *path);

/* Connects and asks, and is answered with something that begins with `answer`, a line at most. */
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
