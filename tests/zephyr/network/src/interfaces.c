/* SPDX-License-Identifier: Apache-2.0 */
#include "interfaces.h"

#include <string.h>

#include <zephyr/net/socket.h>
#include <zephyr/ztest.h>

#include "client.h"
#include "service.h"

static void echo(const char *data, size_t len, int32_t client)
{
	zassert_equal(SYS_WSS_sendMessage(true, SYS_WSS_FRAME_TEXT, (uint8_t *)data, len, client),
		      SYS_WSS_SUCCESS);
}

void echo_on(void)
{
	service_on_message = echo;
}

void echoes(int fd)
{
	client_sends(fd, "echo");
	client_receives(fd, "\x81\x04"
			    "echo",
			6);
}

int connects(const char *address)
{
	int fd = client_connect(address, "/");
	const struct timeval limit = {.tv_sec = 2};

	/* A client that is not served must fail, and not hang. */
	zassert_ok(zsock_setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)));
	echoes(fd);
	return fd;
}

void serves(const char *address)
{
	atomic_val_t closed = atomic_get(&service_events[SYS_WSS_EVENT_CLIENT_CLOSED]);

	zsock_close(connects(address));
	k_msleep(10);
	zassert_equal(atomic_get(&service_events[SYS_WSS_EVENT_CLIENT_CLOSED]), closed + 1);
}

uint32_t accept_errors(void)
{
	struct wss_stats stats;

	zassert_ok(wss_get_stats(wss_default_server(), &stats));
	return stats.accept_errors;
}
