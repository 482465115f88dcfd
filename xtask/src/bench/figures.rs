//! Times, by line of the table and runner.

use std::collections::BTreeMap;
use std::time::Duration;

use super::process::Took;

/// Every time that was taken.
#[derive(Default)]
pub(super) struct Figures {
    /// With the round of each.
    samples: BTreeMap<Key, Vec<(u32, Took)>>,
}

/// Phase, runner, and what is unlike the others about it: `""`, or `default network`.
type Key = (&'static str, String, &'static str);

/// Several times of one thing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Times {
    /// Ascending; at least one.
    sorted: Vec<Duration>,
    /// With their rounds, in the order in which they were taken.
    rounds: Vec<(u32, Took)>,
}

impl Figures {
    /// Adds one time.
    pub(super) fn add(
        &mut self,
        phase: &'static str,
        runner: &str,
        variant: &'static str,
        round: u32,
        took: Took,
    ) {
        self.samples.entry((phase, runner.to_owned(), variant)).or_default().push((round, took));
    }

    /// What `runner` took for `phase`, if it was measured.
    pub(super) fn of(&self, phase: &'static str, runner: &str, variant: &'static str) -> Option<Times> {
        Times::of(self.samples.get(&(phase, runner.to_owned(), variant))?.clone())
    }

    /// The variants in which `runner` has done `phase`, the plain one (`""`) first.
    pub(super) fn variants(&self, phase: &'static str, runner: &str) -> Vec<&'static str> {
        let keys = self.samples.keys();
        keys.filter(|(one, by, _)| *one == phase && by == runner).map(|(_, _, variant)| *variant).collect()
    }
}

impl Times {
    fn of(rounds: Vec<(u32, Took)>) -> Option<Self> {
        let mut sorted: Vec<Duration> = rounds.iter().map(|(_, took)| took.wall).collect();
        sorted.sort_unstable();
        (!sorted.is_empty()).then_some(Self { sorted, rounds })
    }

    /// The middle one; between two middle ones, their mean.
    pub(super) fn median(&self) -> Duration {
        let count = self.sorted.len();
        (self.sorted[(count - 1) / 2] + self.sorted[count / 2]) / 2
    }

    /// The shortest and the longest.
    pub(super) fn spread(&self) -> (Duration, Duration) {
        (self.sorted[0], self.sorted[self.sorted.len() - 1])
    }

    /// Every time, in the order of the rounds.
    pub(super) fn all(&self) -> Vec<Duration> {
        self.rounds.iter().map(|(_, took)| took.wall).collect()
    }

    /// The most memory that any round took, in bytes.
    pub(super) fn memory(&self) -> u64 {
        self.rounds.iter().map(|(_, took)| took.memory).max().unwrap_or(0)
    }

    /// How many cores were busy, by the median of the rounds.
    pub(super) fn cores(&self) -> f64 {
        let mut cores: Vec<f64> = self.rounds.iter().map(|(_, took)| took.cores()).collect();
        cores.sort_unstable_by(f64::total_cmp);
        cores.get(cores.len() / 2).copied().unwrap_or(0.0)
    }

    /// How many times longer `other` took, by the medians over the rounds that both have: a peer that was
    /// measured once is compared with what we took beside it. Nothing without such a round.
    pub(super) fn ratio(&self, other: &Self) -> Option<f64> {
        let own = self.beside(other)?.median().as_secs_f64();
        Some(other.beside(self)?.median().as_secs_f64() / own.max(1e-9))
    }

    /// The times of the rounds that `other` has too.
    fn beside(&self, other: &Self) -> Option<Self> {
        let both = |(round, _): &&(u32, Took)| other.rounds.iter().any(|(one, _)| one == round);
        Self::of(self.rounds.iter().filter(both).copied().collect())
    }
}

/// A time as a reader wants it: three digits at most, in milliseconds below a second.
pub(super) fn shown(time: Duration) -> String {
    let ms = time.as_secs_f64() * 1e3;
    match ms {
        ms if ms < 9.95 => format!("{ms:.1} ms"),
        ms if ms < 999.5 => format!("{ms:.0} ms"),
        ms if ms < 9995.0 => format!("{:.2} s", ms / 1e3),
        ms => format!("{:.1} s", ms / 1e3),
    }
}

/// Memory, in units of 2^20 bytes.
pub(super) fn size(bytes: u64) -> String {
    format!("{} MiB", (bytes + (1 << 19)) >> 20)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn took(ms: u64) -> Took {
        Took { wall: Duration::from_millis(ms), cpu: Duration::from_millis(2 * ms), memory: ms << 20 }
    }

    fn times(ms: &[u64]) -> Times {
        Times::of((1..).zip(ms.iter().map(|ms| took(*ms))).collect()).unwrap()
    }

    #[test]
    fn a_median_is_the_middle_or_the_mean_of_two() {
        assert_eq!(times(&[9, 1, 4]).median(), Duration::from_millis(4));
        assert_eq!(times(&[9, 1, 4, 6]).median(), Duration::from_millis(5));
        assert_eq!(times(&[7]).median(), Duration::from_millis(7));
    }

    #[test]
    fn the_spread_is_from_the_shortest_to_the_longest() {
        assert_eq!(times(&[9, 1, 4]).spread(), (Duration::from_millis(1), Duration::from_millis(9)));
    }

    #[test]
    fn memory_is_the_most_and_cores_the_middle() {
        assert_eq!(times(&[9, 1, 4]).memory(), 9 << 20);
        assert!((times(&[9, 1, 4]).cores() - 2.0).abs() < 1e-9);
        assert_eq!(size(123_456_789), "118 MiB");
    }

    #[test]
    fn a_ratio_compares_medians() {
        let ratio = |own: &[u64], other: &[u64]| times(own).ratio(&times(other)).unwrap();
        assert!((ratio(&[10, 20, 30], &[100, 50, 120]) - 5.0).abs() < 1e-9);
        // The peer has the first round only, in which we took 10.
        assert!((ratio(&[10, 200, 300], &[100]) - 10.0).abs() < 1e-9);
    }

    #[test]
    fn variants_of_one_phase_stand_apart() {
        let mut figures = Figures::default();
        figures.add("chain", "jettison", "default network", 1, took(2));
        figures.add("chain", "jettison", "", 1, took(1));
        figures.add("chain", "docker", "", 1, took(3));
        assert_eq!(figures.variants("chain", "jettison"), ["", "default network"]);
        assert_eq!(figures.of("chain", "jettison", "").unwrap(), times(&[1]));
        assert!(figures.of("wide", "jettison", "").is_none());
    }

    #[test]
    fn times_are_shown_with_three_digits() {
        for (us, text) in [
            (7_440, "7.4 ms"),
            (12_600, "13 ms"),
            (999_400, "999 ms"),
            (1_280_000, "1.28 s"),
            (24_900_000, "24.9 s"),
        ] {
            assert_eq!(shown(Duration::from_micros(us)), text);
        }
    }
}
