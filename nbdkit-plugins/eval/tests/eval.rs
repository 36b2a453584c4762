// SPDX-License-Identifier: BSD-3-Clause
//! What is this plugin's own: which script answers which method, and what is wrong on the command line.
#![allow(clippy::unwrap_used, clippy::expect_used)] // tests, helpers included

use async_executor::Executor;
use futures_lite::future::block_on;
use nbdkit_eval_plugin::PLUGIN;
use nbdkit_plugin::*;
use std::{fmt, fs, os::unix::fs::PermissionsExt};
use tempfile::TempDir;

struct Silence;

impl LogSink for Silence {
    fn error(&self, _: &str, _: fmt::Arguments<'_>) {}
    fn debug(&self, _: &str, _: fmt::Arguments<'_>) {}
    fn verbose(&self) -> bool {
        true
    }
}

fn plugin(params: &[(&str, &str)]) -> Result<Box<dyn Plugin>> {
    let mut plugin = (PLUGIN.create)();
    for (key, value) in params {
        assert_eq!(plugin.config(key, value.as_ref())?, Taken::Yes, "{key}");
    }
    plugin.config_complete()?;
    plugin.get_ready()?;
    Ok(plugin)
}

fn wait<T>(op: Op<'_, T>) -> Result<T> {
    block_on(op.into_future())
}

fn open(plugin: &Arc<dyn Plugin>) -> Result<Arc<dyn Disk>> {
    let server = Server::new(Arc::new(Executor::new()), Arc::new(Silence));
    wait(plugin.clone().open(OpenRequest::new(&Connection::new(&server, 1, Peer::Other), "name")))
}

fn disk(params: &[(&str, &str)]) -> Arc<dyn Disk> {
    let mut all = vec![("get_size", "echo 1M")];
    all.extend(params);
    open(&plugin(&all).unwrap().into()).unwrap()
}

fn read(disk: &Arc<dyn Disk>, len: u32) -> Result<Vec<u8>> {
    let data = wait(disk.pread(len, 512))?;
    Ok(wait(data.into_buf(&Pool::new()))?.to_vec())
}

fn refused(params: &[(&str, &str)]) -> String {
    plugin(params).err().expect("an error").to_string()
}

#[test]
fn scripts_are_called_as_those_of_sh_are() {
    let disk = disk(&[("open", "printf '%s|' \"$@\""), ("pread", "printf '%s|' \"$@\" | tail -c \"$3\"")]);
    assert_eq!(read(&disk, 36).unwrap(), b"pread|open|false|name|false||36|512|");
}

#[test]
fn questions_have_answers_where_an_operation_is_given() {
    let none = disk(&[]);
    assert_eq!(format!("{:?}", none.info()), format!("{:?}", Info::read_only(1 << 20)));
    let nothing = "exit 0";
    let all = disk(&["pwrite", "flush", "trim", "zero", "extents", "cache"].map(|method| (method, nothing)));
    let mut want = Info::writable(1 << 20);
    (want.flush, want.trim, want.extents) = (true, true, true);
    (want.zero, want.fua, want.cache) = (Support::Native, Support::Emulate, Support::Native);
    assert_eq!(format!("{:?}", all.info()), format!("{want:?}"));
    // They can be given all the same.
    let no = "exit 3";
    let refusing =
        disk(&[("pwrite", nothing), ("can_write", no), ("cache", nothing), ("can_cache", "echo none")]);
    assert_eq!(format!("{:?}", refusing.info()), format!("{:?}", none.info()));
}

#[test]
fn what_stands_in_for_missing_methods() {
    let dir = TempDir::new().unwrap();
    let log = dir.path().join("log");
    let missing = format!("echo $1 >> {}; case $1 in can_flush) exit 0 ;; *) exit 2 ;; esac", log.display());
    let disk = disk(&[("missing", &missing), ("pwrite", "exit 0")]);
    assert!(disk.info().flush && disk.info().write);
    let asked = fs::read_to_string(log).unwrap();
    for (method, yes) in [
        ("can_flush", true),
        ("open", true),
        ("load", false),
        ("magic_config_key", false),
        ("can_write", false),
    ] {
        assert_eq!(asked.lines().any(|line| line == method), yes, "{method}");
    }
}

#[test]
fn other_parameters_are_for_config() {
    let config = ("config", "[ $2 = size ] && echo $3 > $tmpdir/size || { echo no such $2 >&2; exit 1; }");
    let size = ("get_size", "cat $tmpdir/size");
    let disk = |params: &[(&str, &str)]| open(&plugin(params).unwrap().into()).unwrap();
    assert_eq!(disk(&[config, ("size", "4k"), size]).info().size, 4096);
    assert!(refused(&[config, ("other", "4k"), size]).ends_with("/config: no such other"));
    // The script must come first.
    assert_eq!((PLUGIN.create)().config("size", "4k".as_ref()).unwrap(), Taken::No);
    assert_eq!((PLUGIN.create)().config("load", "exit 0".as_ref()).unwrap(), Taken::No);
    assert!((PLUGIN.create)().magic_key().is_none());
}

#[test]
fn what_is_wrong_on_the_command_line() {
    assert_eq!(refused(&[]), "'get_size' method is required");
    assert_eq!(refused(&[("pread", "exit 0"), ("missing", "echo 1M")]), "'get_size' method is required");
    for key in ["get_size", "missing", "unload"] {
        assert_eq!(
            refused(&[(key, "exit 0"), (key, "exit 0")]),
            format!("method {key} defined more than once on the command line")
        );
    }
    assert!(
        refused(&[("get_size", "echo 1"), ("get_ready", "echo EPERM not today >&2; exit 1")])
            .ends_with(": not today")
    );
}

#[test]
fn nothing_is_left_in_the_end() {
    let dir = TempDir::new().unwrap();
    let told = dir.path().join("told");
    let unload = format!("echo $tmpdir > {}", told.display());
    let plugin: Arc<dyn Plugin> = plugin(&[("get_size", "echo 1"), ("unload", &unload)]).unwrap().into();
    wait(plugin.cleanup()).unwrap();
    let tmpdir = fs::read_to_string(told).unwrap();
    assert!(tmpdir.starts_with("/tmp/nbdkit") && !fs::exists(tmpdir.trim()).unwrap(), "{tmpdir}");
}

#[test]
fn scripts_are_private() {
    let mut plugin = (PLUGIN.create)();
    let dir = TempDir::new().unwrap();
    let told = dir.path().join("told");
    let config = format!("echo $tmpdir > {}", told.display());
    plugin.config("config", config.as_ref()).unwrap();
    plugin.config("a", "b".as_ref()).unwrap();
    let tmpdir = fs::read_to_string(told).unwrap();
    let mode = |path: &str| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode(tmpdir.trim()), 0o700);
    assert_eq!(mode(&format!("{}/config", tmpdir.trim())), 0o500);
    drop(plugin);
    assert!(!fs::exists(tmpdir.trim()).unwrap());
}
