/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a server listens, which network interfaces matter to it, and how much the network can send now.
 *
 * A listener for any address belongs to one interface in Zephyr, which chooses it. When that goes down,
 * the listener is closed, with every other connection there, and poll() reports it from then on. A new one
 * works at once: for clients of other interfaces, and of the same one as soon as it is up again.
 */
#ifndef WSS_ZEPHYR_NETWORK_H
#define WSS_ZEPHYR_NETWORK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <zephyr/net/net_ip.h>
#include <zephyr/sys/slist.h>
#include <zephyr/sys/util.h>

/* Of each server; all zeros at first. What is not said otherwise is for the thread that polls. */
struct wss_network {
	sys_snode_t node;
	bool is_known;
	uint16_t port;
	char address[IS_ENABLED(CONFIG_NET_IPV6) ? NET_IPV6_ADDR_LEN : NET_IPV4_ADDR_LEN];
	/* The listeners that there are to be, a bit each. */
	uint8_t wanted;
	/*
	 * Interfaces, a bit each, behind the lock of network.c: those that the server uses, which of them are
	 * up, and which went down and came up since the server last took that.
	 */
	uint32_t used;
	uint32_t up;
	uint32_t went_down;
	uint32_t came_up;
	/* A listener needs an address that is not there. */
	bool waits;
	/* There may be one now. */
	bool changed;
};

/*
 * Listens at an address, or (NULL) all of them, and a port, or (0) any free one, which is put there. Of the
 * descriptors, one for each family, those that there are none of are below 0.
 */
int32_t wss_network_listen(struct wss_network *network, const char *address, uint16_t *port, int32_t *fds);
/*
 * Listens again where a descriptor is below 0. WSS_AGAIN: that is to be tried when the network has changed
 * (WSS_LISTEN). Another error: in a while.
 */
int32_t wss_network_listen_again(struct wss_network *network, int32_t *fds);

/* The server is about to start: it uses no interface yet. */
void wss_network_forget(struct wss_network *network);

/* Accepts a connection, without waiting. The peer has CONFIG_WSS_PEER_SIZE bytes. */
int32_t wss_network_accept(struct wss_network *network, int32_t listener, uint8_t *peer);
/* Makes a connection, which the application has accepted, as that. */
int32_t wss_network_adopt(int32_t fd, uint8_t *peer);

/* What has happened (WSS_LINK_DOWN, WSS_LINK_UP, WSS_LISTEN) since it was last taken. On any thread. */
uint32_t wss_network_take(struct wss_network *network);
/* There is something to take. In port.c; called on the thread of net_mgmt. */
void wss_network_changed(struct wss_network *network);

/*
 * Returns how many of these bytes can be sent now without waiting for buffers: all of them, unless they are more
 * than a window. Returns WSS_NO_BUFFERS, or WSS_AGAIN if the socket has no room either. zsock_send() waits for
 * buffers in spite of MSG_DONTWAIT.
 */
int32_t wss_network_room(int32_t fd, size_t len);

/* Writes the address and the port of a peer, in WSS_NAME_SIZE bytes. */
void wss_network_name(int32_t fd, char *name, size_t size);

#endif /* WSS_ZEPHYR_NETWORK_H */
