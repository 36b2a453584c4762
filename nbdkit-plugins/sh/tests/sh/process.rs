// SPDX-License-Identifier: BSD-3-Clause
//! How scripts are started, and what they find.

use crate::bench::{Bench, Script, configured};
use std::fs;

#[test]
fn a_script_need_not_say_what_runs_it() {
    let script = Script::whole(
        "script",
        "case $1 in open) echo \"$0 $# $2 $3 $4\" ;; get_size) echo ${#2} ;; *) exit 2 ;; esac",
    );
    let bench = Bench::new(&script).unwrap();
    let size = bench.open_as(bench.request("a b")).unwrap().disk.info().size;
    // $0 is its path, and the arguments are where they are when it is run directly.
    let handle = format!("{} 4 false a b false", script.path.display());
    assert_eq!(size as usize, handle.len());
}

#[test]
fn any_executable_will_do() {
    // `true` says yes to everything and prints nothing, which is no size.
    let bench = Bench::ready(configured("/bin/true".as_ref(), &[("a", "b")]).unwrap()).unwrap();
    assert!(bench.open().err().unwrap().to_string().starts_with("get_size: "));
    let script = Script::whole("script", "#!/no/such/interpreter\n");
    let error = Bench::new(&script).err().unwrap().to_string();
    assert_eq!(error, format!("{}: load: No such file or directory", script.path.display()));
}

#[test]
fn standard_input_is_a_pipe_for_all_methods() {
    let script = Script::new(
        "*) readlink /proc/self/fd/0 >> $dir/stdin; cat >> $dir/stdin; [ $1 = get_size ] && echo 1; exit 0 ;;",
    );
    let bench = Bench::new(&script).unwrap();
    let _ = bench.open();
    bench.cleanup();
    let seen = fs::read_to_string(script.file("stdin")).unwrap();
    assert_eq!(seen.lines().count(), script.calls().len());
    assert!(seen.lines().all(|line| line.starts_with("pipe:[")), "{seen}");
}
