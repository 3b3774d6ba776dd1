/*
 * SPDX-License-Identifier: Apache-2.0
 */

/**
 * @file
 * @brief The Web Socket Server (WSS) service: a WebSocket server (RFC 6455).
 *
 * The first part is the interface of the original WSS system service, name by name and value by value.
 * The second part, in lower case with the prefix `wss_`, is what that lacks.
 *
 * There is one service, so functions take no object; wss_server_start() has further ones beside it. Every
 * function may be called from any thread, at any time, also before SYS_WSS_Initialize() and after
 * SYS_WSS_Deinitialize(), and from inside a callback, where none of them waits. Only the handler of
 * wss_set_log() may not call any.
 *
 * A client is known by its index, 0 to the number of clients less one, from CLIENT_CONNECTING to
 * CLIENT_CLOSED. An index is used again; a ::wss_client is not.
 */
#ifndef WSS_SYS_WSS_H
#define WSS_SYS_WSS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * @defgroup sys_wss The WSS system service
 * @{
 */

/** Appended to the client's key before hashing (RFC 6455 section 1.3). */
#define SYS_WSS_GUID "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
/** Array size for `Sec-WebSocket-Key`, of which a valid one has 24 characters. */
#define SYS_WSS_CLIENT_KEY_SIZE 50
/** Bytes in the decoded key. */
#define SYS_WSS_CLIENT_KEY_SIZE_DECODED 16
/** Array size for `Sec-WebSocket-Accept`, which has 28 characters. */
#define SYS_WSS_SERVER_KEY_SIZE 50
/** Bytes in a SHA-1 digest. */
#define SYS_WSS_SHA1_DIGEST_SIZE 20
/** Bytes of the status code in a close frame. */
#define SYS_WSS_STATUS_CODE_LEN 2
/** HTTP/0.9, which cannot upgrade. */
#define SYS_WSS_HTTP_VERSION_0_9 0x0009
/** HTTP/1.0, which cannot upgrade. */
#define SYS_WSS_HTTP_VERSION_1_0 0x0100
/** HTTP/1.1 or a later 1.x. */
#define SYS_WSS_HTTP_VERSION_1_1 0x0101
/** Granularity of the client time-out, in milliseconds. */
#define SYS_WSS_KA_TIMER_PERIOD 100
/** Bytes of a masking key. */
#define SYS_WSS_MASKING_KEY_LEN 4
/** Bytes of a frame header without extended length and masking key. */
#define SYS_WSS_HEADER_LEN 2
/** Service mode: client. */
#define SYS_WSS_CLIENT 0
/** Service mode: server. */
#define SYS_WSS_SERVER 1
/** Interface: Wi-Fi. */
#define SYS_WSS_WIFI 0
/** Interface: Ethernet. */
#define SYS_WSS_ETHERNET 1

#ifndef SYS_MODULE_OBJ_INVALID
/** What SYS_WSS_Initialize() gives back. */
typedef uintptr_t SYS_MODULE_OBJ;
/** No service. */
#define SYS_MODULE_OBJ_INVALID ((SYS_MODULE_OBJ)-1)
#endif

/** What became of a call. */
typedef enum {
	/** It was done. */
	SYS_WSS_SUCCESS = 0,
	/** It was not: see the function. */
	SYS_WSS_FAILURE = 1,
	/** The opening request is not valid. */
	SYS_WSS_ERROR_INVALID_REQUEST = 2,
	/** The key of the opening request is not valid. */
	SYS_WSS_ERROR_INVALID_KEY = 3,
	/** The frame may not be sent (RFC 6455). */
	SYS_WSS_ERROR_INVALID_FRAME = 4
} SYS_WSS_RESULT;

/** How far the connection of a client is. */
typedef enum {
	/** There is no such client. */
	SYS_WSS_STATE_CLOSED = 0,
	/** The connection is ending. */
	SYS_WSS_STATE_CLOSING = 1,
	/** TCP is connected, the opening handshake under way. */
	SYS_WSS_STATE_CONNECTING = 2,
	/** Messages can be sent. */
	SYS_WSS_STATE_CONNECTED = 3
} SYS_WSS_STATE;

/** What a frame is (RFC 6455 section 5.2). */
typedef enum {
	/** Goes on with a fragmented message. */
	SYS_WSS_FRAME_CONTINUATION = 0x0,
	/** Text in UTF-8. */
	SYS_WSS_FRAME_TEXT = 0x1,
	/** Binary data. */
	SYS_WSS_FRAME_BINARY = 0x2,
	/** Close. */
	SYS_WSS_FRAME_CLOSE = 0x8,
	/** Ping. */
	SYS_WSS_FRAME_PING = 0x9,
	/** Pong. */
	SYS_WSS_FRAME_PONG = 0xA
} SYS_WSS_FRAME;

/** What the callback is told. Data is an ::SYS_WSS_RXDATA where it says so, else NULL. */
typedef enum {
	/** An error that no other event names: no memory, descriptors or sockets. */
	SYS_WSS_EVENT_ERR = 0,
	/** A connection was accepted. */
	SYS_WSS_EVENT_CLIENT_CONNECTING = 1,
	/** The 101 response was sent. */
	SYS_WSS_EVENT_CLIENT_CONNECTED = 2,
	/** Binary data. Data: ::SYS_WSS_RXDATA. */
	SYS_WSS_EVENT_CLIENT_BIN_DATA_RX = 3,
	/** Text, valid UTF-8. Data: ::SYS_WSS_RXDATA. */
	SYS_WSS_EVENT_CLIENT_TXT_DATA_RX = 4,
	/** A ping, which the service answers. Data: ::SYS_WSS_RXDATA. */
	SYS_WSS_EVENT_CLIENT_PING_RX = 5,
	/** A pong, but not to the service's own keep-alive pings. Data: ::SYS_WSS_RXDATA. */
	SYS_WSS_EVENT_CLIENT_PONG_RX = 6,
	/**
	 * A close frame, also the answer to ours. Data: ::SYS_WSS_RXDATA with what it holds: the code in
	 * two bytes, high one first, then the reason; or nothing.
	 */
	SYS_WSS_EVENT_CLIENT_CLOSE_FRAME_RX = 7,
	/** The connection is ending: once, before every CLOSED. */
	SYS_WSS_EVENT_CLIENT_CLOSING = 8,
	/** The connection is gone: once for each CONNECTING. */
	SYS_WSS_EVENT_CLIENT_CLOSED = 9,
	/** The client broke RFC 6455; CLOSING follows, with 1002, 1007 or 1009. */
	SYS_WSS_EVENT_ERR_INVALID_FRAME = 10,
	/**
	 * Nothing arrived for the client time-out; CLOSING follows, with 1000. Or the opening handshake was
	 * not finished in its time: CLOSING follows, and the client is cut off.
	 */
	SYS_WSS_EVENT_CLIENT_TIMEOUT = 11,
	/** The TLS handshake or record layer failed. */
	SYS_WSS_EVENT_SSL_FAILED = 12,
	/** The listening socket could not be opened. */
	SYS_WSS_EVENT_SOCK_OPEN_FAILED = 13,
	/** The network interface went down. */
	SYS_WSS_EVENT_LL_INTF_DOWN = 14,
	/** The network interface came up. */
	SYS_WSS_EVENT_LL_INTF_UP = 15
} SYS_WSS_EVENTS;

/** Why a connection is closed (RFC 6455 section 7.4). 1005, 1006 and 1015 are never sent. */
typedef enum {
	/** The purpose of the connection is fulfilled. */
	SYS_WSS_STATUS_CODE_NORMAL_CLOSURE = 1000,
	/** The endpoint goes away. */
	SYS_WSS_STATUS_CODE_GOING_AWAY = 1001,
	/** The peer broke the protocol. */
	SYS_WSS_STATUS_CODE_PROTOCOL_ERROR = 1002,
	/** Data of a type that the endpoint does not take. */
	SYS_WSS_STATUS_CODE_UNSUPPORTED_DATA = 1003,
	/** The close frame had no code. Never sent. */
	SYS_WSS_STATUS_CODE_NO_STATUS_RCVD = 1005,
	/** There was no close frame. Never sent. */
	SYS_WSS_STATUS_CODE_ABNORMAL_CLOSURE = 1006,
	/** Data that does not fit its type, such as text that is not UTF-8. */
	SYS_WSS_STATUS_CODE_INVALID_PAYLOAD_DATA = 1007,
	/** A message that breaks the endpoint's policy. */
	SYS_WSS_STATUS_CODE_POLICY_VIOLATION = 1008,
	/** A message that is too big. */
	SYS_WSS_STATUS_CODE_MESSAGE_TOO_BIG = 1009,
	/** The client misses an extension. */
	SYS_WSS_STATUS_CODE_MANDATORY_EXT = 1010,
	/** An unexpected condition in the server. */
	SYS_WSS_STATUS_CODE_INTERNAL_ERROR = 1011,
	/** The TLS handshake failed. Never sent. */
	SYS_WSS_STATUS_CODE_TLS_HANDSHAKE = 1015
} SYS_WSS_STATUS_CODE;

/** How the service is started. */
typedef struct {
	/** TCP port to listen at, 1 to 65535; 0: any free one, see wss_port(). */
	unsigned int port;
	/** Whether to speak TLS, which this build does not. */
	bool isTLSEnabled;
} SYS_WSS_CONFIG;

/** What the opening handshake of a client said: see wss_handshake(). */
typedef struct {
	/** #SYS_WSS_HTTP_VERSION_1_1. */
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
	/** `Sec-WebSocket-Key`, ended by NUL. */
	char clientKey[SYS_WSS_CLIENT_KEY_SIZE + 1];
	/** `Sec-WebSocket-Accept`, ended by NUL. */
	char serverKey[SYS_WSS_SERVER_KEY_SIZE + 1];
} SYS_WSS_HANDSHAKE_CTXT;

/** The first two bytes of a frame, where bit-fields begin at the lowest bit, and what may follow. */
typedef struct {
	/** ::SYS_WSS_FRAME. */
	uint8_t opcode : 4;
	/** Reserved bits. */
	uint8_t resvd : 3;
	/** The last frame of a message. */
	uint8_t fin : 1;
	/** Payload length; 126 and 127: an extended length follows. */
	uint8_t payloadLen : 7;
	/** A masking key follows. */
	uint8_t mask : 1;
#ifndef __cplusplus
	/** Extended length: 2 or 8 bytes, or none. C++ has no such member. */
	uint8_t extPayloadLen[];
#endif
} SYS_WSS_FRAME_HEADER;

/** What was received. */
typedef struct {
	/** The bytes, not to be written to. Valid until the callback returns. */
	uint8_t *data;
	/** How many. */
	int64_t datalen;
} SYS_WSS_RXDATA;

/**
 * @brief Is told what happens.
 *
 * Called on the service's work queue (on Zephyr without CONFIG_WSS_WORK_QUEUE on the WSS thread), one event at a
 * time; it may call any function here, and none of them waits then. It must not throw or longjmp out.
 *
 * @param event What happened.
 * @param data An ::SYS_WSS_RXDATA for events that have one, valid until this returns, else NULL. It is
 *             the beginning of a ::wss_rxdata.
 * @param clientIndex The client, or -1 for an event of the service as a whole.
 * @param cookie As registered.
 */
typedef void (*SYS_WSS_CALLBACK)(SYS_WSS_EVENTS event, void *data, int32_t clientIndex,
				 void *cookie);

/**
 * @brief Starts the service: listens, and starts its threads.
 *
 * @param config The port; NULL: 8000 without TLS.
 * @param callback As for SYS_WSS_register_callback(); NULL: the one registered before, or later.
 * @param cookie For the callback; of no meaning without one.
 * @retval SYS_MODULE_OBJ_INVALID The service runs already, or its shutdown is under way; the port is
 *         over 65535 or cannot be opened, in which case #SYS_WSS_EVENT_SOCK_OPEN_FAILED is told before
 *         this returns, on the calling thread; or TLS is asked for.
 * @return The service, to be ended by SYS_WSS_Deinitialize().
 */
SYS_MODULE_OBJ SYS_WSS_Initialize(SYS_WSS_CONFIG *config, SYS_WSS_CALLBACK callback, void *cookie);

/**
 * @brief Ends the service: closes every client with 1001, waits for a bounded time (the close time-out
 * and up to 1.5 s), cuts off the rest and frees everything. Then the service can be started again.
 *
 * Inside a callback it returns at once, and the service ends after the callback has. No event is told
 * after it has returned, unless it was called inside a callback, or a callback was still running when
 * the time was over; until that is done, SYS_WSS_Initialize() refuses.
 *
 * @param obj What SYS_WSS_Initialize() gave, made #SYS_MODULE_OBJ_INVALID by this. NULL, or what is not
 *            the running service, ends nothing.
 */
void SYS_WSS_Deinitialize(SYS_MODULE_OBJ *obj);

/**
 * @brief Sets the callback for every client, instead of the one before, which may still be running.
 *
 * On Zephyr with #CONFIG_WSS_START_AT_BOOT the first callback starts the service at #CONFIG_WSS_PORT, and
 * SYS_WSS_Initialize() with the same port takes it over. Nothing else starts it by itself. Set limits, queues
 * and the accept hook before.
 *
 * @param callback The callback; NULL: none from now on.
 * @param cookie Given to it.
 * @retval SYS_WSS_SUCCESS Always.
 */
SYS_WSS_RESULT SYS_WSS_register_callback(SYS_WSS_CALLBACK callback, void *cookie);

/**
 * @brief Sends one frame: a whole message, or a fragment of one.
 *
 * Inside a callback this never waits; elsewhere, to one client, for up to the send time-out. wss_send()
 * tells the reasons of a failure apart.
 *
 * @param fin Whether the frame ends its message. If not, #SYS_WSS_FRAME_CONTINUATION goes on with it,
 *            on the same thread; messages of other threads wait.
 * @param type #SYS_WSS_FRAME_TEXT, #SYS_WSS_FRAME_BINARY or #SYS_WSS_FRAME_CONTINUATION.
 * @param data The payload; may be NULL if there is none.
 * @param dataLen Its bytes.
 * @param clientIndex The client; below 0: every connected client.
 * @retval SYS_WSS_SUCCESS It was sent, or kept to be sent.
 * @retval SYS_WSS_FAILURE There is no such client, it is not connected or takes no output now; the
 *         frame is too long to be kept, or was cut off with the connection; data is NULL; the service
 *         does not run. To all: the first failure, after trying every client.
 * @retval SYS_WSS_ERROR_INVALID_FRAME Another type, a continuation of nothing, a new message inside a
 *         fragmented one, or text that is not UTF-8. Nothing was sent.
 */
SYS_WSS_RESULT SYS_WSS_sendMessage(bool fin, SYS_WSS_FRAME type, uint8_t *data, size_t dataLen,
				   int32_t clientIndex);

/**
 * @brief Starts the closing handshake.
 *
 * @param code Why.
 * @param data The reason in UTF-8, up to 123 bytes; may be NULL if there is none. It is left out where
 *             unsent output leaves no room for it.
 * @param dataLen Its bytes.
 * @param clientIndex The client; below 0: every connected client.
 * @retval SYS_WSS_SUCCESS The close frame was sent, or will be.
 * @retval SYS_WSS_FAILURE There is no such client, or it is not connected; data is NULL; the service
 *         does not run. To all: the first failure, after trying every client.
 * @retval SYS_WSS_ERROR_INVALID_FRAME A code that may not be sent, a reason that is too long or not
 *         UTF-8. Nothing was sent.
 */
SYS_WSS_RESULT SYS_WSS_CloseConnection(SYS_WSS_STATUS_CODE code, uint8_t *data, size_t dataLen,
				       int32_t clientIndex);

/**
 * @brief Sends a ping. The answer is #SYS_WSS_EVENT_CLIENT_PONG_RX.
 *
 * @param data The payload, up to 125 bytes; may be NULL if there is none.
 * @param dataLen Its bytes.
 * @param clientIndex The client; below 0: every connected client.
 * @retval SYS_WSS_SUCCESS It was sent, or kept to be sent.
 * @retval SYS_WSS_FAILURE As for SYS_WSS_sendMessage().
 * @retval SYS_WSS_ERROR_INVALID_FRAME It is over 125 bytes.
 */
SYS_WSS_RESULT SYS_WSS_PingClient(uint8_t *data, size_t dataLen, int32_t clientIndex);

/**
 * @brief Does nothing: the service has threads of its own. Kept for applications that call it.
 *
 * @param obj Of no meaning.
 * @retval 0 Always.
 */
uint8_t SYS_WSS_Task(SYS_MODULE_OBJ obj);

/** @} */

/**
 * @defgroup wss_extension What the original lacks
 * @{
 */

/** What became of a call of the extension. */
typedef enum {
	/** It was done. */
	WSS_OK = 0,
	/** The client is not connected, or there is none such, or the service does not run. */
	WSS_NOT_CONNECTED = 1,
	/**
	 * The client takes no output now (on threads other than the service's: not within the send
	 * time-out). #WSS_EVENT_WRITABLE follows when it can be tried again.
	 */
	WSS_WOULD_BLOCK = 2,
	/** The frame, or the text, is longer than what there is room for. */
	WSS_TOO_LONG = 3,
	/** The connection was cut off in the middle of the frame. */
	WSS_ABORTED = 4,
	/** The frame may not be sent (RFC 6455). */
	WSS_INVALID_FRAME = 5,
	/** An argument is not valid. */
	WSS_INVALID = 6,
	/** There is none: the client has no such field, no event came in time. */
	WSS_NONE = 7,
	/** Not while the service runs; or all queues, or servers, are in use. */
	WSS_BUSY = 8,
	/** Something in the service failed, which the log tells. */
	WSS_FAILED = 9
} wss_result;

/** A text for a result, that lasts. */
const char *wss_result_text(wss_result result);

/** The version of the library, that lasts. */
const char *wss_version(void);

/**
 * A client, for as long as its connection lives. Unlike an index it is not used again, by no other client
 * and no later server: one that is kept too long refers to no client. 0 is no client.
 */
typedef uint64_t wss_client;

/** No client. */
#define WSS_NO_CLIENT ((wss_client)0)
/** Every connected client of the service of SYS_WSS_Initialize(), for functions that send. */
#define WSS_ALL_CLIENTS (~(wss_client)0)

/** The client that has an index now, until its CLIENT_CLOSED was delivered; or #WSS_NO_CLIENT. */
wss_client wss_client_at(int32_t clientIndex);

/** The index of a client, which it has or had; -1 if it is none. */
int32_t wss_client_index(wss_client client);

/** How far the connection of a client is; #SYS_WSS_STATE_CLOSED also for what is no client. */
SYS_WSS_STATE wss_client_state(wss_client client);

/** What the `data` of a callback points to, in full. */
typedef struct {
	/** What was received. */
	SYS_WSS_RXDATA rx;
	/** From whom. */
	wss_client client;
	/** It begins a message. False only with streaming. */
	bool first;
	/** It ends a message. False only with streaming. */
	bool last;
} wss_rxdata;

/**
 * @name Sending
 *
 * As the functions of the first part, but with a result for each outcome.
 *
 * @retval WSS_OK It was sent, or kept to be sent.
 * @retval WSS_NOT_CONNECTED, WSS_WOULD_BLOCK, WSS_TOO_LONG, WSS_ABORTED, WSS_INVALID_FRAME See there. To
 *         all: the first failure, after trying every client.
 * @retval WSS_INVALID Data is NULL, or longer than can be.
 * @{
 */

/** Sends a whole message, or with `fin` false or as a continuation a fragment of one. */
wss_result wss_send(wss_client client, bool fin, SYS_WSS_FRAME type, const void *data, size_t len);

/**
 * Sends a whole message that need not leave before the next, or wss_flush(): small ones leave in one
 * write then.
 */
wss_result wss_send_more(wss_client client, SYS_WSS_FRAME type, const void *data, size_t len);

/** Has everything leave that was sent with wss_send_more(). */
wss_result wss_flush(wss_client client);

/** Sends a ping. */
wss_result wss_ping(wss_client client, const void *data, size_t len);

/** Starts the closing handshake, with any code that may be sent: 3000 to 4999 are applications' own. */
wss_result wss_close(wss_client client, uint16_t code, const void *reason, size_t len);

/** @} */

/** Limits of the service. Times are in milliseconds. */
typedef struct {
	/** The address to listen at, as text; NULL: all. */
	const char *address;
	/** Origins that may connect; NULL or none: any, and clients without an origin too. */
	const char *const *origins;
	/** How many there are. */
	size_t origin_count;
	/** The largest message that is received whole, in bytes; at least 4 (1400). */
	size_t rx_buffer_size;
	/** Clients at one time; one more is refused with 503 (64). */
	uint16_t max_clients;
	/** Blocks for output, each of the receive size; 0: one for each client (0). One is enough for most. */
	uint16_t tx_blocks;
	/** The longest opening request, in bytes; a longer one is refused with 431 (4096). */
	uint16_t handshake_size;
	/** Larger messages are given in pieces, instead of failing with 1009 (false). */
	bool streaming;
	/** It listens; if not, every client comes by wss_adopt(), and the port is of no meaning (true). */
	bool listens;
	/** The longest time for the opening handshake (10000). */
	uint32_t handshake_timeout_ms;
	/** The longest silence of a client, 100 to 65535; 0: no timeout (30000). */
	uint32_t client_timeout_ms;
	/**
	 * Silence after which a client is pinged; 0: never, so that one that only listens is closed (15000).
	 * If it is not less than a `client_timeout_ms` above 0, half of that is used.
	 */
	uint32_t ping_interval_ms;
	/** The longest time that output waits for a client (10000). */
	uint32_t send_timeout_ms;
	/** The longest time for the closing handshake, and for shutting down (5000). */
	uint32_t close_timeout_ms;
	/** The longest time that messages from a queue are kept from release (30000). */
	uint32_t hold_timeout_ms;
	/**
	 * Clients of one address; one more is refused with 429. 0: as many as there may be (0). To be left
	 * at 0 behind a proxy.
	 */
	uint16_t clients_per_address;
	/**
	 * Connections that get an index in a second, and at once; further ones wait to be accepted. 0: no
	 * limit (0).
	 */
	uint16_t handshakes_per_second;
	/**
	 * Pings, and pongs that nobody asked for, of a client in a second, and at once; with one more it is
	 * closed with 1008. 0: no limit (0).
	 */
	uint16_t control_frames_per_second;
	/** Fragments of a message; a client that sends more is closed with 1008. 0: no limit (0). */
	uint16_t fragments_per_message;
} wss_limits;

/** Fills in the defaults. */
void wss_limits_init(wss_limits *limits);

/**
 * @brief Sets the limits for the next SYS_WSS_Initialize() and those after it. What they point to is
 * copied.
 *
 * @retval WSS_OK They will be used.
 * @retval WSS_BUSY The service runs.
 * @retval WSS_INVALID NULL, an address or an origin that is none, no clients, a receive size below 4, a client
 *         timeout out of its range, another timeout of 0, or a time above 2^30. On Zephyr: other sizes than
 *         Kconfig's, or a limit that Kconfig has at 0.
 */
wss_result wss_set_limits(const wss_limits *limits);

/** The port at which the service listens; 0 if it does not run, or does not listen. */
uint16_t wss_port(void);

/**
 * What a client asks for. Valid until the hook returns; the texts themselves, which end with NUL, last
 * longer if it returns #WSS_LATER: until the client is refused, or CLIENT_CONNECTED or CLIENT_CLOSED was
 * delivered. wss_request_field() copies them, which is right at any time.
 */
typedef struct {
	/** The path, percent-encoded as it came: `/chat`. */
	const char *path;
	/** The query without its question mark, or NULL. */
	const char *query;
	/** The `Host` field. */
	const char *host;
	/** The `Origin` field, which browsers send, or NULL. */
	const char *origin;
	/** The subprotocols offered, the preferred one first. */
	const char *const *subprotocols;
	/** How many there are. */
	size_t subprotocol_count;
} wss_request;

/**
 * @brief Decides on an opening request. Called where the callback is.
 *
 * @param client The client, which is connecting.
 * @param request What it asks for.
 * @param subprotocol To be set to the one to speak, which has to be one of those offered; else the
 *                    request is refused with 500. Left alone: none.
 * @param cookie As given to wss_set_accept_hook().
 * @return 0 to accept, the HTTP status to refuse with: 400 to 599, or #WSS_LATER.
 */
typedef uint16_t (*wss_accept_hook)(wss_client client, const wss_request *request,
				    const char **subprotocol, void *cookie);

/**
 * What a hook returns to decide later: the work queue goes on meanwhile. wss_accept() or wss_refuse() is
 * to follow within the client's handshake time-out, which goes on, too.
 */
#define WSS_LATER 1

/**
 * Sets the hook that decides on opening requests, for all that come from now on; NULL: all may. Set it
 * before the service starts: with #CONFIG_WSS_START_AT_BOOT before SYS_WSS_register_callback(). If the first
 * hook comes after that, and before SYS_WSS_Initialize(), clients it was not asked about are closed with
 * 1008.
 */
void wss_set_accept_hook(wss_accept_hook hook, void *cookie);

/**
 * @brief Accepts a client whose hook has returned #WSS_LATER. On any thread; if the hook has not returned
 * yet, this waits for it. Inside the hook it is its return value that counts.
 *
 * @param client The client.
 * @param subprotocol The one to speak, which has to be one of those offered; NULL: none.
 * @retval WSS_OK It is accepted. It can be sent to, and CLIENT_CONNECTED follows.
 * @retval WSS_NOT_CONNECTED The client does not wait for this: it was accepted or refused, it has gone, or
 *         its time was over; or the service does not run.
 * @retval WSS_INVALID The subprotocol is not one of those offered. The client still waits.
 */
wss_result wss_accept(wss_client client, const char *subprotocol);

/**
 * @brief Refuses a client whose hook has returned #WSS_LATER. Otherwise as wss_accept().
 *
 * @param client The client.
 * @param status The HTTP status: 400 to 599.
 * @retval WSS_OK It is refused. CLIENT_CLOSING and CLIENT_CLOSED follow.
 * @retval WSS_NOT_CONNECTED As for wss_accept().
 * @retval WSS_INVALID No such status. The client still waits.
 */
wss_result wss_refuse(wss_client client, uint16_t status);

/**
 * @brief Takes over a connection that the application has accepted: so one port can serve pages and
 * WebSockets. On any thread.
 *
 * The client gets an index and is told of as any other: CLIENT_CONNECTING, CLIENT_CONNECTED, and so on.
 *
 * @param fd The descriptor of a TCP connection. Once it is adopted it is the library's, which closes it:
 *           nobody may use, poll or close it. Otherwise it is the application's as before, but may have
 *           been made blocking, or on Zephyr not blocking.
 * @param received What was received of it and not dealt with; may be NULL if there is none.
 * @param len How many bytes.
 * @param upgraded False: `received` begins with the opening request, or is the beginning of it, which the
 *                 service answers; the accept hook is asked. True: the application has answered it with
 *                 101, and what follows are frames. There is nothing to ask by wss_request_field() then.
 * @param client Where to put the client; may be NULL.
 * @retval WSS_OK It is adopted.
 * @retval WSS_BUSY Every index is taken, or the address has as many clients as it may.
 * @retval WSS_TOO_LONG What was received, the request not counted, is more than `rx_buffer_size` and some.
 * @retval WSS_NOT_CONNECTED The service does not run, or ends.
 * @retval WSS_INVALID The descriptor is below 0, or `received` is NULL.
 * @retval WSS_FAILED The descriptor cannot be watched, which the log tells.
 */
wss_result wss_adopt(int fd, const void *received, size_t len, bool upgraded, wss_client *client);

/** Texts of an opening request. */
typedef enum {
	/** The path. */
	WSS_FIELD_PATH = 0,
	/** The query. */
	WSS_FIELD_QUERY = 1,
	/** The host. */
	WSS_FIELD_HOST = 2,
	/** The origin. */
	WSS_FIELD_ORIGIN = 3,
	/** The subprotocol that was chosen. */
	WSS_FIELD_SUBPROTOCOL = 4
} wss_field;

/**
 * @brief Copies a text of a client's opening request, from its acceptance, or from its hook's return with
 * #WSS_LATER, until its index is used again.
 *
 * @param client The client.
 * @param field Which.
 * @param text Where to, ended by NUL; may be NULL if `size` is 0.
 * @param size Room there.
 * @retval WSS_OK It was copied.
 * @retval WSS_TOO_LONG It was copied as far as there was room.
 * @retval WSS_NONE There is no such text.
 * @retval WSS_NOT_CONNECTED There is no such client, or its request was not accepted yet.
 * @retval WSS_INVALID No such field, or text is NULL.
 */
wss_result wss_request_field(wss_client client, wss_field field, char *text, size_t size);

/**
 * @brief Tells what the opening handshake of a client said, for as long as wss_request_field() does.
 *
 * @retval WSS_OK It is told.
 * @retval WSS_NOT_CONNECTED There is no such client, or its request was not accepted yet.
 * @retval WSS_INVALID NULL.
 */
wss_result wss_handshake(wss_client client, SYS_WSS_HANDSHAKE_CTXT *handshake);

/** A send that was refused for want of room can be tried again. Told to queues only. */
#define WSS_EVENT_WRITABLE 16

/** The bit of an event in a mask. */
#define WSS_MASK(event) ((uint32_t)1 << (event))
/** Every event of the first part. */
#define WSS_MASK_ALL ((uint32_t)0xFFFF)
/** How many queues there can be. */
#define WSS_MAX_QUEUES 3
/** Waits as long as it takes. */
#define WSS_FOREVER (-1)

/** A queue of events; 0 is none. */
typedef uint32_t wss_queue;

/** An event taken from a queue. */
typedef struct {
	/** ::SYS_WSS_EVENTS, or #WSS_EVENT_WRITABLE. */
	uint32_t event;
	/** The client's index, or -1. */
	int32_t clientIndex;
	/** The client; without one #WSS_NO_CLIENT or, of a further server, wss_server_all(). */
	wss_client client;
	/** What was received, for events with data, else NULL. Valid until the release. */
	const uint8_t *data;
	/** How many bytes. */
	size_t datalen;
	/** It begins a message. */
	bool first;
	/** It ends a message. */
	bool last;
	/** The library's. */
	void *hold;
} wss_message;

/**
 * @brief Makes a queue of events, to be taken on the application's own threads, beside the callback or
 * instead of it. It outlives the service.
 *
 * When it is full nothing is lost: clients are not received from until there is room.
 *
 * @param mask The events that go to it, each as #WSS_MASK.
 * @param depth For how many there is room.
 * @param queue Where to put the queue.
 * @retval WSS_OK It is made.
 * @retval WSS_BUSY There are #WSS_MAX_QUEUES already. On Zephyr: `CONFIG_WSS_QUEUES`, or none has room for so
 *         many events (`CONFIG_WSS_QUEUE_DEPTH`).
 * @retval WSS_INVALID NULL, no events or none such, or no depth.
 */
wss_result wss_queue_create(uint32_t mask, size_t depth, wss_queue *queue);

/**
 * @brief Takes the next event.
 *
 * Data is the application's until wss_message_release(), and until then its client, and only that
 * one, is not received from; at the hold time-out it is closed with 1011. Every event has to be
 * released, also those without data.
 *
 * @param queue The queue.
 * @param message Where to put the event.
 * @param timeout_ms How long to wait for one; #WSS_FOREVER. Inside a callback: does not wait.
 * @retval WSS_OK There is one.
 * @retval WSS_NONE None came in time, or the queue was destroyed meanwhile.
 * @retval WSS_INVALID NULL, or no such queue.
 */
wss_result wss_queue_get(wss_queue queue, wss_message *message, int32_t timeout_ms);

/** Gives an event back, once: its `data` becomes NULL. NULL, and what was released, are left alone. */
void wss_message_release(wss_message *message);

/**
 * @brief Ends a queue: releases what is on it and wakes those who wait. Events already taken from it are
 * still to be released.
 *
 * @retval WSS_OK It is no more.
 * @retval WSS_INVALID No such queue.
 */
wss_result wss_queue_destroy(wss_queue queue);

/** What the service has done since SYS_WSS_Initialize(). The counters wrap around. */
typedef struct {
	/** Bytes of payload in the messages received. */
	uint64_t bytes_received;
	/** Bytes of payload in the data frames sent. */
	uint64_t bytes_sent;
	/** Messages (or pieces) received. */
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
	/** Connections refused because every index was taken. */
	uint32_t refused_full;
	/** Requests refused with 403. */
	uint32_t refused_forbidden;
	/** Requests refused with another status. */
	uint32_t refused_requests;
	/** Connections that could not be accepted for want of memory or descriptors. */
	uint32_t accept_errors;
	/** Clients that were silent too long. */
	uint32_t timeouts;
	/** Clients failed with 1002. */
	uint32_t protocol_errors;
	/** Clients failed with 1007. */
	uint32_t invalid_payloads;
	/** Clients failed with 1009. */
	uint32_t messages_too_big;
	/** Clients cut off. */
	uint32_t aborted;
	/** Frames refused before their first byte. */
	uint32_t would_block;
	/** The most blocks of unsent output in use at one time. */
	uint32_t most_blocks;
	/** Connections refused because their address had as many clients as it may. */
	uint32_t refused_address;
	/** How often connections had to wait because of the handshakes per second. */
	uint32_t accept_pauses;
	/** Clients failed with 1008. */
	uint32_t policy_violations;
} wss_stats;

/**
 * @brief Tells what the service has done.
 *
 * @retval WSS_OK It is told.
 * @retval WSS_NOT_CONNECTED The service does not run.
 * @retval WSS_INVALID NULL.
 */
wss_result wss_get_stats(wss_stats *stats);

/**
 * @name Further servers
 *
 * Beside the service of SYS_WSS_Initialize(), the default service, others can run, each with a port,
 * limits, clients and a callback of its own. A ::wss_client says which of them it is of: all functions
 * that take one are for every server. The `SYS_WSS_` functions, and those above that take no client,
 * are for the default service only.
 *
 * @code
 * static void on_event(SYS_WSS_EVENTS event, void *data, int32_t clientIndex, void *cookie)
 * {
 *         const wss_rxdata *rx = data;
 *
 *         if (event == SYS_WSS_EVENT_CLIENT_TXT_DATA_RX)
 *                 wss_send(rx->client, true, SYS_WSS_FRAME_TEXT, rx->rx.data, rx->rx.datalen);
 * }
 *
 * wss_server admin;
 * wss_server_config config = {.port = 8001, .callback = on_event};
 * wss_result result = wss_server_start(&config, &admin);
 * @endcode
 * @{
 */

/** A server that was started. It is not used again, so that one kept too long is no server. */
typedef uint32_t wss_server;

/** No server. */
#define WSS_NO_SERVER ((wss_server)0)

/** How a server is started. What is 0 or NULL is left to the defaults, or not there. */
typedef struct {
	/** TCP port to listen at; 0: any free one, see wss_server_port(). */
	uint16_t port;
	/** Its limits; NULL: those of wss_limits_init(). What they point to is copied. */
	const wss_limits *limits;
	/** Is told its events; NULL: nobody is. Indices are those in this server. */
	SYS_WSS_CALLBACK callback;
	/** Decides on opening requests; NULL: all may connect. */
	wss_accept_hook accept_hook;
	/** Given to both. */
	void *cookie;
	/** Queues that get its events, too; NULL: none. */
	const wss_queue *queues;
	/** How many: up to #WSS_MAX_QUEUES. */
	size_t queue_count;
} wss_server_config;

/**
 * @brief Starts a server beside those that run. It has threads of its own; callbacks of two servers may be
 * called at the same time, but on Zephyr with `CONFIG_WSS_WORK_QUEUE` never are.
 *
 * @param config How.
 * @param server Where to put it, before any of its events is told; #WSS_NO_SERVER if it is not started.
 * @retval WSS_OK It listens.
 * @retval WSS_BUSY There are as many as there can be: 63 beside the default service on a host,
 *         `CONFIG_WSS_SERVERS` with it on Zephyr.
 * @retval WSS_FAILED It cannot listen there, or there is no memory: the log tells. No event does.
 * @retval WSS_INVALID NULL, limits as wss_set_limits() refuses them, too many queues, or one that is none.
 */
wss_result wss_server_start(const wss_server_config *config, wss_server *server);

/**
 * @brief Ends a server, as SYS_WSS_Deinitialize() ends the default service: it waits for a bounded time, or
 * inside a callback of any server not at all.
 *
 * @retval WSS_OK It has ended; inside a callback: it will.
 * @retval WSS_BUSY A callback of it is still running. It ends after that.
 * @retval WSS_NOT_CONNECTED There is no such server.
 * @retval WSS_INVALID It is the default service.
 */
wss_result wss_server_stop(wss_server server);

/** The port at which a server listens; 0 if there is no such server. */
uint16_t wss_server_port(wss_server server);

/** Every connected client of a server, for functions that send. */
wss_client wss_server_all(wss_server server);

/**
 * Returns the server of a client, or of wss_server_all(), also after the client or the server has gone.
 * #WSS_NO_SERVER for #WSS_NO_CLIENT and #WSS_ALL_CLIENTS, and for a client of an ended server once another
 * one has been started in its place. The default service is a ::wss_server, too, another one each time that
 * it is started.
 */
wss_server wss_server_of(wss_client client);

/** As wss_client_at(), of a server. */
wss_client wss_server_client_at(wss_server server, int32_t clientIndex);

/**
 * @brief As wss_get_stats(), of a server.
 *
 * @retval WSS_OK It is told.
 * @retval WSS_NOT_CONNECTED There is no such server.
 * @retval WSS_INVALID NULL.
 */
wss_result wss_server_stats(wss_server server, wss_stats *stats);

/** As wss_adopt(), for this server; #WSS_NOT_CONNECTED also if there is no such server. */
wss_result wss_server_adopt(wss_server server, int fd, const void *received, size_t len, bool upgraded,
			    wss_client *client);

/**
 * @brief As wss_queue_create(), but a queue that gets the events of those servers only that were started
 * with it, see wss_server_config::queues. With wss_message::client, wss_server_of() tells which one an
 * event is of. Queues of wss_queue_create() can be used for servers as well, and get the events of the
 * default service, too.
 *
 * @retval WSS_OK, WSS_BUSY, WSS_INVALID As there, with #WSS_MAX_QUEUES for each server that there can be.
 */
wss_result wss_server_queue_create(uint32_t mask, size_t depth, wss_queue *queue);

/** @} */

/** How much is logged: each level with those above it. */
typedef enum {
	/** Nothing. */
	WSS_LOG_OFF = 0,
	/** What keeps the service from working. */
	WSS_LOG_ERR = 1,
	/** What should not be. */
	WSS_LOG_WRN = 2,
	/** What happens. */
	WSS_LOG_INF = 3,
	/** Requests and frames refused, too. */
	WSS_LOG_DBG = 4
} wss_log_level;

/**
 * @brief Is given lines of the log. It may be called on any thread, several at a time, and must not call
 * any function here, nor throw or longjmp out.
 *
 * @param level ::wss_log_level.
 * @param text The line, ended by NUL, valid until this returns.
 * @param cookie As given to wss_set_log().
 */
typedef void (*wss_log_handler)(wss_log_level level, const char *text, void *cookie);

/** Sets where the log goes; NULL, as at the beginning: nowhere. Not on Zephyr, which has a log. */
void wss_set_log(wss_log_level level, wss_log_handler handler, void *cookie);

/** @} */

#ifdef __cplusplus
}
#endif

#endif /* WSS_SYS_WSS_H */
