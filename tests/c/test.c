/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const char *running = "";

void test_fail(const char *file, int line, const char *what)
{
	fprintf(stderr, "%s:%d: %s: failed: %s\n", file, line, running, what);
	fflush(NULL);
	/* Not exit: other threads are still at work on what it would tear down. */
	_Exit(1);
}

void test_int(const char *file, int line, const char *what, long long actual, long long expected)
{
	char text[256];

	if (actual != expected) {
		snprintf(text, sizeof(text), "%s is %lld, not %lld", what, actual, expected);
		test_fail(file, line, text);
	}
}

void test_bytes(const char *file, int line, const char *what, const void *actual, size_t actual_len,
		const void *expected, size_t expected_len)
{
	char text[256];

	if (actual_len != expected_len ||
	    (expected_len > 0 && memcmp(actual, expected, expected_len) != 0)) {
		snprintf(text, sizeof(text), "%s: %zu bytes '%.*s', not %zu bytes '%.*s'", what, actual_len,
			 (int)(actual_len < 60 ? actual_len : 60), (const char *)actual, expected_len,
			 (int)(expected_len < 60 ? expected_len : 60), (const char *)expected);
		test_fail(file, line, text);
	}
}

/* Whether a list, with a space on either side of each, has this name. */
static bool named(const char *list, const char *name)
{
	char spaced[256];

	snprintf(spaced, sizeof(spaced), " %s ", name);
	return strstr(list, spaced) != NULL;
}

int test_main(int argc, char **argv, const struct test_case *cases, size_t count)
{
	size_t ran = 0;

	for (size_t i = 0; i < count; i++) {
		/* What waits for something else to be done runs if it is named. */
		bool chosen = argc < 2 && strncmp(cases[i].name, "todo_", 5) != 0;
		const char *skip = getenv("WSS_SKIP");

		if (skip != NULL && named(skip, cases[i].name)) {
			printf("skipped %s\n", cases[i].name);
			continue;
		}

		for (int arg = 1; arg < argc; arg++) {
			chosen = chosen || strstr(cases[i].name, argv[arg]) != NULL;
		}
		if (chosen) {
			int64_t start = now_ms();

			running = cases[i].name;
			cases[i].run();
			ran++;
			printf("ok %s (%lld ms)\n", running, (long long)(now_ms() - start));
			fflush(stdout);
		}
	}
	printf("%zu passed\n", ran);
	return ran > 0 ? 0 : 1;
}

int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void sleep_ms(int ms)
{
	struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};

	nanosleep(&time, NULL);
}
