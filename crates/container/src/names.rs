//! Ids and names for containers that were given none.

use crate::{Error, Result};

/// Words for names: how somebody is, and who it is. Our own picks: weather and rockets, so that names are short,
/// pronounceable and harmless.
const HOW: [&str; 64] = [
    "able", "airy", "amber", "apt", "bold", "brave", "breezy", "bright", "brisk", "calm", "candid", "civil",
    "clear", "cosmic", "crisp", "daring", "deft", "dusty", "eager", "early", "easy", "fair", "fleet", "fond",
    "frank", "fresh", "gentle", "glad", "golden", "grand", "hardy", "hearty", "humble", "icy", "jolly",
    "keen", "kind", "light", "lively", "lucid", "lunar", "mellow", "merry", "mild", "neat", "nimble",
    "noble", "polar", "proud", "quick", "quiet", "rapid", "ready", "rosy", "silent", "sleek", "solar",
    "steady", "stellar", "sunny", "swift", "tidy", "vivid", "witty",
];
const WHO: [&str; 64] = [
    "airlock", "antenna", "apogee", "aurora", "beacon", "booster", "cabin", "capsule", "comet", "compass",
    "corona", "crater", "dawn", "delta", "docking", "dome", "eclipse", "ember", "engine", "fairing",
    "falcon", "flare", "gantry", "gimbal", "glider", "halo", "hangar", "harbor", "hatch", "helmet",
    "horizon", "kestrel", "lander", "lantern", "launch", "lens", "lunar", "meteor", "mission", "module",
    "nebula", "nozzle", "orbit", "parsec", "payload", "perigee", "petrel", "pilot", "probe", "quasar",
    "radar", "ranger", "rocket", "rover", "saddle", "sail", "sparrow", "stage", "swift", "thruster", "tower",
    "vector", "voyager", "zenith",
];

fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    let mut filled = 0;
    while filled < N {
        let more = rustix::rand::getrandom(&mut bytes[filled..], rustix::rand::GetRandomFlags::empty());
        filled += more.map_err(|error| Error::io("read random bytes from", "getrandom", error))?;
    }
    Ok(bytes)
}

/// 64 random hexadecimal digits.
pub(crate) fn id() -> Result<String> {
    Ok(oci::Digest::from_bytes(random()?).hex())
}

/// A random name; after a few that were taken, one with a number (`attempt` counts from 0).
pub(crate) fn name(attempt: u32) -> Result<String> {
    let [how, who, number] = random::<3>()?;
    let name = format!("{}_{}", HOW[usize::from(how) % 64], WHO[usize::from(who) % 64]);
    Ok(if attempt > 3 { format!("{name}{number}") } else { name })
}

#[cfg(test)]
mod tests {
    #[test]
    fn names_are_names_and_ids_are_ids() {
        let name = super::name(0).unwrap();
        assert!(name.contains('_') && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{name}");
        assert!(super::name(9).unwrap().ends_with(|c: char| c.is_ascii_digit()));
        let (one, two) = (super::id().unwrap(), super::id().unwrap());
        assert!(one.len() == 64 && one != two);
    }
}
