/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An echo server on the WSS service: a callback that switches over every event, and sends back what it
 * is given.
 */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <wss/sys_wss.h>

static bool verbose;

static void note(int32_t clientIndex, const char *what)
{
	if (verbose) {
		fprintf(stderr, "client %" PRId32 ": %s\n", clientIndex, what);
	}
}

static void echo(SYS_WSS_FRAME type, const wss_rxdata *rx, int32_t clientIndex)
{
	/* With streaming, what follows the first piece of a message goes on with it. */
	SYS_WSS_RESULT result = SYS_WSS_sendMessage(
		rx->last, rx->first ? type : SYS_WSS_FRAME_CONTINUATION, rx->rx.data,
		(size_t)rx->rx.datalen, clientIndex);

	if (result != SYS_WSS_SUCCESS) {
		note(clientIndex, "a message was not sent back");
	}
}

static void on_close_frame(const SYS_WSS_RXDATA *rx, int32_t clientIndex)
{
	if (rx->datalen < SYS_WSS_STATUS_CODE_LEN) {
		note(clientIndex, "closes");
	} else if (verbose) {
		fprintf(stderr, "client %" PRId32 ": closes with %d, '%.*s'\n", clientIndex,
			rx->data[0] << 8 | rx->data[1],
			(int)(rx->datalen - SYS_WSS_STATUS_CODE_LEN),
			(const char *)rx->data + SYS_WSS_STATUS_CODE_LEN);
	}
}

static void on_event(SYS_WSS_EVENTS event, void *data, int32_t clientIndex, void *cookie)
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

static void on_log(wss_log_level level, const char *text, void *cookie)
{
	(void)level;
	(void)cookie;
	fprintf(stderr, "wss: %s\n", text);
}

static void usage(int status)
{
	fputs("Usage: echo_c [options]\n\n"
	      "  --addr ADDR       address to listen at (127.0.0.1)\n"
	      "  --port PORT       port to listen at (8000; 0 for any free one)\n"
	      "  --rx-buffer BYTES largest message that is received whole (1400)\n"
	      "  --streaming       take larger messages too, piece by piece\n"
	      "  -v                tell every event\n",
	      status == 0 ? stdout : stderr);
	exit(status);
}

static unsigned long number(const char *text)
{
	char *end;
	unsigned long value;

	if (text == NULL) {
		usage(2);
	}
	value = strtoul(text, &end, 10);
	if (end == text || *end != '\0') {
		usage(2);
	}
	return value;
}

int main(int argc, char **argv)
{
	SYS_WSS_CONFIG config = {.port = 8000, .isTLSEnabled = false};
	SYS_MODULE_OBJ service;
	wss_limits limits;
	sigset_t signals;
	int signal;

	wss_limits_init(&limits);
	limits.address = "127.0.0.1";
	for (int i = 1; i < argc; i++) {
		/* NULL after the last one. */
		const char *value = argv[i + 1];

		if (strcmp(argv[i], "--streaming") == 0) {
			limits.streaming = true;
		} else if (strcmp(argv[i], "-v") == 0) {
			verbose = true;
		} else if (strcmp(argv[i], "--help") == 0) {
			usage(0);
		} else if (strcmp(argv[i], "--addr") == 0 && value != NULL) {
			limits.address = argv[++i];
		} else if (strcmp(argv[i], "--port") == 0) {
			config.port = (unsigned int)number(argv[++i]);
		} else if (strcmp(argv[i], "--rx-buffer") == 0) {
			limits.rx_buffer_size = number(argv[++i]);
		} else {
			usage(2);
		}
	}

	/* Before the service starts its threads, which inherit it. */
	sigemptyset(&signals);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGTERM);
	pthread_sigmask(SIG_BLOCK, &signals, NULL);

	wss_set_log(WSS_LOG_WRN, on_log, NULL);
	if (wss_set_limits(&limits) != WSS_OK) {
		fputs("echo_c: these limits cannot be\n", stderr);
		return 1;
	}
	service = SYS_WSS_Initialize(&config, on_event, NULL);
	if (service == SYS_MODULE_OBJ_INVALID) {
		return 1;
	}
	printf("listening on ws://%s:%u\n", limits.address, wss_port());
	fflush(stdout);
	sigwait(&signals, &signal);
	SYS_WSS_Deinitialize(&service);
	return 0;
}
