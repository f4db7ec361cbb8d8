// SPDX-License-Identifier: GPL-2.0-only
/* sum: a guest whose result only comes out right if no state gets lost */
#include "sum.h"

#define PORT	0x2f0
#define ROUNDS	2000

static u64 step(u64 x)
{
	return x * 6364136223846793005ull + 1442695040888963407ull;
}

static void guest_sum(u64 seed)
{
	u64 x = seed, sum = 0, i;
	u32 a, b, c, d;

	wrmsr(MSR_KERNEL_GS_BASE, seed & 0xffffffff);
	asm volatile("movq %0, %%xmm5" : : "r"(seed));
	for (i = 0; i < ROUNDS; i++) {
		x = step(x);
		sum += x >> 33;
		if (i % 16 == 0)
			cpuid(0, 0, &a, &b, &c, &d);
		if (i % 64 == 0)
			outl(PORT, x >> 40);
	}
	GUEST_ASSERT_EQ(rdmsr(MSR_KERNEL_GS_BASE), seed & 0xffffffff);
	asm volatile("movq %%xmm5, %0" : "=r"(i));
	GUEST_ASSERT_EQ(i, seed);
	GUEST_SYNC2(1, sum, x);
}

void sum_begin(struct vcpu *vcpu, u64 seed)
{
	vcpu_call(vcpu, guest_sum, seed);
}

int sum_step(struct vcpu *vcpu, u64 seed)
{
	u32 reason = vcpu_exit(vcpu);
	u64 x = seed, sum = 0, i;

	if (reason == KVM_EXIT_IO || reason == EXIT_INTR)
		return 0;
	if (reason != EXIT_UCALL)
		vcpu_bad_exit(vcpu, reason, EXIT_UCALL);
	for (i = 0; i < ROUNDS; i++) {
		x = step(x);
		sum += x >> 33;
	}
	CHECK_EQ(vcpu->uc.arg[1], sum);
	CHECK_EQ(vcpu->uc.arg[2], x);
	return 1;
}

void sum_run(struct vcpu *vcpu, u64 seed)
{
	sum_begin(vcpu, seed);
	while (!sum_step(vcpu, seed))
		;
}
