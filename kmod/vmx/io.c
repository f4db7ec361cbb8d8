// SPDX-License-Identifier: GPL-2.0-only
/* Port I/O: our devices in the section, strings and the VMM's ports after it. */
#include <linux/mm.h>

#include "../emys.h"
#include "internal.h"

/* "Exit Qualification for I/O Instructions". */
#define IO_SIZE(q)	((unsigned int)((q) & 7) + 1)
#define IO_IN(q)	((q) & BIT(3))
#define IO_STRING(q)	((q) & BIT(4))
#define IO_REP(q)	((q) & BIT(5))
#define IO_PORT(q)	((u16)((q) >> 16))

static u32 size_mask(unsigned int size)
{
	return size == 4 ? ~0u : (1u << (8 * size)) - 1;
}

/* IN writes AL, AX or EAX; EAX clears the upper half. */
static void put_rax(struct emys_vcpu *vcpu, unsigned int size, u32 val)
{
	if (size == 4)
		vcpu->regs[0] = val;
	else
		vcpu->regs[0] = (vcpu->regs[0] & ~(u64)size_mask(size)) | (val & size_mask(size));
}

int vmx_fast_io(struct emys_vcpu *vcpu)
{
	u64 qual = vmcs_readl(EXIT_QUALIFICATION);
	unsigned int size = IO_SIZE(qual);
	u32 val;

	if (IO_STRING(qual))
		return VMX_EXIT_PENDING;
	if (IO_IN(qual)) {
		if (irqchip_pio_read(vcpu, IO_PORT(qual), size, &val))
			return VMX_EXIT_PENDING;
		put_rax(vcpu, size, val);
	} else {
		if (irqchip_pio_write(vcpu, IO_PORT(qual), size,
				      (u32)vcpu->regs[0] & size_mask(size)))
			return VMX_EXIT_PENDING;
	}
	vcpu->stats.io_kernel++;
	vmx_skip(vcpu);
	return EMYS_RESUME;
}

static int to_vmm(struct emys_vcpu *vcpu, u32 count, int (*complete)(struct emys_vcpu *vcpu))
{
	struct kvm_run *run = vcpu->run;

	run->exit_reason = KVM_EXIT_IO;
	run->io.direction = vcpu->io.in ? KVM_EXIT_IO_IN : KVM_EXIT_IO_OUT;
	run->io.size = vcpu->io.size;
	run->io.port = vcpu->io.port;
	run->io.count = count;
	run->io.data_offset = KVM_PIO_PAGE_OFFSET * PAGE_SIZE;
	vcpu->io.complete = complete;
	vcpu->vmx.io_rip = vmx_rip(vcpu);
	vcpu->stats.user_io++;
	return EMYS_USER;
}

/* The VMM may have moved the vCPU meanwhile (a reset by port): then nothing is left to do. */
static bool still_there(struct emys_vcpu *vcpu)
{
	return vmx_rip(vcpu) == vcpu->vmx.io_rip;
}

static int complete_single(struct emys_vcpu *vcpu)
{
	u32 val = 0;

	if (!still_there(vcpu))
		return EMYS_RESUME;
	if (vcpu->io.in) {
		memcpy(&val, vcpu->pio_data, vcpu->io.size);
		put_rax(vcpu, vcpu->io.size, val);
	}
	vmx_skip(vcpu);
	return EMYS_RESUME;
}

/* The instruction was over before the VMM was asked. */
static int complete_nothing(struct emys_vcpu *vcpu)
{
	return EMYS_RESUME;
}

/* "Instruction Information for VM Exits Due to INS or OUTS": address size in bits 9:7. */
static u64 address_mask(struct emys_vcpu *vcpu)
{
	switch ((vcpu->vmx.exit.insn_info >> 7) & 7) {
	case 0:
		return 0xffff;
	case 1:
		return 0xffffffff;
	default:
		return ~0ull;
	}
}

/* A register changes as its address size says: 16 bits merge, 32 bits clear the rest. */
static void add_reg(struct emys_vcpu *vcpu, unsigned int reg, u64 mask, s64 delta)
{
	u64 old = vcpu->regs[reg], val = (old + delta) & mask;

	if (mask == 0xffff)
		val |= old & ~mask;
	vcpu->regs[reg] = val;
}

static int step_string(struct emys_vcpu *vcpu, u32 n)
{
	u64 mask = address_mask(vcpu);
	s64 bytes = (s64)n * vcpu->io.size;

	if (vmx_rflags(vcpu) & X86_EFLAGS_DF)
		bytes = -bytes;
	add_reg(vcpu, vcpu->io.in ? 7 : 6, mask, bytes);
	if (IO_REP(vcpu->vmx.exit.qual)) {
		add_reg(vcpu, 1, mask, -(s64)n);
		/* More to come: the instruction exits again. */
		if (vcpu->regs[1] & mask) {
			if (vmx_l1_traps(vcpu))
				nested_trap(vcpu);
			return EMYS_RESUME;
		}
	}
	vmx_skip(vcpu);
	return EMYS_RESUME;
}

static u32 user_access(struct emys_vcpu *vcpu)
{
	return vmx_get_cpl(vcpu) == 3 ? GWALK_USER : 0;
}

static int put_string(struct emys_vcpu *vcpu, u32 n)
{
	u32 error;
	u64 gva;
	int r;

	r = mem_write_gva(vcpu, vcpu->vmx.exit.gla, vcpu->pio_data, n * vcpu->io.size,
			  GWALK_WRITE | user_access(vcpu), &error, &gva);
	if (r < 0)
		return vmx_internal_error(vcpu, KVM_INTERNAL_ERROR_EMULATION);
	if (r) {
		vmx_inject_pf(vcpu, gva, error);
		return EMYS_RESUME;
	}
	return step_string(vcpu, n);
}

/* What the VMM was asked for, or less: it may have made RCX less while it had the access. */
static u32 answered(struct emys_vcpu *vcpu)
{
	if (!IO_REP(vcpu->vmx.exit.qual))
		return vcpu->io.count;
	return min_t(u64, vcpu->io.count, vcpu->regs[1] & address_mask(vcpu));
}

static int complete_ins(struct emys_vcpu *vcpu)
{
	return still_there(vcpu) ? put_string(vcpu, answered(vcpu)) : EMYS_RESUME;
}

static int complete_outs(struct emys_vcpu *vcpu)
{
	return still_there(vcpu) ? step_string(vcpu, answered(vcpu)) : EMYS_RESUME;
}

/* Elements of one batch: within the page of the first, and what the data page holds. */
static u32 batch(struct emys_vcpu *vcpu, u64 left)
{
	u32 room = PAGE_SIZE - offset_in_page(vcpu->vmx.exit.gla);
	u32 n = room / vcpu->io.size;

	if ((vmx_rflags(vcpu) & X86_EFLAGS_DF) || vmx_l1_traps(vcpu))
		n = 1;
	return min_t(u64, max(n, 1u), left);
}

static int handle_string(struct emys_vcpu *vcpu)
{
	struct vmx_exit *e = &vcpu->vmx.exit;
	u64 left = 1, gpa, gva;
	u8 *data = vcpu->pio_data;
	unsigned int size = vcpu->io.size;
	u32 n, i, error, val;
	int r;

	if (IO_REP(e->qual))
		left = vcpu->regs[1] & address_mask(vcpu);
	if (!left) {
		vmx_skip(vcpu);
		return EMYS_RESUME;
	}
	/* The exit comes before the CPU looks at the address. */
	if (vmx_is_64bit(vcpu) && !__is_canonical_address(e->gla, 48)) {
		vmx_inject_gp(vcpu);
		return EMYS_RESUME;
	}
	n = batch(vcpu, left);
	vcpu->io.count = n;
	if (vcpu->io.in) {
		/* The fault comes before the device is touched. */
		r = mem_translate(vcpu, e->gla, GWALK_WRITE | user_access(vcpu), &gpa, &error);
		if (r < 0)
			return vmx_internal_error(vcpu, KVM_INTERNAL_ERROR_EMULATION);
		if (r) {
			vmx_inject_pf(vcpu, e->gla, error);
			return EMYS_RESUME;
		}
		for (i = 0; i < n; i++) {
			if (irqchip_pio_read(vcpu, vcpu->io.port, size, &val))
				break;
			memcpy(data + i * size, &val, size);
		}
		if (!i)
			return to_vmm(vcpu, n, complete_ins);
		return put_string(vcpu, i);
	}
	r = mem_read_gva(vcpu, e->gla, data, n * size, user_access(vcpu), &error, &gva);
	if (r < 0)
		return vmx_internal_error(vcpu, KVM_INTERNAL_ERROR_EMULATION);
	if (r) {
		vmx_inject_pf(vcpu, gva, error);
		return EMYS_RESUME;
	}
	for (i = 0; i < n; i++) {
		val = 0;
		memcpy(&val, data + i * size, size);
		if (irqchip_pio_write(vcpu, vcpu->io.port, size, val))
			break;
	}
	if (!i)
		return to_vmm(vcpu, n, complete_outs);
	return step_string(vcpu, i);
}

int vmx_handle_io(struct emys_vcpu *vcpu)
{
	u64 qual = vcpu->vmx.exit.qual;

	vcpu->io.size = IO_SIZE(qual);
	vcpu->io.port = IO_PORT(qual);
	vcpu->io.in = IO_IN(qual);
	if (IO_STRING(qual))
		return handle_string(vcpu);
	if (!vcpu->io.in)
		memcpy(vcpu->pio_data, &vcpu->regs[0], vcpu->io.size);
	if (vcpu->io.port == 0x7e && !vcpu->io.in &&
	    emys_quirk(vcpu->vm, KVM_X86_QUIRK_OUT_7E_INC_RIP)) {
		vmx_skip(vcpu);
		return to_vmm(vcpu, 1, complete_nothing);
	}
	return to_vmm(vcpu, 1, complete_single);
}
