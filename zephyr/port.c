/* SPDX-License-Identifier: Apache-2.0 */
#include "port.h"

#include <errno.h>
#include <string.h>

#include <zephyr/kernel.h>
#include <zephyr/logging/log.h>
#include <zephyr/net/net_ip.h>
#include <zephyr/net/socket.h>
#include <zephyr/posix/fcntl.h>
#include <zephyr/sys/fdtable.h>

LOG_MODULE_REGISTER(wss, CONFIG_WSS_LOG_LEVEL);

/* Clients, one that is turned away, listeners, and the wake-up. Each server polls its own. */
#define POLLS (CONFIG_WSS_MAX_CLIENTS + 1 + CONFIG_WSS_LISTENERS + 1)

BUILD_ASSERT(CONFIG_ZVFS_POLL_MAX >= POLLS,
	     "CONFIG_ZVFS_POLL_MAX has to be at least CONFIG_WSS_MAX_CLIENTS + 3, and 4 with IPv4 and IPv6");
BUILD_ASSERT(CONFIG_ZVFS_OPEN_MAX >= CONFIG_WSS_SERVERS * (POLLS + 1),
	     "CONFIG_ZVFS_OPEN_MAX has to be at least CONFIG_WSS_MAX_CLIENTS + 4, and 5 with IPv4 and "
	     "IPv6, for each of CONFIG_WSS_SERVERS");
#if defined(CONFIG_NET_TCP) && !defined(CONFIG_NET_SOCKETS_OFFLOAD)
BUILD_ASSERT(CONFIG_NET_MAX_CONTEXTS >= CONFIG_WSS_SERVERS * (POLLS - 1),
	     "CONFIG_NET_MAX_CONTEXTS has to be at least CONFIG_WSS_MAX_CLIENTS + 2, and 3 with IPv4 and "
	     "IPv6, for each of CONFIG_WSS_SERVERS");
#endif

BUILD_ASSERT(CONFIG_WSS_CLIENT_TIMEOUT_MS == 0 || CONFIG_WSS_CLIENT_TIMEOUT_MS >= 100,
	     "CONFIG_WSS_CLIENT_TIMEOUT_MS=" STRINGIFY(CONFIG_WSS_CLIENT_TIMEOUT_MS)
	     ": use 100 to 65535, or 0 for no timeout");

/* An item of the work queue for each client, the service, its end, and the link. */
#define ITEMS     (CONFIG_WSS_MAX_CLIENTS + 3)
#define END_ITEM  (CONFIG_WSS_MAX_CLIENTS + 1)
#define LINK_ITEM (CONFIG_WSS_MAX_CLIENTS + 2)

/* What there is one of for each server. */
static struct server {
	struct k_thread thread;
	struct k_timer timer;
#if defined(CONFIG_WSS_WORK_QUEUE)
	struct k_work items[ITEMS];
#else
	/* Items that the WSS thread is to do, a bit each. */
	ATOMIC_DEFINE(items, ITEMS);
#endif
	atomic_t link_events;
	atomic_t timer_due;
	struct k_poll_signal wake;
	/* Where it listens, to listen there again. */
	uint16_t port;
	char address[IS_ENABLED(CONFIG_NET_IPV6) ? NET_IPV6_ADDR_LEN : NET_IPV4_ADDR_LEN];
	bool started;
} servers[CONFIG_WSS_SERVERS];

/* Of one server everything is known when this is compiled. */
#define SERVER(number) (&servers[CONFIG_WSS_SERVERS > 1 ? (number) : 0])
/* Which server a part of it belongs to. */
#define NUMBER_OF(part)                                                                            \
	(CONFIG_WSS_SERVERS > 1                                                                    \
		 ? (uint32_t)(((uintptr_t)(part) - (uintptr_t)servers) / sizeof(servers[0]))       \
		 : 0)

/* The result of a call that went wrong. */
static int32_t failed(void)
{
	switch (errno) {
	case EAGAIN:
	case EINTR:
	case EINPROGRESS:
	/* No buffer now. The service tries again when the socket, or its timer, says so. */
	case ENOBUFS:
	case ENOMEM:
		return WSS_AGAIN;
	default:
		return WSS_ERRNO(errno);
	}
}

/* Sockets. */

static int set_nonblocking(int fd)
{
	/* Nothing but this: offloaded sockets refuse the flags that they report themselves. */
	return zsock_fcntl(fd, ZVFS_F_SETFL, ZVFS_O_NONBLOCK);
}

/* As large as the largest of them, whichever it is of. */
union address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

static int32_t listen_at(const union address *addr, socklen_t len)
{
	const int on = 1;
	int32_t error;
	int fd = zsock_socket(addr->any.sa_family, SOCK_STREAM, IPPROTO_TCP);

	if (fd < 0) {
		return WSS_ERRNO(errno);
	}
	/* Both may be unknown to the stack, which then needs neither. */
	(void)zsock_setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (addr->any.sa_family == AF_INET6) {
		(void)zsock_setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
	}
	if (zsock_bind(fd, &addr->any, len) == 0 && zsock_listen(fd, CONFIG_WSS_BACKLOG) == 0 &&
	    set_nonblocking(fd) == 0) {
		return fd;
	}
	error = WSS_ERRNO(errno);
	LOG_WRN("cannot listen with IPv%d: errno %d", addr->any.sa_family == AF_INET6 ? 6 : 4,
		errno);
	(void)zsock_close(fd);
	return error;
}

/* Listens at the address and the port in `addr`; which port it is then. */
static int32_t listen_one(union address *addr, socklen_t len, uint16_t *port)
{
	int32_t fd;

	/* It is at the same place in both kinds. */
	addr->v4.sin_port = htons(*port);
	fd = listen_at(addr, len);
	if (fd >= 0 && *port == 0) {
		/* Offloaded sockets may not know: then nobody could be told where to connect to. */
		if (zsock_getsockname(fd, &addr->any, &len) != 0) {
			int32_t error = WSS_ERRNO(errno);

			LOG_WRN("the port is not known: errno %d", errno);
			(void)zsock_close(fd);
			return error;
		}
		*port = ntohs(addr->v4.sin_port);
	}
	return fd;
}

int32_t wss_port_listen_again(uint32_t number, int32_t *fds)
{
	struct server *server = SERVER(number);
	union address addr6 = {.v6.sin6_family = AF_INET6};
	union address addr4 = {.v4.sin_family = AF_INET};
	bool use6 = IS_ENABLED(CONFIG_NET_IPV6);
	bool use4 = IS_ENABLED(CONFIG_NET_IPV4);
	int32_t result = WSS_ERRNO(EINVAL);
	int count = 0;

	if (server->address[0] != '\0') {
		use6 = use6 && zsock_inet_pton(AF_INET6, server->address, &addr6.v6.sin6_addr) == 1;
		use4 = use4 && zsock_inet_pton(AF_INET, server->address, &addr4.v4.sin_addr) == 1;
	}
	if (use6) {
		result = listen_one(&addr6, sizeof(addr6.v6), &server->port);
		if (result >= 0) {
			fds[count++] = result;
		}
	}
	/* With both, one of the two may not work, such as IPv6 on a host without. */
	if (use4) {
		result = listen_one(&addr4, sizeof(addr4.v4), &server->port);
		if (result >= 0) {
			fds[count++] = result;
		}
	}
	return count > 0 ? 0 : result;
}

int32_t wss_port_listen(uint32_t number, const char *address, uint16_t *port, int32_t *fds)
{
	struct server *server = SERVER(number);
	size_t len = address != NULL ? strlen(address) : 0;
	int32_t result;

	/* Nothing is no address, and not all of them. */
	if ((address != NULL && len == 0) || len >= sizeof(server->address)) {
		return WSS_ERRNO(EINVAL);
	}
	if (len > 0) {
		memcpy(server->address, address, len);
	}
	server->address[len] = '\0';
	server->port = *port;
	result = wss_port_listen_again(number, fds);
	*port = server->port;
	return result;
}

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

/* Makes a connection one of the service's. */
static int32_t prepare(int fd)
{
	const int on = 1;

	if (set_nonblocking(fd) != 0) {
		return WSS_ERRNO(errno);
	}
	(void)zsock_setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	return fd;
}

int32_t wss_port_adopt(int32_t fd, uint8_t *peer)
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
	return prepare(fd);
}

int32_t wss_port_accept(int32_t listener, uint8_t *peer)
{
	for (;;) {
#if CONFIG_WSS_PEER_SIZE > 0
		union address addr = {.any.sa_family = AF_UNSPEC};
		socklen_t len = sizeof(addr);
		int fd = zsock_accept(listener, &addr.any, &len);
#else
		int fd = zsock_accept(listener, NULL, NULL);
#endif

		if (fd >= 0) {
#if CONFIG_WSS_PEER_SIZE > 0
			peer_of(&addr, peer);
#else
			ARG_UNUSED(peer);
#endif
			/* Accepted sockets do not inherit it. */
			int32_t result = prepare(fd);

			if (result < 0) {
				(void)zsock_close(fd);
			}
			return result;
		}
		/* This one has gone before it was accepted: the next. */
		if (errno != ECONNABORTED) {
			return errno == EAGAIN || errno == EINTR ? WSS_AGAIN : WSS_ERRNO(errno);
		}
	}
}

int32_t wss_port_receive(int32_t fd, uint8_t *data, size_t len)
{
	ssize_t count = zsock_recv(fd, data, len, ZSOCK_MSG_DONTWAIT);

	return count < 0 ? failed() : (int32_t)count;
}

BUILD_ASSERT(sizeof(struct wss_part) == sizeof(struct iovec) &&
	     offsetof(struct wss_part, data) == offsetof(struct iovec, iov_base) &&
	     offsetof(struct wss_part, len) == offsetof(struct iovec, iov_len),
	     "struct wss_part is not as struct iovec");

/* Apart, since most frames leave in one part: a message takes time to fill with zeroes. */
static __noinline ssize_t send_parts(int fd, const struct wss_part *parts, size_t count)
{
	/* A part is what an iovec is. Only read from. */
	const struct msghdr message = {.msg_iov = (struct iovec *)parts, .msg_iovlen = count};

	return zsock_sendmsg(fd, &message, ZSOCK_MSG_DONTWAIT);
}

int32_t wss_port_send(int32_t fd, const struct wss_part *parts, size_t count)
{
	ssize_t sent = 0;

	if (count == 1) {
		sent = zsock_send(fd, parts[0].data, parts[0].len, ZSOCK_MSG_DONTWAIT);
	} else if (count > 1) {
		sent = send_parts(fd, parts, count);
	}
	return sent < 0 ? failed() : (int32_t)sent;
}

void wss_port_close(int32_t fd)
{
	(void)zsock_close(fd);
}

BUILD_ASSERT(sizeof(struct wss_poll) == sizeof(struct zsock_pollfd) &&
	     offsetof(struct wss_poll, events) == offsetof(struct zsock_pollfd, events) &&
	     offsetof(struct wss_poll, revents) == offsetof(struct zsock_pollfd, revents) &&
	     WSS_IN == ZSOCK_POLLIN && WSS_OUT == ZSOCK_POLLOUT,
	     "struct wss_poll is not as struct zsock_pollfd");

int32_t wss_port_poll(struct wss_poll *polls, size_t count, int32_t ms)
{
	int ready = zsock_poll((struct zsock_pollfd *)polls, (int)count, ms);

	if (ready < 0) {
		return errno == EINTR ? 0 : WSS_ERRNO(errno);
	}
	return ready;
}

/*
 * Waking up the poll, which an interrupt may do: a descriptor that is readable while a signal is
 * raised. An eventfd is that, too, in ten times as much code.
 */

static int wake_ioctl(void *object, unsigned int request, va_list args)
{
	struct server *server = object;
	struct zsock_pollfd *entry;
	struct k_poll_event **event;

	switch (request) {
	case ZFD_IOCTL_POLL_PREPARE:
		(void)va_arg(args, struct zsock_pollfd *);
		event = va_arg(args, struct k_poll_event **);
		if (*event == va_arg(args, struct k_poll_event *)) {
			return -ENOMEM;
		}
		k_poll_event_init((*event)++, K_POLL_TYPE_SIGNAL, K_POLL_MODE_NOTIFY_ONLY,
				  &server->wake);
		return 0;
	case ZFD_IOCTL_POLL_UPDATE:
		entry = va_arg(args, struct zsock_pollfd *);
		event = va_arg(args, struct k_poll_event **);
		if ((*event)++->state != K_POLL_STATE_NOT_READY) {
			entry->revents = ZSOCK_POLLIN;
		}
		return 0;
	default:
		return -EOPNOTSUPP;
	}
}

static const struct fd_op_vtable wake_calls = {.ioctl = wake_ioctl};

static void timer_expired(struct k_timer *timer)
{
	struct server *server = CONTAINER_OF(timer, struct server, timer);

	(void)atomic_set(&server->timer_due, 1);
	wss_port_wake(NUMBER_OF(server));
}

int32_t wss_port_wake_open(uint32_t number)
{
	struct server *server = SERVER(number);
	int fd = zvfs_reserve_fd();

	if (fd < 0) {
		return WSS_ERRNO(errno);
	}
	k_poll_signal_init(&server->wake);
	zvfs_finalize_fd(fd, server, &wake_calls);
	/* That of the service before was stopped as it ended. */
	k_timer_init(&server->timer, timer_expired, NULL);
	return fd;
}

void wss_port_wake_close(uint32_t number, int32_t fd)
{
	struct server *server = SERVER(number);

	k_timer_stop(&server->timer);
	(void)atomic_clear(&server->timer_due);
	zvfs_free_fd(fd);
}

void wss_port_wake(uint32_t server)
{
	(void)k_poll_signal_raise(&SERVER(server)->wake, 0);
}

void wss_port_wake_take(uint32_t server)
{
	k_poll_signal_reset(&SERVER(server)->wake);
}

/* The timers. */

void wss_port_timer_start(uint32_t server, uint32_t ms)
{
	k_timer_start(&SERVER(server)->timer, K_MSEC(ms), K_NO_WAIT);
}

bool wss_port_timer_take(uint32_t server)
{
	return atomic_clear(&SERVER(server)->timer_due) != 0;
}

/* Locks of each server: one a client, three of its service, and six of the interface in C. */

#define LOCKS (CONFIG_WSS_SERVERS * (CONFIG_WSS_MAX_CLIENTS + 9))

static struct lock {
	struct k_mutex mutex;
	struct k_condvar changed;
} locks[LOCKS];
static ATOMIC_DEFINE(used_locks, LOCKS);

uint32_t wss_port_lock_new(uint32_t *number)
{
	/* Two may be the first to use one. */
	unsigned int key = irq_lock();

	for (uint32_t i = 0; *number == 0; i++) {
		if (i == LOCKS) {
			/* There are as many as there can be users. */
			k_panic();
		}
		if (!atomic_test_and_set_bit(used_locks, i)) {
			(void)k_mutex_init(&locks[i].mutex);
			(void)k_condvar_init(&locks[i].changed);
			/* Others read it without this lock. */
			__atomic_store_n(number, i + 1, __ATOMIC_RELEASE);
		}
	}
	irq_unlock(key);
	return *number;
}

void wss_port_lock_free(uint32_t lock)
{
	atomic_clear_bit(used_locks, lock - 1);
}

void wss_port_lock(uint32_t lock)
{
	(void)k_mutex_lock(&locks[lock - 1].mutex, K_FOREVER);
}

void wss_port_unlock(uint32_t lock)
{
	(void)k_mutex_unlock(&locks[lock - 1].mutex);
}

void wss_port_wait(uint32_t lock, uint32_t ms)
{
	(void)k_condvar_wait(&locks[lock - 1].changed, &locks[lock - 1].mutex, K_MSEC(ms));
}

void wss_port_notify(uint32_t lock)
{
	(void)k_condvar_broadcast(&locks[lock - 1].changed);
}

/* Time. */

uint64_t wss_port_uptime_ms(void)
{
	return (uint64_t)k_uptime_get();
}

uint32_t wss_port_uptime_ms32(void)
{
	return k_uptime_get_32();
}

void wss_port_sleep_ms(uint32_t ms)
{
	(void)k_msleep((int32_t)ms);
}

/* The WSS threads and the work queue, which is one for all: a stack less for each server. */

static K_THREAD_STACK_ARRAY_DEFINE(wss_stacks, CONFIG_WSS_SERVERS, CONFIG_WSS_THREAD_STACK_SIZE);

#if defined(CONFIG_WSS_WORK_QUEUE)
static K_THREAD_STACK_DEFINE(work_stack, CONFIG_WSS_WORKQ_STACK_SIZE);
static struct k_work_q work_queue;

static void work(struct k_work *item)
{
	uint32_t number = NUMBER_OF(item);

	wss_work(number, (uint32_t)(item - SERVER(number)->items));
}

static void start_work(struct server *server)
{
	const struct k_work_queue_config config = {.name = "wss_work"};

	/* The first one to start is the first one that there is. */
	if (!servers[0].started) {
		k_work_queue_init(&work_queue);
		k_work_queue_start(&work_queue, work_stack, K_THREAD_STACK_SIZEOF(work_stack),
				   CONFIG_WSS_WORKQ_PRIORITY, &config);
	}
	if (!server->started) {
		for (size_t i = 0; i < ITEMS; i++) {
			k_work_init(&server->items[i], work);
		}
	}
}

void wss_port_submit(uint32_t server, uint32_t item)
{
	(void)k_work_submit_to_queue(&work_queue, &SERVER(server)->items[item]);
}

void wss_port_work(uint32_t server)
{
	ARG_UNUSED(server);
}

static bool is_work_queue(k_tid_t thread)
{
	return thread == k_work_queue_thread_get(&work_queue);
}
#else
static void start_work(struct server *server)
{
	for (uint32_t item = 0; item < ITEMS; item++) {
		/* Of the service before, and too late for it. */
		atomic_clear_bit(server->items, item);
	}
}

void wss_port_submit(uint32_t number, uint32_t item)
{
	struct server *server = SERVER(number);

	atomic_set_bit(server->items, item);
	/* The thread itself looks before it waits. */
	if (!wss_port_on_wss_thread(number)) {
		wss_port_wake(number);
	}
}

/* Does each item once that is there; true if there are more. */
static bool do_work(uint32_t number)
{
	struct server *server = SERVER(number);
	bool more = false;

	if (ITEMS <= ATOMIC_BITS && atomic_get(server->items) == 0) {
		return false;
	}

	for (uint32_t item = 0; item < ITEMS; item++) {
		if (item != END_ITEM && atomic_test_and_clear_bit(server->items, item)) {
			wss_work(number, item);
		}
	}
	for (uint32_t item = 0; item < ITEMS; item++) {
		more = more || (item != END_ITEM && atomic_test_bit(server->items, item));
	}
	return more;
}

void wss_port_work(uint32_t number)
{
	if (do_work(number)) {
		/* Sockets have their turn before the rest, but nothing is waited for. */
		wss_port_wake(number);
	}
}

static bool is_work_queue(k_tid_t thread)
{
	ARG_UNUSED(thread);
	return false;
}
#endif

static void serve(void *server, void *b, void *c)
{
	uint32_t number = NUMBER_OF(server);

	ARG_UNUSED(b);
	ARG_UNUSED(c);
	wss_serve(number);
#if !defined(CONFIG_WSS_WORK_QUEUE)
	while (do_work(number)) {
	}
	/* The last of all: what is submitted from now on is nobody's. */
	wss_work(number, END_ITEM);
#endif
}

/* Called by one thread at a time. */
void wss_port_start(uint32_t number)
{
	struct server *server = SERVER(number);
	k_thread_stack_t *stack = wss_stacks[CONFIG_WSS_SERVERS > 1 ? number : 0];

	if (server->started) {
		/* That of the service before is about to end, if it has not. */
		(void)k_thread_join(&server->thread, K_FOREVER);
	}
	start_work(server);
	server->started = true;
	k_thread_create(&server->thread, stack, K_THREAD_STACK_SIZEOF(wss_stacks[0]), serve, server,
			NULL, NULL, CONFIG_WSS_THREAD_PRIORITY, 0, K_NO_WAIT);
	(void)k_thread_name_set(&server->thread, "wss");
}

void wss_port_join(uint32_t server)
{
	(void)k_thread_join(&SERVER(server)->thread, K_FOREVER);
}

uintptr_t wss_port_thread(void)
{
	return (uintptr_t)k_current_get();
}

bool wss_port_on_wss_thread(uint32_t server)
{
	return k_current_get() == &SERVER(server)->thread;
}

bool wss_port_on_service_thread(void)
{
	k_tid_t thread = k_current_get();

	for (uint32_t i = 0; i < CONFIG_WSS_SERVERS; i++) {
		if (thread == &servers[i].thread) {
			return true;
		}
	}
	return is_work_queue(thread);
}

/* The network interface. */

uint32_t wss_port_link_take(uint32_t server)
{
	return (uint32_t)atomic_clear(&SERVER(server)->link_events);
}

#if defined(CONFIG_NET_MGMT_EVENT)
#include <zephyr/init.h>
#include <zephyr/net/net_event.h>
#include <zephyr/net/net_mgmt.h>

static void link_changed(struct net_mgmt_event_callback *callback, uint64_t event,
			 struct net_if *iface)
{
	ARG_UNUSED(callback);
	ARG_UNUSED(iface);
	for (uint32_t i = 0; i < CONFIG_WSS_SERVERS; i++) {
		if (event == NET_EVENT_IF_UP) {
			(void)atomic_or(&servers[i].link_events, WSS_LINK_UP);
		} else {
			/* That it was up before is of no interest any more. */
			(void)atomic_set(&servers[i].link_events, WSS_LINK_DOWN);
		}
		if (servers[i].started) {
			wss_port_submit(i, LINK_ITEM);
		}
	}
}

static struct net_mgmt_event_callback link_callback;

static int watch_link(void)
{
	net_mgmt_init_event_callback(&link_callback, link_changed,
				     NET_EVENT_IF_UP | NET_EVENT_IF_DOWN);
	net_mgmt_add_event_callback(&link_callback);
	return 0;
}

SYS_INIT(watch_link, APPLICATION, CONFIG_WSS_INIT_PRIORITY);
#endif

/* The log. The text is on a stack, and is copied. */

void wss_port_log(uint32_t level, const char *text)
{
	switch (level) {
	case LOG_LEVEL_ERR:
		LOG_ERR("%s", text);
		break;
	case LOG_LEVEL_WRN:
		LOG_WRN("%s", text);
		break;
	case LOG_LEVEL_INF:
		LOG_INF("%s", text);
		break;
	default:
		LOG_DBG("%s", text);
		break;
	}
}
