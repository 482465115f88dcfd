//! Flags of `docker run` and `docker create` that are about a daemon or that containers here do not have: the first are
//! taken with a warning, the others refused by name unless they ask for what is the case anyway.

use crate::error::{CommandError, Outcome};
use crate::screen;
use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};

/// Flags whose value changes nothing.
const WITHOUT_EFFECT: [&str; 10] = [
    "annotation",
    "blkio-weight",
    "isolation",
    "kernel-memory",
    "log-driver",
    "log-opt",
    "memory-swappiness",
    "runtime",
    "storage-opt",
    "volume-driver",
];
/// As they, without a value.
const SWITCHES: [&str; 2] = ["disable-content-trust", "oom-kill-disable"];
/// Flags that are not supported, with the values that mean what is the case.
const REFUSED: [(&str, &[&str]); 24] = [
    ("cgroup-parent", &[""]),
    ("cgroupns", &["", "private"]),
    ("cpu-period", &["0"]),
    ("cpu-quota", &["0", "-1"]),
    ("cpu-rt-period", &["0"]),
    ("cpu-rt-runtime", &["0"]),
    ("blkio-weight-device", &[]),
    ("device-cgroup-rule", &[]),
    ("device-read-bps", &[]),
    ("device-read-iops", &[]),
    ("device-write-bps", &[]),
    ("device-write-iops", &[]),
    ("gpus", &[""]),
    ("ip", &[]),
    ("ip6", &[]),
    ("ipc", &["", "private", "shareable"]),
    ("link", &[]),
    ("mac-address", &[""]),
    ("network-alias", &[]),
    ("pid", &["", "private"]),
    ("sysctl", &[]),
    ("userns", &[""]),
    ("uts", &["", "private"]),
    ("volumes-from", &[]),
];

/// Those of these flags that were given, with their values.
#[derive(Clone, Debug, Default)]
pub(super) struct ForeignArgs {
    given: Vec<(&'static str, String)>,
}

impl ForeignArgs {
    /// Refuses what is not supported, and warns of what has no effect.
    pub(super) fn check(&self) -> Outcome<()> {
        for (name, value) in &self.given {
            let refused = REFUSED.iter().find(|(refused, _)| refused == name);
            if refused.is_some_and(|(_, harmless)| !harmless.contains(&value.as_str())) {
                return Err(CommandError::usage(format!("--{name} {value} is not supported yet")));
            }
        }
        for name in WITHOUT_EFFECT.iter().chain(&SWITCHES) {
            if self.given.iter().any(|(given, _)| given == name) {
                screen::say(&format!("warning: --{name} is accepted and has no effect"));
            }
        }
        Ok(())
    }
}

impl Args for ForeignArgs {
    fn augment_args(command: Command) -> Command {
        let hidden = |name: &'static str| Arg::new(name).long(name).hide(true);
        let refused = REFUSED.iter().map(|(name, _)| *name);
        let valued = WITHOUT_EFFECT.into_iter().chain(refused);
        let valued = valued.map(|name| hidden(name).action(ArgAction::Append).allow_hyphen_values(true));
        let switches = SWITCHES.map(|name| hidden(name).action(ArgAction::SetTrue));
        command.args(valued).args(switches)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for ForeignArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let refused = REFUSED.iter().map(|(name, _)| *name);
        let mut given = Vec::new();
        for name in WITHOUT_EFFECT.into_iter().chain(refused) {
            let values = matches.get_many::<String>(name).into_iter().flatten();
            given.extend(values.map(|value| (name, value.clone())));
        }
        given
            .extend(SWITCHES.iter().filter(|name| matches.get_flag(name)).map(|name| (*name, String::new())));
        Ok(Self { given })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}
