/* SPDX-License-Identifier: Apache-2.0 */
#include "network.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <zephyr/kernel.h>
#include <zephyr/logging/log.h>
#include <zephyr/net/net_if.h>
#include <zephyr/net/net_pkt.h>
#include <zephyr/net/socket.h>
#include <zephyr/posix/fcntl.h>

#include "port.h"

LOG_MODULE_DECLARE(wss, CONFIG_WSS_LOG_LEVEL);

/* Whether Zephyr reports interfaces and addresses. */
#define HAS_EVENTS IS_ENABLED(CONFIG_NET_MGMT_EVENT)

static struct k_spinlock lock;
static sys_slist_t networks = SYS_SLIST_STATIC_INIT(&networks);

/* As large as the largest address. */
union address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

/* Interfaces. */

static struct net_if *iface_with(const union address *addr)
{
	struct net_if *iface = NULL;

	if (IS_ENABLED(CONFIG_NET_IPV6) && addr->any.sa_family == AF_INET6) {
		(void)net_if_ipv6_addr_lookup(&addr->v6.sin6_addr, &iface);
	} else if (IS_ENABLED(CONFIG_NET_IPV4) && addr->any.sa_family == AF_INET) {
		(void)net_if_ipv4_addr_lookup(&addr->v4.sin_addr, &iface);
	}
	return iface;
}

/* Returns the interface that a listener on this address belongs to, as bind() chooses it. */
static struct net_if *iface_of_listener(const union address *addr, bool any)
{
	if (!any) {
		return iface_with(addr);
	}
	if (addr->any.sa_family == AF_INET6) {
		return net_if_ipv6_select_src_iface(&addr->v6.sin6_addr);
	}
	return net_if_ipv4_select_src_iface(&addr->v4.sin_addr);
}

static uint32_t bit_of(struct net_if *iface)
{
	/* Interfaces are numbered from 1. Those above 32 share bits. */
	return BIT((net_if_get_by_iface(iface) - 1) % 32);
}

/* From now on the events of this interface matter. */
static void use(struct wss_network *network, struct net_if *iface)
{
	k_spinlock_key_t key;
	uint32_t bit;

	if (!HAS_EVENTS || iface == NULL) {
		return;
	}
	bit = bit_of(iface);
	key = k_spin_lock(&lock);
	if ((network->used & bit) == 0) {
		network->used |= bit;
		if (net_if_is_up(iface)) {
			network->up |= bit;
		}
	}
	k_spin_unlock(&lock, key);
}

void wss_network_forget(struct wss_network *network)
{
	k_spinlock_key_t key = k_spin_lock(&lock);

	network->used = 0;
	network->up = 0;
	network->went_down = 0;
	network->came_up = 0;
	network->changed = false;
	network->waits = false;
	network->port = 0;
	if (!network->is_known) {
		network->is_known = true;
		sys_slist_append(&networks, &network->node);
	}
	k_spin_unlock(&lock, key);
}

uint32_t wss_network_take(struct wss_network *network)
{
	k_spinlock_key_t key = k_spin_lock(&lock);
	uint32_t events = (network->went_down != 0 ? WSS_LINK_DOWN : 0) |
			  (network->came_up != 0 ? WSS_LINK_UP : 0) |
			  (network->changed ? WSS_LISTEN : 0);

	network->went_down = 0;
	network->came_up = 0;
	network->changed = false;
	k_spin_unlock(&lock, key);
	return events;
}

#if defined(CONFIG_NET_MGMT_EVENT)
#include <zephyr/net/net_event.h>
#include <zephyr/net/net_mgmt.h>

/* Records an event for a server. Returns whether the server needs to handle it. */
static bool note(struct wss_network *network, uint64_t event, uint32_t bit)
{
	k_spinlock_key_t key = k_spin_lock(&lock);
	bool matters = false;

	if (event == NET_EVENT_IF_DOWN) {
		if ((network->up & bit) != 0) {
			/* An earlier, unhandled "up" is obsolete. */
			network->came_up &= ~bit;
			network->went_down |= bit;
			matters = true;
		}
		network->up &= ~bit;
	} else {
		if (event == NET_EVENT_IF_UP && (network->used & ~network->up & bit) != 0) {
			network->up |= bit;
			network->came_up |= bit;
			matters = true;
		}
		if (network->waits) {
			network->waits = false;
			network->changed = true;
			matters = true;
		}
	}
	k_spin_unlock(&lock, key);
	return matters;
}

static void network_changed(uint64_t event, struct net_if *iface, void *info, size_t info_length,
			    void *user_data)
{
	struct wss_network *network;

	ARG_UNUSED(info);
	ARG_UNUSED(info_length);
	ARG_UNUSED(user_data);
	/* Networks are never removed from the list. */
	SYS_SLIST_FOR_EACH_CONTAINER(&networks, network, node) {
		if (note(network, event, bit_of(iface))) {
			wss_network_changed(network);
		}
	}
}

/* A handler can only have events of one layer. */
NET_MGMT_REGISTER_EVENT_HANDLER(wss_link, NET_EVENT_IF_UP | NET_EVENT_IF_DOWN, network_changed, NULL);
#if defined(CONFIG_NET_IPV4)
NET_MGMT_REGISTER_EVENT_HANDLER(wss_ipv4, NET_EVENT_IPV4_ADDR_ADD, network_changed, NULL);
#endif
#if defined(CONFIG_NET_IPV6)
NET_MGMT_REGISTER_EVENT_HANDLER(wss_ipv6, NET_EVENT_IPV6_ADDR_ADD, network_changed, NULL);
#endif
#endif /* CONFIG_NET_MGMT_EVENT */

/* Addresses as text. */

/* The bytes of an address. */
static const void *bytes_of(const union address *addr)
{
	return addr->any.sa_family == AF_INET6 ? (const void *)&addr->v6.sin6_addr
					       : (const void *)&addr->v4.sin_addr;
}

/* Writes an address and a port as in a URL. */
static void name_of(const union address *addr, char *name, size_t size)
{
	char text[NET_IPV6_ADDR_LEN];

	if (zsock_inet_ntop(addr->any.sa_family, bytes_of(addr), text, sizeof(text)) == NULL) {
		text[0] = '?';
		text[1] = '\0';
	}
	/* The port is at the same offset in both families. */
	(void)snprintf(name, size, addr->any.sa_family == AF_INET6 ? "[%s]:%u" : "%s:%u", text,
		       ntohs(addr->v4.sin_port));
}

void wss_network_name(int32_t fd, char *name, size_t size)
{
	union address addr = {.any.sa_family = AF_UNSPEC};
	socklen_t len = sizeof(addr);

	if (zsock_getpeername(fd, &addr.any, &len) == 0) {
		name_of(&addr, name, size);
	} else {
		/* Not every driver of offloaded sockets supports it. */
		(void)snprintf(name, size, "an unknown address");
	}
}

/* Without logging the Kconfig option does not exist. */
#if defined(CONFIG_LOG)
#define LOGS (CONFIG_WSS_LOG_LEVEL >= LOG_LEVEL_INF)
#else
#define LOGS false
#endif

/* Logs where the server listens: for every address, the interface's own. */
static void log_listening(union address *addr, bool any, struct net_if *iface)
{
	char name[WSS_NAME_SIZE];

	if (!LOGS) {
		return;
	}
	if (any) {
		const void *own = NULL;

		if (IS_ENABLED(CONFIG_NET_IPV6) && addr->any.sa_family == AF_INET6) {
			own = net_if_ipv6_get_global_addr(NET_ADDR_PREFERRED, &iface);
		} else if (IS_ENABLED(CONFIG_NET_IPV4) && iface != NULL) {
			own = net_if_ipv4_get_global_addr(iface, NET_ADDR_PREFERRED);
		}
		if (own == NULL) {
			LOG_INF("Listening on port %u, IPv%d", ntohs(addr->v4.sin_port),
				addr->any.sa_family == AF_INET6 ? 6 : 4);
			return;
		}
		memcpy((void *)bytes_of(addr), own,
		       addr->any.sa_family == AF_INET6 ? sizeof(struct in6_addr)
						       : sizeof(struct in_addr));
	}
	name_of(addr, name, sizeof(name));
	LOG_INF("Listening on %s", name);
}

/* Listening. */

static int set_nonblocking(int fd)
{
	/* Only this flag: offloaded sockets reject the flags that they report themselves. */
	return zsock_fcntl(fd, ZVFS_F_SETFL, ZVFS_O_NONBLOCK);
}

static int32_t listen_at(const union address *addr, socklen_t len)
{
	const int on = 1;
	int32_t error;
	int fd = zsock_socket(addr->any.sa_family, SOCK_STREAM, IPPROTO_TCP);

	if (fd < 0) {
		return WSS_ERRNO(errno);
	}
	/* Sockets that do not support these options do not need them. */
	(void)zsock_setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (addr->any.sa_family == AF_INET6) {
		(void)zsock_setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
	}
	if (zsock_bind(fd, &addr->any, len) == 0 && zsock_listen(fd, CONFIG_WSS_BACKLOG) == 0 &&
	    set_nonblocking(fd) == 0) {
		return fd;
	}
	error = errno == EADDRINUSE ? WSS_IN_USE : WSS_ERRNO(errno);
	(void)zsock_close(fd);
	return error;
}

/* Listens on the address and the port in `addr`. Stores the port that was chosen. */
static int32_t listen_one(union address *addr, socklen_t len, uint16_t *port)
{
	int32_t fd;

	/* The port is at the same offset in both families. */
	addr->v4.sin_port = htons(*port);
	fd = listen_at(addr, len);
	if (fd >= 0 && *port == 0) {
		/* Offloaded sockets may not support it. Then no client could learn the port. */
		if (zsock_getsockname(fd, &addr->any, &len) != 0) {
			int32_t error = WSS_ERRNO(errno);

			(void)zsock_close(fd);
			return error;
		}
		*port = ntohs(addr->v4.sin_port);
	}
	return fd;
}

/* Writes the address to listen on, of one family; returns false if there is none. */
static bool address_of(const struct wss_network *network, bool v6, union address *addr)
{
	memset(addr, 0, sizeof(*addr));
	addr->any.sa_family = v6 ? AF_INET6 : AF_INET;
	if (!IS_ENABLED(CONFIG_NET_IPV6) && v6) {
		return false;
	}
	if (!IS_ENABLED(CONFIG_NET_IPV4) && !v6) {
		return false;
	}
	return network->address[0] == '\0' ||
	       zsock_inet_pton(addr->any.sa_family, network->address,
			       v6 ? (void *)&addr->v6.sin6_addr : &addr->v4.sin_addr) == 1;
}

/* With IPv6, the first listener is for IPv6. */
static bool is_v6(int i)
{
	return IS_ENABLED(CONFIG_NET_IPV6) && i == 0;
}

/* Returns whether to try again when the network has changed. */
static bool waits_for_network(int32_t error)
{
	return HAS_EVENTS && (error == WSS_ERRNO(ENOENT) || error == WSS_ERRNO(EADDRNOTAVAIL));
}

/* Opens one of the listeners. */
static int32_t listen_with(struct wss_network *network, int i)
{
	socklen_t len = is_v6(i) ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
	union address addr;
	struct net_if *iface;
	int32_t fd;

	if (!address_of(network, is_v6(i), &addr)) {
		return WSS_ERRNO(EINVAL);
	}
	iface = iface_of_listener(&addr, network->address[0] == '\0');
	fd = listen_one(&addr, len, &network->port);
	if (fd >= 0) {
		use(network, iface);
		log_listening(&addr, network->address[0] == '\0', iface);
	} else {
		LOG_DBG("cannot listen with IPv%d: errno %d", is_v6(i) ? 6 : 4, (int)-fd);
	}
	return fd;
}

int32_t wss_network_listen_again(struct wss_network *network, int32_t *fds)
{
	int32_t result = 0;

	/* Before trying, so that no change is missed. */
	network->waits = true;
	for (int i = 0; i < CONFIG_WSS_LISTENERS; i++) {
		if (fds[i] < 0 && (network->wanted & BIT(i)) != 0) {
			fds[i] = listen_with(network, i);
			if (fds[i] < 0 && result >= 0) {
				result = waits_for_network(fds[i]) ? WSS_AGAIN : fds[i];
			}
		}
	}
	if (result != WSS_AGAIN) {
		network->waits = false;
	}
	return result;
}

int32_t wss_network_listen(struct wss_network *network, const char *address, uint16_t *port, int32_t *fds)
{
	size_t len = address != NULL ? strlen(address) : 0;
	int32_t result = WSS_ERRNO(EINVAL);
	bool listens = false;

	/* An empty text is not an address. */
	if ((address != NULL && len == 0) || len >= sizeof(network->address)) {
		return result;
	}
	if (len > 0) {
		memcpy(network->address, address, len);
	}
	network->address[len] = '\0';
	network->port = *port;
	network->wanted = 0;
	for (int i = 0; i < CONFIG_WSS_LISTENERS; i++) {
		union address addr;

		fds[i] = -1;
		if (address_of(network, is_v6(i), &addr)) {
			fds[i] = listen_with(network, i);
			listens = listens || fds[i] >= 0;
			/* If there are two families, one may not work, such as IPv6 on a host without it. */
			if (fds[i] >= 0 || waits_for_network(fds[i])) {
				network->wanted |= BIT(i);
			}
			result = fds[i] < 0 ? fds[i] : result;
		}
	}
	*port = network->port;
	if (!listens) {
		return result;
	}
	for (int i = 0; i < CONFIG_WSS_LISTENERS; i++) {
		if (fds[i] < 0 && (network->wanted & BIT(i)) != 0) {
			LOG_WRN("Cannot listen with IPv%d yet", is_v6(i) ? 6 : 4);
		}
	}
	/* Open the missing ones when they have an address. */
	(void)wss_network_listen_again(network, fds);
	return 0;
}

/* Connections. */

#if CONFIG_WSS_PEER_SIZE > 0
static void peer_of(const union address *addr, uint8_t *peer)
{
	memset(peer, 0, CONFIG_WSS_PEER_SIZE);
	switch (addr->any.sa_family) {
	case AF_INET:
		if (CONFIG_WSS_PEER_SIZE > sizeof(addr->v4.sin_addr)) {
			/* RFC 4291 section 2.5.5.2. */
			memset(&peer[10], 0xff, 2);
		}
		memcpy(&peer[CONFIG_WSS_PEER_SIZE - sizeof(addr->v4.sin_addr)], &addr->v4.sin_addr,
		       sizeof(addr->v4.sin_addr));
		break;
#if CONFIG_WSS_PEER_SIZE >= 16
	case AF_INET6:
		memcpy(peer, &addr->v6.sin6_addr, sizeof(addr->v6.sin6_addr));
		break;
#endif
	default:
		break;
	}
}
#endif

/* Prepares a connection. */
static int32_t prepare(struct wss_network *network, int fd)
{
	const int on = 1;
	union address addr;
	socklen_t len = sizeof(addr);

	if (set_nonblocking(fd) != 0) {
		return WSS_ERRNO(errno);
	}
	(void)zsock_setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (HAS_EVENTS && network != NULL && zsock_getsockname(fd, &addr.any, &len) == 0) {
		use(network, iface_with(&addr));
	}
	return fd;
}

int32_t wss_network_adopt(int32_t fd, uint8_t *peer)
{
#if CONFIG_WSS_PEER_SIZE > 0
	union address addr = {.any.sa_family = AF_UNSPEC};
	socklen_t len = sizeof(addr);

	if (zsock_getpeername(fd, &addr.any, &len) != 0) {
		return WSS_ERRNO(errno);
	}
	peer_of(&addr, peer);
#else
	ARG_UNUSED(peer);
#endif
	return prepare(NULL, fd);
}

int32_t wss_network_accept(struct wss_network *network, int32_t listener, uint8_t *peer)
{
	int32_t result;
#if CONFIG_WSS_PEER_SIZE > 0
	union address addr = {.any.sa_family = AF_UNSPEC};
	socklen_t len = sizeof(addr);
	int fd = zsock_accept(listener, &addr.any, &len);
#else
	int fd = zsock_accept(listener, NULL, NULL);
#endif

	if (fd < 0) {
		switch (errno) {
		case EAGAIN:
		case EINTR:
		/* This connection ended before it was accepted. */
		case ECONNABORTED:
		/* poll() also reports the listener. */
		case ENETDOWN:
			return WSS_AGAIN;
		default:
			return WSS_ERRNO(errno);
		}
	}
#if CONFIG_WSS_PEER_SIZE > 0
	peer_of(&addr, peer);
#else
	ARG_UNUSED(peer);
#endif
	/* Accepted sockets do not inherit the flag. */
	result = prepare(network, fd);
	if (result < 0) {
		(void)zsock_close(fd);
	}
	return result;
}

/* Buffers. */

#if defined(CONFIG_NET_NATIVE_TCP) && defined(CONFIG_NET_BUF_FIXED_DATA_SIZE) &&                   \
	defined(CONFIG_NET_BUF_POOL_USAGE)
/* Buffers reserved for Zephyr's TCP: a segment for retransmission, and acknowledgements. */
#define SEGMENT (DIV_ROUND_UP(1460 + 40, CONFIG_NET_BUF_DATA_SIZE))
#define RESERVE MIN(SEGMENT + 4, CONFIG_NET_BUF_TX_COUNT / 2)

/* zsock_send() accepts at most a window, which by default is a third of the buffers. */
#define WINDOW                                                                                     \
	(CONFIG_NET_TCP_MAX_SEND_WINDOW_SIZE > 0                                                   \
		 ? CONFIG_NET_TCP_MAX_SEND_WINDOW_SIZE                                             \
		 : CONFIG_NET_BUF_TX_COUNT * CONFIG_NET_BUF_DATA_SIZE / 3)
#define MOST MIN((CONFIG_NET_BUF_TX_COUNT - RESERVE) * CONFIG_NET_BUF_DATA_SIZE, WINDOW)

/* Rare, and a separate function because of its stack. */
static __noinline int32_t no_buffers(int32_t fd)
{
	struct zsock_pollfd poll = {.fd = fd, .events = ZSOCK_POLLOUT};

	/* If the window is full, wait for the client instead. */
	return zsock_poll(&poll, 1, 0) == 1 ? WSS_NO_BUFFERS : WSS_AGAIN;
}

int32_t wss_network_room(int32_t fd, size_t len)
{
	struct k_mem_slab *rx, *tx;
	struct net_buf_pool *rx_data, *tx_data;
	int32_t room;

	net_pkt_get_info(&rx, &tx, &rx_data, &tx_data);
	room = ((int32_t)atomic_get(&tx_data->avail_count) - RESERVE) * CONFIG_NET_BUF_DATA_SIZE;
	/* All or nothing: the service does not read from a client while it keeps the rest of a frame. */
	if (room < (int32_t)MIN(len, MOST) || k_mem_slab_num_free_get(tx) < 2) {
		return no_buffers(fd);
	}
	return (int32_t)MIN(len, (size_t)room);
}
#else
int32_t wss_network_room(int32_t fd, size_t len)
{
	ARG_UNUSED(fd);
	return (int32_t)len;
}
#endif
