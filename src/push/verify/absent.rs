// SPDX-License-Identifier: MPL-2.0

//! Stands in for the player in a build without the feature `verify`.

use std::sync::Arc;

use super::sight::Sight;
use super::{Ask, Cause};
use crate::push::Settings;

/// Fails.
///
/// # Errors
///
/// [`Cause::NotBuilt`], always.
pub(super) async fn pull(_: Arc<Settings>, _: Ask, _: &mut Sight) -> Result<(), Cause> {
    Err(Cause::NotBuilt)
}
