// SPDX-License-Identifier: BSD-3-Clause
//! The manual's example as it is typed, in namespaces where example.com is a server of the test.

use std::fs;

use nbdkit_tests::{data::assert_same, nbdkit, run, tool};

use super::authority::Authority;

const MANUAL: &str = include_str!("../../../../nbdkit-plugins/curl/README.md");

/// All that differs from the world outside: names, what the system trusts, and who listens on port 443. The first
/// process of it is the shell, with which all others end.
const WORLD: &str = r#"
set -eu
ip link set lo up
mount --bind "$dir/hosts" /etc/hosts
mount --bind "$dir/ca.pem" /etc/ssl/certs/ca-certificates.crt
nginx -p "$dir" -c "$dir/nginx.conf" -e "$dir/error.log" &
while ! test -s "$dir/pid"; do kill -0 $!; sleep 0.01; done
nbdkit() { "$NBDKIT" "$@"; }
"#;

#[test]
fn nbdkit_r_curl_https_example_com_disk_img() {
    let example = "nbdkit -r curl https://example.com/disk.img";
    assert!(MANUAL.lines().any(|line| line == example), "the manual has the line {example}");
    let dir = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    authority.save(dir.path());
    authority.issue(&["example.com"], &dir.path().join("server.pem"), &dir.path().join("key.pem"));
    fs::write(dir.path().join("hosts"), "127.0.0.1 localhost example.com\n").unwrap();
    fs::create_dir(dir.path().join("www")).unwrap();
    let image = dir.path().join("www/disk.img");
    fs::write(&image, nbdkit_tests::data::random(1, (5 << 20) + 512)).unwrap();
    let shown = dir.path().display();
    let conf = format!(
        "daemon off; master_process off; user root; pid {shown}/pid; events {{}}
         http {{ access_log off; client_body_temp_path {shown}/t1; proxy_temp_path {shown}/t2;
           fastcgi_temp_path {shown}/t3; uwsgi_temp_path {shown}/t4; scgi_temp_path {shown}/t5;
           server {{ listen 127.0.0.1:443 ssl http2; root {shown}/www;
             ssl_certificate {shown}/server.pem; ssl_certificate_key {shown}/key.pem; }} }}"
    );
    fs::write(dir.path().join("nginx.conf"), conf).unwrap();

    let script = format!(
        "{WORLD}
         {example}
         nbdcopy nbd://localhost \"$dir/copy\""
    );
    let binary = nbdkit().get_program().to_owned();
    let mut unshare = tool("unshare");
    if !nix::unistd::geteuid().is_root() {
        // Who is not root may be, in a namespace of his own.
        unshare.arg("--map-root-user");
    }
    unshare.args(["--mount", "--net", "--pid", "--fork", "--kill-child", "--", "bash", "-c", &script]);
    run(unshare.env("dir", dir.path()).env("NBDKIT", binary).env_remove("SSL_CERT_FILE")).ok();
    assert_same(&dir.path().join("copy"), &image);
}
