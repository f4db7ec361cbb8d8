// SPDX-License-Identifier: GPL-2.0-only
/*
 * fpu.c - the guest's x87, SSE, AVX and AVX-512 state: one XSAVE image in standard form.
 *
 * The image always holds a value for every component the host can give a guest,
 * also where XSTATE_BV says "initial". Whatever an ioctl wrote into it, XRSTOR
 * takes it; should a CPU still refuse, the guest gets the initial state.
 *
 * Source: Intel SDM volume 1, "Managing State Using the XSAVE Feature Set" and
 * "FXSAVE area" in "Programming with Intel Streaming SIMD Extensions (Intel SSE)".
 */
#include <linux/bits.h>
#include <linux/gfp.h>
#include <linux/mm.h>
#include <asm/asm.h>
#include <asm/cpufeature.h>
#include <asm/fpu/api.h>
#include <asm/fpu/types.h>
#include <asm/processor.h>

#include "emys.h"
#include "vmx/xstate.h"

/* Byte offsets in the image. */
#define FX_MXCSR	24
#define FX_MXCSR_MASK	28
#define FX_ST		32
#define FX_XMM		160
#define FX_REST		416	/* reserved and for software, to the end of the FXSAVE area */
#define XS_BV		512
#define XS_COMP_BV	520
#define XS_RESERVED	528
#define XS_EXTENDED	576

#define FCW_INIT	0x37f
#define MXCSR_INIT	0x1f80
#define MXCSR_OLD_MASK	0xffbf	/* of a CPU that reports none */

static struct {
	u32 size, offset;
	bool align;		/* to 64 bytes in the compacted form */
} xstate[64] __read_mostly;

static u32 mxcsr_mask __read_mostly = MXCSR_OLD_MASK;

void xstate_init(void)
{
	u32 eax, ebx, ecx, edx;
	unsigned int i;

	for (i = 2; i < 63; i++) {
		if (!(vmx_caps.xcr0 & BIT_ULL(i)))
			continue;
		cpuid_count(0xd, i, &eax, &ebx, &ecx, &edx);
		xstate[i].size = eax;
		xstate[i].offset = ebx;
		xstate[i].align = ecx & BIT(1);
	}
}

u32 xstate_size(u64 mask, bool compacted)
{
	u32 size = XS_EXTENDED;
	unsigned int i;

	for (i = 2; i < 63; i++) {
		if (!(mask & BIT_ULL(i)) || !xstate[i].size)
			continue;
		if (compacted)
			size = (xstate[i].align ? ALIGN(size, 64) : size) + xstate[i].size;
		else
			size = max(size, xstate[i].offset + xstate[i].size);
	}
	return size;
}

static void *fpu_at(const struct emys_vcpu *vcpu, unsigned int offset)
{
	return vcpu->fpu.area + offset;
}

/* Give component @i its initial value. */
static void fpu_init_component(struct emys_vcpu *vcpu, unsigned int i)
{
	switch (i) {
	case XFEATURE_FP:
		memset(fpu_at(vcpu, 0), 0, FX_MXCSR);
		memset(fpu_at(vcpu, FX_ST), 0, FX_XMM - FX_ST);
		*(u16 *)fpu_at(vcpu, 0) = FCW_INIT;
		break;
	case XFEATURE_SSE:
		memset(fpu_at(vcpu, FX_XMM), 0, FX_REST - FX_XMM);
		break;
	default:
		if (xstate[i].size && xstate[i].offset + xstate[i].size <= EMYS_XSAVE_SIZE)
			memset(fpu_at(vcpu, xstate[i].offset), 0, xstate[i].size);
		break;
	}
}

static void fpu_init_image(struct emys_vcpu *vcpu)
{
	memset(vcpu->fpu.area, 0, EMYS_XSAVE_SIZE);
	*(u16 *)fpu_at(vcpu, 0) = FCW_INIT;
	*(u32 *)fpu_at(vcpu, FX_MXCSR) = MXCSR_INIT;
	*(u32 *)fpu_at(vcpu, FX_MXCSR_MASK) = mxcsr_mask;
}

/* The bits of MXCSR this CPU has, from its own FXSAVE. */
static void fpu_learn_mxcsr(void *area)
{
	u32 mask;

	kernel_fpu_begin();
	asm volatile("fxsave64 (%0)" : : "r" (area) : "memory");
	kernel_fpu_end();
	mask = *(u32 *)(area + FX_MXCSR_MASK);
	mxcsr_mask = mask ? mask : MXCSR_OLD_MASK;
}

int fpu_init(struct emys_vcpu *vcpu)
{
	BUILD_BUG_ON(sizeof(struct kvm_xsave) != EMYS_XSAVE_SIZE);
	BUILD_BUG_ON(EMYS_XSAVE_SIZE > PAGE_SIZE);

	vcpu->fpu.area = (void *)get_zeroed_page(GFP_KERNEL_ACCOUNT);
	if (!vcpu->fpu.area)
		return -ENOMEM;
	xstate_init();
	fpu_learn_mxcsr(vcpu->fpu.area);
	fpu_reset(vcpu);
	return 0;
}

void fpu_destroy(struct emys_vcpu *vcpu)
{
	free_page((unsigned long)vcpu->fpu.area);
	vcpu->fpu.area = NULL;
}

void fpu_reset(struct emys_vcpu *vcpu)
{
	fpu_init_image(vcpu);
	vcpu->fpu.xcr0 = XFEATURE_MASK_FP;
}

/* -- ioctls -------------------------------------------------------------------- */

void fpu_get_fpu(struct emys_vcpu *vcpu, struct kvm_fpu *f)
{
	memset(f, 0, sizeof(*f));
	memcpy(f->fpr, fpu_at(vcpu, FX_ST), sizeof(f->fpr));
	memcpy(f->xmm, fpu_at(vcpu, FX_XMM), sizeof(f->xmm));
	f->fcw = *(u16 *)fpu_at(vcpu, 0);
	f->fsw = *(u16 *)fpu_at(vcpu, 2);
	f->ftwx = *(u8 *)fpu_at(vcpu, 4);
	f->last_opcode = *(u16 *)fpu_at(vcpu, 6);
	f->last_ip = *(u64 *)fpu_at(vcpu, 8);
	f->last_dp = *(u64 *)fpu_at(vcpu, 16);
	f->mxcsr = *(u32 *)fpu_at(vcpu, FX_MXCSR);
}

int fpu_set_fpu(struct emys_vcpu *vcpu, const struct kvm_fpu *f)
{
	if (f->mxcsr & ~mxcsr_mask)
		return -EINVAL;
	memcpy(fpu_at(vcpu, FX_ST), f->fpr, sizeof(f->fpr));
	memcpy(fpu_at(vcpu, FX_XMM), f->xmm, sizeof(f->xmm));
	*(u16 *)fpu_at(vcpu, 0) = f->fcw;
	*(u16 *)fpu_at(vcpu, 2) = f->fsw;
	*(u16 *)fpu_at(vcpu, 4) = f->ftwx;
	*(u16 *)fpu_at(vcpu, 6) = f->last_opcode;
	*(u64 *)fpu_at(vcpu, 8) = f->last_ip;
	*(u64 *)fpu_at(vcpu, 16) = f->last_dp;
	*(u32 *)fpu_at(vcpu, FX_MXCSR) = f->mxcsr;
	*(u64 *)fpu_at(vcpu, XS_BV) |= XFEATURE_MASK_FPSSE;
	return 0;
}

void fpu_get_xsave(struct emys_vcpu *vcpu, struct kvm_xsave *x)
{
	memcpy(x->region, vcpu->fpu.area, EMYS_XSAVE_SIZE);
	/* FXSAVE knows no XSTATE_BV: both of its parts are there. */
	if (!vmx_caps.xcr0)
		memcpy((void *)x->region + XS_BV, &(u64){ XFEATURE_MASK_FPSSE }, sizeof(u64));
}

int fpu_set_xsave(struct emys_vcpu *vcpu, const struct kvm_xsave *x)
{
	const void *image = x->region;
	u64 bv = *(const u64 *)(image + XS_BV);
	u64 mask = vmx_caps.xcr0;
	unsigned int i;

	if (*(const u32 *)(image + FX_MXCSR) & ~mxcsr_mask)
		return -EINVAL;
	if (!mask) {
		if (bv & ~(u64)XFEATURE_MASK_FPSSE)
			return -EINVAL;
		memcpy(vcpu->fpu.area, image, XS_BV);
		return 0;
	}
	if ((bv & ~mask) || *(const u64 *)(image + XS_COMP_BV) ||
	    memchr_inv(image + XS_RESERVED, 0, XS_EXTENDED - XS_RESERVED))
		return -EINVAL;

	memcpy(vcpu->fpu.area, image, EMYS_XSAVE_SIZE);
	*(u32 *)fpu_at(vcpu, FX_MXCSR_MASK) = mxcsr_mask;
	for (i = 0; i < 63; i++)
		if ((mask & BIT_ULL(i)) && !(bv & BIT_ULL(i)))
			fpu_init_component(vcpu, i);
	return 0;
}

int fpu_set_xcr(struct emys_vcpu *vcpu, u32 index, u64 val)
{
	const u64 avx512 = XFEATURE_MASK_OPMASK | XFEATURE_MASK_ZMM_Hi256 |
			   XFEATURE_MASK_Hi16_ZMM;
	/* x87 is there without XSAVE, and so is XCR0's reset value for an ioctl. */
	u64 allowed = vcpu->feat.xcr0_allowed | XFEATURE_MASK_FP;

	if (index || (val & ~allowed) || !(val & XFEATURE_MASK_FP))
		return -EINVAL;
	if ((val & XFEATURE_MASK_YMM) && !(val & XFEATURE_MASK_SSE))
		return -EINVAL;
	if ((val & avx512) && ((val & avx512) != avx512 || !(val & XFEATURE_MASK_YMM)))
		return -EINVAL;
	if (vcpu->fpu.xcr0 != val) {
		vcpu->fpu.xcr0 = val;
		cpuid_update(vcpu);
	}
	return 0;
}

/* -- run section ------------------------------------------------------------------ */

/* Load the image. Not 0: the CPU refused it, and no state was changed. */
static int fpu_restore(const void *area)
{
	u32 lo = vmx_caps.xcr0, hi = vmx_caps.xcr0 >> 32;
	int err = -EFAULT;

	if (likely(vmx_caps.xcr0))
		asm volatile("1: xrstor64 (%[area])\n\t"
			     "xorl %[err], %[err]\n"
			     "2:\n\t"
			     _ASM_EXTABLE(1b, 2b)
			     : [err] "+r" (err)
			     : [area] "r" (area), "a" (lo), "d" (hi) : "memory", "cc");
	else
		asm volatile("1: fxrstor64 (%[area])\n\t"
			     "xorl %[err], %[err]\n"
			     "2:\n\t"
			     _ASM_EXTABLE(1b, 2b)
			     : [err] "+r" (err)
			     : [area] "r" (area) : "memory", "cc");
	return err;
}

void fpu_load(struct emys_vcpu *vcpu)
{
	if (likely(!fpu_restore(vcpu->fpu.area)))
		return;
	fpu_init_image(vcpu);
	fpu_restore(vcpu->fpu.area);
}

void fpu_save(struct emys_vcpu *vcpu)
{
	u32 lo = vmx_caps.xcr0, hi = vmx_caps.xcr0 >> 32;

	if (likely(vmx_caps.xcr0))
		asm volatile("xsave64 (%[area])"
			     : : [area] "r" (vcpu->fpu.area), "a" (lo), "d" (hi) : "memory");
	else
		asm volatile("fxsave64 (%[area])"
			     : : [area] "r" (vcpu->fpu.area) : "memory");
}
