/* SPDX-License-Identifier: Apache-2.0 */
/* The echo server as a program of a host, with options. */
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
