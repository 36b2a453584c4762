// SPDX-License-Identifier: BSD-3-Clause
//! Names, lists and descriptions are as the parameters say.
#![allow(clippy::unwrap_used)]

use nbdkit_exportname_filter::Exportname;
use nbdkit_filter::{testing::Bench, *};
use nbdkit_plugin::conformance::{Content, Kit};
use std::sync::Mutex;

/// Serves `a` and `b`; the default is `a`.
#[derive(Default)]
struct Two {
    lists_nothing: bool,
    opened: Arc<Mutex<Vec<String>>>,
}

impl Plugin for Two {
    fn list_exports(self: Arc<Self>, _: OpenRequest) -> Op<'static, Option<Vec<Export>>> {
        let described = Export { name: "a".into(), description: Some("the first".into()) };
        Op::ok((!self.lists_nothing).then(|| vec![described, Export::new("b")]))
    }

    fn default_export(self: Arc<Self>, _: OpenRequest) -> Op<'static, Option<String>> {
        Op::ok(Some("a".into()))
    }

    fn open(self: Arc<Self>, req: OpenRequest) -> Opened {
        self.opened.lock().unwrap().push(req.export.to_string());
        req.inline(Zeroes)
    }
}

struct Zeroes;

impl SyncDisk for Zeroes {
    fn info(&self) -> Result<Info> {
        Ok(Info::read_only(512).with(|info| info.description = Some("zeroes".into())))
    }

    fn pread(&self, buf: &mut [u8], _: u64) -> Result<()> {
        buf.fill(0);
        Ok(())
    }
}

struct Chain {
    bench: Bench,
    next: Next,
    opened: Arc<Mutex<Vec<String>>>,
}

impl Chain {
    fn new(params: &[(&str, &str)]) -> Chain {
        Chain::over(Two::default(), params)
    }

    fn over(plugin: Two, params: &[(&str, &str)]) -> Chain {
        let (bench, opened) = (Bench::default(), plugin.opened.clone());
        let plugin = Next::plugin("two", Arc::new(plugin));
        let next = bench.filter::<Exportname>("exportname", params, plugin).unwrap();
        Chain { bench, next, opened }
    }

    /// As `name` or `name: description`.
    fn list(&self) -> Result<Vec<String>> {
        let list = self.bench.run(async { self.next.list_exports(self.bench.request(1, "")).await })?;
        let show = |Export { name, description }| match description {
            Some(description) => format!("{name}: {description}"),
            None => name,
        };
        Ok(list.unwrap_or_else(|| vec![Export::new("(default)")]).into_iter().map(show).collect())
    }

    fn default(&self) -> Option<String> {
        self.bench.run(async { self.next.default_export(self.bench.request(1, "")).await }).unwrap()
    }

    /// The name that arrives behind, or why it cannot be opened.
    fn open(&self, name: &str) -> Result<String> {
        self.bench.run(async { self.next.open(self.bench.request(1, name)).await })?;
        Ok(self.opened.lock().unwrap().pop().unwrap())
    }

    /// How the client is told of what it has opened.
    fn description(&self, name: &str) -> Option<String> {
        let disk = self.bench.run(async { self.next.open(self.bench.request(1, name)).await }).unwrap();
        disk.info().description.as_ref().map(|text| text.to_string())
    }
}

#[test]
fn without_parameters_nothing_changes() {
    let chain = Chain::new(&[]);
    assert_eq!(chain.list().unwrap(), ["a: the first", "b"]);
    assert_eq!(chain.default().unwrap(), "a");
    assert_eq!([chain.open("").unwrap(), chain.open("b").unwrap(), chain.open("c").unwrap()], ["", "b", "c"]);
    assert_eq!(chain.description("b").unwrap(), "zeroes");
}

#[test]
fn the_default_export() {
    for key in ["default-export", "default_export"] {
        let chain = Chain::new(&[(key, "b")]);
        assert_eq!((chain.default().unwrap(), chain.open("").unwrap()), ("b".to_owned(), "b".to_owned()));
        assert_eq!(chain.open("a").unwrap(), "a");
    }
    let chain = Chain::new(&[("default-export", "")]);
    assert_eq!((chain.default().unwrap(), chain.open("").unwrap()), ("a".to_owned(), "".to_owned()));
}

#[test]
fn lists() {
    let names = [("exportname", "x"), ("exportname", ""), ("exportname", "a")];
    let list = |mode| Chain::new(&[&names[..], &[("exportname-list", mode)]].concat()).list();
    assert_eq!(list("keep").unwrap(), ["a: the first", "b"]);
    assert_eq!(list("empty").unwrap(), [""; 0]);
    assert_eq!(list("explicit").unwrap(), ["x", "", "a"]);
    let error = list("error").unwrap_err();
    assert_eq!((error.errno(), error.to_string()), (EPERM, "export list restricted by policy".to_owned()));
    for mode in ["defaultonly", "default-only"] {
        assert_eq!(list(mode).unwrap(), ["a"]);
        let chain = Chain::new(&[("exportname_list", mode), ("default-export", "b")]);
        assert_eq!(chain.list().unwrap(), ["b"]);
    }
    let nothing = || Two { lists_nothing: true, ..Two::default() };
    assert_eq!(Chain::over(nothing(), &[]).list().unwrap(), ["a"]);
    assert_eq!(Chain::over(nothing(), &[("exportdesc", "fixed:one")]).list().unwrap(), ["a: one"]);
}

#[test]
fn strict() {
    let refusal = |chain: &Chain, name| {
        let error = chain.open(name).unwrap_err();
        (error.errno(), error.to_string())
    };
    let chain = Chain::new(&[("exportname-strict", "true"), ("exportname", "b"), ("exportname", "x")]);
    assert_eq!([chain.open("b").unwrap(), chain.open("x").unwrap()], ["b", "x"]);
    assert_eq!(refusal(&chain, ""), (ENOENT, "default export (\"\") not permitted".to_owned()));
    let why = "export \"a\\n\" not found among those given with exportname=";
    assert_eq!(refusal(&chain, "a\n"), (ENOENT, why.to_owned()));
    assert_eq!(chain.default(), None);
    assert!(chain.opened.lock().unwrap().is_empty(), "nothing arrived");
    let list = [("exportname_strict", "true"), ("exportname-list", "defaultonly")];
    assert_eq!(Chain::new(&list).list().unwrap(), [""; 0]);

    let chain = Chain::new(&[("exportname-strict", "true"), ("exportname", "")]);
    assert_eq!((chain.open("").unwrap(), chain.default().unwrap()), ("".to_owned(), "a".to_owned()));
    assert!(chain.open("a").is_err());
    let chain = Chain::new(&[("exportname-strict", "true"), ("exportname", ""), ("default-export", "b")]);
    assert_eq!((chain.open("").unwrap(), chain.default().unwrap()), ("b".to_owned(), "b".to_owned()));
    assert!(chain.open("b").is_err(), "only by the empty name");
}

#[test]
fn descriptions() {
    let chain = Chain::new(&[("exportdesc", "keep")]);
    assert_eq!(chain.description("b").unwrap(), "zeroes");
    let chain = Chain::new(&[("exportdesc", "none")]);
    assert_eq!((chain.list().unwrap(), chain.description("b")), (vec!["a".into(), "b".into()], None));
    let chain = Chain::new(&[("exportdesc", "fixed:one: for all")]);
    assert_eq!(chain.list().unwrap(), ["a: one: for all", "b: one: for all"]);
    assert_eq!(chain.description("c").unwrap(), "one: for all");
}

#[test]
fn descriptions_by_a_command() {
    let script = |command: &str| Chain::new(&[("exportdesc", &*format!("script:{command}"))]);
    let chain = script("echo \"<$name>\"; echo");
    assert_eq!(chain.list().unwrap(), ["a: <a>\n", "b: <b>\n"], "one newline is cut off");
    for name in ["b", "-n", "$(exit)", "'; exit; '", "two words", "\u{e4}"] {
        assert_eq!(chain.description(name).unwrap(), format!("<{name}>\n"), "never a command");
    }
    assert_eq!(chain.description("").unwrap(), "<a>\n", "the default by its name");
    let chain = Chain::new(&[("exportdesc", "script:echo \"$name\""), ("default-export", "b")]);
    assert_eq!(chain.description("").unwrap(), "b");

    assert_eq!(script("true").description("a"), None);
    assert_eq!(script("exit 3").description("a"), None);
    let odd = script("-x 2>&-; echo ran").description("a");
    assert_eq!(odd.as_deref(), Some("ran"), "what begins with a dash is no option of the shell");
    assert_eq!(script("printf 'a\\0b'").description("a").unwrap(), "a");
    assert_eq!(script("cat").description("a"), None, "there is nothing to read");
    assert_eq!(script("yes").description("a").unwrap().len(), 4095, "4096 without a newline");
    let odd = script("printf '\\377%.0s' $(seq 3000)").description("a").unwrap();
    assert!(odd.len() <= 4096 && odd.chars().all(|c| c == '\u{fffd}'), "{} bytes", odd.len());

    let chain = script("echo hm >&2; echo yes");
    assert_eq!(chain.description("a").unwrap(), "yes");
    assert_eq!(chain.bench.lines(), ["exportname[1]: error: exportdesc: description of \"a\": hm"]);
    let chain = script("true");
    assert_eq!(chain.description("a\0b"), None);
    let [line] = &chain.bench.lines()[..] else { panic!("one line should be logged") };
    assert!(
        line.starts_with("exportname[1]: error: exportdesc: description of \"a\\0b\": /bin/sh: "),
        "{line}"
    );
}

#[test]
fn keeps_the_promises_of_a_disk() {
    let bench = Bench::default();
    let mut memory = (nbdkit_memory_plugin::PLUGIN.create)();
    memory.config("size", "100001".as_ref()).unwrap();
    memory.get_ready().unwrap();
    let memory = Next::plugin("memory", memory.into());
    let params = [("default-export", "a"), ("exportdesc", "script:echo \"$name\"")];
    let next = bench.filter::<Exportname>("exportname", &params, memory).unwrap();
    let driver = bench.clone();
    Kit::disks(move |read_only, connection| {
        let mut req = bench.request(connection, "");
        req.read_only = read_only;
        bench.run(async { next.open(req).await })
    })
    .driver(move |task| driver.run(task))
    .size(100_001)
    .content(Content::Zeroes)
    .run();
}

#[test]
fn bad_parameters() {
    let refusal =
        |key: &str, value: &str| Exportname::default().config(key, value.as_ref()).unwrap_err().to_string();
    let long = "x".repeat(4097);
    for (key, value) in [
        ("exportname", long.clone()),
        ("default-export", long.clone()),
        ("exportdesc", format!("fixed:{long}")),
    ] {
        assert_eq!(refusal(key, &value), format!("{key}: 4097 bytes are too many, should be at most 4096"));
    }
    assert_eq!(
        refusal("exportdesc", "fixed"),
        "exportdesc: unknown value 'fixed', should be keep, none, fixed:TEXT or script:COMMAND"
    );
    assert!(
        refusal("exportname-list", "all").starts_with("exportname-list: unknown value 'all', should be keep")
    );
}
