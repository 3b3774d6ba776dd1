/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The application that gets a WebSocket server: one thread that polls a listener and a few
 * connections, and sends back what comes.
 */
#include <zephyr/net/socket.h>

#include "tcp_echo.h"

#if !defined(TCP_BUFFER)
#define TCP_BUFFER 512
#endif

static struct zsock_pollfd fds[1 + TCP_CLIENTS];
static uint8_t buffer[TCP_BUFFER];

static int listen_at(uint16_t port)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_port = htons(port),
	};
	int fd = zsock_socket(AF_INET, SOCK_STREAM, IPPROTO_TCP);

	if (fd < 0) {
		return fd;
	}
	(void)zsock_setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
	if (zsock_bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
	    zsock_listen(fd, TCP_CLIENTS) < 0) {
		(void)zsock_close(fd);
		return -1;
	}
	return fd;
}

static void accept_client(void)
{
	int fd = zsock_accept(fds[0].fd, NULL, NULL);

	if (fd < 0) {
		return;
	}
	for (int i = 1; i <= TCP_CLIENTS; i++) {
		if (fds[i].fd < 0) {
			fds[i].fd = fd;
			return;
		}
	}
	(void)zsock_close(fd);
}

bool tcp_send(int fd, const uint8_t *data, size_t len)
{
	while (len > 0) {
		ssize_t sent = zsock_send(fd, data, len, 0);

		if (sent < 0) {
			return false;
		}
		data += sent;
		len -= sent;
	}
	return true;
}

bool tcp_broadcast(const uint8_t *data, size_t len)
{
	for (int i = 1; i <= TCP_CLIENTS; i++) {
		if (fds[i].fd >= 0 && !tcp_send(fds[i].fd, data, len)) {
			return false;
		}
	}
	return true;
}

static void receive(struct zsock_pollfd *client, tcp_handler handler)
{
	ssize_t len = zsock_recv(client->fd, buffer, sizeof(buffer), ZSOCK_MSG_DONTWAIT);

	if (len <= 0 || !handler(client->fd, buffer, len)) {
		(void)zsock_close(client->fd);
		client->fd = -1;
	}
}

void tcp_serve(tcp_handler handler)
{
	for (int i = 0; i <= TCP_CLIENTS; i++) {
		fds[i].fd = -1;
		fds[i].events = ZSOCK_POLLIN;
	}
	fds[0].fd = listen_at(TCP_ECHO_PORT);
	if (fds[0].fd < 0) {
		return;
	}
	while (zsock_poll(fds, ARRAY_SIZE(fds), -1) >= 0) {
		if (fds[0].revents != 0) {
			accept_client();
		}
		for (int i = 1; i <= TCP_CLIENTS; i++) {
			if (fds[i].fd >= 0 && fds[i].revents != 0) {
				receive(&fds[i], handler);
			}
		}
	}
}

void tcp_echo(void)
{
	tcp_serve(tcp_send);
}
