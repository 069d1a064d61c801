// SPDX-License-Identifier: MPL-2.0

//! GStreamer sink that pushes an ASF stream to a publishing point of a Windows Media server.
//!
//! The element `wmspushsink` is the counterpart of the Windows Media Format SDK's writer push sink. It accepts the
//! output of `asfmux`, or any other ASF bytes, and speaks MS-WMHTTP, the Windows Media HTTP Push Distribution Protocol.
//! The README describes its use; this page describes its structure.
//!
//! ```text
//!   sink ────▶ push ────▶ wmhttp ─┬──▶ asf
//!   GStreamer  clock,     MS-     │    Advanced Systems Format
//!              sockets    WMHTTP  └──▶ auth
//!                                      HTTP authentication
//! ```
//!
//! Dependencies point one way. [`asf`], [`auth`] and [`wmhttp`] are plain state: bytes in, bytes out, without clock or
//! sockets. [`push`] adds both. It does not use GStreamer, and also serves Rust programs without it. The element itself
//! maps buffers to data units, paces them, and posts messages on the bus.
//!
//! | Windows Media Format SDK | here |
//! |---|---|
//! | `WMCreateWriterPushSink` | `gst_element_factory_make ("wmspushsink", NULL)`, or nothing: [`push::Connection`] |
//! | `IWMWriterPushSink` | [`push::Connection`] |
//! | `IWMWriterSink` | [`push::WriterSink`] |
//! | `IWMCredentialCallback` | [`push::StatusCallback::acquire_credentials`]; the signal `acquire-credentials` |
//! | `IWMStatusCallback` | [`push::StatusCallback`]; messages on the bus |

mod bin_element;
pub mod push;
mod sink;

pub use bin_element::WmsPushBin;
pub use plugin::plugin_desc::plugin_register_static;
pub use sink::{Leaky, SessionState, WmsPushSink};
#[doc(no_inline)]
pub use wmspush_proto::{asf, auth, wmhttp, wmsp};

/**
 * plugin-wmspush:
 *
 * Pushes live pictures and sound, or an ASF stream, to a publishing point of a Windows Media server (MS-WMHTTP).
 */
#[allow(missing_docs, reason = "the macro documents nothing")]
mod plugin {
    fn register(plugin: &gst::Plugin) -> Result<(), glib::BoolError> {
        crate::sink::register(plugin)?;
        crate::bin_element::register(plugin)
    }

    gst::plugin_define!(
        wmspush,
        env!("CARGO_PKG_DESCRIPTION"),
        register,
        concat!(env!("CARGO_PKG_VERSION"), "-", env!("COMMIT_ID")),
        "MPL-2.0",
        env!("CARGO_PKG_NAME"),
        env!("CARGO_PKG_NAME"),
        env!("CARGO_PKG_REPOSITORY"),
        env!("BUILD_REL_DATE")
    );
}
