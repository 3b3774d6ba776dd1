/* SPDX-License-Identifier: Apache-2.0 */
#include <zephyr/kernel.h>

struct shell;
struct shell_static_entry {
	const char *name;
	const void *below;
	const char *help;
	int (*handler)(const struct shell *sh, size_t argc, char **argv);
	int mandatory;
	int optional;
};
#define SHELL_CMD_ARG(name, below, help, handler, mandatory, optional)                             \
	{#name, below, help, handler, mandatory, optional}
#define SHELL_SUBCMD_SET_END {NULL, NULL, NULL, NULL, 0, 0}
#define SHELL_STATIC_SUBCMD_SET_CREATE(name, ...)                                                  \
	static const struct shell_static_entry name[] = {__VA_ARGS__}
#define SHELL_CMD_REGISTER(name, below, help, handler)                                             \
	const struct shell_static_entry command_##name = {#name, below, help, handler, 0, 0}
__attribute__((format(printf, 2, 3))) void shell_print(const struct shell *sh, const char *format,
						       ...);
__attribute__((format(printf, 2, 3))) void shell_error(const struct shell *sh, const char *format,
						       ...);
enum shell_vt100_color {
	SHELL_NORMAL,
};
__attribute__((format(printf, 3, 4))) void shell_fprintf(const struct shell *sh,
							 enum shell_vt100_color color,
							 const char *format, ...);
