//! The `SYS_WSS` interface in C, over the service.
//!
//! `include/wss/sys_wss.h` is the interface and its documentation; this crate is a static and a shared
//! library that have it. `unsafe` is in three files, each named after its reason: `ffi` (what C calls
//! and hands over), `callbacks` (what calls C) and `abi` (what both agree on).
//!
//! | file | job |
//! |---|---|
//! | `abi` | types and values of the header |
//! | `ffi` | the functions of the header; pointers become references here |
//! | `convert` | numbers become values of the service; failures become result codes |
//! | `callbacks` | functions and cookies that C registered |
//! | `events` | the service's application: events to the callback and the queues, the accept hook |
//! | `queue` | event queues |
//! | `handshake` | what clients asked for |
//! | `instance` | the one service: starting, ending, finding it |
//! | `platform` | what this host has and another port would bring: a port, locks, threads |
#![deny(unsafe_code)]

pub mod abi;
mod callbacks;
mod convert;
mod events;
pub mod ffi;
mod handshake;
mod instance;
mod platform;
mod queue;
