//! `--chown` and the owner of a WORKDIR: names are looked up in the files of the snapshot below.

use crate::{Error, Result};

/// A user and a group by number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ids {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

/// Looks up `user[:group]`. `read` gives `/etc/passwd` or `/etc/group` of the snapshot below, nothing where there is
/// none. As BuildKit: an unknown user is 0:0, a user's group is that of its line in passwd, a number stands for both,
/// an unknown group leaves the group as it is.
pub(crate) fn look_up(
    owner: &str,
    scratch: bool,
    read: impl Fn(&str) -> Result<Option<Vec<u8>>>,
) -> Result<Ids> {
    let (user, group) = owner.split_once(':').unwrap_or((owner, ""));
    let named = |text: &str| !text.is_empty() && text.parse::<u32>().is_err();
    if scratch && (named(user) || named(group)) {
        return Err(Error::Owner {
            owner: owner.to_owned(),
            reason: "an image from scratch has no /etc/passwd",
        });
    }
    let mut ids = Ids::default();
    if let Ok(number) = user.parse() {
        ids = Ids { uid: number, gid: number };
    } else if named(user)
        && let Some(text) = read("etc/passwd")?
        && let Some(fields) = line(&text, user)
    {
        let number = |at: usize| fields.get(at).and_then(|field| field.parse().ok()).unwrap_or(0);
        ids = Ids { uid: number(2), gid: number(3) };
    }
    if let Ok(number) = group.parse() {
        ids.gid = number;
    } else if named(group)
        && let Some(text) = read("etc/group")?
        && let Some(gid) = line(&text, group).and_then(|fields| fields.get(2)?.parse().ok())
    {
        ids.gid = gid;
    }
    Ok(ids)
}

/// The fields of the line that begins with `name:`.
fn line(text: &[u8], name: &str) -> Option<Vec<String>> {
    String::from_utf8_lossy(text).lines().find_map(|line| {
        let fields: Vec<String> = line.split(':').map(|field| field.trim().to_owned()).collect();
        (fields.first().map(String::as_str) == Some(name)).then_some(fields)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_numbers_and_their_mixtures() {
        let read = |path: &str| {
            Ok(Some(match path {
                "etc/passwd" => b"root:x:0:0::/:/bin/sh\nnode:x:1000:1001::/home/node:\n".to_vec(),
                _ => b"root:x:0:\nnode:x:1002:\nwww:x:33:node\n".to_vec(),
            }))
        };
        for (owner, uid, gid) in [
            ("node", 1000, 1001),
            ("node:node", 1000, 1002),
            ("node:www", 1000, 33),
            ("1000", 1000, 1000),
            ("1000:5", 1000, 5),
            ("5:www", 5, 33),
            (":7", 0, 7),
            ("nobody", 0, 0),
            ("node:nogroup", 1000, 1001),
        ] {
            assert_eq!(look_up(owner, false, read).unwrap(), Ids { uid, gid }, "{owner}");
        }
        assert!(look_up("node", true, |_| Ok(None)).is_err());
        assert_eq!(look_up("3:4", true, |_| Ok(None)).unwrap(), Ids { uid: 3, gid: 4 });
    }
}
