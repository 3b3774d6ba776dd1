/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Listeners, the network interfaces that matter to a server, and how much the network can send now.
 *
 * A listener for any address belongs to one interface, which Zephyr chooses. When that goes down, Zephyr closes the
 * listener and all connections there, and poll() reports the listener from then on. A new listener works at once: for
 * clients of other interfaces, and of the same one as soon as it is up again.
 */
#ifndef WSS_ZEPHYR_NETWORK_H
#define WSS_ZEPHYR_NETWORK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <zephyr/net/net_ip.h>
#include <zephyr/sys/slist.h>
#include <zephyr/sys/util.h>

/* The network state of a server; all zeros at first. Unless documented otherwise, only the polling thread uses it. */
struct wss_network {
	sys_snode_t node;
	bool is_known;
	uint16_t port;
	char address[IS_ENABLED(CONFIG_NET_IPV6) ? NET_IPV6_ADDR_LEN : NET_IPV4_ADDR_LEN];
	/* The listeners that should be open, a bit each. */
	uint8_t wanted;
	/*
	 * Interfaces, a bit each, protected by the lock of network.c: those that the server uses, those that are up,
	 * and those that went down and came up since the server last took this.
	 */
	uint32_t used;
	uint32_t up;
	uint32_t went_down;
	uint32_t came_up;
	/* A listener needs an address that does not exist yet. */
	bool waits;
	/* The address may exist now. */
	bool changed;
};

/*
 * Listens on an address, or (NULL) on every address, and on a port, or (0) on any free one, which is stored there.
 * There is a descriptor for each family, below 0 if it does not listen.
 */
int32_t wss_network_listen(struct wss_network *network, const char *address, uint16_t *port, int32_t *fds);
/*
 * Opens the listeners whose descriptors are below 0. WSS_AGAIN: try again when the network has changed (WSS_LISTEN).
 * Another error: try again later.
 */
int32_t wss_network_listen_again(struct wss_network *network, int32_t *fds);

/* Prepares the start of the server: it uses no interface yet. */
void wss_network_forget(struct wss_network *network);

/* Accepts a connection, without waiting. `peer` gets CONFIG_WSS_PEER_SIZE bytes. */
int32_t wss_network_accept(struct wss_network *network, int32_t listener, uint8_t *peer);
/* Prepares a connection that the application has accepted. */
int32_t wss_network_adopt(int32_t fd, uint8_t *peer);

/* Returns the events (WSS_LINK_DOWN, WSS_LINK_UP, WSS_LISTEN) since the last call. On any thread. */
uint32_t wss_network_take(struct wss_network *network);
/* Reports that there are events. In port.c; called on the thread of net_mgmt. */
void wss_network_changed(struct wss_network *network);

/*
 * Returns how many of these bytes can be sent now without waiting for buffers: all of them, up to a window. Returns
 * WSS_NO_BUFFERS, or WSS_AGAIN if the socket has no room either. zsock_send() waits for buffers in spite of
 * MSG_DONTWAIT.
 */
int32_t wss_network_room(int32_t fd, size_t len);

/* Writes the address and the port of a peer, in WSS_NAME_SIZE bytes. */
void wss_network_name(int32_t fd, char *name, size_t size);

#endif /* WSS_ZEPHYR_NETWORK_H */
