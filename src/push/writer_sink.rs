// SPDX-License-Identifier: MPL-2.0

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::Failure;
use crate::asf::{DataPacket, FileHeader, ShedObject};

/// `IWMWriterSink`: the interface through which a writer of ASF hands over its stream.
///
/// `AllocateDataUnit` has no counterpart here: data units are [`bytes::Bytes`], and the writer brings its own.
pub trait WriterSink {
    /// `OnHeader`: the ASF file header, before any data unit. A later header starts the next playlist entry.
    ///
    /// Returns the optional objects that were removed because the header did not fit its packet.
    ///
    /// # Errors
    ///
    /// [`WriteError`]. The push fails if the header does not fit without the optional objects either.
    fn on_header(&self, header: &FileHeader) -> Result<Vec<ShedObject>, WriteError>;

    /// `IsRealTime`: returns whether data units must be delivered at their Send Times.
    fn is_real_time(&self) -> bool;

    /// `OnDataUnit`: one ASF data packet. Blocks while the limits are reached.
    ///
    /// # Errors
    ///
    /// [`WriteError`]
    fn on_data_unit(&self, packet: DataPacket) -> Result<(), WriteError>;

    /// `OnEndWriting`: the stream has ended. Blocks for at most `timeout` until everything has been sent.
    ///
    /// # Errors
    ///
    /// [`WriteError`]
    fn on_end_writing(&self, timeout: Duration) -> Result<(), WriteError>;
}

/// The reason for which content was not accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WriteError {
    /// The push has failed or, without a failure, the application has ended it.
    Failed(Option<Arc<Failure>>),
    /// [`Connection::interrupt`](super::Connection::interrupt) was called.
    Interrupted,
}

impl fmt::Display for WriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(Some(failure)) => fmt::Display::fmt(failure, f),
            Self::Failed(None) => f.write_str("there is no connection"),
            Self::Interrupted => f.write_str("interrupted"),
        }
    }
}

impl std::error::Error for WriteError {}
