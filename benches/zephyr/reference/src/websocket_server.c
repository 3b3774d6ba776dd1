/* SPDX-License-Identifier: Apache-2.0 */
/*
 * WebSockets on Zephyr's HTTP server: the server upgrades a client, and a thread of the client's own
 * receives and sends its messages, as in Zephyr's own sample. One thread for all would need less
 * memory, but websocket_send_msg() waits, so that a client which reads nothing would stop the others.
 */
#include <zephyr/kernel.h>
#include <zephyr/net/http/server.h>
#include <zephyr/net/http/service.h>
#include <zephyr/net/socket.h>

#include "tcp_echo.h"
#include "websocket_server.h"

/* 920 bytes were in use. */
#if !defined(CLIENT_STACK_SIZE)
#define CLIENT_STACK_SIZE 1152
#endif
#define PRIORITY 7

static struct client {
	bool used;
	/* It had a thread before. */
	bool started;
	int fd;
	/* The server receives into this. */
	uint8_t received[BUFFER_SIZE];
	/* The message is assembled here, unmasked. */
	uint8_t message[BUFFER_SIZE];
	struct k_thread thread;
} clients[CLIENTS];

static K_THREAD_STACK_ARRAY_DEFINE(stacks, CLIENTS, CLIENT_STACK_SIZE);
static K_MUTEX_DEFINE(clients_lock);
static int clients_used;

static int on_upgrade(int fd, struct http_request_ctx *request, void *user_data);

/*
 * The server gives every client of a resource the same receive buffer, so that two would spoil each
 * other's messages. Here it is that of the client to come: see next_client().
 */
static struct http_resource_detail_websocket echo_detail = {
	.common = {
		.type = HTTP_RESOURCE_TYPE_WEBSOCKET,
		.bitmask_of_supported_http_methods = BIT(HTTP_GET),
	},
	.cb = on_upgrade,
	.data_buffer = clients[0].received,
	.data_buffer_len = BUFFER_SIZE,
};

/* The server has no option for TCP_NODELAY; on the host's sockets, connections inherit it. */
static int create_socket(const struct http_service_desc *service, int family, int protocol)
{
	int fd = zsock_socket(family, SOCK_STREAM, protocol);

	ARG_UNUSED(service);
	if (fd >= 0) {
		(void)zsock_setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
	}
	return fd;
}

static const struct http_service_config config = {.socket_create = create_socket};
static uint16_t port = WEBSOCKET_PORT;

#if defined(CONFIG_NET_SOCKETS_SOCKOPT_TLS)
static const sec_tag_t tags[] = {1};

HTTPS_SERVICE_DEFINE(echo, NULL, &port, CLIENTS, CLIENTS, NULL, NULL, &config, tags, sizeof(tags));
#else
HTTP_SERVICE_DEFINE(echo, NULL, &port, CLIENTS, CLIENTS, NULL, NULL, &config);
#endif
HTTP_RESOURCE_DEFINE(echo_resource, echo, "/", &echo_detail);

static bool next_message(struct client *client, size_t *len, uint32_t *type)
{
	uint64_t remaining = 0;
	int ret = websocket_recv_msg(client->fd, client->message, sizeof(client->message), type,
				     &remaining, SYS_FOREVER_MS);

	/* Not for one that is longer than the buffer, and not for fragments. */
	if (ret < 0 || remaining > 0 || (*type & WEBSOCKET_FLAG_CLOSE) != 0) {
		return false;
	}
	*len = ret;
	return true;
}

bool websocket_send(int fd, const uint8_t *message, size_t len, enum websocket_opcode opcode)
{
	return websocket_send_msg(fd, message, len, opcode, false, true, SYS_FOREVER_MS) >= 0;
}

bool websocket_broadcast(const uint8_t *message, size_t len, enum websocket_opcode opcode)
{
	bool sent = true;

	k_mutex_lock(&clients_lock, K_FOREVER);
	for (int i = 0; i < CLIENTS; i++) {
		if (clients[i].used && !websocket_send(clients[i].fd, message, len, opcode)) {
			sent = false;
		}
	}
	k_mutex_unlock(&clients_lock);
	return sent;
}

/* Answers a ping, and passes a message to the application. */
static bool handle(struct client *client, size_t len, uint32_t type)
{
	if ((type & WEBSOCKET_FLAG_PING) != 0) {
		return websocket_send(client->fd, client->message, len, WEBSOCKET_OPCODE_PONG);
	}
	if ((type & WEBSOCKET_FLAG_TEXT) != 0) {
		return websocket_received(client->fd, client->message, len,
					  WEBSOCKET_OPCODE_DATA_TEXT);
	}
	if ((type & WEBSOCKET_FLAG_BINARY) != 0) {
		return websocket_received(client->fd, client->message, len,
					  WEBSOCKET_OPCODE_DATA_BINARY);
	}
	return true;
}

static void serve(void *p1, void *p2, void *p3)
{
	struct client *client = p1;
	uint32_t type;
	size_t len;

	ARG_UNUSED(p2);
	ARG_UNUSED(p3);
	while (next_message(client, &len, &type) && handle(client, len, type)) {
	}

	k_mutex_lock(&clients_lock, K_FOREVER);
	/* With every client used, the resource still has the buffer of the last. No client can be upgraded
	 * before the next line but one gives back this client's WebSocket.
	 */
	if (clients_used == CLIENTS) {
		echo_detail.data_buffer = client->received;
	}
	client->used = false;
	clients_used--;
	k_mutex_unlock(&clients_lock);
	(void)websocket_unregister(client->fd);
}

/* Called after the server took the resource's receive buffer for this client. */
static struct client *next_client(void)
{
	struct client *client = NULL;

	k_mutex_lock(&clients_lock, K_FOREVER);
	for (int i = 0; i < CLIENTS; i++) {
		if (clients[i].received == echo_detail.data_buffer && !clients[i].used) {
			client = &clients[i];
			client->used = true;
			clients_used++;
		}
	}
	for (int i = 0; i < CLIENTS && client != NULL; i++) {
		if (!clients[i].used) {
			echo_detail.data_buffer = clients[i].received;
			break;
		}
	}
	k_mutex_unlock(&clients_lock);
	return client;
}

static int on_upgrade(int fd, struct http_request_ctx *request, void *user_data)
{
	struct client *client = next_client();

	ARG_UNUSED(request);
	ARG_UNUSED(user_data);
	if (client == NULL) {
		return -ENOENT;
	}
	if (client->started) {
		/* That thread may still be about to end. */
		(void)k_thread_join(&client->thread, K_FOREVER);
	}
	client->started = true;
	client->fd = fd;
	k_thread_create(&client->thread, stacks[client - clients], CLIENT_STACK_SIZE, serve, client,
			NULL, NULL, PRIORITY, 0, K_NO_WAIT);
	return 0;
}
