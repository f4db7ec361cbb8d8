// SPDX-License-Identifier: GPL-2.0-only
/* How scarce memory is shared out among VMs. */
#include "policy.h"

#include "util.h"

#define GRAIN		MIB	/* goals are multiples of it, where bounds allow */
#define STEPS		512	/* the pool is dealt out in so many pieces */
#define DEAD_MIN	(4 * MIB)
#define DEAD_PART	32	/* a change below size / 32 is not worth a message */
#define AGAIN		4	/* rounds before a target not met is sent again */

const struct policy_params policy_defaults = {
	.tax = 0.75, .full = 90, .fill = 85, .ease = 75, .psi = 10, .calm = 5,
};

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t most(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

double policy_rho(const struct policy_vm *vm, uint64_t bytes, double tax)
{
	double k = 1 / (1 - tax);
	double active = least(vm->active, bytes);
	double idle = bytes - active;

	/* P (f + k (1 - f)), with P f active and P (1 - f) idle. */
	return vm->shares / (active + k * idle + 1);
}

/* What a VM gets before anything is shared: its minimum, or what it needs. */
static uint64_t floor_of(const struct policy_vm *vm, bool needs)
{
	uint64_t v = vm->min;

	/* Nothing can be taken from it, and it may come to use all. */
	if (!vm->driver)
		return vm->size;
	if (needs)
		v = most(v, vm->need);
	return least(v, vm->size);
}

void policy_share(const struct policy_params *p, uint64_t pool,
		  struct policy_vm *vm, unsigned int nr)
{
	uint64_t sum = 0, left, grain;
	bool needs;

	for (unsigned int i = 0; i < nr; i++)
		sum += floor_of(&vm[i], true);
	needs = sum <= pool;
	sum = 0;
	for (unsigned int i = 0; i < nr; i++) {
		vm[i].goal = floor_of(&vm[i], needs);
		sum += vm[i].goal;
	}
	left = pool > sum ? pool - sum : 0;
	grain = most(round_up(left / STEPS, GRAIN), GRAIN);
	/* Taking from who pays least ends where giving to who pays most does. */
	while (left) {
		struct policy_vm *best = NULL;
		uint64_t piece;

		for (unsigned int i = 0; i < nr; i++) {
			vm[i].rho = policy_rho(&vm[i], vm[i].goal, p->tax);
			if (vm[i].goal < vm[i].size &&
			    (!best || vm[i].rho > best->rho))
				best = &vm[i];
		}
		if (!best)
			break;
		piece = least(least(grain, left), best->size - best->goal);
		best->goal += piece;
		left -= piece;
	}
	for (unsigned int i = 0; i < nr; i++) {
		uint64_t even = round_down(vm[i].goal, GRAIN);

		if (even >= floor_of(&vm[i], needs) && vm[i].goal < vm[i].size)
			vm[i].goal = even;
		vm[i].rho = policy_rho(&vm[i], vm[i].goal, p->tax);
	}
}

static uint64_t part(uint64_t v, unsigned int percent)
{
	return v / 100 * percent;
}

static void decide(const struct policy_params *p,
		   const struct policy_host *host, struct policy_memory *m)
{
	bool scarce = host->used >= part(host->budget, p->full) ||
		      host->state >= POLICY_SOFT;

	if (scarce || host->psi >= p->psi) {
		if (scarce || !host->module)
			m->step = POLICY_BALLOON;
		else if (m->step < POLICY_BALLOON)
			m->step++;
		m->taking |= m->step == POLICY_BALLOON;
		m->calm = 0;
		return;
	}
	if (host->used > part(host->budget, p->ease) ||
	    host->state > POLICY_CLEAR || host->psi > p->psi / 10) {
		m->calm = 0;
		return;
	}
	if (!m->taking || ++m->calm >= p->calm) {
		m->taking = false;
		m->step = POLICY_REST;
	}
}

static uint64_t apart(uint64_t a, uint64_t b)
{
	return a > b ? a - b : b - a;
}

/* Whether the VM has to be told. */
static bool worth(const struct policy_vm *vm, uint64_t round)
{
	uint64_t dead = most(DEAD_MIN, vm->size / DEAD_PART);

	if (!vm->driver || vm->goal == vm->target) {
		/* Linux tries a target that its need undid only when told again. */
		return vm->driver && round % AGAIN == 0 &&
		       apart(vm->actual, vm->target) >= dead;
	}
	/* The ends of its range are reached, however small the step. */
	return apart(vm->goal, vm->target) >= dead || vm->goal == vm->size ||
	       vm->target < vm->min;
}

/*
 * Give back: no more in one round than half of what may be used before taking
 * begins again, or all would be wanted back by those who fill it at once.
 */
static void give(const struct policy_params *p, const struct policy_host *host,
		 struct policy_vm *vm, unsigned int nr)
{
	uint64_t ease = part(host->budget, p->full), told = 0, size = 0;
	uint64_t room = ease > host->used ? (ease - host->used) / 2 : 0;

	for (unsigned int i = 0; i < nr; i++) {
		told += vm[i].driver ? least(vm[i].target, vm[i].size) :
			vm[i].size;
		size += vm[i].size;
	}
	policy_share(p, least(told + room, size), vm, nr);
	/* Shares may have moved; while there is enough nobody loses by that. */
	for (unsigned int i = 0; i < nr; i++)
		if (vm[i].goal < vm[i].target)
			vm[i].goal = least(vm[i].target, vm[i].size);
}

void policy_round(const struct policy_params *p, const struct policy_host *host,
		  struct policy_memory *m, struct policy_vm *vm,
		  unsigned int nr)
{
	decide(p, host, m);
	m->round++;
	if (m->taking)
		policy_share(p, part(host->budget, p->fill), vm, nr);
	else
		give(p, host, vm, nr);
	for (unsigned int i = 0; i < nr; i++)
		vm[i].set = worth(&vm[i], m->round);
}
