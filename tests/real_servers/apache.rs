// SPDX-License-Identifier: MPL-2.0

//! Apache with its authentication modules, in front of a publishing point.

use std::process::Command;
use std::time::Duration;

use crate::daemon::{self, Daemon, Directory, part, program};
use crate::push::{DOMAIN, PASSWORD, USER};

const MODULES: &str = "/usr/lib/apache2/modules";
const PACKAGE: &str = "apache2-bin";
const REALM: &str = "apache";

/// Lifetime of nonces at `/stale`.
pub const LIFETIME: Duration = Duration::from_secs(1);

/// The fields of the log for each request, separated by tabs.
const LOG_FORMAT: &str =
    r"%{remote}p\t%U\t%>s\t%{Content-Type}i\t%{Content-Length}i\t%{Authorization}i";

/// Apache. The first part of a path selects the authentication; the rest is the path of the publishing point.
pub struct Apache(Daemon);

impl Apache {
    /// Starts Apache with `/open`, `/basic`, `/digest`, `/stale` (Digest with short-lived nonces) and `/ntlm`.
    pub fn in_front_of(origin: &str) -> Self {
        Self::start(origin, |_, _| String::new())
    }

    /// Starts Apache with more configuration and more environment variables.
    pub fn start(origin: &str, more: impl Fn(&Directory, &mut Command) -> String) -> Self {
        part("/etc/gss/mech.d/mech.ntlmssp.conf", "gss-ntlmssp");
        let gssapi = format!("{MODULES}/mod_auth_gssapi.so");
        part(&gssapi, "libapache2-mod-auth-gssapi");
        let directory = Directory::new();
        let basic = daemon::output(
            Command::new(program("htpasswd", "apache2-utils")).args(["-nbm", USER, PASSWORD]),
        );
        directory.write("basic", &basic);
        directory.write("digest", &crate::push::htdigest(REALM, "md5sum"));
        let ntlm = directory.write("ntlm", &format!("{DOMAIN}:{USER}:{PASSWORD}\n"));
        let start = |directory: &Directory, port: u16, command: &mut Command| {
            command.env("NTLM_USER_FILE", &ntlm);
            let more = more(directory, command);
            let path = directory.path().display().to_string();
            let configuration = configuration(&path, port, origin) + &more;
            let configuration = directory.write("httpd.conf", &configuration);
            command.args(["-D", "FOREGROUND", "-f", &configuration]);
        };
        Self(Daemon::start(
            directory,
            &program("apache2", PACKAGE),
            start,
        ))
    }

    #[cfg(feature = "kerberos")]
    pub fn port(&self) -> u16 {
        self.0.port
    }

    pub fn location(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}/{path}", self.0.port)
    }

    /// Waits for `count` requests, and returns the completed requests in their order.
    #[track_caller]
    pub fn requests(&self, count: usize) -> Vec<Request> {
        let lines = self
            .0
            .wait_for_log("access.log", |lines| lines.len() >= count);
        lines.iter().map(|line| Request::parse(line)).collect()
    }
}

/// A request in the log.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// The client's port, which identifies a connection.
    pub connection: u16,
    pub path: String,
    pub status: u16,
    /// `pushsetup`, `pushstart` or another value of the request.
    pub kind: String,
    pub content_length: String,
    /// Empty without one.
    pub authorization: String,
}

impl Request {
    fn parse(line: &str) -> Self {
        let fields: Vec<&str> = line.split('\t').collect();
        let [connection, path, status, kind, length, authorization] = fields[..] else {
            panic!("another log format: {line}");
        };
        Self {
            connection: connection.parse().unwrap(),
            path: path.to_owned(),
            status: status.parse().unwrap(),
            kind: kind.trim_start_matches("application/x-wms-").to_owned(),
            content_length: length.to_owned(),
            // Quotes are escaped.
            authorization: authorization.trim_start_matches('-').replace('\\', ""),
        }
    }
}

fn configuration(directory: &str, port: u16, origin: &str) -> String {
    let modules: String = [
        "mpm_event",
        "authn_core",
        "authn_file",
        "authz_core",
        "authz_user",
        "auth_basic",
        "auth_digest",
        "auth_gssapi",
        "proxy",
        "proxy_http",
    ]
    .iter()
    .map(|name| format!("LoadModule {name}_module {MODULES}/mod_{name}.so\n"))
    .collect();
    let user = if daemon::is_root() {
        "User www-data\nGroup www-data"
    } else {
        ""
    };
    let location = |path: &str, authentication: &str| {
        format!(
            "<Location /{path}>\nAuthName {REALM}\n{authentication}\nRequire valid-user\n</Location>\n"
        )
    };
    let basic = format!("AuthType Basic\nAuthBasicProvider file\nAuthUserFile {directory}/basic");
    let digest =
        format!("AuthType Digest\nAuthDigestProvider file\nAuthUserFile {directory}/digest");
    let stale = format!("{digest}\nAuthDigestNonceLifetime {}", LIFETIME.as_secs());
    let ntlm =
        "AuthType GSSAPI\nGssapiAllowedMech ntlmssp\nGssapiConnectionBound On\nGssapiBasicAuth Off";
    format!(
        "{modules}{user}\n\
         ServerRoot {directory}\n\
         DefaultRuntimeDir {directory}\n\
         Mutex file:{directory}\n\
         PidFile {directory}/pid\n\
         ErrorLog {directory}/error.log\n\
         LogFormat \"{LOG_FORMAT}\" requests\n\
         CustomLog {directory}/access.log requests\n\
         ServerName localhost\n\
         Listen 127.0.0.1:{port}\n\
         StartServers 1\n\
         ServerLimit 2\n\
         ThreadsPerChild 25\n\
         MaxRequestWorkers 50\n\
         MinSpareThreads 1\n\
         MaxSpareThreads 50\n\
         MaxKeepAliveRequests 0\n\
         ProxyPass / {origin}/ flushpackets=on\n\
         {}{}{}{}",
        location("basic", &basic),
        location("digest", &digest),
        location("stale", &stale),
        location("ntlm", ntlm),
    )
}
