// SPDX-License-Identifier: MPL-2.0

//! `meson install`: GStreamer finds the installed plugin, and a C program links the static library.
//!
//! Cargo's target directory is that of these tests, so that an existing build is reused.
#![cfg(unix)]

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

const PLUGIN: &str = if cfg!(target_os = "macos") {
    "libgstwmspush.dylib"
} else {
    "libgstwmspush.so"
};

/// Variables in which cargo describes the package to the tests. Some build scripts run again if they change.
const OF_THIS_PACKAGE: &[&str] = &["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "OUT_DIR"];

/// An installation with its own prefix.
static ELSEWHERE: LazyLock<PathBuf> = LazyLock::new(|| {
    let prefix = directory("elsewhere").join("prefix");
    let options = [
        format!("--prefix={}", prefix.display()),
        "--libdir=lib".into(),
    ];
    install("elsewhere", &options, Path::new("/"));
    prefix
});

/// Returns a directory of this test, which is empty at the first call.
fn directory(name: &str) -> PathBuf {
    static ALL: LazyLock<PathBuf> = LazyLock::new(|| {
        let all = Path::new(env!("CARGO_TARGET_TMPDIR")).join("installation");
        let _ = std::fs::remove_dir_all(&all);
        all
    });
    let directory = ALL.join(name);
    std::fs::create_dir_all(&directory).unwrap();
    directory
}

/// Returns a command with the environment of a shell, so that cargo builds nothing twice.
fn command(program: &str) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if OF_THIS_PACKAGE.iter().any(|start| text.starts_with(start)) {
            command.env_remove(&name);
        }
    }
    command
}

/// Runs a command, which has to succeed, and returns its standard output.
fn run(command: &mut Command) -> String {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}; `cargo xtask test` installs it"));
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}\n{stdout}{stderr}");
    stdout
}

/// Builds and installs. `destination` is prepended to all paths.
fn install(name: &str, options: &[String], destination: &Path) {
    run(&mut setup(name, options));
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    run(installation(name, destination).env("CARGO_TARGET_DIR", target));
}

/// Returns the command that configures a build.
fn setup(name: &str, options: &[String]) -> Command {
    let mut setup = command("meson");
    setup
        .arg("setup")
        .arg(directory(name).join("build"))
        .arg(env!("CARGO_MANIFEST_DIR"))
        .args(options);
    setup
}

/// Returns the command that builds and installs, with cargo's target directory in the build.
fn installation(name: &str, destination: &Path) -> Command {
    let mut install = command("meson");
    install
        .args(["install", "-C"])
        .arg(directory(name).join("build"))
        .env_remove("CARGO_TARGET_DIR")
        .env_remove("CARGO_BUILD_TARGET")
        .env("DESTDIR", destination);
    install
}

/// Returns a variable of GStreamer's pkg-config file.
fn gstreamer(variable: &str) -> String {
    let variable = format!("--variable={variable}");
    let value = run(command("pkg-config").args([&variable, "gstreamer-1.0"]));
    value.trim().to_owned()
}

/// Returns a command that searches plugins in one directory only, with its own registry.
fn with_plugins_of(mut command: Command, plugins: &Path, name: &str) -> Command {
    command
        .env_remove("GST_PLUGIN_PATH")
        .env_remove("GST_PLUGIN_PATH_1_0")
        .env("GST_PLUGIN_SYSTEM_PATH_1_0", plugins)
        .env_remove("GST_REGISTRY_1_0")
        .env("GST_REGISTRY", directory(name).join("registry.bin"));
    command
}

/// Returns all files below a directory.
fn files(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(self::files(&path));
        } else {
            files.push(path);
        }
    }
    files
}

#[test]
fn the_registry_loads_the_plugin_from_another_prefix() {
    let plugins = ELSEWHERE.join("lib/gstreamer-1.0");
    let mut inspect = with_plugins_of(command("gst-inspect-1.0"), &plugins, "registry");
    let shown = run(inspect.arg("wmspushsink"));
    let file = shown
        .lines()
        .find_map(|line| line.trim().strip_prefix("Filename"))
        .expect("a line with the file name");
    assert_eq!(Path::new(file.trim()), plugins.join(PLUGIN));
}

/// Also without a prefix: GStreamer does not search below meson's default one.
#[test]
fn the_plugin_comes_and_goes_where_gstreamer_searches() {
    let prefix = format!("--prefix={}", gstreamer("prefix"));
    let searched = PathBuf::from(gstreamer("pluginsdir"));
    for (name, options) in [("default", vec![]), ("same-prefix", vec![prefix])] {
        let destination = directory(name).join("root");
        let options = [options, vec!["-Ddefault_library=shared".into()]].concat();
        install(name, &options, &destination);
        let expected = destination.join(searched.strip_prefix("/").unwrap());
        assert_eq!(files(&destination), [expected.join(PLUGIN)], "{name}");
        let build = directory(name).join("build");
        run(command("ninja").arg("-C").arg(&build).arg("uninstall"));
        assert!(!expected.join(PLUGIN).exists(), "{name}");
    }
}

#[test]
fn the_static_library_has_25_megabytes_at_most() {
    let library = ELSEWHERE.join("lib/libgstwmspush.a");
    let size = std::fs::metadata(library).unwrap().len();
    assert!(size <= 25_000_000, "{size}");
}

#[test]
fn a_c_program_links_the_static_library() {
    let library = ELSEWHERE.join("lib/gstreamer-1.0");
    let pkg_config = |options: &[&str]| {
        let mut pkg_config = command("pkg-config");
        let path = std::env::var("PKG_CONFIG_PATH").unwrap_or_default();
        let path = format!("{}:{path}", library.join("pkgconfig").display());
        run(pkg_config
            .env("PKG_CONFIG_PATH", path)
            .args(options)
            .arg("gstwmspush"))
    };
    assert_eq!(
        pkg_config(&["--modversion"]).trim(),
        env!("CARGO_PKG_VERSION")
    );
    let flags = pkg_config(&["--static", "--cflags", "--libs"]);
    let program = directory("static").join("program");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/installation/static.c");
    run(command("cc")
        .arg(source)
        .arg("-o")
        .arg(&program)
        .args(flags.split_whitespace()));
    let program = command(program.to_str().unwrap());
    let nothing = directory("static").join("no-plugins");
    let printed = run(&mut with_plugins_of(program, &nothing, "static"));
    assert_eq!(printed.trim(), "GstWmsPushSink");
}

/// A cargo that builds nothing, so that no toolchain of another system is needed. The file has the target's name in it.
const CARGO: &str = r#"#!/bin/sh
set -eu
while [ $# -gt 0 ]; do
    case $1 in
    --target) target=$2 ;;
    --target-dir) directory=$2 ;;
    esac
    shift
done
mkdir -p "$directory/$target/release"
for name in libgstwmspush.so libgstwmspush.dylib gstwmspush.dll; do
    echo "$target" >"$directory/$target/release/$name"
done
"#;

/// Returns options for a cross build with [`CARGO`].
fn cross_options(system: &str) -> Vec<String> {
    let cargo = directory(system).join("cargo");
    std::fs::write(&cargo, CARGO).unwrap();
    std::fs::set_permissions(&cargo, Permissions::from_mode(0o755)).unwrap();
    let machine = directory(system).join("machine");
    let text = format!(
        "[binaries]\ncargo = '{}'\npkgconfig = 'pkg-config'\n[host_machine]\nsystem = '{system}'\n\
         cpu_family = 'x86_64'\ncpu = 'x86_64'\nendian = 'little'\n",
        cargo.display()
    );
    std::fs::write(&machine, text).unwrap();
    let options = ["-Ddefault_library=shared", "--prefix=/usr"];
    let file = format!("--cross-file={}", machine.display());
    [file]
        .into_iter()
        .chain(options.map(str::to_owned))
        .collect()
}

#[test]
fn a_cross_build_installs_what_its_system_loads() {
    for (system, target, plugin) in [
        ("darwin", "x86_64-apple-darwin", "libgstwmspush.dylib"),
        ("windows", "x86_64-pc-windows-gnu", "gstwmspush.dll"),
        ("freebsd", "x86_64-unknown-freebsd", "libgstwmspush.so"),
    ] {
        let options = [
            cross_options(system),
            vec![format!("-Dcargo_target={target}")],
        ];
        run(&mut setup(system, &options.concat()));
        let destination = directory(system).join("root");
        run(&mut installation(system, &destination));
        let installed = files(&destination);
        assert_eq!(installed.len(), 1, "{installed:?}");
        assert_eq!(installed[0].file_name(), Some(plugin.as_ref()));
        let built_for = std::fs::read_to_string(&installed[0]).unwrap();
        assert_eq!(built_for.trim(), target);
    }
}

#[test]
fn a_cross_build_needs_the_target_of_cargo() {
    let output = setup("no-target", &cross_options("no-target")).output();
    let output = output.unwrap();
    assert!(!output.status.success());
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(printed.contains("needs -Dcargo_target="), "{printed}");
}
