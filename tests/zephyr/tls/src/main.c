/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two echo servers for pytest/test_tls.py. The first one has the credentials of the security tag, the second one has
 * credentials from pointers, and needs a certificate of the client. Both print what happens. Some texts are commands.
 */
#include <string.h>

#include <zephyr/kernel.h>

#include <mbedtls/platform.h>

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

/* Has no processor left for TLS handshakes, but for all else. */
#define HOG_MS       2500
#define HOG_PRIORITY (CONFIG_WSS_TLS_PRIORITY - 1)

static K_SEM_DEFINE(hogs, 0, 1);

static void hog(void *p1, void *p2, void *p3)
{
	ARG_UNUSED(p1);
	ARG_UNUSED(p2);
	ARG_UNUSED(p3);
	while (k_sem_take(&hogs, K_FOREVER) == 0) {
		k_busy_wait(HOG_MS * USEC_PER_MSEC);
	}
}

K_THREAD_DEFINE(hog_thread, 1024, hog, NULL, NULL, NULL, HOG_PRIORITY, 0, 0);

/* For a second, there is no memory left for Mbed TLS. It begins when the command is answered. */
#define SHORT_AFTER_MS 300
#define SHORT_MS       1000

static K_SEM_DEFINE(shortages, 0, 1);

static void take_memory(void *p1, void *p2, void *p3)
{
	static struct block {
		struct block *next;
	} *first;

	ARG_UNUSED(p1);
	ARG_UNUSED(p2);
	ARG_UNUSED(p3);
	while (k_sem_take(&shortages, K_FOREVER) == 0) {
		k_msleep(SHORT_AFTER_MS);
		for (size_t size = 65536; size >= sizeof(struct block); size /= 2) {
			struct block *block;

			while ((block = mbedtls_calloc(1, size)) != NULL) {
				block->next = first;
				first = block;
			}
		}
		k_msleep(SHORT_MS);
		while (first != NULL) {
			struct block *next = first->next;

			mbedtls_free(first);
			first = next;
		}
	}
}

K_THREAD_DEFINE(memory_thread, 1024, take_memory, NULL, NULL, NULL, HOG_PRIORITY, 0, 0);

static bool is_text(const struct wss_event *event, const char *text)
{
	return event->len == strlen(text) && memcmp(event->data, text, event->len) == 0;
}

static void obey(const struct wss_event *event)
{
	if (is_text(event, "hog")) {
		k_sem_give(&hogs);
	} else if (is_text(event, "take memory")) {
		k_sem_give(&shortages);
	}
}

static void on_event(const struct wss_event *event, void *cookie)
{
	struct wss_stats stats;

	ARG_UNUSED(cookie);
	switch (event->type) {
	case WSS_EVENT_TEXT:
		obey(event);
		__fallthrough;
	case WSS_EVENT_BINARY:
		(void)wss_send(event->client, event->type == WSS_EVENT_TEXT ? WSS_TEXT : WSS_BINARY,
			       event->data, event->len, 0);
		break;
	case WSS_EVENT_CONNECTING:
		printk("client %d connecting\n", (int)event->index);
		break;
	case WSS_EVENT_CONNECTED:
		printk("client %d connected\n", (int)event->index);
		break;
	case WSS_EVENT_TLS_FAILED:
		printk("client %d TLS failed\n", (int)event->index);
		break;
	case WSS_EVENT_CLOSED:
		(void)wss_get_stats(wss_server_at(0), &stats);
		printk("client %d closed, %u aborted\n", (int)event->index, stats.aborted);
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
