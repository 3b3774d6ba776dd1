/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two echo servers for pytest/test_tls.py. The first one has the credentials of the security tag, the second one has
 * credentials from pointers, and needs a certificate of the client. Both print what happens.
 */
#include <zephyr/kernel.h>

#include <wss/wss.h>

static const uint8_t cert[] = {
#include <wss_test_cert.inc>
};
static const uint8_t key[] = {
#include <wss_test_key.inc>
};
static const uint8_t client_cert[] = {
#include <client_cert.inc>
};

static void on_event(const struct wss_event *event, void *cookie)
{
	ARG_UNUSED(cookie);
	switch (event->type) {
	case WSS_EVENT_TEXT:
	case WSS_EVENT_BINARY:
		(void)wss_send(event->client, event->type == WSS_EVENT_TEXT ? WSS_TEXT : WSS_BINARY,
			       event->data, event->len, 0);
		break;
	case WSS_EVENT_CONNECTED:
		printk("client %d connected\n", (int)event->index);
		break;
	case WSS_EVENT_TLS_FAILED:
		printk("client %d TLS failed\n", (int)event->index);
		break;
	case WSS_EVENT_CLOSED:
		printk("client %d closed\n", (int)event->index);
		break;
	default:
		break;
	}
}

static void start(size_t server, const struct wss_tls *tls)
{
	struct wss_limits limits;
	struct wss_config config = {
		.port = (uint16_t)(CONFIG_WSS_PORT + server),
		.limits = &limits,
		.on_event = on_event,
		.tls = tls,
	};
	int error;

	wss_limits_init(&limits);
	limits.handshake_timeout_ms = 6000;
	error = wss_start(wss_server_at(server), &config);
	printk("server %d: %d\n", (int)server, error);
}

int main(void)
{
	const struct wss_tls of_tags = {0};
	const struct wss_tls of_pointers = {
		.cert = cert,
		.cert_len = sizeof(cert),
		.key = key,
		.key_len = sizeof(key),
		.ca = client_cert,
		.ca_len = sizeof(client_cert),
		.client_auth = WSS_CLIENT_AUTH_REQUIRED,
	};
	struct wss_tls no_key = of_pointers;
	struct wss_tls other_key = of_pointers;
	struct wss_config config = {.tls = &no_key};

	no_key.key = NULL;
	no_key.key_len = 0;
	printk("no key: %d\n", wss_configure(wss_server_at(0), &config));
	/* A key of another certificate, and bytes that are not a key. */
	other_key.key = client_cert;
	other_key.key_len = sizeof(client_cert);
	start(0, &other_key);
	/* Twice, with other credentials the second time. */
	start(0, &of_pointers);
	printk("stopped: %d\n", wss_stop(wss_server_at(0)));
	start(0, &of_tags);
	start(1, &of_pointers);
	printk("started\n");
	return 0;
}
