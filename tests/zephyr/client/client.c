/* SPDX-License-Identifier: Apache-2.0 */
#include "client.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <zephyr/kernel.h>
#include <zephyr/net/socket.h>
#include <zephyr/ztest.h>

static void send_all(int fd, const void *bytes, size_t len)
{
	zassert_equal(zsock_send(fd, bytes, len, 0), (ssize_t)len);
}

int client_dial(const char *address, uint16_t port)
{
	struct sockaddr_in addr4 = {.sin_family = AF_INET, .sin_port = htons(port)};
	struct sockaddr_in6 addr6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
	int fd;

	if (zsock_inet_pton(AF_INET, address, &addr4.sin_addr) == 1) {
		fd = zsock_socket(AF_INET, SOCK_STREAM, IPPROTO_TCP);
		zassert_ok(zsock_connect(fd, (struct sockaddr *)&addr4, sizeof(addr4)),
			   "%s: errno %d", address, errno);
	} else {
		zassert_equal(zsock_inet_pton(AF_INET6, address, &addr6.sin6_addr), 1);
		fd = zsock_socket(AF_INET6, SOCK_STREAM, IPPROTO_TCP);
		zassert_ok(zsock_connect(fd, (struct sockaddr *)&addr6, sizeof(addr6)),
			   "%s: errno %d", address, errno);
	}
	return fd;
}

/* Connects and requests a path. */
static int ask(const char *address, uint16_t port, const char *path)
{
	int fd = client_dial(address, port);
	char request[192];

	snprintf(request, sizeof(request),
		 "GET %s HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\n"
		 "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
		 "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
		 path);
	client_says(fd, request);
	return fd;
}

int client_connect(const char *address, const char *path)
{
	return client_connect_at(address, CONFIG_WSS_PORT, path);
}

int client_connect_at(const char *address, uint16_t port, const char *path)
{
	static const char answer[] = "HTTP/1.1 101 Switching Protocols\r\n";
	int fd = ask(address, port, path);
	int ends = 0;

	client_receives(fd, answer, strlen(answer));
	/* The empty line ends the head. */
	while (ends < 2) {
		char byte;

		zassert_equal(zsock_recv(fd, &byte, 1, 0), 1);
		ends = byte == '\n' ? ends + 1 : byte == '\r' ? ends : 0;
	}
	return fd;
}

void client_is_refused(const char *address, const char *answer)
{
	int fd = ask(address, CONFIG_WSS_PORT, "/");

	client_receives(fd, answer, strlen(answer));
	zsock_close(fd);
}

void client_says(int fd, const char *text)
{
	send_all(fd, text, strlen(text));
}

void client_sends_frame(int fd, uint8_t opcode, const void *payload, size_t len)
{
	/* One frame, masked with 0. */
	const uint8_t header[6] = {0x80 | opcode, (uint8_t)(0x80 | len)};

	zassert_true(len <= 125);
	send_all(fd, header, sizeof(header));
	if (len > 0) {
		send_all(fd, payload, len);
	}
}

void client_sends(int fd, const char *text)
{
	client_sends_frame(fd, 0x1, text, strlen(text));
}

void client_receives(int fd, const void *bytes, size_t len)
{
	char got[128];
	size_t have = 0;

	zassert_true(len <= sizeof(got));
	while (have < len) {
		ssize_t count = zsock_recv(fd, got + have, len - have, 0);

		zassert_true(count > 0);
		have += (size_t)count;
	}
	zassert_mem_equal(got, bytes, len);
}

void client_ends(int fd)
{
	char byte;

	zassert_equal(zsock_recv(fd, &byte, 1, 0), 0);
	zsock_close(fd);
}
