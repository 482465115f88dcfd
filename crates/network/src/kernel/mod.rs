//! The kernel's network configuration over netlink sockets, in this crate's own encoding: no helper program,
//! no async runtime, a few system calls for each namespace.

pub(crate) mod netlink;
pub(crate) mod nftables;
pub(crate) mod route;
