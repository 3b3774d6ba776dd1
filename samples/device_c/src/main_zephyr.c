/* SPDX-License-Identifier: Apache-2.0 */
/* The device as a Zephyr application. */
#include <stdio.h>

#include <wss/zephyr.h>
#include <zephyr/kernel.h>

#include "device.h"

static const uint8_t dashboard[] = {
#include <dashboard.html.gz.inc>
};
WSS_PAGE_DEFINE(dashboard_page, 0, "/", "text/html; charset=utf-8", "gzip", dashboard);

static void log_clients(void *p1, void *p2, void *p3)
{
	ARG_UNUSED(p1);
	ARG_UNUSED(p2);
	ARG_UNUSED(p3);
	device_log();
}

K_THREAD_DEFINE(log_thread, 2048, log_clients, NULL, NULL, NULL, 8, 0, SYS_FOREVER_MS);

uint32_t device_uptime_ms(void)
{
	return k_uptime_get_32();
}

int main(void)
{
	int port = device_start(CONFIG_WSS_PORT);

	if (port < 0) {
		printf("the device cannot start: error %d\n", port);
		return 0;
	}
	printf("the device listens on port %d\n", port);
	k_thread_start(log_thread);
	device_run();
	(void)k_thread_join(log_thread, K_FOREVER);
	printf("the device has stopped\n");
	return 0;
}
