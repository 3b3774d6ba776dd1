/* SPDX-License-Identifier: Apache-2.0 */
#include "peer.h"

#include <string.h>

#include <zephyr/net/dummy.h>
#include <zephyr/net/ethernet.h>
#include <zephyr/net/net_core.h>
#include <zephyr/net/net_if.h>
#include <zephyr/net/net_ip.h>
#include <zephyr/net/net_pkt.h>
#include <zephyr/sys/byteorder.h>
#include <zephyr/ztest.h>

#define IP_HEADER  20
#define TCP_HEADER 20
#define HEADERS    (IP_HEADER + TCP_HEADER)

#define FIN 0x01
#define SYN 0x02
#define RST 0x04
#define ACK 0x10

#define WINDOW 16384

struct peer peers[PEERS];

static struct net_if *iface;
static const uint8_t own[4] = {192, 0, 2, 1};
static const uint8_t remote[4] = {192, 0, 2, 2};
static K_MUTEX_DEFINE(lock);
static K_SEM_DEFINE(owed, 0, 1);

static uint32_t sum(uint32_t sum, const uint8_t *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		sum += i % 2 == 0 ? (uint32_t)bytes[i] << 8 : bytes[i];
	}
	return sum;
}

static uint16_t folded(uint32_t sum)
{
	while (sum > UINT16_MAX) {
		sum = (sum & UINT16_MAX) + (sum >> 16);
	}
	return (uint16_t)~sum;
}

/* Lets the image receive a segment. */
static void transmit(struct peer *peer, uint8_t flags, const void *data, size_t len)
{
	uint8_t bytes[HEADERS + 256] = {0};
	uint8_t *tcp = &bytes[IP_HEADER];
	size_t total = HEADERS + len;
	struct net_pkt *pkt;
	uint32_t checksum;

	zassert_true(total <= sizeof(bytes));
	bytes[0] = 0x45;
	sys_put_be16((uint16_t)total, &bytes[2]);
	bytes[8] = 64;
	bytes[9] = IPPROTO_TCP;
	memcpy(&bytes[12], remote, 4);
	memcpy(&bytes[16], own, 4);
	sys_put_be16(folded(sum(0, bytes, IP_HEADER)), &bytes[10]);

	sys_put_be16(peer->port, &tcp[0]);
	sys_put_be16(CONFIG_WSS_PORT, &tcp[2]);
	sys_put_be32(peer->seq, &tcp[4]);
	sys_put_be32(peer->ack, &tcp[8]);
	tcp[12] = (TCP_HEADER / 4) << 4;
	tcp[13] = flags;
	sys_put_be16(WINDOW, &tcp[14]);
	if (len > 0) {
		memcpy(&tcp[TCP_HEADER], data, len);
	}
	checksum = IPPROTO_TCP + TCP_HEADER + len;
	checksum = sum(checksum, &bytes[12], 8);
	sys_put_be16(folded(sum(checksum, tcp, TCP_HEADER + len)), &tcp[16]);

	pkt = net_pkt_rx_alloc_with_buffer(iface, total, AF_UNSPEC, 0, K_SECONDS(30));
	zassert_not_null(pkt, "no buffer to receive with");
	net_pkt_set_family(pkt, AF_INET);
	net_pkt_set_ll_proto_type(pkt, NET_ETH_PTYPE_IP);
	zassert_ok(net_pkt_write(pkt, bytes, total));
	net_pkt_cursor_init(pkt);
	zassert_ok(net_recv_data(iface, pkt));
	peer->seq += (uint32_t)len + ((flags & (SYN | FIN)) != 0 ? 1 : 0);
}

/* Handles a byte of the server: of its response, of a frame header, or of a payload. */
static void take(struct peer *peer, uint8_t byte)
{
	if (peer->skip > 0) {
		peer->skip--;
	} else {
		peer->head[peer->head_len++] = byte;
	}
	if (!peer->upgraded) {
		if (memcmp(peer->head, "\r\n\r\n", peer->head_len) != 0) {
			peer->head_len = byte == '\r' ? 1 : 0;
		}
		if (peer->head_len == 4) {
			peer->upgraded = true;
			peer->head_len = 0;
		}
		return;
	}
	if (peer->skip > 0) {
		return;
	}
	if (peer->head_len >= 2 && peer->head_len == (peer->head[1] == 126 ? 4 : 2)) {
		peer->skip = peer->head[1] == 126 ? sys_get_be16(&peer->head[2]) : peer->head[1];
		/* Also here: none of these is empty. */
		zassert_true(peer->skip > 0 && peer->skip < UINT16_MAX);
		peer->head_len = 0;
		peer->binaries += (peer->head[0] & 0x0f) == 2;
		if ((peer->head[0] & 0x0f) == 1) {
			peer->texts++;
			if (peer->on_text != NULL) {
				peer->on_text(peer);
			}
		}
	}
}

/* Handles the image's output. The answer follows later, with no lock of the stack held. */
static int receive(const struct device *dev, struct net_pkt *pkt)
{
	static uint8_t bytes[1600];
	size_t len = net_pkt_get_len(pkt);
	const uint8_t *tcp = &bytes[IP_HEADER];
	struct net_pkt_cursor cursor;
	struct peer *peer = NULL;

	ARG_UNUSED(dev);
	(void)k_mutex_lock(&lock, K_FOREVER);
	net_pkt_cursor_backup(pkt, &cursor);
	net_pkt_cursor_init(pkt);
	if (len >= HEADERS && len <= sizeof(bytes) && net_pkt_read(pkt, bytes, len) == 0 &&
	    bytes[0] == 0x45 && bytes[9] == IPPROTO_TCP) {
		for (size_t i = 0; i < PEERS; i++) {
			if (peers[i].known && peers[i].port == sys_get_be16(&tcp[2])) {
				peer = &peers[i];
			}
		}
	}
	if (peer != NULL && !peer->stalled && !peer->closed) {
		const uint8_t *data = tcp + (tcp[12] >> 4) * 4;
		size_t data_len = (size_t)(&bytes[len] - data);
		uint32_t seq = sys_get_be32(&tcp[4]);
		uint8_t flags = tcp[13];

		if ((flags & RST) != 0) {
			peer->closed = true;
		} else if ((flags & SYN) != 0) {
			peer->ack = seq + 1;
			peer->owes_request = true;
		} else if (seq == peer->ack) {
			for (size_t i = 0; i < data_len; i++) {
				take(peer, data[i]);
			}
			peer->ack += (uint32_t)data_len + ((flags & FIN) != 0 ? 1 : 0);
			peer->closed = (flags & FIN) != 0;
		}
		peer->owes_ack = data_len > 0 || (flags & FIN) != 0;
		k_sem_give(&owed);
	}
	net_pkt_cursor_restore(pkt, &cursor);
	(void)k_mutex_unlock(&lock);
	return 0;
}

static void answer(void *a, void *b, void *c)
{
	static const char request[] = "GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\n"
				      "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
				      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

	ARG_UNUSED(a);
	ARG_UNUSED(b);
	ARG_UNUSED(c);
	for (;;) {
		(void)k_sem_take(&owed, K_FOREVER);
		/* The path to a peer and back takes time. */
		k_msleep(1);
		(void)k_mutex_lock(&lock, K_FOREVER);
		for (size_t i = 0; i < PEERS; i++) {
			struct peer *peer = &peers[i];

			if (peer->owes_request) {
				transmit(peer, ACK, NULL, 0);
				transmit(peer, ACK, request, sizeof(request) - 1);
			} else if (peer->owes_ack && !peer->stalled) {
				transmit(peer, ACK, NULL, 0);
			}
			peer->owes_request = false;
			peer->owes_ack = false;
		}
		(void)k_mutex_unlock(&lock);
	}
}

K_THREAD_DEFINE(peer_thread, 4096, answer, NULL, NULL, NULL, K_PRIO_PREEMPT(2), 0, 0);

void peer_connect(struct peer *peer)
{
	(void)k_mutex_lock(&lock, K_FOREVER);
	*peer = (struct peer){
		.port = (uint16_t)(20000 + (peer - peers)),
		.seq = 1000,
		.known = true,
	};
	transmit(peer, SYN, NULL, 0);
	(void)k_mutex_unlock(&lock);
	for (int ms = 0; !peer->upgraded; ms++) {
		zassert_true(ms < 1000, "a peer is not answered");
		k_msleep(1);
	}
}

void peer_text(struct peer *peer, const char *text, size_t len)
{
	/* Masked with 0. */
	uint8_t frame[6 + 100] = {0x81, (uint8_t)(0x80 | len)};

	zassert_true(len <= 100);
	memcpy(&frame[6], text, len);
	(void)k_mutex_lock(&lock, K_FOREVER);
	transmit(peer, ACK, frame, 6 + len);
	(void)k_mutex_unlock(&lock);
}

static void init(struct net_if *of)
{
	struct in_addr netmask = {{{255, 255, 255, 0}}};
	static uint8_t link_addr[6] = {0x02, 0, 0, 0, 0, 1};
	struct in_addr addr;

	iface = of;
	memcpy(&addr, own, sizeof(addr));
	net_if_set_link_addr(iface, link_addr, sizeof(link_addr), NET_LINK_DUMMY);
	zassert_not_null(net_if_ipv4_addr_add(iface, &addr, NET_ADDR_MANUAL, 0));
	zassert_true(net_if_ipv4_set_netmask_by_addr(iface, &addr, &netmask));
}

static struct dummy_api api = {.iface_api.init = init, .send = receive};

NET_DEVICE_INIT(peers_dev, "peers", NULL, NULL, NULL, NULL, CONFIG_KERNEL_INIT_PRIORITY_DEFAULT, &api,
		DUMMY_L2, NET_L2_GET_CTX_TYPE(DUMMY_L2), 1500);
