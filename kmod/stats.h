/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * stats.h - counters, defined by one list each and enumerated by userspace
 * through KVM_GET_STATS_FD (api.rst, "KVM_GET_STATS_FD").
 *
 * Each is a u64. vCPU counters are written only by the vCPU's thread; VM
 * counters are atomics. Counting never fails and takes no lock.
 */
#ifndef _EMYS_STATS_H
#define _EMYS_STATS_H

#include <linux/atomic.h>
#include <linux/types.h>

/* name: what it counts is what its name says; exit_* are by exit reason */
#define EMYS_VCPU_STATS(X) \
	X(exits), X(sections), X(fast_exits), \
	X(exit_exception), X(exit_external_interrupt), X(exit_interrupt_window), \
	X(exit_nmi_window), X(exit_cpuid), X(exit_hlt), X(exit_invalid_insn), \
	X(exit_rdpmc), X(exit_vmcall), X(exit_vmx_insn), X(exit_cr), X(exit_dr), \
	X(exit_io), X(exit_rdmsr), X(exit_wrmsr), X(exit_pause), X(exit_tpr), \
	X(exit_apic_access), X(exit_apic_write), X(exit_eoi), X(exit_ept_violation), \
	X(exit_ept_misconfig), X(exit_wbinvd), X(exit_xsetbv), X(exit_task_switch), \
	X(exit_triple_fault), X(exit_entry_failure), X(exit_other), \
	X(user_exits), X(user_io), X(user_mmio), X(mmio_kernel), X(io_kernel), \
	X(injected_irqs), X(injected_nmis), X(injected_exceptions), \
	X(halts), X(halt_wakeups), X(signal_exits), X(tlb_flushes), \
	X(nested_entries), X(nested_exits), X(nested_ept_violations)

#define EMYS_VM_STATS(X) \
	X(mem_faults), X(mem_fault_retries), X(mem_pages_4k), X(mem_pages_2m), \
	X(mem_pages_1g), X(mem_zaps), X(mem_notifier_invalidations), X(remote_flushes)

#define STATS_NAME(n)			n
#define STATS_FIELDS(type, list)	type list(STATS_NAME)

struct emys_vcpu_stats {
	STATS_FIELDS(u64, EMYS_VCPU_STATS);
};

struct emys_vm_stats {
	STATS_FIELDS(atomic64_t, EMYS_VM_STATS);
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
