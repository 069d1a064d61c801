// SPDX-License-Identifier: MPL-2.0

//! `cargo xtask conformance`: each requirement of MS-WMHTTP has a test that cites it, or a reason for having none.

use std::collections::BTreeMap;
use std::path::Path;

use crate::citations::{self, Citation, Test};
use crate::files;
use crate::requirements::{self, Disposition, Requirement};
use crate::run::Result;
use crate::workspace::Workspace;

/// The tables, of the client and of the server, from the root of the workspace.
const TABLES: [&str; 2] = [
    "tests/conformance/client.tsv",
    "tests/conformance/server.tsv",
];

/// The file with the decisions that deviations refer to.
const DECISIONS: &str = "proto/src/wmhttp/mod.rs";

/// The folders with tests.
const SOURCES: &[&str] = &["src", "tests", "proto", "publishing-point"];

/// Prints the table and checks it. With `strict`, nothing may be pending.
pub fn run(workspace: &Workspace, strict: bool) -> Result {
    let coverage = Coverage::of(workspace)?;
    coverage.print();
    if strict {
        coverage.require_all()
    } else {
        Ok(())
    }
}

/// Checks the table, in which nothing may be pending, and prints its totals only.
pub fn check(workspace: &Workspace) -> Result {
    let coverage = Coverage::of(workspace)?;
    println!("{}", coverage.totals());
    coverage.require_all()
}

/// All requirements, and their tests.
#[derive(Debug)]
struct Coverage {
    /// The table.
    requirements: Vec<Requirement>,
    /// The tests that cite each requirement, by id.
    tests: BTreeMap<String, Vec<String>>,
    /// Number of tests with citations.
    citing: usize,
}

impl Coverage {
    /// Reads the table, the decisions and all tests.
    fn of(workspace: &Workspace) -> Result<Self> {
        let mut table = String::new();
        for part in TABLES {
            table += &files::text(&workspace.root.join(part))?;
        }
        let decisions = files::text(&workspace.root.join(DECISIONS))?;
        let mut tests = Vec::new();
        for folder in SOURCES {
            tests_below(workspace, &workspace.root.join(folder), &mut tests)?;
        }
        Self::new(&table, &decisions, &tests)
    }

    /// Combines the table, the decisions and the tests. The error lists all inconsistencies.
    fn new(table: &str, decisions: &str, tests: &[Test]) -> Result<Self> {
        let (requirements, mut problems) = requirements::parse(table);
        let mut coverage = Self {
            requirements,
            tests: BTreeMap::new(),
            citing: tests.len(),
        };
        for test in tests {
            problems.extend(coverage.cite(test));
        }
        problems.extend(coverage.gaps());
        problems.extend(coverage.undecided(decisions));
        if problems.is_empty() {
            return Ok(coverage);
        }
        Err(format!(
            "{} and the tests do not agree:\n  {}",
            TABLES.join(", "),
            problems.join("\n  ")
        ))
    }

    /// Records the citations of a test, and returns the unknown ones.
    fn cite(&mut self, test: &Test) -> Vec<String> {
        let shown = format!("{}: {}", test.file, test.name);
        let mut problems = Vec::new();
        for citation in &test.citations {
            match self.ids(citation) {
                Ok(ids) => {
                    for id in ids {
                        let tests = self.tests.entry(id).or_default();
                        if tests.last() != Some(&shown) {
                            tests.push(shown.clone());
                        }
                    }
                }
                Err(message) => problems.push(format!("{shown} cites {message}")),
            }
        }
        problems
    }

    /// Returns the ids of a citation.
    fn ids(&self, citation: &Citation) -> Result<Vec<String>> {
        let place = |id: &str| {
            let mut all = self.requirements.iter();
            all.position(|requirement| requirement.id == id)
                .ok_or_else(|| format!("{id}, which is not in the table"))
        };
        let (first, last) = (place(&citation.first)?, place(&citation.last)?);
        match self.requirements.get(first..=last) {
            Some(range) if first <= last => Ok(range
                .iter()
                .map(|requirement| requirement.id.clone())
                .collect()),
            _ => Err(format!(
                "{}…{}, which is no range",
                citation.first, citation.last
            )),
        }
    }

    /// Returns the requirements with neither a test nor a disposition, or with both.
    fn gaps(&self) -> Vec<String> {
        let gap = |requirement: &Requirement| {
            let id = &requirement.id;
            match (self.tests.get(id), &requirement.disposition) {
                (None, None) => Some(format!("{id}: no test cites it, and no reason is given")),
                (Some(tests), Some(_)) => Some(format!(
                    "{id}: it has a disposition, but {} cites it",
                    tests.join(" and ")
                )),
                _ => None,
            }
        };
        self.requirements.iter().filter_map(gap).collect()
    }

    /// Returns the deviations without a decision.
    fn undecided(&self, decisions: &str) -> Vec<String> {
        let undecided = |requirement: &Requirement| match &requirement.disposition {
            Some(Disposition::Deviation { decision, .. }) if !mentions(decisions, decision) => {
                Some(format!(
                    "{}: {decision} is not among the decisions of {DECISIONS}",
                    requirement.id
                ))
            }
            _ => None,
        };
        self.requirements.iter().filter_map(undecided).collect()
    }

    /// Prints a line for each requirement, and more where several tests cite it.
    fn print(&self) {
        for requirement in &self.requirements {
            let mut how = self.how(requirement).into_iter();
            println!(
                "{}  {:<16}  {:<6}  {}",
                requirement.id,
                requirement.section,
                requirement.keyword,
                how.next().unwrap_or_default()
            );
            for more in how {
                println!("{:33}{more}", "");
            }
        }
        println!("\n{}", self.totals());
    }

    /// Returns the tests of a requirement, or its disposition.
    fn how(&self, requirement: &Requirement) -> Vec<String> {
        match &requirement.disposition {
            None => self.tests.get(&requirement.id).cloned().unwrap_or_default(),
            Some(Disposition::NotApplicable(reason)) => vec![format!("not applicable: {reason}")],
            Some(Disposition::Deviation { reason, decision }) => {
                vec![format!("deviation: {reason} ({decision})")]
            }
            Some(Disposition::Pending(reason)) => vec![format!("PENDING: {reason}")],
        }
    }

    /// Returns the number of requirements of each kind.
    fn totals(&self) -> String {
        let count = |wanted: fn(&Option<Disposition>) -> bool| {
            let requirements = self.requirements.iter();
            requirements
                .filter(|line| wanted(&line.disposition))
                .count()
        };
        format!(
            "{} requirements: {} in {} tests, {} not applicable, {} deviations, {} pending",
            self.requirements.len(),
            count(Option::is_none),
            self.citing,
            count(|why| matches!(why, Some(Disposition::NotApplicable(_)))),
            count(|why| matches!(why, Some(Disposition::Deviation { .. }))),
            self.pending().len(),
        )
    }

    /// Returns the ids of pending requirements.
    fn pending(&self) -> Vec<&str> {
        let pending = self
            .requirements
            .iter()
            .filter(|requirement| matches!(requirement.disposition, Some(Disposition::Pending(_))));
        pending.map(|requirement| requirement.id.as_str()).collect()
    }

    /// Requires that nothing is pending.
    fn require_all(&self) -> Result {
        let pending = self.pending();
        if pending.is_empty() {
            return Ok(());
        }
        Err(format!("pending: {}", pending.join(", ")))
    }
}

/// Returns whether a text has this id, rather than a longer one that begins with it.
fn mentions(text: &str, id: &str) -> bool {
    text.match_indices(id).any(|(place, _)| {
        let rest = &text[place + id.len()..];
        !rest.starts_with(|next: char| next.is_ascii_digit())
    })
}

/// Collects the tests of all Rust files below a folder, in the order of their names.
fn tests_below(workspace: &Workspace, folder: &Path, tests: &mut Vec<Test>) -> Result {
    for path in files::entries(folder)? {
        if path.is_dir() {
            tests_below(workspace, &path, tests)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            tests.extend(citations::tests(
                &workspace.short(&path),
                &files::text(&path)?,
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The text of the module documentation.
    const DECISIONS: &str = "| D-8 | … |\n| D-19, D-20 | … |";

    /// Combines a table and one test with this doc comment.
    fn coverage(table: &str, doc: &str) -> Result<Coverage> {
        let table = table.replace(' ', "\t").replace('_', " ");
        let source = format!("/// {doc}\n#[test]\nfn a_fact() {{}}\n");
        Coverage::new(&table, DECISIONS, &citations::tests("tests/x.rs", &source))
    }

    /// Returns the error.
    fn problems(table: &str, doc: &str) -> String {
        coverage(table, doc).err().unwrap_or_default()
    }

    #[test]
    fn a_requirement_is_cited_or_disposed_of() {
        let table = "C-001 1 – x\nC-002 1 MUST x\nC-004 1 MAY x\nC-005 1 – x not_applicable:_y\n\
                     C-006 1 – x deviation:_y_(D-19)\nC-007 1 – x pending:_y";
        let coverage = coverage(table, "C-001…C-004, C-002");
        assert_eq!(
            coverage.map(|coverage| coverage.totals()),
            Ok(
                "6 requirements: 3 in 1 tests, 1 not applicable, 1 deviations, 1 pending"
                    .to_owned()
            )
        );
    }

    #[test]
    fn a_gap_is_named() {
        let problems = problems("C-001 1 – x\nC-002 1 – x\nC-003 1 – x", "C-002");
        assert!(problems.contains("C-001: no test") && problems.contains("C-003: no test"));
        assert!(!problems.contains("C-002"), "{problems}");
    }

    #[test]
    fn an_unknown_id_is_named_with_its_test() {
        let table = "C-001 1 – x\nC-003 1 – x";
        for (doc, named) in [
            ("C-001, C-003, C-002", "C-002, which is not in the table"),
            ("C-001, C-003, C-1", "C-1, which is not in the table"),
            ("C-001…C-003, C-001…C-004", "C-004, which"),
            (
                "C-001, C-003, C-003…C-001",
                "C-003…C-001, which is no range",
            ),
        ] {
            let problems = problems(table, doc);
            assert!(
                problems.contains(&format!("tests/x.rs: a_fact cites {named}")),
                "{problems}"
            );
        }
    }

    #[test]
    fn a_disposition_is_wrong_beside_a_test() {
        let problems = problems("C-001 1 – x pending:_y", "C-001");
        assert!(
            problems.contains("C-001: it has a disposition, but tests/x.rs: a_fact cites it"),
            "{problems}"
        );
    }

    #[test]
    fn a_deviation_is_decided_somewhere() {
        for (decision, decided) in [
            ("D-8", true),
            ("D-20", true),
            ("D-1", false),
            ("D-2", false),
        ] {
            let table = format!("C-001 1 – x\nC-002 1 – x deviation:_y_({decision})");
            let problems = problems(&table, "C-001");
            assert_eq!(problems.is_empty(), decided, "{decision}: {problems}");
        }
    }

    #[test]
    fn a_malformed_line_is_an_error() {
        assert!(problems("C-001 1 – x\nC-02 1 – x", "C-001").contains("line 2 of the table"));
    }

    #[test]
    fn strict_names_what_is_pending() {
        let strict = |table| coverage(table, "C-001").and_then(|coverage| coverage.require_all());
        assert_eq!(strict("C-001 1 – x"), Ok(()));
        let table = "C-001 1 – x\nC-002 1 – x pending:_y\nC-003 1 – x pending:_y";
        assert_eq!(strict(table), Err("pending: C-002, C-003".to_owned()));
    }
}
