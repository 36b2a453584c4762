// SPDX-License-Identifier: BSD-3-Clause
//! What can be said on the command line.

use crate::{
    header::Header,
    resolver::{Family, Rule},
    tls::{Ciphers, Tls12, Tls13, Versions},
    words::{HttpVersion, MaybePath, Protocols, ProxyUrl, Unavailable, UrlText},
};
use nbdkit_plugin::{Error, Required, Result, params};
use nbdkit_secret::Secret;
use std::path::PathBuf;

params! {
    pub(crate) struct Params {
        /// The URL of the disk image, http:// or https://.
        [magic] [required "you must supply the url=<URL> parameter after the plugin name on the command line"]
        "url" => url: Required<UrlText>,
        /// File with the certificates that are trusted, instead of the system's; empty: none of the system's.
        "cainfo" => cainfo: Option<MaybePath>,
        /// Directory with the certificates that are trusted, instead of the system's.
        "capath" => capath: Option<PathBuf>,
        /// How many connections to the server there are at most, over all clients.
        "connections" => connections: u32 = 16,
        /// Cookies to send: NAME=VALUE; NAME=VALUE. Or -, -FD or +FILE, as for passwords.
        "cookie" => cookie: Option<Secret>,
        /// Use the cookies that the server sets, and those in this file; empty: only the server's.
        "cookiefile" => cookiefile: Option<MaybePath>,
        /// The same, and write them back to the file when a client goes.
        "cookiejar" => cookiejar: Option<PathBuf>,
        /// Shell script that prints cookies to send.
        "cookie-script" => cookie_script: Option<String>,
        /// After how many seconds the script is run again; 0: never.
        "cookie-script-renew" => cookie_script_renew: Option<u32>,
        /// Whether to go where the server redirects to.
        "followlocation" => followlocation: bool = true,
        /// A header to send, NAME: VALUE; or NAME; to send it empty, or NAME: to leave it out.
        "header" => headers: Vec<Header>,
        /// Shell script that prints headers to send, one a line.
        "header-script" => header_script: Option<String>,
        /// After how many seconds the script is run again; 0: never.
        "header-script-renew" => header_script_renew: Option<u32>,
        /// Which version of HTTP to speak.
        "http-version" => http_version: HttpVersion = HttpVersion::Any,
        /// Whether to connect by IPv4 or IPv6 only.
        "ipresolve" => ipresolve: Family = Family::Any,
        /// The password of the user.
        "password" => password: Option<Secret>,
        /// Allowed protocols with commas between them, for the URL and for redirects.
        "protocols" => protocols: Protocols = Protocols::default(),
        /// URL of a proxy, [http|https|socks4|socks4a|socks5|socks5h://]HOST[:PORT]; empty: none, whatever the
        /// environment says.
        "proxy" => proxy: Option<ProxyUrl>,
        /// Cannot be used: cainfo holds for an HTTPS proxy as well.
        "proxy-cainfo" => proxy_cainfo: Option<Unavailable>,
        /// Cannot be used: capath holds for an HTTPS proxy as well.
        "proxy-capath" => proxy_capath: Option<Unavailable>,
        /// The password of the user at the proxy.
        "proxy-password" => proxy_password: Option<Secret>,
        /// The user at the proxy.
        "proxy-user" => proxy_user: Option<String>,
        /// HOST:PORT:ADDRESS[,ADDRESS...]: which addresses a host name has, instead of asking.
        "resolve" => resolve: Vec<Rule>,
        /// Whether to check the certificate of the server.
        "sslverify" => sslverify: bool = true,
        /// Cipher suites for TLS 1.2, as OpenSSL calls them, with colons between them.
        "ssl-cipher-list" => ssl_cipher_list: Option<Ciphers<Tls12>>,
        /// The oldest version of TLS to speak.
        "ssl-version" => ssl_version: Versions = Versions::Default,
        /// Cipher suites for TLS 1.3 with colons between them.
        "tls13-ciphers" => tls13_ciphers: Option<Ciphers<Tls13>>,
        /// Whether the system shall notice when the server is gone while nothing is sent.
        "tcp-keepalive" => tcp_keepalive: bool = false,
        /// Whether small requests are sent at once; false collects them.
        "tcp-nodelay" => tcp_nodelay: bool = true,
        /// After how many seconds a request fails; 0: never.
        "timeout" => timeout: u32 = 0,
        /// Connect to this Unix domain socket, whatever host the URL names.
        "unix-socket-path" => unix_socket_path: Option<PathBuf>,
        /// The user to log in as.
        "user" => user: Option<String>,
        /// What to send as the User-Agent header; nothing by default.
        "user-agent" => user_agent: Option<String>,
    }
}

params! {
    pub(crate) struct DebugFlags {
        /// Shows the headers that are sent and received, without values that may be secret.
        "verbose" => verbose: i32 = 0,
        /// Numbers the requests in these messages.
        "verbose.ids" => ids: i32 = 0,
        /// Shows at the end how long requests have taken.
        "times" => times: i32 = 0,
        /// Shows what the scripts for headers and cookies print, without the values.
        "scripts" => scripts: i32 = 0,
    }
}

impl Params {
    /// Whether those that were given make sense together.
    pub(crate) fn go_together(&self) -> Result<()> {
        let refuse = |message: &'static str| Err(Error::invalid(message));
        match () {
            () if !self.headers.is_empty() && self.header_script.is_some() => {
                refuse("header and header-script cannot be used at the same time")
            }
            () if self.cookie.is_some() && self.cookie_script.is_some() => {
                refuse("cookie and cookie-script cannot be used at the same time")
            }
            () if self.header_script_renew.is_some() && self.header_script.is_none() => {
                refuse("header-script-renew cannot be used without header-script")
            }
            () if self.cookie_script_renew.is_some() && self.cookie_script.is_none() => {
                refuse("cookie-script-renew cannot be used without cookie-script")
            }
            () if self.connections == 0 => refuse("connections cannot be 0, should be 1 or more"),
            () if self.proxy.is_none() && (self.proxy_user.is_some() || self.proxy_password.is_some()) => {
                refuse(
                    "proxy-user and proxy-password need proxy=: they are not for proxies of the environment",
                )
            }
            () if self.proxy.is_some() && self.unix_socket_path.is_some() => {
                refuse("proxy and unix-socket-path cannot be used at the same time")
            }
            () => Ok(()),
        }
    }
}
