//! Docker's default profile (moby/profiles, seccomp/default.json of 2026) as the call numbers that it does not
//! simply allow: `(first, last, rule)`, sorted. What is not in a table, up to `newest`, is allowed.

use Rule::{Clone3, Deny, Personality, Socket, With};

/// What is done about a call.
#[derive(Clone, Copy, Debug)]
pub(super) enum Rule {
    /// EPERM.
    Deny,
    /// Allowed when the process has one of these capabilities.
    With(&'static [u32]),
    /// Allowed when argument 0 asks for no namespace.
    Clone,
    /// ENOSYS without CAP_SYS_ADMIN.
    Clone3,
    /// Allowed for a few values of argument 0.
    Personality,
    /// Allowed for most families.
    Socket,
}

/// One architecture.
pub(super) struct Arch {
    /// AUDIT_ARCH_*.
    pub(super) audit: u32,
    /// The newest call that the profile knows.
    pub(super) newest: u32,
    pub(super) rules: &'static [(u32, u32, Rule)],
}

/// The architectures whose calls a process of this one may make.
#[cfg(target_arch = "x86_64")]
pub(super) const ARCHES: &[Arch] = &[
    Arch { audit: 0xc000_003e, newest: 466, rules: X86_64 },
    Arch { audit: 0x4000_0003, newest: 466, rules: I386 },
];
/// The architectures whose calls a process of this one may make.
#[cfg(target_arch = "aarch64")]
pub(super) const ARCHES: &[Arch] = &[Arch { audit: 0xc000_00b7, newest: 466, rules: AARCH64 }];

// Capability numbers.
const DAC_READ_SEARCH: u32 = 2;
const SYS_MODULE: u32 = 16;
#[cfg(target_arch = "x86_64")]
const SYS_RAWIO: u32 = 17;
const SYS_CHROOT: u32 = 18;
const SYS_PTRACE: u32 = 19;
const SYS_PACCT: u32 = 20;
pub(super) const SYS_ADMIN: u32 = 21;
const SYS_BOOT: u32 = 22;
const SYS_NICE: u32 = 23;
const SYS_TIME: u32 = 25;
const SYS_TTY_CONFIG: u32 = 26;
const SYSLOG: u32 = 34;
const PERFMON: u32 = 38;
const BPF: u32 = 39;

#[cfg(target_arch = "x86_64")]
const X86_64: &[(u32, u32, Rule)] = &[
    (41, 41, Socket),                        // socket
    (56, 56, Rule::Clone),                   // clone
    (103, 103, With(&[SYS_ADMIN, SYSLOG])),  // syslog
    (134, 134, Deny),                        // uselib
    (135, 135, Personality),                 // personality
    (136, 136, Deny),                        // ustat
    (139, 139, Deny),                        // sysfs
    (153, 153, With(&[SYS_TTY_CONFIG])),     // vhangup
    (155, 156, Deny),                        // pivot_root, _sysctl
    (161, 161, With(&[SYS_CHROOT])),         // chroot
    (163, 163, With(&[SYS_PACCT])),          // acct
    (164, 164, With(&[SYS_TIME])),           // settimeofday
    (165, 166, With(&[SYS_ADMIN])),          // mount, umount2
    (167, 168, Deny),                        // swapon, swapoff
    (169, 169, With(&[SYS_BOOT])),           // reboot
    (170, 171, With(&[SYS_ADMIN])),          // sethostname, setdomainname
    (172, 173, With(&[SYS_RAWIO])),          // iopl, ioperm
    (174, 174, Deny),                        // create_module
    (175, 176, With(&[SYS_MODULE])),         // init_module, delete_module
    (177, 178, Deny),                        // get_kernel_syms, query_module
    (179, 179, With(&[SYS_ADMIN])),          // quotactl
    (180, 185, Deny),                        // nfsservctl to security
    (212, 212, With(&[SYS_ADMIN])),          // lookup_dcookie
    (227, 227, With(&[SYS_TIME])),           // clock_settime
    (236, 236, Deny),                        // vserver
    (237, 239, With(&[SYS_NICE])),           // mbind, set_mempolicy, get_mempolicy
    (246, 246, Deny),                        // kexec_load
    (248, 250, Deny),                        // add_key, request_key, keyctl
    (256, 256, Deny),                        // migrate_pages
    (272, 272, With(&[SYS_ADMIN])),          // unshare
    (279, 279, Deny),                        // move_pages
    (298, 298, With(&[SYS_ADMIN, PERFMON])), // perf_event_open
    (300, 300, With(&[SYS_ADMIN])),          // fanotify_init
    (304, 304, With(&[DAC_READ_SEARCH])),    // open_by_handle_at
    (308, 308, With(&[SYS_ADMIN])),          // setns
    (312, 312, With(&[SYS_PTRACE])),         // kcmp
    (313, 313, With(&[SYS_MODULE])),         // finit_module
    (320, 320, Deny),                        // kexec_file_load
    (321, 321, With(&[SYS_ADMIN, BPF])),     // bpf
    (323, 323, Deny),                        // userfaultfd
    (425, 427, Deny),                        // io_uring_setup, io_uring_enter, io_uring_register
    (428, 433, With(&[SYS_ADMIN])),          // open_tree to fspick
    (435, 435, Clone3),                      // clone3
    (438, 438, With(&[SYS_PTRACE])),         // pidfd_getfd
    (440, 440, With(&[SYS_PTRACE])),         // process_madvise
    (442, 443, With(&[SYS_ADMIN])),          // mount_setattr, quotactl_fd
    (450, 450, With(&[SYS_NICE])),           // set_mempolicy_home_node
    (459, 461, With(&[SYS_ADMIN])),          // lsm_get_self_attr, lsm_set_self_attr, lsm_list_modules
];

#[cfg(target_arch = "x86_64")]
const I386: &[(u32, u32, Rule)] = &[
    (17, 18, Deny),                          // break, oldstat
    (21, 22, With(&[SYS_ADMIN])),            // mount, umount
    (25, 25, With(&[SYS_TIME])),             // stime
    (28, 28, Deny),                          // oldfstat
    (31, 32, Deny),                          // stty, gtty
    (34, 35, Deny),                          // nice, ftime
    (44, 44, Deny),                          // prof
    (48, 48, Deny),                          // signal
    (51, 51, With(&[SYS_PACCT])),            // acct
    (52, 52, With(&[SYS_ADMIN])),            // umount2
    (53, 53, Deny),                          // lock
    (56, 56, Deny),                          // mpx
    (58, 59, Deny),                          // ulimit, oldolduname
    (61, 61, With(&[SYS_CHROOT])),           // chroot
    (62, 62, Deny),                          // ustat
    (67, 69, Deny),                          // sigaction, sgetmask, ssetmask
    (72, 73, Deny),                          // sigsuspend, sigpending
    (74, 74, With(&[SYS_ADMIN])),            // sethostname
    (79, 79, With(&[SYS_TIME])),             // settimeofday
    (84, 84, Deny),                          // oldlstat
    (86, 87, Deny),                          // uselib, swapon
    (88, 88, With(&[SYS_BOOT])),             // reboot
    (89, 89, Deny),                          // readdir
    (98, 98, Deny),                          // profil
    (101, 101, With(&[SYS_RAWIO])),          // ioperm
    (103, 103, With(&[SYS_ADMIN, SYSLOG])),  // syslog
    (109, 109, Deny),                        // olduname
    (110, 110, With(&[SYS_RAWIO])),          // iopl
    (111, 111, With(&[SYS_TTY_CONFIG])),     // vhangup
    (112, 113, Deny),                        // idle, vm86old
    (115, 115, Deny),                        // swapoff
    (120, 120, Rule::Clone),                 // clone
    (121, 121, With(&[SYS_ADMIN])),          // setdomainname
    (127, 127, Deny),                        // create_module
    (128, 129, With(&[SYS_MODULE])),         // init_module, delete_module
    (130, 130, Deny),                        // get_kernel_syms
    (131, 131, With(&[SYS_ADMIN])),          // quotactl
    (134, 135, Deny),                        // bdflush, sysfs
    (136, 136, Personality),                 // personality
    (137, 137, Deny),                        // afs_syscall
    (149, 149, Deny),                        // _sysctl
    (166, 167, Deny),                        // vm86, query_module
    (169, 169, Deny),                        // nfsservctl
    (188, 189, Deny),                        // getpmsg, putpmsg
    (217, 217, Deny),                        // pivot_root
    (253, 253, With(&[SYS_ADMIN])),          // lookup_dcookie
    (264, 264, With(&[SYS_TIME])),           // clock_settime
    (273, 273, Deny),                        // vserver
    (274, 276, With(&[SYS_NICE])),           // mbind, get_mempolicy, set_mempolicy
    (283, 283, Deny),                        // kexec_load
    (286, 288, Deny),                        // add_key, request_key, keyctl
    (294, 294, Deny),                        // migrate_pages
    (310, 310, With(&[SYS_ADMIN])),          // unshare
    (317, 317, Deny),                        // move_pages
    (336, 336, With(&[SYS_ADMIN, PERFMON])), // perf_event_open
    (338, 338, With(&[SYS_ADMIN])),          // fanotify_init
    (342, 342, With(&[DAC_READ_SEARCH])),    // open_by_handle_at
    (346, 346, With(&[SYS_ADMIN])),          // setns
    (349, 349, With(&[SYS_PTRACE])),         // kcmp
    (350, 350, With(&[SYS_MODULE])),         // finit_module
    (357, 357, With(&[SYS_ADMIN, BPF])),     // bpf
    (359, 359, Socket),                      // socket
    (374, 374, Deny),                        // userfaultfd
    (404, 404, With(&[SYS_TIME])),           // clock_settime64
    (425, 427, Deny),                        // io_uring_setup, io_uring_enter, io_uring_register
    (428, 433, With(&[SYS_ADMIN])),          // open_tree to fspick
    (435, 435, Clone3),                      // clone3
    (438, 438, With(&[SYS_PTRACE])),         // pidfd_getfd
    (440, 440, With(&[SYS_PTRACE])),         // process_madvise
    (442, 443, With(&[SYS_ADMIN])),          // mount_setattr, quotactl_fd
    (450, 450, With(&[SYS_NICE])),           // set_mempolicy_home_node
    (459, 461, With(&[SYS_ADMIN])),          // lsm_get_self_attr, lsm_set_self_attr, lsm_list_modules
];

#[cfg(target_arch = "aarch64")]
const AARCH64: &[(u32, u32, Rule)] = &[
    (18, 18, With(&[SYS_ADMIN])),            // lookup_dcookie
    (39, 40, With(&[SYS_ADMIN])),            // umount2, mount
    (41, 42, Deny),                          // pivot_root, nfsservctl
    (51, 51, With(&[SYS_CHROOT])),           // chroot
    (58, 58, With(&[SYS_TTY_CONFIG])),       // vhangup
    (60, 60, With(&[SYS_ADMIN])),            // quotactl
    (89, 89, With(&[SYS_PACCT])),            // acct
    (92, 92, Personality),                   // personality
    (97, 97, With(&[SYS_ADMIN])),            // unshare
    (104, 104, Deny),                        // kexec_load
    (105, 106, With(&[SYS_MODULE])),         // init_module, delete_module
    (112, 112, With(&[SYS_TIME])),           // clock_settime
    (116, 116, With(&[SYS_ADMIN, SYSLOG])),  // syslog
    (142, 142, With(&[SYS_BOOT])),           // reboot
    (161, 162, With(&[SYS_ADMIN])),          // sethostname, setdomainname
    (170, 170, With(&[SYS_TIME])),           // settimeofday
    (198, 198, Socket),                      // socket
    (217, 219, Deny),                        // add_key, request_key, keyctl
    (220, 220, Rule::Clone),                 // clone
    (224, 225, Deny),                        // swapon, swapoff
    (235, 237, With(&[SYS_NICE])),           // mbind, get_mempolicy, set_mempolicy
    (238, 239, Deny),                        // migrate_pages, move_pages
    (241, 241, With(&[SYS_ADMIN, PERFMON])), // perf_event_open
    (262, 262, With(&[SYS_ADMIN])),          // fanotify_init
    (265, 265, With(&[DAC_READ_SEARCH])),    // open_by_handle_at
    (268, 268, With(&[SYS_ADMIN])),          // setns
    (272, 272, With(&[SYS_PTRACE])),         // kcmp
    (273, 273, With(&[SYS_MODULE])),         // finit_module
    (280, 280, With(&[SYS_ADMIN, BPF])),     // bpf
    (282, 282, Deny),                        // userfaultfd
    (294, 294, Deny),                        // kexec_file_load
    (425, 427, Deny),                        // io_uring_setup, io_uring_enter, io_uring_register
    (428, 433, With(&[SYS_ADMIN])),          // open_tree to fspick
    (435, 435, Clone3),                      // clone3
    (438, 438, With(&[SYS_PTRACE])),         // pidfd_getfd
    (440, 440, With(&[SYS_PTRACE])),         // process_madvise
    (442, 443, With(&[SYS_ADMIN])),          // mount_setattr, quotactl_fd
    (450, 450, With(&[SYS_NICE])),           // set_mempolicy_home_node
    (459, 461, With(&[SYS_ADMIN])),          // lsm_get_self_attr, lsm_set_self_attr, lsm_list_modules
];
