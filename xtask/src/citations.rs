// SPDX-License-Identifier: MPL-2.0

//! Tests, and the requirements that they cite.
//!
//! A citation is an id in the doc comment directly above a test: `C-123` or `S-012`, `C-141, C-142`, or `C-144…C-146`
//! for all ids of the table from the first to the last. Citations of ignored tests do not count.

/// A test with citations.
#[derive(Debug, PartialEq)]
pub struct Test {
    /// The name of the function.
    pub name: String,
    /// The path of its file, relative to the workspace.
    pub file: String,
    /// Its citations.
    pub citations: Vec<Citation>,
}

/// A range of ids, often a single one.
#[derive(Debug, PartialEq)]
pub struct Citation {
    /// The first id.
    pub first: String,
    /// The last id.
    pub last: String,
}

/// Returns the tests of a source file that cite requirements.
pub fn tests(file: &str, text: &str) -> Vec<Test> {
    let mut tests = Vec::new();
    let mut above = Above::default();
    for line in text.lines().map(str::trim) {
        if let Some(words) = line.strip_prefix("///") {
            above.doc.push_str(words);
            above.doc.push('\n');
        } else if line.starts_with("#[") {
            above.is_test |= is_test_attribute(line);
            above.is_ignored |= line.starts_with("#[ignore");
        } else {
            let above = std::mem::take(&mut above);
            tests.extend(above.test(file, line));
        }
    }
    tests
}

/// The lines directly above a function.
#[derive(Default)]
struct Above {
    /// The doc comment.
    doc: String,
    /// An attribute makes it a test.
    is_test: bool,
    /// An attribute makes it an ignored test.
    is_ignored: bool,
}

impl Above {
    /// Returns the test that begins with `line`, if it is one with citations.
    fn test(self, file: &str, line: &str) -> Option<Test> {
        if !self.is_test || self.is_ignored {
            return None;
        }
        let name = function(line)?;
        let citations = citations(&self.doc);
        (!citations.is_empty()).then(|| Test {
            name: name.to_owned(),
            file: file.to_owned(),
            citations,
        })
    }
}

/// Returns whether the line is `#[test]`, `#[tokio::test]`, or `#[tokio::test(start_paused = true)]`.
fn is_test_attribute(line: &str) -> bool {
    let path = line.trim_start_matches("#[").split(['(', ']']).next();
    path.is_some_and(|path| path == "test" || path.ends_with("::test"))
}

/// Returns the name of the function that begins on this line.
fn function(line: &str) -> Option<&str> {
    let (before, rest) = line.split_once("fn ")?;
    let end = rest.find(|next: char| !(next.is_alphanumeric() || next == '_'))?;
    matches!(before, "" | "async " | "pub ").then_some(&rest[..end])
}

/// Returns the ids in a doc comment.
fn citations(doc: &str) -> Vec<Citation> {
    let mut citations: Vec<Citation> = Vec::new();
    let mut rest = doc;
    while let Some((between, id, after)) = next_id(rest) {
        match citations.last_mut() {
            Some(range) if between.trim() == "…" => range.last = id,
            _ => citations.push(Citation {
                first: id.clone(),
                last: id,
            }),
        }
        rest = after;
    }
    citations
}

/// Returns the text before the next id, the id, and the text after it.
fn next_id(text: &str) -> Option<(&str, String, &str)> {
    let mut start = 0;
    loop {
        let ahead = text.get(start..)?;
        let place = start
            + ["C-", "S-"]
                .iter()
                .filter_map(|side| ahead.find(side))
                .min()?;
        let (before, found) = text.split_at(place);
        let (side, rest) = found.split_at("C-".len());
        let end = rest
            .find(|next: char| !next.is_ascii_digit())
            .unwrap_or(rest.len());
        if end > 0 && !before.ends_with(char::is_alphanumeric) {
            return Some((before, format!("{side}{}", &rest[..end]), &rest[end..]));
        }
        start = place + side.len();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the citations of a doc comment, ranges with their dots.
    fn cited(doc: &str) -> Vec<String> {
        let shown = |citation: &Citation| match citation {
            Citation { first, last } if first == last => first.clone(),
            Citation { first, last } => format!("{first}…{last}"),
        };
        citations(doc).iter().map(shown).collect()
    }

    #[test]
    fn ids_lists_and_ranges_are_read() {
        assert_eq!(cited(" 3.1.4.3: C-147: $F fills."), ["C-147"]);
        assert_eq!(cited("C-141, C-142"), ["C-141", "C-142"]);
        assert_eq!(cited("S-012: C-142, S-013"), ["S-012", "C-142", "S-013"]);
        assert_eq!(cited("C-144…C-146"), ["C-144…C-146"]);
        assert_eq!(
            cited("C-009…C-012, C-016 …\n C-018."),
            ["C-009…C-012", "C-016…C-018"]
        );
    }

    #[test]
    fn only_whole_words_are_ids() {
        assert_eq!(cited("MS-C-x, ABC-123, MS-123, C-, C, D-9"), [""; 0]);
        // Unknown ids are reported later.
        assert_eq!(cited("C-1 and C-1234"), ["C-1", "C-1234"]);
        assert_eq!(cited("aC-123 C-124"), ["C-124"]);
    }

    #[test]
    fn a_citation_belongs_to_the_test_below_it() {
        let source = "\
/// C-001
const NO_TEST: u8 = 1;
/// C-002: a helper
fn helper() {}
/// C-003
/// and C-004
#[test]
fn a_fact() {}
// C-005
#[test]
fn cites_nothing() {}
    /// C-006
    #[cfg(unix)]
    #[tokio::test(start_paused = true)]
    async fn another(
/// C-007

#[test]
fn is_too_far_away() {}
";
        let tests = tests("tests/x.rs", source);
        let names: Vec<_> = tests
            .iter()
            .map(|test| (test.name.as_str(), test.citations.len()))
            .collect();
        assert_eq!(names, [("a_fact", 2), ("another", 1)]);
        assert!(tests.iter().all(|test| test.file == "tests/x.rs"));
    }

    #[test]
    fn a_proptest_counts_and_an_ignored_test_does_not() {
        let source = "\
proptest! {
    #![proptest_config(x)]
    /// C-001
    #[test]
    fn anything(value: u8) {
    /// C-002
    #[test]
    #[ignore = \"for a reason\"]
    fn for_later() {
";
        let tests = tests("tests/x.rs", source);
        assert_eq!(tests.len(), 1);
        assert_eq!(tests[0].name, "anything");
    }
}
