/* SPDX-License-Identifier: Apache-2.0 */
/* The echo server as a program on a host, with options. */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "echo.h"

void print_event(int32_t clientIndex, const char *what)
{
	printf("client %" PRId32 ": %s\n", clientIndex, what);
}

static void on_log(enum wss_log_level level, const char *text, void *cookie)
{
	(void)level;
	(void)cookie;
	fprintf(stderr, "wss: %s\n", text);
}

static void usage(int status)
{
	fputs("Usage: echo_c [options]\n\n"
	      "  --addr ADDR       address to listen on (127.0.0.1)\n"
	      "  --port PORT       port to listen on (8000; 0 for any free one)\n"
	      "  --rx-buffer BYTES largest message that is received whole (1400)\n"
	      "  --streaming       echo larger messages too, piece by piece\n"
	      "  -v                print every event (not with --streaming)\n",
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
	struct wss_server *server = wss_default_server();
	struct wss_config config = {.address = "127.0.0.1"};
	SYS_WSS_CONFIG own = {.port = 8000, .isTLSEnabled = false};
	SYS_MODULE_OBJ service;
	struct wss_limits limits;
	sigset_t signals;
	int signal;

	wss_limits_init(&limits);
	config.limits = &limits;
	for (int i = 1; i < argc; i++) {
		/* NULL after the last argument. */
		const char *value = argv[i + 1];

		if (strcmp(argv[i], "--streaming") == 0) {
			limits.streaming = true;
		} else if (strcmp(argv[i], "-v") == 0) {
			verbose = true;
		} else if (strcmp(argv[i], "--help") == 0) {
			usage(0);
		} else if (strcmp(argv[i], "--addr") == 0 && value != NULL) {
			config.address = argv[++i];
		} else if (strcmp(argv[i], "--port") == 0) {
			own.port = (unsigned int)number(argv[++i]);
		} else if (strcmp(argv[i], "--rx-buffer") == 0) {
			limits.rx_buffer_size = number(argv[++i]);
		} else {
			usage(2);
		}
	}

	/* Before the server starts its threads, which inherit the mask. */
	sigemptyset(&signals);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGTERM);
	pthread_sigmask(SIG_BLOCK, &signals, NULL);

	wss_set_log(WSS_LOG_WRN, on_log, NULL);
	if (limits.streaming) {
		config.on_event = on_piece;
		config.events = PIECES;
	}
	if (wss_configure(server, &config) != 0) {
		fputs("echo_c: the address or a limit is not valid\n", stderr);
		return 1;
	}
	service = SYS_WSS_Initialize(&own, limits.streaming ? NULL : on_event, NULL);
	if (service == SYS_MODULE_OBJ_INVALID) {
		return 1;
	}
	printf("listening on ws://%s:%d\n", config.address, wss_port(server));
	fflush(stdout);
	sigwait(&signals, &signal);
	SYS_WSS_Deinitialize(&service);
	return 0;
}
