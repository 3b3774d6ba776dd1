/* SPDX-License-Identifier: Apache-2.0 */
/* The cases of src/lib.rs, as a ztest suite. An assertion that fails in Rust fails here. */
#include <errno.h>
#include <string.h>

#include <zephyr/kernel.h>
#include <zephyr/net/socket.h>
#include <zephyr/shell/shell.h>
#include <zephyr/shell/shell_dummy.h>
#include <zephyr/ztest.h>

/* Longer than any answer takes. */
#define PATIENCE_S 5

/* In Rust. */
void a_handler_is_told_everything_in_order(void);
void the_application_closes(void);
void all_clients_are_sent_to(void);
void messages_wait_for_each_other_until_they_are_flushed(void);
void a_message_is_sent_in_fragments(void);
void the_accept_hook_picks_a_subprotocol(void);
void the_accept_hook_refuses_with_403(void);
void the_accept_hook_answers_later(void);
void one_client_too_many_gets_503(void);
void each_client_has_a_session_of_its_own(void);
void groups_are_sent_to(void);
void ticks_come_with_their_period(void);
void a_connection_is_adopted_in_the_middle_of_its_request(void);
void an_upgraded_connection_is_adopted_with_the_frame_it_has_received(void);
void a_connection_that_is_not_adopted_stays_the_applications(void);
void a_queue_has_the_events(void);
void a_message_on_a_queue_is_held(void);
void a_full_queue_loses_nothing(void);
void a_handler_and_a_queue_share_the_events(void);
void there_are_as_many_queues_as_kconfig_says(void);
void the_end_that_a_handler_begins_wakes_the_reader_of_a_queue(void);
void a_server_can_be_started_again(void);
void a_stopped_server_closes_with_1001(void);
void there_are_as_many_servers_as_kconfig_says(void);
void a_port_in_use_is_told(void);
void limits_that_kconfig_has_at_0_are_refused(void);
void the_shell_knows_servers_and_clients(void);

/* Rust's values of these are for another C library than native_sim's. */
const uint32_t errno_invalid = EINVAL;
const int errno_no_entry = ENOENT;

/* The location of the client's last step in Rust, until the case is over. */
static struct {
	const char *file;
	size_t len;
	uint32_t line;
} step;

void client_steps(const char *file, size_t len, uint32_t line)
{
	step.file = file;
	step.len = len;
	step.line = line;
}

void client_is_impatient(int fd)
{
	struct zsock_timeval patience = {.tv_sec = PATIENCE_S};

	zassert_ok(zsock_setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)));
}

void client_has_nothing(int fd)
{
	char byte;

	zassert_equal(zsock_recv(fd, &byte, 1, ZSOCK_MSG_DONTWAIT), -1);
	zassert_equal(errno, EAGAIN);
}

/* Connections that the application accepts itself. */

int32_t application_listens(uint16_t port)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
	const int on = 1;
	int fd = zsock_socket(AF_INET, SOCK_STREAM, IPPROTO_TCP);

	/* Connections of the previous case may be left. */
	zassert_ok(zsock_setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)));
	zassert_ok(zsock_bind(fd, (struct sockaddr *)&address, sizeof(address)));
	zassert_ok(zsock_listen(fd, 1));
	return fd;
}

int32_t application_accepts(int32_t listener)
{
	int fd = zsock_accept(listener, NULL, NULL);

	zassert_true(fd >= 0);
	return fd;
}

void application_closes(int32_t fd)
{
	zassert_ok(zsock_close(fd));
}

/* Runs a command, whose output must contain this. */
void shell_prints(const char *command, int result, const char *text)
{
	const struct shell *sh = shell_backend_dummy_get_ptr();
	const char *output;
	size_t size;

	WAIT_FOR(shell_ready(sh), PATIENCE_S * USEC_PER_SEC, k_msleep(1));
	shell_backend_dummy_clear_output(sh);
	zassert_equal(shell_execute_cmd(sh, command), result, "%s", command);
	output = shell_backend_dummy_get_output(sh, &size);
	zassert_not_null(strstr(output, text), "%s: %s", command, output);
}

/* Called after a panic of Rust on any thread, with its location. */
FUNC_NORETURN void rust_panic_wrap(void)
{
	ztest_test_fail();
	/* No case was running. */
	k_panic();
	CODE_UNREACHABLE;
}

static void run(void (*rust)(void))
{
	rust();
	step.line = 0;
}

static void after(void *fixture)
{
	ARG_UNUSED(fixture);
	if (step.line != 0) {
		TC_PRINT("failed; the client's last step: %.*s:%u\n", (int)step.len, step.file,
			 step.line);
	}
}

ZTEST(rust, test_a_handler_is_told_everything_in_order)
{
	run(a_handler_is_told_everything_in_order);
}

ZTEST(rust, test_the_application_closes)
{
	run(the_application_closes);
}

ZTEST(rust, test_all_clients_are_sent_to)
{
	run(all_clients_are_sent_to);
}

ZTEST(rust, test_messages_wait_for_each_other_until_they_are_flushed)
{
	run(messages_wait_for_each_other_until_they_are_flushed);
}

ZTEST(rust, test_a_message_is_sent_in_fragments)
{
	run(a_message_is_sent_in_fragments);
}

ZTEST(rust, test_the_accept_hook_picks_a_subprotocol)
{
	run(the_accept_hook_picks_a_subprotocol);
}

ZTEST(rust, test_the_accept_hook_refuses_with_403)
{
	run(the_accept_hook_refuses_with_403);
}

ZTEST(rust, test_the_accept_hook_answers_later)
{
	run(the_accept_hook_answers_later);
}

ZTEST(rust, test_one_client_too_many_gets_503)
{
	run(one_client_too_many_gets_503);
}

ZTEST(rust, test_each_client_has_a_session_of_its_own)
{
	run(each_client_has_a_session_of_its_own);
}

ZTEST(rust, test_groups_are_sent_to)
{
	run(groups_are_sent_to);
}

ZTEST(rust, test_ticks_come_with_their_period)
{
	run(ticks_come_with_their_period);
}

ZTEST(rust, test_a_connection_is_adopted_in_the_middle_of_its_request)
{
	run(a_connection_is_adopted_in_the_middle_of_its_request);
}

ZTEST(rust, test_an_upgraded_connection_is_adopted_with_the_frame_it_has_received)
{
	run(an_upgraded_connection_is_adopted_with_the_frame_it_has_received);
}

ZTEST(rust, test_a_connection_that_is_not_adopted_stays_the_applications)
{
	run(a_connection_that_is_not_adopted_stays_the_applications);
}

ZTEST(rust, test_a_queue_has_the_events)
{
	run(a_queue_has_the_events);
}

ZTEST(rust, test_a_message_on_a_queue_is_held)
{
	run(a_message_on_a_queue_is_held);
}

ZTEST(rust, test_a_full_queue_loses_nothing)
{
	run(a_full_queue_loses_nothing);
}

ZTEST(rust, test_a_handler_and_a_queue_share_the_events)
{
	run(a_handler_and_a_queue_share_the_events);
}

ZTEST(rust, test_there_are_as_many_queues_as_kconfig_says)
{
	run(there_are_as_many_queues_as_kconfig_says);
}

ZTEST(rust, test_the_end_that_a_handler_begins_wakes_the_reader_of_a_queue)
{
	run(the_end_that_a_handler_begins_wakes_the_reader_of_a_queue);
}

ZTEST(rust, test_a_server_can_be_started_again)
{
	run(a_server_can_be_started_again);
}

ZTEST(rust, test_a_stopped_server_closes_with_1001)
{
	run(a_stopped_server_closes_with_1001);
}

ZTEST(rust, test_there_are_as_many_servers_as_kconfig_says)
{
	run(there_are_as_many_servers_as_kconfig_says);
}

ZTEST(rust, test_a_port_in_use_is_told)
{
	run(a_port_in_use_is_told);
}

ZTEST(rust, test_limits_that_kconfig_has_at_0_are_refused)
{
	run(limits_that_kconfig_has_at_0_are_refused);
}

ZTEST(rust, test_the_shell_knows_servers_and_clients)
{
	run(the_shell_knows_servers_and_clients);
}

ZTEST_SUITE(rust, NULL, NULL, NULL, after, NULL);
