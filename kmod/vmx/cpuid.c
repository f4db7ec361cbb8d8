// SPDX-License-Identifier: GPL-2.0-only
/*
 * cpuid.c - what a guest's CPUID says: what it may say, and saying it fast.
 *
 * Sources: Intel SDM volume 2, "CPUID—CPU Identification"; Linux
 * Documentation/virt/kvm/x86/cpuid.rst for the leaves at 0x40000000.
 */
#include <linux/bits.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <asm/cpufeature.h>
#include <asm/fpu/types.h>
#include <asm/processor.h>
#include <uapi/asm/kvm_para.h>

#include "emys.h"
#include "vmx/xstate.h"

#define F(name)		BIT(X86_FEATURE_##name & 31)

#define AVX512_STATE	(XFEATURE_MASK_OPMASK | XFEATURE_MASK_ZMM_Hi256 | XFEATURE_MASK_Hi16_ZMM)

enum cpuid_reg { EAX, EBX, ECX, EDX };

/*
 * A register of feature bits. pass: the guest may have what CPU and host have
 * and use; own: emys does it itself. What is in neither list is not there. ymm
 * and zmm are the bits of pass that need those parts of XCR0.
 */
static const struct cpuid_word {
	u32 function, index;
	enum cpuid_reg reg;
	int word;		/* of x86_capability: what the host has not disabled */
	u32 pass, own, ymm, zmm;
} cpuid_words[] = {
	{
		.function = 1, .reg = ECX, .word = CPUID_1_ECX,
		.pass = F(XMM3) | F(PCLMULQDQ) | F(SSSE3) | F(FMA) | F(CX16) | F(PCID) |
			F(XMM4_1) | F(XMM4_2) | F(MOVBE) | F(POPCNT) | F(AES) | F(XSAVE) |
			F(AVX) | F(F16C) | F(RDRAND) | F(VMX),
		.own = F(X2APIC) | F(HYPERVISOR),
		.ymm = F(FMA) | F(AVX) | F(F16C),
	}, {
		.function = 1, .reg = EDX, .word = CPUID_1_EDX,
		.pass = F(FPU) | F(VME) | F(DE) | F(PSE) | F(TSC) | F(MSR) | F(PAE) | F(CX8) |
			F(SEP) | F(PGE) | F(CMOV) | F(PSE36) | F(CLFLUSH) | F(MMX) | F(FXSR) |
			F(XMM) | F(XMM2) | F(SELFSNOOP),
		.own = F(APIC) | F(MCE) | F(MCA) | F(MTRR) | F(PAT),
	}, {
		.function = 7, .reg = EBX, .word = CPUID_7_0_EBX,
		.pass = F(FSGSBASE) | F(BMI1) | F(HLE) | F(AVX2) | F(FDP_EXCPTN_ONLY) | F(SMEP) |
			F(BMI2) | F(ERMS) | F(INVPCID) | F(RTM) | F(ZERO_FCS_FDS) | F(AVX512F) |
			F(AVX512DQ) | F(RDSEED) | F(ADX) | F(SMAP) | F(AVX512IFMA) |
			F(CLFLUSHOPT) | F(CLWB) | F(AVX512PF) | F(AVX512ER) | F(AVX512CD) |
			F(SHA_NI) | F(AVX512BW) | F(AVX512VL),
		.own = F(TSC_ADJUST),
		.ymm = F(AVX2),
		.zmm = F(AVX512F) | F(AVX512DQ) | F(AVX512IFMA) | F(AVX512PF) | F(AVX512ER) |
		       F(AVX512CD) | F(AVX512BW) | F(AVX512VL),
	}, {
		.function = 7, .reg = ECX, .word = CPUID_7_ECX,
		.pass = F(AVX512VBMI) | F(UMIP) | F(AVX512_VBMI2) | F(GFNI) | F(VAES) |
			F(VPCLMULQDQ) | F(AVX512_VNNI) | F(AVX512_BITALG) |
			F(AVX512_VPOPCNTDQ) | F(RDPID) | F(CLDEMOTE) | F(MOVDIRI) | F(MOVDIR64B),
		.ymm = F(VAES) | F(VPCLMULQDQ),
		.zmm = F(AVX512VBMI) | F(AVX512_VBMI2) | F(AVX512_VNNI) | F(AVX512_BITALG) |
		       F(AVX512_VPOPCNTDQ),
	}, {
		.function = 7, .reg = EDX, .word = CPUID_7_EDX,
		.pass = F(AVX512_4VNNIW) | F(AVX512_4FMAPS) | F(FSRM) | F(AVX512_VP2INTERSECT) |
			F(MD_CLEAR) | F(SERIALIZE) | F(TSXLDTRK) | F(AVX512_FP16) |
			F(SPEC_CTRL) | F(INTEL_STIBP) | F(FLUSH_L1D) | F(SPEC_CTRL_SSBD),
		.own = F(ARCH_CAPABILITIES),
		.zmm = F(AVX512_4VNNIW) | F(AVX512_4FMAPS) | F(AVX512_VP2INTERSECT) |
		       F(AVX512_FP16),
	}, {
		.function = 7, .index = 1, .reg = EAX, .word = CPUID_7_1_EAX,
		.pass = F(AVX_VNNI) | F(AVX512_BF16),
		.ymm = F(AVX_VNNI), .zmm = F(AVX512_BF16),
	}, {
		.function = 0xd, .index = 1, .reg = EAX, .word = CPUID_D_1_EAX,
		.pass = F(XSAVEOPT) | F(XSAVEC) | F(XGETBV1) | F(XSAVES),
	}, {
		.function = 0x80000001, .reg = ECX, .word = CPUID_8000_0001_ECX,
		.pass = F(LAHF_LM) | F(ABM) | F(3DNOWPREFETCH),
	}, {
		.function = 0x80000001, .reg = EDX, .word = CPUID_8000_0001_EDX,
		.pass = F(SYSCALL) | F(NX) | F(GBPAGES) | F(RDTSCP) | F(LM),
	}, {
		.function = 0x80000008, .reg = EBX, .word = CPUID_8000_0008_EBX,
		.pass = F(WBNOINVD),
	},
};

static u32 *cpuid_entry_reg(struct kvm_cpuid_entry2 *e, enum cpuid_reg reg)
{
	switch (reg) {
	case EAX:
		return &e->eax;
	case EBX:
		return &e->ebx;
	case ECX:
		return &e->ecx;
	default:
		return &e->edx;
	}
}

static bool cpuid_bit(const struct kvm_cpuid_entry2 *e, enum cpuid_reg reg, u32 bit)
{
	return e && (*cpuid_entry_reg((struct kvm_cpuid_entry2 *)e, reg) & bit);
}

/* Bits that need a VMX control this CPU lacks, or a part of XCR0 that is not on. */
static u32 cpuid_unusable(const struct cpuid_word *w)
{
	u32 no = 0;

	if ((w->function == 7 && !w->index && w->reg == EBX) && !vmx_caps.invpcid)
		no |= F(INVPCID);
	if ((w->function == 7 && !w->index && w->reg == ECX) && !vmx_caps.rdtscp)
		no |= F(RDPID);
	if (w->function == 0x80000001 && w->reg == EDX && !vmx_caps.rdtscp)
		no |= F(RDTSCP);
	if (w->function == 0xd && !vmx_caps.xsaves)
		no |= F(XSAVES);
	if (w->function == 1 && w->reg == ECX && !vmx_caps.xcr0)
		no |= F(XSAVE);
	if (w->function == 1 && w->reg == ECX && !nested_offered())
		no |= F(VMX);
	if (!(vmx_caps.xcr0 & XFEATURE_MASK_YMM))
		no |= w->ymm | w->zmm;
	if ((vmx_caps.xcr0 & AVX512_STATE) != AVX512_STATE)
		no |= w->zmm;
	return no;
}

/* Cut the feature registers of @e, which holds the CPU's own answer, down to the lists. */
static void cpuid_mask(struct kvm_cpuid_entry2 *e)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(cpuid_words); i++) {
		const struct cpuid_word *w = &cpuid_words[i];
		u32 *reg;

		if (w->function != e->function || w->index != e->index)
			continue;
		reg = cpuid_entry_reg(e, w->reg);
		*reg &= w->pass & boot_cpu_data.x86_capability[w->word] & ~cpuid_unusable(w);
		*reg |= w->own;
	}
}

/* -- what this host can give ---------------------------------------------------- */

struct cpuid_list {
	struct kvm_cpuid_entry2 *e;
	u32 max, nr;
	bool full;
	struct kvm_cpuid_entry2 spare;	/* written when the list is full */
};

static struct kvm_cpuid_entry2 *list_leaf(struct cpuid_list *l, u32 function, u32 index,
					  bool indexed)
{
	struct kvm_cpuid_entry2 *e = &l->spare;

	if (l->nr < l->max)
		e = &l->e[l->nr++];
	else
		l->full = true;
	memset(e, 0, sizeof(*e));
	e->function = function;
	e->index = index;
	e->flags = indexed ? KVM_CPUID_FLAG_SIGNIFCANT_INDEX : 0;
	return e;
}

/* Add a leaf with the CPU's own values. */
static struct kvm_cpuid_entry2 *list_native(struct cpuid_list *l, u32 function, u32 index,
					    bool indexed)
{
	struct kvm_cpuid_entry2 *e = list_leaf(l, function, index, indexed);

	cpuid_count(function, index, &e->eax, &e->ebx, &e->ecx, &e->edx);
	return e;
}

static void list_xsave(struct cpuid_list *l)
{
	struct kvm_cpuid_entry2 *e = list_leaf(l, 0xd, 0, true);
	u64 mask = vmx_caps.xcr0;
	unsigned int i;

	if (!mask)
		return;
	e->eax = mask;
	e->edx = mask >> 32;
	e->ecx = xstate_size(mask, false);
	e->ebx = e->ecx;

	e = list_native(l, 0xd, 1, true);
	cpuid_mask(e);
	e->ebx = e->eax & (F(XSAVES) | F(XSAVEC)) ? xstate_size(mask, true) : 0;
	e->ecx = 0;	/* no supervisor component */
	e->edx = 0;

	for (i = 2; i < 63; i++)
		if (mask & BIT_ULL(i))
			list_native(l, 0xd, i, true)->edx = 0;
}

/* A leaf of which some bits are ours to offer. */
static struct kvm_cpuid_entry2 *list_features(struct cpuid_list *l, u32 function)
{
	struct kvm_cpuid_entry2 *e = list_native(l, function, 0, function == 7);

	cpuid_mask(e);
	return e;
}

static void list_basic(struct cpuid_list *l)
{
	u32 max = min_t(u32, cpuid_eax(0), 0x1f);
	struct kvm_cpuid_entry2 *e;
	u32 fn, i;

	for (fn = 0; fn <= max; fn++) {
		switch (fn) {
		case 0:
			list_native(l, 0, 0, false)->eax = max;
			break;
		case 1:
			e = list_features(l, 1);
			/* CLFLUSH line size; the VMM adds APIC ID and number of CPUs. */
			e->ebx &= 0xff00;
			break;
		case 2:
			list_native(l, 2, 0, false);
			break;
		case 4:
			for (i = 0; i < 16; i++) {
				e = list_native(l, 4, i, true);
				if (!(e->eax & 0x1f))
					break;
			}
			break;
		case 6:
			list_leaf(l, 6, 0, false)->eax = 0x4;	/* the APIC timer always runs */
			break;
		case 7:
			i = min(cpuid_eax(7), 1u);
			e = list_features(l, 7);
			e->eax = i;
			if (i) {
				e = list_native(l, 7, 1, true);
				cpuid_mask(e);
				e->ebx = 0;
				e->ecx = 0;
				e->edx = 0;
			}
			break;
		case 0xb:
		case 0x1f:
			/* No topology: subleaf 1 is not there. The host's is not the guest's. */
			list_leaf(l, fn, 0, true);
			break;
		case 0xd:
			list_xsave(l);
			break;
		default:
			list_leaf(l, fn, 0, false);
			break;
		}
	}
}

static void list_kvm(struct cpuid_list *l)
{
	struct kvm_cpuid_entry2 *e = list_leaf(l, KVM_CPUID_SIGNATURE, 0, false);
	u32 sig[3];

	memcpy(sig, KVM_SIGNATURE, sizeof(sig));
	e->eax = KVM_CPUID_FEATURES;
	e->ebx = sig[0];
	e->ecx = sig[1];
	e->edx = sig[2];
	list_leaf(l, KVM_CPUID_FEATURES, 0, false)->eax =
		BIT(KVM_FEATURE_CLOCKSOURCE) | BIT(KVM_FEATURE_NOP_IO_DELAY) |
		BIT(KVM_FEATURE_CLOCKSOURCE2) | BIT(KVM_FEATURE_CLOCKSOURCE_STABLE_BIT);
}

static void list_extended(struct cpuid_list *l)
{
	u32 max = clamp_t(u32, cpuid_eax(0x80000000), 0x80000001, 0x80000008);
	struct kvm_cpuid_entry2 *e;
	u32 fn;

	for (fn = 0x80000000; fn <= max; fn++) {
		switch (fn) {
		case 0x80000000:
			list_native(l, fn, 0, false)->eax = max;
			break;
		case 0x80000001:
			e = list_native(l, fn, 0, false);
			cpuid_mask(e);
			e->eax = 0;
			e->ebx = 0;
			break;
		case 0x80000002:
		case 0x80000003:
		case 0x80000004:
		case 0x80000006:
			list_native(l, fn, 0, false);
			break;
		case 0x80000007:
			e = list_leaf(l, fn, 0, false);
			if (boot_cpu_has(X86_FEATURE_CONSTANT_TSC))
				e->edx = cpuid_edx(fn) & BIT(8);	/* invariant TSC */
			break;
		case 0x80000008:
			e = list_native(l, fn, 0, false);
			cpuid_mask(e);
			/* 4-level EPT and 4-level guest paging reach 48 bits. */
			e->eax = min(e->eax & 0xff, 48u) | 48 << 8;
			e->ecx = 0;
			e->edx = 0;
			break;
		default:
			list_leaf(l, fn, 0, false);
			break;
		}
	}
}

int cpuid_supported(struct kvm_cpuid_entry2 *e, u32 max)
{
	struct cpuid_list l = { .e = e, .max = max };

	xstate_init();
	list_basic(&l);
	list_kvm(&l);
	list_extended(&l);
	return l.full ? -E2BIG : l.nr;
}

/* -- looking up ------------------------------------------------------------------- */

#define CPUID_DIRECT	32

/*
 * Lies behind the entries in the same allocation. Numbers of entries are plus
 * one, 0 = none. The order of the VMM is kept: the first entry that matches counts.
 */
struct cpuid_index {
	u16 basic[CPUID_DIRECT], hypervisor[CPUID_DIRECT], extended[CPUID_DIRECT];
	bool redirect;		/* an unknown leaf answers as the highest basic one */
	u16 next[];		/* the next entry with the same function */
};

static struct cpuid_index *cpuid_index(const struct emys_vcpu *vcpu)
{
	return (struct cpuid_index *)(vcpu->cpuid + vcpu->nr_cpuid);
}

static __always_inline u16 *cpuid_slot(struct cpuid_index *x, u32 function)
{
	u32 low = function & (CPUID_DIRECT - 1);

	switch (function - low) {
	case 0:
		return &x->basic[low];
	case 0x40000000:
		return &x->hypervisor[low];
	case 0x80000000:
		return &x->extended[low];
	default:
		return NULL;
	}
}

/* The first entry of @function with subleaf @index, from number @i (plus one) on. */
static __always_inline struct kvm_cpuid_entry2 *
cpuid_chain(const struct emys_vcpu *vcpu, u32 i, u32 index)
{
	struct kvm_cpuid_entry2 *e;

	for (; i; i = cpuid_index(vcpu)->next[i - 1]) {
		e = &vcpu->cpuid[i - 1];
		if (!(e->flags & KVM_CPUID_FLAG_SIGNIFCANT_INDEX) || e->index == index)
			return e;
	}
	return NULL;
}

static struct kvm_cpuid_entry2 *cpuid_find(const struct emys_vcpu *vcpu, u32 function, u32 index)
{
	u32 i = 0;
	u16 *slot;

	if (unlikely(!vcpu->nr_cpuid))
		return NULL;
	slot = cpuid_slot(cpuid_index(vcpu), function);
	if (slot) {
		i = *slot;
	} else {
		while (i < vcpu->nr_cpuid && vcpu->cpuid[i].function != function)
			i++;
		i = i < vcpu->nr_cpuid ? i + 1 : 0;
	}
	return cpuid_chain(vcpu, i, index);
}

static bool cpuid_is_amd(const struct kvm_cpuid_entry2 *e)
{
	return (e->ebx == 0x68747541 && e->edx == 0x69746e65 && e->ecx == 0x444d4163) ||
	       (e->ebx == 0x6f677948 && e->edx == 0x6e65476e && e->ecx == 0x656e6975);
}

/* A copy of @e with its index behind it. */
static struct kvm_cpuid_entry2 *cpuid_build(const struct kvm_cpuid_entry2 *e, u32 nr)
{
	struct kvm_cpuid_entry2 *copy;
	struct cpuid_index *x;
	u32 i, j;

	copy = kvzalloc(array_size(nr, sizeof(*e)) + struct_size(x, next, nr),
			GFP_KERNEL_ACCOUNT);
	if (!copy)
		return NULL;
	if (nr)
		memcpy(copy, e, nr * sizeof(*e));
	x = (struct cpuid_index *)(copy + nr);
	for (i = nr; i-- > 0; ) {
		u16 *slot = cpuid_slot(x, copy[i].function);

		memset(copy[i].padding, 0, sizeof(copy[i].padding));
		for (j = i + 1; j < nr; j++)
			if (copy[j].function == copy[i].function)
				break;
		x->next[i] = j < nr ? j + 1 : 0;
		if (slot)
			*slot = i + 1;
		if (!copy[i].function)
			x->redirect = !cpuid_is_amd(&copy[i]);
	}
	return copy;
}

/* Above the highest leaf of its range, or in a range that is not there. */
static bool cpuid_out_of_range(const struct emys_vcpu *vcpu, u32 function)
{
	struct kvm_cpuid_entry2 *range;
	u32 first;

	if (function >= 0x40000000 && function <= 0x4fffffff)
		first = function & 0xffffff00;
	else if (function >= 0xc0000000)
		first = 0xc0000000;
	else
		first = function & 0x80000000;
	range = cpuid_find(vcpu, first, 0);
	return !range || function > range->eax;
}

/* A leaf that has no entry of its own. */
static noinline void cpuid_emulate_rest(struct emys_vcpu *vcpu, u32 function, u32 index)
{
	struct kvm_cpuid_entry2 answer = {}, *e, *top;

	e = cpuid_find(vcpu, function, index);
	if (!e && vcpu->nr_cpuid && cpuid_index(vcpu)->redirect) {
		top = cpuid_find(vcpu, 0, 0);
		if (top && cpuid_out_of_range(vcpu, function))
			e = cpuid_find(vcpu, top->eax, index);
	}
	if (e) {
		answer = *e;
	} else if (function == 0xb || function == 0x1f) {
		/* No such level of topology: its number, and the x2APIC ID as at any. */
		e = cpuid_find(vcpu, function, 1);
		if (e) {
			answer.ecx = index & 0xff;
			answer.edx = e->edx;
		}
	}
	vcpu->regs[0] = answer.eax;
	vcpu->regs[3] = answer.ebx;
	vcpu->regs[1] = answer.ecx;
	vcpu->regs[2] = answer.edx;
}

void cpuid_emulate(struct emys_vcpu *vcpu)
{
	u32 function = vcpu->regs[0], index = vcpu->regs[1];
	struct kvm_cpuid_entry2 *e = NULL;
	u16 *slot;

	if (likely(vcpu->nr_cpuid)) {
		slot = cpuid_slot(cpuid_index(vcpu), function);
		if (likely(slot))
			e = cpuid_chain(vcpu, *slot, index);
	}
	if (unlikely(!e)) {
		cpuid_emulate_rest(vcpu, function, index);
		return;
	}
	vcpu->regs[0] = e->eax;
	vcpu->regs[3] = e->ebx;
	vcpu->regs[1] = e->ecx;
	vcpu->regs[2] = e->edx;
}

/* -- a vCPU's own ------------------------------------------------------------------ */

static u32 cpuid_kvm_base(const struct emys_vcpu *vcpu)
{
	u32 fn, sig[3];

	memcpy(sig, KVM_SIGNATURE, sizeof(sig));
	for (fn = 0x40000000; fn < 0x40010000; fn += 0x100) {
		struct kvm_cpuid_entry2 *e = cpuid_find(vcpu, fn, 0);

		if (e && e->ebx == sig[0] && e->ecx == sig[1] && e->edx == sig[2])
			return fn;
	}
	return 0;
}

/* CR4 bits that need a feature, and the feature. */
static u64 cpuid_cr4_reserved(const struct kvm_cpuid_entry2 *l1, const struct kvm_cpuid_entry2 *l7,
			      bool nested)
{
	u64 ok = X86_CR4_VME | X86_CR4_PVI | X86_CR4_TSD | X86_CR4_DE | X86_CR4_PSE | X86_CR4_PAE |
		 X86_CR4_MCE | X86_CR4_PGE | X86_CR4_PCE | X86_CR4_OSFXSR | X86_CR4_OSXMMEXCPT;

	if (cpuid_bit(l1, ECX, F(XSAVE)))
		ok |= X86_CR4_OSXSAVE;
	if (cpuid_bit(l1, ECX, F(PCID)))
		ok |= X86_CR4_PCIDE;
	if (cpuid_bit(l7, EBX, F(FSGSBASE)))
		ok |= X86_CR4_FSGSBASE;
	if (cpuid_bit(l7, EBX, F(SMEP)))
		ok |= X86_CR4_SMEP;
	if (cpuid_bit(l7, EBX, F(SMAP)))
		ok |= X86_CR4_SMAP;
	if (cpuid_bit(l7, ECX, F(UMIP)))
		ok |= X86_CR4_UMIP;
	if (nested && cpuid_bit(l1, ECX, F(VMX)))
		ok |= X86_CR4_VMXE;
	/* What the CPU itself does not have fails at VM entry. */
	return ~(ok & vmx_caps.cr4_fixed1);
}

static void cpuid_derive(struct emys_vcpu *vcpu)
{
	struct kvm_cpuid_entry2 offered[2] = {};
	struct cpuid_list offer = { .e = offered, .max = ARRAY_SIZE(offered) };
	const struct kvm_cpuid_entry2 *l1 = cpuid_find(vcpu, 1, 0);
	const struct kvm_cpuid_entry2 *l7 = cpuid_find(vcpu, 7, 0);
	const struct kvm_cpuid_entry2 *ld = cpuid_find(vcpu, 0xd, 0);
	const struct kvm_cpuid_entry2 *ld1 = cpuid_find(vcpu, 0xd, 1);
	const struct kvm_cpuid_entry2 *e1 = cpuid_find(vcpu, 0x80000001, 0);
	const struct kvm_cpuid_entry2 *e8 = cpuid_find(vcpu, 0x80000008, 0);
	const struct kvm_cpuid_entry2 *kvm;
	struct emys_features *f = &vcpu->feat;
	bool nested = nested_allowed(vcpu->vm);

	memset(f, 0, sizeof(*f));
	f->maxphyaddr = e8 && (e8->eax & 0xff) ? e8->eax & 0xff : 36;
	if (!vcpu->nr_cpuid) {
		/* A VMM may restore CR4 before it tells the model: all that could be in it */
		list_features(&offer, 1);
		list_features(&offer, 7);
		f->cr4_reserved = cpuid_cr4_reserved(&offered[0], &offered[1], nested);
	} else {
		f->cr4_reserved = cpuid_cr4_reserved(l1, l7, nested);
	}

	f->has_mce = cpuid_bit(l1, EDX, F(MCE));
	f->has_mtrr = cpuid_bit(l1, EDX, F(MTRR));
	f->has_pat = cpuid_bit(l1, EDX, F(PAT));
	f->has_pcid = cpuid_bit(l1, ECX, F(PCID));
	f->has_x2apic = cpuid_bit(l1, ECX, F(X2APIC));
	f->has_mwait = cpuid_bit(l1, ECX, F(MWAIT));
	f->has_sse3 = cpuid_bit(l1, ECX, F(XMM3));
	f->has_vmx = nested && cpuid_bit(l1, ECX, F(VMX));
	f->has_tsc_deadline = cpuid_bit(l1, ECX, F(TSC_DEADLINE_TIMER));
	f->has_xsave = vmx_caps.xcr0 && cpuid_bit(l1, ECX, F(XSAVE));

	f->has_fsgsbase = cpuid_bit(l7, EBX, F(FSGSBASE));
	f->has_tsc_adjust = cpuid_bit(l7, EBX, F(TSC_ADJUST));
	f->has_invpcid = vmx_caps.invpcid && cpuid_bit(l7, EBX, F(INVPCID));
	f->has_rdpid = vmx_caps.rdtscp && cpuid_bit(l7, ECX, F(RDPID));
	f->has_spec_ctrl = boot_cpu_has(X86_FEATURE_SPEC_CTRL) && cpuid_bit(l7, EDX, F(SPEC_CTRL));
	f->has_ibpb = f->has_spec_ctrl;
	f->has_arch_caps = cpuid_bit(l7, EDX, F(ARCH_CAPABILITIES));

	f->has_long_mode = cpuid_bit(e1, EDX, F(LM));
	f->has_syscall = cpuid_bit(e1, EDX, F(SYSCALL));
	f->has_1g = cpuid_bit(e1, EDX, F(GBPAGES));
	f->has_rdtscp = vmx_caps.rdtscp && cpuid_bit(e1, EDX, F(RDTSCP));
	if (f->has_long_mode)
		f->efer_allowed |= EFER_LME | EFER_LMA;
	if (f->has_syscall)
		f->efer_allowed |= EFER_SCE;
	if (cpuid_bit(e1, EDX, F(NX)))
		f->efer_allowed |= EFER_NX;

	if (f->has_xsave) {
		f->xcr0_allowed = XFEATURE_MASK_FPSSE;
		if (ld)
			f->xcr0_allowed |= ld->eax | (u64)ld->edx << 32;
		f->xcr0_allowed &= vmx_caps.xcr0;
		f->has_xsaves = vmx_caps.xsaves && cpuid_bit(ld1, EAX, F(XSAVES));
	}

	f->kvm_leaf = cpuid_kvm_base(vcpu);
	kvm = f->kvm_leaf ? cpuid_find(vcpu, f->kvm_leaf + 1, 0) : NULL;
	f->kvm_features = kvm ? kvm->eax : 0;
	f->has_kvmclock = f->kvm_features & (BIT(KVM_FEATURE_CLOCKSOURCE) |
					     BIT(KVM_FEATURE_CLOCKSOURCE2));
}

static void cpuid_set_bit(u32 *reg, u32 bit, bool on)
{
	if (on)
		*reg |= bit;
	else
		*reg &= ~bit;
}

void cpuid_update(struct emys_vcpu *vcpu)
{
	u64 base = vcpu->lapic ? vcpu->lapic->base : vcpu->msrs.apic_base;
	struct kvm_cpuid_entry2 *e;

	if (!vcpu->feat.maxphyaddr)	/* a new vCPU, without any leaf */
		cpuid_derive(vcpu);
	vcpu->vmx.cpuid_osxsave = vmx_get_cr4(vcpu) & X86_CR4_OSXSAVE;
	e = cpuid_find(vcpu, 1, 0);
	if (e) {
		cpuid_set_bit(&e->ecx, F(OSXSAVE), vcpu->vmx.cpuid_osxsave);
		cpuid_set_bit(&e->edx, F(APIC), base & MSR_IA32_APICBASE_ENABLE);
		if (!emys_quirk(vcpu->vm, KVM_X86_QUIRK_MISC_ENABLE_NO_MWAIT))
			cpuid_set_bit(&e->ecx, F(MWAIT),
				      vcpu->msrs.misc_enable & MSR_IA32_MISC_ENABLE_MWAIT);
		vcpu->feat.has_mwait = e->ecx & F(MWAIT);
	}
	e = cpuid_find(vcpu, 0xd, 0);
	if (e)
		e->ebx = xstate_size(vcpu->fpu.xcr0, false);
	e = cpuid_find(vcpu, 0xd, 1);
	if (e && (e->eax & (F(XSAVES) | F(XSAVEC))))
		e->ebx = xstate_size(vcpu->fpu.xcr0 | vcpu->msrs.xss, true);
}

/* The same CPUID, apart from what cpuid_update() itself writes. */
static bool cpuid_same(const struct emys_vcpu *vcpu, const struct kvm_cpuid_entry2 *e, u32 nr)
{
	u32 i;

	if (nr != vcpu->nr_cpuid)
		return false;
	for (i = 0; i < nr; i++) {
		struct kvm_cpuid_entry2 a = vcpu->cpuid[i], b = e[i];

		if (a.function == 1) {
			cpuid_set_bit(&a.ecx, F(OSXSAVE), false);
			cpuid_set_bit(&b.ecx, F(OSXSAVE), false);
			cpuid_set_bit(&a.edx, F(APIC), false);
			cpuid_set_bit(&b.edx, F(APIC), false);
			if (!emys_quirk(vcpu->vm, KVM_X86_QUIRK_MISC_ENABLE_NO_MWAIT)) {
				cpuid_set_bit(&a.ecx, F(MWAIT), false);
				cpuid_set_bit(&b.ecx, F(MWAIT), false);
			}
		}
		if (a.function == 0xd && a.index <= 1)
			b.ebx = a.ebx;
		memset(b.padding, 0, sizeof(b.padding));
		if (memcmp(&a, &b, sizeof(a)))
			return false;
	}
	return true;
}

/* Linear addresses of a width no paging mode has, physical ones no CPU has. */
static bool cpuid_senseless(const struct kvm_cpuid_entry2 *e, u32 nr)
{
	u32 i, bits;

	for (i = 0; i < nr; i++) {
		if (e[i].function != 0x80000008)
			continue;
		bits = (e[i].eax >> 8) & 0xff;
		if (bits && bits != 48 && bits != 57)
			return true;
		if ((e[i].eax & 0xff) > 52)
			return true;
	}
	return false;
}

int cpuid_set(struct emys_vcpu *vcpu, struct kvm_cpuid_entry2 *e, u32 nr)
{
	struct kvm_cpuid_entry2 *copy = NULL;
	int ret = 0;

	xstate_init();
	if (cpuid_senseless(e, nr)) {
		ret = -EINVAL;
	} else if (vcpu->stats.sections || nested_on(vcpu)) {
		/* A CPU does not change its features while it runs. */
		if (!cpuid_same(vcpu, e, nr))
			ret = -EINVAL;
	} else {
		copy = cpuid_build(e, nr);
		if (!copy)
			ret = -ENOMEM;
	}
	kvfree(e);
	if (!copy)
		return ret;
	kvfree(vcpu->cpuid);
	vcpu->cpuid = copy;
	vcpu->nr_cpuid = nr;
	cpuid_derive(vcpu);
	cpuid_update(vcpu);
	vmx_cpuid_changed(vcpu);
	nested_cpuid_changed(vcpu);
	return 0;
}
