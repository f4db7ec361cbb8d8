// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory-mapped I/O: fetch the instruction, read its operands, execute, write.
 *
 * Each operand access is cut at the page boundary, and each part is guest
 * memory, a register of ours, or the VMM's, in pieces of up to 8 bytes. The
 * VMM answers with another KVM_RUN, so the whole is a small machine whose state
 * lives in the vCPU between the pieces.
 */
#include <linux/mm.h>
#include <linux/slab.h>
#include <asm/trapnr.h>

#include "../emys.h"
#include "../insn/insn.h"
#include "internal.h"

enum mmio_phase { MMIO_READ1, MMIO_READ0, MMIO_EXECUTE, MMIO_WRITE, MMIO_COMMIT };

struct mmio_part {
	u64 gpa;
	u32 len;
};

/* All [V]. */
struct mmio {
	struct emys_insn insn;
	struct emys_insn_cpu cpu;
	struct emys_insn_result res;
	u64 in[2];
	enum mmio_phase phase;

	/* The access under way. */
	u8 buf[16];
	bool write;
	u32 len, done;
	struct mmio_part part[2];
	unsigned int nr_parts, cur;
	u32 part_done, piece;
};

int vmx_mmio_init(struct emys_vcpu *vcpu)
{
	struct mmio *m = kzalloc(sizeof(*m), GFP_KERNEL_ACCOUNT);

	vcpu->io.insn = m;
	return m ? 0 : -ENOMEM;
}

void vmx_mmio_destroy(struct emys_vcpu *vcpu)
{
	kfree(vcpu->io.insn);
}

static int mmio_go(struct emys_vcpu *vcpu);

/* An instruction that emys does not know: user code gets #UD, a kernel stops with the VMM told. */
static int cannot_emulate(struct emys_vcpu *vcpu)
{
	if (unlikely(vcpu->vmx.l2) && nested_access_exits(vcpu))
		return EMYS_RESUME;
	if (vmx_get_cpl(vcpu) == 3) {
		vmx_inject_ud(vcpu);
		return EMYS_RESUME;
	}
	return vmx_internal_error(vcpu, KVM_INTERNAL_ERROR_EMULATION);
}

static u32 user_access(struct emys_vcpu *vcpu)
{
	return vmx_get_cpl(vcpu) == 3 ? GWALK_USER : 0;
}

static enum emys_insn_mode code_mode(struct emys_vcpu *vcpu)
{
	if (vmx_is_64bit(vcpu))
		return EMYS_INSN_64;
	if (!(vmx_get_cr0(vcpu) & X86_CR0_PE) || (vmx_rflags(vcpu) & X86_EFLAGS_VM))
		return EMYS_INSN_16;
	vmx_need(vcpu, VMX_AV_CS);
	return vcpu->vmx.cs_ar & BIT(14) ? EMYS_INSN_32 : EMYS_INSN_16;
}

/*
 * Fetch and decode. EMYS_RESUME with *done = true: the guest got a fault instead;
 * EMYS_RESUME with *done = false: decoded.
 */
static int fetch(struct emys_vcpu *vcpu, struct mmio *m, bool *done)
{
	enum emys_insn_mode mode = code_mode(vcpu);
	u8 bytes[EMYS_INSN_MAX];
	u32 error, n = 0, chunk;
	u64 pc, gva;
	int r;

	*done = true;
	vmx_need(vcpu, VMX_AV_CS);
	pc = vmx_rip(vcpu);
	if (mode != EMYS_INSN_64)
		pc = (u32)(pc + vcpu->vmx.cs_base);
	do {
		/* Up to the page's end first: what lies beyond may not be needed, or absent. */
		chunk = min_t(u32, sizeof(bytes) - n, PAGE_SIZE - offset_in_page(pc + n));
		r = mem_read_gva(vcpu, pc + n, bytes + n, chunk,
				 GWALK_EXEC | user_access(vcpu), &error, &gva);
		if (r < 0)
			return cannot_emulate(vcpu);
		if (r) {
			vmx_inject_pf(vcpu, gva, error);
			return EMYS_RESUME;
		}
		n += chunk;
		r = emys_insn_decode(&m->insn, bytes, n, mode);
	} while (r == -ENODATA);
	if (r == -EINVAL) {
		vmx_inject_ud(vcpu);
		return EMYS_RESUME;
	}
	if (r == -E2BIG) {
		vmx_inject_gp(vcpu);
		return EMYS_RESUME;
	}
	if (r)
		return cannot_emulate(vcpu);
	*done = false;
	return EMYS_RESUME;
}

static u64 segment_base(struct emys_vcpu *vcpu, const struct mmio *m, u8 seg)
{
	static const u8 vmcs_seg[] = {
		[EMYS_SEG_ES] = SEG_ES, [EMYS_SEG_CS] = SEG_CS, [EMYS_SEG_SS] = SEG_SS,
		[EMYS_SEG_DS] = SEG_DS, [EMYS_SEG_FS] = SEG_FS, [EMYS_SEG_GS] = SEG_GS,
	};
	struct kvm_segment s;

	if (m->insn.mode == EMYS_INSN_64 && seg != EMYS_SEG_FS && seg != EMYS_SEG_GS)
		return 0;
	vmx_get_segment(vcpu, vmcs_seg[seg], &s);
	return s.base;
}

/*
 * Point the machine at memory operand @op. 0, 1 = the guest got a fault, or
 * -EFAULT: a page table of the guest lies in no slot.
 */
static int begin(struct emys_vcpu *vcpu, struct mmio *m, int op, bool write)
{
	u64 gva = emys_insn_offset(&m->insn, &m->cpu, op) +
		  segment_base(vcpu, m, m->insn.mem[op].seg);
	u32 access = (write ? GWALK_WRITE : 0) | user_access(vcpu), error;
	u32 left = m->insn.size, len;
	int r;

	if (m->insn.mode != EMYS_INSN_64) {
		gva = (u32)gva;
	} else if (!__is_canonical_address(gva, 48) ||
		   !__is_canonical_address(gva + left - 1, 48)) {
		/* The other operand was the one that exited: the CPU never saw this. */
		vmx_queue_exception(vcpu, m->insn.mem[op].seg == EMYS_SEG_SS ?
				    X86_TRAP_SS : X86_TRAP_GP, true, 0);
		return 1;
	}
	m->write = write;
	m->len = left;
	m->done = 0;
	m->part_done = 0;
	m->cur = 0;
	m->nr_parts = 0;
	while (left) {
		struct mmio_part *p = &m->part[m->nr_parts++];

		len = min_t(u32, left, PAGE_SIZE - offset_in_page(gva));
		r = mem_translate(vcpu, gva, access, &p->gpa, &error);
		if (r == 1)
			vmx_inject_pf(vcpu, gva, error);
		if (r)
			return r;
		p->len = len;
		gva += len;
		left -= len;
	}
	return 0;
}

static int complete_piece(struct emys_vcpu *vcpu)
{
	struct mmio *m = vcpu->io.insn;

	if (vmx_rip(vcpu) != vcpu->vmx.io_rip)
		return EMYS_RESUME;
	if (!m->write)
		memcpy(m->buf + m->done, vcpu->run->mmio.data, m->piece);
	m->done += m->piece;
	m->part_done += m->piece;
	return mmio_go(vcpu);
}

/* Move the access on. EMYS_RESUME: it is complete. EMYS_USER: the VMM has a piece to do. */
static int advance(struct emys_vcpu *vcpu, struct mmio *m)
{
	struct kvm_run *run = vcpu->run;
	int r;

	for (; m->cur < m->nr_parts; m->cur++, m->part_done = 0) {
		struct mmio_part *p = &m->part[m->cur];

		if (mem_has_slot(vcpu->vm, p->gpa, m->write)) {
			r = m->write ? mem_write(vcpu->vm, p->gpa, m->buf + m->done, p->len) :
				       mem_read(vcpu->vm, p->gpa, m->buf + m->done, p->len);
			if (r)
				return r;
			m->done += p->len;
			continue;
		}
		while (m->part_done < p->len) {
			u64 gpa = p->gpa + m->part_done;

			m->piece = min_t(u32, 8, p->len - m->part_done);
			r = m->write ? irqchip_mmio_write(vcpu, gpa, m->piece, m->buf + m->done) :
				       irqchip_mmio_read(vcpu, gpa, m->piece, m->buf + m->done);
			if (r) {
				run->exit_reason = KVM_EXIT_MMIO;
				run->mmio.phys_addr = gpa;
				run->mmio.len = m->piece;
				run->mmio.is_write = m->write;
				memset(run->mmio.data, 0, sizeof(run->mmio.data));
				if (m->write)
					memcpy(run->mmio.data, m->buf + m->done, m->piece);
				vcpu->io.complete = complete_piece;
				vcpu->vmx.io_rip = vmx_rip(vcpu);
				vcpu->stats.user_mmio++;
				return EMYS_USER;
			}
			vcpu->stats.mmio_kernel++;
			m->done += m->piece;
			m->part_done += m->piece;
		}
	}
	return EMYS_RESUME;
}

/* XMM registers lie in the legacy part of the XSAVE image, which is complete out of the section. */
static u64 *xmm(struct emys_vcpu *vcpu, unsigned int reg)
{
	return (u64 *)((u8 *)vcpu->fpu.area + 160 + 16 * (reg & 15));
}

static void commit(struct emys_vcpu *vcpu, struct mmio *m)
{
	struct vmx_vcpu *vmx = &vcpu->vmx;

	memcpy(vcpu->regs, m->res.cpu.gpr, sizeof(vcpu->regs));
	vmx->avail |= VMX_AV_RSP;
	vmx->dirty |= VMX_AV_RSP;
	if (m->res.vec_write) {
		memcpy(xmm(vcpu, m->insn.reg), m->res.vec, 16);
		/* XSTATE_BV: SSE state is no longer initial. */
		*(u64 *)((u8 *)vcpu->fpu.area + 512) |= XFEATURE_MASK_SSE;
	}
	vmx_set_rflags(vcpu, m->res.cpu.rflags);
	vmx_set_rip(vcpu, m->insn.mode == EMYS_INSN_64 ? m->res.cpu.rip : (u32)m->res.cpu.rip);
	vmx_insn_done(vcpu);
}

/* Go through the phases until one needs the VMM. */
static int mmio_go(struct emys_vcpu *vcpu)
{
	struct mmio *m = vcpu->io.insn;
	int r;

	for (;;) {
		/* An access is under way in the phases that have one. */
		if (m->nr_parts) {
			r = advance(vcpu, m);
			if (r == -EFAULT)
				return vmx_internal_error(vcpu, KVM_INTERNAL_ERROR_EMULATION);
			if (r != EMYS_RESUME)
				return r;
			m->nr_parts = 0;
			if (m->phase == MMIO_READ1)
				memcpy(&m->in[1], m->buf, m->len);
			else if (m->phase == MMIO_READ0)
				memcpy(m->in, m->buf, m->len);
			m->phase++;
		}
		r = 0;
		switch (m->phase) {
		case MMIO_READ1:
			if (m->insn.reads & BIT(1))
				r = begin(vcpu, m, 1, false);
			else
				m->phase++;
			break;
		case MMIO_READ0:
			/* What will be written must be writable before a device is read. */
			if (m->insn.reads & BIT(0))
				r = begin(vcpu, m, 0, m->insn.write);
			else
				m->phase++;
			m->write = false;
			break;
		case MMIO_EXECUTE:
			emys_insn_execute(&m->insn, &m->cpu, m->in,
					  m->insn.vec ? xmm(vcpu, m->insn.reg) : NULL, &m->res);
			if (m->res.divide_error) {
				vmx_queue_exception(vcpu, X86_TRAP_DE, false, 0);
				return EMYS_RESUME;
			}
			m->phase++;
			break;
		case MMIO_WRITE:
			if (m->res.write) {
				r = begin(vcpu, m, 0, true);
				memcpy(m->buf, m->res.out, sizeof(m->buf));
			} else {
				m->phase++;
			}
			break;
		case MMIO_COMMIT:
			commit(vcpu, m);
			return EMYS_RESUME;
		}
		if (r < 0)
			return cannot_emulate(vcpu);
		if (r)
			return EMYS_RESUME;
	}
}

int vmx_handle_mmio(struct emys_vcpu *vcpu, u64 gpa)
{
	struct mmio *m = vcpu->io.insn;
	struct kvm_segment ss;
	bool done;
	int r;

	/* The CPU was delivering an event into it: there is no instruction to emulate. */
	if (vcpu->vmx.exit.idt_info & BIT(31))
		return vmx_internal_error(vcpu, KVM_INTERNAL_ERROR_DELIVERY_EV);
	memset(m, 0, sizeof(*m));
	r = fetch(vcpu, m, &done);
	if (done)
		return r;
	if (m->insn.op == EMYS_OP_INS || m->insn.op == EMYS_OP_OUTS)
		return cannot_emulate(vcpu);
	vmx_need(vcpu, VMX_AV_RSP | VMX_AV_RFLAGS);
	memcpy(m->cpu.gpr, vcpu->regs, sizeof(m->cpu.gpr));
	m->cpu.rip = vmx_rip(vcpu);
	m->cpu.rflags = vmx_rflags(vcpu);
	vmx_get_segment(vcpu, SEG_SS, &ss);
	m->cpu.ss_big = ss.db;
	m->phase = emys_insn_left(&m->insn, &m->cpu) ? MMIO_READ1 : MMIO_EXECUTE;
	return mmio_go(vcpu);
}
