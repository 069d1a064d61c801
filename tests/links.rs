// SPDX-License-Identifier: MPL-2.0

//! The links of the documentation.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn pages() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folders = ["", "docs", "examples", "benches"].map(|folder| root.join(folder));
    let files = folders
        .iter()
        .flat_map(|folder| fs::read_dir(folder).unwrap());
    let files = files.map(|file| file.unwrap().path());
    files
        .filter(|path| path.extension().is_some_and(|extension| extension == "md"))
        .collect()
}

/// Returns the anchors of the headings, as Markdown renderers make them.
fn anchors(page: &Path) -> BTreeSet<String> {
    let text = fs::read_to_string(page).unwrap();
    let headings = text.lines().filter(|line| line.starts_with('#'));
    let anchor = |heading: &str| {
        let heading = heading.trim_start_matches('#').trim().to_lowercase();
        let kept = |letter: char| match letter {
            ' ' => Some('-'),
            letter if letter.is_alphanumeric() || "-_".contains(letter) => Some(letter),
            _ => None,
        };
        heading.chars().filter_map(kept).collect()
    };
    headings.map(anchor).collect()
}

/// The links of a page that stay in the repository.
fn links(page: &Path) -> Vec<String> {
    let text = fs::read_to_string(page).unwrap();
    let links = text.split("](").skip(1);
    let links = links.filter_map(|rest| rest.split(')').next());
    let inside = links.filter(|link| !link.contains("://"));
    inside.map(str::to_owned).collect()
}

#[test]
fn every_link_leads_to_a_page_and_a_heading() {
    let mut broken = Vec::new();
    for page in pages() {
        for link in links(&page) {
            let (file, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let target = match file {
                "" => page.clone(),
                file => page.parent().unwrap().join(file),
            };
            let leads = target.exists() && (anchor.is_empty() || anchors(&target).contains(anchor));
            if !leads {
                broken.push(format!("{}: {link}", page.display()));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

/// The files of the Debian package, as patterns below the root of the repository.
fn packaged() -> Vec<String> {
    let manifest = include_str!("../Cargo.toml");
    let (_, assets) = manifest.split_once("\nassets = [\n").unwrap();
    let (assets, _) = assets.split_once("\n]").unwrap();
    let sources = assets
        .lines()
        .map(|line| line.split('"').nth(1).unwrap().to_owned());
    sources.collect()
}

#[test]
fn the_debian_package_has_what_its_pages_link_to() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .canonicalize()
        .unwrap();
    let packaged = packaged();
    let has = |file: &Path| {
        let name = file.file_name().unwrap().to_str().unwrap();
        let folder = file.parent().unwrap();
        packaged.iter().map(Path::new).any(|pattern| {
            let end = pattern.file_name().unwrap().to_str().unwrap();
            pattern.parent() == Some(folder) && name.ends_with(end.trim_start_matches('*'))
        })
    };
    for page in pages() {
        for target in links(&page).iter().filter(|link| !link.starts_with('#')) {
            let file = target.split('#').next().unwrap();
            let file = page.parent().unwrap().join(file).canonicalize().unwrap();
            let file = file.strip_prefix(&root).unwrap();
            assert!(has(file), "{}: {}", page.display(), file.display());
        }
    }
}

#[test]
fn the_changelog_of_the_debian_package_has_this_version() {
    let changelog = include_str!("../packaging/debian/changelog");
    let version = concat!("gstreamer1.0-wmspush (", env!("CARGO_PKG_VERSION"), "-");
    assert!(changelog.starts_with(version));
}
