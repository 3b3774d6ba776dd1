/* SPDX-License-Identifier: Apache-2.0 */
#include "wire.h"

#include <zephyr/net/dummy.h>
#include <zephyr/net/net_core.h>
#include <zephyr/net/net_ip.h>
#include <zephyr/net/net_pkt.h>
#include <zephyr/net/socket.h>
#include <zephyr/ztest.h>

struct wire wires[] = {
	{.own4 = "192.0.2.1", .peer4 = "192.0.2.2", .own6 = "2001:db8:1::1", .peer6 = "2001:db8:1::2"},
	{.own4 = "198.51.100.1",
	 .peer4 = "198.51.100.2",
	 .own6 = "2001:db8:2::1",
	 .peer6 = "2001:db8:2::2"},
};

void wire_add(struct wire *wire, const char *address)
{
	struct in_addr netmask = {{{255, 255, 255, 0}}};
	struct in_addr addr;

	zassert_equal(zsock_inet_pton(AF_INET, address, &addr), 1);
	zassert_not_null(net_if_ipv4_addr_add(wire->iface, &addr, NET_ADDR_MANUAL, 0));
	zassert_true(net_if_ipv4_set_netmask_by_addr(wire->iface, &addr, &netmask));
}

void wire_remove(struct wire *wire, const char *address)
{
	struct in_addr addr;

	zassert_equal(zsock_inet_pton(AF_INET, address, &addr), 1);
	zassert_true(net_if_ipv4_addr_rm(wire->iface, &addr));
}

void wire_restore(struct wire *wire)
{
	struct in_addr addr;

	(void)net_if_up(wire->iface);
	zassert_equal(zsock_inet_pton(AF_INET, wire->own4, &addr), 1);
	if (net_if_ipv4_addr_lookup(&addr, NULL) == NULL) {
		wire_add(wire, wire->own4);
	}
}

static void init(struct net_if *iface)
{
	const struct device *dev = net_if_get_device(iface);
	struct wire *wire = dev->data;
	static uint8_t link_addrs[2][6] = {{0x02, 0, 0, 0, 0, 1}, {0x02, 0, 0, 0, 0, 2}};

	wire->iface = iface;
	net_if_set_link_addr(iface, link_addrs[wire - wires], 6, NET_LINK_DUMMY);
	wire_add(wire, wire->own4);
#if defined(CONFIG_NET_IPV6)
	struct in6_addr addr6;

	net_if_flag_set(iface, NET_IF_IPV6_NO_ND);
	zassert_equal(zsock_inet_pton(AF_INET6, wire->own6, &addr6), 1);
	zassert_not_null(net_if_ipv6_addr_add(iface, &addr6, NET_ADDR_MANUAL, 0));
	zassert_not_null(net_if_ipv6_prefix_add(iface, &addr6, 64, 0));
#endif
}

/* Like Zephyr's loopback driver. */
static int turn_around(const struct device *dev, struct net_pkt *pkt)
{
	struct net_pkt *back = net_pkt_rx_clone(pkt, K_NO_WAIT);

	ARG_UNUSED(dev);
	if (back == NULL) {
		/* It is lost. */
		return 0;
	}
	if (net_pkt_family(pkt) == AF_INET6) {
		net_ipv6_addr_copy_raw(NET_IPV6_HDR(back)->src, NET_IPV6_HDR(pkt)->dst);
		net_ipv6_addr_copy_raw(NET_IPV6_HDR(back)->dst, NET_IPV6_HDR(pkt)->src);
	} else {
		net_ipv4_addr_copy_raw(NET_IPV4_HDR(back)->src, NET_IPV4_HDR(pkt)->dst);
		net_ipv4_addr_copy_raw(NET_IPV4_HDR(back)->dst, NET_IPV4_HDR(pkt)->src);
	}
	if (net_recv_data(net_pkt_iface(back), back) < 0) {
		net_pkt_unref(back);
	}
	k_yield();
	return 0;
}

static struct dummy_api api = {.iface_api.init = init, .send = turn_around};

NET_DEVICE_INIT(wire_a, "a", NULL, NULL, &wires[0], NULL, CONFIG_KERNEL_INIT_PRIORITY_DEFAULT, &api,
		DUMMY_L2, NET_L2_GET_CTX_TYPE(DUMMY_L2), 1500);
#if defined(CONFIG_TEST_TWO_INTERFACES)
NET_DEVICE_INIT(wire_b, "b", NULL, NULL, &wires[1], NULL, CONFIG_KERNEL_INIT_PRIORITY_DEFAULT, &api,
		DUMMY_L2, NET_L2_GET_CTX_TYPE(DUMMY_L2), 1500);
#endif
