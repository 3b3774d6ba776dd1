/* SPDX-License-Identifier: Apache-2.0 */
#include "service.h"

#include <zephyr/net/socket.h>
#include <zephyr/ztest.h>

atomic_t service_events[SYS_WSS_EVENT_LL_INTF_UP + 1];
atomic_t service_polls;
atomic_t service_sending;
void (*service_on_message)(const char *data, size_t len, int32_t client);

static SYS_MODULE_OBJ service;

static void callback(SYS_WSS_EVENTS event, void *data, int32_t client, void *cookie)
{
	ARG_UNUSED(cookie);
	(void)atomic_inc(&service_events[event]);
	if (event == SYS_WSS_EVENT_CLIENT_TXT_DATA_RX && service_on_message != NULL) {
		SYS_WSS_RXDATA *received = data;

		service_on_message((const char *)received->data, (size_t)received->datalen, client);
	}
}

void service_start(const char *address, uint16_t handshakes)
{
	struct wss_limits limits;
	const struct wss_config config = {.address = address, .limits = &limits};

	wss_limits_init(&limits);
	limits.handshakes_per_second = handshakes;
	zassert_ok(wss_configure(wss_default_server(), &config));
	service = SYS_WSS_Initialize(NULL, callback, NULL);
	zassert_not_equal(service, SYS_MODULE_OBJ_INVALID);
	service_reset();
}

void service_stop(void)
{
	SYS_WSS_Deinitialize(&service);
}

void service_reset(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(service_events); i++) {
		(void)atomic_clear(&service_events[i]);
	}
	(void)atomic_clear(&service_polls);
	(void)atomic_clear(&service_sending);
}

void service_told(SYS_WSS_EVENTS event, int times)
{
	zassert_equal(atomic_get(&service_events[event]), times, "event %d came %ld times, not %d",
		      event, atomic_get(&service_events[event]), times);
}

static bool is_of_service(void)
{
	const char *name = k_thread_name_get(k_current_get());

	return strncmp(name, "wss", 3) == 0;
}

int __real_z_impl_zsock_poll(struct zsock_pollfd *fds, int nfds, int timeout);

int __wrap_z_impl_zsock_poll(struct zsock_pollfd *fds, int nfds, int timeout)
{
	if (is_of_service()) {
		(void)atomic_inc(&service_polls);
	}
	return __real_z_impl_zsock_poll(fds, nfds, timeout);
}

static void was_sending(int64_t since)
{
	atomic_val_t took = (atomic_val_t)k_uptime_delta(&since);

	if (is_of_service() && took > atomic_get(&service_sending)) {
		(void)atomic_set(&service_sending, took);
	}
}

ssize_t __real_z_impl_zsock_sendto(int sock, const void *buf, size_t len, int flags,
				   const struct sockaddr *addr, socklen_t addrlen);

ssize_t __wrap_z_impl_zsock_sendto(int sock, const void *buf, size_t len, int flags,
				   const struct sockaddr *addr, socklen_t addrlen)
{
	int64_t since = k_uptime_get();
	ssize_t sent = __real_z_impl_zsock_sendto(sock, buf, len, flags, addr, addrlen);

	was_sending(since);
	return sent;
}

ssize_t __real_z_impl_zsock_sendmsg(int sock, const struct msghdr *msg, int flags);

ssize_t __wrap_z_impl_zsock_sendmsg(int sock, const struct msghdr *msg, int flags)
{
	int64_t since = k_uptime_get();
	ssize_t sent = __real_z_impl_zsock_sendmsg(sock, msg, flags);

	was_sending(since);
	return sent;
}
