// SPDX-License-Identifier: MPL-2.0

//! tinyproxy, a proxy that reads the first request of a connection and forwards the rest unread.

use std::process::Command;

use crate::daemon::{self, Daemon, Directory, program};
use crate::push::{PASSWORD, USER};

pub struct Tinyproxy(Daemon);

impl Tinyproxy {
    /// Starts tinyproxy, with or without a password.
    pub fn start(password: bool) -> Self {
        let start = |directory: &Directory, port: u16, command: &mut Command| {
            let path = directory.path().display().to_string();
            let configuration = directory.write("conf", &configuration(&path, port, password));
            command.args(["-d", "-c", &configuration]);
        };
        let program = program("tinyproxy", "tinyproxy-bin");
        Self(Daemon::start(Directory::new(), &program, start))
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.0.port)
    }
}

fn configuration(directory: &str, port: u16, password: bool) -> String {
    let mut configuration = format!(
        "Port {port}\n\
         Listen 127.0.0.1\n\
         Timeout 60\n\
         LogLevel Info\n\
         LogFile \"{directory}/tinyproxy.log\"\n\
         PidFile \"{directory}/pid\"\n\
         ViaProxyName \"tinyproxy\"\n\
         Allow 127.0.0.1\n"
    );
    if password {
        configuration += &format!("BasicAuth {USER} {PASSWORD}\n");
    }
    if daemon::is_root() {
        configuration += "User nobody\nGroup nogroup\n";
    }
    configuration
}
