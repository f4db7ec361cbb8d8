// SPDX-License-Identifier: GPL-2.0-only
/* irq/irqfd: eventfds as interrupt lines and doorbells, the cases beside the plain one */
#include <sys/eventfd.h>
#include <unistd.h>

#include "apic.h"
#include "vmm.h"

#define VECTOR	0x55
#define PIN	20		/* on no PIC */
#define PORT	0x2f4

static volatile u64 irqs;

static void on_irq(struct guest_frame *frame)
{
	(void)frame;
	irqs++;
	apic_eoi();
}

static struct vcpu *start(void *fn, u64 arg)
{
	REQUIRE(dev_cap(KVM_CAP_IRQFD) > 0, "no KVM_CAP_IRQFD");
	return vcpu_with_irqchip(fn, arg);
}

static int event(void)
{
	return CHECK_OK(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
}

static void signal_event(int fd)
{
	u64 one = 1;

	CHECK_EQ(write(fd, &one, 8), 8);
}

static u64 drain(int fd)
{
	u64 n = 0;

	return read(fd, &n, 8) == 8 ? n : 0;
}

static long assign(struct vm *vm, int fd, int resample, u32 flags)
{
	struct kvm_irqfd irqfd = {
		.fd = fd, .gsi = PIN, .flags = flags, .resamplefd = resample,
	};

	return ioctl(vm->fd, KVM_IRQFD, &irqfd);
}

/* Take what comes and report how many there were, three times. */
static void guest_pin(u64 low)
{
	int i;

	guest_handlers[VECTOR] = on_irq;
	apic_enable();
	ioapic_set(PIN, low | VECTOR, 0);
	for (i = 1; i <= 6; i++) {
		GUEST_SYNC2(i, irqs, ioapic_read(0x10 + 2 * PIN));
		sti_nop_cli();
	}
}

/*
 * A level-triggered irqfd: the EOI lowers the line and signals the resample fd.
 * Two that share the line both hear, and both must let go.
 */
static void test_resample(void)
{
	int fd = event(), again = event(), fd2 = event(), again2 = event();
	struct vcpu *vcpu;

	REQUIRE(dev_cap(KVM_CAP_IRQFD_RESAMPLE) > 0, "no KVM_CAP_IRQFD_RESAMPLE");
	vcpu = start(guest_pin, IOAPIC_LEVEL);
	CHECK_OK(assign(vcpu->vm, fd, again, KVM_IRQFD_FLAG_RESAMPLE));
	CHECK_OK(assign(vcpu->vm, fd2, again2, KVM_IRQFD_FLAG_RESAMPLE));
	vcpu_sync(vcpu, 1);
	CHECK_EQ(drain(again), 0);
	signal_event(fd);
	vcpu_sync(vcpu, 2);
	CHECK_EQ(vcpu->uc.arg[1], 1);
	CHECK_EQ(vcpu->uc.arg[2] & IOAPIC_REMOTE_IRR, 0);
	CHECK_EQ(drain(again), 1);
	CHECK_EQ(drain(again2), 1);
	/* the line went down by itself */
	vcpu_sync(vcpu, 3);
	CHECK_EQ(vcpu->uc.arg[1], 1);
	/* the device still wants service: it signals again */
	signal_event(fd2);
	vcpu_sync(vcpu, 4);
	CHECK_EQ(vcpu->uc.arg[1], 2);
	CHECK_EQ(drain(again), 1);
	/* without the first, the second goes on */
	CHECK_OK(assign(vcpu->vm, fd, 0, KVM_IRQFD_FLAG_DEASSIGN));
	drain(again2);
	signal_event(fd2);
	vcpu_sync(vcpu, 5);
	CHECK_EQ(vcpu->uc.arg[1], 3);
	CHECK_EQ(drain(again), 0);
	CHECK_EQ(drain(again2), 1);
	/* deassigned with its line up: the line goes down */
	signal_event(fd2);
	CHECK_OK(assign(vcpu->vm, fd2, 0, KVM_IRQFD_FLAG_DEASSIGN));
	vcpu_sync(vcpu, 6);
	CHECK_EQ(vcpu->uc.arg[1], 4);
	vcpu_done(vcpu);
	CHECK_EQ(VM_VAR(vcpu->vm, irqs), 4);
}

/* What was signalled before the irqfd was there counts once. */
static void test_early(void)
{
	struct vcpu *vcpu = start(guest_pin, 0);
	int fd = event();

	signal_event(fd);
	signal_event(fd);
	vcpu_sync(vcpu, 1);
	CHECK_OK(assign(vcpu->vm, fd, 0, 0));
	vcpu_sync(vcpu, 2);
	CHECK_EQ(vcpu->uc.arg[1], 1);
}

/* The last close of the eventfd takes the irqfd along. */
static void test_close(void)
{
	struct vcpu *vcpu = start(guest_pin, 0);
	int fd, i;

	vcpu_sync(vcpu, 1);
	for (i = 2; i <= 4; i++) {
		fd = event();
		CHECK_OK(assign(vcpu->vm, fd, 0, 0));
		signal_event(fd);
		close(fd);
		vcpu_sync(vcpu, i);
		CHECK_EQ(vcpu->uc.arg[1], i - 1);
	}
	/* nor does the VM's end wait for the eventfd's, or the other way round */
	fd = event();
	CHECK_OK(assign(vcpu->vm, fd, 0, 0));
	vm_free(vcpu->vm);
	signal_event(fd);
	close(fd);
}

/* Flags, numbers and descriptors that cannot be. */
static void test_bad(void)
{
	struct kvm_irqfd irqfd = { .gsi = 1 << 20 };
	struct vcpu *vcpu = start(guest_pin, 0);
	struct vm *bare;
	int fd = event();

	irqfd.fd = fd;
	/* KVM takes any GSI; emys has 4096 */
	if (ksft_is_emys())
		CHECK_ERRNO(ioctl(vcpu->vm->fd, KVM_IRQFD, &irqfd), EINVAL);
	else
		fd = event();
	CHECK_ERRNO(assign(vcpu->vm, fd, -1, KVM_IRQFD_FLAG_RESAMPLE), EBADF);
	CHECK_ERRNO(assign(vcpu->vm, fd, vcpu->fd, KVM_IRQFD_FLAG_RESAMPLE), EINVAL);
	CHECK_ERRNO(assign(vcpu->vm, fd, 0, 4), EINVAL);
	/* a failed one leaves nothing behind */
	CHECK_OK(assign(vcpu->vm, fd, 0, 0));
	CHECK_ERRNO(assign(vcpu->vm, fd, 0, 0), EBUSY);
	/* one that was never assigned comes off without complaint, as KVM has it */
	CHECK_OK(assign(vcpu->vm, event(), 0, KVM_IRQFD_FLAG_DEASSIGN));
	bare = vm_create();
	if (ksft_is_emys())
		CHECK_ERRNO(assign(bare, fd, 0, 0), EINVAL);
}

static void on_ring(struct guest_frame *frame)
{
	(void)frame;
	/* the storm ends when the guest says so */
	if (++irqs >= 10)
		ioapic_set(PIN, IOAPIC_MASKED, 0);
	apic_eoi();
}

/* An irqfd that is its own resample fd, and an ioeventfd that rings an irqfd. */
static void guest_ring(void)
{
	guest_handlers[VECTOR] = on_ring;
	apic_enable();
	ioapic_set(PIN, VECTOR, 0);
	outl(PORT, 1);
	sti_nop_cli();
	GUEST_ASSERT_EQ(irqs, 1);
	ioapic_set(PIN, IOAPIC_LEVEL | VECTOR, 0);
	GUEST_SYNC(1);
	sti_nop_cli();
	GUEST_ASSERT_EQ(irqs, 10);
}

static void test_ring(void)
{
	struct kvm_ioeventfd io = {
		.addr = PORT, .len = 0, .flags = KVM_IOEVENTFD_FLAG_PIO,
	};
	struct vcpu *vcpu = start(guest_ring, 0);
	int fd = event(), self = event();

	io.fd = fd;
	CHECK_OK(assign(vcpu->vm, fd, 0, 0));
	CHECK_OK(ioctl(vcpu->vm->fd, KVM_IOEVENTFD, &io));
	vcpu_sync(vcpu, 1);
	CHECK_OK(assign(vcpu->vm, fd, 0, KVM_IRQFD_FLAG_DEASSIGN));
	/* each EOI raises it again: a storm in the guest, nothing in the host */
	CHECK_OK(assign(vcpu->vm, self, self, KVM_IRQFD_FLAG_RESAMPLE));
	signal_event(self);
	vcpu_done(vcpu);
}

static void guest_doorbells(void)
{
	volatile u8 *b = (u8 *)GPA_MMIO;

	outb(PORT, 1);
	outw(PORT, 1);
	outl(PORT, 1);			/* any length: three */
	*(volatile u64 *)b = 0x1122334455667788;
	*(volatile u32 *)b = 0x55667788;	/* another length: an exit */
	*(volatile u16 *)(b + 8) = 0xfff0;
	*(volatile u16 *)(b + 8) = 0xfff1;
	*(volatile u16 *)(b + 8) = 0xfff2;	/* neither: an exit */
	GUEST_SYNC(1);
}

/* Lengths and data matches of ioeventfds; what collides and what does not. */
static void test_doorbells(void)
{
	struct kvm_ioeventfd any = {
		.addr = PORT, .len = 0, .flags = KVM_IOEVENTFD_FLAG_PIO,
	};
	struct kvm_ioeventfd eight = {
		.addr = GPA_MMIO, .len = 8, .datamatch = 0x1122334455667788,
		.flags = KVM_IOEVENTFD_FLAG_DATAMATCH,
	};
	struct kvm_ioeventfd two = {
		.addr = GPA_MMIO + 8, .len = 2, .datamatch = 0xfff0,
		.flags = KVM_IOEVENTFD_FLAG_DATAMATCH,
	};
	struct kvm_ioeventfd other = two, bad = two;
	struct vcpu *vcpu = start(guest_doorbells, 0);
	int vm = vcpu->vm->fd;

	REQUIRE(dev_cap(KVM_CAP_IOEVENTFD_ANY_LENGTH) > 0, "no any-length ioeventfd");
	any.fd = event();
	eight.fd = event();
	two.fd = event();
	other.fd = event();
	other.datamatch = 0xfff1;
	CHECK_OK(ioctl(vm, KVM_IOEVENTFD, &two));
	CHECK_OK(ioctl(vm, KVM_IOEVENTFD, &any));
	CHECK_OK(ioctl(vm, KVM_IOEVENTFD, &other));
	CHECK_OK(ioctl(vm, KVM_IOEVENTFD, &eight));
	bad.fd = two.fd;
	CHECK_ERRNO(ioctl(vm, KVM_IOEVENTFD, &bad), EEXIST);
	bad.flags = 0;			/* any value, where one is matched */
	CHECK_ERRNO(ioctl(vm, KVM_IOEVENTFD, &bad), EEXIST);
	bad.len = 0;
	bad.flags = KVM_IOEVENTFD_FLAG_DATAMATCH;	/* of what length? */
	CHECK_ERRNO(ioctl(vm, KVM_IOEVENTFD, &bad), EINVAL);
	bad = two;
	bad.addr = ~0ull;		/* wraps */
	CHECK_ERRNO(ioctl(vm, KVM_IOEVENTFD, &bad), EINVAL);
	bad = two;
	bad.fd = -1;
	CHECK_ERRNO(ioctl(vm, KVM_IOEVENTFD, &bad), EBADF);
	bad = two;
	bad.fd = other.fd;		/* somebody else's */
	bad.flags |= KVM_IOEVENTFD_FLAG_DEASSIGN;
	CHECK_ERRNO(ioctl(vm, KVM_IOEVENTFD, &bad), ENOENT);

	vcpu_expect(vcpu, KVM_EXIT_MMIO);
	CHECK_EQ(vcpu->run->mmio.len, 4);
	CHECK_EQ(drain(any.fd), 3);
	CHECK_EQ(drain(eight.fd), 1);
	vcpu_expect(vcpu, KVM_EXIT_MMIO);
	CHECK_EQ(vcpu->run->mmio.phys_addr, GPA_MMIO + 8);
	CHECK_EQ(vcpu->run->mmio.data[0], 0xf2);
	CHECK_EQ(drain(two.fd), 1);
	CHECK_EQ(drain(other.fd), 1);
	vcpu_sync(vcpu, 1);
	CHECK_EQ(drain(eight.fd), 0);
}

KSFT_MAIN(
	{ "irqfd: resample", test_resample },
	{ "irqfd: signalled before", test_early },
	{ "irqfd: close", test_close },
	{ "irqfd: bad ones", test_bad },
	{ "irqfd: rings", test_ring },
	{ "irqfd: ioeventfd lengths and data", test_doorbells },
)
