/* SPDX-License-Identifier: Apache-2.0 */
/* As in zephyr/sys/iterable_sections.h. */
#ifndef ZEPHYR_SYS_ITERABLE_SECTIONS_H
#define ZEPHYR_SYS_ITERABLE_SECTIONS_H

#define STRUCT_SECTION_ITERABLE(type, name) struct type name

#define STRUCT_SECTION_FOREACH(type, iterator)                                                     \
	extern struct type _##type##_list_start[];                                                 \
	extern struct type _##type##_list_end[];                                                   \
	for (struct type *iterator = _##type##_list_start; iterator < _##type##_list_end; iterator++)

#endif /* ZEPHYR_SYS_ITERABLE_SECTIONS_H */
