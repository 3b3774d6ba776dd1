/*
 * SPDX-License-Identifier: Apache-2.0
 */

/**
 * @file
 * @brief The interface of the original Web Socket Server (WSS) system service: a WebSocket server (RFC 6455).
 *
 * It has the names and values of the original, over the default server of wss/wss.h. wss_configure() sets what the
 * original has no name for (limits, queues, which clients may connect). The functions of wss/wss.h work beside these.
 *
 * Every function may be called from any thread, at any time, also before SYS_WSS_Initialize(), after
 * SYS_WSS_Deinitialize(), and inside a callback, where it never waits.
 *
 * An index, from 0 to the number of clients minus 1, identifies a client from CLIENT_CONNECTING to CLIENT_CLOSED.
 * Indexes are reused; values of ::wss_client, which wss_client_at() returns, are not.
 */
#ifndef WSS_SYS_WSS_H
#define WSS_SYS_WSS_H

#include <wss/wss.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * @defgroup sys_wss The WSS system service
 * @{
 */

/** Appended to the client's key before hashing (RFC 6455 section 1.3). */
#define SYS_WSS_GUID "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
/** Array size for `Sec-WebSocket-Key`. A valid key has 24 characters. */
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
/** Granularity of the client timeout, in milliseconds. */
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
/** Returned by SYS_WSS_Initialize(). */
typedef uintptr_t SYS_MODULE_OBJ;
/** No service. */
#define SYS_MODULE_OBJ_INVALID ((SYS_MODULE_OBJ)-1)
#endif

/** Results of calls. */
typedef enum {
	/** The call succeeded. */
	SYS_WSS_SUCCESS = 0,
	/** The call failed: see the function. */
	SYS_WSS_FAILURE = 1,
	/** The opening request is not valid. */
	SYS_WSS_ERROR_INVALID_REQUEST = 2,
	/** The key of the opening request is not valid. */
	SYS_WSS_ERROR_INVALID_KEY = 3,
	/** The frame must not be sent (RFC 6455). */
	SYS_WSS_ERROR_INVALID_FRAME = 4
} SYS_WSS_RESULT;

/** States of a client. */
typedef enum {
	/** There is no such client. */
	SYS_WSS_STATE_CLOSED = 0,
	/** The connection is ending. */
	SYS_WSS_STATE_CLOSING = 1,
	/** TCP is connected, and the opening handshake is in progress. */
	SYS_WSS_STATE_CONNECTING = 2,
	/** Messages can be sent. */
	SYS_WSS_STATE_CONNECTED = 3
} SYS_WSS_STATE;

/** Opcodes of frames (RFC 6455 section 5.2). */
typedef enum {
	/** Continues a fragmented message. */
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

/** Events. Data is NULL unless the event mentions ::SYS_WSS_RXDATA. */
typedef enum {
	/** An error without an event of its own: no memory, descriptor, or socket for a connection. */
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
	 * A close frame, also one that answers ours. Data: ::SYS_WSS_RXDATA with its payload: the code as two
	 * bytes, big-endian, then the reason; or nothing.
	 */
	SYS_WSS_EVENT_CLIENT_CLOSE_FRAME_RX = 7,
	/** The connection is ending. Emitted once before every CLOSED. */
	SYS_WSS_EVENT_CLIENT_CLOSING = 8,
	/** The connection has ended. Emitted once for each CONNECTING. */
	SYS_WSS_EVENT_CLIENT_CLOSED = 9,
	/** The client violated RFC 6455. CLOSING follows, with 1002, 1007, or 1009. */
	SYS_WSS_EVENT_ERR_INVALID_FRAME = 10,
	/**
	 * The client answered no ping for the client timeout: CLOSING follows, with 1000. Or it did not finish
	 * its opening handshake in time: CLOSING follows, and the connection is aborted.
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
	/** The endpoint is going away. */
	SYS_WSS_STATUS_CODE_GOING_AWAY = 1001,
	/** The peer violated the protocol. */
	SYS_WSS_STATUS_CODE_PROTOCOL_ERROR = 1002,
	/** Data of a type that the endpoint does not accept. */
	SYS_WSS_STATUS_CODE_UNSUPPORTED_DATA = 1003,
	/** The close frame had no code. Never sent. */
	SYS_WSS_STATUS_CODE_NO_STATUS_RCVD = 1005,
	/** There was no close frame. Never sent. */
	SYS_WSS_STATUS_CODE_ABNORMAL_CLOSURE = 1006,
	/** Data that is not valid for its type, such as text that is not UTF-8. */
	SYS_WSS_STATUS_CODE_INVALID_PAYLOAD_DATA = 1007,
	/** A message that violates the endpoint's policy. */
	SYS_WSS_STATUS_CODE_POLICY_VIOLATION = 1008,
	/** A message that is too big. */
	SYS_WSS_STATUS_CODE_MESSAGE_TOO_BIG = 1009,
	/** The client requires an extension. */
	SYS_WSS_STATUS_CODE_MANDATORY_EXT = 1010,
	/** An unexpected condition in the server. */
	SYS_WSS_STATUS_CODE_INTERNAL_ERROR = 1011,
	/** The TLS handshake failed. Never sent. */
	SYS_WSS_STATUS_CODE_TLS_HANDSHAKE = 1015
} SYS_WSS_STATUS_CODE;

/** The start configuration of the service. */
typedef struct {
	/** TCP port to listen on, 1 to 65535; 0: any free one, see wss_port(). */
	unsigned int port;
	/** Whether to use TLS, with the credentials of wss_configure(). If there are none, Zephyr uses those with the
	 *  tags in CONFIG_WSS_TLS_SEC_TAGS.
	 */
	bool isTLSEnabled;
} SYS_WSS_CONFIG;

/** Fields of a client's opening handshake, see wss_client_handshake(). */
typedef struct wss_handshake SYS_WSS_HANDSHAKE_CTXT;

/** A frame header, on compilers that allocate bit-fields from the lowest bit. */
typedef struct {
	/** ::SYS_WSS_FRAME. */
	uint8_t opcode : 4;
	/** Reserved bits. */
	uint8_t resvd : 3;
	/** The last frame of a message. */
	uint8_t fin : 1;
	/** Payload length; 126 or 127: an extended length follows. */
	uint8_t payloadLen : 7;
	/** A masking key follows. */
	uint8_t mask : 1;
#ifndef __cplusplus
	/** Extended length: 2 or 8 bytes, or none. C++ has no such member. */
	uint8_t extPayloadLen[];
#endif
} SYS_WSS_FRAME_HEADER;

/** Received data. */
typedef struct {
	/**
	 * The bytes, valid until the callback returns. They are read-only, except for a text that no queue gets as
	 * well, which ends with a NUL: see wss_event::data.
	 */
	uint8_t *data;
	/** The number of bytes, without the NUL. */
	int64_t datalen;
} SYS_WSS_RXDATA;

/**
 * @brief Handles an event.
 *
 * Runs on the service's work queue; on a host, and on Zephyr without CONFIG_WSS_WORK_QUEUE, on the WSS thread. Events
 * are delivered one at a time. The callback may call any function here, none of which then waits. It must not throw or
 * longjmp out.
 *
 * @param event The event.
 * @param data An ::SYS_WSS_RXDATA for events that have one, valid until the callback returns; otherwise NULL.
 * @param clientIndex The client, or -1 for an event of the service as a whole.
 * @param cookie As registered.
 */
typedef void (*SYS_WSS_CALLBACK)(SYS_WSS_EVENTS event, void *data, int32_t clientIndex,
				 void *cookie);

/**
 * @brief Starts the service: it listens, on its own threads.
 *
 * @param config The port, and whether to use TLS; NULL: the configuration of the build, by default port 8000 without
 *               TLS.
 * @param callback As for SYS_WSS_register_callback(); NULL: the one registered before, or later.
 * @param cookie Passed to the callback; ignored without one.
 * @retval SYS_MODULE_OBJ_INVALID The service runs already, or is stopping; the port is over 65535, or cannot be
 *         opened, in which case #SYS_WSS_EVENT_SOCK_OPEN_FAILED is delivered on the calling thread before this returns;
 *         or TLS is requested, and is not built in or has no valid credentials.
 * @return The service, for SYS_WSS_Deinitialize().
 */
SYS_MODULE_OBJ SYS_WSS_Initialize(SYS_WSS_CONFIG *config, SYS_WSS_CALLBACK callback, void *cookie);

/**
 * @brief Stops the service: closes every client with 1001, waits at most for the close timeout and 1.5 s, aborts the
 * remaining ones, and frees everything. Then the service can be started again.
 *
 * Inside a callback it returns at once, and the service stops after the callback has returned. No event is delivered
 * after this has returned, unless it was called inside a callback, or a callback was still running at the end of that
 * time. Until the callback has returned, SYS_WSS_Initialize() fails.
 *
 * @param obj The result of SYS_WSS_Initialize(), which becomes #SYS_MODULE_OBJ_INVALID. NULL, and anything but the
 *            running service, is ignored.
 */
void SYS_WSS_Deinitialize(SYS_MODULE_OBJ *obj);

/**
 * @brief Replaces the callback for all clients. The previous one may still be running.
 *
 * On Zephyr with CONFIG_WSS_START_AT_BOOT, the first callback starts the service on CONFIG_WSS_PORT, and
 * SYS_WSS_Initialize() with the same port adopts it. Nothing else starts the service by itself. Call wss_configure()
 * first.
 *
 * @param callback The callback; NULL: none from now on.
 * @param cookie Passed to the callback.
 * @retval SYS_WSS_SUCCESS Always.
 */
SYS_WSS_RESULT SYS_WSS_register_callback(SYS_WSS_CALLBACK callback, void *cookie);

/**
 * @brief Sends one frame: a whole message, or a fragment of one.
 *
 * Inside a callback this never waits. Elsewhere, sending to one client waits for up to the send timeout. wss_send()
 * returns the reason of a failure.
 *
 * @param fin Whether the frame ends its message. If not, #SYS_WSS_FRAME_CONTINUATION continues it, on the same
 *            thread; messages of other threads wait.
 * @param type #SYS_WSS_FRAME_TEXT, #SYS_WSS_FRAME_BINARY or #SYS_WSS_FRAME_CONTINUATION.
 * @param data The payload; may be NULL if there is none.
 * @param dataLen Its size in bytes.
 * @param clientIndex The client; below 0: every connected client.
 * @retval SYS_WSS_SUCCESS It was sent, or kept to be sent.
 * @retval SYS_WSS_FAILURE There is no such client, it is not connected or takes no output now; the frame is too long
 *         to be kept, or the connection was aborted in the middle of it; data is NULL; the service does not run. For
 *         all clients: the first failure, after trying every client.
 * @retval SYS_WSS_ERROR_INVALID_FRAME Another type, a continuation of nothing, a new message inside a fragmented one,
 *         or text that is not UTF-8. Nothing was sent.
 */
SYS_WSS_RESULT SYS_WSS_sendMessage(bool fin, SYS_WSS_FRAME type, uint8_t *data, size_t dataLen,
				   int32_t clientIndex);

/**
 * @brief Starts the closing handshake.
 *
 * @param code The close code.
 * @param data The reason in UTF-8, up to 123 bytes; may be NULL if there is none. It is left out if unsent output
 *             leaves no room for it.
 * @param dataLen Its size in bytes.
 * @param clientIndex The client; below 0: every connected client.
 * @retval SYS_WSS_SUCCESS The close frame was sent, or will be.
 * @retval SYS_WSS_FAILURE There is no such client, or it is not connected; data is NULL; the service does not run. For
 *         all clients: the first failure, after trying every client.
 * @retval SYS_WSS_ERROR_INVALID_FRAME The code must not be sent, or the reason is too long or not UTF-8. Nothing was
 *         sent.
 */
SYS_WSS_RESULT SYS_WSS_CloseConnection(SYS_WSS_STATUS_CODE code, uint8_t *data, size_t dataLen,
				       int32_t clientIndex);

/**
 * @brief Sends a ping. The answer is #SYS_WSS_EVENT_CLIENT_PONG_RX.
 *
 * @param data The payload, up to 125 bytes; may be NULL if there is none.
 * @param dataLen Its size in bytes.
 * @param clientIndex The client; below 0: every connected client.
 * @retval SYS_WSS_SUCCESS It was sent, or kept to be sent.
 * @retval SYS_WSS_FAILURE As for SYS_WSS_sendMessage().
 * @retval SYS_WSS_ERROR_INVALID_FRAME The payload has more than 125 bytes.
 */
SYS_WSS_RESULT SYS_WSS_PingClient(uint8_t *data, size_t dataLen, int32_t clientIndex);

/**
 * @brief Does nothing: the service has its own threads. Kept for applications that call it.
 *
 * @param obj Ignored.
 * @retval 0 Always.
 */
uint8_t SYS_WSS_Task(SYS_MODULE_OBJ obj);

/** @} */

#ifdef __cplusplus
}
#endif

#endif /* WSS_SYS_WSS_H */
