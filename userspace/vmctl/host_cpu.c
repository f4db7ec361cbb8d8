// SPDX-License-Identifier: GPL-2.0-only
/* The host's processor: what it has for virtualization. */
#include "host_cpu.h"

#include <cpuid.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "util.h"

#define MSR_FEATURE_CONTROL	0x3a
#define MSR_VMX_PINBASED	0x481
#define MSR_VMX_PROCBASED	0x482
#define MSR_VMX_PROCBASED2	0x48b
#define MSR_VMX_EPT_VPID	0x48c

/*
 * bit counts from 0; of control MSRs it lies in the upper half, "allowed to
 * be 1". flag is the word in /proc/cpuinfo, NULL when that has none.
 */
static const struct {
	const char *name;
	uint32_t msr;
	unsigned int bit;
	const char *flag;
	bool needed;
} known[HOST_FEATURES] = {
	{ "ept", MSR_VMX_PROCBASED2, 32 + 1, "ept", true },
	{ "unrestricted_guest", MSR_VMX_PROCBASED2, 32 + 7,
	  "unrestricted_guest", true },
	{ "vpid", MSR_VMX_PROCBASED2, 32 + 5, "vpid", false },
	{ "ept_2m", MSR_VMX_EPT_VPID, 16, NULL, false },
	{ "ept_1g", MSR_VMX_EPT_VPID, 17, "ept_1gb", false },
	{ "ept_ad", MSR_VMX_EPT_VPID, 21, "ept_ad", false },
	{ "ept_exec_only", MSR_VMX_EPT_VPID, 0, "ept_x_only", false },
	{ "vnmi", MSR_VMX_PINBASED, 32 + 5, "vnmi", false },
	{ "preemption_timer", MSR_VMX_PINBASED, 32 + 6, "preemption_timer",
	  false },
	{ "posted_interrupts", MSR_VMX_PINBASED, 32 + 7, "posted_intr", false },
	{ "tpr_shadow", MSR_VMX_PROCBASED, 32 + 21, "vtpr", false },
	{ "apic_register_virt", MSR_VMX_PROCBASED2, 32 + 8, "vapic_reg",
	  false },
	{ "virtual_interrupt_delivery", MSR_VMX_PROCBASED2, 32 + 9, "vid",
	  false },
	{ "vmcs_shadowing", MSR_VMX_PROCBASED2, 32 + 14, "shadow_vmcs",
	  false },
	{ "pml", MSR_VMX_PROCBASED2, 32 + 17, "pml", false },
	{ "ept_mode_based_exec", MSR_VMX_PROCBASED2, 32 + 22,
	  "ept_mode_based_exec", false },
	{ "sub_page_write", MSR_VMX_PROCBASED2, 32 + 23, NULL, false },
	{ "tsc_scaling", MSR_VMX_PROCBASED2, 32 + 25, "tsc_scaling", false },
};

static void read_cpuid(struct host_cpu *cpu)
{
	uint32_t a, b, c, d, brand[12];

	if (!__get_cpuid(0, &a, &b, &c, &d))
		return;
	memcpy(cpu->vendor, &b, 4);
	memcpy(cpu->vendor + 4, &d, 4);
	memcpy(cpu->vendor + 8, &c, 4);
	if (__get_cpuid(1, &a, &b, &c, &d)) {
		cpu->vmx = c >> 5 & 1;
		cpu->hypervisor = c >> 31;
	}
	if (__get_cpuid(0x80000001, &a, &b, &c, &d))
		cpu->svm = c >> 2 & 1;
	for (uint32_t i = 0; i < 3; i++) {
		uint32_t *p = brand + 4 * i;

		if (!__get_cpuid(0x80000002 + i, p, p + 1, p + 2, p + 3))
			return;
	}
	memcpy(cpu->model, brand, sizeof(brand));
	/* Intel pads it on the left. */
	memmove(cpu->model, cpu->model + strspn(cpu->model, " "),
		sizeof(cpu->model) - strspn(cpu->model, " "));
}

static void read_msrs(struct host_cpu *cpu)
{
	int fd = open("/dev/cpu/0/msr", O_RDONLY | O_CLOEXEC);
	uint64_t v;

	if (fd < 0)
		return;
	cpu->have_msrs = pread(fd, &cpu->feature_control, 8,
			       MSR_FEATURE_CONTROL) == 8;
	for (size_t i = 0; i < HOST_FEATURES && cpu->have_msrs; i++) {
		/* The MSR is absent when what it describes is. */
		bool there = pread(fd, &v, 8, known[i].msr) == 8;

		cpu->feature[i].state =
			there && v >> known[i].bit & 1 ? HOST_YES : HOST_NO;
	}
	close(fd);
}

static bool has_word(const char *line, const char *word)
{
	size_t len = strlen(word);

	for (const char *p = line; (p = strstr(p, word)); p += len)
		if (p > line && p[-1] == ' ' &&
		    (p[len] == ' ' || p[len] == '\n' || !p[len]))
			return true;
	return false;
}

static void read_cpuinfo(struct host_cpu *cpu)
{
	FILE *f = fopen("/proc/cpuinfo", "re");
	char line[4096];

	while (f && fgets(line, sizeof(line), f)) {
		if (strncmp(line, "vmx flags", 9))
			continue;
		for (size_t i = 0; i < HOST_FEATURES; i++)
			if (known[i].flag)
				cpu->feature[i].state =
					has_word(line, known[i].flag) ?
					HOST_YES : HOST_NO;
		break;
	}
	if (f)
		fclose(f);
}

void host_cpu_probe(struct host_cpu *cpu)
{
	memset(cpu, 0, sizeof(*cpu));
	for (size_t i = 0; i < HOST_FEATURES; i++) {
		cpu->feature[i].name = known[i].name;
		cpu->feature[i].needed = known[i].needed;
		cpu->feature[i].state = HOST_UNKNOWN;
	}
	read_cpuid(cpu);
	if (!cpu->vmx)
		return;
	read_msrs(cpu);
	if (!cpu->have_msrs)
		read_cpuinfo(cpu);
}
