// SPDX-License-Identifier: Apache-2.0
//! How each candidate is used: one file each, for this project and its peers.
//!
//! Each is used in the fastest way that its documented interface has: its codec without a stream, where
//! it is public; buffers that are reused; payloads that are shared, not copied; the checks of text in
//! the packages' own features. What could not be used like this is said in its file.

pub mod fastwebsockets;
pub mod sockudo_ws;
pub mod tokio_tungstenite;
pub mod tungstenite;
pub mod wss;
pub mod yawc;
