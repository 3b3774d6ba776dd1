/* SPDX-License-Identifier: Apache-2.0 */
/* The host's part of the tests: a program for the cases, and functions that need the operating system. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "test.h"

static const char *running = "";

void test_fail(const char *file, int line, const char *what)
{
	fprintf(stderr, "%s:%d: %s: failed: %s\n", file, line, running, what);
	fflush(NULL);
	/* Not exit(): other threads still use what it would free. */
	_Exit(1);
}

/* Returns whether a list, with a space before and after each name, contains this name. */
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
		/* Cases that are postponed run if they are named. */
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

static int entries(const char *path)
{
	DIR *directory = opendir(path);
	int count = 0;

	CHECK(directory != NULL);
	while (readdir(directory) != NULL) {
		count++;
	}
	closedir(directory);
	return count;
}

int open_descriptors(void)
{
	return entries("/proc/self/fd");
}

int running_threads(void)
{
	return entries("/proc/self/task");
}

/* Far more than are open; still, to use up all that there may be would take its time. */
#define DESCRIPTORS 64

static struct rlimit descriptors;
static int used_up[DESCRIPTORS];
static size_t used_up_count;

void use_up_descriptors(void)
{
	struct rlimit few;
	int fd;

	CHECK(getrlimit(RLIMIT_NOFILE, &descriptors) == 0);
	few = descriptors;
	few.rlim_cur = DESCRIPTORS;
	CHECK(setrlimit(RLIMIT_NOFILE, &few) == 0);
	while ((fd = dup(STDERR_FILENO)) >= 0) {
		used_up[used_up_count++] = fd;
	}
	CHECK(used_up_count > 0);
}

void give_descriptors_back(void)
{
	while (used_up_count > 0) {
		close(used_up[--used_up_count]);
	}
	CHECK(setrlimit(RLIMIT_NOFILE, &descriptors) == 0);
}
