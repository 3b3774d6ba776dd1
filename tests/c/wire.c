/* SPDX-License-Identifier: Apache-2.0 */
#include "wire.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "test.h"

struct sockaddr_in wire_address(uint16_t port)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};

	CHECK(inet_pton(AF_INET, "127.0.0.1", &address.sin_addr) == 1);
	return address;
}

static int connect_to(uint16_t port, int receive_buffer)
{
	struct sockaddr_in address = wire_address(port);
	struct timeval patience = {.tv_sec = PATIENCE};
	int on = 1;
	int fd = socket(AF_INET, SOCK_STREAM, IPPROTO_TCP);

	CHECK(fd >= 0);
	if (receive_buffer > 0) {
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof(receive_buffer));
	}
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	CHECK(connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0);
	return fd;
}

int wire_connect(uint16_t port)
{
	return connect_to(port, 0);
}

int wire_connect_narrow(uint16_t port)
{
	return connect_to(port, 4096);
}

void wire_write(int fd, const void *data, size_t len)
{
	const char *rest = data;

	while (len > 0) {
		ssize_t sent = send(fd, rest, len, MSG_NOSIGNAL);

		CHECK(sent > 0);
		rest += sent;
		len -= (size_t)sent;
	}
}

int wire_accepted(int *client)
{
	struct sockaddr_in address = wire_address(TEST_PORT == 0 ? 0 : TEST_PORT + 1);
	socklen_t len = sizeof(address);
	int on = 1;
	int listener = socket(AF_INET, SOCK_STREAM, IPPROTO_TCP);
	int fd;

	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	CHECK(bind(listener, (struct sockaddr *)&address, len) == 0 && listen(listener, 1) == 0);
	if (TEST_PORT == 0) {
		CHECK(getsockname(listener, (struct sockaddr *)&address, &len) == 0);
	}
	*client = wire_connect(ntohs(address.sin_port));
	fd = accept(listener, NULL, NULL);
	CHECK(fd >= 0);
	close(listener);
	return fd;
}

void wire_say(int fd, const char *text)
{
	wire_write(fd, text, strlen(text));
}

/* Returns false if the stream ends before; a reset counts as an end. */
static bool read_all(int fd, void *data, size_t len)
{
	char *rest = data;

	while (len > 0) {
		ssize_t got = recv(fd, rest, len, 0);

		if (got == 0 || (got < 0 && (errno == ECONNRESET || errno == EPIPE))) {
			return false;
		}
		/* Otherwise nothing arrived in time. */
		CHECK(got > 0);
		rest += got;
		len -= (size_t)got;
	}
	return true;
}

int wire_response(int fd, char *head, size_t size)
{
	size_t len = 0;

	do {
		CHECK(len + 1 < size);
		CHECK(read_all(fd, head + len, 1));
		len++;
		head[len] = '\0';
	} while (len < 4 || strcmp(head + len - 4, "\r\n\r\n") != 0);
	CHECK(strncmp(head, "HTTP/1.1 ", 9) == 0);
	return atoi(head + 9);
}

void wire_upgrade(int fd)
{
	char head[512];

	wire_say(fd, REQUEST);
	CHECK_INT(wire_response(fd, head, sizeof(head)), 101);
	CHECK(strstr(head, "\r\nSec-WebSocket-Accept: " ACCEPT "\r\n") != NULL);
}

int wire_open(uint16_t port)
{
	int fd = wire_connect(port);

	wire_upgrade(fd);
	return fd;
}

size_t wire_make(void *frame, bool fin, int opcode, const void *data, size_t len)
{
	static const uint8_t mask[4] = {0x37, 0xfa, 0x21, 0x3d};
	uint8_t *out = frame;
	size_t at = 0;

	out[at++] = (uint8_t)((fin ? 0x80 : 0) | opcode);
	if (len < 126) {
		out[at++] = (uint8_t)(0x80 | len);
	} else {
		int bytes = len <= 0xffff ? 2 : 8;

		out[at++] = 0x80 | (bytes == 2 ? 126 : 127);
		while (bytes-- > 0) {
			out[at++] = (uint8_t)((uint64_t)len >> (8 * bytes));
		}
	}
	memcpy(out + at, mask, 4);
	at += 4;
	for (size_t i = 0; i < len; i++) {
		out[at++] = ((const uint8_t *)data)[i] ^ mask[i % 4];
	}
	return at;
}

void wire_frame(int fd, bool fin, int opcode, const void *data, size_t len)
{
	uint8_t *frame = malloc(len + 14);

	CHECK(frame != NULL);
	wire_write(fd, frame, wire_make(frame, fin, opcode, data, len));
	free(frame);
}

void wire_text(int fd, const char *text)
{
	wire_frame(fd, true, TEXT, text, strlen(text));
}

static size_t close_body(char *body, int code, const char *reason)
{
	body[0] = (char)(code >> 8);
	body[1] = (char)code;
	return 2 + (size_t)sprintf(body + 2, "%s", reason);
}

void wire_close_frame(int fd, int code, const char *reason)
{
	char body[128];

	wire_frame(fd, true, CLOSE, body, close_body(body, code, reason));
}

bool wire_read(int fd, struct frame *frame)
{
	uint8_t head[2];
	uint8_t extended[8];
	int more = 0;

	if (!read_all(fd, head, 2)) {
		return false;
	}
	CHECK_INT(head[0] & 0x70, 0);
	/* A server does not mask. */
	CHECK_INT(head[1] & 0x80, 0);
	frame->fin = (head[0] & 0x80) != 0;
	frame->opcode = head[0] & 0x0f;
	frame->len = head[1];
	if (frame->len >= 126) {
		more = frame->len == 126 ? 2 : 8;
		frame->len = 0;
		CHECK(read_all(fd, extended, (size_t)more));
	}
	for (int i = 0; i < more; i++) {
		frame->len = frame->len << 8 | extended[i];
	}
	/* The shortest form (RFC 6455 section 5.2). */
	CHECK(more == 0 || frame->len > (more == 2 ? 125 : 0xffff));
	CHECK(frame->len < sizeof(frame->data));
	CHECK(read_all(fd, frame->data, frame->len));
	frame->data[frame->len] = '\0';
	return true;
}

void wire_expect(int fd, bool fin, int opcode, const void *data, size_t len)
{
	/* Large for a stack, and called on several threads. */
	struct frame *frame = malloc(sizeof(*frame));

	CHECK(frame != NULL && wire_read(fd, frame));
	CHECK_INT(frame->opcode, opcode);
	CHECK_INT(frame->fin, fin);
	CHECK_BYTES(frame->data, frame->len, data, len);
	free(frame);
}

void wire_expect_text(int fd, const char *text)
{
	wire_expect(fd, true, TEXT, text, strlen(text));
}

void wire_expect_close(int fd, int code, const char *reason)
{
	char body[128];

	wire_expect(fd, true, CLOSE, body, close_body(body, code, reason));
}

void wire_expect_end(int fd)
{
	char byte;

	CHECK(!read_all(fd, &byte, 1));
}

void wire_reset(int fd)
{
	struct linger now = {.l_onoff = 1, .l_linger = 0};

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	close(fd);
}
