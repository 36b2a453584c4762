// SPDX-License-Identifier: BSD-3-Clause
//! Finding plugins and filters by what the command line calls them.

use super::nearest::nearest;
use nbdkit_filter::FilterEntry;
use nbdkit_plugin::{Error, PluginEntry, Result};
use std::{ffi::OsStr, fmt, os::unix::ffi::OsStrExt, path::Path};

/// The plugins and filters there are to choose from.
#[derive(Clone, Copy)]
pub struct Catalogue<'a> {
    /// All plugins.
    pub plugins: &'a [&'static PluginEntry],
    /// All filters.
    pub filters: &'a [&'static FilterEntry],
}

/// What a component is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A source of disks.
    Plugin,
    /// What stands in front of it.
    Filter,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Plugin => "plugin",
            Kind::Filter => "filter",
        })
    }
}

impl Catalogue<'_> {
    /// The plugin meant by `name`: its own name, or the path of the file that it is in elsewhere
    /// (`/usr/lib/nbdkit/plugins/nbdkit-file-plugin.so`).
    ///
    /// # Errors
    /// When there is none; says which one might have been meant, or how to get it.
    pub fn plugin(&self, name: &OsStr) -> Result<&'static PluginEntry> {
        let meant = meant(Kind::Plugin, name);
        let found = self.plugins.iter().find(|entry| meant == Some(entry.name));
        found.copied().ok_or_else(|| self.cannot_open(Kind::Plugin, name, meant))
    }

    /// The same for a filter.
    ///
    /// # Errors
    /// As [`plugin`](Catalogue::plugin).
    pub fn filter(&self, name: &OsStr) -> Result<&'static FilterEntry> {
        let meant = meant(Kind::Filter, name);
        let found = self.filters.iter().find(|entry| meant == Some(entry.name));
        found.copied().ok_or_else(|| self.cannot_open(Kind::Filter, name, meant))
    }

    fn names(&self, kind: Kind) -> Vec<&'static str> {
        match kind {
            Kind::Plugin => self.plugins.iter().map(|entry| entry.name).collect(),
            Kind::Filter => self.filters.iter().map(|entry| entry.name).collect(),
        }
    }

    fn cannot_open(&self, kind: Kind, name: &OsStr, meant: Option<&str>) -> Error {
        let list = LIST.to_owned();
        let (why, hint) = match meant {
            _ if name.is_empty() => ("the name cannot be an empty string".into(), list),
            None => (format!("a {kind} in a file of its own is not available yet"), list),
            Some(meant) => self.why(kind, meant).unwrap_or_else(|| {
                let all = self.names(kind).into_iter().chain(known(kind).iter().copied());
                match nearest(meant, all) {
                    Some(other) => (format!("there is no such {kind}, did you mean \"{other}\"?"), list),
                    None => (format!("there is no such {kind}"), list),
                }
            }),
        };
        Error::new(nbdkit_plugin::ENOENT, format!("cannot open {kind} {name:?}: {why}\n{hint}"))
    }

    /// Why a name that means something is not here: the reason and what to do.
    fn why(&self, kind: Kind, name: &str) -> Option<(String, String)> {
        let other = match kind {
            Kind::Plugin => Kind::Filter,
            Kind::Filter => Kind::Plugin,
        };
        if known(kind).contains(&name) {
            return Some(match feature(MANIFEST, kind, name) {
                Some(feature) => (
                    format!("not built into this nbdkit: cargo feature {feature}"),
                    format!("Build nbdkit with '--features {feature}' to have it."),
                ),
                None => ("not available yet in this nbdkit".into(), LIST.into()),
            });
        }
        (self.names(other).contains(&name) || known(other).contains(&name)).then(|| {
            let hint = match other {
                Kind::Filter => format!("Use '--filter={name}' and name a plugin."),
                Kind::Plugin => format!("Use 'nbdkit {name}' without --filter."),
            };
            (format!("it is a {other}"), hint)
        })
    }
}

/// Where all names are.
const LIST: &str = "Use 'nbdkit --help' for the list of plugins and filters.";

/// A name stands for itself. A path with the name of a plugin's file stands for that plugin, other paths for none.
fn meant(kind: Kind, name: &OsStr) -> Option<&str> {
    if is_short(name) {
        return name.to_str();
    }
    let file = Path::new(name).file_name()?.to_str()?;
    let file = file.strip_suffix(".so").unwrap_or(file);
    file.strip_prefix("nbdkit-")?.strip_suffix(match kind {
        Kind::Plugin => "-plugin",
        Kind::Filter => "-filter",
    })
}

/// Whether `name` cannot be a path or a parameter.
fn is_short(name: &OsStr) -> bool {
    !name.as_bytes().iter().any(|byte| b"/\\:; .,=".contains(byte) || byte.is_ascii_control())
}

/// The features of this crate are said once: there.
const MANIFEST: &str = include_str!("../../Cargo.toml");

/// The feature that brings this component.
fn feature<'a>(manifest: &'a str, kind: Kind, name: &str) -> Option<&'a str> {
    let dependency = format!("\"dep:nbdkit-{name}-{kind}\"");
    let line = manifest.lines().find(|line| line.contains(&dependency))?;
    Some(line.split_once('=')?.0.trim())
}

/// The names that people know, whether or not we have them.
fn known(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::Plugin => PLUGINS,
        Kind::Filter => FILTERS,
    }
}

#[rustfmt::skip]
const PLUGINS: &[&str] = &[
    "S3", "blkio", "cc", "cdi", "curl", "data", "eval", "example1", "example2", "example3", "example4", "file",
    "floppy", "full", "gcs", "guestfs", "info", "iso", "libvirt", "linuxdisk", "lua", "memory", "nbd", "nfs", "null",
    "ondemand", "ones", "partitioning", "pattern", "perl", "python", "random", "sh", "sparse-random", "split", "ssh",
    "tcl", "tmpdisk", "torrent", "vddk", "vram", "zero",
];

#[rustfmt::skip]
const FILTERS: &[&str] = &[
    "blocksize", "blocksize-policy", "bzip2", "cache", "checkwrite", "count", "cow", "ddrescue", "delay", "error",
    "evil", "exitlast", "exitwhen", "exportname", "ext2", "extentlist", "fua", "gzip", "indexed-gzip", "ip", "limit",
    "log", "luks", "lzip", "map", "multi-conn", "nocache", "noextents", "nofilter", "noparallel", "nozero", "offset",
    "openonce", "partition", "pause", "protect", "qcow2dec", "rate", "readahead", "readonly", "retry",
    "retry-request", "rotational", "scan", "spinning", "stats", "swab", "tar", "time-limit", "tls-fallback",
    "truncate", "xor", "xz",
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::testing;

    const CATALOGUE: Catalogue<'_> = testing::CATALOGUE;

    #[test]
    fn found_by_name_or_by_file() {
        for name in [
            "disk",
            "/any/dir/nbdkit-disk-plugin.so",
            "./nbdkit-disk-plugin.so",
            "x/nbdkit-disk-plugin",
            "nbdkit-disk-plugin.so",
        ] {
            assert_eq!(CATALOGUE.plugin(name.as_ref()).map(|entry| entry.name).unwrap(), "disk", "{name}");
        }
        for name in ["inner", "/any/dir/nbdkit-inner-filter.so"] {
            assert_eq!(CATALOGUE.filter(name.as_ref()).map(|entry| entry.name).unwrap(), "inner", "{name}");
        }
    }

    #[test]
    fn what_a_name_may_look_like() {
        for name in ["file", "S3", "sparse-random", "multi-conn", "é", "a_b", "-"] {
            assert!(is_short(name.as_ref()), "{name}");
        }
        for name in ["a/b", "a\\b", "a:b", "a;b", "a b", "a.b", "a,b", "a=b", "a\x7f", "a\n"] {
            assert!(!is_short(name.as_ref()), "{name}");
        }
    }

    #[test]
    fn not_found() {
        let bytes = OsStr::from_bytes(b"a\xff\n");
        for (name, why, hint) in [
            ("".as_ref(), "\"\": the name cannot be an empty string", LIST),
            ("qwertyuiop".as_ref(), "\"qwertyuiop\": there is no such plugin", LIST),
            ("dikc".as_ref(), "\"dikc\": there is no such plugin", LIST),
            ("dsk".as_ref(), "\"dsk\": there is no such plugin, did you mean \"disk\"?", LIST),
            ("memroy".as_ref(), "\"memroy\": there is no such plugin, did you mean \"memory\"?", LIST),
            ("./x.so".as_ref(), "\"./x.so\": a plugin in a file of its own is not available yet", LIST),
            (
                "/x/nbdkit-dsk-plugin.so".as_ref(),
                "\"/x/nbdkit-dsk-plugin.so\": there is no such plugin, did you mean \"disk\"?",
                LIST,
            ),
            (bytes, "\"a\\xFF\\n\": a plugin in a file of its own is not available yet", LIST),
            ("vddk".as_ref(), "\"vddk\": not available yet in this nbdkit", LIST),
            (
                "null".as_ref(),
                "\"null\": not built into this nbdkit: cargo feature null",
                "Build nbdkit with '--features null' to have it.",
            ),
            (
                "full".as_ref(),
                "\"full\": not built into this nbdkit: cargo feature full-plugin",
                "Build nbdkit with '--features full-plugin' to have it.",
            ),
            ("inner".as_ref(), "\"inner\": it is a filter", "Use '--filter=inner' and name a plugin."),
            ("cow".as_ref(), "\"cow\": it is a filter", "Use '--filter=cow' and name a plugin."),
        ] {
            let error = CATALOGUE.plugin(name).map(|entry| entry.name).unwrap_err().to_string();
            assert_eq!(error, format!("cannot open plugin {why}\n{hint}"));
        }
        let error =
            |name: &str| CATALOGUE.filter(name.as_ref()).map(|entry| entry.name).unwrap_err().to_string();
        assert!(error("disk").ends_with("\"disk\": it is a plugin\nUse 'nbdkit disk' without --filter."));
        assert!(
            error("cow")
                .starts_with("cannot open filter \"cow\": not built into this nbdkit: cargo feature cow\n")
        );
        assert!(error("of/set").starts_with("cannot open filter \"of/set\": a filter in a file"));
    }

    #[test]
    fn features_are_read_from_the_manifest() {
        for (manifest, kind, expected) in [
            ("x = [\"dep:nbdkit-x-filter\"]", Kind::Filter, Some("x")),
            ("x = [\"dep:nbdkit-x-filter\"]", Kind::Plugin, None),
            ("yx = [\"dep:nbdkit-yx-filter\"]", Kind::Filter, None),
            ("a = [\"dep:nbdkit-a-plugin\"]\n\nx-2 = [\"dep:nbdkit-x-plugin\"]", Kind::Plugin, Some("x-2")),
        ] {
            assert_eq!(feature(manifest, kind, "x"), expected, "{manifest}");
        }
        // `full` is everything there is.
        assert_eq!(feature(MANIFEST, Kind::Plugin, "full"), Some("full-plugin"));
        for (kind, name) in [(Kind::Plugin, "sparse-random"), (Kind::Filter, "multi-conn")] {
            assert_eq!(feature(MANIFEST, kind, name), Some(name));
        }
    }
}
