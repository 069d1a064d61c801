// SPDX-License-Identifier: MPL-2.0

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::Failure;
use crate::asf::{DataPacket, FileHeader, ShedObject};

/// `IWMWriterSink`: what a writer of ASF tells its sink.
///
/// `AllocateDataUnit` has no counterpart here: data units are [`bytes::Bytes`], and the writer brings its own.
pub trait WriterSink {
    /// `OnHeader`: the ASF file header, before any data unit. Another one later starts the next playlist entry.
    ///
    /// Returns the optional objects that had to go for the header to fit its packet.
    ///
    /// # Errors
    ///
    /// [`WriteError`]; the push fails when it does not fit without them either.
    fn on_header(&self, header: &FileHeader) -> Result<Vec<ShedObject>, WriteError>;

    /// `IsRealTime`: whether data units must come at the time they are to be sent.
    fn is_real_time(&self) -> bool;

    /// `OnDataUnit`: one ASF data packet. Blocks while too much waits.
    ///
    /// # Errors
    ///
    /// [`WriteError`]
    fn on_data_unit(&self, packet: DataPacket) -> Result<(), WriteError>;

    /// `OnEndWriting`: nothing more comes. Blocks for at most `timeout` until everything has gone out.
    ///
    /// # Errors
    ///
    /// [`WriteError`]
    fn on_end_writing(&self, timeout: Duration) -> Result<(), WriteError>;
}

/// Why something was not written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WriteError {
    /// The push has failed, or, without a failure, was ended by its owner.
    Failed(Option<Arc<Failure>>),
    /// The caller was told to return.
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
