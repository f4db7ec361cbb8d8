/* SPDX-License-Identifier: GPL-2.0-only */
/* One virtual CPU and the thread that runs it. */
#ifndef VCPU_H
#define VCPU_H

#include "vm.h"

/* The signal that makes a vCPU thread leave KVM_RUN; its handler is empty. */
#define VCPU_KICK SIGUSR1

/* Create vCPU @id with CPUID, MSRs and local APIC set. 0 or -errno. */
int vcpu_create(struct vm *vm, struct vcpu *vcpu, unsigned int id);
void vcpu_destroy(struct vcpu *vcpu);

/* Give CPU 0 the registers the boot loader chose. */
int vcpu_set_boot(struct vcpu *vcpu, const struct boot *boot);

/* Thread body. */
void *vcpu_thread(void *arg);

/* Ask it to leave KVM_RUN; repeat until its thread has ended. */
void vcpu_kick(struct vcpu *vcpu);

/* The name of a KVM_EXIT_ number, "exit-N" in @buf for unknown ones. */
const char *vcpu_exit_name(unsigned int reason, char *buf, size_t size);

/*
 * CPUID of one vCPU: what the device supports, and the CPU's own ids and
 * topology. 0 or a negative errno after a message.
 */
int cpuid_setup(struct vcpu *vcpu);

/* Print why @vcpu stopped the VM, in words, and its registers. */
void report_vcpu(struct vcpu *vcpu, const char *what);
/* What KVM_EXIT_FAIL_ENTRY's and KVM_EXIT_INTERNAL_ERROR's numbers mean. */
const char *report_entry_reason(uint64_t reason);
const char *report_internal_reason(uint32_t suberror);

#endif
