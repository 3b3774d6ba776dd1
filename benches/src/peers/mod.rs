// SPDX-License-Identifier: Apache-2.0
//! The use of each candidate: a file for this project, and one for each peer.
//!
//! Each is used in the fastest way that its documented interface allows: its codec without a stream, if it is public;
//! buffers that are reused; payloads that are shared, not copied; text checks by the packages' own features. Its file
//! documents exceptions.

pub mod fastwebsockets;
pub mod sockudo_ws;
pub mod tokio_tungstenite;
pub mod tungstenite;
pub mod wss;
pub mod yawc;
