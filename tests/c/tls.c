/* SPDX-License-Identifier: Apache-2.0 */
/* A server with TLS, for tls.py, which sends commands on standard input, a line each, and gets a line as the answer. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wss/sys_wss.h>
#include <wss/wss.h>

static void *read_file(const char *name, size_t *len)
{
	FILE *file = fopen(name, "rb");
	char *bytes = malloc(100000);

	if (file == NULL || bytes == NULL) {
		perror(name);
		exit(2);
	}
	*len = fread(bytes, 1, 100000, file);
	fclose(file);
	return bytes;
}

static void on_event(const struct wss_event *event, void *cookie)
{
	volatile unsigned int *failures = cookie;

	if (event->type == WSS_EVENT_TEXT) {
		wss_send(event->client, WSS_TEXT, event->data, event->len, 0);
	} else if (event->type == WSS_EVENT_TLS_FAILED) {
		++*failures;
	}
}

int main(void)
{
	static struct wss_tls tls;
	static volatile unsigned int failures;
	struct wss_config config = {.on_event = on_event, .cookie = (void *)&failures, .tls = &tls};
	struct wss_server *server = wss_default_server();
	SYS_MODULE_OBJ object = SYS_MODULE_OBJ_INVALID;
	char line[1000], word[20], name[900];

	while (fgets(line, sizeof(line), stdin) != NULL) {
		int result = 0;

		name[0] = '\0';
		if (sscanf(line, "%19s %899s", word, name) < 1) {
			continue;
		}
		if (strcmp(word, "cert") == 0) {
			tls.cert = read_file(name, &tls.cert_len);
		} else if (strcmp(word, "key") == 0) {
			tls.key = read_file(name, &tls.key_len);
		} else if (strcmp(word, "ca") == 0) {
			tls.ca = read_file(name, &tls.ca_len);
		} else if (strcmp(word, "auth") == 0) {
			tls.client_auth = (uint32_t)atoi(name);
		} else if (strcmp(word, "start") == 0) {
			failures = 0;
			result = wss_start(server, &config);
		} else if (strcmp(word, "replace") == 0) {
			result = wss_replace_tls(server, &tls);
		} else if (strcmp(word, "port") == 0) {
			result = wss_port(server);
		} else if (strcmp(word, "failures") == 0) {
			struct wss_stats stats;

			result = wss_get_stats(server, &stats);
			if (result == 0) {
				result = (int)(stats.tls_failures == failures ? failures : 0);
			}
		} else if (strcmp(word, "stop") == 0) {
			result = wss_stop(server);
		} else if (strcmp(word, "configure") == 0) {
			result = wss_configure(server, &config);
		} else if (strcmp(word, "initialize") == 0) {
			SYS_WSS_CONFIG original = {.port = 0, .isTLSEnabled = atoi(name) != 0};

			object = SYS_WSS_Initialize(&original, NULL, NULL);
			result = object == SYS_MODULE_OBJ_INVALID ? -1 : 0;
		} else if (strcmp(word, "deinitialize") == 0) {
			SYS_WSS_Deinitialize(&object);
		} else {
			fprintf(stderr, "no such word: %s\n", word);
			return 2;
		}
		printf("%d\n", result);
		fflush(stdout);
	}
	return 0;
}
