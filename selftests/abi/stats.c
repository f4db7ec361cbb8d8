// SPDX-License-Identifier: GPL-2.0-only
/* abi/stats: the binary statistics of KVM_GET_STATS_FD */
#include <unistd.h>

#include "stats.h"

static void guest_cpuid(u64 n)
{
	u32 a, b, c, d;

	while (n--)
		cpuid(0, 0, &a, &b, &c, &d);
}

/* Every descriptor has a name that ends, and data where it says. */
static void test_layout(void)
{
	struct vm *vm = vm_create();
	struct vcpu *vcpu = vcpu_add(vm, 0);
	struct stats s;
	u64 data[64];
	u32 i, on;

	for (on = 0; on < 2; on++) {
		s = stats_open(on ? vcpu->fd : vm->fd);
		for (i = 0; i < s.head.num_desc; i++) {
			struct kvm_stats_desc *d = stats_desc(&s, i);

			CHECK(strnlen(d->name, s.head.name_size) <
			      s.head.name_size);
			CHECK(d->name[0] && d->size >= 1 && d->size <= 64);
			CHECK_EQ(pread(s.fd, data, 8 * d->size,
				       s.head.data_offset + d->offset),
				 8 * d->size);
		}
		/* read-only, and nothing behind its end */
		CHECK(write(s.fd, data, 8) == -1);
		CHECK_EQ(pread(s.fd, data, 8, 1 << 30), 0);
		stats_close(&s);
	}
}

/* "exits" of the vCPU counts what the guest does; it lives with its own fd. */
static void test_exits(void)
{
	struct vm *vm = vm_create();
	struct vcpu *vcpu = vcpu_add(vm, 0);
	struct stats s = stats_open(vcpu->fd);
	u64 before, after;

	vcpu_call(vcpu, guest_cpuid, 100);
	before = stats_read(&s, "exits");
	vcpu_done(vcpu);
	after = stats_read(&s, "exits");
	CHECK_MSG(after - before >= 101 && after - before < 400,
		  "%llu exits for 100 CPUID and a port access",
		  (unsigned long long)(after - before));
	vm_free(vm);
	CHECK(stats_read(&s, "exits") >= after);
}

KSFT_MAIN(
	{ "stats: layout", test_layout },
	{ "stats: exits of a vCPU", test_exits },
)
