/* SPDX-License-Identifier: Apache-2.0 */
/* What the module uses of Zephyr's header of this name, see tests/zephyr/compile. */
#ifndef WSS_TEST_ITERABLE_SECTIONS_H
#define WSS_TEST_ITERABLE_SECTIONS_H

#define STRUCT_SECTION_ITERABLE(type, name) struct type name

#endif
