/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * chip.h - what the interrupt controllers know of each other; private to kmod/irqchip.
 *
 * Locks: pic.lock, ioapic.lock and pit->lock are raw, taken with interrupts
 * saved, and never held together. ioapic.lock may be held while a vCPU is
 * kicked. Whoever is told of an EOI (irq_acked()) is called with none of them
 * held. The routing table is under RCU; acked lines are looked up in it.
 */
#ifndef _EMYS_IRQCHIP_CHIP_H
#define _EMYS_IRQCHIP_CHIP_H

#include <linux/bitmap.h>
#include <linux/kvm.h>
#include <linux/mutex.h>
#include <linux/rcupdate.h>
#include <linux/spinlock.h>

#include "irqchip.h"
#include "pic_core.h"

#define IRQ_MAX_GSI		4096	/* KVM_CAP_IRQ_ROUTING */

/* Who drives a line: bit numbers of its state word. */
enum irq_source {
	IRQ_SRC_USER = 0,		/* KVM_IRQ_LINE and plain irqfds */
	IRQ_SRC_RESAMPLE = 1,		/* irqfds with a resample fd */
	IRQ_SRC_PIT = 2,
};

struct pic_pair {
	raw_spinlock_t lock;
	struct pic_core core;
	unsigned long state[16];	/* sources that hold the line up */
};

struct ioapic {
	raw_spinlock_t lock;
	u64 base;
	u32 select, id;
	u32 irr;			/* pins: level high, or edge seen */
	u64 redir[IOAPIC_PINS];
	unsigned long state[IOAPIC_PINS];
	unsigned long eoi_map[4];	/* vectors whose EOI matters; read without lock */
};

struct irq_route {
	u32 gsi;
	u32 type;			/* KVM_IRQ_ROUTING_IRQCHIP or _MSI */
	union {
		struct {
			u32 chip, pin;
		};
		struct kvm_msi msi;
	};
};

struct irq_routing {
	struct rcu_head rcu;
	u32 nr_gsi;			/* GSIs 0..nr_gsi - 1 are in first[] */
	s16 pin_gsi[KVM_NR_IRQCHIPS][IOAPIC_PINS];	/* -1 none */
	u32 *first;			/* routes of gsi: first[gsi]..first[gsi + 1] */
	struct irq_route route[];
};

struct emys_irqchip {
	struct emys_vm *vm;
	struct pic_pair pic;
	struct ioapic ioapic;
	struct irq_routing __rcu *routing;	/* routing_lock to change */
	struct mutex routing_lock;
	DECLARE_BITMAP(resampled, IRQ_MAX_GSI);	/* (a) GSIs with a resampling irqfd */
	bool pit_watch;			/* the PIT waits for the EOI of GSI 0 */
	atomic_t lowest_turn;		/* ties of lowest-priority delivery */
};

/* irqchip.c */
/* Pin @pin of @chip was acknowledged. No chip lock held, any context. */
void irq_acked(struct emys_vm *vm, u32 chip, u32 pin);
/* A mask bit of a pin went from 1 to 0. */
void irq_unmasked(struct emys_vm *vm, u32 chip, u32 pin);
/* Does anybody wait for the EOI of @gsi? */
static inline bool irq_watched(struct emys_irqchip *chip, u32 gsi)
{
	return test_bit(gsi, chip->resampled) || (gsi == 0 && READ_ONCE(chip->pit_watch));
}

/* Set @source's bit in @state to @level; is the line up? */
static inline bool irq_line(unsigned long *state, int source, int level)
{
	if (level)
		set_bit(source, state);
	else
		clear_bit(source, state);
	return READ_ONCE(*state) != 0;
}

/* routing.c */
int routing_init(struct emys_irqchip *chip);
void routing_destroy(struct emys_irqchip *chip);
/* GSI of a pin or -1. */
int routing_pin_gsi(struct emys_irqchip *chip, u32 type, u32 pin);

/* pic.c */
void pic_init(struct pic_pair *p);
int pic_set_irq(struct emys_vm *vm, u32 irq, int source, int level);
bool pic_port(u16 port);
u8 pic_read(struct emys_vm *vm, u16 port);
void pic_write(struct emys_vm *vm, u16 port, u8 val);
void pic_get(struct emys_vm *vm, int n, struct kvm_pic_state *s);
void pic_set(struct emys_vm *vm, int n, const struct kvm_pic_state *s);

/* ioapic.c */
void ioapic_init(struct ioapic *io);
int ioapic_set_irq(struct emys_vm *vm, u32 pin, int source, int level);
bool ioapic_in_range(struct emys_irqchip *chip, u64 gpa);
u32 ioapic_read(struct emys_vm *vm, u32 offset);
void ioapic_write(struct emys_vm *vm, u32 offset, u32 val);
void ioapic_get(struct emys_vm *vm, struct kvm_ioapic_state *s);
void ioapic_set(struct emys_vm *vm, const struct kvm_ioapic_state *s);
/* Routing or watchers changed: which vectors' EOIs matter now? */
void ioapic_update_map(struct emys_vm *vm);

/* pit.c */
bool pit_port(struct emys_vm *vm, u16 port);
u8 pit_read(struct emys_vm *vm, u16 port);
void pit_write(struct emys_vm *vm, u16 port, u8 val);
/* The guest acknowledged, or unmasked, the PIT's interrupt. */
void pit_acked(struct emys_vm *vm);
void pit_unmasked(struct emys_vm *vm);

/* irqfd.c, ioeventfd.c */
struct emys_irqfds;
struct emys_irqfds *irqfds_get(struct emys_vm *vm);	/* NULL: no memory */
/* With the VM, after irqfd_release(). */
void irqfds_free(struct emys_vm *vm);
void resample_acked(struct emys_vm *vm, u32 gsi);
/* Signal the ioeventfds that match. Returns whether there was one. Any context. */
bool ioeventfd_match(struct emys_vm *vm, bool pio, u64 addr, int len, const void *val);

#endif
