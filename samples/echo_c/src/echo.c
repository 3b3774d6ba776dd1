/* SPDX-License-Identifier: Apache-2.0 */
/* An echo server on the WSS service: a callback that handles every event, and sends messages back. */
#include "echo.h"

#include <stdio.h>

bool verbose;

static void note(int32_t clientIndex, const char *what)
{
	if (verbose) {
		print_event(clientIndex, what);
	}
}

static void echo(SYS_WSS_FRAME type, const SYS_WSS_RXDATA *rx, int32_t clientIndex)
{
	SYS_WSS_RESULT result =
		SYS_WSS_sendMessage(true, type, rx->data, (size_t)rx->datalen, clientIndex);

	if (result != SYS_WSS_SUCCESS) {
		note(clientIndex, "a message was not sent back");
	}
}

static void on_close_frame(const SYS_WSS_RXDATA *rx, int32_t clientIndex)
{
	if (rx->datalen < SYS_WSS_STATUS_CODE_LEN) {
		note(clientIndex, "closes");
	} else if (verbose) {
		/* A reason has at most 123 bytes. */
		char text[160];

		(void)snprintf(text, sizeof(text), "closes with %d, '%.*s'",
			       rx->data[0] << 8 | rx->data[1],
			       (int)(rx->datalen - SYS_WSS_STATUS_CODE_LEN),
			       (const char *)rx->data + SYS_WSS_STATUS_CODE_LEN);
		note(clientIndex, text);
	}
}

void on_event(SYS_WSS_EVENTS event, void *data, int32_t clientIndex, void *cookie)
{
	(void)cookie;
	switch (event) {
	case SYS_WSS_EVENT_ERR:
		note(clientIndex, "an error in the service");
		break;
	case SYS_WSS_EVENT_CLIENT_CONNECTING:
		note(clientIndex, "connecting");
		break;
	case SYS_WSS_EVENT_CLIENT_CONNECTED:
		note(clientIndex, "connected");
		break;
	case SYS_WSS_EVENT_CLIENT_BIN_DATA_RX:
		echo(SYS_WSS_FRAME_BINARY, data, clientIndex);
		break;
	case SYS_WSS_EVENT_CLIENT_TXT_DATA_RX:
		echo(SYS_WSS_FRAME_TEXT, data, clientIndex);
		break;
	case SYS_WSS_EVENT_CLIENT_PING_RX:
		note(clientIndex, "ping, which the service answers");
		break;
	case SYS_WSS_EVENT_CLIENT_PONG_RX:
		note(clientIndex, "pong");
		break;
	case SYS_WSS_EVENT_CLIENT_CLOSE_FRAME_RX:
		on_close_frame(data, clientIndex);
		break;
	case SYS_WSS_EVENT_CLIENT_CLOSING:
		note(clientIndex, "closing");
		break;
	case SYS_WSS_EVENT_CLIENT_CLOSED:
		note(clientIndex, "closed");
		break;
	case SYS_WSS_EVENT_ERR_INVALID_FRAME:
		note(clientIndex, "broke the protocol");
		break;
	case SYS_WSS_EVENT_CLIENT_TIMEOUT:
		note(clientIndex, "was silent for too long");
		break;
	case SYS_WSS_EVENT_SSL_FAILED:
		note(clientIndex, "TLS failed");
		break;
	case SYS_WSS_EVENT_SOCK_OPEN_FAILED:
		note(clientIndex, "cannot listen");
		break;
	case SYS_WSS_EVENT_LL_INTF_DOWN:
		note(clientIndex, "the network is down");
		break;
	case SYS_WSS_EVENT_LL_INTF_UP:
		note(clientIndex, "the network is up");
		break;
	}
}

void on_piece(const struct wss_event *event, void *cookie)
{
	uint32_t kind = event->type == WSS_EVENT_TEXT ? WSS_TEXT : WSS_BINARY;

	(void)cookie;
	(void)wss_send(event->client,
		       (event->first ? kind : WSS_CONTINUATION) | (event->last ? 0 : WSS_FRAGMENT),
		       event->data, event->len, 0);
}
