/* SPDX-License-Identifier: Apache-2.0 */
/* The device as a program on a host: device_c [PORT]. SIGINT and SIGTERM stop it. */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <wss/wss.h>

#include "device.h"

static sigset_t signals;

static void *await_signal(void *unused)
{
	int signal;

	(void)sigwait(&signals, &signal);
	(void)wss_stop(wss_default_server());
	return unused;
}

static void *log_clients(void *unused)
{
	device_log();
	return unused;
}

uint32_t device_uptime_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint32_t)now.tv_sec * 1000U + (uint32_t)now.tv_nsec / 1000000U;
}

int main(int argc, char **argv)
{
	pthread_t log_thread;
	pthread_t signal_thread;
	int port;

	/* Before any thread starts, because threads inherit the mask. */
	sigemptyset(&signals);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGTERM);
	pthread_sigmask(SIG_BLOCK, &signals, NULL);
	port = device_start((uint16_t)(argc > 1 ? atoi(argv[1]) : 8000));
	if (port < 0 || pthread_create(&log_thread, NULL, log_clients, NULL) != 0 ||
	    pthread_create(&signal_thread, NULL, await_signal, NULL) != 0) {
		fprintf(stderr, "the device cannot start: error %d\n", port);
		return 1;
	}
	printf("the device listens on port %d\n", port);
	fflush(stdout);
	device_run();
	pthread_join(log_thread, NULL);
	puts("the device has stopped");
	return 0;
}
