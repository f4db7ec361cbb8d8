// SPDX-License-Identifier: GPL-2.0-only
/*
 * Pages of L1's that are in use while L2 runs: bitmaps, the virtual-APIC and the APIC-access page,
 * the descriptor of posted interrupts, and a shadow VMCS.
 *
 * They are held by reference, so nobody merges them or gives them to others, and looked up again
 * when anything was taken from EPT01 since: then L1's address may have another page.
 */
#include <linux/mm.h>
#include <asm/io.h>

#include "../emys.h"
#include "internal.h"

/* The address that vmcs12 names for @i; false: it names none. */
static bool wanted(const struct vmcs12 *v, int i, u64 *gpa)
{
	switch (i) {
	case NESTED_MSR_BITMAP:
		*gpa = v->msr_bitmap;
		return n12_proc(v, CPU_BASED_USE_MSR_BITMAPS);
	case NESTED_IO_A:
		*gpa = v->io_bitmap_a;
		return n12_proc(v, CPU_BASED_USE_IO_BITMAPS);
	case NESTED_IO_B:
		*gpa = v->io_bitmap_b;
		return n12_proc(v, CPU_BASED_USE_IO_BITMAPS);
	case NESTED_VAPIC:
		*gpa = v->virtual_apic_page_addr;
		return n12_proc(v, CPU_BASED_TPR_SHADOW);
	case NESTED_APIC_ACCESS:
		*gpa = v->apic_access_addr;
		return n12_proc2(v, SECONDARY_EXEC_VIRTUALIZE_APIC_ACCESSES);
	case NESTED_POSTED:
		*gpa = v->posted_intr_desc_addr & PAGE_MASK;
		return n12_pin(v, PIN_BASED_POSTED_INTR);
	case NESTED_VMREAD:
		*gpa = v->vmread_bitmap;
		return n12_proc2(v, SECONDARY_EXEC_SHADOW_VMCS);
	case NESTED_VMWRITE:
		*gpa = v->vmwrite_bitmap;
		return n12_proc2(v, SECONDARY_EXEC_SHADOW_VMCS);
	case NESTED_LINKED:
		*gpa = v->vmcs_link_pointer;
		return nested_has_linked(v);
	}
	return false;
}

static void put_page_of(struct emys_vcpu *vcpu, struct nested_page *p)
{
	if (p->page && p->page != vcpu->nested->nowhere)
		mem_unhold(vcpu->vm, p->gpa, p->page);
	p->page = NULL;
}

/*
 * The bitmaps are only read: where there is no memory all bits read as ones, as on a CPU. The
 * virtual-APIC page has a stand-in. The descriptor is not looked at before a notification comes,
 * and a VMCS link pointer is judged with the guest's state.
 */
static bool may_be_absent(int i)
{
	return i != NESTED_APIC_ACCESS;
}

/* A virtual-APIC page where there is no memory: all ones, until L2 writes there. */
static int get_nowhere(struct nested_vcpu *n)
{
	if (!n->nowhere)
		n->nowhere = alloc_page(GFP_KERNEL_ACCOUNT);
	if (!n->nowhere)
		return -ENOMEM;
	memset(page_address(n->nowhere), 0xff, PAGE_SIZE);
	n->pages[NESTED_VAPIC].page = n->nowhere;
	return 0;
}

int nested_pages_get(struct emys_vcpu *vcpu)
{
	struct nested_vcpu *n = vcpu->nested;
	s64 seq = atomic64_read(&vcpu->vm->mem.zap_seq);
	bool moved = seq != n->pages_seq;
	int i, r;
	u64 gpa;

	/* Before the lookups: what goes meanwhile is seen at the next entry. */
	smp_mb();
	for (i = 0; i < NESTED_PAGES; i++) {
		struct nested_page *p = &n->pages[i];
		bool want = wanted(n->v12, i, &gpa);

		if (want ? p->page && p->gpa == gpa && !moved : !p->page)
			continue;
		n->controls_02 = false;
		put_page_of(vcpu, p);
		if (!want)
			continue;
		p->gpa = gpa;
		r = mem_hold(vcpu, gpa, &p->page);
		if (r == -EFAULT && i == NESTED_VAPIC)
			r = get_nowhere(n);
		if (r && !(r == -EFAULT && may_be_absent(i)))
			return r == -EFAULT && i == NESTED_APIC_ACCESS ? -ENXIO : r;
	}
	n->pages_seq = seq;
	return 0;
}

bool nested_pages_held(struct emys_vcpu *vcpu)
{
	const struct nested_vcpu *n = vcpu->nested;
	bool want;
	u64 gpa;
	int i;

	if (!nested_pages_valid(vcpu))
		return false;
	/* Of what L1 wrote since they were loaded, no control names another; the link is none. */
	for (i = n->controls_02 ? NESTED_LINKED : 0; i < NESTED_PAGES; i++) {
		want = wanted(n->v12, i, &gpa);
		if (want != !!n->pages[i].page || (want && n->pages[i].gpa != gpa))
			return false;
	}
	return true;
}

void nested_pages_put(struct emys_vcpu *vcpu)
{
	int i;

	vcpu->nested->controls_02 = false;
	for (i = 0; i < NESTED_PAGES; i++)
		put_page_of(vcpu, &vcpu->nested->pages[i]);
	if (vcpu->nested->nowhere)
		__free_page(vcpu->nested->nowhere);
	vcpu->nested->nowhere = NULL;
}

bool nested_pages_valid(const struct emys_vcpu *vcpu)
{
	return atomic64_read(&vcpu->vm->mem.zap_seq) == vcpu->nested->pages_seq;
}

u8 nested_vtpr(struct emys_vcpu *vcpu)
{
	const u8 *regs = page_address(vcpu->nested->pages[NESTED_VAPIC].page);

	return READ_ONCE(regs[0x80]);
}

/* -- bitmaps ------------------------------------------------------------------------------ */

bool nested_page_bit(const struct nested_page *p, u32 bit)
{
	const u8 *map;

	if (!p->page)
		return true;
	map = page_address(p->page);
	return READ_ONCE(map[bit / 8]) >> (bit % 8) & 1;
}

bool nested_msr_exits(struct emys_vcpu *vcpu, u32 msr, bool write)
{
	const struct nested_vcpu *n = vcpu->nested;
	u32 bit;

	if (!n12_proc(n->v12, CPU_BASED_USE_MSR_BITMAPS))
		return true;
	if (msr < 0x2000)
		bit = msr;
	else if (msr >= 0xc0000000 && msr < 0xc0002000)
		bit = 0x2000 + (msr & 0x1fff);
	else
		return true;
	return nested_page_bit(&n->pages[NESTED_MSR_BITMAP], bit + (write ? 0x4000 : 0));
}

bool nested_io_exits(struct emys_vcpu *vcpu, u16 port, unsigned int size)
{
	const struct nested_vcpu *n = vcpu->nested;
	u32 at, last = port + size - 1;

	if (!n12_proc(n->v12, CPU_BASED_USE_IO_BITMAPS))
		return n12_proc(n->v12, CPU_BASED_UNCOND_IO_EXITING);
	/* An access that wraps around the ports exits whatever the bitmaps say. */
	if (last > 0xffff)
		return true;
	for (at = port; at <= last; at++)
		if (nested_page_bit(&n->pages[at < 0x8000 ? NESTED_IO_A : NESTED_IO_B],
				    at & 0x7fff))
			return true;
	return false;
}

/*
 * Of the words of an MSR bitmap's halves: MSRs that L1 itself may have without an exit, and so may
 * give to L2. The read bits of 0 to 0x1fff come first, those of 0xc0000000 and on follow.
 */
#define LOW(msr)	((msr) / 32)
#define HIGH(msr)	((0x2000 + ((msr) & 0x1fff)) / 32)
#define OF(msr)		BIT((msr) % 32)
static const struct { u16 word; u32 bits; } passed[] = {
	{ LOW(MSR_IA32_TSC), OF(MSR_IA32_TSC) },
	{ LOW(MSR_IA32_SPEC_CTRL), OF(MSR_IA32_SPEC_CTRL) | OF(MSR_IA32_PRED_CMD) },
	{ LOW(MSR_IA32_SYSENTER_CS),
	  OF(MSR_IA32_SYSENTER_CS) | OF(MSR_IA32_SYSENTER_ESP) | OF(MSR_IA32_SYSENTER_EIP) },
	{ LOW(MSR_IA32_DEBUGCTLMSR), OF(MSR_IA32_DEBUGCTLMSR) },
	{ HIGH(MSR_FS_BASE), OF(MSR_FS_BASE) | OF(MSR_GS_BASE) | OF(MSR_KERNEL_GS_BASE) },
};

#define WRITES	(0x4000 / 32)

static void merge_word(u32 *map02, const u32 *map01, const u32 *map12, unsigned int i, u32 bits)
{
	map02[i] = map01[i] | (map12 ? READ_ONCE(map12[i]) : ~0u) | ~bits;
}

void nested_merge_msr_bitmap(struct emys_vcpu *vcpu)
{
	struct nested_vcpu *n = vcpu->nested;
	const u32 *map01 = (u32 *)vcpu->vmx.vmcs01.msr_bitmap, *map12 = NULL;
	u32 *map02 = (u32 *)n->vmcs02.msr_bitmap;
	unsigned int i;

	if (n->pages[NESTED_MSR_BITMAP].page)
		map12 = page_address(n->pages[NESTED_MSR_BITMAP].page);
	for (i = 0; i < ARRAY_SIZE(passed); i++) {
		merge_word(map02, map01, map12, passed[i].word, passed[i].bits);
		merge_word(map02, map01, map12, passed[i].word + WRITES, passed[i].bits);
	}
	nested_apic_msrs(vcpu);
}

void nested_msrs_changed(struct emys_vcpu *vcpu)
{
	if (!vcpu->vmx.l2)
		return;
	vmx_vmcs_get(vcpu);
	nested_merge_msr_bitmap(vcpu);
	vmx_vmcs_put(vcpu);
}

void nested_pages_load(struct emys_vcpu *vcpu)
{
	struct nested_vcpu *n = vcpu->nested;

	if (n->pages[NESTED_VAPIC].page)
		vmcs_write64(VIRTUAL_APIC_PAGE_ADDR, page_to_phys(n->pages[NESTED_VAPIC].page));
	if (n->pages[NESTED_APIC_ACCESS].page)
		vmcs_write64(APIC_ACCESS_ADDR, page_to_phys(n->pages[NESTED_APIC_ACCESS].page));
	else if (n->vmcs02.exec2 & SECONDARY_EXEC_VIRTUALIZE_APIC_ACCESSES)
		vmcs_write64(APIC_ACCESS_ADDR, page_to_phys(vcpu->vm->vmx.apic_access));
	nested_merge_msr_bitmap(vcpu);
}
