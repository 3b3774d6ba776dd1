/* SPDX-License-Identifier: Apache-2.0 */
/* Clients come through two network interfaces, and with IPv4 and IPv6. */
#include <errno.h>

#include <zephyr/net/socket.h>
#include <zephyr/ztest.h>

#include "client.h"
#include "interfaces.h"
#include "service.h"
#include "wire.h"

static void *set_up(void)
{
	echo_on();
	return NULL;
}

static void tear_down(void *fixture)
{
	ARG_UNUSED(fixture);
	service_stop();
	wire_restore(&wires[0]);
	wire_restore(&wires[1]);
	k_msleep(100);
}

/* One goes down and stays down; later it comes up again. */
static void goes_down(struct wire *wire, struct wire *other)
{
	int fd = connects(wire->peer4);
	int fd_other = connects(other->peer4);

	service_reset();
	zassert_ok(net_if_down(wire->iface));
	k_msleep(100);
	service_told(SYS_WSS_EVENT_LL_INTF_DOWN, 1);
	service_told(SYS_WSS_EVENT_CLIENT_CLOSED, 1);
	zsock_close(fd);
	/* Clients of the other one, old and new, are not affected. */
	echoes(fd_other);
	serves(other->peer4);
	serves(other->peer6);
	(void)atomic_clear(&service_polls);
	k_sleep(K_SECONDS(60));
	zassert_true(atomic_get(&service_polls) <= 2, "%ld wake-ups", atomic_get(&service_polls));
	echoes(fd_other);
	serves(other->peer4);
	serves(other->peer6);
	service_told(SYS_WSS_EVENT_LL_INTF_DOWN, 1);
	service_told(SYS_WSS_EVENT_LL_INTF_UP, 0);

	zassert_ok(net_if_up(wire->iface));
	k_msleep(100);
	service_told(SYS_WSS_EVENT_LL_INTF_DOWN, 1);
	service_told(SYS_WSS_EVENT_LL_INTF_UP, 1);
	serves(wire->peer4);
	serves(other->peer4);
	echoes(fd_other);
	zsock_close(fd_other);
	k_msleep(100);
	service_told(SYS_WSS_EVENT_ERR, 0);
	zassert_equal(accept_errors(), 0);
}

ZTEST(two_interfaces, test_the_first_goes_down)
{
	service_start(NULL, 0);
	goes_down(&wires[0], &wires[1]);
}

ZTEST(two_interfaces, test_the_second_goes_down)
{
	service_start(NULL, 0);
	goes_down(&wires[1], &wires[0]);
}

ZTEST(two_interfaces, test_each_goes_down_in_turn)
{
	service_start(NULL, 0);
	goes_down(&wires[0], &wires[1]);
	goes_down(&wires[1], &wires[0]);
	goes_down(&wires[0], &wires[1]);
}

ZTEST(two_interfaces, test_both_go_down)
{
	service_start(NULL, 0);
	serves(wires[0].peer4);
	serves(wires[1].peer4);
	service_reset();
	zassert_ok(net_if_down(wires[0].iface));
	k_msleep(100);
	zassert_ok(net_if_down(wires[1].iface));
	k_msleep(100);
	service_told(SYS_WSS_EVENT_LL_INTF_DOWN, 2);
	(void)atomic_clear(&service_polls);
	k_sleep(K_SECONDS(60));
	zassert_true(atomic_get(&service_polls) <= 2, "%ld wake-ups", atomic_get(&service_polls));
	zassert_ok(net_if_up(wires[1].iface));
	k_msleep(100);
	service_told(SYS_WSS_EVENT_LL_INTF_UP, 1);
	serves(wires[1].peer4);
	serves(wires[1].peer6);
	zassert_ok(net_if_up(wires[0].iface));
	k_msleep(100);
	service_told(SYS_WSS_EVENT_LL_INTF_UP, 2);
	serves(wires[0].peer4);
	service_told(SYS_WSS_EVENT_LL_INTF_DOWN, 2);
	service_told(SYS_WSS_EVENT_ERR, 0);
}

/* The server does not listen there. */
ZTEST(two_interfaces, test_an_unrelated_interface)
{
	service_start(wires[0].own4, 0);
	serves(wires[0].peer4);
	service_reset();
	zassert_ok(net_if_down(wires[1].iface));
	k_msleep(100);
	zassert_ok(net_if_up(wires[1].iface));
	k_msleep(100);
	service_told(SYS_WSS_EVENT_LL_INTF_DOWN, 0);
	service_told(SYS_WSS_EVENT_LL_INTF_UP, 0);
	zassert_equal(atomic_get(&service_polls), 0);
	serves(wires[0].peer4);
}

static void connection_waits(const char *address)
{
	int fd, waiting;

	/* One in a second: the next one waits to be accepted. */
	service_start(address, 1);
	fd = connects(wires[0].peer4);
	waiting = client_dial(wires[0].peer4, CONFIG_WSS_PORT);
	k_msleep(100);
	service_told(SYS_WSS_EVENT_CLIENT_CONNECTING, 1);
	zassert_ok(net_if_down(wires[1].iface));
	k_msleep(100);
	zassert_ok(net_if_up(wires[1].iface));
	k_msleep(100);
	service_told(SYS_WSS_EVENT_CLIENT_CONNECTING, 1);
	k_msleep(1000);
	service_told(SYS_WSS_EVENT_CLIENT_CONNECTING, 2);
	zsock_close(waiting);
	zsock_close(fd);
	k_msleep(100);
}

ZTEST(two_interfaces, test_a_connection_waits_while_an_unrelated_interface_changes)
{
	connection_waits(wires[0].own4);
}

/* Peers reconnect with IPv6 as soon as they are answered, so there is always a connection to accept. */
#define FLOODERS 3
#define FLOOD    600

static K_THREAD_STACK_ARRAY_DEFINE(flood_stacks, FLOODERS, 2048);
static struct k_thread flooders[FLOODERS];
static atomic_t flooded;
static K_SEM_DEFINE(flood_runs, 0, 1);

static void flood(void *a, void *b, void *c)
{
	struct sockaddr_in6 addr = {.sin6_family = AF_INET6, .sin6_port = htons(CONFIG_WSS_PORT)};
	char answer[64];

	ARG_UNUSED(a);
	ARG_UNUSED(b);
	ARG_UNUSED(c);
	zassert_equal(zsock_inet_pton(AF_INET6, wires[0].peer6, &addr.sin6_addr), 1);
	while (atomic_inc(&flooded) < FLOOD) {
		if (atomic_get(&flooded) == FLOOD / 4) {
			k_sem_give(&flood_runs);
		}
		int fd = zsock_socket(AF_INET6, SOCK_STREAM, IPPROTO_TCP);

		if (fd < 0) {
			k_msleep(1);
			continue;
		}
		if (zsock_connect(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0) {
			(void)zsock_send(fd, "X\r\n\r\n", 5, 0);
			while (zsock_recv(fd, answer, sizeof(answer), 0) > 0) {
			}
		}
		zsock_close(fd);
	}
}

ZTEST(two_interfaces, test_ipv4_beside_a_flood_of_ipv6)
{
	atomic_val_t before;
	int fd;

	service_start(NULL, 0);
	(void)atomic_clear(&flooded);
	for (int i = 0; i < FLOODERS; i++) {
		k_thread_create(&flooders[i], flood_stacks[i],
				K_THREAD_STACK_SIZEOF(flood_stacks[i]), flood, NULL, NULL, NULL,
				CONFIG_WSS_THREAD_PRIORITY - 3, 0, K_NO_WAIT);
	}
	/* In the middle of it: no time passes meanwhile. */
	zassert_ok(k_sem_take(&flood_runs, K_SECONDS(10)));
	before = atomic_get(&flooded);
	fd = client_connect(wires[0].peer4, "/");
	TC_PRINT("IPv4 is served after %ld of %d further connections\n",
		 atomic_get(&flooded) - before, FLOOD);
	zassert_true(atomic_get(&flooded) - before < 32);
	zsock_close(fd);
	for (int i = 0; i < FLOODERS; i++) {
		zassert_ok(k_thread_join(&flooders[i], K_SECONDS(60)));
	}
}

ZTEST_SUITE(two_interfaces, NULL, set_up, NULL, tear_down, NULL);
