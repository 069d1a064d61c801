// SPDX-License-Identifier: MPL-2.0

//! lighttpd, whose Digest knows SHA-256 (RFC 7616), in front of a publishing point.

use std::process::Command;

use crate::daemon::{Daemon, Directory, part, program};
use crate::push::htdigest;

const MODULES: &str = "/usr/lib/lighttpd";
const PACKAGE: &str = "lighttpd";

pub struct Lighttpd(Daemon);

impl Lighttpd {
    /// Starts lighttpd with `/open`, `/md5`, `/sha256` and `/both`, which offers SHA-256 and MD5.
    ///
    /// If its origin closes after the final `$E`, as a publishing point may, lighttpd responds with 500. The publishing
    /// point should therefore stay silent.
    pub fn in_front_of(origin: &str) -> Self {
        part(&format!("{MODULES}/mod_auth.so"), PACKAGE);
        let directory = Directory::new();
        let users = htdigest("md5", "md5sum")
            + &htdigest("sha256", "sha256sum")
            + &htdigest("both", "sha256sum")
            + &htdigest("both", "md5sum");
        directory.write("users", &users);
        let start = |directory: &Directory, port: u16, command: &mut Command| {
            let path = directory.path().display().to_string();
            let configuration = directory.write("conf", &configuration(&path, port, origin));
            command.args(["-D", "-m", MODULES, "-f", &configuration]);
        };
        Self(Daemon::start(
            directory,
            &program("lighttpd", PACKAGE),
            start,
        ))
    }

    pub fn location(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}/{path}", self.0.port)
    }
}

fn configuration(directory: &str, port: u16, origin: &str) -> String {
    let origin_port = origin.rsplit(':').next().unwrap();
    let require = |path: &str, algorithms: &str| {
        format!(
            "\"/{path}\" => (\"method\" => \"digest\", \"algorithm\" => \"{algorithms}\", \"realm\" => \"{path}\", \
             \"require\" => \"valid-user\")"
        )
    };
    let require = [
        require("md5", "MD5"),
        require("sha256", "SHA-256"),
        require("both", "MD5|SHA-256"),
    ]
    .join(", ");
    format!(
        "server.modules = (\"mod_auth\", \"mod_authn_file\", \"mod_proxy\")\n\
         server.document-root = \"{directory}\"\n\
         server.errorlog = \"{directory}/error.log\"\n\
         server.bind = \"127.0.0.1\"\n\
         server.port = {port}\n\
         server.stream-request-body = 2\n\
         auth.backend = \"htdigest\"\n\
         auth.backend.htdigest.userfile = \"{directory}/users\"\n\
         auth.require = ({require})\n\
         proxy.server = (\"\" => ((\"host\" => \"127.0.0.1\", \"port\" => {origin_port})))\n"
    )
}
