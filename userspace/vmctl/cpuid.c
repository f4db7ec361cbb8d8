// SPDX-License-Identifier: GPL-2.0-only
/* CPUID: what the device supports, with each CPU's own ids and topology. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "util.h"
#include "vcpu.h"

#define LEAF_FEATURES	0x1
#define LEAF_CACHES	0x4
#define LEAF_TOPOLOGY	0xb
#define LEAF_TSC	0x15
#define LEAF_TOPOLOGY2	0x1f
#define LEAF_AMD_ID	0x8000001e

#define ECX_VMX		(1u << 5)
#define ECX_TSC_DEADLINE (1u << 24)
#define ECX_HYPERVISOR	(1u << 31)
#define EDX_HTT		(1u << 28)

#define LEVEL_SMT	1
#define LEVEL_CORE	2

/* Bits needed to number @n CPUs. */
static unsigned int id_bits(unsigned int n)
{
	return n > 1 ? 32 - __builtin_clz(n - 1) : 0;
}

static struct kvm_cpuid2 *supported(int fd)
{
	struct kvm_cpuid2 *c;

	for (unsigned int n = 128; n <= 4096; n *= 2) {
		int rc;

		/* Room for the entries add_topology() may append. */
		c = calloc(1, sizeof(*c) + (n + 4) * sizeof(c->entries[0]));
		if (!c)
			return NULL;
		c->nent = n;
		rc = kvm_ioctl(fd, KVM_GET_SUPPORTED_CPUID, c);
		if (rc >= 0)
			return c;
		free(c);
		errno = -rc;
		if (rc != -E2BIG)
			return NULL;
	}
	return NULL;
}

static void drop_leaf(struct kvm_cpuid2 *c, uint32_t leaf)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < c->nent; i++)
		if (c->entries[i].function != leaf)
			c->entries[n++] = c->entries[i];
	c->nent = n;
}

static void add_topology(struct kvm_cpuid2 *c, uint32_t leaf, unsigned int id,
			 unsigned int cpus)
{
	const struct kvm_cpuid_entry2 levels[] = {
		/* One thread in each core; the cores all in one package. */
		{ .index = 0, .eax = 0, .ebx = 1, .ecx = LEVEL_SMT << 8 },
		{ .index = 1, .eax = id_bits(cpus), .ebx = cpus,
		  .ecx = 1 | LEVEL_CORE << 8 },
		{ .index = 2, .ecx = 2 },
	};

	drop_leaf(c, leaf);
	for (size_t i = 0; i < ARRAY_SIZE(levels); i++) {
		struct kvm_cpuid_entry2 *e = &c->entries[c->nent++];

		*e = levels[i];
		e->function = leaf;
		e->flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX;
		e->edx = id;
	}
}

/* Cache level and sharing: what the last level has is shared by all. */
static void set_caches(struct kvm_cpuid_entry2 *e, unsigned int cpus)
{
	unsigned int level = e->eax >> 5 & 7;
	unsigned int cores = (1u << id_bits(cpus)) - 1;

	if (!(e->eax & 0x1f))
		return;
	if (cores > 63)
		cores = 63;
	e->eax &= 0x3fff;
	e->eax |= cores << 26;
	if (level >= 3)
		e->eax |= ((1u << id_bits(cpus)) - 1) << 14;
}

/*
 * The local APIC of the KVM ABI counts at 1 GHz, and guests take the core
 * crystal's frequency for the APIC's: give both, and the TSC as their ratio.
 */
static void set_tsc(struct kvm_cpuid_entry2 *e, int tsc_khz)
{
	if (tsc_khz <= 0)
		return;
	e->eax = 1000000;
	e->ebx = tsc_khz;
	e->ecx = 1000000000;
}

int cpuid_setup(struct vcpu *vcpu)
{
	struct vm *vm = vcpu->vm;
	struct kvm_cpuid2 *c = supported(vm->dev_fd);
	unsigned int max = 0;
	bool vmx = false;
	int rc;

	if (!c) {
		rc = -errno;
		msg("%s: KVM_GET_SUPPORTED_CPUID: %s", vm->cfg->device,
		    strerror(-rc));
		return rc;
	}
	for (unsigned int i = 0; i < c->nent; i++) {
		struct kvm_cpuid_entry2 *e = &c->entries[i];

		switch (e->function) {
		case 0:
			max = e->eax;
			break;
		case LEAF_FEATURES:
			e->ebx &= 0x0000ffff;
			e->ebx |= vcpu->id << 24 |
				  (1u << id_bits(vm->nr_vcpus)) << 16;
			e->ecx |= ECX_HYPERVISOR;
			if (!vm->cfg->nested)
				e->ecx &= ~ECX_VMX;
			vmx = e->ecx & ECX_VMX;
			if (kvm_cap(vm->dev_fd, KVM_CAP_TSC_DEADLINE_TIMER))
				e->ecx |= ECX_TSC_DEADLINE;
			e->edx &= ~EDX_HTT;
			if (vm->nr_vcpus > 1)
				e->edx |= EDX_HTT;
			break;
		case LEAF_CACHES:
			set_caches(e, vm->nr_vcpus);
			break;
		case LEAF_TSC:
			set_tsc(e, kvm_ioctl_val(vcpu->fd, KVM_GET_TSC_KHZ, 0));
			break;
		case LEAF_AMD_ID:
			e->eax = vcpu->id;
			e->ebx = (e->ebx & ~0xffffu) | vcpu->id;
			break;
		}
	}
	if (max >= LEAF_TOPOLOGY)
		add_topology(c, LEAF_TOPOLOGY, vcpu->id, vm->nr_vcpus);
	drop_leaf(c, LEAF_TOPOLOGY2);
	if (vm->cfg->nested && !vmx) {
		msg("--nested on: %s offers no VMX to guests: load its module with nested=1",
		    vm->cfg->device);
		free(c);
		return -EOPNOTSUPP;
	}

	rc = kvm_ioctl(vcpu->fd, KVM_SET_CPUID2, c);
	if (rc < 0)
		msg("vCPU %u: KVM_SET_CPUID2 with %u entries: %s", vcpu->id,
		    c->nent, strerror(-rc));
	free(c);
	return rc;
}
