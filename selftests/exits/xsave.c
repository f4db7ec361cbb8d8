// SPDX-License-Identifier: GPL-2.0-only
/* exits/xsave: XSETBV and the FPU state, in the guest and from userspace */
#include "vmm.h"

#define XCR0_X87	1ull
#define XCR0_SSE	2ull
#define XCR0_AVX	4ull

static u64 try_xsetbv(u32 index, u64 v)
{
	u64 f;

	GUEST_TRY(f, "xsetbv", GUEST_NO_OUT, "c"(index), "a"((u32)v),
		  "d"((u32)(v >> 32)));
	return f;
}

static u64 xgetbv(void)
{
	u32 lo, hi;

	asm volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
	return (u64)hi << 32 | lo;
}

static void guest_xsetbv(u64 supported)
{
	u64 bit;

	/* #UD without CR4.OSXSAVE */
	GUEST_ASSERT_EQ(try_xsetbv(0, 3), FAULT(UD_VECTOR));
	write_cr4(read_cr4() | X86_CR4_OSXSAVE);
	GUEST_ASSERT_EQ(xgetbv(), XCR0_X87);
	GUEST_ASSERT_EQ(try_xsetbv(0, XCR0_X87 | XCR0_SSE), 0);
	GUEST_ASSERT_EQ(xgetbv(), 3);
	GUEST_ASSERT_EQ(try_xsetbv(0, supported), 0);
	GUEST_ASSERT_EQ(xgetbv(), supported);
	/* x87 cannot be switched off; AVX needs SSE */
	GUEST_ASSERT_EQ(try_xsetbv(0, XCR0_SSE), FAULT(GP_VECTOR));
	GUEST_ASSERT_EQ(try_xsetbv(0, 0), FAULT(GP_VECTOR));
	GUEST_ASSERT_EQ(try_xsetbv(0, XCR0_X87 | XCR0_AVX),
			FAULT(GP_VECTOR));
	for (bit = 0; bit < 64; bit++)
		if (!(supported & 1ull << bit))
			GUEST_ASSERT_AT(try_xsetbv(0, 3 | 1ull << bit) ==
					FAULT(GP_VECTOR), bit, supported);
	/* XCR1 and above do not exist */
	GUEST_ASSERT_EQ(try_xsetbv(1, 3), FAULT(GP_VECTOR));
	GUEST_ASSERT_EQ(try_xsetbv(0xffffffff, 3), FAULT(GP_VECTOR));
	GUEST_ASSERT_EQ(xgetbv(), supported);
	GUEST_SYNC(1);
	GUEST_ASSERT_EQ(xgetbv(), 3);
}

static u64 supported_xcr0(struct vcpu *vcpu)
{
	struct kvm_cpuid_entry2 *e = vcpu_leaf(vcpu, 0xd, 0);

	REQUIRE(vcpu_leaf(vcpu, 1, 0)->ecx & 1u << 26 && e, "no XSAVE");
	return (u64)e->edx << 32 | e->eax;
}

/*
 * XSETBV: Vol. 2, "XSETBV - Set Extended Control Register". KVM_GET_XCRS and
 * KVM_SET_XCRS see and change the same register.
 */
static void test_xsetbv(void)
{
	struct vm *vm = vm_create();
	struct vcpu *vcpu = vcpu_add(vm, 0);
	struct kvm_xcrs x;
	u64 supported = supported_xcr0(vcpu);

	vcpu_call(vcpu, guest_xsetbv, supported);
	vcpu_sync(vcpu, 1);
	CHECK_OK(ioctl(vcpu->fd, KVM_GET_XCRS, &x));
	CHECK_EQ(x.nr_xcrs, 1);
	CHECK_EQ(x.xcrs[0].xcr, 0);
	CHECK_EQ(x.xcrs[0].value, supported);
	x.xcrs[0].value = 2;
	CHECK_ERRNO(ioctl(vcpu->fd, KVM_SET_XCRS, &x), EINVAL);
	x.xcrs[0].value = 3;
	x.flags = 1;
	CHECK_ERRNO(ioctl(vcpu->fd, KVM_SET_XCRS, &x), EINVAL);
	x.flags = 0;
	x.nr_xcrs = KVM_MAX_XCRS + 1;
	CHECK_ERRNO(ioctl(vcpu->fd, KVM_SET_XCRS, &x), EINVAL);
	x.nr_xcrs = 1;
	CHECK_OK(ioctl(vcpu->fd, KVM_SET_XCRS, &x));
	vcpu_done(vcpu);
}

static u64 user_xsetbv(u64 v)
{
	return try_xsetbv(0, v);
}

static void guest_user(void)
{
	write_cr4(read_cr4() | X86_CR4_OSXSAVE);
	GUEST_ASSERT_EQ(guest_user_call(user_xsetbv, 3), FAULT(GP_VECTOR));
}

/* XSETBV at CPL 3 is #GP(0). */
static void test_user(void)
{
	struct vm *vm = vm_create();
	struct vcpu *vcpu = vcpu_add(vm, 0);

	supported_xcr0(vcpu);
	vm_map_user(vm);
	vcpu_call(vcpu, guest_user, 0);
	vcpu_done(vcpu);
}

#define XMM_SET(v)							\
	asm volatile("movq %0, %%xmm0\n"				\
		     "movq %0, %%xmm7\n"				\
		     "movq %0, %%xmm15\n" : : "r"((u64)(v)))

#define XMM_GET(n)							\
	({								\
		u64 _v;							\
									\
		asm volatile("movq %%xmm" #n ", %0" : "=r"(_v));	\
		_v;							\
	})

static void guest_xmm(u64 mine)
{
	int i;

	for (i = 0; i < 20; i++) {
		XMM_SET(mine + i);
		asm volatile("cpuid" : : "a"(0), "c"(0) : "rbx", "rdx");
		GUEST_SYNC(i);
		GUEST_ASSERT_EQ(XMM_GET(0), mine + i);
		GUEST_ASSERT_EQ(XMM_GET(7), mine + i);
		GUEST_ASSERT_EQ(XMM_GET(15), mine + i);
	}
}

/*
 * Two vCPUs and their VMM each keep their own SSE registers.
 */
static void test_xmm(void)
{
	struct vm *vm = vm_create();
	struct vcpu *a = vcpu_add(vm, 0);
	struct vcpu *b = vcpu_add(vm, 1);
	u64 i;

	vcpu_call(a, guest_xmm, 0xaaaa0000);
	vcpu_call(b, guest_xmm, 0xbbbb0000);
	for (i = 0; i < 20; i++) {
		struct ucall uc;
		u64 x0, x15;

		/* nothing but the ioctl between the two, or libc may use them */
		XMM_SET(0xcccc0000 + i);
		asm volatile("syscall"
			     : "=a"(x0)
			     : "0"(16ull), "D"((long)a->fd), "S"(KVM_RUN),
			       "d"(0) : "rcx", "r11", "memory");
		x15 = XMM_GET(15);
		CHECK_EQ(x0, 0);
		CHECK_EQ(x15, 0xcccc0000 + i);
		CHECK_EQ(a->run->exit_reason, KVM_EXIT_IO);
		memcpy(&uc, vm_ptr(vm, *(u32 *)((u8 *)a->run +
						a->run->io.data_offset)),
		       sizeof(uc));
		CHECK_EQ(uc.cmd, UCALL_SYNC);
		CHECK_EQ(uc.arg[0], i);
		vcpu_sync(b, i);
	}
	vcpu_done(a);
	vcpu_done(b);
}

static void guest_ymm(u64 supported)
{
	u64 v = 0x1122334455667788ull, hi;

	write_cr4(read_cr4() | X86_CR4_OSXSAVE);
	GUEST_ASSERT_EQ(try_xsetbv(0, supported & 7), 0);
	asm volatile("vmovq %0, %%xmm3\n"
		     "vinsertf128 $1, %%xmm3, %%ymm3, %%ymm3" : : "r"(v));
	GUEST_SYNC(1);
	asm volatile("vextractf128 $1, %%ymm3, %%xmm4\n"
		     "vmovq %%xmm4, %0" : "=r"(hi));
	GUEST_ASSERT_EQ(hi, v);
	GUEST_SYNC(2);
	asm volatile("vextractf128 $1, %%ymm3, %%xmm4\n"
		     "vmovq %%xmm4, %0" : "=r"(hi));
	GUEST_ASSERT_EQ(hi, v + 1);
}

/*
 * The upper half of YMM3 is in KVM_GET_XSAVE where the architecture says, and
 * KVM_SET_XSAVE changes it.
 */
static void test_ymm(void)
{
	struct vm *vm = vm_create();
	struct vcpu *vcpu = vcpu_add(vm, 0);
	u64 supported = supported_xcr0(vcpu);
	struct kvm_cpuid_entry2 *e = vcpu_leaf(vcpu, 0xd, 2);
	static struct kvm_xsave x;
	u64 *high;

	REQUIRE(supported & XCR0_AVX && e, "no AVX");
	high = (u64 *)((u8 *)&x + e->ebx + 3 * 16);
	vcpu_call(vcpu, guest_ymm, supported);
	vcpu_sync(vcpu, 1);
	vcpu_sync(vcpu, 2);
	CHECK_OK(ioctl(vcpu->fd, KVM_GET_XSAVE, &x));
	CHECK_EQ(*(u64 *)((u8 *)&x + 512) & XCR0_AVX, XCR0_AVX);
	CHECK_EQ(*high, 0x1122334455667788ull);
	(*high)++;
	CHECK_OK(ioctl(vcpu->fd, KVM_SET_XSAVE, &x));
	vcpu_done(vcpu);
}

/*
 * KVM_SET_XSAVE refuses a header that names a component which does not exist,
 * and an MXCSR with reserved bits; the state stays what it was.
 */
static void test_bad_xsave(void)
{
	struct vm *vm = vm_create();
	struct vcpu *vcpu = vcpu_add(vm, 0);
	static struct kvm_xsave x, good, after;
	u32 *mxcsr = (u32 *)&x + 6;
	u64 *xstate_bv = (u64 *)((u8 *)&x + 512);

	supported_xcr0(vcpu);
	CHECK_OK(ioctl(vcpu->fd, KVM_GET_XSAVE, &good));
	x = good;
	CHECK_OK(ioctl(vcpu->fd, KVM_SET_XSAVE, &x));
	*xstate_bv |= 1ull << 62;
	CHECK_ERRNO(ioctl(vcpu->fd, KVM_SET_XSAVE, &x), EINVAL);
	x = good;
	*mxcsr |= 1u << 31;
	*xstate_bv |= XCR0_SSE;
	CHECK_ERRNO(ioctl(vcpu->fd, KVM_SET_XSAVE, &x), EINVAL);
	CHECK_OK(ioctl(vcpu->fd, KVM_GET_XSAVE, &after));
	CHECK_EQ(memcmp(&good, &after, sizeof(good)), 0);
	vcpu_call(vcpu, guest_xmm, 1);
	vcpu_sync(vcpu, 0);
}

static void guest_fpu(void)
{
	u16 cw = 0x27f;
	u32 mxcsr = 0x3f80;

	asm volatile("fninit; fldcw %0; ldmxcsr %1; fld1" : : "m"(cw),
		     "m"(mxcsr));
	XMM_SET(0x1234);
	GUEST_SYNC(1);
	GUEST_ASSERT_EQ(XMM_GET(0), 0x4321);
	asm volatile("fnstcw %0; stmxcsr %1" : "=m"(cw), "=m"(mxcsr));
	GUEST_ASSERT_EQ(cw, 0x37f);
}

/*
 * KVM_GET_FPU shows the x87 and SSE registers, KVM_SET_FPU changes them. (KVM
 * leaves the MXCSR to KVM_GET_XSAVE and KVM_SET_XSAVE.)
 */
static void test_fpu(void)
{
	struct vm *vm = vm_create();
	struct vcpu *vcpu = vcpu_add(vm, 0);
	struct kvm_fpu fpu;
	u64 v;

	vcpu_call(vcpu, guest_fpu, 0);
	vcpu_sync(vcpu, 1);
	CHECK_OK(ioctl(vcpu->fd, KVM_GET_FPU, &fpu));
	CHECK_EQ(fpu.fcw, 0x27f);
	CHECK_EQ(fpu.ftwx, 0x80);
	memcpy(&v, fpu.xmm[15], 8);
	CHECK_EQ(v, 0x1234);
	v = 0x4321;
	memcpy(fpu.xmm[0], &v, 8);
	fpu.fcw = 0x37f;
	CHECK_OK(ioctl(vcpu->fd, KVM_SET_FPU, &fpu));
	vcpu_done(vcpu);
}

KSFT_MAIN(
	{ "xsave: XSETBV", test_xsetbv },
	{ "xsave: XSETBV at CPL 3", test_user },
	{ "xsave: SSE registers of three parties", test_xmm },
	{ "xsave: AVX state", test_ymm },
	{ "xsave: bad KVM_SET_XSAVE", test_bad_xsave },
	{ "xsave: KVM_GET_FPU and KVM_SET_FPU", test_fpu },
)
