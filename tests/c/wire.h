/* SPDX-License-Identifier: Apache-2.0 */
/* A raw client: bytes on a socket, with frames made and read by hand. */
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
/* An opening request, with further header lines, each ended by CR LF. */
#define REQUEST_TO(target, lines)                                                                  \
	"GET " target " HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" \
	"Sec-WebSocket-Key: " KEY "\r\nSec-WebSocket-Version: 13\r\n" lines "\r\n"
#define REQUEST REQUEST_TO("/chat", "")

struct frame {
	bool fin;
	int opcode;
	size_t len;
	/* Ended by NUL. */
	char data[70000];
};

/* A port of 127.0.0.1. */
struct sockaddr_in wire_address(uint16_t port);
/* A connection on which nothing was said yet. */
int wire_connect(uint16_t port);
/* One whose receive buffer is small, so that the server gets to feel it when it is not read from. */
int wire_connect_narrow(uint16_t port);
/* A connection that the test has accepted: its end, and the client's. */
int wire_accepted(int *client);
/* Says something that is made of text, without the NUL. */
void wire_say(int fd, const char *text);
void wire_write(int fd, const void *data, size_t len);
/* The response to the opening request, without its body: its status. */
int wire_response(int fd, char *head, size_t size);
/* A client that is upgraded. */
int wire_open(uint16_t port);
/* Does the opening handshake. */
void wire_upgrade(int fd);
/* Makes a frame as a client sends it: its length. There must be 14 bytes more than `len`. */
size_t wire_make(void *frame, bool fin, int opcode, const void *data, size_t len);
void wire_frame(int fd, bool fin, int opcode, const void *data, size_t len);
void wire_text(int fd, const char *text);
void wire_close_frame(int fd, int code, const char *reason);
/* The next frame: false if the connection ends instead. */
bool wire_read(int fd, struct frame *frame);
void wire_expect(int fd, bool fin, int opcode, const void *data, size_t len);
void wire_expect_text(int fd, const char *text);
void wire_expect_close(int fd, int code, const char *reason);
/* The stream has to end. */
void wire_expect_end(int fd);
/* Cuts the connection off with a reset. */
void wire_reset(int fd);

#endif
