/* SPDX-License-Identifier: Apache-2.0 */
/*
 * zephyr/port.h and the queues, of POSIX: so that all of the Zephyr port that is in Rust, and the C
 * interface as it is there, without a heap, can be tested on a host, sanitizers included. Sockets are
 * polled as Zephyr does: level-triggered, and closed by the thread that polls, which is checked.
 */
#include "../../zephyr/port.h"

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

/* As in the configuration that tests/c/run gives the library. */
#define SERVERS 3
#define MAX_CLIENTS 4
#define PEER_SIZE 4
#define QUEUES 3
#define QUEUE_DEPTH 8

/* Sockets. */

/* What there is one of for each server. */
static struct server {
	pthread_t thread;
	bool joinable;
	atomic_bool polling;
	struct sockaddr_in listening;
	int wake_fd;
	uint64_t timer_at;
	atomic_bool timer_due;
} servers[SERVERS];

/* Which thread this is, and of which server. */
static _Thread_local enum { OTHER, WORK, WSS } role;
static _Thread_local struct server *own;

/* Whose descriptors are. */
static _Atomic(struct server *) owners[1024];

static int owned(int fd, struct server *server)
{
	CHECK(fd < 1024);
	if (fd >= 0) {
		owners[fd] = server;
	}
	return fd;
}

static struct server *server_of(uint32_t number)
{
	CHECK(number < SERVERS);
	return &servers[number];
}

static int32_t failed(void)
{
	return errno == EAGAIN || errno == EINTR ? WSS_AGAIN : WSS_ERRNO(errno);
}

int32_t wss_port_listen_again(uint32_t number, int32_t *fds)
{
	struct sockaddr_in *listening = &server_of(number)->listening;
	socklen_t len = sizeof(*listening);
	const int on = 1;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

	CHECK(fd >= 0);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, (struct sockaddr *)listening, len) != 0 || listen(fd, 64) != 0) {
		int32_t error = WSS_ERRNO(errno);

		close(fd);
		return error;
	}
	CHECK(getsockname(fd, (struct sockaddr *)listening, &len) == 0);
	fds[0] = owned(fd, server_of(number));
	return 0;
}

int32_t wss_port_listen(uint32_t number, const char *address, uint16_t *port, int32_t *fds)
{
	struct sockaddr_in *listening = &server_of(number)->listening;
	int32_t result;

	memset(listening, 0, sizeof(*listening));
	listening->sin_family = AF_INET;
	listening->sin_port = htons(*port);
	if (address != NULL && inet_pton(AF_INET, address, &listening->sin_addr) != 1) {
		return WSS_ERRNO(EINVAL);
	}
	result = wss_port_listen_again(number, fds);
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

int32_t wss_port_accept(int32_t listener, uint8_t *peer)
{
	struct sockaddr_in addr;
	socklen_t len = sizeof(addr);
	struct pollfd waiting = {.fd = listener, .events = POLLIN};
	int fd = accept(listener, (struct sockaddr *)&addr, &len);

	if (fd < 0) {
		int32_t error = failed();

		/* Zephyr says only of a connection that waits that there is no descriptor for it. */
		return poll(&waiting, 1, 0) == 0 ? WSS_AGAIN : error;
	}
	return owned(prepare(fd, &addr, peer), own);
}

int32_t wss_port_receive(int32_t fd, uint8_t *data, size_t len)
{
	ssize_t count = recv(fd, data, len, MSG_DONTWAIT);

	return count < 0 ? failed() : (int32_t)count;
}

int32_t wss_port_send(int32_t fd, const struct wss_part *parts, size_t count)
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

void wss_port_close(int32_t fd)
{
	struct server *server = owners[fd];

	/* On Zephyr, closing what another thread polls ends badly. */
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

static pthread_mutex_t wake_lock = PTHREAD_MUTEX_INITIALIZER;

void wss_port_wake(uint32_t server)
{
	pthread_mutex_lock(&wake_lock);
	if (server_of(server)->wake_fd >= 0) {
		CHECK(eventfd_write(server_of(server)->wake_fd, 1) == 0);
	}
	pthread_mutex_unlock(&wake_lock);
}

void wss_port_wake_take(uint32_t server)
{
	eventfd_t count;

	(void)eventfd_read(server_of(server)->wake_fd, &count);
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
			struct server *server = &servers[i];

			if (server->timer_at != 0 && server->timer_at <= now) {
				server->timer_at = 0;
				server->timer_due = true;
				/* It is not closed before the timer is stopped. */
				wss_port_wake((uint32_t)i);
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

/* 0: not. */
static void set_timer(uint32_t server, uint64_t at)
{
	pthread_once(&timer_once, start_timer);
	pthread_mutex_lock(&timer_lock);
	server_of(server)->timer_at = at;
	pthread_cond_signal(&timer_set);
	pthread_mutex_unlock(&timer_lock);
}

int32_t wss_port_wake_open(uint32_t server)
{
	int fd = owned(eventfd(0, EFD_NONBLOCK), server_of(server));

	CHECK(fd >= 0);
	pthread_mutex_lock(&wake_lock);
	server_of(server)->wake_fd = fd;
	pthread_mutex_unlock(&wake_lock);
	return fd;
}

void wss_port_timer_start(uint32_t server, uint32_t ms)
{
	set_timer(server, wss_port_uptime_ms() + ms);
}

void wss_port_wake_close(uint32_t server, int32_t fd)
{
	set_timer(server, 0);
	server_of(server)->timer_due = false;
	pthread_mutex_lock(&wake_lock);
	CHECK(fd == server_of(server)->wake_fd);
	server_of(server)->wake_fd = -1;
	pthread_mutex_unlock(&wake_lock);
	wss_port_close(fd);
}

bool wss_port_timer_take(uint32_t server)
{
	return atomic_exchange(&server_of(server)->timer_due, false);
}

/* Locks: not recursive, so that one taken twice is noticed. */

static struct {
	pthread_mutex_t mutex;
	pthread_cond_t changed;
	bool used;
	bool made;
} locks[SERVERS * (MAX_CLIENTS + 9)];
static pthread_mutex_t locks_lock = PTHREAD_MUTEX_INITIALIZER;

uint32_t wss_port_lock_new(uint32_t *number)
{
	pthread_mutex_lock(&locks_lock);
	if (*number == 0) {
		uint32_t lock = 0;

		while (locks[lock].used) {
			lock++;
			CHECK(lock < sizeof(locks) / sizeof(locks[0]));
		}
		locks[lock].used = true;
		if (!locks[lock].made) {
			pthread_mutexattr_t attributes;

			pthread_mutexattr_init(&attributes);
			pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_ERRORCHECK);
			CHECK(pthread_mutex_init(&locks[lock].mutex, &attributes) == 0);
			pthread_mutexattr_destroy(&attributes);
			monotonic(&locks[lock].changed);
			locks[lock].made = true;
		}
		__atomic_store_n(number, lock + 1, __ATOMIC_RELEASE);
	}
	pthread_mutex_unlock(&locks_lock);
	return *number;
}

void wss_port_lock_free(uint32_t lock)
{
	pthread_mutex_lock(&locks_lock);
	locks[lock - 1].used = false;
	pthread_mutex_unlock(&locks_lock);
}

void wss_port_lock(uint32_t lock)
{
	CHECK(pthread_mutex_lock(&locks[lock - 1].mutex) == 0);
}

void wss_port_unlock(uint32_t lock)
{
	CHECK(pthread_mutex_unlock(&locks[lock - 1].mutex) == 0);
}

void wss_port_wait(uint32_t lock, uint32_t ms)
{
	struct timespec at;

	until(&at, wss_port_uptime_ms() + ms);
	pthread_cond_timedwait(&locks[lock - 1].changed, &locks[lock - 1].mutex, &at);
}

void wss_port_notify(uint32_t lock)
{
	pthread_cond_broadcast(&locks[lock - 1].changed);
}

/* The work queue and the WSS threads. */

#define ITEMS_OF_ONE (MAX_CLIENTS + 3)
#define ITEMS        (SERVERS * ITEMS_OF_ONE)
#define END_ITEM     (MAX_CLIENTS + 1)

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

/* Does the first item, or the first one of a server, which comes to its end by itself; false if there is none. */
static bool do_first(const struct server *of)
{
	pthread_mutex_lock(&work_lock);
	for (size_t i = 0; i < queued; i++) {
		uint32_t item = order[i];
		uint32_t number = item / ITEMS_OF_ONE;

		if (of != NULL && (of != &servers[number] || item % ITEMS_OF_ONE == END_ITEM)) {
			continue;
		}
		memmove(&order[i], &order[i + 1], (--queued - i) * sizeof(order[0]));
		is_queued[item] = false;
		pthread_mutex_unlock(&work_lock);
		wss_work(number, item % ITEMS_OF_ONE);
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
	uint32_t number;

	role = WSS;
	own = server;
	number = (uint32_t)(own - servers);
	wss_serve(number);
	if (without_work_queue()) {
		while (do_first(own)) {
		}
		wss_work(number, END_ITEM);
	}
	return NULL;
}

void wss_port_work(uint32_t number)
{
	/* Not for ever: sockets have their turn in between. */
	for (size_t i = 0; without_work_queue(); i++) {
		if (i == ITEMS_OF_ONE) {
			wss_port_wake(number);
			return;
		}
		if (!do_first(server_of(number))) {
			return;
		}
	}
}

void wss_port_submit(uint32_t server, uint32_t item)
{
	uint32_t place = server * ITEMS_OF_ONE + item;

	CHECK(server < SERVERS && item < ITEMS_OF_ONE);
	if (without_work_queue() && item == END_ITEM) {
		/* It is what the WSS thread does last. */
		return;
	}
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

void wss_port_join(uint32_t number)
{
	struct server *server = server_of(number);

	pthread_mutex_lock(&start_lock);
	if (server->joinable) {
		server->joinable = false;
		pthread_join(server->thread, NULL);
	}
	pthread_mutex_unlock(&start_lock);
}

void wss_port_start(uint32_t number)
{
	struct server *server = server_of(number);
	static bool working;

	wss_port_join(number);
	pthread_mutex_lock(&start_lock);
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

bool wss_port_on_wss_thread(uint32_t server)
{
	return own == server_of(server);
}

bool wss_port_on_service_thread(void)
{
	return role != OTHER;
}

/* The rest. */

uint32_t wss_port_link_take(uint32_t server)
{
	(void)server;
	return 0;
}

void wss_port_log(uint32_t level, const char *text)
{
	if (getenv("WSS_LOG") != NULL) {
		fprintf(stderr, "%u: %s\n", level, text);
	}
}

/* Not on Zephyr, which has a log of its own: for the linker. */
void wss_set_log(wss_log_level level, wss_log_handler handler, void *given)
{
	(void)level;
	(void)handler;
	(void)given;
}

_Noreturn void wss_port_panic(void);

_Noreturn void wss_port_panic(void)
{
	fputs("the library panicked\n", stderr);
	abort();
}

/* Event queues. */

static struct queue {
	wss_message messages[QUEUE_DEPTH];
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
		if (!queues[i].used && depth <= QUEUE_DEPTH && size <= sizeof(wss_message)) {
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
