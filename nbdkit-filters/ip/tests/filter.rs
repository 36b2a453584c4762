// SPDX-License-Identifier: BSD-3-Clause
//! Who is let in by which rules.
#![allow(clippy::unwrap_used)]

use nbdkit_filter::{testing::Bench, *};
use nbdkit_ip_filter::Ip;
use nbdkit_plugin::conformance::{Content, Kit};

const SIZE: u64 = 100_001;
const REFUSAL: &str = "client not permitted to connect because of source address restriction";

fn memory() -> Next {
    let mut memory = (nbdkit_memory_plugin::PLUGIN.create)();
    memory.config("size", SIZE.to_string().as_ref()).unwrap();
    memory.get_ready().unwrap();
    Next::plugin("memory", memory.into())
}

struct Chain {
    bench: Bench,
    next: Next,
}

impl Chain {
    /// `allow=... deny=...`, with spaces in between.
    fn new(rules: &str) -> Chain {
        let bench = Bench::default();
        let params: Vec<_> = rules.split_whitespace().map(|rule| rule.split_once('=').unwrap()).collect();
        let next = bench.filter::<Ip>("ip", &params, memory()).unwrap();
        Chain { bench, next }
    }

    fn connects(&self, connection: &Connection) -> bool {
        match self.bench.run(async { self.next.preconnect(connection.clone()).await }) {
            Ok(()) => true,
            Err(error) => {
                assert_eq!((error.errno(), error.to_string().as_str()), (EPERM, REFUSAL));
                false
            }
        }
    }

    /// Whether it may open an export; listing them must be the same.
    fn opens(&self, connection: &Connection, certificate: Option<&Certificate>) -> bool {
        let req = || {
            let mut req = OpenRequest::new(connection, "");
            req.certificate = certificate.cloned().map(Arc::new);
            req
        };
        let lists = self.bench.run(async { self.next.list_exports(req()).await.is_ok() });
        match self.bench.run(async { self.next.open(req()).await.map(drop) }) {
            Ok(()) => assert!(lists),
            Err(error) => {
                assert_eq!(error.to_string(), REFUSAL);
                assert!(!lists);
            }
        }
        lists
    }
}

/// `1.2.3.4`, `::1`, `unix:PID/UID/GID/LABEL`, `vsock:CID/PORT`, `other`.
fn client(server: &Server, what: &str) -> Connection {
    let connection = |peer| Connection::new(server, 1, peer);
    if let Some(process) = what.strip_prefix("unix:") {
        let mut parts = process.split('/');
        let mut number = || parts.next().unwrap().parse().unwrap();
        let credentials = Credentials { pid: number() as i32, uid: number(), gid: number() };
        let label = parts.next().map(str::to_owned);
        return connection(Peer::Unix).with_process(Some(credentials), label);
    }
    if let Some((cid, port)) = what.strip_prefix("vsock:").and_then(|place| place.split_once('/')) {
        return connection(Peer::Vsock { cid: cid.parse().unwrap(), port: port.parse().unwrap() });
    }
    match what {
        "other" => connection(Peer::Other),
        address => connection(Peer::Ip((address.parse::<std::net::IpAddr>().unwrap(), 4242).into())),
    }
}

#[test]
fn who_is_let_in() {
    for (rules, admitted, refused) in [
        ("", "1.2.3.4 ::1 unix:1/0/0 vsock:2/3 other", ""),
        ("allow= deny=", "1.2.3.4 other", ""),
        ("deny=all", "", "1.2.3.4 ::1 unix:1/0/0 vsock:2/3 other"),
        ("allow=all deny=all", "1.2.3.4 ::1 unix:1/0/0 vsock:2/3 other", ""),
        ("allow=1.2.3.4", "1.2.3.4 5.6.7.8 ::1 unix:1/0/0", "other"),
        ("deny=1.2.3.4", "5.6.7.8 ::1 unix:1/0/0", "1.2.3.4 other"),
        ("allow=127.0.0.1,::1 deny=all", "127.0.0.1 ::1", "127.0.0.2 ::2 unix:1/0/0 vsock:2/3 other"),
        ("deny=all allow=127.0.0.1 allow=::1", "127.0.0.1 ::1", "127.0.0.2"),
        ("deny=8.0.0.0/8", "9.0.0.1 ::8", "8.0.0.1 8.255.255.255"),
        ("allow=anyipv6 deny=all", "::1 fe80::1", "127.0.0.1 ::ffff:127.0.0.1"),
        ("allow=allipv4 deny=all", "1.2.3.4 ::ffff:1.2.3.4", "::1 unix:1/0/0"),
        ("deny=1.2.3.0/24", "::ffff:1.2.4.1", "::ffff:1.2.3.255"),
        ("deny=::ffff:1.2.3.0/120", "1.2.4.0 ::1", "1.2.3.9 ::ffff:1.2.3.9"),
        ("deny=::/0", "1.2.3.4 ::ffff:1.2.3.4", "::1 2001:db8::1"),
        ("deny=2001:db8::/32", "2001:db9::1", "2001:db8::1 2001:db8:ffff::"),
        ("allow=anyunix deny=any", "unix:1/0/0", "::1 127.0.0.1 vsock:2/3"),
        ("allow=allvsock deny=any", "vsock:2/3", "::1 unix:1/0/0"),
        ("allow=pid:77 deny=all", "unix:77/1/1", "unix:78/77/77 1.2.3.4"),
        ("allow=uid:1000 deny=all", "unix:7/1000/1", "unix:1000/0/1000 1.2.3.4"),
        ("deny=uid:0,gid:0", "unix:7/1/1 1.2.3.4", "unix:7/0/1 unix:7/1/0"),
        ("allow=gid:100 deny=anyunix", "unix:7/5/100 1.2.3.4", "unix:100/100/5"),
        (
            "allow=security:a_t:s0 deny=all",
            "unix:7/5/5/a_t:s0",
            "unix:7/5/5/a_t unix:7/5/5/a_t:s0:c1 unix:7/5/5",
        ),
        ("allow=vsock-cid:2 deny=all", "vsock:2/9", "vsock:3/2 unix:2/2/2"),
        ("allow=vsock-port:3 deny=all", "vsock:9/3", "vsock:3/9"),
        ("allow=loopback deny=all", "127.0.0.1 127.9.9.9 ::1 ::ffff:127.0.0.1", "128.0.0.1 ::2 unix:1/0/0"),
        ("allow=loopbackv4 deny=all", "127.9.9.9", "::1 128.0.0.1"),
        ("allow=loopbackipv4 deny=all", "127.9.9.9", "::1"),
        ("allow=loopback4 deny=all", "127.9.9.9", "::1"),
        ("allow=loopbackv6 deny=all", "::1", "127.0.0.1 ::2"),
        ("allow=loopbackipv6 deny=all", "::1", "127.0.0.1"),
        ("allow=loopback6 deny=all", "::1", "127.0.0.1"),
    ] {
        let chain = Chain::new(rules);
        for (clients, expected) in [(admitted, true), (refused, false)] {
            for what in clients.split_whitespace() {
                let connection = client(chain.bench.server(), what);
                assert_eq!(chain.connects(&connection), expected, "{rules}: {what}");
                // What was decided is not asked again.
                assert!(chain.opens(&connection, None), "{rules}: {what}");
            }
        }
    }
}

/// Such rules are about what comes after a client has connected.
#[test]
fn certificates() {
    let certificate = |subject: &str| Certificate { subject: subject.into(), issuer: "CN=ca,O=Trust".into() };
    let alice = &certificate("CN=alice,O=Example");
    let mallory = &certificate("CN=mallory,O=Evil");
    for (rules, place, connects, opens) in [
        ("allow=dn:CN=alice,O=Example deny=all", "1.2.3.4", true, [true, false, false]),
        ("allow=dn:CN=*,O=Example deny=all", "unix:1/1/1", true, [true, false, false]),
        ("allow=issuer-dn:CN=ca,O=* deny=all", "1.2.3.4", true, [true, true, false]),
        ("deny=dn:*O=Evil", "1.2.3.4", true, [true, false, true]),
        ("deny=dn:*O=Evil deny=1.2.3.4", "1.2.3.4", false, [false, false, false]),
        ("deny=dn:*O=Evil deny=1.2.3.4", "5.6.7.8", true, [true, false, true]),
        ("allow=1.2.3.4 allow=dn:CN=alice* deny=all", "1.2.3.4", true, [true, true, true]),
        ("allow=1.2.3.4 allow=dn:CN=alice* deny=all", "5.6.7.8", true, [true, false, false]),
        ("deny=dn:*", "other", true, [false, false, false]),
    ] {
        let chain = Chain::new(rules);
        let connection = client(chain.bench.server(), place);
        assert_eq!(chain.connects(&connection), connects, "{rules}");
        let opened = [Some(alice), Some(mallory), None].map(|shown| chain.opens(&connection, shown));
        assert_eq!(opened, opens, "{rules}: {place}");
    }
}

#[test]
fn rules_are_told_on_demand() {
    for (params, told) in [
        (&[("allow", "10.0.0.0/8"), ("deny", "all")][..], &[][..]),
        (
            &[("-D rules", "1"), ("deny", "all"), ("allow", "10.0.0.0/8,pid:7")],
            &[
                "ip: allow=10.0.0.0/8",
                "ip: allow=pid:7",
                "ip: deny=any",
                "ip[1]: let in by allow=10.0.0.0/8",
                "ip[1]: sent away by deny=any",
            ],
        ),
    ] {
        let bench = Bench::default();
        let chain = Chain { next: bench.filter::<Ip>("ip", params, memory()).unwrap(), bench };
        assert!(chain.connects(&client(chain.bench.server(), "10.1.2.3")));
        assert!(!chain.connects(&client(chain.bench.server(), "1.2.3.4")));
        assert_eq!(chain.bench.lines(), told);
    }
}

#[test]
fn mistakes_name_the_rule() {
    let refusal = |key, value| {
        let result = Bench::default().filter::<Ip>("ip", &[(key, value)], memory());
        result.map(drop).unwrap_err().to_string()
    };
    assert_eq!(refusal("allow", "any,1.2.3.4/33"), "prefix is > 32 in allow=1.2.3.4/33");
    assert_eq!(refusal("deny", "any,,"), "deny: empty entry in rule list");
}

#[test]
fn keeps_the_promises_of_a_disk() {
    let Chain { bench, next } = Chain::new("allow=all");
    let driver = bench.clone();
    Kit::disks(move |read_only, connection| {
        let mut req = bench.request(connection, "");
        req.read_only = read_only;
        bench.run(async { next.open(req).await })
    })
    .driver(move |task| driver.run(task))
    .size(SIZE)
    .content(Content::Zeroes)
    .run();
}
