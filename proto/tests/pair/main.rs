// SPDX-License-Identifier: MPL-2.0

//! Both halves of MS-WMHTTP against each other, in memory: what the client hands out, the server must understand.

mod access;
mod harness;
mod messages;
mod random;
mod requirements;
mod responses;
mod resumption;
mod session;
