// SPDX-License-Identifier: MPL-2.0

//! Both halves of MS-WMHTTP against each other, in memory: the server has to understand all outputs of the client.

mod access;
mod clients;
mod harness;
mod messages;
mod random;
mod requirements;
mod responses;
mod resumption;
mod session;
