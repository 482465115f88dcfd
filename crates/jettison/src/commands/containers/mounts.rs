//! `-v`, `--mount` and `--tmpfs`.

use super::values;
use crate::error::{CommandError, Outcome};
use container::NewMount;
use std::path::{Path, PathBuf};

/// `-v [SOURCE:]TARGET[:OPTIONS]`: a source with a slash is a path of the host, another one a volume's name.
pub(super) fn volume(text: &str) -> Outcome<NewMount> {
    let wrong = |reason: &str| CommandError::usage(format!("invalid volume `{text}`: {reason}"));
    let parts: Vec<&str> = text.split(':').collect();
    let (source, target, options) = match parts[..] {
        [target] => ("", target, ""),
        // Options are no paths; so this is a target with options only where it says so.
        [target, options] if !options.starts_with('/') && target.starts_with('/') && is_options(options) => {
            ("", target, options)
        }
        [source, target] => (source, target, ""),
        [source, target, options] => (source, target, options),
        _ => return Err(wrong("it has too many colons")),
    };
    if target.is_empty() {
        return Err(wrong("it names no place in the container"));
    }
    if parts.len() > 1 && source.is_empty() && options.is_empty() {
        return Err(wrong("its source is empty"));
    }
    let mut readonly = false;
    let mut nocopy = false;
    for option in options.split(',').filter(|option| !option.is_empty()) {
        match option {
            "ro" | "readonly" => readonly = true,
            "rw" => readonly = false,
            "nocopy" => nocopy = true,
            // Labels of SELinux have no meaning here; propagation is private either way.
            "z" | "Z" | "private" | "rprivate" | "cached" | "delegated" | "consistent" => {}
            _ => return Err(wrong(&format!("the option `{option}` is not supported yet"))),
        }
    }
    let target = target.to_owned();
    if source.starts_with('/') || source.starts_with('.') || source.starts_with('~') {
        let source = absolute(source).map_err(|reason| wrong(&reason))?;
        return Ok(NewMount::Bind { source, target, readonly, create: true, recursive: true });
    }
    if source.contains('/') {
        return Err(wrong("a volume's name has no slash; begin the path of a folder with `./`"));
    }
    let name = (!source.is_empty()).then(|| source.to_owned());
    Ok(NewMount::Volume { name, target, readonly, nocopy, subpath: String::new() })
}

fn is_options(text: &str) -> bool {
    text.split(',').all(|option| matches!(option, "ro" | "rw" | "readonly" | "nocopy" | "z" | "Z"))
}

fn absolute(source: &str) -> Result<PathBuf, String> {
    std::path::absolute(Path::new(source)).map_err(|error| error.to_string())
}

/// `--mount type=...,source=...,target=...`.
pub(super) fn mount(text: &str) -> Outcome<NewMount> {
    let wrong = |reason: &str| CommandError::usage(format!("invalid mount `{text}`: {reason}"));
    let (mut kind, mut source, mut target, mut subpath) = ("volume", None, None, String::new());
    let (mut readonly, mut nocopy, mut recursive, mut create) = (false, false, true, false);
    let (mut size, mut mode) = (None, None);
    for field in fields(text).map_err(|reason| wrong(&reason))? {
        let (key, value) = match field.split_once('=') {
            Some((key, value)) => (key.to_owned(), Some(value.to_owned())),
            None => (field.clone(), None),
        };
        let given = || value.clone().ok_or_else(|| wrong(&format!("`{key}` needs a value")));
        let flag = || match value.as_deref() {
            None | Some("true" | "1") => Ok(true),
            Some("false" | "0") => Ok(false),
            Some(_) => Err(wrong(&format!("`{key}` is true or false"))),
        };
        match key.to_ascii_lowercase().as_str() {
            "type" => {
                kind = match given()?.as_str() {
                    "bind" => "bind",
                    "volume" => "volume",
                    "tmpfs" => "tmpfs",
                    other => return Err(wrong(&format!("the type `{other}` is not supported yet"))),
                }
            }
            "source" | "src" => source = Some(given()?),
            "target" | "dst" | "destination" => target = Some(given()?),
            "readonly" | "ro" => readonly = flag()?,
            "volume-nocopy" => nocopy = flag()?,
            "volume-subpath" => subpath = given()?,
            "bind-propagation" => match given()?.as_str() {
                "private" | "rprivate" => {}
                other => return Err(wrong(&format!("bind-propagation={other} is not supported yet"))),
            },
            "bind-nonrecursive" => recursive = !flag()?,
            "bind-recursive" => recursive = given()? != "disabled",
            "bind-create-host-path" => create = flag()?,
            "tmpfs-size" => size = Some(values::bytes("tmpfs-size", &given()?)?),
            "tmpfs-mode" => {
                mode = Some(
                    u32::from_str_radix(&given()?, 8).map_err(|_| wrong("tmpfs-mode is an octal number"))?,
                );
            }
            "consistency" => {}
            other => return Err(wrong(&format!("the option `{other}` is not supported yet"))),
        }
    }
    let target = target.ok_or_else(|| wrong("it names no target"))?;
    match kind {
        "bind" => {
            let source = source.ok_or_else(|| wrong("a bind mount needs a source"))?;
            let source = absolute(&source).map_err(|reason| wrong(&reason))?;
            Ok(NewMount::Bind { source, target, readonly, create, recursive })
        }
        "tmpfs" if source.is_some() => Err(wrong("a tmpfs has no source")),
        "tmpfs" => Ok(NewMount::Tmpfs { target, size, mode, readonly, noexec: false }),
        _ => Ok(NewMount::Volume {
            name: source.filter(|name| !name.is_empty()),
            target,
            readonly,
            nocopy,
            subpath,
        }),
    }
}

/// Fields apart by commas; one in double quotes may hold commas, and a quote doubled.
fn fields(text: &str) -> Result<Vec<String>, String> {
    let mut found = Vec::new();
    let mut field = String::new();
    let mut quoted = false;
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '"' if quoted && letters.peek() == Some(&'"') => {
                letters.next();
                field.push('"');
            }
            '"' if quoted || field.is_empty() => quoted = !quoted,
            ',' if !quoted => found.push(std::mem::take(&mut field)),
            other => field.push(other),
        }
    }
    if quoted {
        return Err("a quote is not closed".to_owned());
    }
    found.push(field);
    Ok(found)
}

/// `--tmpfs TARGET[:size=...,mode=...,ro,noexec]`.
pub(super) fn tmpfs(text: &str) -> Outcome<NewMount> {
    let wrong = |reason: &str| CommandError::usage(format!("invalid value `{text}` for --tmpfs: {reason}"));
    let (target, options) = text.split_once(':').unwrap_or((text, ""));
    // Docker's defaults.
    let (mut readonly, mut noexec, mut size, mut mode) = (false, true, None, None);
    for option in options.split(',').filter(|option| !option.is_empty()) {
        match option.split_once('=') {
            Some(("size", value)) => size = Some(values::bytes("--tmpfs size", value)?),
            Some(("mode", value)) => {
                mode = Some(u32::from_str_radix(value, 8).map_err(|_| wrong("mode is an octal number"))?);
            }
            None => match option {
                "ro" => readonly = true,
                "rw" => readonly = false,
                "exec" => noexec = false,
                "noexec" => noexec = true,
                "nosuid" | "nodev" => {}
                _ => return Err(wrong(&format!("the option `{option}` is not supported yet"))),
            },
            Some(_) => return Err(wrong(&format!("the option `{option}` is not supported yet"))),
        }
    }
    Ok(NewMount::Tmpfs { target: target.to_owned(), size, mode, readonly, noexec })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(mount: &NewMount) -> String {
        match mount {
            NewMount::Bind { source, target, readonly, create, .. } => {
                format!("bind {} {target} ro={readonly} create={create}", source.display())
            }
            NewMount::Volume { name, target, readonly, nocopy, subpath } => {
                format!(
                    "volume {} {target} ro={readonly} nocopy={nocopy} {subpath}",
                    name.as_deref().unwrap_or("-")
                )
            }
            NewMount::Tmpfs { target, size, mode, noexec, .. } => {
                format!("tmpfs {target} {size:?} {mode:?} noexec={noexec}")
            }
        }
    }

    #[test]
    fn forms_of_volume() {
        for (text, meaning) in [
            ("/data", "volume - /data ro=false nocopy=false "),
            ("data:/data", "volume data /data ro=false nocopy=false "),
            ("data:/data:ro,nocopy", "volume data /data ro=true nocopy=true "),
            ("/host:/data:z", "bind /host /data ro=false create=true"),
            ("/data:ro", "volume - /data ro=true nocopy=false "),
        ] {
            assert_eq!(shown(&volume(text).unwrap()), meaning, "{text}");
        }
        assert!(
            matches!(volume("./here:/x").unwrap(), NewMount::Bind { source, .. } if source.is_absolute())
        );
        for text in ["", ":/x", "a:/b:c:d", "a/b:/x", "a:/x:shared"] {
            assert!(volume(text).is_err(), "{text}");
        }
    }

    #[test]
    fn forms_of_mount() {
        for (text, meaning) in [
            ("type=bind,src=/a,dst=/b,readonly", "bind /a /b ro=true create=false"),
            ("source=data,target=/b,volume-subpath=x", "volume data /b ro=false nocopy=false x"),
            ("type=volume,dst=/b,\"volume-nocopy=true\"", "volume - /b ro=false nocopy=true "),
            (
                "type=tmpfs,dst=/b,tmpfs-size=1m,tmpfs-mode=700",
                "tmpfs /b Some(1048576) Some(448) noexec=false",
            ),
        ] {
            assert_eq!(shown(&mount(text).unwrap()), meaning, "{text}");
        }
        assert_eq!(fields("a,\"b,\"\"c\"").unwrap(), ["a", "b,\"c"]);
        for text in ["type=bind,dst=/x", "type=npipe,dst=/x", "src=a", "dst=/x,what=1", "\"dst=/x"] {
            assert!(mount(text).is_err(), "{text}");
        }
        assert_eq!(shown(&tmpfs("/t:size=1k,exec").unwrap()), "tmpfs /t Some(1024) None noexec=false");
        assert!(tmpfs("/t:what").is_err());
    }
}
