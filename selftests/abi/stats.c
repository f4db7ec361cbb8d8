// SPDX-License-Identifier: GPL-2.0-only
/* abi/stats: the binary statistics of KVM_GET_STATS_FD */
#include <stdlib.h>
#include <unistd.h>

#include "vmm.h"

static void guest_cpuid(u64 n)
{
	u32 a, b, c, d;

	while (n--)
		cpuid(0, 0, &a, &b, &c, &d);
}

struct stats {
	int fd;
	struct kvm_stats_header head;
	u8 *desc;
};

static struct stats open_stats(int on)
{
	struct stats s;
	size_t size;

	REQUIRE(dev_cap(KVM_CAP_BINARY_STATS_FD) > 0,
		"no KVM_CAP_BINARY_STATS_FD");
	s.fd = CHECK_OK(ioctl(on, KVM_GET_STATS_FD, 0));
	CHECK_EQ(pread(s.fd, &s.head, sizeof(s.head), 0), sizeof(s.head));
	CHECK(s.head.num_desc > 0 && s.head.num_desc < 1000);
	CHECK(s.head.name_size > 0 && s.head.name_size <= 256);
	size = (sizeof(struct kvm_stats_desc) + s.head.name_size) *
	       s.head.num_desc;
	s.desc = malloc(size);
	CHECK_EQ(pread(s.fd, s.desc, size, s.head.desc_offset), size);
	return s;
}

static struct kvm_stats_desc *desc_at(struct stats *s, u32 i)
{
	return (void *)(s->desc + i * (sizeof(struct kvm_stats_desc) +
				       s->head.name_size));
}

static u64 read_stat(struct stats *s, const char *name)
{
	u64 v;
	u32 i;

	for (i = 0; i < s->head.num_desc; i++) {
		struct kvm_stats_desc *d = desc_at(s, i);

		if (strcmp(d->name, name))
			continue;
		CHECK_EQ(pread(s->fd, &v, 8, s->head.data_offset + d->offset),
			 8);
		return v;
	}
	FAIL("no statistic named %s", name);
	return 0;
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
		s = open_stats(on ? vcpu->fd : vm->fd);
		for (i = 0; i < s.head.num_desc; i++) {
			struct kvm_stats_desc *d = desc_at(&s, i);

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
		close(s.fd);
	}
}

/* "exits" of the vCPU counts what the guest does; it lives with its own fd. */
static void test_exits(void)
{
	struct vm *vm = vm_create();
	struct vcpu *vcpu = vcpu_add(vm, 0);
	struct stats s = open_stats(vcpu->fd);
	u64 before, after;

	vcpu_call(vcpu, guest_cpuid, 100);
	before = read_stat(&s, "exits");
	vcpu_done(vcpu);
	after = read_stat(&s, "exits");
	CHECK_MSG(after - before >= 101 && after - before < 400,
		  "%llu exits for 100 CPUID and a port access",
		  (unsigned long long)(after - before));
	vm_free(vm);
	CHECK(read_stat(&s, "exits") >= after);
}

KSFT_MAIN(
	{ "stats: layout", test_layout },
	{ "stats: exits of a vCPU", test_exits },
)
