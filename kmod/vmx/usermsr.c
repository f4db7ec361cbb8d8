// SPDX-License-Identifier: GPL-2.0-only
/* MSRs of user mode: loaded lazily, restored at the next return to user space. */
#include <linux/percpu.h>
#include <linux/user-return-notifier.h>
#include <asm/cpufeature.h>

#include "../emys.h"
#include "rawmsr.h"
#include "usermsr.h"

/* Not CSTAR: SYSCALL from 32-bit code is #UD on Intel CPUs, so nothing reads it. */
enum { UM_STAR, UM_LSTAR, UM_FMASK, UM_TSC_AUX, UM_NR };

static const u32 um_msr[UM_NR] = {
	[UM_STAR] = MSR_STAR,
	[UM_LSTAR] = MSR_LSTAR,
	[UM_FMASK] = MSR_SYSCALL_MASK,
	[UM_TSC_AUX] = MSR_TSC_AUX,
};

static unsigned int um_nr __ro_after_init;	/* without TSC_AUX where the CPU has none */

/* Only touched on its CPU with interrupts off. */
struct um_cpu {
	struct user_return_notifier urn;
	bool registered, known, lazy;
	u64 host[UM_NR], cur[UM_NR];
};

static DEFINE_PER_CPU(struct um_cpu, um_cpu);

static void put_back(struct um_cpu *um)
{
	unsigned int i;

	for (i = 0; i < um_nr; i++) {
		if (um->cur[i] != um->host[i]) {
			raw_wrmsr(um_msr[i], um->host[i]);
			um->cur[i] = um->host[i];
		}
	}
}

void usermsr_restore(void)
{
	struct um_cpu *um = this_cpu_ptr(&um_cpu);

	if (!um->registered)
		return;
	um->registered = false;
	user_return_notifier_unregister(&um->urn);
	put_back(um);
}

static void um_on_user_return(struct user_return_notifier *urn)
{
	unsigned long flags;

	/* An unload's IPI must not come between the test and the unregistration. */
	local_irq_save(flags);
	usermsr_restore();
	local_irq_restore(flags);
}

void usermsr_load(struct emys_vcpu *vcpu)
{
	const struct emys_msrs *m = &vcpu->msrs;
	const u64 want[UM_NR] = { m->star, m->lstar, m->fmask, m->tsc_aux };
	struct um_cpu *um = this_cpu_ptr(&um_cpu);
	bool changed = false;
	unsigned int i;

	if (!um->known) {
		for (i = 0; i < um_nr; i++) {
			um->host[i] = raw_rdmsr(um_msr[i]);
			um->cur[i] = um->host[i];
		}
		um->known = true;
	}
	/* With SYSCALL off nothing reads its targets. */
	for (i = m->efer & EFER_SCE ? 0 : UM_TSC_AUX; i < um_nr; i++) {
		if (um->cur[i] == want[i])
			continue;
		raw_wrmsr(um_msr[i], want[i]);
		um->cur[i] = want[i];
		changed = true;
	}
	if (changed && um->lazy && !um->registered) {
		um->registered = true;
		um->urn.on_user_return = um_on_user_return;
		user_return_notifier_register(&um->urn);
	}
}

void usermsr_enter(struct emys_vcpu *vcpu, bool lazy)
{
	struct um_cpu *um = this_cpu_ptr(&um_cpu);

	/* What is there now may be what another owner has loaded. */
	if (!lazy || !um->lazy)
		um->known = false;
	um->lazy = lazy;
	usermsr_load(vcpu);
}

void usermsr_leave(void)
{
	struct um_cpu *um = this_cpu_ptr(&um_cpu);

	if (!um->lazy)
		put_back(um);
}

void __init usermsr_init(void)
{
	um_nr = boot_cpu_has(X86_FEATURE_RDTSCP) || boot_cpu_has(X86_FEATURE_RDPID) ?
		UM_NR : UM_TSC_AUX;
}
