/* SPDX-License-Identifier: GPL-2.0-only */
/* The host's processor: what it has for virtualization. */
#ifndef HOST_CPU_H
#define HOST_CPU_H

#include <stdbool.h>
#include <stdint.h>

enum host_known { HOST_NO, HOST_YES, HOST_UNKNOWN };

struct host_feature {
	const char *name;
	enum host_known state;
	bool needed;		/* by emys */
};

#define HOST_FEATURES 18

struct host_cpu {
	char vendor[13];
	char model[49];
	bool vmx;		/* CPUID says so */
	bool svm;
	bool hypervisor;	/* this machine is a guest itself */
	bool have_msrs;		/* /dev/cpu/0/msr could be read */
	uint64_t feature_control;
	struct host_feature feature[HOST_FEATURES];
};

/*
 * Ask CPUID, the capability MSRs when they can be read, and the "vmx flags"
 * of /proc/cpuinfo when they cannot.
 */
void host_cpu_probe(struct host_cpu *cpu);

#endif
