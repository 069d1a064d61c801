//! ASF.
