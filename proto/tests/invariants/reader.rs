// SPDX-License-Identifier: MPL-2.0

//! Invariants of every input of a reader.

use bytes::Bytes;
use wmspush_proto::asf::{Error, Item, Reader, Skipped};

/// A call to a reader
#[derive(Debug)]
pub enum Step {
    Bytes(Vec<u8>),
    Restart,
    Rewind(u64),
    StreamHeader(Vec<u8>),
}

pub type Outcome = (Vec<Item>, Result<Vec<Skipped>, Error>);

/// Items, errors and incomplete input do not depend on the split of the bytes: unchanged, byte by byte, or at `cuts`.
/// Nor do they depend on fetching items at once or at the end. Returns the items.
pub fn is_the_same_in_any_split(steps: &[Step], cuts: impl Fn(usize) -> Vec<usize>) -> Vec<Item> {
    let whole = run(steps, true, |bytes| vec![Bytes::copy_from_slice(bytes)]);
    let single = run(steps, true, |bytes| {
        bytes.chunks(1).map(Bytes::copy_from_slice).collect()
    });
    assert_eq!(single, whole);
    let cut = |bytes: &[u8]| {
        let mut at = cuts(bytes.len());
        at.extend([0, bytes.len()]);
        at.sort();
        at.windows(2)
            .map(|pair| Bytes::copy_from_slice(&bytes[pair[0]..pair[1]]))
            .collect()
    };
    assert_eq!(run(steps, true, cut), whole);
    assert_eq!(run(steps, false, cut), whole);
    whole.0
}

/// Runs a reader. `drain` fetches items after each push instead of only at the end.
pub fn run(steps: &[Step], drain: bool, split: impl Fn(&[u8]) -> Vec<Bytes>) -> Outcome {
    let mut reader = Reader::new();
    let mut items = Vec::new();
    let mut fetch = |reader: &mut Reader| -> Result<(), Error> {
        while let Some(item) = reader.next_item()? {
            items.push(item);
        }
        Ok(())
    };
    let mut feed = || -> Result<Vec<Skipped>, Error> {
        for step in steps {
            match step {
                Step::Bytes(bytes) => {
                    for part in split(bytes) {
                        reader.push(part);
                        if drain {
                            fetch(&mut reader)?;
                        }
                    }
                }
                Step::Restart => reader.restart(),
                Step::Rewind(to) => reader.rewind(*to),
                // A malformed header has no effect.
                Step::StreamHeader(header) => drop(reader.stream_header(header.clone().into())),
            }
        }
        fetch(&mut reader)?;
        std::iter::from_fn(|| reader.finish().transpose()).collect()
    };
    let rest = feed();
    (items, rest)
}
