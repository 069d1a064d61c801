// SPDX-License-Identifier: MPL-2.0

//! Independent servers between the publishing point and viewers.
