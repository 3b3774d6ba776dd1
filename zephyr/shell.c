/* SPDX-License-Identifier: Apache-2.0 */
/* The shell command `wss`, for applications in C and in Rust. */
#include <stdlib.h>
#include <string.h>

#include <zephyr/shell/shell.h>

#include "port.h"

/* With one server, a slot names a client. With several, SERVER/SLOT does. */
#define SEVERAL (CONFIG_WSS_SERVERS > 1)

/* RFC 6455 sections 5.5 and 5.5.1. */
#define MAX_PING   125
#define MAX_REASON 123

#define NORMAL_CLOSURE 1000

/* Runs `show` for each server that runs. */
static int for_each_server(const struct shell *sh,
			   void (*show)(const struct shell *sh, size_t number,
					const struct wss_shell_server *server))
{
	bool found = false;

	for (size_t number = 0; number < CONFIG_WSS_SERVERS; number++) {
		struct wss_shell_server server;

		if (wss_port_shell_server(number, &server)) {
			show(sh, number, &server);
			found = true;
		}
	}
	if (!found) {
		shell_print(sh, "No server is running");
	}
	return 0;
}

static void show_status(const struct shell *sh, size_t number, const struct wss_shell_server *server)
{
	struct wss_shell_stats stats;

	server->calls->stats(server->object, &stats);
	if (SEVERAL) {
		shell_fprintf(sh, SHELL_NORMAL, "Server %zu: ", number);
	}
	if (server->port != 0) {
		shell_fprintf(sh, SHELL_NORMAL, "Listening on port %u, ", server->port);
	} else {
		shell_fprintf(sh, SHELL_NORMAL, "Without a listener, ");
	}
	shell_print(sh, "%u of %d clients, %u at most so far", stats.accepted - stats.closed,
		    CONFIG_WSS_MAX_CLIENTS, stats.most_clients);
}

static int status(const struct shell *sh, size_t argc, char **argv)
{
	ARG_UNUSED(argc);
	ARG_UNUSED(argv);
	return for_each_server(sh, show_status);
}

static const char *state_text(uint32_t state)
{
	switch (state) {
	case WSS_SHELL_CONNECTING:
		return "connecting";
	case WSS_SHELL_CONNECTED:
		return "connected";
	default:
		return "closing";
	}
}

static void show_clients(const struct shell *sh, size_t number, const struct wss_shell_server *server)
{
	bool found = false;

	for (uint32_t slot = 0; slot < CONFIG_WSS_MAX_CLIENTS; slot++) {
		struct wss_shell_client client;

		if (!server->calls->client(server->object, slot, &client)) {
			continue;
		}
		found = true;
		if (SEVERAL) {
			shell_fprintf(sh, SHELL_NORMAL, "%zu/", number);
		}
		shell_print(sh, "%u: %s, %s %s", slot, state_text(client.state),
			    client.peer[0] != '\0' ? client.peer : "disconnected", client.path);
	}
	if (!found && SEVERAL) {
		shell_print(sh, "Server %zu: no clients", number);
	} else if (!found) {
		shell_print(sh, "No clients");
	}
}

static int clients(const struct shell *sh, size_t argc, char **argv)
{
	ARG_UNUSED(argc);
	ARG_UNUSED(argv);
	return for_each_server(sh, show_clients);
}

/* Parses a number less than `end`, followed by `after`. Returns UINT32_MAX if there is none. */
static uint32_t number_below(const char **text, char after, uint32_t end)
{
	char *behind;
	unsigned long number;

	if (**text < '0' || **text > '9') {
		return UINT32_MAX;
	}
	number = strtoul(*text, &behind, 10);
	if (*behind != after || number >= end) {
		return UINT32_MAX;
	}
	*text = behind;
	return (uint32_t)number;
}

/* Runs an action on one server, for the client that `action` names. */
static int act_at(const struct shell *sh, size_t number, const char *name,
		  const struct wss_shell_action *action)
{
	char why[WSS_SHELL_ERROR_SIZE];
	struct wss_shell_server server;
	struct wss_shell_client client;

	if (!wss_port_shell_server(number, &server)) {
		if (SEVERAL) {
			shell_error(sh, "Server %zu is not running", number);
		} else {
			shell_error(sh, "No server is running");
		}
		return -ENOENT;
	}
	if (action->slot != WSS_SHELL_ALL &&
	    !server.calls->client(server.object, action->slot, &client)) {
		shell_error(sh, "There is no client %s", name);
		return -ENOENT;
	}
	if (!server.calls->act(server.object, action, why)) {
		shell_error(sh, "Client %s: %s", name, why);
		return -EIO;
	}
	return 0;
}

/* Runs an action for the clients that an argument names: `all`, SLOT, SERVER/SLOT, SERVER/all. */
static int act(const struct shell *sh, const char *name, struct wss_shell_action *action)
{
	const char *text = name;
	uint32_t number = 0;
	int result = 0;

	action->slot = WSS_SHELL_ALL;
	if (strcmp(name, "all") == 0) {
		bool found = false;

		for (size_t each = 0; each < CONFIG_WSS_SERVERS; each++) {
			struct wss_shell_server server;

			if (wss_port_shell_server(each, &server)) {
				int one = act_at(sh, each, name, action);

				found = true;
				result = result != 0 ? result : one;
			}
		}
		if (!found) {
			shell_error(sh, "No server is running");
			return -ENOENT;
		}
		return result;
	}
	if (SEVERAL) {
		number = number_below(&text, '/', CONFIG_WSS_SERVERS);
		text++;
	}
	if (number != UINT32_MAX && (!SEVERAL || strcmp(text, "all") != 0)) {
		action->slot = number_below(&text, '\0', CONFIG_WSS_MAX_CLIENTS);
		number = action->slot != UINT32_MAX ? number : UINT32_MAX;
	}
	if (number == UINT32_MAX) {
		shell_error(sh, "There is no client %s: use %s or all, see wss clients", name,
			    SEVERAL ? "SERVER/CLIENT, SERVER/all" : "the number of a client");
		return -ENOENT;
	}
	return act_at(sh, number, name, action);
}

static int send_text(const struct shell *sh, size_t argc, char **argv)
{
	struct wss_shell_action action = {
		.kind = WSS_SHELL_TEXT, .text = argv[2], .len = strlen(argv[2])};

	ARG_UNUSED(argc);
	return act(sh, argv[1], &action);
}

static int ping(const struct shell *sh, size_t argc, char **argv)
{
	struct wss_shell_action action = {.kind = WSS_SHELL_PING, .text = ""};

	if (argc > 2) {
		action.text = argv[2];
		action.len = strlen(argv[2]);
	}
	if (action.len > MAX_PING) {
		shell_error(sh, "A ping has at most %d bytes (this has %zu)", MAX_PING, action.len);
		return -EINVAL;
	}
	return act(sh, argv[1], &action);
}

/* The codes of RFC 6455 section 7.4 and IANA's registry. */
static bool may_be_sent(unsigned long code)
{
	return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) ||
	       (code >= 3000 && code <= 4999);
}

static int close_client(const struct shell *sh, size_t argc, char **argv)
{
	struct wss_shell_action action = {
		.kind = WSS_SHELL_CLOSE, .code = NORMAL_CLOSURE, .text = ""};

	if (argc > 2) {
		char *end;
		unsigned long code = strtoul(argv[2], &end, 10);

		if (*end != '\0' || !may_be_sent(code)) {
			shell_error(sh, "%s is not a close code that may be sent (1000-1003, "
				    "1007-1014, 3000-4999)", argv[2]);
			return -EINVAL;
		}
		action.code = (uint32_t)code;
	}
	if (argc > 3) {
		action.text = argv[3];
		action.len = strlen(argv[3]);
	}
	if (action.len > MAX_REASON) {
		shell_error(sh, "A reason has at most %d bytes (this has %zu)", MAX_REASON,
			    action.len);
		return -EINVAL;
	}
	return act(sh, argv[1], &action);
}

static void show_stats(const struct shell *sh, size_t number, const struct wss_shell_server *server)
{
	struct wss_shell_stats stats;

	server->calls->stats(server->object, &stats);
	if (SEVERAL) {
		shell_print(sh, "Server %zu", number);
	}
	shell_print(sh, "connections: %u accepted, %u upgraded, %u closed, %u aborted, %u timed out",
		    stats.accepted, stats.connected, stats.closed, stats.aborted, stats.timeouts);
	shell_print(sh, "rejected: %u without a free slot, %u forbidden, %u other requests",
		    stats.refused_full, stats.refused_forbidden, stats.refused_requests);
	shell_print(sh, "received: %u messages, %llu bytes", stats.messages_received,
		    (unsigned long long)stats.bytes_received);
	shell_print(sh, "sent: %u messages, %llu bytes, %u rejected without room",
		    stats.messages_sent, (unsigned long long)stats.bytes_sent, stats.would_block);
	shell_print(sh, "errors: %u with 1002, %u with 1007, %u with 1009, %u on accepting",
		    stats.protocol_errors, stats.invalid_payloads, stats.messages_too_big,
		    stats.accept_errors);
	shell_print(sh, "limits: %u rejected by address, %u closed with 1008, %u pauses in accepting",
		    stats.refused_address, stats.policy_violations, stats.accept_pauses);
	shell_print(sh, "at most: %u clients, %u blocks of output", stats.most_clients,
		    stats.most_blocks);
}

static int stats(const struct shell *sh, size_t argc, char **argv)
{
	ARG_UNUSED(argc);
	ARG_UNUSED(argv);
	return for_each_server(sh, show_stats);
}

SHELL_STATIC_SUBCMD_SET_CREATE(commands,
	SHELL_CMD_ARG(status, NULL, "Shows whether a server runs, and where", status, 1, 0),
	SHELL_CMD_ARG(clients, NULL, "Lists the clients: state, address, path", clients, 1, 0),
	SHELL_CMD_ARG(send, NULL, "CLIENT|all TEXT: sends a text message", send_text, 3, 0),
	SHELL_CMD_ARG(ping, NULL, "CLIENT|all [TEXT]: sends a ping", ping, 2, 1),
	SHELL_CMD_ARG(close, NULL, "CLIENT|all [CODE [REASON]]: closes the connection",
		      close_client, 2, 2),
	SHELL_CMD_ARG(stats, NULL, "Shows the statistics", stats, 1, 0),
	SHELL_SUBCMD_SET_END);

SHELL_CMD_REGISTER(wss, &commands, "WebSocket server commands", NULL);
