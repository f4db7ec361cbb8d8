/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * irqchip.h - the interrupt controllers of a VM: local APIC, IO-APIC, PIC, PIT, routing.
 *
 * Contexts. Lines and MSIs arrive from any context (an ioctl, an eventfd wait
 * queue, an hrtimer): irqchip_set_irq() and below never sleep and use
 * raw_spinlock_t with interrupts saved. Registers of a local APIC are read and
 * written only by its vCPU's thread with vcpu->mutex held, possibly inside the
 * run section (interrupts off): lapic_read/write, lapic_msr_*, lapic_poll() and
 * lapic_ack() therefore never sleep and never touch user memory. Other CPUs
 * only post: they set bits in lapic->pir (atomic) and the pending-event bits,
 * then request EMYS_REQ_EVENT and kick.
 *
 * Sources: Intel SDM volume 3, "Advanced Programmable Interrupt Controller
 * (APIC)"; 82093AA IO-APIC, 8259A PIC and 8254 PIT data sheets; Linux
 * Documentation/virt/kvm/api.rst for the ABI structs.
 */
#ifndef _EMYS_IRQCHIP_H
#define _EMYS_IRQCHIP_H

#include <linux/hrtimer.h>
#include <linux/kvm.h>
#include <linux/types.h>

struct emys_vm;
struct emys_vcpu;
struct emys_irqchip;		/* PIC pair, IO-APIC, routing table; private */
struct emys_pit;		/* private */

#define LAPIC_DEFAULT_BASE	0xfee00000ull
#define LAPIC_SIZE		0x1000
#define IOAPIC_DEFAULT_BASE	0xfec00000ull
#define IOAPIC_PINS		24

/* Delivery of one interrupt, from an IO-APIC entry, an MSI or an ICR write. */
struct lapic_msg {
	u32 dest;		/* APIC ID, logical mask; 0xff / 0xffffffff broadcast by mode */
	u8 vector;
	u8 delivery;		/* 0 fixed 1 lowest 2 SMI 4 NMI 5 INIT 6 SIPI 7 ExtINT */
	bool logical;
	bool level;		/* trigger mode level: sets TMR */
	bool assert;
	bool x2apic;		/* dest is 32 bits wide */
	u8 shorthand;		/* 0 none 1 self 2 all 3 others */
};

struct emys_lapic {
	struct emys_vcpu *vcpu;		/* (c) */
	void *regs;			/* (c) page in xAPIC layout: APICv's virtual-APIC page */
	u64 base;			/* IA32_APIC_BASE, vcpu thread */
	bool apicv;			/* virtual-interrupt delivery is on now */
	unsigned long pir[4];		/* (a) 256 vectors posted and not yet in IRR */
	bool pir_pending;		/* (a) pir may be non-zero */
	bool irr_pending;		/* IRR may be non-zero; vcpu thread, not kept with apicv */
	unsigned long tmr_post[4];	/* (a) trigger mode of the posted vectors */
	unsigned long events;		/* (a) LAPIC_EV_* bits */
	u8 sipi_vector;
	bool esr_post;			/* (a) somebody sent an illegal vector */
	u32 esr_pending;		/* errors since the last write of ESR; vcpu thread */
	int highest_isr;		/* cache: -1 none. vcpu thread, not kept with apicv */
	struct lapic_timer {
		struct hrtimer timer;
		u64 period_ns;
		u64 deadline_tsc;	/* guest TSC; IA32_TSC_DEADLINE */
		ktime_t target;
		u32 divide;
		u32 mode;		/* LVT_TIMER_MODE bits in force */
		bool periodic;		/* what the callback does when it fires */
		atomic_t pending;	/* expirations to deliver */
	} timer;
	unsigned long eoi_exit[4];	/* vectors whose EOI the IO-APIC must see */
};

enum { LAPIC_EV_INIT, LAPIC_EV_SIPI };

/* -- VM-wide ------------------------------------------------------------- */

/*
 * Create PIC, IO-APIC and the default routing. vm->lock held, no vCPU yet.
 * -EEXIST there is one already, -EINVAL vCPUs exist already, -ENOMEM.
 */
int irqchip_create(struct emys_vm *vm);
/* After all vCPUs are gone. NULL chips are fine. */
void irqchip_destroy(struct emys_vm *vm);
/* KVM_CREATE_PIT2. -ENOENT no irqchip, -EEXIST, -EINVAL unknown flags, -ENOMEM. */
int pit_create(struct emys_vm *vm, const struct kvm_pit_config *cfg);
void pit_destroy(struct emys_vm *vm);

/*
 * Drive GSI @gsi to @level on behalf of @source (0 = KVM_IRQ_LINE, 2 = PIT;
 * a line is the OR of its sources). Returns >0 delivered, 0 coalesced, <0 ignored
 * (KVM_IRQ_LINE_STATUS's values). Any context.
 */
int irqchip_set_irq(struct emys_vm *vm, u32 gsi, int source, int level);
/* Send one MSI. >0 delivered, 0 blocked, -EINVAL reserved bits. Any context. */
int irqchip_send_msi(struct emys_vm *vm, const struct kvm_msi *msi);
/* -EINVAL unknown chip_id. May sleep. */
int irqchip_get(struct emys_vm *vm, struct kvm_irqchip *chip);
int irqchip_set(struct emys_vm *vm, const struct kvm_irqchip *chip);
int pit_get(struct emys_vm *vm, struct kvm_pit_state2 *ps);
int pit_set(struct emys_vm *vm, const struct kvm_pit_state2 *ps);
int pit_reinject(struct emys_vm *vm, bool reinject);
/*
 * KVM_SET_GSI_ROUTING; @entries is a kernel copy. May sleep. -EINVAL no irqchip,
 * bad entry or flags, a GSI twice on one chip; -ENOMEM.
 */
int irqchip_set_routing(struct emys_vm *vm, const struct kvm_irq_routing_entry *entries, u32 nr);
/* KVM_IRQFD and KVM_IOEVENTFD. errnos as in api.rst. May sleep. */
int irqfd_ioctl(struct emys_vm *vm, const struct kvm_irqfd *args);
int ioeventfd_ioctl(struct emys_vm *vm, const struct kvm_ioeventfd *args);
/* vm fd released: detach every irqfd and ioeventfd. May sleep. */
void irqfd_release(struct emys_vm *vm);
int irqfd_module_init(void);
void irqfd_module_exit(void);

/*
 * Port and memory-mapped registers of the VM-wide devices, of @vcpu's own local
 * APIC in xAPIC mode, and ioeventfds. @len at most 8.
 * 0 handled, -EOPNOTSUPP nobody here. Never sleep; may be called in the run
 * section with interrupts off, so registers cost the guest no trip out of it.
 */
int irqchip_pio_read(struct emys_vcpu *vcpu, u16 port, int size, u32 *val);
int irqchip_pio_write(struct emys_vcpu *vcpu, u16 port, int size, u32 val);
int irqchip_mmio_read(struct emys_vcpu *vcpu, u64 gpa, int len, void *val);
int irqchip_mmio_write(struct emys_vcpu *vcpu, u64 gpa, int len, const void *val);

/* -- local APIC ---------------------------------------------------------- */

/* -ENOMEM. vcpu->lapic is set on success. The vCPU is not yet published. */
int lapic_create(struct emys_vcpu *vcpu);
void lapic_destroy(struct emys_vcpu *vcpu);
/* Power-up or INIT reset (INIT keeps the APIC ID and IA32_APIC_BASE). */
void lapic_reset(struct emys_vcpu *vcpu, bool init);

/* Is @gpa in the register page, as the guest has it mapped now (xAPIC mode)? vCPU thread. */
bool lapic_at(struct emys_vcpu *vcpu, u64 gpa);
/* Register at byte @offset (multiple of 16) of the xAPIC page. len 4 for writes. */
u32 lapic_read(struct emys_vcpu *vcpu, u32 offset);
void lapic_write(struct emys_vcpu *vcpu, u32 offset, u32 val);
/* After an APIC-write exit of APICv: the value is in the page already. */
void lapic_written(struct emys_vcpu *vcpu, u32 offset);
/* x2APIC MSRs 0x800..0x8ff and IA32_TSC_DEADLINE. 0, or -EPERM: inject #GP. */
int lapic_msr_read(struct emys_vcpu *vcpu, u32 msr, u64 *val);
int lapic_msr_write(struct emys_vcpu *vcpu, u32 msr, u64 val);
/*
 * IA32_APIC_BASE. -EPERM: invalid transition or reserved bit. @host: by ioctl, any
 * transition to a valid mode.
 */
int lapic_set_base(struct emys_vcpu *vcpu, u64 base, bool host);
u64 lapic_get_cr8(struct emys_vcpu *vcpu);
void lapic_set_cr8(struct emys_vcpu *vcpu, u64 cr8);
/* EOI seen by virtual-interrupt delivery for a vector in eoi_exit. */
void lapic_eoi_exit(struct emys_vcpu *vcpu, u8 vector);
/*
 * Virtual-interrupt delivery is on or off from now on: the only way to change
 * lapic->apicv. After turning it on, SVI = lapic_highest_isr() (-1: 0) and RVI
 * = lapic_poll()'s max_irr. vCPU thread, interrupts on or off.
 */
void lapic_set_apicv(struct emys_vcpu *vcpu, bool on);
/*
 * SVR's enable bit. While it is 0 no interrupt is accepted, which a CPU that
 * delivers virtual interrupts does not know: APICv has to be off.
 * EMYS_REQ_APICV is requested when it changes.
 */
bool lapic_soft_enabled(struct emys_vcpu *vcpu);
int lapic_highest_isr(struct emys_vcpu *vcpu);
/* The guest's TSC was written, or its frequency: arm a TSC deadline anew. vCPU thread. */
void lapic_tsc_changed(struct emys_vcpu *vcpu);

/*
 * Take posted vectors into IRR, fold in an expired timer, and answer the
 * highest vector that may be delivered now (IRR above PPR), or -1. With
 * @max_irr also the highest IRR bit whatever the PPR (for RVI and TPR threshold).
 * ExtINT of the PIC is asked for apart, by pic_pending(). vCPU thread.
 */
int lapic_poll(struct emys_vcpu *vcpu, int *max_irr);
/* Deliver @vector as the CPU's INTA cycle does: IRR to ISR. With apicv only while L2 runs. */
void lapic_ack(struct emys_vcpu *vcpu, u8 vector);
/* May the PIC's INTR reach this vCPU (LVT0 ExtINT, or APIC disabled)? */
bool lapic_accepts_pic(struct emys_vcpu *vcpu);
bool pic_pending(struct emys_vm *vm);
int pic_ack(struct emys_vm *vm);	/* the vector; spurious 7 if gone */
/* An interrupt that would end HLT, without side effects. vCPU thread or rcuwait condition. */
bool lapic_has_work(struct emys_vcpu *vcpu);
/*
 * Accept INIT and SIPI as mp_state allows. Returns whether mp_state or registers
 * changed. The guest is not in VMX operation. vCPU thread, may sleep.
 */
bool lapic_accept_events(struct emys_vcpu *vcpu);

/* Send one message to the APICs of @vm. Returns how many accepted it, 0 none. Any context. */
int lapic_deliver(struct emys_vm *vm, struct emys_vcpu *src, const struct lapic_msg *msg);
/* EOI of a level vector reaches the IO-APIC. */
void ioapic_eoi(struct emys_vm *vm, struct emys_vcpu *vcpu, u8 vector);
/* Fill lapic->eoi_exit for this vCPU from the IO-APIC's entries. */
void ioapic_eoi_map(struct emys_vcpu *vcpu);

/* KVM_GET_LAPIC, KVM_SET_LAPIC. -EINVAL on an impossible ID. [V] held. */
void lapic_get_state(struct emys_vcpu *vcpu, struct kvm_lapic_state *s);
int lapic_set_state(struct emys_vcpu *vcpu, const struct kvm_lapic_state *s);

/*
 * Provided by vcpu.c / vmx for the timer: guest TSC now, and kHz of the guest's TSC.
 */
u64 emys_guest_tsc(struct emys_vcpu *vcpu);
u32 emys_guest_tsc_khz(struct emys_vcpu *vcpu);
/* The APIC moved between disabled, xAPIC and x2APIC, or its base moved. Provided by vmx. */
void vmx_apic_mode_changed(struct emys_vcpu *vcpu);

#endif
