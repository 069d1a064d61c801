// SPDX-License-Identifier: MPL-2.0

//! Squid, a proxy.

use std::fs;
use std::process::Command;

use crate::daemon::{self, Daemon, Directory, part, program};
use crate::push::{PASSWORD, USER, htdigest};

const HELPERS: &str = "/usr/lib/squid";
const PACKAGE: &str = "squid";

/// The fields of the log for each request, separated by tabs.
const LOG_FORMAT: &str =
    "%>p\t%ru\t%>Hs\t%{Content-Type}>h\t%{Content-Length}>h\t%{Proxy-Authorization}>h";

/// The authentication that a proxy demands.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Access {
    Anonymous,
    Basic,
    Digest(Nonces),
}

/// The lifetime of Squid's nonces.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Nonces {
    pub requests: u32,
    pub seconds: u32,
}

impl Nonces {
    /// Long enough for every push here.
    pub const LASTING: Self = Self {
        requests: 50,
        seconds: 600,
    };
}

pub struct Squid {
    daemon: Daemon,
    _shared_memory: SharedMemory,
}

/// Shared memory segments that Squid leaves behind. Their names begin with the service name, which must be a word.
struct SharedMemory {
    service: String,
}

impl Drop for SharedMemory {
    fn drop(&mut self) {
        for segment in ["metadata", "queues", "readers"] {
            let _ = fs::remove_file(format!("/dev/shm/{}-cf__{segment}.shm", self.service));
        }
    }
}

impl Squid {
    pub fn start(access: Access) -> Self {
        let directory = Directory::new();
        let basic = daemon::output(
            Command::new(program("htpasswd", "apache2-utils")).args(["-nbm", USER, PASSWORD]),
        );
        directory.write("basic", &basic);
        directory.write("digest", &htdigest("squid", "md5sum"));
        for helper in ["basic_ncsa_auth", "digest_file_auth"] {
            part(&format!("{HELPERS}/{helper}"), PACKAGE);
        }
        let name = directory.path().file_name().unwrap().to_str().unwrap();
        let service = name.replace('-', "x");
        let start = |directory: &Directory, port: u16, command: &mut Command| {
            let path = directory.path().display().to_string();
            let configuration = directory.write("conf", &configuration(&path, port, access));
            command.args(["-N", "-n", &service, "-f", &configuration]);
        };
        let daemon = Daemon::start(directory, &program("squid", PACKAGE), start);
        Self {
            daemon,
            _shared_memory: SharedMemory {
                service: service.clone(),
            },
        }
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.daemon.port)
    }

    /// Waits for `count` requests, and returns the completed requests in their order.
    #[track_caller]
    pub fn requests(&self, count: usize) -> Vec<Request> {
        self.requests_when(|requests| requests.len() >= count)
    }

    /// Waits until `wanted` accepts the requests, and returns them.
    #[track_caller]
    pub fn requests_when(&self, wanted: impl Fn(&[Request]) -> bool) -> Vec<Request> {
        // The log also has the test of the port.
        let pushes = |lines: &[&str]| -> Vec<Request> {
            let lines = lines.iter().filter(|line| line.contains("x-wms-"));
            lines.map(|line| Request::parse(line)).collect()
        };
        let enough = |lines: &[&str]| wanted(&pushes(lines));
        let lines = self.daemon.wait_for_log("access.log", enough);
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        pushes(&lines)
    }

    /// Waits for `count` CONNECTs to `authority`, and returns their statuses in the order of completion.
    #[cfg(feature = "tls")]
    #[track_caller]
    pub fn tunnels(&self, authority: &str, count: usize) -> Vec<String> {
        let target = format!("\t{authority}\t");
        let tunnel = |line: &str| Some(line.split_once(&target)?.1.get(..3)?.to_owned());
        let seen = |lines: &[&str]| lines.iter().filter_map(|line| tunnel(line)).count() >= count;
        let lines = self.daemon.wait_for_log("access.log", seen);
        lines.iter().filter_map(|line| tunnel(line)).collect()
    }
}

/// A request in the log.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// The client's port, which identifies a connection.
    pub connection: u16,
    /// The request target.
    pub url: String,
    pub status: u16,
    /// `pushsetup` or `pushstart`.
    pub kind: String,
    pub content_length: String,
    /// Empty without one; percent-encoded.
    pub authorization: String,
}

impl Request {
    fn parse(line: &str) -> Self {
        let fields: Vec<&str> = line.split('\t').collect();
        let [connection, url, status, kind, length, authorization] = fields[..] else {
            panic!("another log format: {line}");
        };
        let (_, kind) = kind.split_once("x-wms-").unwrap();
        Self {
            connection: connection.parse().unwrap(),
            url: url.to_owned(),
            status: status.parse().unwrap(),
            kind: kind.to_owned(),
            content_length: length.to_owned(),
            authorization: authorization.trim_start_matches('-').to_owned(),
        }
    }
}

fn configuration(directory: &str, port: u16, access: Access) -> String {
    let authentication = match access {
        Access::Anonymous => String::new(),
        Access::Basic => format!(
            "auth_param basic program {HELPERS}/basic_ncsa_auth {directory}/basic\n\
             auth_param basic realm squid\n\
             auth_param basic children 1\n"
        ),
        Access::Digest(Nonces { requests, seconds }) => format!(
            "auth_param digest program {HELPERS}/digest_file_auth -c {directory}/digest\n\
             auth_param digest realm squid\n\
             auth_param digest children 1\n\
             auth_param digest nonce_garbage_interval 1 second\n\
             auth_param digest nonce_max_duration {seconds} seconds\n\
             auth_param digest nonce_max_count {requests}\n"
        ),
    };
    let who = match access {
        Access::Anonymous => "all",
        _ => "users",
    };
    let users = if access == Access::Anonymous {
        ""
    } else {
        "acl users proxy_auth REQUIRED\n"
    };
    format!(
        "http_port 127.0.0.1:{port}\n\
         pid_filename {directory}/pid\n\
         coredump_dir {directory}\n\
         cache_log {directory}/cache.log\n\
         logformat requests {LOG_FORMAT}\n\
         access_log stdio:{directory}/access.log requests\n\
         netdb_filename none\n\
         pinger_enable off\n\
         visible_hostname localhost\n\
         cache deny all\n\
         shutdown_lifetime 0 seconds\n\
         {authentication}{users}\
         http_access allow {who}\n\
         http_access deny all\n"
    )
}
