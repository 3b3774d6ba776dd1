// SPDX-License-Identifier: Apache-2.0
//! `memmove` like that of a C library for devices, instead of Rust's, which is optimized for speed and takes 700 bytes.
//! Zephyr's builds link that of picolibc, see `zephyr/library.cmake`. The compiler calls it by these names.

use core::arch::global_asm;

global_asm!(
    ".section .text.memmove, \"ax\", %progbits",
    ".global memmove, __aeabi_memmove, __aeabi_memmove4, __aeabi_memmove8",
    ".type memmove, %function",
    ".type __aeabi_memmove, %function",
    ".type __aeabi_memmove4, %function",
    ".type __aeabi_memmove8, %function",
    ".thumb_func",
    "memmove:",
    ".thumb_func",
    "__aeabi_memmove:",
    ".thumb_func",
    "__aeabi_memmove4:",
    ".thumb_func",
    "__aeabi_memmove8:",
    "cmp r0, r1",
    "bls 2f",
    // To the right: from the end.
    "1: subs r2, #1",
    "it mi",
    "bxmi lr",
    "ldrb r3, [r1, r2]",
    "strb r3, [r0, r2]",
    "b 1b",
    // To the left: from the beginning.
    "2: mov r12, r0",
    "3: subs r2, #1",
    "it mi",
    "bxmi lr",
    "ldrb r3, [r1], #1",
    "strb r3, [r12], #1",
    "b 3b",
    ".size memmove, . - memmove",
);
