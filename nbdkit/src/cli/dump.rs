// SPDX-License-Identifier: BSD-3-Clause
//! `--dump-config` and `--dump-plugin`: key=value lines for scripts.

use super::version::{EXTRA, INTERFACE, VERSION};
use crate::{components::Components, tls::root_directory};
use nbdkit_plugin::Value;
use std::{borrow::Cow, env::consts, fmt::Write, path::Path};

/// What this server can do besides serving, for `--dump-config`.
#[derive(Clone, Copy, Default, Debug)]
pub struct Abilities {
    /// `--exit-with-parent`
    pub exit_with_parent: bool,
    /// `--selinux-label`
    pub selinux: bool,
    /// `--timeout`
    pub timeout: bool,
    /// `--tls`
    pub tls: bool,
    /// `--vsock`
    pub vsock: bool,
    /// The memory and data plugins have `allocator=zstd`.
    pub zstd: bool,
}

/// What `--dump-config` says. `program` is where it is installed. The other places are those that the environment
/// variables `NBDKIT_BINDIR`, `NBDKIT_SBINDIR`, `NBDKIT_LIBDIR`, `NBDKIT_MANDIR` and `NBDKIT_SYSCONFDIR` named when it
/// was built.
pub fn dump_config(program: &Path, abilities: &Abilities) -> String {
    let yes_no = |able| String::from(if able { "yes" } else { "no" });
    let libdir = option_env!("NBDKIT_LIBDIR").unwrap_or("/usr/lib");
    let sysconfdir = option_env!("NBDKIT_SYSCONFDIR").unwrap_or("/etc");
    let (major, minor, _) = INTERFACE;
    lines([
        ("binary", program.display().to_string()),
        ("bindir", option_env!("NBDKIT_BINDIR").unwrap_or("/usr/bin").into()),
        ("exit_with_parent", yes_no(abilities.exit_with_parent)),
        ("filterdir", format!("{libdir}/nbdkit/filters")),
        ("host_cpu", consts::ARCH.into()),
        ("host_os", host_os()),
        ("libdir", libdir.into()),
        ("mandir", option_env!("NBDKIT_MANDIR").unwrap_or("/usr/share/man").into()),
        ("max_api_version", API_VERSION.into()),
        ("name", "nbdkit".into()),
        ("plugindir", format!("{libdir}/nbdkit/plugins")),
        ("root_tls_certificates_dir", root_directory()),
        ("run_default_socket", "Unix".into()),
        ("sbindir", option_env!("NBDKIT_SBINDIR").unwrap_or("/usr/sbin").into()),
        ("selinux", yes_no(abilities.selinux)),
        ("soext", consts::DLL_EXTENSION.into()),
        ("sysconfdir", sysconfdir.into()),
        ("timeout_option", yes_no(abilities.timeout)),
        ("tls", yes_no(abilities.tls)),
        ("version", VERSION.into()),
        ("version_extra", EXTRA.into()),
        ("version_major", major.show()),
        ("version_minor", minor.show()),
        ("vsock_option", yes_no(abilities.vsock)),
        ("zstd", yes_no(abilities.zstd)),
    ])
}

/// The newest interface of plugins in C, whose callbacks ours are modelled on, and the size of its struct in bytes.
const API_VERSION: &str = "2";
const STRUCT_SIZE: &str = "384";

/// `linux-gnu`, as configure scripts call it.
fn host_os() -> String {
    match cfg!(target_env = "musl") {
        true => format!("{}-musl", consts::OS),
        false if consts::OS == "linux" => "linux-gnu".into(),
        false => consts::OS.into(),
    }
}

/// All that a plugin can have, in the order of the output.
const CALLBACKS: [&str; 37] = [
    "longname",
    "description",
    "load",
    "unload",
    "dump_plugin",
    "config",
    "config_complete",
    "config_help",
    "thread_model",
    "get_ready",
    "after_fork",
    "cleanup",
    "preconnect",
    "list_exports",
    "default_export",
    "open",
    "close",
    "export_description",
    "get_size",
    "block_size",
    "can_write",
    "can_flush",
    "is_rotational",
    "can_trim",
    "can_zero",
    "can_fast_zero",
    "can_extents",
    "can_fua",
    "can_multi_conn",
    "can_cache",
    "pread",
    "pwrite",
    "flush",
    "trim",
    "zero",
    "extents",
    "cache",
];

/// What `--dump-plugin` says of components that have been given their parameters. `program` is where a built-in
/// plugin lives.
pub fn dump_plugin(components: &mut Components, program: &Path) -> String {
    let description = components.describe_plugin();
    // What a script makes of later words is its own affair.
    let declared = description.params.iter().find(|param| param.magic).and_then(|param| param.keys.first());
    let magic = declared.map(|key| Cow::Borrowed(*key)).or_else(|| components.magic_key());
    let most = components.entry().max_thread_model.unwrap_or_else(|| components.plugin_thread_model());
    let own = components.dump();
    let has = |callback: &str| match callback {
        "description" | "open" | "get_size" | "pread" => true,
        "config" | "config_complete" | "config_help" if !description.params.is_empty() => true,
        "dump_plugin" if !own.0.is_empty() => true,
        callback => components.entry().callbacks.contains(&callback),
    };
    let mut text = lines([
        ("path", program.display().to_string()),
        ("name", description.name.into()),
        ("version", VERSION.into()),
        ("api_version", API_VERSION.into()),
        ("struct_size", STRUCT_SIZE.into()),
        ("max_thread_model", most.to_string()),
        ("thread_model", components.thread_model().to_string()),
        ("errno_is_preserved", "1".into()),
    ]);
    text += &lines(magic.map(|key| ("magic_config_key", key.into_owned())));
    for callback in CALLBACKS.iter().filter(|callback| has(callback)) {
        // Writing to a String does not fail.
        let _ = writeln!(text, "has_{callback}=1");
    }
    text + &lines(own.0) + &lines(own.1)
}

fn lines(pairs: impl IntoIterator<Item = (&'static str, String)>) -> String {
    pairs.into_iter().map(|(key, value)| format!("{key}={value}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::testing::components;

    #[test]
    fn config_keys_in_order() {
        let text =
            dump_config(Path::new("/bin/nbdkit"), &Abilities { timeout: true, ..Abilities::default() });
        let pairs: Vec<_> = text.lines().map(|line| line.split_once('=').unwrap()).collect();
        let keys: Vec<_> = pairs.iter().map(|(key, _)| *key).collect();
        assert!(keys.is_sorted(), "{text}");
        assert_eq!(keys.len(), 25);
        for pair in [
            ("binary", "/bin/nbdkit"),
            ("exit_with_parent", "no"),
            ("max_api_version", "2"),
            ("name", "nbdkit"),
            ("run_default_socket", "Unix"),
            ("timeout_option", "yes"),
            ("tls", "no"),
            ("version", "1.48.0"),
            ("version_extra", EXTRA),
            ("version_major", "1"),
            ("version_minor", "48"),
        ] {
            assert!(pairs.contains(&pair), "{pair:?}: {text}");
        }
    }

    #[test]
    fn plugin_fields_in_order() {
        let mut disk = components("disk", &["outer", "inner"]);
        disk.configure(&["count=2".into(), "piece=x".into(), "mode=malloc".into()]).unwrap();
        assert_eq!(
            dump_plugin(&mut disk, Path::new("/bin/nbdkit")),
            "path=/bin/nbdkit
name=disk
version=1.48.0
api_version=2
struct_size=384
max_thread_model=serialize_requests
thread_model=serialize_connections
errno_is_preserved=1
magic_config_key=size
has_description=1
has_dump_plugin=1
has_config=1
has_config_complete=1
has_config_help=1
has_get_ready=1
has_open=1
has_get_size=1
has_can_write=1
has_pread=1
has_pwrite=1
disk_extra=malloc1
outer_count=2
"
        );
        let zero = dump_plugin(&mut components("zero", &[]), Path::new("/x"));
        assert!(!zero.contains("magic_config_key") && !zero.contains("has_config"), "{zero}");
        assert!(
            zero.contains("\nthread_model=parallel\n") && zero.ends_with("has_get_size=1\nhas_pread=1\n")
        );
    }
}
