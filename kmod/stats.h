/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * stats.h - counters, defined by one list each and enumerated by userspace
 * through KVM_GET_STATS_FD (api.rst, "KVM_GET_STATS_FD").
 *
 * Each is a u64. vCPU counters are written only by the vCPU's thread; VM
 * counters are atomics, or kept by who counts. Counting never fails and takes no lock.
 */
#ifndef _EMYS_STATS_H
#define _EMYS_STATS_H

#include <linux/atomic.h>
#include <linux/types.h>

/* Why a guest exits. The first is for all that have no name of their own. */
#define EMYS_EXITS(X) \
	X(other), \
	X(exception), X(external_interrupt), X(triple_fault), X(init), X(sipi), \
	X(interrupt_window), X(nmi_window), X(task_switch), X(cpuid), X(hlt), X(invd), \
	X(invlpg), X(rdpmc), X(rdtsc), X(vmcall), X(vmclear), X(vmlaunch), X(vmptrld), \
	X(vmptrst), X(vmread), X(vmresume), X(vmwrite), X(vmxoff), X(vmxon), X(cr), X(dr), \
	X(io), X(rdmsr), X(wrmsr), X(entry_failure), X(mwait), X(monitor_trap), X(monitor), \
	X(pause), X(tpr), X(apic_access), X(eoi), X(descriptor), X(ept_violation), \
	X(ept_misconfig), X(invept), X(rdtscp), X(preemption_timer), X(invvpid), X(wbinvd), \
	X(xsetbv), X(apic_write), X(random), X(invpcid), X(vmfunc), X(pml_full), X(xsaves)

/*
 * Of a vCPU. exit_*: of the VM's guest, by reason. While that is a hypervisor (L1) and runs a
 * guest of its own (L2), each exit of the CPU is one of nested_fast_* (emys's, and L2 went on
 * within the section), nested_slow_* (emys's, after it) or nested_l1_* instead; nested_l1_* are
 * what L1 sees, so also the exits that emys makes.
 */
#define EMYS_VCPU_STATS(X, EXIT, FAST, SLOW, L1) \
	X(exits), X(sections), X(fast_exits), EMYS_EXITS(EXIT), \
	X(user_exits), X(user_io), X(user_mmio), X(mmio_kernel), X(io_kernel), \
	X(injected_irqs), X(injected_nmis), X(injected_exceptions), \
	X(halts), X(halt_wakeups), X(signal_exits), X(tlb_flushes), \
	X(nested_entries), X(nested_ept_walks), \
	EMYS_EXITS(FAST), EMYS_EXITS(SLOW), EMYS_EXITS(L1)

#define EMYS_VM_STATS(X) \
	X(mem_faults), X(mem_fault_retries), X(mem_pages_4k), X(mem_pages_2m), \
	X(mem_pages_1g), X(mem_zaps), X(mem_notifier_invalidations), X(remote_flushes)

/* Members of struct mem_derived_counts, as ept02_*; the first EMYS_EPT02_NOW are no sums. */
#define EMYS_EPT02_STATS(X) \
	X(roots), X(leaves), X(tables), X(pages), \
	X(faults), X(drops_zap), X(drops_l1), X(drops_limit), X(drops_shrinker), X(evictions)
#define EMYS_EPT02_NOW	4

#define STATS_CLASS(n)			EMYS_EXIT_##n
enum emys_exit_class { EMYS_EXITS(STATS_CLASS) };

#define STATS_FIELDS(type, ...)		type __VA_ARGS__
#define STATS_NAME(n)			n
#define STATS_EXIT(n)			exit_##n
#define STATS_FAST(n)			nested_fast_##n
#define STATS_SLOW(n)			nested_slow_##n
#define STATS_L1(n)			nested_l1_##n

struct emys_vcpu_stats {
	STATS_FIELDS(u64, EMYS_VCPU_STATS(STATS_NAME, STATS_EXIT, STATS_FAST, STATS_SLOW,
					  STATS_L1));
};

struct emys_vm_stats {
	STATS_FIELDS(atomic64_t, EMYS_VM_STATS(STATS_NAME));
};

struct emys_vm;
struct emys_vcpu;

/* KVM_GET_STATS_FD: a new file descriptor, or -ENOMEM, -EMFILE. */
int stats_vm_fd(struct emys_vm *vm);
int stats_vcpu_fd(struct emys_vcpu *vcpu);

/* debugfs emys/. Always 0: without debugfs there is less to see, and nothing else. */
int stats_init(void);
void stats_exit(void);

#endif
