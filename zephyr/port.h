/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the service in Rust needs of Zephyr, in C: the kernel and the sockets. `zephyr/port/src/sys.rs`
 * is the other side of it. Neither errno nor Zephyr's structures go across.
 */
#ifndef WSS_ZEPHYR_PORT_H
#define WSS_ZEPHYR_PORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Results below 0. What is not WSS_AGAIN is -errno: there is none so large. */
#define WSS_AGAIN (-1000)
#define WSS_ERRNO(error) (-(error))

/* As struct zsock_pollfd: ZSOCK_POLLIN and ZSOCK_POLLOUT. What is neither is a failure. */
#define WSS_IN 1
#define WSS_OUT 4

struct wss_poll {
	/* Below 0: none. */
	int32_t fd;
	int16_t events;
	int16_t revents;
};

/* As struct iovec. None is empty. */
struct wss_part {
	const uint8_t *data;
	size_t len;
};

/* Servers are counted from 0. A number less than CONFIG_WSS_SERVERS is what `server` is below. */

/* Sockets: a descriptor, a count, or an error. */
int32_t wss_port_listen(uint32_t server, const char *address, uint16_t *port, int32_t *fds);
int32_t wss_port_listen_again(uint32_t server, int32_t *fds);
/* The peer has CONFIG_WSS_PEER_SIZE bytes: its address, of IPv4 as one of IPv6 where there is both. */
int32_t wss_port_accept(int32_t listener, uint8_t *peer);
/* A connection that somebody else has accepted. */
int32_t wss_port_adopt(int32_t fd, uint8_t *peer);
int32_t wss_port_receive(int32_t fd, uint8_t *data, size_t len);
int32_t wss_port_send(int32_t fd, const struct wss_part *parts, size_t count);
/* Waits for ms, or below 0 as long as it takes. */
int32_t wss_port_poll(struct wss_poll *polls, size_t count, int32_t ms);
void wss_port_close(int32_t fd);

/* A descriptor that ends the poll of a server: readable from wake to wake_take. */
int32_t wss_port_wake_open(uint32_t server);
void wss_port_wake_close(uint32_t server, int32_t fd);
void wss_port_wake(uint32_t server);
void wss_port_wake_take(uint32_t server);

/* A timer of a server, that wakes it up. */
void wss_port_timer_start(uint32_t server, uint32_t ms);
bool wss_port_timer_take(uint32_t server);

/* A pool of k_mutex, each with a k_condvar, counted from 1. Where the number is still 0, one is taken. */
uint32_t wss_port_lock_new(uint32_t *number);
void wss_port_lock_free(uint32_t lock);
void wss_port_lock(uint32_t lock);
void wss_port_unlock(uint32_t lock);
void wss_port_wait(uint32_t lock, uint32_t ms);
void wss_port_notify(uint32_t lock);

/* Time. */
uint64_t wss_port_uptime_ms(void);
/* The low 32 bits of it. */
uint32_t wss_port_uptime_ms32(void);
void wss_port_sleep_ms(uint32_t ms);

/* The WSS thread of a server, and the work queue of all. */
void wss_port_start(uint32_t server);
void wss_port_join(uint32_t server);
void wss_port_submit(uint32_t server, uint32_t item);
/* Called by the WSS thread before it waits: without a work queue it does what was submitted. */
void wss_port_work(uint32_t server);
uintptr_t wss_port_thread(void);
/* That of the server. */
bool wss_port_on_wss_thread(uint32_t server);
/* Any of these. */
bool wss_port_on_service_thread(void);

/*
 * Queues, of entries of one size. NULL if there is none left, or none for so many or so large entries.
 * The one that is ended may be the application's own. Neither put nor get waits.
 */
void *wss_port_queue_new(size_t depth, size_t size);
void wss_port_queue_end(void *queue);
bool wss_port_queue_put(void *queue, const void *entry);
bool wss_port_queue_get(void *queue, void *entry);

/* The network interface: what has happened since the last time that the server asked, in this order. */
#define WSS_LINK_DOWN 1
#define WSS_LINK_UP 2
uint32_t wss_port_link_take(uint32_t server);

/* The log, with Zephyr's levels. */
void wss_port_log(uint32_t level, const char *text);

/* What Rust has for C. */
void wss_serve(uint32_t server);
void wss_work(uint32_t server, uint32_t item);

#endif /* WSS_ZEPHYR_PORT_H */
