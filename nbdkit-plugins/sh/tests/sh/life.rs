// SPDX-License-Identifier: BSD-3-Clause
//! From `load` to `unload`: what comes when, what it is told, and what it may say.

use crate::bench::{Bench, Script, configured, wait};
use nbdkit_plugin::*;
use nbdkit_sh_plugin::PLUGIN;
use std::{fs, os::unix::fs::PermissionsExt, path::Path};

#[test]
fn every_method_in_order() {
    let script = Script::new(
        "open) echo handle ;; get_size) echo 1M ;; export_description) echo text ;;
         can_*|is_*) exit 3 ;; list_exports) echo a ;; *) exit 0 ;;",
    );
    // can_fua and can_cache print words.
    let text = fs::read_to_string(&script.path)
        .unwrap()
        .replace("can_*", "block_size|can_cache|can_fua) exit 2 ;; can_*");
    let script = Script::whole("script", &text);
    let bench = Bench::ready(configured(&script.path, &[("key", "value"), ("key", "")]).unwrap()).unwrap();
    let mut req = bench.request("name");
    (req.tls, req.read_only) = (true, true);
    wait(bench.plugin.clone().preconnect(req.connection.clone())).unwrap();
    wait(bench.plugin.clone().list_exports(bench.request(""))).unwrap();
    wait(bench.plugin.clone().default_export(req.clone())).unwrap();
    let client = bench.open_as(req).unwrap();
    wait(client.disk.close()).unwrap();
    bench.cleanup();
    assert_eq!(
        script.calls(),
        [
            "[load]",
            "[magic_config_key]",
            "[config][key][value]",
            "[config][key][]",
            "[config_complete]",
            "[thread_model]",
            "[get_ready]",
            "[after_fork]",
            "[preconnect][false]",
            "[list_exports][false][false]",
            "[default_export][true][true]",
            "[open][true][name][true]",
            "[get_size][handle]",
            "[can_flush][handle]",
            "[is_rotational][handle]",
            "[can_multi_conn][handle]",
            "[can_cache][handle]",
            "[can_extents][handle]",
            "[block_size][handle]",
            "[export_description][handle]",
            "[close][handle]",
            "[unload]",
        ]
    );
}

#[test]
fn what_is_not_there_does_not_matter() {
    let bench = Bench::of("get_size) echo 1M ;;");
    wait(bench.plugin.clone().preconnect(bench.request("").connection)).unwrap();
    assert_eq!(wait(bench.plugin.clone().list_exports(bench.request(""))).unwrap(), None);
    assert_eq!(wait(bench.plugin.clone().default_export(bench.request(""))).unwrap(), Some(String::new()));
    assert_eq!(bench.plugin.thread_model(), ThreadModel::SerializeAllRequests);
    let client = bench.open().unwrap();
    wait(client.disk.close()).unwrap();
    bench.cleanup();
}

#[test]
fn a_private_directory_as_long_as_it_is_needed() {
    let script = Script::new(
        "open) echo x > $tmpdir/kept; mkdir $tmpdir/deep; touch $tmpdir/deep/file ;;
        get_size) cat $tmpdir/kept >&2 || exit 1; echo 1 ;;",
    );
    let bench = Bench::new(&script).unwrap();
    let tmpdir = script.tmpdir();
    let name = tmpdir.strip_prefix("/tmp").unwrap().to_str().unwrap();
    assert!(name.starts_with("nbdkit") && name.len() == 12, "{name}");
    assert_eq!(fs::metadata(&tmpdir).unwrap().permissions().mode() & 0o7777, 0o700);
    bench.open().unwrap();
    assert_eq!(script.tmpdir(), tmpdir);
    // Not only when the last owner of the plugin goes.
    let kept = bench.plugin.clone();
    bench.cleanup();
    assert!(!tmpdir.exists());
    drop(kept);
}

#[test]
fn nothing_is_left_of_a_start_that_fails() {
    let fails = |method: &str| Script::new(&format!("{method}) echo EINVAL no >&2; exit 1 ;;"));
    for method in
        ["load", "magic_config_key", "config", "config_complete", "thread_model", "get_ready", "after_fork"]
    {
        let script = fails(method);
        let started = configured(&script.path, &[("a", "b")][..usize::from(method == "config")]);
        let error = started.and_then(Bench::ready).err().expect(method);
        assert_eq!((error.errno(), error.to_string()), (EINVAL, format!("{}: no", script.path.display())));
        assert!(!script.tmpdir().exists(), "{method}");
        assert_eq!(script.calls().last().unwrap(), "[unload]", "{method}");
    }
    for method in ["preconnect", "list_exports", "default_export", "open", "get_size", "close"] {
        let script = fails(method);
        let bench = Bench::new(&script).unwrap();
        let (plugin, req) = (bench.plugin.clone(), bench.request(""));
        let error = match method {
            "preconnect" => wait(plugin.preconnect(req.connection.clone())).err(),
            "list_exports" => wait(plugin.list_exports(req)).err(),
            "default_export" => wait(plugin.default_export(req)).err(),
            _ => bench.open().map(|_| ()).err(),
        };
        // `close` is not reached: there is no get_size, which is an error too.
        let want = if method == "close" { "the get_size method is required" } else { "no" };
        assert!(error.unwrap().to_string().ends_with(want), "{method}");
        assert_eq!(script.calls().last().unwrap() == "[close][]", ["get_size", "close"].contains(&method));
    }
}

fn refused(params: &[(&str, &str)]) -> String {
    let mut plugin = (PLUGIN.create)();
    for (key, value) in params {
        match plugin.config(key, value.as_ref()) {
            Ok(taken) => assert_eq!(taken, Taken::Yes),
            Err(error) => return error.to_string(),
        }
    }
    plugin.config_complete().unwrap_err().to_string()
}

#[test]
fn what_is_wrong_on_the_command_line() {
    assert_eq!(refused(&[]), "missing script parameter");
    assert_eq!(refused(&[("a", "b")]), "the first parameter must be script=/path/to/script, not a=");
    assert_eq!(refused(&[("script", "no/such/script")]), "script=no/such/script: No such file or directory");
    assert_eq!(refused(&[("script", "")]), "script=: No such file or directory");
    assert_eq!(refused(&[("script", "/dev/null")]), "/dev/null: load: Permission denied");
    let script = Script::new("");
    let path = script.path.to_str().unwrap();
    assert_eq!(
        refused(&[("script", path), ("key", "value")]),
        format!("{path}: this plugin does not need command line configuration: key=")
    );
}

#[test]
fn values_without_a_key() {
    for (body, key) in
        [("magic_config_key) echo file ;;", Some("file")), ("magic_config_key) ;;", None), ("", None)]
    {
        assert_eq!((PLUGIN.create)().magic_key().as_deref(), Some("script"));
        let script = Script::new(body);
        assert_eq!(configured(&script.path, &[]).unwrap().magic_key().as_deref(), key);
    }
}

#[test]
fn the_script_is_found_again_from_elsewhere() {
    let script = Script::new("get_size) echo 1 ;;");
    // A link and dots, which are resolved once.
    let link = script.file("link");
    std::os::unix::fs::symlink(&script.path, &link).unwrap();
    let bench = Bench::ready(configured(&script.file("../").join(&link), &[]).unwrap()).unwrap();
    fs::remove_file(link).unwrap();
    assert_eq!(bench.open().unwrap().disk.info().size, 1);
}

#[test]
fn thread_models() {
    for (says, model) in [
        ("echo parallel", ThreadModel::Parallel),
        ("echo serialize-requests", ThreadModel::SerializeRequests),
        ("echo serialize_connections", ThreadModel::SerializeConnections),
        ("echo serialize_all_requests", ThreadModel::SerializeAllRequests),
        ("echo whatever", ThreadModel::SerializeAllRequests),
        ("exit 2", ThreadModel::SerializeAllRequests),
    ] {
        let script = Script::new(&format!("thread_model) {says} ;;"));
        let mut plugin = configured(&script.path, &[]).unwrap();
        assert_eq!(plugin.thread_model(), model, "--dump-plugin asks before config_complete");
        plugin.config_complete().unwrap();
        assert_eq!(plugin.thread_model(), model, "{says}");
    }
}

#[test]
fn lines_for_dump_plugin() {
    let dump = |plugin: &dyn Plugin| -> String {
        plugin.dump().iter().map(|(key, value)| format!("{key}={value}\n")).collect()
    };
    assert_eq!(dump(&*(PLUGIN.create)()), "max_known_status=8\n");
    let script = Script::new("dump_plugin) echo a=b; echo plain; echo; echo c=d ;;");
    let plugin = configured(&script.path, &[]).unwrap();
    assert_eq!(dump(&*plugin), "max_known_status=8\na=b\nplain\n\nc=d\n");
    drop(plugin);
    assert_eq!(script.calls().last().unwrap(), "[unload]");
    assert!(!script.tmpdir().exists());
}

#[test]
fn lists_of_exports() {
    let script = Script::new(
        "list_exports) printf 'INTERLEAVED\\na\\nfirst\\nb\\nsecond\\n' ;;
        default_export) printf 'NAMES+DESCRIPTIONS\\nd\\ne\\nD\\nE\\n' ;;",
    );
    let bench = Bench::new(&script).unwrap();
    let list = wait(bench.plugin.clone().list_exports(bench.request(""))).unwrap().unwrap();
    let export = |name: &str, text: &str| Export { name: name.into(), description: Some(text.into()) };
    assert_eq!(list, [export("a", "first"), export("b", "second")]);
    let default = wait(bench.plugin.clone().default_export(bench.request(""))).unwrap();
    assert_eq!(default.as_deref(), Some("d"));
}

#[test]
fn a_relative_script_that_looks_like_an_option() {
    let script = Script::whole("-c", "#!/bin/sh\ncase $1 in get_size) echo 7 ;; *) exit 2 ;; esac");
    for text in
        [fs::read_to_string(&script.path).unwrap(), "case $1 in get_size) echo 7 ;; *) exit 2 ;; esac".into()]
    {
        let script = Script::whole("-c", &text);
        let path = Path::new("/proc/self/cwd/..").join(script.path.strip_prefix("/").unwrap());
        // However it is named, it is started by its absolute name.
        let absolute = path.canonicalize().unwrap_or_else(|_| script.path.clone());
        let bench = Bench::ready(configured(&absolute, &[]).unwrap()).unwrap();
        assert_eq!(bench.open().unwrap().disk.info().size, 7);
    }
}
