// SPDX-License-Identifier: GPL-2.0-only
/* abi/ioctls: good and bad input to every ioctl */
#include <fcntl.h>
#include <linux/emys.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "vmm.h"

/* KVM_GET_API_VERSION is 12 and takes no argument but 0. */
static void test_version(void)
{
	int fd = dev_open(ksft_device);

	CHECK_EQ(CHECK_OK(ioctl(fd, KVM_GET_API_VERSION, 0)), 12);
	CHECK_ERRNO(ioctl(fd, KVM_GET_API_VERSION, 1), EINVAL);
	CHECK_ERRNO(ioctl(fd, KVM_GET_VCPU_MMAP_SIZE, 1), EINVAL);
	CHECK_ERRNO(ioctl(fd, KVM_CREATE_VM, 0xdeadbeef), EINVAL);
}

/*
 * What a VMM cannot live without is there, with the value KVM gives it;
 * numbers nobody has given a meaning are 0.
 */
static void test_extensions(void)
{
	static const int needed[] = {
		KVM_CAP_IRQCHIP, KVM_CAP_HLT, KVM_CAP_USER_MEMORY,
		KVM_CAP_SET_TSS_ADDR, KVM_CAP_EXT_CPUID, KVM_CAP_NR_MEMSLOTS,
		KVM_CAP_MP_STATE, KVM_CAP_IRQ_ROUTING, KVM_CAP_IRQ_INJECT_STATUS,
		KVM_CAP_PIT2, KVM_CAP_PIT_STATE2,
		KVM_CAP_SET_IDENTITY_MAP_ADDR, KVM_CAP_VCPU_EVENTS,
		KVM_CAP_DEBUGREGS, KVM_CAP_XSAVE, KVM_CAP_XCRS,
		KVM_CAP_SIGNAL_MSI, KVM_CAP_IMMEDIATE_EXIT,
		KVM_CAP_GET_TSC_KHZ, KVM_CAP_ADJUST_CLOCK,
		KVM_CAP_READONLY_MEM, KVM_CAP_CHECK_EXTENSION_VM,
		KVM_CAP_DESTROY_MEMORY_REGION_WORKS, KVM_CAP_SYNC_MMU,
		KVM_CAP_USER_NMI,
	};
	struct vm *vm = vm_create_bare(ksft_device);
	unsigned int i;
	int v;

	for (i = 0; i < ARRAY_SIZE(needed); i++) {
		if (ioctl(vm->dev, KVM_CHECK_EXTENSION, needed[i]) <= 0)
			FAIL("extension %d is absent", needed[i]);
		if (ioctl(vm->fd, KVM_CHECK_EXTENSION, needed[i]) <= 0)
			FAIL("extension %d is absent on the VM", needed[i]);
	}
	v = ioctl(vm->dev, KVM_CHECK_EXTENSION, KVM_CAP_MAX_VCPUS);
	CHECK(v >= 8);
	CHECK(ioctl(vm->dev, KVM_CHECK_EXTENSION, KVM_CAP_NR_VCPUS) > 0);
	CHECK(ioctl(vm->dev, KVM_CHECK_EXTENSION, KVM_CAP_MAX_VCPU_ID) >= v);
	CHECK_EQ(ioctl(vm->dev, KVM_CHECK_EXTENSION, 9999), 0);
	CHECK_EQ(ioctl(vm->dev, KVM_CHECK_EXTENSION, -1), 0);
	/* no AMD, no PowerPC, no s390 */
	CHECK_EQ(ioctl(vm->dev, KVM_CHECK_EXTENSION, KVM_CAP_S390_GMAP), 0);
	CHECK_EQ(ioctl(vm->dev, KVM_CHECK_EXTENSION, KVM_CAP_PPC_HTM), 0);
}

/* An ioctl that an fd does not have is ENOTTY, on each kind of fd. */
static void test_unknown(void)
{
	struct vm *vm = vm_create();
	struct vcpu *vcpu = vcpu_add(vm, 0);

	/* KVM answers EINVAL on the device and the vCPU for some numbers */
	CHECK(ioctl(vm->dev, _IO(KVMIO, 0xfe), 0) == -1 &&
	      (errno == ENOTTY || errno == EINVAL));
	CHECK_ERRNO(ioctl(vm->fd, _IO(KVMIO, 0xfe), 0), ENOTTY);
	CHECK(ioctl(vcpu->fd, _IO(KVMIO, 0xfe), 0) == -1 &&
	      (errno == ENOTTY || errno == EINVAL));
	/* ioctls of another kind of fd */
	CHECK(ioctl(vm->dev, KVM_RUN, 0) == -1);
	CHECK_ERRNO(ioctl(vm->fd, KVM_RUN, 0), ENOTTY);
	CHECK(ioctl(vcpu->fd, KVM_CREATE_VCPU, 3) == -1);
	/* of another type, and of terminals */
	CHECK(ioctl(vm->dev, 0x5401, 0) == -1);
	CHECK(ioctl(vm->fd, 0x5401, 0) == -1);
	CHECK(ioctl(vcpu->fd, 0x5401, 0) == -1);
}

struct bad {
	const char *name;
	unsigned long request;
	char fd;			/* d, v, c */
	int chip;			/* needs an irqchip (and PIT) */
};

#define BAD(fd, name)		{ #name, name, fd, 0 }
#define BAD_CHIP(fd, name)	{ #name, name, fd, 1 }

static const struct bad pointers[] = {
	BAD('d', KVM_GET_SUPPORTED_CPUID), BAD('d', KVM_GET_MSR_INDEX_LIST),
	BAD('v', KVM_SET_USER_MEMORY_REGION), BAD('v', KVM_GET_DIRTY_LOG),
	BAD('v', KVM_SET_IDENTITY_MAP_ADDR), BAD('v', KVM_GET_CLOCK),
	BAD('v', KVM_SET_CLOCK), BAD('v', KVM_SIGNAL_MSI),
	BAD_CHIP('v', KVM_IRQ_LINE), BAD_CHIP('v', KVM_IRQ_LINE_STATUS),
	BAD_CHIP('v', KVM_GET_IRQCHIP), BAD_CHIP('v', KVM_SET_IRQCHIP),
	BAD_CHIP('v', KVM_SET_GSI_ROUTING), BAD_CHIP('v', KVM_GET_PIT2),
	BAD_CHIP('v', KVM_SET_PIT2), BAD_CHIP('v', KVM_CREATE_PIT2),
	BAD('v', KVM_ENABLE_CAP),
	BAD('c', KVM_GET_REGS), BAD('c', KVM_SET_REGS),
	BAD('c', KVM_GET_SREGS), BAD('c', KVM_SET_SREGS),
	BAD('c', KVM_GET_FPU), BAD('c', KVM_SET_FPU),
	BAD('c', KVM_GET_XSAVE), BAD('c', KVM_SET_XSAVE),
	BAD('c', KVM_GET_XCRS), BAD('c', KVM_SET_XCRS),
	BAD('c', KVM_GET_MSRS), BAD('c', KVM_SET_MSRS),
	BAD('c', KVM_SET_CPUID2), BAD('c', KVM_GET_CPUID2),
	BAD('c', KVM_GET_MP_STATE), BAD('c', KVM_SET_MP_STATE),
	BAD('c', KVM_GET_VCPU_EVENTS), BAD('c', KVM_SET_VCPU_EVENTS),
	BAD('c', KVM_GET_DEBUGREGS), BAD('c', KVM_SET_DEBUGREGS),
	BAD_CHIP('c', KVM_GET_LAPIC), BAD_CHIP('c', KVM_SET_LAPIC),
	BAD('c', KVM_INTERRUPT), BAD('c', KVM_SET_SIGNAL_MASK),
};

/* A pointer that cannot be followed is EFAULT, and nothing else happens. */
static void test_pointers(void)
{
	static const unsigned long where[] = {
		8, 0xffff888000000000ul, 1ul << 62, -4096ul,
	};
	struct kvm_pit_config pit = { 0 };
	struct vm *vm[2];
	unsigned int i, j;
	int fd;

	for (i = 0; i < 2; i++) {
		vm[i] = vm_create();
		if (i) {
			vm_irqchip(vm[i]);
			CHECK_OK(ioctl(vm[i]->fd, KVM_CREATE_PIT2, &pit));
		}
		vcpu_add(vm[i], 0);
	}
	for (i = 0; i < ARRAY_SIZE(pointers); i++) {
		const struct bad *b = &pointers[i];
		struct vm *v = vm[b->chip];

		fd = b->fd == 'd' ? v->dev : b->fd == 'v' ? v->fd :
			v->vcpu[0]->fd;
		for (j = 0; j < ARRAY_SIZE(where); j++) {
			errno = 0;
			if (ioctl(fd, b->request, where[j]) == -1 &&
			    errno == EFAULT)
				continue;
			/* these look at the state before the argument */
			if (b->request == KVM_CREATE_PIT2 && errno == EEXIST)
				continue;
			if (b->request == KVM_SET_IDENTITY_MAP_ADDR &&
			    errno == EINVAL)
				continue;
			FAIL("%s at 0x%lx: errno %d (%s), expected EFAULT",
			     b->name, where[j], errno, strerror(errno));
		}
	}
	vcpu_call(vm[0]->vcpu[0], guest_return, 0);
	vcpu_done(vm[0]->vcpu[0]);
}

/* Lists: too small is E2BIG with the right size, too large is E2BIG too. */
static void test_lists(void)
{
	struct vm *vm = vm_create_bare(ksft_device);
	struct kvm_cpuid2 *c = calloc(1, sizeof(*c) +
				      256 * sizeof(c->entries[0]));
	struct kvm_msr_list *l = calloc(1, sizeof(*l) + 4096);
	u32 n;

	c->nent = 0;
	CHECK_ERRNO(ioctl(vm->dev, KVM_GET_SUPPORTED_CPUID, c), E2BIG);
	c->nent = 1;
	CHECK_ERRNO(ioctl(vm->dev, KVM_GET_SUPPORTED_CPUID, c), E2BIG);
	c->nent = 256;
	CHECK_OK(ioctl(vm->dev, KVM_GET_SUPPORTED_CPUID, c));
	CHECK(c->nent > 5 && c->nent < 256);
	CHECK_EQ(c->entries[0].function, 0);
	n = c->nent;
	CHECK_OK(ioctl(vm->dev, KVM_GET_SUPPORTED_CPUID, c));
	CHECK_EQ(c->nent, n);

	l->nmsrs = 0;
	CHECK_ERRNO(ioctl(vm->dev, KVM_GET_MSR_INDEX_LIST, l), E2BIG);
	n = l->nmsrs;
	CHECK(n > 10 && n < 1000);
	l->nmsrs = n - 1;
	CHECK_ERRNO(ioctl(vm->dev, KVM_GET_MSR_INDEX_LIST, l), E2BIG);
	CHECK_EQ(l->nmsrs, n);
	CHECK_OK(ioctl(vm->dev, KVM_GET_MSR_INDEX_LIST, l));
}

/* vCPU ids: a second one is EEXIST, too large EINVAL; CPUID too long E2BIG. */
static void test_vcpu_ids(void)
{
	struct vm *vm = vm_create();
	int max = ioctl(vm->dev, KVM_CHECK_EXTENSION, KVM_CAP_MAX_VCPU_ID);
	struct kvm_cpuid2 *c;
	struct vcpu *vcpu;

	vcpu = vcpu_add(vm, 5);
	CHECK_ERRNO(ioctl(vm->fd, KVM_CREATE_VCPU, 5), EEXIST);
	CHECK_ERRNO(ioctl(vm->fd, KVM_CREATE_VCPU, max), EINVAL);
	CHECK_ERRNO(ioctl(vm->fd, KVM_CREATE_VCPU, 1 << 20), EINVAL);
	CHECK_ERRNO(ioctl(vm->fd, KVM_CREATE_VCPU, 0xffffffff), EINVAL);
	c = calloc(1, sizeof(*c));
	c->nent = 1 << 20;
	CHECK_ERRNO(ioctl(vcpu->fd, KVM_SET_CPUID2, c), E2BIG);
	vcpu_call(vcpu, guest_return, 0);
	vcpu_done(vcpu);
}

/*
 * As many vCPUs as KVM_CAP_MAX_VCPUS allows (64 of them at most here), and not
 * one more.
 */
static void test_max_vcpus(void)
{
	struct vm *vm = vm_create_bare(ksft_device);
	int max = ioctl(vm->dev, KVM_CHECK_EXTENSION, KVM_CAP_MAX_VCPUS);
	int i, n = max < 64 ? max : 64;

	for (i = 0; i < n; i++)
		CHECK_OK(ioctl(vm->fd, KVM_CREATE_VCPU, i));
	if (n == max)
		CHECK_ERRNO(ioctl(vm->fd, KVM_CREATE_VCPU, n), EINVAL);
}

/* The vCPU's pages: the size KVM_GET_VCPU_MMAP_SIZE says, and nothing beyond. */
static void test_mmap(void)
{
	struct vm *vm = vm_create();
	struct vcpu *vcpu = vcpu_add(vm, 0);
	size_t size = vm->run_size;
	volatile u8 *p;
	int status;
	pid_t pid;

	CHECK(size >= sizeof(struct kvm_run) && size % 4096 == 0);
	p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu->fd, 0);
	CHECK(p != MAP_FAILED);
	/* the same pages as the library's mapping */
	p[offsetof(struct kvm_run, request_interrupt_window)] = 1;
	CHECK_EQ(vcpu->run->request_interrupt_window, 1);
	vcpu->run->request_interrupt_window = 0;
	pid = CHECK_OK(fork());
	if (!pid) {
		/* beyond the end: no memory of the kernel's, but SIGBUS */
		p = mmap(NULL, 4096, PROT_READ, MAP_SHARED, vcpu->fd,
			 size + (16 << 20));
		if (p == MAP_FAILED)
			_exit(0);
		_exit(p[0] + 10);
	}
	CHECK_OK(waitpid(pid, &status, 0));
	CHECK((WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS) ||
	      (WIFEXITED(status) && !WEXITSTATUS(status)));
	CHECK(mmap(NULL, 4096, PROT_READ, MAP_SHARED, vm->fd, 0) == MAP_FAILED);
	CHECK(mmap(NULL, 4096, PROT_READ, MAP_SHARED, vm->dev, 0) ==
	      MAP_FAILED);
}

/* Every fd keeps what it needs: closing the VM leaves its vCPU working. */
static void test_close_order(void)
{
	struct vm *vm = vm_create();
	struct vcpu *vcpu = vcpu_add(vm, 0);

	close(vm->dev);
	close(vm->fd);
	vcpu_call(vcpu, guest_return, 0);
	vcpu_done(vcpu);
	/* and the vCPU's mapping outlives the vCPU's fd */
	close(vcpu->fd);
	CHECK_EQ(vcpu->run->exit_reason, KVM_EXIT_IO);
	munmap(vcpu->run, vm->run_size);
}

/* Another process than the one that made the VM: EIO on the VM and the vCPU. */
static void test_other_process(void)
{
	struct vm *vm = vm_create();
	struct vcpu *vcpu = vcpu_add(vm, 0);
	struct kvm_regs regs;
	int status;
	pid_t pid;

	vcpu_call(vcpu, guest_return, 0);
	pid = CHECK_OK(fork());
	if (!pid) {
		if (ioctl(vcpu->fd, KVM_RUN, 0) != -1 || errno != EIO)
			_exit(1);
		if (ioctl(vcpu->fd, KVM_GET_REGS, &regs) != -1 || errno != EIO)
			_exit(2);
		if (ioctl(vm->fd, KVM_CREATE_VCPU, 1) != -1 || errno != EIO)
			_exit(3);
		if (vm_try_region(vm, 3, 0, 1 << 30, 4096, vm->mem) != -1 ||
		    errno != EIO)
			_exit(4);
		/* the device itself is anyone's */
		_exit(ioctl(vm->dev, KVM_GET_API_VERSION, 0) == 12 ? 0 : 5);
	}
	CHECK_OK(waitpid(pid, &status, 0));
	CHECK_EQ(status, 0);
	vcpu_done(vcpu);
}

/* KVM_SET_TSS_ADDR and KVM_SET_IDENTITY_MAP_ADDR. */
static void test_addresses(void)
{
	struct vm *vm = vm_create_bare(ksft_device);
	u64 map = 0xfeffc000;

	CHECK_ERRNO(ioctl(vm->fd, KVM_SET_TSS_ADDR, 0xfffffffful), EINVAL);
	CHECK_OK(ioctl(vm->fd, KVM_SET_TSS_ADDR, 0xfeffd000ul));
	CHECK_OK(ioctl(vm->fd, KVM_SET_IDENTITY_MAP_ADDR, &map));
	CHECK_OK(ioctl(vm->fd, KVM_CREATE_VCPU, 0));
	CHECK_ERRNO(ioctl(vm->fd, KVM_SET_IDENTITY_MAP_ADDR, &map), EINVAL);
}

/* KVM_GET_CLOCK goes on, KVM_SET_CLOCK sets it; flags unknown are EINVAL. */
static void test_clock(void)
{
	struct vm *vm = vm_create();
	struct kvm_clock_data a = { 0 }, b;

	CHECK_OK(ioctl(vm->fd, KVM_GET_CLOCK, &a));
	usleep(2000);
	CHECK_OK(ioctl(vm->fd, KVM_GET_CLOCK, &b));
	CHECK(b.clock > a.clock && b.clock - a.clock >= 1000000);
	memset(&a, 0, sizeof(a));
	a.clock = 1ull << 50;
	CHECK_OK(ioctl(vm->fd, KVM_SET_CLOCK, &a));
	CHECK_OK(ioctl(vm->fd, KVM_GET_CLOCK, &b));
	CHECK(b.clock >= 1ull << 50 && b.clock < 1ull << 51);
	a.flags = 1u << 31;
	CHECK_ERRNO(ioctl(vm->fd, KVM_SET_CLOCK, &a), EINVAL);
}

/* KVM_GET_TSC_KHZ and KVM_SET_TSC_KHZ. */
static void test_tsc_khz(void)
{
	struct vm *vm = vm_create();
	struct vcpu *vcpu = vcpu_add(vm, 0);
	long khz = CHECK_OK(ioctl(vcpu->fd, KVM_GET_TSC_KHZ, 0));

	CHECK(khz > 1000);
	CHECK_EQ(ioctl(vm->fd, KVM_GET_TSC_KHZ, 0), khz);
	CHECK_OK(ioctl(vm->fd, KVM_SET_TSC_KHZ, khz));
	CHECK_OK(ioctl(vcpu->fd, KVM_SET_TSC_KHZ, khz));
	CHECK_EQ(ioctl(vcpu->fd, KVM_GET_TSC_KHZ, 0), khz);
	if (dev_cap(KVM_CAP_TSC_CONTROL) > 0) {
		CHECK_OK(ioctl(vcpu->fd, KVM_SET_TSC_KHZ, khz / 2));
		CHECK_EQ(ioctl(vcpu->fd, KVM_GET_TSC_KHZ, 0), khz / 2);
	} else if (ksft_is_emys()) {
		CHECK_ERRNO(ioctl(vm->fd, KVM_SET_TSC_KHZ, khz * 2), EINVAL);
	}
}

/* KVM_ENABLE_CAP of what is not there, or with flags, is EINVAL. */
static void test_enable_cap(void)
{
	struct vm *vm = vm_create_bare(ksft_device);
	struct kvm_enable_cap cap = { .cap = 9999 };

	CHECK_ERRNO(ioctl(vm->fd, KVM_ENABLE_CAP, &cap), EINVAL);
	cap.cap = KVM_CAP_SPLIT_IRQCHIP;
	cap.flags = 1;
	CHECK_ERRNO(ioctl(vm->fd, KVM_ENABLE_CAP, &cap), EINVAL);
	if (!ksft_is_emys())
		return;
	/* nested VMX can be refused anywhere, and allowed where the module offers it */
	cap = (struct kvm_enable_cap){ .cap = EMYS_CAP_NESTED };
	CHECK_OK(ioctl(vm->fd, KVM_ENABLE_CAP, &cap));
	cap.args[0] = 1;
	if (dev_cap(EMYS_CAP_NESTED))
		CHECK_OK(ioctl(vm->fd, KVM_ENABLE_CAP, &cap));
	else
		CHECK_ERRNO(ioctl(vm->fd, KVM_ENABLE_CAP, &cap), EOPNOTSUPP);
	CHECK_EQ(ioctl(vm->fd, KVM_CHECK_EXTENSION, EMYS_CAP_NESTED), dev_cap(EMYS_CAP_NESTED));
}

/*
 * The supported CPUID is fit to be set, and shows no feature that the vCPU does
 * not really have, while it has what Linux guests need.
 */
static void test_supported_cpuid(void)
{
	struct vm *vm = vm_create();
	struct vcpu *vcpu = vcpu_add(vm, 0);
	struct kvm_cpuid_entry2 *e = vcpu_leaf(vcpu, 0, 0);

	CHECK(e && e->eax >= 7);
	e = vcpu_leaf(vcpu, 1, 0);
	CHECK(e);
	/* x2APIC, APIC, TSC, MSR, PAE, FXSR, SSE2 */
	CHECK(e->ecx & 1u << 21);
	CHECK_EQ(e->edx & (1u << 9 | 1 << 4 | 1 << 5 | 1 << 6 | 1 << 24 |
			   1 << 26),
		 1u << 9 | 1 << 4 | 1 << 5 | 1 << 6 | 1 << 24 | 1 << 26);
	/* OSXSAVE is the guest's own doing, MONITOR is not offered */
	CHECK_EQ(e->ecx & 1u << 3, 0);
	e = vcpu_leaf(vcpu, 0x80000001, 0);
	CHECK(e && e->edx & 1u << 29 && e->edx & 1u << 20);
	/* KVM's own leaf, with the clock */
	e = vcpu_leaf(vcpu, 0x40000000, 0);
	CHECK(e && e->eax >= 0x40000001);
	CHECK_EQ(memcmp(&e->ebx, "KVMKVMKVM\0\0", 12), 0);
	e = vcpu_leaf(vcpu, 0x40000001, 0);
	CHECK(e && e->eax & (1 << 3 | 1 << 0));
}

/* The device node: character device, usable by root and group kvm at most. */
static void test_node(void)
{
	struct stat st;

	CHECK_OK(stat(ksft_device, &st));
	CHECK(S_ISCHR(st.st_mode));
	CHECK_EQ(st.st_mode & 0007 & ~0006, 0);
	if (ksft_is_emys())
		CHECK_EQ(st.st_mode & 0007, 0);
}

KSFT_MAIN(
	{ "ioctls: version", test_version },
	{ "ioctls: extensions", test_extensions },
	{ "ioctls: unknown", test_unknown },
	{ "ioctls: bad pointers", test_pointers },
	{ "ioctls: list sizes", test_lists },
	{ "ioctls: vCPU ids", test_vcpu_ids },
	{ "ioctls: number of vCPUs", test_max_vcpus },
	{ "ioctls: mmap of a vCPU", test_mmap },
	{ "ioctls: order of closing", test_close_order },
	{ "ioctls: another process", test_other_process },
	{ "ioctls: TSS and identity map", test_addresses },
	{ "ioctls: clock", test_clock },
	{ "ioctls: TSC frequency", test_tsc_khz },
	{ "ioctls: KVM_ENABLE_CAP", test_enable_cap },
	{ "ioctls: supported CPUID", test_supported_cpuid },
	{ "ioctls: device node", test_node },
)
