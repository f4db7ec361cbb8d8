/* SPDX-License-Identifier: GPL-2.0-only */
/* File systems of the kernels emys builds on */
#ifndef _EMYS_COMPAT_FS_H
#define _EMYS_COMPAT_FS_H

#include <linux/dcache.h>
#include <linux/fs.h>

/* 6.3 gave inode operations the mount's id mapping instead of a user namespace. */
#ifdef HAVE_MNT_IDMAP
#define emys_idmap mnt_idmap
#else
#define emys_idmap user_namespace
#endif

/* Later kernels mark names that stay without a user, instead of pinning their dentries. */
#ifdef HAVE_D_MAKE_PERSISTENT
#define emys_d_create(dentry, inode) d_make_persistent(dentry, inode)
#define emys_kill_sb kill_anon_super
#else
static inline void emys_d_create(struct dentry *dentry, struct inode *inode)
{
	d_instantiate(dentry, inode);
	dget(dentry);
}

#define emys_kill_sb kill_litter_super
#endif

#endif
