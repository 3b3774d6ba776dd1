/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A plain TCP server that handles the cases like the application on the WebSocket server, and that application.
 */
#include "bench.h"
#include "tcp_echo.h"

/* Answers all messages of one read in one write, like the echo. */
static bool reply(int fd, size_t len)
{
	/* Bytes of a message that is not complete yet. */
	static size_t received;

	received += len;
	len = received / bench_size * BENCH_REPLY_SIZE;
	received %= bench_size;
	return tcp_send(fd, bench_reply[0], len);
}

static bool handle(int fd, const uint8_t *data, size_t len)
{
	switch (bench_case) {
	case REPLY:
		return reply(fd, len);
	case RECEIVE:
		bench_received(len);
		return true;
	case BROADCAST:
		return tcp_broadcast(data, len);
	default:
		return tcp_send(fd, data, len);
	}
}

int main(void)
{
	server_start();
	tcp_serve(handle);
	return 0;
}
