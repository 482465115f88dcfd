//! Sets of Linux capabilities, by name and number (capabilities(7)).

use std::fmt;

use crate::error::{Error, Result};

/// Names in the order of their numbers, without `CAP_`.
const NAMES: [&str; 41] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
];

/// A set of capabilities. The default is Docker's set of fourteen.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Capabilities(u64);

impl Default for Capabilities {
    fn default() -> Self {
        Self::DOCKER
    }
}

impl Capabilities {
    /// No capability at all.
    pub const NONE: Self = Self(0);
    /// Every capability that this crate knows.
    pub const ALL: Self = Self((1 << NAMES.len()) - 1);
    /// Docker's default: AUDIT_WRITE, CHOWN, DAC_OVERRIDE, FOWNER, FSETID, KILL, MKNOD, NET_BIND_SERVICE, NET_RAW,
    /// SETFCAP, SETGID, SETPCAP, SETUID, SYS_CHROOT.
    pub const DOCKER: Self = Self(
        1 | 1 << 1
            | 1 << 3
            | 1 << 4
            | 1 << 5
            | 1 << 6
            | 1 << 7
            | 1 << 8
            | 1 << 10
            | 1 << 13
            | 1 << 18
            | 1 << 27
            | 1 << 29
            | 1 << 31,
    );

    /// The set as bits by capability number.
    #[must_use]
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// A set from bits by capability number; unknown bits are dropped.
    #[must_use]
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits & Self::ALL.0)
    }

    /// Whether the capability of this number is in the set.
    #[must_use]
    pub const fn has(self, number: u32) -> bool {
        number < 64 && self.0 >> number & 1 == 1
    }

    /// Adds one by name (`NET_ADMIN`, `CAP_NET_ADMIN`, any case) or `ALL`.
    ///
    /// # Errors
    /// [`Error::Invalid`] names an unknown capability.
    pub fn add(&mut self, name: &str) -> Result<()> {
        self.0 |= parse(name)?;
        Ok(())
    }

    /// Drops one by name, or `ALL`.
    ///
    /// # Errors
    /// [`Error::Invalid`] names an unknown capability.
    pub fn drop(&mut self, name: &str) -> Result<()> {
        self.0 &= !parse(name)?;
        Ok(())
    }

    /// What `--cap-add` and `--cap-drop` lists make of this set, by Docker's rules: `ALL` in a list comes first, and
    /// a capability named in the other list wins over it.
    ///
    /// # Errors
    /// [`Error::Invalid`] names an unknown capability.
    pub fn adjusted<A: AsRef<str>, D: AsRef<str>>(mut self, add: &[A], drop: &[D]) -> Result<Self> {
        let all = |name: &str| name.eq_ignore_ascii_case("ALL");
        let (adds_all, drops_all) =
            (add.iter().any(|name| all(name.as_ref())), drop.iter().any(|name| all(name.as_ref())));
        if adds_all {
            self = Self::ALL;
        }
        if drops_all {
            self = Self::NONE;
        }
        for name in drop.iter().map(AsRef::as_ref).filter(|name| !all(name)) {
            self.drop(name)?;
        }
        for name in add.iter().map(AsRef::as_ref).filter(|name| !all(name)) {
            // Docker keeps a capability out that both lists name while `ALL` is added.
            let dropped = drop.iter().any(|other| parse(other.as_ref()).ok() == parse(name).ok());
            if !(adds_all && dropped) {
                self.add(name)?;
            }
        }
        Ok(self)
    }

    /// The names in the set, with `CAP_`, by number.
    pub fn names(self) -> impl Iterator<Item = String> {
        (0..NAMES.len()).filter(move |n| self.0 >> n & 1 == 1).map(|n| format!("CAP_{}", NAMES[n]))
    }

    /// The highest capability number that this crate knows.
    pub(crate) const LAST: u32 = NAMES.len() as u32 - 1;
}

fn parse(name: &str) -> Result<u64> {
    let upper = name.to_ascii_uppercase();
    let short = upper.strip_prefix("CAP_").unwrap_or(&upper);
    if short == "ALL" {
        return Ok(Capabilities::ALL.0);
    }
    NAMES
        .iter()
        .position(|known| *known == short)
        .map(|number| 1 << number)
        .ok_or_else(|| Error::Invalid(format!("unknown capability `{name}`")))
}

impl fmt::Debug for Capabilities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.names()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn docker_has_fourteen() {
        assert_eq!(Capabilities::DOCKER.names().count(), 14);
        assert!(Capabilities::DOCKER.names().any(|name| name == "CAP_NET_RAW"));
        assert!(!Capabilities::DOCKER.names().any(|name| name == "CAP_SYS_ADMIN"));
    }

    #[test]
    fn add_and_drop_follow_docker() {
        let none: [&str; 0] = [];
        let set = Capabilities::DOCKER.adjusted(&["net_admin"], &["CAP_CHOWN"]).unwrap();
        assert!(set.has(12) && !set.has(0));
        let only = Capabilities::DOCKER.adjusted(&["KILL"], &["ALL"]).unwrap();
        assert_eq!(only.names().collect::<Vec<_>>(), ["CAP_KILL"]);
        let but = Capabilities::DOCKER.adjusted(&["ALL"], &["SYS_ADMIN"]).unwrap();
        assert!(!but.has(21) && but.has(16));
        assert_eq!(Capabilities::DOCKER.adjusted(&none, &none).unwrap(), Capabilities::DOCKER);
        assert!(Capabilities::DOCKER.adjusted(&["FLY"], &none).unwrap_err().to_string().contains("FLY"));
    }
}
