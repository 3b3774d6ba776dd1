/* SPDX-License-Identifier: Apache-2.0 */
/* The shell command `wss`. */
#include <stdlib.h>
#include <string.h>

#include <zephyr/shell/shell.h>

#include <wss/sys_wss.h>

/* Bytes of a path that are shown. */
#define PATH_SIZE 48

static int status(const struct shell *sh, size_t argc, char **argv)
{
	wss_stats stats;

	ARG_UNUSED(argc);
	ARG_UNUSED(argv);
	if (wss_get_stats(&stats) != WSS_OK) {
		shell_print(sh, "No server is running");
		return 0;
	}
	shell_print(sh, "Listening on port %u, %u of %d clients, %u at most so far", wss_port(),
		    stats.accepted - stats.closed, CONFIG_WSS_MAX_CLIENTS, stats.most_clients);
	return 0;
}

static const char *state_text(SYS_WSS_STATE state)
{
	switch (state) {
	case SYS_WSS_STATE_CONNECTING:
		return "connecting";
	case SYS_WSS_STATE_CONNECTED:
		return "connected";
	case SYS_WSS_STATE_CLOSING:
		return "closing";
	default:
		return "closed";
	}
}

static int clients(const struct shell *sh, size_t argc, char **argv)
{
	bool found = false;

	ARG_UNUSED(argc);
	ARG_UNUSED(argv);
	for (int32_t index = 0; index < CONFIG_WSS_MAX_CLIENTS; index++) {
		wss_client client = wss_client_at(index);
		char path[PATH_SIZE];
		wss_result result;

		if (client == WSS_NO_CLIENT) {
			continue;
		}
		result = wss_request_field(client, WSS_FIELD_PATH, path, sizeof(path));
		if (result != WSS_OK && result != WSS_TOO_LONG) {
			/* Requests are not kept, see CONFIG_WSS_REQUEST_SIZE. */
			path[0] = '\0';
		}
		shell_print(sh, "%d: %s %s", (int)index, state_text(wss_client_state(client)), path);
		found = true;
	}
	if (!found) {
		shell_print(sh, "No clients");
	}
	return 0;
}

/* Whom an argument means: an index, or `all`. */
static int whom(const struct shell *sh, const char *argument, wss_client *client)
{
	char *end;
	long index;

	if (strcmp(argument, "all") == 0) {
		*client = WSS_ALL_CLIENTS;
		return 0;
	}
	index = strtol(argument, &end, 10);
	*client = *end == '\0' && end != argument && index >= 0 && index < CONFIG_WSS_MAX_CLIENTS ?
			  wss_client_at((int32_t)index) : WSS_NO_CLIENT;
	if (*client == WSS_NO_CLIENT) {
		shell_error(sh, "There is no client %s", argument);
		return -ENOENT;
	}
	return 0;
}

static int tell(const struct shell *sh, wss_result result)
{
	if (result == WSS_OK) {
		return 0;
	}
	shell_error(sh, "%s", wss_result_text(result));
	return -EIO;
}

static int send_text(const struct shell *sh, size_t argc, char **argv)
{
	wss_client client;
	int error = whom(sh, argv[1], &client);

	ARG_UNUSED(argc);
	if (error != 0) {
		return error;
	}
	return tell(sh, wss_send(client, true, SYS_WSS_FRAME_TEXT, argv[2], strlen(argv[2])));
}

static int ping(const struct shell *sh, size_t argc, char **argv)
{
	wss_client client;
	int error = whom(sh, argv[1], &client);

	if (error != 0) {
		return error;
	}
	return tell(sh, argc > 2 ? wss_ping(client, argv[2], strlen(argv[2])) :
				   wss_ping(client, NULL, 0));
}

/* As RFC 6455 section 7.4 and IANA's registry have it. */
static bool may_be_sent(unsigned long code)
{
	return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) ||
	       (code >= 3000 && code <= 4999);
}

static int close_client(const struct shell *sh, size_t argc, char **argv)
{
	unsigned long code = SYS_WSS_STATUS_CODE_NORMAL_CLOSURE;
	wss_client client;
	int error = whom(sh, argv[1], &client);

	if (error != 0) {
		return error;
	}
	if (argc > 2) {
		char *end;

		code = strtoul(argv[2], &end, 10);
		if (*end != '\0' || !may_be_sent(code)) {
			shell_error(sh, "%s is not a close code that may be sent (1000-1003, "
				    "1007-1014, 3000-4999)", argv[2]);
			return -EINVAL;
		}
	}
	return tell(sh, argc > 3 ? wss_close(client, (uint16_t)code, argv[3], strlen(argv[3])) :
				   wss_close(client, (uint16_t)code, NULL, 0));
}

static int show_stats(const struct shell *sh, size_t argc, char **argv)
{
	wss_stats stats;

	ARG_UNUSED(argc);
	ARG_UNUSED(argv);
	if (wss_get_stats(&stats) != WSS_OK) {
		shell_print(sh, "No server is running");
		return 0;
	}
	shell_print(sh, "connections: %u accepted, %u upgraded, %u closed, %u aborted, %u timed out",
		    stats.accepted, stats.connected, stats.closed, stats.aborted, stats.timeouts);
	shell_print(sh, "refused: %u for want of a slot, %u forbidden, %u other requests",
		    stats.refused_full, stats.refused_forbidden, stats.refused_requests);
	shell_print(sh, "received: %u messages, %llu bytes", stats.messages_received,
		    (unsigned long long)stats.bytes_received);
	shell_print(sh, "sent: %u messages, %llu bytes, %u refused for want of room",
		    stats.messages_sent, (unsigned long long)stats.bytes_sent, stats.would_block);
	shell_print(sh, "errors: %u with 1002, %u with 1007, %u with 1009, %u on accepting",
		    stats.protocol_errors, stats.invalid_payloads, stats.messages_too_big,
		    stats.accept_errors);
	shell_print(sh, "limits: %u refused for their address, %u closed with 1008, %u pauses in accepting",
		    stats.refused_address, stats.policy_violations, stats.accept_pauses);
	shell_print(sh, "at most: %u clients, %u blocks of output", stats.most_clients,
		    stats.most_blocks);
	return 0;
}

SHELL_STATIC_SUBCMD_SET_CREATE(commands,
	SHELL_CMD_ARG(status, NULL, "Whether the service runs, and where", status, 1, 0),
	SHELL_CMD_ARG(clients, NULL, "Who is there", clients, 1, 0),
	SHELL_CMD_ARG(send, NULL, "CLIENT|all TEXT: sends a text message", send_text, 3, 0),
	SHELL_CMD_ARG(ping, NULL, "CLIENT|all [TEXT]: sends a ping", ping, 2, 1),
	SHELL_CMD_ARG(close, NULL, "CLIENT|all [CODE [REASON]]: closes", close_client, 2, 2),
	SHELL_CMD_ARG(stats, NULL, "What the service has done", show_stats, 1, 0),
	SHELL_SUBCMD_SET_END);

SHELL_CMD_REGISTER(wss, &commands, "The WebSocket server", NULL);
