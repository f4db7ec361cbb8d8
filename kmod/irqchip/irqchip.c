// SPDX-License-Identifier: GPL-2.0-only
/*
 * The VM-wide interrupt controllers together: creation, ports and registers, acknowledgments.
 */
#include <linux/slab.h>

#include "emys.h"
#include "irqchip/chip.h"

int irqchip_create(struct emys_vm *vm)
{
	struct emys_irqchip *chip;
	int err;

	if (vm->irqchip)
		return -EEXIST;
	if (vm->nr_vcpus)
		return -EINVAL;
	chip = kzalloc(sizeof(*chip), GFP_KERNEL_ACCOUNT);
	if (!chip)
		return -ENOMEM;
	chip->vm = vm;
	mutex_init(&chip->routing_lock);
	pic_init(&chip->pic);
	ioapic_init(&chip->ioapic);
	err = routing_init(chip);
	if (err) {
		kfree(chip);
		return err;
	}
	/* lines may be driven as soon as this is seen */
	smp_store_release(&vm->irqchip, chip);
	return 0;
}

void irqchip_destroy(struct emys_vm *vm)
{
	struct emys_irqchip *chip = vm->irqchip;

	pit_destroy(vm);
	irqfds_free(vm);
	if (!chip)
		return;
	vm->irqchip = NULL;
	mutex_destroy(&chip->routing_lock);
	routing_destroy(chip);
	kfree(chip);
}

void irq_acked(struct emys_vm *vm, u32 chip, u32 pin)
{
	int gsi = routing_pin_gsi(vm->irqchip, chip, pin);

	if (gsi < 0)
		return;
	if (gsi == 0)
		pit_acked(vm);
	if (test_bit(gsi, vm->irqchip->resampled))
		resample_acked(vm, gsi);
}

void irq_unmasked(struct emys_vm *vm, u32 chip, u32 pin)
{
	if (routing_pin_gsi(vm->irqchip, chip, pin) == 0)
		pit_unmasked(vm);
}

int irqchip_get(struct emys_vm *vm, struct kvm_irqchip *chip)
{
	if (!vm->irqchip)
		return -ENXIO;
	switch (chip->chip_id) {
	case KVM_IRQCHIP_PIC_MASTER:
	case KVM_IRQCHIP_PIC_SLAVE:
		pic_get(vm, chip->chip_id, &chip->chip.pic);
		return 0;
	case KVM_IRQCHIP_IOAPIC:
		ioapic_get(vm, &chip->chip.ioapic);
		return 0;
	default:
		return -EINVAL;
	}
}

int irqchip_set(struct emys_vm *vm, const struct kvm_irqchip *chip)
{
	if (!vm->irqchip)
		return -ENXIO;
	switch (chip->chip_id) {
	case KVM_IRQCHIP_PIC_MASTER:
	case KVM_IRQCHIP_PIC_SLAVE:
		pic_set(vm, chip->chip_id, &chip->chip.pic);
		return 0;
	case KVM_IRQCHIP_IOAPIC:
		ioapic_set(vm, &chip->chip.ioapic);
		return 0;
	default:
		return -EINVAL;
	}
}

static bool our_port(struct emys_vm *vm, u16 port)
{
	return (vm->irqchip && pic_port(port)) || pit_port(vm, port);
}

/* The chips are 8 bits wide: a wider access is several, as on the bus. */
int irqchip_pio_read(struct emys_vcpu *vcpu, u16 port, int size, u32 *val)
{
	struct emys_vm *vm = vcpu->vm;
	u8 bytes[4] = { 0xff, 0xff, 0xff, 0xff };
	int i;

	if (likely(size == 1 && pic_port(port) && vm->irqchip)) {
		*val = pic_read(vm, port);
		return 0;
	}
	if (!our_port(vm, port))
		return -EOPNOTSUPP;
	for (i = 0; i < size && i < 4; i++) {
		u16 p = port + i;

		if (pit_port(vm, p))
			bytes[i] = pit_read(vm, p);
		else if (our_port(vm, p))
			bytes[i] = pic_read(vm, p);
	}
	memcpy(val, bytes, sizeof(*val));
	if (size < 4)
		*val &= (1u << size * 8) - 1;
	return 0;
}

int irqchip_pio_write(struct emys_vcpu *vcpu, u16 port, int size, u32 val)
{
	struct emys_vm *vm = vcpu->vm;
	int i;

	if (!our_port(vm, port))
		return ioeventfd_match(vm, true, port, size, &val) ? 0 : -EOPNOTSUPP;
	for (i = 0; i < size && i < 4; i++) {
		u16 p = port + i;

		if (pit_port(vm, p))
			pit_write(vm, p, val >> i * 8);
		else if (our_port(vm, p))
			pic_write(vm, p, val >> i * 8);
	}
	return 0;
}

/*
 * Registers of APIC and IO-APIC are 32 bits at multiples of 16. Narrower reads
 * give their part; what lies between is empty; other writes are ignored.
 */
int irqchip_mmio_read(struct emys_vcpu *vcpu, u64 gpa, int len, void *val)
{
	struct emys_irqchip *chip = vcpu->vm->irqchip;
	u32 at = gpa & 0xf;
	u64 reg;

	if (lapic_at(vcpu, gpa))
		reg = lapic_read(vcpu, gpa & 0xff0);
	else if (chip && ioapic_in_range(chip, gpa))
		reg = ioapic_read(vcpu->vm, gpa & 0xf0);
	else
		return -EOPNOTSUPP;
	reg = at < 4 ? reg >> at * 8 : 0;
	memset(val, 0, len);
	memcpy(val, &reg, min_t(int, len, sizeof(reg)));
	return 0;
}

int irqchip_mmio_write(struct emys_vcpu *vcpu, u64 gpa, int len, const void *val)
{
	struct emys_irqchip *chip = vcpu->vm->irqchip;
	u32 reg = 0;

	memcpy(&reg, val, min_t(int, len, sizeof(reg)));
	if (lapic_at(vcpu, gpa)) {
		if (len == 4 && !(gpa & 0xf))
			lapic_write(vcpu, gpa & 0xff0, reg);
		return 0;
	}
	if (chip && ioapic_in_range(chip, gpa)) {
		if (!(gpa & 0xf))
			ioapic_write(vcpu->vm, gpa & 0xf0, reg);
		return 0;
	}
	return ioeventfd_match(vcpu->vm, false, gpa, len, val) ? 0 : -EOPNOTSUPP;
}
