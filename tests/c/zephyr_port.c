/* SPDX-License-Identifier: Apache-2.0 */
/*
 * zephyr/port.h and the queues, of POSIX: so that all of the Zephyr port that is in Rust, and the C
 * interface as it is there, without a heap, can be tested on a host, sanitizers included. Sockets are
 * polled as Zephyr does: level-triggered, and closed by the thread that polls, which is checked.
 */
#include "../../zephyr/port.h"
#include "../../zephyr/tls.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdatomic.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include <wss/sys_wss.h>

#include "test.h"

/* The same as in the configuration that tests/c/run passes to the library. */
#define SERVERS 3
#define MAX_CLIENTS 4
#define PEER_SIZE 4
#define QUEUES 3
#define QUEUE_DEPTH 8

/* Sockets. */

struct wss_lock {
	pthread_mutex_t mutex;
	pthread_cond_t changed;
};

static struct wss_port_server {
	const void *object;
	const struct wss_calls *calls;
	struct wss_lock locks[MAX_CLIENTS + 3];
	pthread_t thread;
	bool joinable;
	atomic_bool ended;
	atomic_bool polling;
	struct sockaddr_in listening;
	int wake_fd;
	uint64_t timer_at;
	atomic_bool timer_due;
} servers[SERVERS];

/* The kind of this thread, and its server. */
static _Thread_local enum { OTHER, WORK, WSS } role;
static _Thread_local struct wss_port_server *own;

/* The owner of each descriptor. */
static _Atomic(struct wss_port_server *) owners[1024];

static int owned(int fd, struct wss_port_server *server)
{
	CHECK(fd < 1024);
	if (fd >= 0) {
		owners[fd] = server;
	}
	return fd;
}

static int32_t failed(void)
{
	return errno == EAGAIN || errno == EINTR ? WSS_AGAIN : WSS_ERRNO(errno);
}

int32_t wss_port_listen_again(struct wss_port_server *server, int32_t *fds)
{
	struct sockaddr_in *listening = &server->listening;
	socklen_t len = sizeof(*listening);
	const int on = 1;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

	CHECK(fd >= 0);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, (struct sockaddr *)listening, len) != 0 || listen(fd, 64) != 0) {
		int32_t error = errno == EADDRINUSE ? WSS_IN_USE : WSS_ERRNO(errno);

		close(fd);
		return error;
	}
	CHECK(getsockname(fd, (struct sockaddr *)listening, &len) == 0);
	fds[0] = owned(fd, server);
	return 0;
}

int32_t wss_port_listen(struct wss_port_server *server, const char *address, uint16_t *port,
			int32_t *fds)
{
	struct sockaddr_in *listening = &server->listening;
	int32_t result;

	memset(listening, 0, sizeof(*listening));
	listening->sin_family = AF_INET;
	listening->sin_port = htons(*port);
	if (address != NULL && inet_pton(AF_INET, address, &listening->sin_addr) != 1) {
		return WSS_ERRNO(EINVAL);
	}
	result = wss_port_listen_again(server, fds);
	*port = ntohs(listening->sin_port);
	return result;
}

static int32_t prepare(int fd, const struct sockaddr_in *addr, uint8_t *peer)
{
	const int on = 1;

	if (fd < 0 || fcntl(fd, F_SETFL, O_NONBLOCK) != 0) {
		return failed();
	}
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	memcpy(peer, &addr->sin_addr, PEER_SIZE);
	return fd;
}

int32_t wss_port_adopt(int32_t fd, uint8_t *peer)
{
	struct sockaddr_in addr;
	socklen_t len = sizeof(addr);

	return getpeername(fd, (struct sockaddr *)&addr, &len) != 0 ? failed()
								    : prepare(fd, &addr, peer);
}

int32_t wss_port_accept(struct wss_port_server *server, int32_t listener, uint8_t *peer)
{
	struct sockaddr_in addr;
	socklen_t len = sizeof(addr);
	struct pollfd waiting = {.fd = listener, .events = POLLIN};
	int fd = accept(listener, (struct sockaddr *)&addr, &len);

	(void)server;
	if (fd < 0) {
		int32_t error = failed();

		/* Zephyr reports a missing descriptor only for a waiting connection. */
		return poll(&waiting, 1, 0) == 0 ? WSS_AGAIN : error;
	}
	return owned(prepare(fd, &addr, peer), own);
}

int32_t wss_port_receive(int32_t fd, uint8_t *data, size_t len)
{
	ssize_t count = recv(fd, data, len, MSG_DONTWAIT);

	return count < 0 ? failed() : (int32_t)count;
}

int32_t wss_port_send(int32_t fd, const struct wss_port_part *parts, size_t count)
{
	struct iovec iov[8];
	struct msghdr message = {.msg_iov = iov, .msg_iovlen = count};
	ssize_t sent;

	CHECK(count <= 8);
	for (size_t i = 0; i < count; i++) {
		iov[i].iov_base = (void *)(uintptr_t)parts[i].data;
		iov[i].iov_len = parts[i].len;
	}
	sent = sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
	return sent < 0 ? failed() : (int32_t)sent;
}

void wss_port_name(int32_t fd, char *name)
{
	struct sockaddr_in addr;
	socklen_t len = sizeof(addr);
	char text[INET_ADDRSTRLEN] = "?";

	memset(&addr, 0, sizeof(addr));
	if (getpeername(fd, (struct sockaddr *)&addr, &len) == 0) {
		inet_ntop(AF_INET, &addr.sin_addr, text, sizeof(text));
	}
	snprintf(name, WSS_NAME_SIZE, "%s:%d", text, ntohs(addr.sin_port));
}

bool wss_port_has_buffers(int32_t fd)
{
	CHECK(fd >= 0);
	return true;
}

void wss_port_close(int32_t fd)
{
	struct wss_port_server *server = owners[fd];

	/* On Zephyr, closing a socket that another thread polls fails badly. */
	CHECK(server == NULL || !server->polling || own == server);
	owners[fd] = NULL;
	CHECK(close(fd) == 0);
}

int32_t wss_port_poll(struct wss_poll *polls, size_t count, int32_t ms)
{
	struct pollfd entries[MAX_CLIENTS + 3];
	int ready;

	CHECK(own != NULL && count <= sizeof(entries) / sizeof(entries[0]));
	for (size_t i = 0; i < count; i++) {
		entries[i].fd = polls[i].fd;
		entries[i].events = (short)(((polls[i].events & WSS_IN) ? POLLIN : 0) |
					    ((polls[i].events & WSS_OUT) ? POLLOUT : 0));
		for (size_t j = 0; j < i; j++) {
			CHECK(polls[i].fd < 0 || polls[i].fd != polls[j].fd);
		}
	}
	own->polling = true;
	ready = poll(entries, (nfds_t)count, ms);
	own->polling = false;
	CHECK(ready >= 0 || errno == EINTR);
	for (size_t i = 0; i < count; i++) {
		short revents = ready >= 0 && polls[i].fd >= 0 ? entries[i].revents : 0;

		CHECK((revents & POLLNVAL) == 0);
		polls[i].revents = (int16_t)(((revents & POLLIN) ? WSS_IN : 0) |
					     ((revents & POLLOUT) ? WSS_OUT : 0) |
					     ((revents & ~(POLLIN | POLLOUT)) ? POLLERR : 0));
	}
	return ready;
}

/* Waking up. */

int32_t wss_port_wake_open(struct wss_port_server *server)
{
	server->wake_fd = owned(eventfd(0, EFD_NONBLOCK), server);
	CHECK(server->wake_fd >= 0);
	return server->wake_fd;
}

void wss_port_wake(struct wss_port_server *server)
{
	CHECK(eventfd_write(server->wake_fd, 1) == 0);
}

void wss_port_wake_take(struct wss_port_server *server)
{
	eventfd_t count;

	(void)eventfd_read(server->wake_fd, &count);
}

/* Time, and timers. */

uint64_t wss_port_uptime_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

uint32_t wss_port_uptime_ms32(void)
{
	return (uint32_t)wss_port_uptime_ms();
}

void wss_port_sleep_ms(uint32_t ms)
{
	usleep(ms * 1000);
}

static void until(struct timespec *time, uint64_t ms)
{
	time->tv_sec = (time_t)(ms / 1000);
	time->tv_nsec = (long)(ms % 1000) * 1000000;
}

static pthread_mutex_t timer_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t timer_set;
static pthread_once_t timer_once = PTHREAD_ONCE_INIT;

static void monotonic(pthread_cond_t *condition)
{
	pthread_condattr_t attributes;

	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	CHECK(pthread_cond_init(condition, &attributes) == 0);
	pthread_condattr_destroy(&attributes);
}

static void *run_timer(void *unused)
{
	pthread_mutex_lock(&timer_lock);
	for (;;) {
		uint64_t now = wss_port_uptime_ms();
		uint64_t next = UINT64_MAX;

		for (int i = 0; i < SERVERS; i++) {
			struct wss_port_server *server = &servers[i];

			if (server->timer_at != 0 && server->timer_at <= now) {
				server->timer_at = 0;
				server->timer_due = true;
				wss_port_wake(server);
			}
			if (server->timer_at != 0 && server->timer_at < next) {
				next = server->timer_at;
			}
		}
		if (next == UINT64_MAX) {
			pthread_cond_wait(&timer_set, &timer_lock);
		} else {
			struct timespec at;

			until(&at, next);
			pthread_cond_timedwait(&timer_set, &timer_lock, &at);
		}
	}
	return unused;
}

static void start_timer(void)
{
	pthread_t thread;

	monotonic(&timer_set);
	CHECK(pthread_create(&thread, NULL, run_timer, NULL) == 0);
	pthread_detach(thread);
}

/* 0: not set. */
static void set_timer(struct wss_port_server *server, uint64_t at)
{
	pthread_once(&timer_once, start_timer);
	pthread_mutex_lock(&timer_lock);
	server->timer_at = at;
	pthread_cond_signal(&timer_set);
	pthread_mutex_unlock(&timer_lock);
}

void wss_port_timer_start(struct wss_port_server *server, uint32_t ms)
{
	set_timer(server, wss_port_uptime_ms() + ms);
}

bool wss_port_timer_take(struct wss_port_server *server)
{
	return atomic_exchange(&server->timer_due, false);
}

/*
 * Locks. Those of a server are not recursive, so that one taken twice is noticed. The one that the others share
 * may be taken for one of them inside another one, but not be waited with then.
 */

static struct wss_lock shared;
static _Thread_local int shared_depth;
static pthread_once_t shared_once = PTHREAD_ONCE_INIT;

static void make_lock(struct wss_lock *lock, int type)
{
	pthread_mutexattr_t attributes;

	pthread_mutexattr_init(&attributes);
	pthread_mutexattr_settype(&attributes, type);
	CHECK(pthread_mutex_init(&lock->mutex, &attributes) == 0);
	pthread_mutexattr_destroy(&attributes);
	monotonic(&lock->changed);
}

static void make_shared(void)
{
	make_lock(&shared, PTHREAD_MUTEX_RECURSIVE);
}

struct wss_lock *wss_port_lock_of(struct wss_port_server *server, size_t number)
{
	CHECK(number < sizeof(server->locks) / sizeof(server->locks[0]));
	return &server->locks[number];
}

static struct wss_lock *lock_of(struct wss_lock *lock)
{
	pthread_once(&shared_once, make_shared);
	return lock != NULL ? lock : &shared;
}

void wss_port_lock(struct wss_lock *lock)
{
	CHECK(pthread_mutex_lock(&lock_of(lock)->mutex) == 0);
	shared_depth += lock == NULL;
}

void wss_port_unlock(struct wss_lock *lock)
{
	shared_depth -= lock == NULL;
	CHECK(pthread_mutex_unlock(&lock_of(lock)->mutex) == 0);
}

void wss_port_wait(struct wss_lock *lock, uint32_t ms)
{
	struct timespec at;

	CHECK(lock != NULL || shared_depth == 1);
	until(&at, wss_port_uptime_ms() + ms);
	pthread_cond_timedwait(&lock_of(lock)->changed, &lock_of(lock)->mutex, &at);
}

void wss_port_notify(struct wss_lock *lock)
{
	pthread_cond_broadcast(&lock_of(lock)->changed);
}

/* The work queue and the WSS threads. */

#define ITEMS_OF_ONE (MAX_CLIENTS + 3)
#define ITEMS        (SERVERS * ITEMS_OF_ONE)
#define LINK_ITEM    (MAX_CLIENTS + 1)
#define END_ITEM     (MAX_CLIENTS + 2)

static pthread_mutex_t work_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t work_there = PTHREAD_COND_INITIALIZER;
static bool is_queued[ITEMS];
static uint32_t order[ITEMS];
static size_t queued;

/* As without CONFIG_WSS_WORK_QUEUE: the WSS threads do the work. */
static bool without_work_queue(void)
{
	return getenv("WSS_WITHOUT_WORK_QUEUE") != NULL;
}

static pthread_cond_t ended = PTHREAD_COND_INITIALIZER;

/* Runs the first item, or the first one of a server. Returns false if there is none. */
static bool do_first(const struct wss_port_server *of)
{
	pthread_mutex_lock(&work_lock);
	for (size_t i = 0; i < queued; i++) {
		uint32_t place = order[i];
		uint32_t item = place % ITEMS_OF_ONE;
		struct wss_port_server *server = &servers[place / ITEMS_OF_ONE];

		if (of != NULL && of != server) {
			continue;
		}
		memmove(&order[i], &order[i + 1], (--queued - i) * sizeof(order[0]));
		is_queued[place] = false;
		if (item == END_ITEM) {
			server->ended = true;
			pthread_cond_broadcast(&ended);
		}
		pthread_mutex_unlock(&work_lock);
		if (item < LINK_ITEM) {
			server->calls->work(server->object, item);
		}
		return true;
	}
	pthread_mutex_unlock(&work_lock);
	return false;
}

static void *run_work(void *unused)
{
	role = WORK;
	for (;;) {
		pthread_mutex_lock(&work_lock);
		while (queued == 0) {
			pthread_cond_wait(&work_there, &work_lock);
		}
		pthread_mutex_unlock(&work_lock);
		(void)do_first(NULL);
	}
	return unused;
}

static void *run_serve(void *server)
{
	role = WSS;
	own = server;
	own->calls->serve(own->object);
	set_timer(own, 0);
	own->timer_due = false;
	own->ended = false;
	wss_port_submit(own, END_ITEM);
	pthread_mutex_lock(&work_lock);
	while (!own->ended) {
		if (without_work_queue()) {
			pthread_mutex_unlock(&work_lock);
			CHECK(do_first(own));
			pthread_mutex_lock(&work_lock);
		} else {
			pthread_cond_wait(&ended, &work_lock);
		}
	}
	pthread_mutex_unlock(&work_lock);
	return NULL;
}

void wss_port_work(struct wss_port_server *server)
{
	/* Limited: sockets have their turn in between. */
	for (size_t i = 0; without_work_queue(); i++) {
		if (i == ITEMS_OF_ONE) {
			wss_port_wake(server);
			return;
		}
		if (!do_first(server)) {
			return;
		}
	}
}

void wss_port_submit(struct wss_port_server *server, uint32_t item)
{
	uint32_t place = (uint32_t)(server - servers) * ITEMS_OF_ONE + item;

	CHECK(place < ITEMS && item < ITEMS_OF_ONE);
	pthread_mutex_lock(&work_lock);
	if (!is_queued[place]) {
		is_queued[place] = true;
		order[queued++] = place;
		pthread_cond_signal(&work_there);
	}
	pthread_mutex_unlock(&work_lock);
	if (without_work_queue() && !wss_port_on_wss_thread(server)) {
		wss_port_wake(server);
	}
}

/* The threads' ids are read by themselves at once. */
static pthread_mutex_t start_lock = PTHREAD_MUTEX_INITIALIZER;

struct wss_port_server *wss_port_bind(const void *object, const struct wss_calls *calls)
{
	struct wss_port_server *found = NULL;

	pthread_mutex_lock(&start_lock);
	for (size_t i = 0; i < SERVERS && found == NULL; i++) {
		if (servers[i].object == NULL) {
			found = &servers[i];
			for (size_t lock = 0; lock < MAX_CLIENTS + 3; lock++) {
				make_lock(&found->locks[lock], PTHREAD_MUTEX_ERRORCHECK);
			}
			found->calls = calls;
			found->object = object;
		}
	}
	pthread_mutex_unlock(&start_lock);
	return found;
}

bool wss_port_join(struct wss_port_server *server, uint32_t ms)
{
	uint64_t until = wss_port_uptime_ms() + ms;
	bool joined;

	/* Does not wait with the lock held: other threads only check. */
	for (;;) {
		pthread_mutex_lock(&start_lock);
		if (server->joinable && own != server &&
		    pthread_tryjoin_np(server->thread, NULL) == 0) {
			server->joinable = false;
		}
		joined = !server->joinable;
		pthread_mutex_unlock(&start_lock);
		if (joined || wss_port_uptime_ms() >= until) {
			return joined;
		}
		wss_port_sleep_ms(1);
	}
}

void wss_port_start(struct wss_port_server *server)
{
	static bool working;

	pthread_mutex_lock(&start_lock);
	CHECK(!server->joinable);
	if (!working && !without_work_queue()) {
		pthread_t thread;

		working = true;
		CHECK(pthread_create(&thread, NULL, run_work, NULL) == 0);
		pthread_detach(thread);
	}
	CHECK(pthread_create(&server->thread, NULL, run_serve, server) == 0);
	server->joinable = true;
	pthread_mutex_unlock(&start_lock);
}

uintptr_t wss_port_thread(void)
{
	static _Thread_local char here;

	return (uintptr_t)&here;
}

bool wss_port_on_wss_thread(const struct wss_port_server *server)
{
	return own == server;
}

bool wss_port_on_service_thread(void)
{
	return role != OTHER;
}

/* The rest. */

void wss_port_network_forget(struct wss_port_server *server)
{
	(void)server;
}

static pthread_mutex_t log_lock = PTHREAD_MUTEX_INITIALIZER;
static char last_line[128];

void port_last_line(char *line, size_t size);

void port_last_line(char *line, size_t size)
{
	pthread_mutex_lock(&log_lock);
	snprintf(line, size, "%s", last_line);
	pthread_mutex_unlock(&log_lock);
}

void wss_port_log(uint32_t level, const char *text)
{
	pthread_mutex_lock(&log_lock);
	snprintf(last_line, sizeof(last_line), "%s", text);
	pthread_mutex_unlock(&log_lock);
	if (getenv("WSS_LOG") != NULL) {
		fprintf(stderr, "%u: %s\n", level, text);
	}
}

/* Zephyr has its own log; this is for the linker. */
void wss_set_log(enum wss_log_level level, wss_log_handler handler, void *given)
{
	(void)level;
	(void)handler;
	(void)given;
}

/* In the order of `Errno` in sys_wss/src/error.rs, like zephyr/library.c. */
int wss_port_errno(uint8_t which);

int wss_port_errno(uint8_t which)
{
	static const int errnos[] = {EAGAIN, EMSGSIZE, ENOTCONN, ECONNABORTED, EBADMSG,   EINVAL,
				     ENOENT, EBUSY,    EIO,      EPIPE,        EADDRINUSE, ENOTSUP};

	CHECK(which < sizeof(errnos) / sizeof(errnos[0]));
	return errnos[which];
}

_Noreturn void wss_port_panic(void);

_Noreturn void wss_port_panic(void)
{
	fputs("the library panicked\n", stderr);
	abort();
}

/* Event queues. */

static struct queue {
	struct wss_event messages[QUEUE_DEPTH];
	size_t depth;
	size_t size;
	size_t count;
	bool used;
} queues[QUEUES];
static pthread_mutex_t queue_lock = PTHREAD_MUTEX_INITIALIZER;

void *wss_port_queue_new(size_t depth, size_t size)
{
	void *found = NULL;

	pthread_mutex_lock(&queue_lock);
	for (int i = 0; i < QUEUES && found == NULL; i++) {
		if (!queues[i].used && depth <= QUEUE_DEPTH && size <= sizeof(struct wss_event)) {
			queues[i].used = true;
			queues[i].depth = depth;
			queues[i].size = size;
			queues[i].count = 0;
			found = &queues[i];
		}
	}
	pthread_mutex_unlock(&queue_lock);
	return found;
}

void wss_port_queue_end(void *which)
{
	struct queue *queue = which;

	pthread_mutex_lock(&queue_lock);
	CHECK(queue->used);
	queue->used = false;
	queue->count = 0;
	pthread_mutex_unlock(&queue_lock);
}

bool wss_port_queue_put(void *which, const void *entry)
{
	struct queue *queue = which;
	bool room;

	pthread_mutex_lock(&queue_lock);
	CHECK(queue->used);
	room = queue->count < queue->depth;
	if (room) {
		memcpy(&queue->messages[queue->count++], entry, queue->size);
	}
	pthread_mutex_unlock(&queue_lock);
	return room;
}

bool wss_port_queue_get(void *which, void *entry)
{
	struct queue *queue = which;
	bool taken;

	pthread_mutex_lock(&queue_lock);
	CHECK(queue->used);
	taken = queue->count > 0;
	if (taken) {
		memcpy(entry, &queue->messages[0], queue->size);
		memmove(queue->messages, queue->messages + 1,
			--queue->count * sizeof(queue->messages[0]));
	}
	pthread_mutex_unlock(&queue_lock);
	return taken;
}

/* TLS, which is not configured here: none of these functions is called. */

#define NOT_CALLED(result, name, ...)                                                                        \
	result name(__VA_ARGS__)                                                                             \
	{                                                                                                    \
		abort();                                                                                     \
	}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-parameter"
NOT_CALLED(size_t, wss_port_number, const struct wss_port_server *server)
NOT_CALLED(void, wss_port_wake_all, void)
NOT_CALLED(int32_t, wss_tls_start, size_t server, const struct wss_tls_credentials *credentials,
	   const struct wss_tls_socket *socket)
NOT_CALLED(void, wss_tls_reset, uint32_t session)
NOT_CALLED(int32_t, wss_tls_handshake, uint32_t session)
NOT_CALLED(int32_t, wss_tls_progress, uint32_t session)
NOT_CALLED(int32_t, wss_tls_receive, uint32_t session, uint8_t *data, size_t len)
NOT_CALLED(bool, wss_tls_has_buffered, uint32_t session)
NOT_CALLED(int32_t, wss_tls_send, uint32_t session, const struct wss_port_part *parts, size_t count,
	   size_t skip)
NOT_CALLED(bool, wss_tls_has_unsent, uint32_t session)
NOT_CALLED(int32_t, wss_tls_flush, uint32_t session)
NOT_CALLED(void, wss_tls_close_notify, uint32_t session)
NOT_CALLED(void, wss_tls_alert, uint32_t session, uint8_t alert)
NOT_CALLED(void, wss_tls_reason, uint32_t session, int32_t *error, int32_t *alert)
#pragma GCC diagnostic pop
