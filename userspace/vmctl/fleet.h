/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The running VMs and the host's memory, in one look: from the control
 * sockets, and from the module where it is loaded.
 */
#ifndef FLEET_H
#define FLEET_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct family;

#define FLEET_UNKNOWN UINT64_MAX

/* Sizes in bytes; FLEET_UNKNOWN where nobody knows. */
struct fleet_vm {
	char name[80];		/* "pid-N" of a VM that only the module knows */
	bool control;		/* it has a control socket */
	unsigned int id;	/* of the module, 0: not one of its VMs */
	int pid;
	unsigned int cpus;
	uint64_t size, min, shares;
	bool driver;		/* its balloon works */
	uint64_t target, actual;
	uint64_t active;	/* working set, by the module or the guest */
	uint64_t available;	/* what the guest could use, by itself */
	uint64_t resident, shared, zero, ballooned;
	uint64_t exits;		/* since its start */
};

struct fleet {
	struct fleet_vm *vm;
	unsigned int nr;
	/* The host. */
	uint64_t total, available;
	uint64_t used;		/* by all guests, a shared page once */
	uint64_t budget;	/* the module's; 0: none */
	int state;		/* enum policy_state, -1: no module */
	double psi;		/* memory, "some", ten seconds, per cent; -1: none */
	json_t *domains;	/* the module's list, or NULL */
};

/*
 * Look. @f may be NULL; @exits: also count them, which asks the VMs for more.
 * The guests are asked for statistics for the next time. 0 or -ENOMEM.
 */
int fleet_read(struct fleet *fleet, struct family *f, bool exits);
void fleet_free(struct fleet *fleet);

/* The module's word for a host state. */
const char *fleet_state(const struct fleet *fleet);

#endif
