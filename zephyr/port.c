/* SPDX-License-Identifier: Apache-2.0 */
#include "port.h"

#include <errno.h>

#include <zephyr/kernel.h>
#include <zephyr/logging/log.h>
#include <zephyr/net/socket.h>
#include <zephyr/sys/fdtable.h>

#include "network.h"

#if defined(CONFIG_WSS_PAGES)
#include <wss/zephyr.h>
#endif

LOG_MODULE_REGISTER(wss, CONFIG_WSS_LOG_LEVEL);

/* A work item for each client, for the service, for the link, and on a work queue one that ends all. */
#define LINK_ITEM (CONFIG_WSS_MAX_CLIENTS + 1)
#define END_ITEM  (CONFIG_WSS_MAX_CLIENTS + 2)
#define ITEMS     (CONFIG_WSS_MAX_CLIENTS + 3)
/* A lock for each client, and one for the pool, for the shared state, and for the poll table. */
#define LOCKS     (CONFIG_WSS_MAX_CLIENTS + 3)

/* The maximum number of parts of a frame: PARTS in zephyr/port/src/port.rs. */
#define MAX_PARTS 8

struct wss_lock {
	struct k_mutex mutex;
};

static struct wss_port_server {
	/* The bound server in Rust; NULL: not bound yet. */
	const void *object;
	const struct wss_calls *calls;
	struct wss_lock locks[LOCKS];
	struct k_thread thread;
	struct k_timer timer;
#if defined(CONFIG_WSS_WORK_QUEUE)
	struct k_work items[ITEMS];
	/* The last item gives it. */
	struct k_sem idle;
#else
	/* Items that the WSS thread must run, a bit each. */
	ATOMIC_DEFINE(items, ITEMS);
#endif
#if defined(CONFIG_WSS_TLS)
	/* The items for handshakes, and one that ends all. */
	struct k_work tls_items[CONFIG_WSS_MAX_CLIENTS + 1];
	struct k_sem tls_idle;
#endif
	atomic_t timer_due;
	struct k_poll_signal wake;
	struct wss_network network;
	/* The number of the run: odd while there is a thread that was not joined. */
	atomic_t run;
} servers[CONFIG_WSS_SERVERS];

/* Converts the errno of a failed call. */
static int32_t failed(void)
{
	switch (errno) {
	case EAGAIN:
	case EINTR:
	case EINPROGRESS:
		return WSS_AGAIN;
	/* Nothing reports when there are buffers: the socket itself may have room. */
	case ENOBUFS:
	case ENOMEM:
		return WSS_NO_BUFFERS;
	default:
		return WSS_ERRNO(errno);
	}
}

/* Sockets. */

int32_t wss_port_listen(struct wss_port_server *server, const char *address, uint16_t *port,
			int32_t *fds)
{
	return wss_network_listen(&server->network, address, port, fds);
}

int32_t wss_port_listen_again(struct wss_port_server *server, int32_t *fds)
{
	return wss_network_listen_again(&server->network, fds);
}

int32_t wss_port_accept(struct wss_port_server *server, int32_t listener, uint8_t *peer)
{
	return wss_network_accept(&server->network, listener, peer);
}

int32_t wss_port_adopt(int32_t fd, uint8_t *peer)
{
	return wss_network_adopt(fd, peer);
}

int32_t wss_port_receive(int32_t fd, uint8_t *data, size_t len)
{
	ssize_t count = zsock_recv(fd, data, len, ZSOCK_MSG_DONTWAIT);

	return count < 0 ? failed() : (int32_t)count;
}

BUILD_ASSERT(sizeof(struct wss_port_part) == sizeof(struct iovec) &&
	     offsetof(struct wss_port_part, data) == offsetof(struct iovec, iov_base) &&
	     offsetof(struct wss_port_part, len) == offsetof(struct iovec, iov_len),
	     "struct wss_port_part differs from struct iovec");

/* A separate function, because most frames leave in one part, and zeroing a message takes time. */
static __noinline ssize_t send_parts(int fd, const struct wss_port_part *parts, size_t count)
{
	/* A part has the layout of an iovec. It is only read. */
	const struct msghdr message = {.msg_iov = (struct iovec *)parts, .msg_iovlen = count};

	return zsock_sendmsg(fd, &message, ZSOCK_MSG_DONTWAIT);
}

/* Sends as much as there are buffers for. Rare, and a separate function because of its stack. */
static __noinline ssize_t send_some(int fd, const struct wss_port_part *parts, size_t count, size_t room)
{
	struct wss_port_part some[MAX_PARTS];
	size_t i;

	for (i = 0; i < count && i < ARRAY_SIZE(some) && room > 0; i++) {
		some[i] = parts[i];
		some[i].len = MIN(some[i].len, room);
		room -= some[i].len;
	}
	return send_parts(fd, some, i);
}

/* The length of a response with a long subprotocol. */
#define RESPONSE 256

bool wss_port_has_buffers(int32_t fd)
{
	return wss_network_room(fd, RESPONSE) != WSS_NO_BUFFERS;
}

int32_t wss_port_send(int32_t fd, const struct wss_port_part *parts, size_t count)
{
	size_t total = 0;
	int32_t room;
	ssize_t sent;

	for (size_t i = 0; i < count; i++) {
		total += parts[i].len;
	}
	room = wss_network_room(fd, total);
	if (room <= 0) {
		return room;
	}
	if (total > (size_t)room) {
		sent = send_some(fd, parts, count, (size_t)room);
	} else if (count == 1) {
		sent = zsock_send(fd, parts[0].data, parts[0].len, ZSOCK_MSG_DONTWAIT);
	} else {
		sent = send_parts(fd, parts, count);
	}
	return sent < 0 ? failed() : (int32_t)sent;
}

void wss_port_name(int32_t fd, char *name)
{
	wss_network_name(fd, name, WSS_NAME_SIZE);
}

void wss_port_close(int32_t fd)
{
	(void)zsock_close(fd);
}

BUILD_ASSERT(sizeof(struct wss_poll) == sizeof(struct zsock_pollfd) &&
	     offsetof(struct wss_poll, events) == offsetof(struct zsock_pollfd, events) &&
	     offsetof(struct wss_poll, revents) == offsetof(struct zsock_pollfd, revents) &&
	     WSS_IN == ZSOCK_POLLIN && WSS_OUT == ZSOCK_POLLOUT,
	     "struct wss_poll differs from struct zsock_pollfd");

int32_t wss_port_poll(struct wss_poll *polls, size_t count, int32_t ms)
{
	int ready = zsock_poll((struct zsock_pollfd *)polls, (int)count, ms);

	if (ready < 0) {
		return errno == EINTR ? 0 : WSS_ERRNO(errno);
	}
	return ready;
}

/*
 * Wakes up the poll, also from an interrupt: a descriptor that is readable while a signal is raised. An eventfd could
 * do the same, but needs ten times as much code.
 */

static int wake_ioctl(void *object, unsigned int request, va_list args)
{
	struct wss_port_server *server = object;
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

int32_t wss_port_wake_open(struct wss_port_server *server)
{
	int fd = zvfs_reserve_fd();

	if (fd < 0) {
		return WSS_ERRNO(errno);
	}
	zvfs_finalize_fd(fd, server, &wake_calls);
	return fd;
}

void wss_port_wake(struct wss_port_server *server)
{
	(void)k_poll_signal_raise(&server->wake, 0);
}

#if defined(CONFIG_WSS_TLS)
size_t wss_port_number(const struct wss_port_server *server)
{
	return (size_t)(server - servers);
}

void wss_port_wake_all(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(servers); i++) {
		/* The following ones are not bound either. */
		if (servers[i].object == NULL) {
			break;
		}
		wss_port_wake(&servers[i]);
	}
}
#endif

void wss_port_wake_take(struct wss_port_server *server)
{
	k_poll_signal_reset(&server->wake);
}

/* The timers. */

static void timer_expired(struct k_timer *timer)
{
	struct wss_port_server *server = CONTAINER_OF(timer, struct wss_port_server, timer);

	(void)atomic_set(&server->timer_due, 1);
	wss_port_wake(server);
}

void wss_port_timer_start(struct wss_port_server *server, uint32_t ms)
{
	k_timer_start(&server->timer, K_MSEC(ms), K_NO_WAIT);
}

static void stop_timer(struct wss_port_server *server)
{
	k_timer_stop(&server->timer);
	(void)atomic_clear(&server->timer_due);
}

bool wss_port_timer_take(struct wss_port_server *server)
{
	return atomic_clear(&server->timer_due) != 0;
}

/* Locks. */

static K_MUTEX_DEFINE(shared_mutex);
/* One for all locks: a thread that wakes up checks its condition, and few threads wait at any time. */
static K_CONDVAR_DEFINE(changed);

struct wss_lock *wss_port_lock_of(struct wss_port_server *server, size_t number)
{
	return &server->locks[number];
}

static struct k_mutex *mutex_of(struct wss_lock *lock)
{
	return lock != NULL ? &lock->mutex : &shared_mutex;
}

void wss_port_lock(struct wss_lock *lock)
{
	(void)k_mutex_lock(mutex_of(lock), K_FOREVER);
}

void wss_port_unlock(struct wss_lock *lock)
{
	(void)k_mutex_unlock(mutex_of(lock));
}

void wss_port_wait(struct wss_lock *lock, uint32_t ms)
{
	(void)k_condvar_wait(&changed, mutex_of(lock), K_MSEC(ms));
}

void wss_port_notify(struct wss_lock *lock)
{
	ARG_UNUSED(lock);
	(void)k_condvar_broadcast(&changed);
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

/* The WSS threads, and the work queue, which all servers share to save stacks. */

static K_KERNEL_STACK_ARRAY_DEFINE(wss_stacks, CONFIG_WSS_SERVERS, CONFIG_WSS_THREAD_STACK_SIZE);

#if defined(CONFIG_WSS_WORK_QUEUE)
static K_KERNEL_STACK_DEFINE(work_stack, CONFIG_WSS_WORKQ_STACK_SIZE);
static struct k_work_q work_queue;
#endif

/* Runs an item of a server. */
static void do_item(struct wss_port_server *server, uint32_t item)
{
	if (item == LINK_ITEM) {
		uint32_t events = wss_network_take(&server->network);

		if (events != 0) {
			server->calls->link(server->object, events);
		}
	} else {
		server->calls->work(server->object, item);
	}
}

#if defined(CONFIG_WSS_WORK_QUEUE) || defined(CONFIG_WSS_TLS)
/* Returns the server of an item. */
static struct wss_port_server *server_of(const struct k_work *item)
{
	size_t number = ((uintptr_t)item - (uintptr_t)servers) / sizeof(servers[0]);

	return &servers[CONFIG_WSS_SERVERS > 1 ? number : 0];
}
#endif

#if defined(CONFIG_WSS_TLS)
/* A lower priority than all other threads of the service, so that connected clients do not wait for a handshake. */
BUILD_ASSERT(CONFIG_WSS_TLS_PRIORITY > CONFIG_WSS_THREAD_PRIORITY,
	     "CONFIG_WSS_TLS_PRIORITY must be a larger number than CONFIG_WSS_THREAD_PRIORITY");
#if defined(CONFIG_WSS_WORK_QUEUE)
BUILD_ASSERT(CONFIG_WSS_TLS_PRIORITY > CONFIG_WSS_WORKQ_PRIORITY,
	     "CONFIG_WSS_TLS_PRIORITY must be a larger number than CONFIG_WSS_WORKQ_PRIORITY");
#endif

static K_KERNEL_STACK_DEFINE(tls_stack, CONFIG_WSS_TLS_STACK_SIZE);
static struct k_work_q tls_queue;

static void tls_work(struct k_work *item)
{
	struct wss_port_server *server = server_of(item);
	uint32_t slot = (uint32_t)(item - server->tls_items);

	if (slot == CONFIG_WSS_MAX_CLIENTS) {
		k_sem_give(&server->tls_idle);
	} else {
		server->calls->work(server->object, WSS_TLS_ITEM + slot);
	}
}

static void init_tls_work(struct wss_port_server *server)
{
	for (size_t i = 0; i < ARRAY_SIZE(server->tls_items); i++) {
		k_work_init(&server->tls_items[i], tls_work);
	}
	(void)k_sem_init(&server->tls_idle, 0, 1);
}

static void start_tls_queue(void)
{
	const struct k_work_queue_config config = {.name = "wss_tls"};

	k_work_queue_init(&tls_queue);
	k_work_queue_start(&tls_queue, tls_stack, K_KERNEL_STACK_SIZEOF(tls_stack), CONFIG_WSS_TLS_PRIORITY,
			   &config);
}

/* Submits an item that belongs on the TLS work queue. Returns false for other items. */
static bool submit_tls(struct wss_port_server *server, uint32_t item)
{
	if (item < WSS_TLS_ITEM) {
		return false;
	}
	(void)k_work_submit_to_queue(&tls_queue, &server->tls_items[item - WSS_TLS_ITEM]);
	return true;
}

/* Waits for the items that were submitted before this. */
static void finish_tls_work(struct wss_port_server *server)
{
	(void)submit_tls(server, WSS_TLS_ITEM + CONFIG_WSS_MAX_CLIENTS);
	(void)k_sem_take(&server->tls_idle, K_FOREVER);
}

struct call {
	struct k_work work;
	void (*run)(void *context);
	void *context;
};

static void run_call(struct k_work *item)
{
	struct call *call = CONTAINER_OF(item, struct call, work);

	call->run(call->context);
}

void wss_port_run_tls(void (*run)(void *context), void *context)
{
	struct call call = {.run = run, .context = context};
	struct k_work_sync sync;

	k_work_init(&call.work, run_call);
	(void)k_work_submit_to_queue(&tls_queue, &call.work);
	/* Until the queue no longer uses the item on this stack, which a semaphore would not guarantee. */
	(void)k_work_flush(&call.work, &sync);
}

static bool is_tls_queue(k_tid_t thread)
{
	return thread == k_work_queue_thread_get(&tls_queue);
}
#else
static void init_tls_work(struct wss_port_server *server)
{
	ARG_UNUSED(server);
}

static void start_tls_queue(void)
{
}

static bool submit_tls(struct wss_port_server *server, uint32_t item)
{
	ARG_UNUSED(server);
	ARG_UNUSED(item);
	return false;
}

static void finish_tls_work(struct wss_port_server *server)
{
	ARG_UNUSED(server);
}

static bool is_tls_queue(k_tid_t thread)
{
	ARG_UNUSED(thread);
	return false;
}
#endif

#if defined(CONFIG_WSS_WORK_QUEUE)
static void work(struct k_work *item)
{
	struct wss_port_server *server = server_of(item);
	uint32_t index = (uint32_t)(item - server->items);

	if (index == END_ITEM) {
		k_sem_give(&server->idle);
	} else {
		do_item(server, index);
	}
}

static void init_work(struct wss_port_server *server)
{
	for (size_t i = 0; i < ITEMS; i++) {
		k_work_init(&server->items[i], work);
	}
	(void)k_sem_init(&server->idle, 0, 1);
}

static void start_work_queue(void)
{
	const struct k_work_queue_config config = {.name = "wss_work"};

	k_work_queue_init(&work_queue);
	k_work_queue_start(&work_queue, work_stack, K_KERNEL_STACK_SIZEOF(work_stack),
			   CONFIG_WSS_WORKQ_PRIORITY, &config);
}

void wss_port_submit(struct wss_port_server *server, uint32_t item)
{
	if (!submit_tls(server, item)) {
		(void)k_work_submit_to_queue(&work_queue, &server->items[item]);
	}
}

void wss_port_work(struct wss_port_server *server)
{
	ARG_UNUSED(server);
}

/* Waits for the items that were submitted before this. */
static void finish_work(struct wss_port_server *server)
{
	wss_port_submit(server, END_ITEM);
	(void)k_sem_take(&server->idle, K_FOREVER);
}

static bool is_work_queue(k_tid_t thread)
{
	return thread == k_work_queue_thread_get(&work_queue);
}
#else
static void init_work(struct wss_port_server *server)
{
	ARG_UNUSED(server);
}

static void start_work_queue(void)
{
}

void wss_port_submit(struct wss_port_server *server, uint32_t item)
{
	if (submit_tls(server, item)) {
		return;
	}
	atomic_set_bit(server->items, item);
	/* The thread itself checks before it waits. */
	if (!wss_port_on_wss_thread(server)) {
		wss_port_wake(server);
	}
}

/* Runs each submitted item once. Returns true if there are more. */
static bool do_work(struct wss_port_server *server)
{
	bool more = false;

	if (ITEMS <= ATOMIC_BITS && atomic_get(server->items) == 0) {
		return false;
	}
	for (uint32_t item = 0; item < ITEMS; item++) {
		if (atomic_test_and_clear_bit(server->items, item)) {
			do_item(server, item);
		}
	}
	for (uint32_t item = 0; item < ITEMS; item++) {
		more = more || atomic_test_bit(server->items, item);
	}
	return more;
}

void wss_port_work(struct wss_port_server *server)
{
	if (do_work(server)) {
		/* Sockets have their turn before further items, without waiting. */
		wss_port_wake(server);
	}
}

static void finish_work(struct wss_port_server *server)
{
	while (do_work(server)) {
	}
}

static bool is_work_queue(k_tid_t thread)
{
	ARG_UNUSED(thread);
	return false;
}
#endif

static void init_server(struct wss_port_server *server)
{
	for (size_t i = 0; i < LOCKS; i++) {
		(void)k_mutex_init(&server->locks[i].mutex);
	}
	k_timer_init(&server->timer, timer_expired, NULL);
	k_poll_signal_init(&server->wake);
	init_work(server);
	init_tls_work(server);
}

struct wss_port_server *wss_port_bind(const void *object, const struct wss_calls *calls)
{
	struct wss_port_server *found = NULL;
	size_t i = 0;

	wss_port_lock(NULL);
	/* A server whose start failed is bound already. */
	while (i < ARRAY_SIZE(servers) && servers[i].object != NULL && servers[i].object != object) {
		i++;
	}
	if (i < ARRAY_SIZE(servers)) {
		found = &servers[i];
		if (found->object == NULL) {
			if (i == 0) {
				start_work_queue();
				start_tls_queue();
			}
			init_server(found);
			found->calls = calls;
			found->object = object;
		}
	}
	wss_port_unlock(NULL);
	return found;
}

static void serve(void *p1, void *p2, void *p3)
{
	struct wss_port_server *server = p1;

	ARG_UNUSED(p2);
	ARG_UNUSED(p3);
	server->calls->serve(server->object);
	stop_timer(server);
	finish_tls_work(server);
	finish_work(server);
}

void wss_port_start(struct wss_port_server *server)
{
	size_t number = CONFIG_WSS_SERVERS > 1 ? (size_t)(server - servers) : 0;

	k_thread_create(&server->thread, wss_stacks[number], K_KERNEL_STACK_SIZEOF(wss_stacks[0]),
			serve, server, NULL, NULL, CONFIG_WSS_THREAD_PRIORITY, 0, K_NO_WAIT);
	(void)k_thread_name_set(&server->thread, "wss");
	/* From now on there is a thread to join. */
	(void)atomic_inc(&server->run);
	/* Handle interface events since the server listens. */
	wss_port_submit(server, LINK_ITEM);
}

static bool is_running(atomic_val_t run)
{
	return (run & 1) != 0;
}

bool wss_port_join(struct wss_port_server *server, uint32_t ms)
{
	atomic_val_t run = atomic_get(&server->run);

	if (!is_running(run)) {
		return true;
	}
	if (wss_port_on_wss_thread(server) || k_thread_join(&server->thread, K_MSEC(ms)) != 0) {
		return false;
	}
	/* Do not mark a later run, which another thread may have started since it joined this one. */
	(void)atomic_cas(&server->run, run, run + 1);
	return true;
}

uintptr_t wss_port_thread(void)
{
	return (uintptr_t)k_current_get();
}

bool wss_port_on_wss_thread(const struct wss_port_server *server)
{
	return k_current_get() == &server->thread;
}

bool wss_port_on_service_thread(void)
{
	k_tid_t thread = k_current_get();

	for (size_t i = 0; i < ARRAY_SIZE(servers); i++) {
		if (thread == &servers[i].thread) {
			return true;
		}
	}
	return is_work_queue(thread) || is_tls_queue(thread);
}

/* The network interfaces. */

void wss_port_network_forget(struct wss_port_server *server)
{
	wss_network_forget(&server->network);
}

void wss_network_changed(struct wss_network *network)
{
	struct wss_port_server *server = CONTAINER_OF(network, struct wss_port_server, network);

	if (is_running(atomic_get(&server->run))) {
		wss_port_submit(server, LINK_ITEM);
	}
}

#if defined(CONFIG_WSS_SHELL)
bool wss_port_shell_server(size_t number, struct wss_shell_server *server)
{
	struct wss_port_server *found = &servers[number];
	bool is_bound;

	wss_port_lock(NULL);
	is_bound = found->object != NULL;
	wss_port_unlock(NULL);
	if (!is_bound || wss_port_join(found, 0)) {
		return false;
	}
	server->object = found->object;
	server->calls = found->calls->shell;
	server->port = found->network.port;
	return true;
}
#endif

/* The log. It copies the text, which is on the caller's stack. */

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

#if defined(CONFIG_WSS_PAGES)
const struct wss_page *wss_port_page(size_t server, size_t number)
{
	STRUCT_SECTION_FOREACH(wss_page_entry, entry) {
		if (entry->server == server && number-- == 0) {
			return &entry->page;
		}
	}
	return NULL;
}
#endif
