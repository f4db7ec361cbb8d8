/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * policy.h - how scarce memory is shared out among VMs. Pure: no clock, no I/O.
 *
 * Source: Waldspurger, "Memory Resource Management in VMware ESX Server", OSDI
 * 2002, sections on shares and on the idle memory tax. A VM with S shares that
 * has P bytes, of which the fraction f is active, pays rho = S / (P (f + k (1 -
 * f))) a byte, k = 1 / (1 - tau); memory is taken from who pays least.
 */
#ifndef POLICY_H
#define POLICY_H

#include <stdbool.h>
#include <stdint.h>

/* Host states, worst last; the module's names. */
enum policy_state {
	POLICY_HIGH, POLICY_CLEAR, POLICY_SOFT, POLICY_HARD, POLICY_LOW,
};

struct policy_params {
	double tax;		/* tau, 0 to 0.99; 0.75 is the paper's */
	unsigned int full;	/* per cent of the budget in use: begin to take */
	unsigned int fill;	/* what VMs may have together while taking */
	unsigned int ease;	/* in use below this: give back */
	double psi;		/* stall time in per cent that also begins it */
	unsigned int calm;	/* rounds of ease before anything is given back */
};

extern const struct policy_params policy_defaults;

struct policy_host {
	uint64_t budget;	/* bytes for all VMs together */
	uint64_t used;		/* bytes they cost now */
	enum policy_state state;
	double psi;		/* "some", the last ten seconds, per cent */
	bool module;		/* there is one, that can scan and break */
};

/*
 * What is tried in turn, a step each round, while tasks stall for memory: what
 * costs the guests nothing first. The module climbs the same steps by its own
 * states; when those or the budget say that memory is scarce, ballooning begins
 * at once.
 */
enum policy_step {
	POLICY_REST,
	POLICY_SCAN,		/* drop zero pages, merge duplicates */
	POLICY_BREAK,		/* break large pages that have something to share */
	POLICY_BALLOON,
};

/* Carried from round to round; zero at first. */
struct policy_memory {
	bool taking;
	enum policy_step step;	/* what this round is to do about stalls */
	unsigned int calm;
	uint64_t round;
};

struct policy_vm {
	/* In. Bytes. */
	uint64_t size;		/* all its memory */
	uint64_t min;		/* never less */
	uint64_t target;	/* what it was last told */
	uint64_t actual;	/* what it has */
	uint64_t active;	/* what it works with */
	uint64_t need;		/* less makes it short; 0: not known */
	uint64_t shares;
	bool driver;		/* it has a balloon that works */
	/* Out. */
	uint64_t goal;		/* its part, at least min and at most size */
	double rho;		/* what it pays for a byte at that */
	bool set;		/* tell it: goal is its new target */
};

/* The price of the paper for a VM that has @bytes. */
double policy_rho(const struct policy_vm *vm, uint64_t bytes, double tax);

/*
 * Share @pool bytes out: goal and rho of all. Needs are met before anything
 * else is given while the pool holds them, minimums always, though they
 * exceed it; a VM without a driver keeps what it has.
 */
void policy_share(const struct policy_params *p, uint64_t pool,
		  struct policy_vm *vm, unsigned int nr);

/* One round: decide whether to take or to give, and what to tell whom. */
void policy_round(const struct policy_params *p, const struct policy_host *host,
		  struct policy_memory *memory, struct policy_vm *vm,
		  unsigned int nr);

#endif
