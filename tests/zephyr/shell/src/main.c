/* SPDX-License-Identifier: Apache-2.0 */
/* The shell command `wss`, with a real client. */
#include <string.h>

#include <zephyr/kernel.h>
#include <zephyr/net/socket.h>
#include <zephyr/shell/shell.h>
#include <zephyr/shell/shell_dummy.h>
#include <zephyr/ztest.h>

#include <wss/sys_wss.h>

#include "client.h"

static void callback(SYS_WSS_EVENTS event, void *data, int32_t client, void *cookie)
{
	ARG_UNUSED(event);
	ARG_UNUSED(data);
	ARG_UNUSED(client);
	ARG_UNUSED(cookie);
}

/* 130 bytes. */
#define TEN  "0123456789"
#define LONG TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN

/* The output of the command. */
static const char *output_of(const char *command, int expected)
{
	const struct shell *sh = shell_backend_dummy_get_ptr();
	size_t size;

	shell_backend_dummy_clear_output(sh);
	zassert_equal(shell_execute_cmd(sh, command), expected, "%s", command);
	return shell_backend_dummy_get_output(sh, &size);
}

static void prints(const char *command, int expected, const char *text)
{
	const char *output = output_of(command, expected);

	zassert_not_null(strstr(output, text), "%s: %s", command, output);
}

static int fd;

static void *set_up(void)
{
	/* The shell's own thread must be ready. */
	k_msleep(100);
	prints("wss status", 0, "No server is running");
	prints("wss stats", 0, "No server is running");
	zassert_equal(SYS_WSS_register_callback(callback, NULL), SYS_WSS_SUCCESS);
	fd = client_connect("127.0.0.1", "/seen?x");
	return NULL;
}

ZTEST(shell, test_1_status_and_clients)
{
	prints("wss status", 0, "port 8000, 1 of 2 clients");
	prints("wss status", 0, "Listening on ");
	prints("wss clients", 0, "0: connected, 127.0.0.1:");
	prints("wss clients", 0, " /seen");
	prints("wss stats", 0, "1 accepted, 1 upgraded, 0 closed");
}

ZTEST(shell, test_2_wrong_arguments)
{
	prints("wss send 1 hello", -ENOENT, "no client 1");
	prints("wss send 2 hello", -ENOENT, "no client 2");
	prints("wss send x hello", -ENOENT, "no client x");
	prints("wss send 0/0 hello", -ENOENT, "no client 0/0: use the number of a client or all");
	prints("wss send -1 hello", -ENOENT, "no client -1");
	prints("wss send 0 \xff", -EIO, "Client 0: the text is not UTF-8");
	prints("wss ping 0 " LONG, -EINVAL, "at most 125 bytes (this has 130)");
	prints("wss close 0 1000 " LONG, -EINVAL, "at most 123 bytes (this has 130)");
	prints("wss close 0 x", -EINVAL, "x is not a close code that may be sent");
	prints("wss close 0 1005", -EINVAL, "1005 is not a close code that may be sent");
	prints("wss close 0 99", -EINVAL, "(1000-1003, 1007-1014, 3000-4999)");
}

ZTEST(shell, test_3_send_ping_close)
{
	output_of("wss send 0 hello", 0);
	client_receives(fd, "\x81\x05hello", 7);
	output_of("wss send all \"to all\"", 0);
	client_receives(fd, "\x81\x06to all", 8);
	output_of("wss ping 0 x", 0);
	client_receives(fd, "\x89\x01x", 3);
	output_of("wss close 0 1001 bye", 0);
	client_receives(fd, "\x88\x05\x03\xe9" "bye", 7);
	prints("wss clients", 0, "0: closing, 127.0.0.1:");
	prints("wss send 0 hello", -EIO, "Client 0: the client is not connected");
	zsock_close(fd);
	k_msleep(200);
	prints("wss clients", 0, "No clients");
	prints("wss stats", 0, "1 accepted, 1 upgraded, 1 closed");
}

ZTEST_SUITE(shell, NULL, set_up, NULL, NULL, NULL);
