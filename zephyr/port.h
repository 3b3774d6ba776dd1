/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The interface between the service in Rust and Zephyr: the kernel and the sockets. `zephyr/port/src/sys.rs` is its
 * other side. Neither errno nor Zephyr's structures cross it.
 */
#ifndef WSS_ZEPHYR_PORT_H
#define WSS_ZEPHYR_PORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Results below 0. All others are -errno, which is never that large. */
#define WSS_AGAIN (-1000)
/* Nothing can be sent now, and nothing reports when it can: the network has no buffers. */
#define WSS_NO_BUFFERS (-1001)
/* The port to listen on is in use. */
#define WSS_IN_USE (-1002)
#define WSS_ERRNO(error) (-(error))

/* The layout of struct zsock_pollfd: ZSOCK_POLLIN and ZSOCK_POLLOUT. Any other event is a failure. */
#define WSS_IN 1
#define WSS_OUT 4

struct wss_poll {
	/* Below 0: no descriptor. */
	int32_t fd;
	int16_t events;
	int16_t revents;
};

/* The layout of struct iovec. No part is empty. */
struct wss_port_part {
	const uint8_t *data;
	size_t len;
};

/*
 * The kernel objects of a server: there are CONFIG_WSS_SERVERS of them. The first start of a server in Rust binds it to
 * one of them, for ever.
 */
struct wss_port_server;

struct wss_shell_calls;

/* The functions that run a server in Rust. */
struct wss_calls {
	/* Serves until the server has stopped, on the WSS thread. */
	void (*serve)(const void *object);
	/* Runs a work item: a client's, the service's, which has the next number, or WSS_TLS_ITEM plus a slot. */
	void (*work)(const void *object, uint32_t item);
	/* Handles a change of the network: WSS_LINK_DOWN, WSS_LINK_UP (in this order), WSS_LISTEN. */
	void (*link)(const void *object, uint32_t events);
#if defined(CONFIG_WSS_SHELL)
	/* For the shell command. */
	const struct wss_shell_calls *shell;
#endif
};

/* The index of a server. With CONFIG_WSS_TLS. */
size_t wss_port_number(const struct wss_port_server *server);

/* Returns NULL if all are bound. */
struct wss_port_server *wss_port_bind(const void *object, const struct wss_calls *calls);

/* Sockets. The functions return a descriptor, a count, or an error. */
int32_t wss_port_listen(struct wss_port_server *server, const char *address, uint16_t *port,
			int32_t *fds);
/* Opens the listeners whose descriptors are below 0. WSS_AGAIN: try again at WSS_LISTEN. */
int32_t wss_port_listen_again(struct wss_port_server *server, int32_t *fds);
/* `peer` gets CONFIG_WSS_PEER_SIZE bytes: the address. With both families, IPv4 addresses are mapped to IPv6. */
int32_t wss_port_accept(struct wss_port_server *server, int32_t listener, uint8_t *peer);
/* Prepares a connection that the application has accepted. */
int32_t wss_port_adopt(int32_t fd, uint8_t *peer);
int32_t wss_port_receive(int32_t fd, uint8_t *data, size_t len);
int32_t wss_port_send(int32_t fd, const struct wss_port_part *parts, size_t count);
/* Returns whether there are buffers for the response to a request. */
bool wss_port_has_buffers(int32_t fd);
/* Waits for ms milliseconds; below 0: without a limit. */
int32_t wss_port_poll(struct wss_poll *polls, size_t count, int32_t ms);
void wss_port_close(int32_t fd);
/* The address and the port of a peer, as text. */
#define WSS_NAME_SIZE 56
void wss_port_name(int32_t fd, char *name);

/* A descriptor that ends the poll of a server: readable from wake to wake_take. Opened once. */
int32_t wss_port_wake_open(struct wss_port_server *server);
void wss_port_wake(struct wss_port_server *server);
/* Wakes up all servers. With CONFIG_WSS_TLS. */
void wss_port_wake_all(void);
void wss_port_wake_take(struct wss_port_server *server);

/* The timer of a server. It wakes the server up. */
void wss_port_timer_start(struct wss_port_server *server, uint32_t ms);
bool wss_port_timer_take(struct wss_port_server *server);

/*
 * Locks: a k_mutex each, with one k_condvar for all, so that threads may wake up spuriously. Those of a server are
 * numbered from 0: one for each client, then three. NULL is a shared lock, which exists from the beginning.
 */
struct wss_lock;
struct wss_lock *wss_port_lock_of(struct wss_port_server *server, size_t number);
void wss_port_lock(struct wss_lock *lock);
void wss_port_unlock(struct wss_lock *lock);
void wss_port_wait(struct wss_lock *lock, uint32_t ms);
void wss_port_notify(struct wss_lock *lock);

/* Time. */
uint64_t wss_port_uptime_ms(void);
/* The low 32 bits of the uptime. */
uint32_t wss_port_uptime_ms32(void);
void wss_port_sleep_ms(uint32_t ms);

/* The WSS thread of a server, and the work queue of all servers. */
void wss_port_start(struct wss_port_server *server);
/* Waits until the thread, and with it all work of the server, has ended. Returns false if the time is over. */
bool wss_port_join(struct wss_port_server *server, uint32_t ms);
void wss_port_submit(struct wss_port_server *server, uint32_t item);
/* Added to the slot of a client: the next step of its TLS handshake, on the TLS work queue. With CONFIG_WSS_TLS. */
#define WSS_TLS_ITEM 0x100
/* Runs a function on the TLS work queue, which has enough stack, and waits for it. With CONFIG_WSS_TLS. */
void wss_port_run_tls(void (*run)(void *context), void *context);
/* Called by the WSS thread before it waits. Without a work queue, it runs the submitted items. */
void wss_port_work(struct wss_port_server *server);
uintptr_t wss_port_thread(void);
/* Returns whether this is the WSS thread of the server. */
bool wss_port_on_wss_thread(const struct wss_port_server *server);
/* Returns whether this is a WSS thread or a work queue of any server. */
bool wss_port_on_service_thread(void);

/*
 * Queues, of entries of one size. `new` returns NULL if there is none left, or none for so many or so large entries.
 * `end` may get a queue of the application. Neither `put` nor `get` waits.
 */
void *wss_port_queue_new(size_t depth, size_t size);
void wss_port_queue_end(void *queue);
bool wss_port_queue_put(void *queue, const void *entry);
bool wss_port_queue_get(void *queue, void *entry);

/* A network interface that the server uses went down or came up. */
#define WSS_LINK_DOWN 1
#define WSS_LINK_UP 2
/* It may be possible now to listen on a missing address. */
#define WSS_LISTEN 4
/* Forgets which interfaces the server uses, and their events. */
void wss_port_network_forget(struct wss_port_server *server);

/* The log, with Zephyr's levels. */
void wss_port_log(uint32_t level, const char *text);

/* The shell command. */

enum wss_shell_state {
	WSS_SHELL_CONNECTING,
	WSS_SHELL_CONNECTED,
	WSS_SHELL_CLOSING,
};

#define WSS_SHELL_PATH_SIZE 48

/* Texts are NUL-terminated, empty if unknown, and truncated if they are too long. */
struct wss_shell_client {
	/* One of enum wss_shell_state. */
	uint32_t state;
	char peer[WSS_NAME_SIZE];
	/* The path of the opening request. */
	char path[WSS_SHELL_PATH_SIZE];
};

enum wss_shell_kind {
	WSS_SHELL_TEXT,
	WSS_SHELL_PING,
	WSS_SHELL_CLOSE,
};

/* Every client of the server. */
#define WSS_SHELL_ALL UINT32_MAX

/* A message, a ping, or a close for clients. */
struct wss_shell_action {
	/* One of enum wss_shell_kind. */
	uint32_t kind;
	/* The slot of the client, or WSS_SHELL_ALL. */
	uint32_t slot;
	/* The close code. */
	uint32_t code;
	/* The message, the payload of the ping, or the reason of the close frame. */
	const char *text;
	size_t len;
};

#define WSS_SHELL_ERROR_SIZE 64

struct wss_shell_stats {
	uint32_t accepted, connected, closed, aborted, timeouts;
	uint32_t refused_full, refused_forbidden, refused_requests, refused_address;
	uint32_t messages_received, messages_sent, would_block;
	uint32_t protocol_errors, invalid_payloads, messages_too_big, policy_violations;
	uint32_t accept_errors, accept_pauses, most_clients, most_blocks;
	uint64_t bytes_received, bytes_sent;
};

/* Functions of a server in Rust for the shell command. */
struct wss_shell_calls {
	/* Returns false if no client has this slot. */
	bool (*client)(const void *object, uint32_t slot, struct wss_shell_client *client);
	/* Returns false on failure, and writes the reason to `error`, of WSS_SHELL_ERROR_SIZE bytes. */
	bool (*act)(const void *object, const struct wss_shell_action *action, char *error);
	void (*stats)(const void *object, struct wss_shell_stats *stats);
};

/* A server for the shell command. */
struct wss_shell_server {
	const void *object;
	const struct wss_shell_calls *calls;
	/* The port that it listens on; 0: it does not listen. */
	uint16_t port;
};

/* Returns false if the server with this number, less than CONFIG_WSS_SERVERS, does not run. */
bool wss_port_shell_server(size_t number, struct wss_shell_server *server);

#if defined(CONFIG_WSS_PAGES)
struct wss_page;

/* Returns a page that WSS_PAGE_DEFINE() defines for a server, by its number from 0; NULL if there is none. */
const struct wss_page *wss_port_page(size_t server, size_t number);
#endif

#endif /* WSS_ZEPHYR_PORT_H */
