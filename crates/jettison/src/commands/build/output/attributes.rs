//! `--output type=TYPE,KEY=VALUE,...`: comma-separated fields, quoted as in CSV where a value has a comma.
//!
//! | attribute | of | meaning |
//! |---|---|---|
//! | `name` | image, registry, oci, docker | names, separated by commas; `--tag` counts before them |
//! | `push`, `registry.insecure`, `store` | image, registry | where the image goes |
//! | `push-by-digest` | image, registry | a push gives the image no tag; alone it pushes nothing |
//! | `name-canonical` | image, registry | in the store it is called `NAME@DIGEST`, too |
//! | `unpack`, `dangling-name-prefix`, `buildinfo`, `prefer-nondist-layers` | image, registry | accepted: the store unpacks when it must and keeps images without a name |
//! | `oci-mediatypes` | those with an image | OCI's words or Docker's in the documents |
//! | `oci-artifact` | those with an image | `false`: attestations as images of no platform, for old registries |
//! | `attestation-inline` | those with an image | whether attestations that are `inline-only` make an index of one image; registries and the store begin with `true`, archives with `false` |
//! | `attestation-prefix` | local, tar | what the names of files with attestations begin with |
//! | `compression`, `compression-level`, `force-compression` | those with an image | how layers are compressed |
//! | `rewrite-timestamp` | all | files newer than SOURCE_DATE_EPOCH get its time |
//! | `annotation...` | those with an image | see [`export::Annotations`] |
//! | `dest` | local, tar, oci, docker | a folder, a file, or `-` |
//! | `tar` | oci, docker | `false`: a folder in place of a tar |
//! | `platform-split` | local, tar | a folder for each platform |
//! | `mode` | local | `copy` (default), or `delete`: remove what the image does not have |

use super::{Destination, Kind, Output, stream};
use crate::error::{CommandError, Outcome};
use crate::parsing;
use export::{Annotations, Packing};
use layer::Compression;
use oci::Reference;

/// Reads one `--output`. `names` are those of `--tag`.
pub(super) fn parse(text: &str, names: &[Reference]) -> Outcome<Output> {
    if text == "-" {
        return Ok(Output::plain(Kind::Tar { to: stream("-")?, split: None }, names));
    }
    if !text.contains('=') {
        let kind = Kind::Local { folder: text.into(), split: None, delete: false };
        return Ok(Output::plain(kind, names));
    }
    let fields = dockerfile::csv_fields(text)
        .ok_or_else(|| CommandError::usage(format!("--output: `{text}` has a quote out of place")))?;
    let mut attributes = Attributes::default();
    for field in &fields {
        let (key, value) = field
            .split_once('=')
            .ok_or_else(|| CommandError::usage(format!("--output: `{field}` is not KEY=VALUE")))?;
        attributes.take(key.trim().to_lowercase().as_str(), key.trim(), value)?;
    }
    attributes.output(text, names)
}

#[derive(Default)]
struct Attributes {
    kind: Option<String>,
    names: Vec<Reference>,
    dest: Option<String>,
    tar: Option<bool>,
    split: Option<bool>,
    delete: bool,
    push: Option<bool>,
    by_digest: bool,
    canonical: bool,
    store: Option<bool>,
    oci_types: Option<bool>,
    compression: Option<Compression>,
    level: Option<u8>,
    force: bool,
    rewrite: bool,
    artifact: Option<bool>,
    inline: Option<bool>,
    attestation_prefix: String,
    insecure: bool,
    annotations: Annotations,
    /// The attributes that only some types have, for errors.
    given: Vec<String>,
}

impl Attributes {
    fn take(&mut self, key: &str, written: &str, value: &str) -> Outcome<()> {
        if self
            .annotations
            .attribute(written, value)
            .map_err(|error| CommandError::usage(format!("--output: {error}")))?
        {
            self.given.push("annotation".to_owned());
            return Ok(());
        }
        match key {
            "type" => self.kind = Some(value.to_owned()),
            "name" => {
                for name in value.split(',').filter(|name| !name.is_empty()) {
                    let name = name
                        .parse()
                        .map_err(|error: oci::Error| CommandError::usage(format!("--output: {error}")))?;
                    self.names.push(name);
                }
            }
            "dest" => self.dest = Some(value.to_owned()),
            "tar" => self.tar = Some(truth(key, value)?),
            "platform-split" => self.split = Some(truth(key, value)?),
            "mode" => {
                self.delete = match value {
                    "copy" => false,
                    "delete" => true,
                    _ => {
                        return Err(CommandError::usage(format!(
                            "--output: mode is copy or delete, not `{value}`"
                        )));
                    }
                }
            }
            "push" => self.push = Some(truth(key, value)?),
            "push-by-digest" => self.by_digest = truth(key, value)?,
            "name-canonical" => self.canonical = truth(key, value)?,
            "store" => self.store = Some(truth(key, value)?),
            "registry.insecure" => self.insecure = truth(key, value)?,
            "oci-mediatypes" => self.oci_types = Some(truth(key, value)?),
            "compression" => {
                self.compression = Some(match value {
                    "uncompressed" => Compression::None,
                    "gzip" => Compression::Gzip,
                    "zstd" => Compression::Zstd,
                    "estargz" => {
                        return Err(CommandError::usage("--output: compression=estargz is not supported")
                            .hint("gzip and zstd are"));
                    }
                    _ => {
                        return Err(CommandError::usage(format!(
                            "--output: there is no compression `{value}`; there are uncompressed, gzip and zstd"
                        )));
                    }
                });
            }
            "compression-level" => {
                let level = value.parse().map_err(|_| {
                    CommandError::usage(format!("--output: compression-level is a number, not `{value}`"))
                })?;
                self.level = Some(level);
            }
            "force-compression" => self.force = truth(key, value)?,
            "rewrite-timestamp" => self.rewrite = truth(key, value)?,
            "oci-artifact" => self.artifact = Some(truth(key, value)?),
            "attestation-inline" => self.inline = Some(truth(key, value)?),
            "unpack"
            | "buildinfo"
            | "buildinfo-attrs"
            | "danging-name-empty-only"
            | "prefer-nondist-layers" => {
                truth(key, value)?;
            }
            "attestation-prefix" => value.clone_into(&mut self.attestation_prefix),
            "dangling-name-prefix" => {}
            _ => {
                return Err(CommandError::usage(format!("--output: the attribute `{written}` is not known")));
            }
        }
        self.given.push(key.to_owned());
        Ok(())
    }

    fn output(self, text: &str, names: &[Reference]) -> Outcome<Output> {
        let need = |dest: Option<String>| {
            dest.ok_or_else(|| CommandError::usage(format!("--output: `{text}` needs a dest")))
        };
        let Some(name) = self.kind.as_deref() else {
            return Err(CommandError::usage(format!("--output: `{text}` has no type")));
        };
        self.check(name)?;
        let docker = match (self.oci_types, self.compression) {
            (Some(false), Some(Compression::Zstd)) => {
                return Err(CommandError::usage(
                    "--output: compression=zstd and oci-mediatypes=false do not go together",
                ));
            }
            (Some(false), _) if self.artifact == Some(true) => {
                return Err(CommandError::usage(
                    "--output: oci-artifact=true and oci-mediatypes=false do not go together",
                ));
            }
            (Some(oci), _) => !oci,
            (None, _) => false,
        };
        let image = |store: bool, push: bool| Kind::Image {
            store: self.store.unwrap_or(store),
            push: self.push.unwrap_or(push),
        };
        let kind = match name {
            "image" => image(true, false),
            "registry" => image(false, true),
            "cacheonly" => Kind::CacheOnly,
            "local" => {
                Kind::Local { folder: need(self.dest)?.into(), split: self.split, delete: self.delete }
            }
            "tar" => Kind::Tar { to: stream(self.dest.as_deref().unwrap_or("-"))?, split: self.split },
            "docker" if self.dest.is_none() && self.tar != Some(false) => {
                Kind::Image { store: true, push: false }
            }
            "docker" if self.tar == Some(false) => Kind::Docker(Destination::Folder(need(self.dest)?.into())),
            "docker" => Kind::Docker(stream(&need(self.dest)?)?),
            "oci" if self.tar == Some(false) => Kind::Oci(Destination::Folder(need(self.dest)?.into())),
            "oci" => Kind::Oci(stream(self.dest.as_deref().unwrap_or("-"))?),
            other => {
                return Err(CommandError::usage(format!("--output: the type `{other}` is not known"))
                    .hint("there are image, registry, oci, docker, local, tar and cacheonly"));
            }
        };
        Ok(Output {
            inline_only: self.inline.unwrap_or(matches!(kind, Kind::Image { .. })),
            kind,
            names: if names.is_empty() { self.names } else { names.to_vec() },
            packing: Packing {
                registry: None,
                compression: self.compression,
                level: self.level,
                force: self.force,
                docker,
                index: false,
                attestations_as_images: self.artifact == Some(false),
                annotations: self.annotations,
            },
            rewrite_timestamp: self.rewrite,
            insecure: self.insecure,
            push_by_digest: self.by_digest,
            name_canonical: self.canonical,
            attestation_prefix: self.attestation_prefix,
        })
    }

    /// An attribute that the type does not have is a mistake that would go unseen.
    fn check(&self, kind: &str) -> Outcome<()> {
        let of_image = [
            "name",
            "oci-mediatypes",
            "oci-artifact",
            "attestation-inline",
            "compression",
            "compression-level",
            "force-compression",
            "annotation",
            "prefer-nondist-layers",
            "buildinfo",
            "buildinfo-attrs",
        ];
        let of_registry = [
            "push",
            "push-by-digest",
            "registry.insecure",
            "store",
            "unpack",
            "name-canonical",
            "dangling-name-prefix",
            "danging-name-empty-only",
        ];
        for given in &self.given {
            let given = given.as_str();
            let known = match kind {
                "image" | "registry" => of_image.contains(&given) || of_registry.contains(&given),
                "oci" | "docker" => of_image.contains(&given) || matches!(given, "dest" | "tar"),
                "local" => matches!(given, "dest" | "platform-split" | "mode" | "attestation-prefix"),
                "tar" => matches!(given, "dest" | "platform-split" | "attestation-prefix"),
                "cacheonly" => false,
                // The type itself is the mistake.
                _ => true,
            };
            if !known && !matches!(given, "type" | "rewrite-timestamp") {
                return Err(CommandError::usage(format!(
                    "--output: the type `{kind}` has no attribute `{given}`"
                )));
            }
        }
        Ok(())
    }
}

/// A boolean attribute; one without a value is true, as in BuildKit.
fn truth(key: &str, value: &str) -> Outcome<bool> {
    if value.is_empty() { Ok(true) } else { boolean("--output", key, value) }
}

/// As Go's strconv.ParseBool reads it.
pub(crate) fn boolean(flag: &str, key: &str, value: &str) -> Outcome<bool> {
    parsing::boolean(value)
        .ok_or_else(|| CommandError::usage(format!("{flag}: {key} is true or false, not `{value}`")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(texts: &[&str]) -> Vec<Reference> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn attributes_of_an_image() {
        let text = "type=image,\"name=a.example/x,b.example/y:1\",push=true,compression=zstd,compression-level=9,\
                    force-compression=1,annotation.k=v=w,registry.insecure=true,store=false";
        let output = parse(text, &[]).unwrap();
        assert_eq!(output.kind, Kind::Image { store: false, push: true });
        assert_eq!(output.names, names(&["a.example/x", "b.example/y:1"]));
        assert_eq!((output.packing.compression, output.packing.level), (Some(Compression::Zstd), Some(9)));
        assert!(output.packing.force && output.insecure);
        // --tag counts before name=.
        assert_eq!(parse(text, &names(&["c"])).unwrap().names, names(&["c"]));
    }

    #[test]
    fn short_forms_and_kinds() {
        let kind = |text: &str| parse(text, &[]).unwrap().kind;
        assert_eq!(kind("out"), Kind::Local { folder: "out".into(), split: None, delete: false });
        assert_eq!(
            kind("type=local,dest=o,mode=delete,platform-split=false"),
            Kind::Local { folder: "o".into(), split: Some(false), delete: true }
        );
        assert_eq!(kind("type=docker"), Kind::Image { store: true, push: false });
        assert_eq!(kind("type=oci,dest=f"), Kind::Oci(Destination::File("f".into())));
        assert_eq!(kind("type=oci,tar=false,dest=f"), Kind::Oci(Destination::Folder("f".into())));
    }

    #[test]
    fn by_digest_says_how_to_push_and_not_that() {
        let one = |text: &str| {
            let output = parse(text, &[]).unwrap();
            (output.kind, output.push_by_digest, output.name_canonical)
        };
        let image = |store, push| Kind::Image { store, push };
        assert_eq!(one("type=image,push-by-digest=true"), (image(true, false), true, false));
        assert_eq!(one("type=image,push-by-digest=,push="), (image(true, true), true, false));
        assert_eq!(one("type=registry,push-by-digest=1"), (image(false, true), true, false));
        assert_eq!(one("type=image,name-canonical=true"), (image(true, false), false, true));
    }

    #[test]
    fn mistakes_are_named() {
        for (text, part) in [
            ("type=locl,dest=x", "`locl` is not known"),
            ("dest=x", "has no type"),
            ("type=local", "needs a dest"),
            ("type=local,dest=x,compression=gzip", "`local` has no attribute `compression`"),
            ("type=image,push=maybe", "push is true or false"),
            ("type=image,compresion=gzip", "`compresion` is not known"),
            ("type=image,compression=lz4", "no compression `lz4`"),
            ("type=image,compression=zstd,oci-mediatypes=false", "do not go together"),
            ("type=image,oci-artifact=true,oci-mediatypes=false", "do not go together"),
            ("type=image,\"name=a", "quote out of place"),
            ("type=image,annotation-layer.k=v", "no level of annotations"),
        ] {
            let error = parse(text, &[]).unwrap_err();
            assert!(error.message.contains(part), "{text}: {}", error.message);
        }
    }
}
