/* SPDX-License-Identifier: Apache-2.0 */
/* A raw client: bytes on a socket, with hand-made frames. */
#ifndef WIRE_H
#define WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <netinet/in.h>

#define CONTINUATION 0x0
#define TEXT 0x1
#define BINARY 0x2
#define CLOSE 0x8
#define PING 0x9
#define PONG 0xA

/* The key of RFC 6455 section 1.3, and the accept key that belongs to it. */
#define KEY "dGhlIHNhbXBsZSBub25jZQ=="
#define ACCEPT "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
/* An opening request, with further header lines, each followed by CR LF. */
#define REQUEST_TO(target, lines)                                                                  \
	"GET " target " HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" \
	"Sec-WebSocket-Key: " KEY "\r\nSec-WebSocket-Version: 13\r\n" lines "\r\n"
#define REQUEST REQUEST_TO("/chat", "")

struct frame {
	bool fin;
	int opcode;
	size_t len;
	/* NUL-terminated. */
	char data[70000];
};

/* A port of 127.0.0.1. */
struct sockaddr_in wire_address(uint16_t port);
/* Opens a connection, and sends nothing. */
int wire_connect(uint16_t port);
/* Opens one with a small receive buffer, so that the server soon notices when the client does not read. */
int wire_connect_narrow(uint16_t port);
/* A connection that the test has accepted: the test's end, and the client's. */
int wire_accepted(int *client);
/* Sends a text, without its NUL. */
void wire_say(int fd, const char *text);
void wire_write(int fd, const void *data, size_t len);
/* Reads the response to the opening request, without its body. Returns the status. */
int wire_response(int fd, char *head, size_t size);
/* Connects a client, and upgrades it. */
int wire_open(uint16_t port);
/* Performs the opening handshake. */
void wire_upgrade(int fd);
/* Creates a frame of a client. Returns its length. The buffer needs 14 bytes more than `len`. */
size_t wire_make(void *frame, bool fin, int opcode, const void *data, size_t len);
void wire_frame(int fd, bool fin, int opcode, const void *data, size_t len);
void wire_text(int fd, const char *text);
void wire_close_frame(int fd, int code, const char *reason);
/* Reads the next frame. Returns false if the connection ends instead. */
bool wire_read(int fd, struct frame *frame);
void wire_expect(int fd, bool fin, int opcode, const void *data, size_t len);
void wire_expect_text(int fd, const char *text);
void wire_expect_close(int fd, int code, const char *reason);
/* Checks that the stream ends. */
void wire_expect_end(int fd);
/* Aborts the connection with a reset. */
void wire_reset(int fd);

#endif
