// SPDX-License-Identifier: GPL-2.0-only
/*
 * clock.c - the guest's TSC and kvmclock.
 *
 * While the host's TSC is good, a VM's kvmclock is a line over it, fixed by one
 * pair (base_tsc, base_ns): every vCPU's page says the same line in terms of its
 * own TSC, so no two vCPUs can disagree, and nothing has to be rewritten as time
 * goes by. Without a good TSC each page is written from the host's clock, and
 * does not carry the flag that says pages agree.
 *
 * Sources: Intel SDM volume 3, "Time-Stamp Counter" and "IA32_TSC_ADJUST MSR";
 * Linux Documentation/virt/kvm/x86/msr.rst for the page's layout and version protocol.
 */
#include <linux/math64.h>
#include <linux/mm.h>
#include <linux/spinlock.h>
#include <linux/timekeeping.h>
#include <asm/msr.h>
#include <asm/pvclock.h>
#include <asm/pvclock-abi.h>
#include <asm/tsc.h>
#include <uapi/asm/kvm_para.h>

#include "emys.h"
#include "vmx/vclock.h"

/* A frequency this near to the host's is the host's. */
#define CLOCK_TOLERANCE_PPM	250

static bool clock_host_stable(void)
{
	return !check_tsc_unstable() && boot_cpu_has(X86_FEATURE_CONSTANT_TSC);
}

u32 emys_guest_tsc_khz(struct emys_vcpu *vcpu)
{
	return vcpu->vmx.tsc_khz;
}

static u64 clock_rate(u64 tsc, u64 ratio)
{
	return ratio ? mul_u64_u64_shr(tsc, ratio, VMX_TSC_FRACTION) : tsc;
}

u64 clock_tsc_at(const struct emys_vcpu *vcpu, u64 tsc)
{
	return clock_rate(tsc, vcpu->vmx.tsc_ratio) + vcpu->vmx.tsc_offset;
}

u64 emys_guest_tsc(struct emys_vcpu *vcpu)
{
	return clock_tsc_at(vcpu, rdtsc());
}

/* ns = ((ticks << shift) * mul) >> 32, with mul as large as 32 bits allow. */
static void clock_scale(u64 hz, u32 *mul, s8 *shift)
{
	*shift = 0;
	while (hz > 2 * (u64)NSEC_PER_SEC) {
		hz >>= 1;
		--*shift;
	}
	while (hz <= NSEC_PER_SEC) {
		hz <<= 1;
		++*shift;
	}
	*mul = div64_u64((u64)NSEC_PER_SEC << 32, hz);
}

/* Nanoseconds of the VM's line at host TSC @tsc. clock.lock held or the line settled. */
static u64 clock_line(const struct emys_vm *vm, u64 tsc)
{
	return vm->clock.base_ns + pvclock_scale_delta(tsc - vm->clock.base_tsc, vm->clock.mul,
						       vm->clock.shift);
}

/* kvmclock now, at host TSC *tsc. clock.lock held, interrupts off. */
static u64 clock_now_locked(struct emys_vm *vm, u64 *tsc)
{
	*tsc = rdtsc_ordered();
	if (!clock_host_stable())
		return ktime_get_boottime_ns() + vm->clock.offset;
	/* The host slept and its TSC started anew: go on from what it said last. */
	if (unlikely(*tsc < vm->clock.base_tsc)) {
		vm->clock.base_tsc = *tsc;
		vm->clock.base_ns = ktime_get_boottime_ns() + vm->clock.offset;
	}
	return clock_line(vm, *tsc);
}

static u64 clock_now(struct emys_vm *vm)
{
	unsigned long flags;
	u64 ns, tsc;

	raw_spin_lock_irqsave(&vm->clock.lock, flags);
	ns = clock_now_locked(vm, &tsc);
	raw_spin_unlock_irqrestore(&vm->clock.lock, flags);
	return ns;
}

/* The frequency that is meant by @khz, and the multiplier for it. */
static int clock_ratio(u32 *khz, u64 *ratio)
{
	u32 host = max(tsc_khz, 1u);
	u64 diff;

	if (!*khz)
		*khz = host;
	diff = abs((s64)*khz - host);
	if (diff * 1000000 <= (u64)host * CLOCK_TOLERANCE_PPM) {
		*khz = host;
		*ratio = 0;
		return 0;
	}
	/* The multiplier's integer part has 16 bits; the other limit is KVM's. */
	if (!vmx_caps.tsc_scaling || *khz >= S32_MAX || *khz / host >= BIT(64 - VMX_TSC_FRACTION))
		return -EINVAL;
	*ratio = mul_u64_u32_div(BIT_ULL(VMX_TSC_FRACTION), *khz, host);
	return 0;
}

void clock_vm_init(struct emys_vm *vm)
{
	raw_spin_lock_init(&vm->clock.lock);
	mutex_init(&vm->clock.wall_lock);
	vm->clock.tsc_khz = tsc_khz;
	clock_scale(max_t(u64, tsc_khz, 1) * 1000, &vm->clock.mul, &vm->clock.shift);
	vm->clock.base_tsc = rdtsc_ordered();
	vm->clock.base_ns = 0;
	vm->clock.offset = -(s64)ktime_get_boottime_ns();
}

int clock_get(struct emys_vm *vm, struct kvm_clock_data *d)
{
	unsigned long flags;

	memset(d, 0, sizeof(*d));
	raw_spin_lock_irqsave(&vm->clock.lock, flags);
	d->clock = clock_now_locked(vm, &d->host_tsc);
	d->realtime = ktime_get_real_ns();
	raw_spin_unlock_irqrestore(&vm->clock.lock, flags);
	d->flags = KVM_CLOCK_REALTIME;
	if (clock_host_stable())
		d->flags |= KVM_CLOCK_TSC_STABLE | KVM_CLOCK_HOST_TSC;
	else
		d->host_tsc = 0;
	return 0;
}

int clock_set(struct emys_vm *vm, const struct kvm_clock_data *d)
{
	const u32 known = KVM_CLOCK_TSC_STABLE | KVM_CLOCK_REALTIME | KVM_CLOCK_HOST_TSC;
	u64 ns = d->clock, real;
	unsigned long flags;

	/* Only REALTIME means anything here, but what KVM_GET_CLOCK gave may come back. */
	if (d->flags & ~known)
		return -EINVAL;
	raw_spin_lock_irqsave(&vm->clock.lock, flags);
	if (d->flags & KVM_CLOCK_REALTIME) {
		/* Never backwards. */
		real = ktime_get_real_ns();
		if (real > d->realtime)
			ns += real - d->realtime;
	}
	vm->clock.base_tsc = rdtsc_ordered();
	vm->clock.base_ns = ns;
	vm->clock.offset = ns - ktime_get_boottime_ns();
	raw_spin_unlock_irqrestore(&vm->clock.lock, flags);
	emys_vm_request_all(vm, EMYS_REQ_CLOCK);
	return 0;
}

/* -- TSC ------------------------------------------------------------------------- */

static void clock_tsc_changed(struct emys_vcpu *vcpu)
{
	vmx_tsc_changed(vcpu);
	lapic_tsc_changed(vcpu);
	/* Every page: whether vCPUs agree may have changed. */
	if (READ_ONCE(vcpu->vm->clock.used))
		emys_vm_request_all(vcpu->vm, EMYS_REQ_CLOCK);
}

void clock_set_offset(struct emys_vcpu *vcpu, u64 offset)
{
	if (vcpu->vmx.tsc_offset == offset)
		return;
	vcpu->vmx.tsc_offset = offset;
	clock_tsc_changed(vcpu);
}

/*
 * A VMM, or a BIOS, sets the TSC of one vCPU after the other to the same value
 * and means "the same": a value that lies within a second of where the last
 * written one would be now gets the last offset, if it counts at the same rate. 0 is a vCPU's
 * power-up.
 */
void clock_write_tsc(struct emys_vcpu *vcpu, u64 tsc)
{
	struct emys_clock *c = &vcpu->vm->clock;
	u64 second = (u64)vcpu->vmx.tsc_khz * 1000, ratio = vcpu->vmx.tsc_ratio;
	u64 now, offset, expected;
	unsigned long flags;

	raw_spin_lock_irqsave(&c->lock, flags);
	now = clock_rate(rdtsc_ordered(), ratio);
	offset = tsc - now;
	expected = now + c->tsc_offset;
	if (c->tsc_write_valid && c->tsc_ratio == ratio &&
	    (!tsc || (tsc < expected + second && expected < tsc + second)))
		offset = c->tsc_offset;
	c->tsc_offset = offset;
	c->tsc_ratio = ratio;
	c->tsc_write_valid = true;
	raw_spin_unlock_irqrestore(&c->lock, flags);
	clock_set_offset(vcpu, offset);
}

void clock_give_offset(struct emys_vcpu *vcpu, u64 offset)
{
	struct emys_clock *c = &vcpu->vm->clock;
	unsigned long flags;

	raw_spin_lock_irqsave(&c->lock, flags);
	c->tsc_offset = offset;
	c->tsc_ratio = vcpu->vmx.tsc_ratio;
	c->tsc_write_valid = true;
	raw_spin_unlock_irqrestore(&c->lock, flags);
	clock_set_offset(vcpu, offset);
}

void clock_vcpu_init(struct emys_vcpu *vcpu)
{
	u32 khz = READ_ONCE(vcpu->vm->clock.tsc_khz);

	/* It was looked at when it was set. */
	clock_ratio(&khz, &vcpu->vmx.tsc_ratio);
	vcpu->vmx.tsc_khz = khz;
	if (vcpu->vmx.tsc_ratio)
		vmx_tsc_changed(vcpu);
	clock_write_tsc(vcpu, 0);
}

int clock_set_tsc_khz(struct emys_vcpu *vcpu, u32 khz)
{
	u64 ratio;
	int r = clock_ratio(&khz, &ratio);

	if (r)
		return r;
	vcpu->vmx.tsc_khz = khz;
	if (ratio == vcpu->vmx.tsc_ratio)
		return 0;
	WRITE_ONCE(vcpu->vmx.tsc_ratio, ratio);
	clock_tsc_changed(vcpu);
	return 0;
}

int clock_vm_set_tsc_khz(struct emys_vm *vm, u32 khz)
{
	u64 ratio;
	int r = clock_ratio(&khz, &ratio);

	if (!r)
		WRITE_ONCE(vm->clock.tsc_khz, khz);
	return r;
}

/* -- pages in the guest ------------------------------------------------------------ */

static bool clock_same_tsc(const struct emys_vcpu *a, const struct emys_vcpu *b)
{
	return READ_ONCE(a->vmx.tsc_offset) == READ_ONCE(b->vmx.tsc_offset) &&
	       READ_ONCE(a->vmx.tsc_ratio) == READ_ONCE(b->vmx.tsc_ratio);
}

/* Do all vCPUs read the same TSC? */
static bool clock_tsc_matched(struct emys_vm *vm)
{
	struct emys_vcpu *vcpu, *first = xa_load(&vm->vcpus, 0);
	unsigned int i;

	emys_for_each_vcpu(i, vcpu, vm)
		if (!clock_same_tsc(vcpu, first))
			return false;
	return true;
}

/*
 * Write @len bytes of @new at @gpa; the first word is the version, odd while the
 * rest is being written. It goes on from what the guest's page has.
 */
static int clock_publish(struct emys_vm *vm, u64 gpa, void *new, size_t len, u32 version)
{
	u32 *ver = new;
	int ret;

	*ver = (version | 1) + (version & 1 ? 2 : 0);
	ret = mem_write(vm, gpa, ver, sizeof(*ver));
	if (ret)
		return ret;
	smp_wmb();	/* odd before the rest */
	ret = mem_write(vm, gpa + sizeof(*ver), new + sizeof(*ver), len - sizeof(*ver));
	if (ret)
		return ret;
	smp_wmb();	/* the rest before even */
	++*ver;
	return mem_write(vm, gpa, ver, sizeof(*ver));
}

void clock_update(struct emys_vcpu *vcpu)
{
	struct emys_clock *c = &vcpu->vm->clock;
	struct pvclock_vcpu_time_info old, new = {};
	u64 gpa = vcpu->msrs.kvm_system_time, tsc;
	bool stable = clock_host_stable();
	unsigned long flags;

	if (!(gpa & KVM_MSR_ENABLED))
		return;
	gpa &= ~(u64)KVM_MSR_ENABLED;
	if (mem_read(vcpu->vm, gpa, &old, sizeof(old)))
		return;

	raw_spin_lock_irqsave(&c->lock, flags);
	new.system_time = clock_now_locked(vcpu->vm, &tsc);
	if (stable) {
		tsc = c->base_tsc;
		new.system_time = c->base_ns;
	}
	raw_spin_unlock_irqrestore(&c->lock, flags);
	new.tsc_timestamp = clock_tsc_at(vcpu, tsc);
	if (vcpu->vmx.tsc_ratio) {
		clock_scale((u64)vcpu->vmx.tsc_khz * 1000, &new.tsc_to_system_mul, &new.tsc_shift);
	} else {
		new.tsc_to_system_mul = c->mul;
		new.tsc_shift = c->shift;
	}
	new.flags = old.flags & PVCLOCK_GUEST_STOPPED;	/* the guest clears it */
	if (stable && clock_tsc_matched(vcpu->vm))
		new.flags |= PVCLOCK_TSC_STABLE_BIT;
	clock_publish(vcpu->vm, gpa, &new, sizeof(new), old.version);
}

void clock_write_wall(struct emys_vcpu *vcpu)
{
	struct mutex *lock = &vcpu->vm->clock.wall_lock;
	u64 gpa = vcpu->msrs.kvm_wall_clock & ~1ull, boot;
	struct pvclock_wall_clock wall;
	u32 version, nsec;

	if (!gpa)
		return;
	/* Several vCPUs may write theirs at once, and to one address: the version is read back. */
	mutex_lock(lock);
	if (!mem_read(vcpu->vm, gpa, &version, sizeof(version))) {
		/* The time of day at which kvmclock was 0. */
		boot = ktime_get_real_ns() - clock_now(vcpu->vm);
		wall.sec = div_u64_rem(boot, NSEC_PER_SEC, &nsec);
		wall.nsec = nsec;
		clock_publish(vcpu->vm, gpa, &wall, sizeof(wall), version);
	}
	mutex_unlock(lock);
}

void clock_request_page(struct emys_vcpu *vcpu)
{
	WRITE_ONCE(vcpu->vm->clock.used, true);
	emys_vcpu_request(vcpu, EMYS_REQ_CLOCK);
}

int clock_guest_stopped(struct emys_vcpu *vcpu)
{
	u64 gpa = vcpu->msrs.kvm_system_time;
	struct pvclock_vcpu_time_info info;

	if (!(gpa & KVM_MSR_ENABLED))
		return -EINVAL;
	gpa &= ~(u64)KVM_MSR_ENABLED;
	/* The guest does not run: neither the version nor a half-written page is seen. */
	if (mem_read(vcpu->vm, gpa, &info, sizeof(info)))
		return 0;
	info.flags |= PVCLOCK_GUEST_STOPPED;
	mem_write(vcpu->vm, gpa + offsetof(struct pvclock_vcpu_time_info, flags), &info.flags,
		  sizeof(info.flags));
	return 0;
}
