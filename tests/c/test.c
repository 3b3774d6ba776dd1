/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

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
