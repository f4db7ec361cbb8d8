// SPDX-License-Identifier: GPL-2.0-only
/* irq/routing: GSI routes, MSIs, irqfd and ioeventfd */
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "apic.h"
#include "vmm.h"

#define VECTOR	0x55
#define VECTOR2	0x65
#define GSI	40
#define PIN	20

static volatile u64 irqs, irqs2;

static void on_irq(struct guest_frame *frame)
{
	if (frame->vector == VECTOR)
		irqs++;
	else
		irqs2++;
	apic_eoi();
}

static void guest_wait(u64 x2)
{
	guest_handlers[VECTOR] = on_irq;
	guest_handlers[VECTOR2] = on_irq;
	if (x2)
		x2apic_enable();
	else
		apic_enable();
	ioapic_set(PIN, VECTOR2, 0);
	sti();
	GUEST_SYNC(1);
	GUEST_SYNC2(2, irqs, irqs2);
	GUEST_SYNC2(3, irqs, irqs2);
	GUEST_SYNC2(4, irqs, irqs2);
	cli();
}

/*
 * KVM_SIGNAL_MSI: delivered by destination; one with no destination, or with
 * flags or a vector that cannot be, is not.
 */
static void test_msi(void)
{
	struct kvm_msi msi = { .address_lo = 0xfee00000, .data = VECTOR };
	struct vcpu *vcpu;
	u64 x2;

	for (x2 = 0; x2 < 2; x2++) {
		vcpu = vcpu_with_irqchip(guest_wait, x2);
		vcpu_sync(vcpu, 1);
		msi.address_lo = 0xfee00000;
		msi.flags = 0;
		CHECK_EQ(CHECK_OK(ioctl(vcpu->vm->fd, KVM_SIGNAL_MSI, &msi)),
			 1);
		vcpu_sync(vcpu, 2);
		CHECK_EQ(vcpu->uc.arg[1], 1);
		/* APIC ID 0x33 is nobody */
		msi.address_lo = 0xfee33000;
		CHECK(ioctl(vcpu->vm->fd, KVM_SIGNAL_MSI, &msi) <= 0);
		vcpu_sync(vcpu, 3);
		CHECK_EQ(vcpu->uc.arg[1], 1);
		msi.address_lo = 0xfee00000;
		msi.flags = 1u << 31;
		CHECK_ERRNO(ioctl(vcpu->vm->fd, KVM_SIGNAL_MSI, &msi), EINVAL);
		vcpu_sync(vcpu, 4);
		CHECK_EQ(vcpu->uc.arg[1], 1);
		vcpu_done(vcpu);
		vm_free(vcpu->vm);
	}
}

struct routes {
	struct kvm_irq_routing head;
	struct kvm_irq_routing_entry e[8];
};

static int set_routes(struct vcpu *vcpu, struct routes *r)
{
	return ioctl(vcpu->vm->fd, KVM_SET_GSI_ROUTING, r);
}

static const struct kvm_irq_routing_entry msi_route = {
	.gsi = GSI, .type = KVM_IRQ_ROUTING_MSI,
	.u.msi = { .address_lo = 0xfee00000, .data = VECTOR },
};

static const struct kvm_irq_routing_entry pin_route = {
	.gsi = GSI + 1, .type = KVM_IRQ_ROUTING_IRQCHIP,
	.u.irqchip = { .irqchip = KVM_IRQCHIP_IOAPIC, .pin = PIN },
};

/*
 * KVM_SET_GSI_ROUTING replaces the table: an MSI behind a GSI of one's choice,
 * an IO-APIC pin behind another, and nothing behind the rest.
 */
static void test_routes(void)
{
	struct vcpu *vcpu = vcpu_with_irqchip(guest_wait, 0);
	struct routes r = { .head.nr = 2, .e = { msi_route, pin_route } };

	vcpu_sync(vcpu, 1);
	CHECK_OK(set_routes(vcpu, &r));
	vm_line(vcpu->vm, GSI, 1);
	vcpu_sync(vcpu, 2);
	CHECK_EQ(vcpu->uc.arg[1], 1);
	CHECK_EQ(vcpu->uc.arg[2], 0);
	vm_line(vcpu->vm, GSI + 1, 1);
	vm_line(vcpu->vm, GSI + 1, 0);
	vcpu_sync(vcpu, 3);
	CHECK_EQ(vcpu->uc.arg[1], 1);
	CHECK_EQ(vcpu->uc.arg[2], 1);
	/* the default route of pin 20 is gone */
	vm_line(vcpu->vm, PIN, 1);
	vcpu_sync(vcpu, 4);
	CHECK_EQ(vcpu->uc.arg[2], 1);
	vcpu_done(vcpu);
}

/* Routes that cannot be are EINVAL, and the old table stays. */
static void test_bad_routes(void)
{
	struct vcpu *vcpu = vcpu_with_irqchip(guest_wait, 0);
	struct routes r = { .head.nr = 1, .e = { msi_route } };

	vcpu_sync(vcpu, 1);
	CHECK_OK(set_routes(vcpu, &r));
	r.e[0].type = 99;
	CHECK_ERRNO(set_routes(vcpu, &r), EINVAL);
	r.e[0] = pin_route;
	r.e[0].u.irqchip.pin = 24;
	CHECK_ERRNO(set_routes(vcpu, &r), EINVAL);
	r.e[0] = pin_route;
	r.e[0].u.irqchip.irqchip = 7;
	CHECK_ERRNO(set_routes(vcpu, &r), EINVAL);
	r.e[0] = msi_route;
	r.e[0].gsi = 1 << 20;
	CHECK_ERRNO(set_routes(vcpu, &r), EINVAL);
	r.e[0] = msi_route;
	r.head.flags = 1;
	CHECK_ERRNO(set_routes(vcpu, &r), EINVAL);
	r.head.flags = 0;
	r.head.nr = 1 << 20;
	CHECK_ERRNO(set_routes(vcpu, &r), EINVAL);
	r.head.nr = 1;
	CHECK_ERRNO(ioctl(vcpu->vm->fd, KVM_SET_GSI_ROUTING, 1), EFAULT);
	vm_line(vcpu->vm, GSI, 1);
	vcpu_sync(vcpu, 2);
	CHECK_EQ(vcpu->uc.arg[1], 1);
}

/* irqfd: a write to the eventfd is an interrupt; deassigned, it is not. */
static void test_irqfd(void)
{
	struct kvm_irqfd irqfd = { .gsi = GSI };
	struct routes r = { .head.nr = 1, .e = { msi_route } };
	struct vcpu *vcpu;
	u64 one = 1;
	int fd;

	REQUIRE(dev_cap(KVM_CAP_IRQFD) > 0, "no KVM_CAP_IRQFD");
	vcpu = vcpu_with_irqchip(guest_wait, 0);
	vcpu_sync(vcpu, 1);
	CHECK_OK(set_routes(vcpu, &r));
	fd = CHECK_OK(eventfd(0, EFD_CLOEXEC));
	irqfd.fd = fd;
	CHECK_OK(ioctl(vcpu->vm->fd, KVM_IRQFD, &irqfd));
	/* one eventfd, one GSI: twice is EBUSY */
	CHECK_ERRNO(ioctl(vcpu->vm->fd, KVM_IRQFD, &irqfd), EBUSY);
	CHECK_EQ(write(fd, &one, 8), 8);
	vcpu_sync(vcpu, 2);
	CHECK_EQ(vcpu->uc.arg[1], 1);
	CHECK_EQ(write(fd, &one, 8), 8);
	vcpu_sync(vcpu, 3);
	CHECK_EQ(vcpu->uc.arg[1], 2);
	irqfd.flags = KVM_IRQFD_FLAG_DEASSIGN;
	CHECK_OK(ioctl(vcpu->vm->fd, KVM_IRQFD, &irqfd));
	CHECK_EQ(write(fd, &one, 8), 8);
	vcpu_sync(vcpu, 4);
	CHECK_EQ(vcpu->uc.arg[1], 2);
	irqfd.flags = 1u << 31;
	CHECK_ERRNO(ioctl(vcpu->vm->fd, KVM_IRQFD, &irqfd), EINVAL);
	irqfd.flags = 0;
	irqfd.fd = vcpu->fd;
	CHECK_ERRNO(ioctl(vcpu->vm->fd, KVM_IRQFD, &irqfd), EINVAL);
	irqfd.fd = -1;
	CHECK_ERRNO(ioctl(vcpu->vm->fd, KVM_IRQFD, &irqfd), EBADF);
	vcpu_done(vcpu);
}

#define IOPORT	0x2f4

static void guest_ioeventfd(void)
{
	volatile u32 *mmio = (u32 *)GPA_MMIO;

	outl(IOPORT, 7);		/* matches */
	outl(IOPORT, 8);		/* another value: an exit */
	outb(IOPORT, 7);		/* another size: an exit */
	mmio[0] = 1;			/* any value */
	mmio[0] = 2;
	GUEST_SYNC(1);
	outl(IOPORT, 7);		/* no longer assigned: an exit */
}

static u64 drain(int fd)
{
	u64 n = 0;

	if (read(fd, &n, 8) != 8)
		return 0;
	return n;
}

/* ioeventfd: a matching write is counted in the kernel, any other exits. */
static void test_ioeventfd(void)
{
	struct kvm_ioeventfd pio = {
		.addr = IOPORT, .len = 4, .datamatch = 7,
		.flags = KVM_IOEVENTFD_FLAG_PIO |
			 KVM_IOEVENTFD_FLAG_DATAMATCH,
	};
	struct kvm_ioeventfd mmio = { .addr = GPA_MMIO, .len = 4 };
	struct vcpu *vcpu;

	REQUIRE(dev_cap(KVM_CAP_IOEVENTFD) > 0, "no KVM_CAP_IOEVENTFD");
	vcpu = vcpu_with_irqchip(guest_ioeventfd, 0);
	pio.fd = CHECK_OK(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
	mmio.fd = CHECK_OK(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
	CHECK_OK(ioctl(vcpu->vm->fd, KVM_IOEVENTFD, &pio));
	CHECK_ERRNO(ioctl(vcpu->vm->fd, KVM_IOEVENTFD, &pio), EEXIST);
	CHECK_OK(ioctl(vcpu->vm->fd, KVM_IOEVENTFD, &mmio));
	vcpu_expect(vcpu, KVM_EXIT_IO);
	CHECK_EQ(vcpu->run->io.port, IOPORT);
	CHECK_EQ(*(u32 *)((u8 *)vcpu->run + vcpu->run->io.data_offset), 8);
	vcpu_expect(vcpu, KVM_EXIT_IO);
	CHECK_EQ(vcpu->run->io.size, 1);
	vcpu_sync(vcpu, 1);
	CHECK_EQ(drain(pio.fd), 1);
	CHECK_EQ(drain(mmio.fd), 2);
	pio.flags |= KVM_IOEVENTFD_FLAG_DEASSIGN;
	CHECK_OK(ioctl(vcpu->vm->fd, KVM_IOEVENTFD, &pio));
	CHECK_ERRNO(ioctl(vcpu->vm->fd, KVM_IOEVENTFD, &pio), ENOENT);
	vcpu_expect(vcpu, KVM_EXIT_IO);
	vcpu_done(vcpu);
	pio.flags = 1u << 31;
	CHECK_ERRNO(ioctl(vcpu->vm->fd, KVM_IOEVENTFD, &pio), EINVAL);
	pio.flags = KVM_IOEVENTFD_FLAG_PIO;
	pio.len = 3;
	CHECK_ERRNO(ioctl(vcpu->vm->fd, KVM_IOEVENTFD, &pio), EINVAL);
}

/*
 * KVM_CREATE_IRQCHIP: once (EEXIST), and before the first vCPU (EINVAL). The
 * interrupt ioctls need it: ENXIO without.
 */
static void test_create(void)
{
	struct kvm_irqchip c = { .chip_id = KVM_IRQCHIP_IOAPIC };
	struct kvm_irq_level l = { .irq = 1, .level = 1 };
	struct vm *vm = vm_create();

	CHECK_ERRNO(ioctl(vm->fd, KVM_IRQ_LINE, &l), ENXIO);
	CHECK_ERRNO(ioctl(vm->fd, KVM_GET_IRQCHIP, &c), ENXIO);
	CHECK_ERRNO(ioctl(vm->fd, KVM_SET_IRQCHIP, &c), ENXIO);
	CHECK_OK(ioctl(vm->fd, KVM_CREATE_IRQCHIP, 0));
	CHECK_ERRNO(ioctl(vm->fd, KVM_CREATE_IRQCHIP, 0), EEXIST);
	vm_free(vm);
	vm = vm_create();
	vcpu_add(vm, 0);
	CHECK_ERRNO(ioctl(vm->fd, KVM_CREATE_IRQCHIP, 0), EINVAL);
}

KSFT_MAIN(
	{ "routing: KVM_SIGNAL_MSI", test_msi },
	{ "routing: KVM_SET_GSI_ROUTING", test_routes },
	{ "routing: bad routes", test_bad_routes },
	{ "routing: irqfd", test_irqfd },
	{ "routing: ioeventfd", test_ioeventfd },
	{ "routing: KVM_CREATE_IRQCHIP", test_create },
)
