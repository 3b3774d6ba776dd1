/*
 * SPDX-License-Identifier: Apache-2.0
 */

/**
 * @file
 * @brief The WebSocket server (RFC 6455) for applications in C.
 *
 * A server is a static object: wss_start() makes it listen, wss_stop() stops it. Functions take a server or a
 * client, and return 0 or more, or a negative errno that the function documents. Unless documented otherwise, a
 * function may be called from any thread at any time, also inside a callback, where it never waits. Only the
 * handler of wss_set_log() must not call any.
 *
 * @code
 * static void on_event(const struct wss_event *event, void *cookie)
 * {
 *         if (event->type == WSS_EVENT_TEXT) {
 *                 wss_send(event->client, WSS_TEXT, event->data, event->len, 0);
 *         }
 * }
 *
 * struct wss_config config = {.port = 8000, .on_event = on_event};
 * int err = wss_start(wss_default_server(), &config);
 * @endcode
 *
 * wss/sys_wss.h is the interface of the original WSS system service, over wss_default_server().
 */
#ifndef WSS_WSS_H
#define WSS_WSS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * @defgroup wss_server Servers
 * @{
 */

/** A server. The number of servers is fixed, and they are never freed. */
struct wss_server;

/**
 * Identifies a client while its connection lives. Values are not reused: an old one refers to no client.
 */
typedef uint64_t wss_client;

/** No client. */
#define WSS_NO_CLIENT ((wss_client)0)

/** An event queue; 0 means none. */
typedef uint32_t wss_queue;

/** The maximum number of queues of a server. */
#define WSS_MAX_QUEUES 3

/** A timeout that never expires. */
#define WSS_FOREVER (-1)

/** Event types. The numbers are those of SYS_WSS_EVENTS. */
enum wss_event_type {
	/** Server event: there is no memory, descriptor, or socket for a connection. */
	WSS_EVENT_ERROR = 0,
	/** A connection was accepted. */
	WSS_EVENT_CONNECTING = 1,
	/** The client was upgraded: the 101 response was sent. */
	WSS_EVENT_CONNECTED = 2,
	/** Binary data. */
	WSS_EVENT_BINARY = 3,
	/** Text, valid UTF-8. It may contain NUL. */
	WSS_EVENT_TEXT = 4,
	/** A ping, which the server answers. */
	WSS_EVENT_PING = 5,
	/** A pong, except those that answer the keep-alive pings of the server. */
	WSS_EVENT_PONG = 6,
	/** A close frame. Data: the code as two bytes, big-endian, then the reason; or nothing. */
	WSS_EVENT_CLOSE_FRAME = 7,
	/** The connection is ending. Emitted once before every CLOSED. */
	WSS_EVENT_CLOSING = 8,
	/** The connection has ended. Emitted once for each CONNECTING. */
	WSS_EVENT_CLOSED = 9,
	/** The client violated RFC 6455. CLOSING follows, with 1002, 1007, or 1009. */
	WSS_EVENT_INVALID_FRAME = 10,
	/** The client answered no ping, or did not finish its opening handshake. CLOSING follows. */
	WSS_EVENT_TIMEOUT = 11,
	/** TLS failed. */
	WSS_EVENT_TLS_FAILED = 12,
	/** Server event: the listening socket could not be opened. */
	WSS_EVENT_LISTEN_FAILED = 13,
	/** Server event: a network interface went down. */
	WSS_EVENT_LINK_DOWN = 14,
	/** Server event: a network interface came up. */
	WSS_EVENT_LINK_UP = 15,
	/** A send that returned -EAGAIN can be tried again. Not in #WSS_MASK_ALL. */
	WSS_EVENT_WRITABLE = 16
};

/** The bit of an event in a mask. */
#define WSS_MASK(type) ((uint32_t)1 << (type))
/** Every event except WSS_EVENT_WRITABLE. */
#define WSS_MASK_ALL ((uint32_t)0xFFFF)

/** An event, given to a callback or taken from a queue. */
struct wss_event {
	/** One of ::wss_event_type. */
	uint32_t type;
	/** The index of the client, from 0; -1 for an event of the server. */
	int32_t index;
	/** The client; #WSS_NO_CLIENT for an event of the server. */
	wss_client client;
	/** The server. */
	struct wss_server *server;
	/** What wss_set_user_data() attached to the client. */
	void *user_data;
	/**
	 * The received bytes, for TEXT, BINARY, PING, PONG, and CLOSE_FRAME; otherwise NULL. They are read-only and not
	 * terminated by NUL, except for a whole text (`first` and `last`) that only one subscriber gets: a callback, or
	 * one queue. Such a text ends with a NUL, and may be changed in place, NUL included, until the event is
	 * released: by strtok(), or a JSON parser. Text that is sent from it is checked for valid UTF-8 again. Bytes
	 * that a callback has sent from here must not change until it returns.
	 */
	void *data;
	/** The number of bytes, without the NUL. */
	size_t len;
	/** Whether this is the beginning of the message. False only with wss_limits::streaming. */
	bool first;
	/** Whether this is the end of the message. False only with wss_limits::streaming. */
	bool last;
	/** Private to the library. */
	void *hold;
};

/**
 * @brief Handles an event.
 *
 * Runs on the work queue that the servers share; on a host, and on Zephyr without CONFIG_WSS_WORK_QUEUE, on the
 * thread of the server. A server delivers one event at a time. The event is valid until the callback returns. The
 * callback must not throw or longjmp out.
 *
 * @param event The event.
 * @param cookie wss_config::cookie.
 */
typedef void (*wss_event_callback)(const struct wss_event *event, void *cookie);

/** An opening request, valid while its hook runs. See @ref wss_request. */
struct wss_request;

/** Returned by a hook to decide later: call wss_accept() or wss_refuse() before the handshake timeout. */
#define WSS_LATER 1

/**
 * @brief Decides on an opening request.
 *
 * Runs where a ::wss_event_callback runs, and never at the same time as one of the same server, after CONNECTING and
 * before CONNECTED. It can read the request with the functions of @ref wss_request, and attach user data and groups
 * to wss_request_client(). A client that it refuses also gets CLOSING and CLOSED.
 *
 * @param request The request.
 * @param cookie wss_config::cookie.
 * @retval 0 Accepts the client, without a subprotocol.
 * @retval 400..599 Refuses the client with this HTTP status. 401 and 403 count as a failed login, see
 *         wss_limits::login_failures_per_minute. 401 has the challenge "Basic realm=\"wss\"".
 * @retval WSS_LATER Decides later, by wss_accept() or wss_refuse().
 * @return Otherwise the result of wss_request_accept() or wss_request_refuse(). Any other value refuses the client
 *         with 500.
 */
typedef int (*wss_request_hook)(struct wss_request *request, void *cookie);

/**
 * @brief Runs periodically.
 *
 * Runs where a ::wss_event_callback runs, and never at the same time as one of the same server.
 *
 * @param server The server.
 * @param cookie wss_config::cookie.
 */
typedef void (*wss_tick_callback)(struct wss_server *server, void *cookie);

/**
 * Limits of a server, see wss_limits_init(). Times are in milliseconds, up to 2^30. On Zephyr, Kconfig determines the
 * sizes, and which limits against abuse are available.
 */
struct wss_limits {
	/** The largest message that is delivered whole, in bytes; at least 4. */
	size_t rx_buffer_size;
	/** The maximum number of clients; at least 1. Client indexes are less than it. */
	uint16_t max_clients;
	/** Blocks for output that clients do not take at once; 0: the library chooses the number. */
	uint16_t tx_blocks;
	/** The longest opening request, in bytes; at least 1. */
	uint16_t handshake_size;
	/** Whether a message that is larger than rx_buffer_size is delivered in pieces. Otherwise it fails the
	 *  connection with 1009.
	 */
	bool streaming;
	/** Whether to listen. Otherwise all clients come from wss_adopt(). */
	bool listens;
	/** The maximum time from a connection to its complete opening request. */
	uint32_t handshake_timeout_ms;
	/** The maximum silence of a client that was pinged: 100 to 65535; 0: no limit. */
	uint32_t client_timeout_ms;
	/** The silence after which a client is pinged; 0: never. */
	uint32_t ping_interval_ms;
	/** The maximum time without progress while a client has unsent output. */
	uint32_t send_timeout_ms;
	/** The maximum time for the closing handshake. */
	uint32_t close_timeout_ms;
	/** The maximum time between two releases of a client's messages. */
	uint32_t hold_timeout_ms;
	/** The maximum number of clients of one address; further ones get 429. 0: no limit. */
	uint16_t clients_per_address;
	/** The maximum number of connections per second; further ones wait. 0: no limit. */
	uint16_t handshakes_per_second;
	/** The maximum number of pings, and of pongs that answer no ping, per client and second; one more fails the
	 *  client with 1008. 0: no limit.
	 */
	uint16_t control_frames_per_second;
	/** The maximum number of fragments of a message; one more fails the client with 1008. 0: no limit. */
	uint16_t fragments_per_message;
	/** The maximum number of requests of one address that a hook refuses with 401 or 403 per minute; further ones
	 *  get 429 and do not reach the hook, even with valid credentials. 0: no limit, for a server behind a proxy.
	 */
	uint16_t login_failures_per_minute;
};

/** Whether a client needs a certificate. */
enum wss_client_auth {
	/** No certificate is requested. */
	WSS_CLIENT_AUTH_NONE = 0,
	/** A certificate is requested. If the client sends one, it must be valid. */
	WSS_CLIENT_AUTH_OPTIONAL = 1,
	/** A valid certificate is required. */
	WSS_CLIENT_AUTH_REQUIRED = 2
};

/**
 * The credentials of a server with TLS: X.509, as PEM (on Zephyr with CONFIG_MBEDTLS_PEM_CERTIFICATE_FORMAT) or DER.
 * The length of PEM includes a NUL at its end.
 */
struct wss_tls {
	/** The certificate chain, the server's own first; with DER, only the server's own. If this, `key`, and `ca` are
	 *  NULL, Zephyr uses the credentials with the tags in CONFIG_WSS_TLS_SEC_TAGS.
	 */
	const void *cert;
	/** Its size in bytes. */
	size_t cert_len;
	/** The private key. */
	const void *key;
	/** Its size in bytes. */
	size_t key_len;
	/** The CA certificates that client certificates are verified with; NULL: none. */
	const void *ca;
	/** Their size in bytes. */
	size_t ca_len;
	/** One of ::wss_client_auth. */
	uint32_t client_auth;
};

/**
 * A page that a browser gets from the server (a GET or HEAD request without an upgrade). The response has the content
 * type, an entity tag, and "Cache-Control: no-cache". A client that has this version gets 304, an unknown path 404, and
 * another method 405. Each request has its own connection, which emits CONNECTING, CLOSING, and CLOSED.
 */
struct wss_page {
	/** The path, percent-encoded as in a request: "/", "/logo.svg". */
	const char *path;
	/** The Content-Type: "text/html; charset=utf-8". */
	const char *content_type;
	/** The Content-Encoding of the body: "gzip"; NULL: none. Every client gets the body as it is. */
	const char *encoding;
	/** The entity tag of this version, without quotes; NULL: a checksum of the body, computed for each request. */
	const char *etag;
	/** The body, which is sent without a copy. */
	const void *body;
	/** Its size in bytes. */
	size_t size;
};

/**
 * The configuration of a server. A member that is 0 or NULL selects the default, or nothing. Everything that it points
 * to, except `limits`, `queues`, and the structure `tls`, is not copied and must stay valid until the server has
 * stopped.
 */
struct wss_config {
	/** TCP port to listen on; 0: any free one, see wss_port(). */
	uint16_t port;
	/** IP address to listen on, not a host name; NULL: every address. */
	const char *address;
	/** Limits; NULL: those of wss_limits_init(). */
	const struct wss_limits *limits;
	/** Handles events; NULL: none. */
	wss_event_callback on_event;
	/** The events for `on_event`, each as #WSS_MASK; 0: #WSS_MASK_ALL. */
	uint32_t events;
	/** The period of `on_tick` in milliseconds. */
	uint32_t tick_ms;
	/** Runs periodically; NULL: none. On Zephyr it needs CONFIG_WSS_TICK. */
	wss_tick_callback on_tick;
	/** Decides on opening requests; NULL: accepts all. */
	wss_request_hook on_request;
	/** Passed to the callbacks and the hook. */
	void *cookie;
	/** Queues that get events as well; see wss_queue_create(). */
	const wss_queue *queues;
	/** The number of queues, up to #WSS_MAX_QUEUES. */
	size_t queue_count;
	/**
	 * Origins that may connect, separated by spaces, such as "https://example.com"; "*": all. NULL: on Zephyr
	 * CONFIG_WSS_ORIGINS; on a host all, or with `on_request` or credentials only the server's own origin (the
	 * host of the Origin field equals the host of the request). A client without an Origin is not a browser, and
	 * may connect unless there is a list.
	 */
	const char *origins;
	/** Header fields that the hook can read, separated by spaces, such as "Authorization Cookie". On Zephyr they
	 *  must be in CONFIG_WSS_REQUEST_FIELDS, and the hook can read all fields listed there.
	 */
	const char *request_fields;
	/**
	 * The user name, without a colon, that a client must authenticate with (Basic authentication, RFC 7617);
	 * NULL: none. A request without valid credentials gets 401 with a challenge, and does not reach `on_request`.
	 * Needs "Authorization" in `request_fields`, which is then the default.
	 */
	const char *user;
	/** The password for `user`. */
	const char *password;
	/** A token that a client may present instead, as a Bearer token (RFC 6750) or in the query ("/?token=...");
	 *  NULL: none. A request with neither gets 401, as for `user`.
	 */
	const char *token;
	/** TLS; NULL: none. Zephyr needs CONFIG_WSS_TLS. With SYS_WSS_Initialize(), SYS_WSS_CONFIG::isTLSEnabled
	 *  selects whether it is used.
	 */
	const struct wss_tls *tls;
#ifndef __ZEPHYR__
	/**
	 * Pages; NULL: none. They, and what they point to, must stay unchanged until the server has stopped. If several
	 * have the same path, the first one is used. On Zephyr, define pages with WSS_PAGE_DEFINE() of wss/zephyr.h.
	 */
	const struct wss_page *pages;
	/** The number of pages, up to 65535. */
	size_t page_count;
#endif
};

/**
 * @brief Returns a server by its index.
 *
 * @param index 0 is the default server. A host has 64 servers, Zephyr CONFIG_WSS_SERVERS.
 * @return The server; NULL if the index is too large.
 */
struct wss_server *wss_server_at(size_t index);

/** Returns the default server, which the SYS_WSS_ functions use. */
static inline struct wss_server *wss_default_server(void)
{
	return wss_server_at(0);
}

/** Sets limits to the defaults: those of Kconfig on Zephyr. NULL is ignored. */
void wss_limits_init(struct wss_limits *limits);

/**
 * @brief Sets the configuration for the next start of a server.
 *
 * SYS_WSS_Initialize() starts the default server with it, except for the port and the callback, which it gets as
 * arguments.
 *
 * @param server The server.
 * @param config The configuration; NULL: the default one.
 * @retval 0 It is set.
 * @retval -EBUSY The server runs.
 * @retval -EINVAL The server is NULL; a limit is out of its range; a queue does not exist, or there are too many;
 *         the address, an origin or a name in `request_fields` is not valid; `tick_ms` is 0 with `on_tick`; only one of
 *         user and password is set, the user has a colon, the token is empty, or `request_fields` lacks the
 *         "Authorization" that they need; `tls` lacks a member; a page is not valid, see struct wss_page.
 * @retval -ENOTSUP TLS is not built in, or `on_tick` needs CONFIG_WSS_TICK on Zephyr.
 */
int wss_configure(struct wss_server *server, const struct wss_config *config);

/**
 * @brief Starts a server: it listens, on its own threads.
 *
 * @param server The server.
 * @param config Its configuration, as for wss_configure(); NULL: the one that was set before.
 * @retval 0 It listens.
 * @retval -EBUSY The server runs, or is still stopping.
 * @retval -EINVAL See wss_configure().
 * @retval -ENOTSUP See wss_configure().
 * @retval -EADDRINUSE Another socket listens on the port.
 * @retval -EIO It cannot listen there, or has no memory: see the log. No event is emitted.
 */
int wss_start(struct wss_server *server, const struct wss_config *config);

/**
 * @brief Stops a server: closes every client with 1001, waits for the close timeout at most, aborts the remaining
 * ones, and wakes the readers of its queues. Then it can be started again.
 *
 * Inside a callback it returns at once, and the server stops after the callback has returned.
 *
 * @param server The server.
 * @retval 0 It has stopped; inside a callback: it will.
 * @retval -EBUSY One of its callbacks is still running. The server stops after that.
 * @retval -ENOTCONN It does not run.
 * @retval -EINVAL The server is NULL.
 */
int wss_stop(struct wss_server *server);

/**
 * @brief Replaces the credentials of a server with TLS, for connections that it accepts from now on.
 *
 * Connected clients stay connected. Later starts of the server use these credentials, too, until it is configured
 * again.
 *
 * @param server The server, which runs and was started with TLS.
 * @param tls The credentials, as in struct wss_config.
 * @retval 0 They are used from now on.
 * @retval -EINVAL An argument is NULL, or the credentials cannot be used, as in wss_configure(). Nothing changes.
 * @retval -ENOTCONN The server does not run, or runs without TLS.
 * @retval -ENOTSUP On Zephyr. Stop the server there, and start it with the new credentials.
 */
int wss_replace_tls(struct wss_server *server, const struct wss_tls *tls);

/**
 * @brief Returns the port on which a server listens.
 *
 * @return The port; -ENOTCONN if the server does not run, -EINVAL if it is NULL.
 */
int wss_port(const struct wss_server *server);

/** Counters of a server since it started. They wrap around. */
struct wss_stats {
	/** Bytes of payload in the messages received. */
	uint64_t bytes_received;
	/** Bytes of payload in the data frames sent. */
	uint64_t bytes_sent;
	/** Messages (with streaming: pieces) received. */
	uint32_t messages_received;
	/** Data frames sent. */
	uint32_t messages_sent;
	/** Connections that got an index. */
	uint32_t accepted;
	/** Clients that were upgraded. */
	uint32_t connected;
	/** Connections that ended, of those that got an index. */
	uint32_t closed;
	/** The most clients at one time. */
	uint32_t most_clients;
	/** Connections refused because every index was in use. */
	uint32_t refused_full;
	/** Requests refused with 403. */
	uint32_t refused_forbidden;
	/** Requests refused with another status. */
	uint32_t refused_requests;
	/** Connections that could not be accepted for lack of memory or descriptors. */
	uint32_t accept_errors;
	/** Clients that were silent for too long. */
	uint32_t timeouts;
	/** Clients failed with 1002. */
	uint32_t protocol_errors;
	/** Clients failed with 1007. */
	uint32_t invalid_payloads;
	/** Clients failed with 1009. */
	uint32_t messages_too_big;
	/** Clients whose connection was aborted. */
	uint32_t aborted;
	/** Frames rejected before their first byte, because there was no room. */
	uint32_t would_block;
	/** The most blocks of unsent output in use at one time. */
	uint32_t most_blocks;
	/** Connections refused because of wss_limits::clients_per_address. */
	uint32_t refused_address;
	/** How often connections had to wait because of wss_limits::handshakes_per_second. */
	uint32_t accept_pauses;
	/** Clients failed with 1008. */
	uint32_t policy_violations;
	/** Connections that ended because TLS failed. */
	uint32_t tls_failures;
};

/**
 * @brief Copies the counters of a server.
 *
 * @retval 0 They are copied.
 * @retval -ENOTCONN The server does not run.
 * @retval -EINVAL An argument is NULL.
 */
int wss_get_stats(const struct wss_server *server, struct wss_stats *stats);

/**
 * @brief Takes over a connection that the application accepted, so that one port can serve pages and WebSockets.
 *
 * The client gets an index and events like any other.
 *
 * @param server The server.
 * @param fd The descriptor of a TCP connection. If this succeeds, it belongs to the library, which closes it: the
 *           application must not use, poll, or close it. If this fails, it still belongs to the application, but its
 *           blocking mode may have changed.
 * @param received Bytes that were received from it and not handled; may be NULL if there are none.
 * @param len Their number.
 * @param upgraded False: `received` is the opening request, or its beginning, and the server answers it. True: the
 *                 application answered it with 101, and frames follow.
 * @param client Where to store the client; may be NULL.
 * @retval 0 It is adopted.
 * @retval -EBUSY Every index is in use, or wss_limits::clients_per_address is reached.
 * @retval -EMSGSIZE `received` does not fit the buffer.
 * @retval -ENOTCONN The server does not run, or is stopping.
 * @retval -EINVAL The descriptor is negative, or a pointer is NULL.
 * @retval -EIO The descriptor cannot be watched: see the log.
 */
int wss_adopt(struct wss_server *server, int fd, const void *received, size_t len, bool upgraded,
	      wss_client *client);

/** @} */

/**
 * @defgroup wss_send Sending
 * @{
 */

/** A fragment that continues a message. */
#define WSS_CONTINUATION 0x00U
/** Text in UTF-8. */
#define WSS_TEXT         0x01U
/** Binary data. */
#define WSS_BINARY       0x02U
/** Flag: a fragment of a message that WSS_CONTINUATION continues, on the same thread. Messages of other threads wait
 *  until it is finished.
 */
#define WSS_FRAGMENT     0x100U
/** Flag: the frame may wait for the next one, or for wss_flush(), so that several leave in one write. */
#define WSS_MORE         0x200U

/**
 * @brief Sends a message, or a fragment of one, to a client.
 *
 * While a client takes no more output, the server keeps one message for it, in its receive buffer or in a block. Until
 * that has been sent, further ones wait.
 *
 * @param client The client.
 * @param kind #WSS_TEXT, #WSS_BINARY, or #WSS_CONTINUATION, with flags.
 * @param data The payload; may be NULL if there is none.
 * @param len Its size in bytes.
 * @param timeout_ms How long to wait for room before the first byte is sent; 0: does not wait, as always inside a
 *                   callback; #WSS_FOREVER. A frame that has been started is finished within the send timeout, or
 *                   the connection is aborted.
 * @retval 0 It was sent, or kept to be sent.
 * @retval -EAGAIN There is no room, or another thread's fragmented message is not finished. Nothing was sent, and
 *         #WSS_EVENT_WRITABLE follows for subscribers that have it in their mask.
 * @retval -EMSGSIZE The payload is longer than wss_limits::rx_buffer_size, and cannot be sent without waiting.
 *         Nothing was sent.
 * @retval -ENOTCONN There is no such client, or it is not connected.
 * @retval -ECONNABORTED The connection was aborted in the middle of the frame.
 * @retval -EBADMSG The text is not UTF-8; a continuation of nothing; a new message inside a fragmented one. Nothing
 *         was sent.
 * @retval -EINVAL The kind is not valid, or data is NULL.
 */
int wss_send(wss_client client, uint32_t kind, const void *data, size_t len, int32_t timeout_ms);

/** Sends a NUL-terminated text. Otherwise as wss_send(). */
int wss_send_text(wss_client client, const char *text, int32_t timeout_ms);

/** A part of a message. */
struct wss_part {
	/** The bytes; may be NULL if there are none. */
	const void *data;
	/** Their number. */
	size_t len;
};

/** The maximum number of parts of a message. */
#define WSS_MAX_PARTS 6

/**
 * @brief Sends a message that consists of several parts, in one frame. Otherwise as wss_send().
 *
 * @param client The client.
 * @param kind #WSS_TEXT or #WSS_BINARY.
 * @param parts The parts, in order.
 * @param count Their number, up to #WSS_MAX_PARTS.
 * @param timeout_ms See wss_send().
 * @retval 0 It was sent, or kept to be sent.
 * @retval -EMSGSIZE Too many parts, or see wss_send().
 * @return Another negative errno of wss_send().
 */
int wss_send_parts(wss_client client, uint32_t kind, const struct wss_part *parts, size_t count,
		   int32_t timeout_ms);

/**
 * @brief Sends what #WSS_MORE held back.
 *
 * @retval 0 It is sent, or will be once the client takes it.
 * @retval -ENOTCONN There is no such client, or it is not connected.
 */
int wss_flush(wss_client client);

/**
 * @brief Sends a message to several clients of a server, also to the one whose event is being delivered.
 *
 * It never waits: it skips a client without room, for which #WSS_EVENT_WRITABLE follows as after wss_send().
 *
 * @param server The server.
 * @param groups The groups to send to, a bit each, see wss_set_groups(); 0: all clients.
 * @param kind #WSS_TEXT or #WSS_BINARY.
 * @param data The payload; may be NULL if there is none.
 * @param len Its size in bytes.
 * @return The number of clients that it was sent to, or will be.
 * @retval -EBADMSG The text is not UTF-8.
 * @retval -EMSGSIZE The payload is longer than what the server can keep for a client (a few bytes more than
 *         wss_limits::rx_buffer_size). No client gets it.
 * @retval -ENOTCONN The server does not run.
 * @retval -EINVAL The kind is not valid, or a pointer is NULL.
 */
int wss_broadcast(struct wss_server *server, uint32_t groups, uint32_t kind, const void *data, size_t len);

/**
 * @brief Sends a ping. The answer is #WSS_EVENT_PONG.
 *
 * @param client The client.
 * @param data The payload, up to 125 bytes; may be NULL if there is none.
 * @param len Its size in bytes.
 * @retval 0 It was sent, or kept to be sent.
 * @retval -EAGAIN, -ENOTCONN, -EINVAL See wss_send().
 * @retval -EMSGSIZE The payload has more than 125 bytes.
 */
int wss_ping(wss_client client, const void *data, size_t len);

/**
 * @brief Starts the closing handshake (RFC 6455 section 7.1.2).
 *
 * @param client The client.
 * @param code The close code: 1000 to 1003, 1007 to 1014, or 3000 to 4999.
 * @param reason The reason in UTF-8, up to 123 bytes; NULL: none. It is left out if there is no room for it.
 * @retval 0 The close frame was sent, or will be.
 * @retval -ENOTCONN There is no such client, or it is not connected.
 * @retval -EBADMSG The code must not be sent, or the reason is too long or not UTF-8.
 */
int wss_close(wss_client client, uint16_t code, const char *reason);

/** Closes every client of a server, as wss_close(). The server keeps listening. */
int wss_close_all(struct wss_server *server, uint16_t code, const char *reason);

/** @} */

/**
 * @defgroup wss_clients Clients
 * @{
 */

/** States of a client. The numbers are those of SYS_WSS_STATE. */
enum wss_state {
	/** There is no such client. */
	WSS_STATE_CLOSED = 0,
	/** The connection is ending. */
	WSS_STATE_CLOSING = 1,
	/** The opening handshake is in progress. */
	WSS_STATE_CONNECTING = 2,
	/** Messages can be sent. */
	WSS_STATE_CONNECTED = 3
};

/** Returns the state of a client. */
enum wss_state wss_client_state(wss_client client);

/** Returns the client that uses an index now, until CLOSED was delivered; #WSS_NO_CLIENT if there is none. */
wss_client wss_client_at(const struct wss_server *server, int32_t index);

/** Returns the index of a client, from 0; -1 for #WSS_NO_CLIENT. */
int32_t wss_client_index(wss_client client);

/** Returns the server of a client, also after the connection has ended; NULL for #WSS_NO_CLIENT. */
struct wss_server *wss_client_server(wss_client client);

/**
 * Returns the next client of a server after `client`, or the first one for #WSS_NO_CLIENT; #WSS_NO_CLIENT at the end.
 * This includes clients that are connecting or closing, see wss_client_state(). Clients that connect meanwhile may be
 * skipped.
 */
wss_client wss_next_client(const struct wss_server *server, wss_client client);

/** Iterates over the clients of a server, see wss_next_client(). Declares the variable `client`. */
#define WSS_FOR_EACH_CLIENT(server, client)                                                        \
	for (wss_client client = wss_next_client(server, WSS_NO_CLIENT); client != WSS_NO_CLIENT;  \
	     client = wss_next_client(server, client))

/**
 * @brief Attaches a pointer to a client. Each event of the client then contains it.
 *
 * Best called inside the hook, or in the callback for CONNECTING. The library does not use the pointer. CLOSED is the
 * last event that contains it.
 *
 * @retval 0 It is attached.
 * @retval -ENOTCONN There is no such client.
 */
int wss_set_user_data(wss_client client, void *user_data);

/** Returns what wss_set_user_data() attached to a client; NULL if nothing, or there is no such client. */
void *wss_user_data(wss_client client);

/**
 * @brief Sets the groups of a client, a bit each, for wss_broadcast(). A new client is in no group.
 *
 * @retval 0 They are set.
 * @retval -ENOTCONN There is no such client.
 */
int wss_set_groups(wss_client client, uint32_t groups);

/** Returns the groups of a client; 0 if it is in none, or there is no such client. */
uint32_t wss_groups(wss_client client);

/**
 * @brief Copies the IP address of a client, as NUL-terminated text.
 *
 * @param client The client.
 * @param address The buffer: 46 bytes are enough for every address; may be NULL if `size` is 0, for the port alone.
 * @param size The size of the buffer in bytes.
 * @return The TCP port of the client.
 * @retval -EMSGSIZE The buffer is too small.
 * @retval -ENOTCONN There is no such client, or its connection has ended.
 * @retval -EINVAL An argument is NULL.
 */
int wss_client_address(wss_client client, char *address, size_t size);

/** Texts that wss_client_text() copies. */
enum wss_client_text {
	/** The path. */
	WSS_CLIENT_PATH = 0,
	/** The query. */
	WSS_CLIENT_QUERY = 1,
	/** The host. */
	WSS_CLIENT_HOST = 2,
	/** The origin. */
	WSS_CLIENT_ORIGIN = 3,
	/** The subprotocol that was chosen. */
	WSS_CLIENT_SUBPROTOCOL = 4
};

/**
 * @brief Copies a text of a client's opening request, NUL-terminated.
 *
 * The request is available once the client is accepted, or its hook has returned #WSS_LATER, and until its index is
 * reused. Zephyr keeps requests of up to CONFIG_WSS_REQUEST_SIZE bytes only.
 *
 * @param client The client.
 * @param which The text.
 * @param text The buffer; may be NULL if `size` is 0.
 * @param size The size of the buffer in bytes.
 * @retval 0 It was copied.
 * @retval -EMSGSIZE The buffer is too small: the text was truncated.
 * @retval -ENOENT The request has no such text.
 * @retval -ENOTCONN There is no such client, or its request was not accepted yet or is not kept.
 * @retval -EINVAL There is no such text, or an argument is NULL.
 */
int wss_client_text(wss_client client, enum wss_client_text which, char *text, size_t size);

/** Fields of a client's opening handshake. */
struct wss_handshake {
	/** 0x0101. */
	uint16_t http_version;
	/** `Sec-WebSocket-Version`: 13. */
	uint8_t ws_version;
	/** `Upgrade` names `websocket`. */
	bool upgradeWebSocket;
	/** There is an `Origin`. */
	bool origin;
	/** `Connection` names `Upgrade`. */
	bool connectionUpgrade;
	/** There is a valid `Sec-WebSocket-Key`. */
	bool iskey;
	/** `Sec-WebSocket-Key`, NUL-terminated. */
	char clientKey[51];
	/** `Sec-WebSocket-Accept`, NUL-terminated. */
	char serverKey[51];
};

/**
 * @brief Copies the fields of a client's opening handshake. They are available as long as for wss_client_text().
 *
 * @retval 0 It is copied.
 * @retval -ENOTCONN There is no such client, or its request was not accepted yet or is not kept.
 * @retval -EINVAL An argument is NULL.
 */
int wss_client_handshake(wss_client client, struct wss_handshake *handshake);

/** @} */

/**
 * @defgroup wss_request Opening requests
 *
 * Functions that a ::wss_request_hook calls, on its own thread. Texts are valid until the hook returns.
 * @{
 */

/** Returns the client. User data and groups can be attached already; it can receive messages once it is accepted. */
wss_client wss_request_client(const struct wss_request *request);

/** Returns the path, percent-encoded as received: "/chat". Unlike parameters, it is never decoded. */
const char *wss_request_path(const struct wss_request *request);

/** Returns the query without its question mark; NULL if there is none. See also wss_request_param(). */
const char *wss_request_query(const struct wss_request *request);

/** Returns the host and port that the client asked for. */
const char *wss_request_host(const struct wss_request *request);

/** Returns the `Origin` field, which browsers send; NULL if there is none. */
const char *wss_request_origin(const struct wss_request *request);

/** Returns a subprotocol that the client offers, by index from 0 in order of preference; NULL after the last. */
const char *wss_request_subprotocol(const struct wss_request *request, size_t index);

/**
 * @brief Returns the value of a header field that wss_config::request_fields names.
 *
 * @param request The request.
 * @param name The name, in any case.
 * @return The first value; NULL if there is none.
 */
const char *wss_request_field(const struct wss_request *request, const char *name);

/**
 * @brief Copies the decoded value of a query parameter, NUL-terminated: "a b" for `room` in "?room=a%20b".
 *
 * @param request The request.
 * @param name The name.
 * @param value The buffer for the value.
 * @param size The size of the buffer in bytes. The length of the query plus 1 is always enough.
 * @return The length of the value, without the NUL.
 * @retval -ENOENT There is no such parameter.
 * @retval -EMSGSIZE The buffer is too small.
 * @retval -EBADMSG The value is not UTF-8, or contains a NUL.
 * @retval -EINVAL An argument is NULL.
 */
int wss_request_param(const struct wss_request *request, const char *name, char *value, size_t size);

/** Returns whether a query parameter equals a secret, such as a token. Constant time, as wss_request_is_basic(). */
bool wss_request_is_param(const struct wss_request *request, const char *name, const char *secret);

/** Copies a cookie (RFC 6265) of the field `Cookie`, as wss_request_param(), but not decoded. */
int wss_request_cookie(const struct wss_request *request, const char *name, char *value, size_t size);

/**
 * @brief Returns whether the request has these Basic credentials (RFC 7617), in its field `Authorization`.
 *
 * The comparison takes the same time wherever the two differ.
 *
 * @param request The request.
 * @param user The user, without a colon.
 * @param password The password.
 */
bool wss_request_is_basic(const struct wss_request *request, const char *user, const char *password);

/**
 * @brief Returns whether the request is for a page, and not for a WebSocket.
 *
 * Always false without pages. All functions here work for page requests, too; they offer no subprotocols. An accepted
 * request gets the page with its path, or 404.
 *
 * @param request The request.
 */
bool wss_request_is_page(const struct wss_request *request);

/** Returns whether the request has this Bearer token (RFC 6750). Constant time, as wss_request_is_basic(). */
bool wss_request_is_bearer(const struct wss_request *request, const char *token);

/**
 * @brief Copies the user and the password of Basic credentials, NUL-terminated, to look them up. Compare the password
 * with wss_is_equal().
 *
 * @param request The request.
 * @param buffer The buffer for both; the user is at its beginning. The length of the field `Authorization` is always
 *               enough.
 * @param size The size of the buffer in bytes.
 * @param password Where to store the address of the password in `buffer`.
 * @retval 0 They are copied.
 * @retval -ENOENT There are none, or they are malformed, not UTF-8, or contain a NUL.
 * @retval -EMSGSIZE The buffer is too small.
 * @retval -EINVAL An argument is NULL.
 */
int wss_request_basic(const struct wss_request *request, char *buffer, size_t size, const char **password);

/** Returns whether two texts are equal. The time it takes depends only on the length of `given`. */
bool wss_is_equal(const char *given, const char *secret);

/** @} */

/**
 * @defgroup wss_answer Answers to opening requests
 * @{
 */

/** A header field of a response. */
struct wss_response_field {
	/** The name, a token (RFC 9110 section 5.1), such as "Set-Cookie". */
	const char *name;
	/** The value, without control characters. */
	const char *value;
};

/** The maximum number of fields of a ::wss_response. */
#define WSS_MAX_RESPONSE_FIELDS 8

/** The content of a response besides its status. Members that are 0 or NULL are left out. */
struct wss_response {
	/** The chosen subprotocol, one of those that the client offers. Only to accept a client. */
	const char *subprotocol;
	/** The challenge (`WWW-Authenticate`) for status 401, such as "Basic realm=\"device\"". The default is
	 *  "Basic realm=\"wss\"".
	 */
	const char *challenge;
	/** Further fields. On Zephyr, fields and challenges need CONFIG_WSS_RESPONSE_FIELDS. */
	const struct wss_response_field *fields;
	/** Their number, up to #WSS_MAX_RESPONSE_FIELDS. */
	size_t field_count;
};

/**
 * @brief Accepts the client whose hook is running. The hook must return the result of this function.
 *
 * @param request The request.
 * @param response The content of the response; NULL: none.
 * @return The result of the hook. If the response is not valid, the log says why, and the client gets 500.
 */
int wss_request_accept(struct wss_request *request, const struct wss_response *response);

/** Refuses the client with an HTTP status from 400 to 599. Otherwise as wss_request_accept(). */
int wss_request_refuse(struct wss_request *request, uint16_t status,
		       const struct wss_response *response);

/**
 * @brief Accepts a client whose hook returned #WSS_LATER. If the hook has not returned yet, this waits for it.
 *
 * @param client The client.
 * @param response The content of the response; NULL: none.
 * @retval 0 It is accepted. Messages can be sent to it, and CONNECTED follows.
 * @retval -ENOTCONN The client does not wait for an answer: it was answered, disconnected, or timed out.
 * @retval -EINVAL The response is not valid. The client still waits.
 */
int wss_accept(wss_client client, const struct wss_response *response);

/**
 * @brief Refuses a client whose hook returned #WSS_LATER. Otherwise as wss_accept().
 *
 * @param client The client.
 * @param status The HTTP status: 400 to 599.
 * @param response The content of the response; NULL: none.
 * @retval 0 It is refused. CLOSING and CLOSED follow.
 * @retval -ENOTCONN As for wss_accept().
 * @retval -EINVAL The status or the response is not valid. The client still waits.
 */
int wss_refuse(wss_client client, uint16_t status, const struct wss_response *response);

/** @} */

/**
 * @defgroup wss_queue Event queues
 *
 * Threads of the application can read events from a queue, besides a callback or instead of one. A full queue loses
 * nothing: the server stops reading from a client whose event waits for room. A queue keeps the order of the events of
 * one client, and of those of the server. There is no order between clients, nor between queues.
 * @{
 */

/**
 * @brief Creates a queue, for wss_config::queues of one or several servers. It outlives servers. Its readers may start
 * before its servers do: they wait.
 *
 * @param mask The events that it gets, each as #WSS_MASK.
 * @param depth The number of events that it has room for.
 * @param queue Where to store the queue.
 * @retval 0 It is created.
 * @retval -EBUSY All queues are in use (192; on Zephyr CONFIG_WSS_QUEUES), or, on Zephyr, none has room for so many
 *         events (CONFIG_WSS_QUEUE_DEPTH).
 * @retval -EINVAL `queue` is NULL, the mask is empty or has unknown events, or the depth is 0.
 */
int wss_queue_create(uint32_t mask, size_t depth, wss_queue *queue);

/**
 * @brief Takes the next event.
 *
 * Release every event, also those without data. The application owns the data until wss_event_release(), and until
 * then the server does not read from that client. After the hold timeout, the client is closed with 1011.
 *
 * @param queue The queue.
 * @param event Where to store the event.
 * @param timeout_ms How long to wait for one; 0: does not wait, as always inside a callback; #WSS_FOREVER.
 * @retval 0 `event` is the next event.
 * @retval -EAGAIN There was none within the timeout.
 * @retval -EPIPE The queue is empty, and its servers have stopped or failed to start; or it was destroyed.
 * @retval -EINVAL `event` is NULL, or there is no such queue.
 */
int wss_queue_get(wss_queue queue, struct wss_event *event, int32_t timeout_ms);

/** Releases an event: its `data` becomes NULL. Ignores NULL, and an event that was released already. */
void wss_event_release(struct wss_event *event);

/**
 * @brief Destroys a queue: releases its events and wakes its readers. The application must still release events that
 * it has taken.
 *
 * @retval 0 It is destroyed.
 * @retval -EINVAL No such queue.
 */
int wss_queue_destroy(wss_queue queue);

/** @} */

/**
 * @defgroup wss_log Log and version
 * @{
 */

/** Log levels. Each includes those above it. */
enum wss_log_level {
	/** Nothing. */
	WSS_LOG_OFF = 0,
	/** Errors that keep the server from working. */
	WSS_LOG_ERR = 1,
	/** Warnings. */
	WSS_LOG_WRN = 2,
	/** Information, such as starts and stops. */
	WSS_LOG_INF = 3,
	/** Details, such as refused requests and frames. */
	WSS_LOG_DBG = 4
};

/**
 * @brief Handles a log line. It may run on any thread, on several at a time, and must not call any function of this
 * library, throw, or longjmp out.
 *
 * @param level The level of the line.
 * @param text The line, NUL-terminated, valid until the handler returns.
 * @param cookie As passed to wss_set_log().
 */
typedef void (*wss_log_handler)(enum wss_log_level level, const char *text, void *cookie);

/** Sets the log handler; NULL, the default: none. Not on Zephyr, where lines go to Zephyr's log. */
void wss_set_log(enum wss_log_level level, wss_log_handler handler, void *cookie);

/** Returns the version of the library. */
const char *wss_version(void);

/** @} */

#ifdef __cplusplus
}
#endif

#endif /* WSS_WSS_H */
