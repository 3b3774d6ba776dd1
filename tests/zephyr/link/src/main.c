/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The network interface goes down and comes up: it is told, and clients can connect again. Also: the
 * service starts by itself, and listens with IPv4 and IPv6.
 */
#include <string.h>

#include <zephyr/kernel.h>
#include <zephyr/net/net_if.h>
#include <zephyr/net/socket.h>
#include <zephyr/ztest.h>

#include <wss/sys_wss.h>

#define WAIT K_SECONDS(5)

struct told {
	SYS_WSS_EVENTS event;
	int32_t client;
};

K_MSGQ_DEFINE(told_queue, sizeof(struct told), 32, 4);

static void callback(SYS_WSS_EVENTS event, void *data, int32_t client, void *cookie)
{
	struct told told = {.event = event, .client = client};

	ARG_UNUSED(data);
	ARG_UNUSED(cookie);
	zassert_ok(k_msgq_put(&told_queue, &told, K_NO_WAIT));
}

static void expect(SYS_WSS_EVENTS event, int32_t client)
{
	struct told told;

	zassert_ok(k_msgq_get(&told_queue, &told, WAIT), "event %d is missing", event);
	zassert_equal(told.event, event, "%d instead of %d", told.event, event);
	zassert_equal(told.client, client);
}

static int connect_to(const char *address)
{
	static const char request[] = "GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\n"
				      "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
				      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
	struct sockaddr_in addr4 = {.sin_family = AF_INET, .sin_port = htons(CONFIG_WSS_PORT)};
	struct sockaddr_in6 addr6 = {.sin6_family = AF_INET6,
				     .sin6_port = htons(CONFIG_WSS_PORT)};
	char answer[64];
	int fd;

	if (zsock_inet_pton(AF_INET, address, &addr4.sin_addr) == 1) {
		fd = zsock_socket(AF_INET, SOCK_STREAM, IPPROTO_TCP);
		zassert_ok(zsock_connect(fd, (struct sockaddr *)&addr4, sizeof(addr4)));
	} else {
		zassert_equal(zsock_inet_pton(AF_INET6, address, &addr6.sin6_addr), 1);
		fd = zsock_socket(AF_INET6, SOCK_STREAM, IPPROTO_TCP);
		zassert_ok(zsock_connect(fd, (struct sockaddr *)&addr6, sizeof(addr6)));
	}
	zassert_equal(zsock_send(fd, request, strlen(request), 0), strlen(request));
	zassert_true(zsock_recv(fd, answer, sizeof(answer), 0) > 12);
	zassert_mem_equal(answer, "HTTP/1.1 101", 12);
	return fd;
}

static void serves(const char *address)
{
	int fd = connect_to(address);

	expect(SYS_WSS_EVENT_CLIENT_CONNECTING, 0);
	expect(SYS_WSS_EVENT_CLIENT_CONNECTED, 0);
	zsock_close(fd);
	expect(SYS_WSS_EVENT_CLIENT_CLOSING, 0);
	expect(SYS_WSS_EVENT_CLIENT_CLOSED, 0);
}

/* Before anything is registered, so that the interface coming up at boot is of no interest. */
static void *set_up(void)
{
	zassert_equal(wss_port(), 0, "nobody has asked for it yet");
	zassert_equal(SYS_WSS_register_callback(callback, NULL), SYS_WSS_SUCCESS);
	zassert_equal(wss_port(), CONFIG_WSS_PORT, "the first callback starts it");
	return NULL;
}

ZTEST(link, test_1_ipv4_and_ipv6)
{
	serves("127.0.0.1");
	serves("::1");
}

ZTEST(link, test_2_initialize_takes_the_service_over)
{
	SYS_WSS_CONFIG other = {.port = CONFIG_WSS_PORT + 1, .isTLSEnabled = false};

	zassert_equal(SYS_WSS_Initialize(&other, callback, NULL), SYS_MODULE_OBJ_INVALID);
	zassert_not_equal(SYS_WSS_Initialize(NULL, NULL, NULL), SYS_MODULE_OBJ_INVALID);
	zassert_equal(SYS_WSS_Initialize(NULL, NULL, NULL), SYS_MODULE_OBJ_INVALID,
		      "it was taken over before");
	serves("127.0.0.1");
}

ZTEST(link, test_3_down_and_up)
{
	struct net_if *iface = net_if_get_first_by_type(&NET_L2_GET_NAME(DUMMY));

	zassert_not_null(iface);
	for (int round = 0; round < 3; round++) {
		zassert_ok(net_if_down(iface));
		expect(SYS_WSS_EVENT_LL_INTF_DOWN, -1);
		zassert_ok(net_if_up(iface));
		expect(SYS_WSS_EVENT_LL_INTF_UP, -1);
		/* The WSS thread listens again meanwhile. Not with ::1, which Zephyr takes from
		 * its loopback interface as that goes down.
		 */
		k_msleep(100);
		serves("127.0.0.1");
	}
}

ZTEST_SUITE(link, NULL, set_up, NULL, NULL, NULL);
