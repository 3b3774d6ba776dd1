/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Network interfaces whose peers are in the same image: what is sent to an address comes back from it. The
 * image has the addresses that end with 1, and clients connect to those that end with 2.
 */
#ifndef WIRE_H
#define WIRE_H

#include <zephyr/net/net_if.h>

struct wire {
	struct net_if *iface;
	/* The image's own address, and the address that clients connect to. */
	const char *own4;
	const char *peer4;
	const char *own6;
	const char *peer6;
};

extern struct wire wires[];

/* Adds an IPv4 address of its network to an interface, and removes it. */
void wire_add(struct wire *wire, const char *address);
void wire_remove(struct wire *wire, const char *address);

/* Restores the initial state, after a test that failed. */
void wire_restore(struct wire *wire);

#endif
