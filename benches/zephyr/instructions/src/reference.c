/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The application on Zephyr's HTTP server.
 */
#include <zephyr/kernel.h>
#include <zephyr/net/http/server.h>

#include "bench.h"
#include "websocket_server.h"

/* A message in the buffer of its client, which waits until the consumer has released it. */
struct held {
	int fd;
	const uint8_t *message;
	size_t len;
	enum websocket_opcode opcode;
	struct k_sem *released;
};

K_MSGQ_DEFINE(queue, sizeof(struct held), 8, 4);

static void consume(void *p1, void *p2, void *p3)
{
	struct held held;

	ARG_UNUSED(p1);
	ARG_UNUSED(p2);
	ARG_UNUSED(p3);
	while (k_msgq_get(&queue, &held, K_FOREVER) == 0) {
		(void)websocket_send(held.fd, held.message, held.len, held.opcode);
		k_sem_give(held.released);
	}
}

K_THREAD_DEFINE(consumer, 4096, consume, NULL, NULL, NULL, BENCH_QUEUE_PRIORITY, 0, 0);

static bool hold(int fd, const uint8_t *message, size_t len, enum websocket_opcode opcode)
{
	struct k_sem released;
	struct held held = {fd, message, len, opcode, &released};

	k_sem_init(&released, 0, 1);
	return k_msgq_put(&queue, &held, K_FOREVER) == 0 && k_sem_take(&released, K_FOREVER) == 0;
}

bool websocket_received(int fd, uint8_t *message, size_t len, enum websocket_opcode opcode)
{
	switch (bench_case) {
	case ECHO:
		return websocket_send(fd, message, len, opcode);
	case REPLY:
		return websocket_send(fd, bench_reply[0], BENCH_REPLY_SIZE, opcode);
	case RECEIVE:
		bench_received(len);
		return true;
	case QUEUE:
		return hold(fd, message, len, opcode);
	case BROADCAST:
		return websocket_broadcast(message, len, opcode);
	default:
		return false;
	}
}

bool server_has(enum bench_case what)
{
	ARG_UNUSED(what);
	return true;
}

void server_start(void)
{
	(void)http_server_start();
}
