// SPDX-License-Identifier: MPL-2.0

//! A Kerberos realm of a test's own: MIT's KDC with Alice and the web server at localhost in it.

use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::Command;

use crate::daemon::{self, Daemon, Directory, program};
use crate::push::{PASSWORD, USER};

pub const REALM: &str = "CAVE.TEST";

/// The variable with the path of the realm's configuration.
const CLIENT_VARIABLE: &str = "KRB5_CONFIG";
const KDC_VARIABLE: &str = "KRB5_KDC_PROFILE";

pub struct Kdc(Daemon);

impl Kdc {
    pub fn start() -> Self {
        let directory = Directory::new();
        let start = |directory: &Directory, port: u16, command: &mut Command| {
            let path = directory.path().display().to_string();
            directory.write("krb5.conf", &client_configuration(port));
            directory.write("kdc.conf", &kdc_configuration(&path, port));
            if !Path::new(&directory.file("keytab")).exists() {
                create_realm(directory);
            }
            with_realm(command, directory).args(["-n", "-P", &directory.file("pid")]);
        };
        Self(Daemon::start(
            directory,
            &program("krb5kdc", "krb5-kdc"),
            start,
        ))
    }

    /// The key of `HTTP/localhost`.
    pub fn keytab(&self) -> String {
        self.0.directory().file("keytab")
    }

    /// Configures a program for the realm.
    pub fn invite<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        with_realm(command, self.0.directory())
    }

    /// Returns a credential cache with Alice's ticket, as `kinit` makes it.
    pub fn log_in(&self) -> String {
        let cache = format!("FILE:{}", self.0.directory().file("cache"));
        let password = self
            .0
            .directory()
            .write("password", &format!("{PASSWORD}\n"));
        let kinit = program("kinit", "krb5-user");
        let mut command = Command::new("/bin/sh");
        command
            .args(["-c", r#""$1" -c "$2" "$3" <"$4""#, "sh"])
            .arg(kinit);
        command.args([&cache, USER, &password]);
        daemon::output(self.invite(&mut command));
        cache
    }
}

/// A key distribution centre of the realm that never answers.
pub struct SilentKdc {
    directory: Directory,
    _listener: TcpListener,
}

impl SilentKdc {
    pub fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let directory = Directory::new();
        directory.write("krb5.conf", &client_configuration(port));
        Self {
            directory,
            _listener: listener,
        }
    }

    /// Configures a program for the realm.
    pub fn invite<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        with_realm(command, &self.directory)
    }
}

fn with_realm<'a>(command: &'a mut Command, directory: &Directory) -> &'a mut Command {
    command
        .env(CLIENT_VARIABLE, directory.file("krb5.conf"))
        .env(KDC_VARIABLE, directory.file("kdc.conf"))
}

fn create_realm(directory: &Directory) {
    let mut create = Command::new(program("kdb5_util", "krb5-kdc"));
    create.args(["create", "-s", "-r", REALM, "-P", "open"]);
    daemon::output(with_realm(&mut create, directory));
    let keytab = directory.file("keytab");
    for query in [
        format!("addprinc -pw {PASSWORD} {USER}"),
        "addprinc -randkey HTTP/localhost".to_owned(),
        format!("ktadd -k {keytab} HTTP/localhost"),
    ] {
        let mut admin = Command::new(program("kadmin.local", "krb5-admin-server"));
        admin.args(["-r", REALM, "-q", &query]);
        daemon::output(with_realm(&mut admin, directory));
    }
    // The web server gives up root before it reads this.
    let readable = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    std::fs::set_permissions(keytab, readable).unwrap();
}

fn client_configuration(port: u16) -> String {
    format!(
        "[libdefaults]\n\
         default_realm = {REALM}\n\
         dns_lookup_kdc = false\n\
         dns_lookup_realm = false\n\
         dns_canonicalize_hostname = false\n\
         rdns = false\n\
         udp_preference_limit = 1\n\
         [realms]\n\
         {REALM} = {{\n kdc = 127.0.0.1:{port}\n}}\n\
         [domain_realm]\n\
         localhost = {REALM}\n"
    )
}

fn kdc_configuration(directory: &str, port: u16) -> String {
    format!(
        "[realms]\n\
         {REALM} = {{\n\
         database_name = {directory}/principal\n\
         key_stash_file = {directory}/stash\n\
         acl_file = {directory}/acl\n\
         kdc_listen = 127.0.0.1:{port}\n\
         kdc_tcp_listen = 127.0.0.1:{port}\n\
         }}\n\
         [logging]\n\
         kdc = FILE:{directory}/kdc.log\n\
         admin_server = FILE:{directory}/admin.log\n"
    )
}
