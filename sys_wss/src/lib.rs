// SPDX-License-Identifier: Apache-2.0
//! The `SYS_WSS` interface in C, over the service.
//!
//! `include/wss/sys_wss.h` is the interface and its documentation. On a host this crate is a static and
//! a shared library that have it; on Zephyr, `zephyr/library` makes one of it. `unsafe` is in files
//! named after its reason: `ffi` (what C calls and hands over), `callbacks` (what calls C), `abi` (what
//! both agree on), and `queues`, with those of each platform (what C keeps).
//!
//! | file | job |
//! |---|---|
//! | `abi` | types and values of the header |
//! | `ffi` | the functions of the header; pointers become references here |
//! | `convert` | numbers become values of the service; failures become result codes |
//! | `c_text` | the texts of a request, ended by NUL |
//! | `callbacks` | functions and cookies that C registered |
//! | `events` | the service's application: events to the callback and the queues, the accept hook |
//! | `handshake` | what clients asked for |
//! | `instance` | the services: starting, ending, finding them |
//! | `queues` | event queues: their numbers, and their messages |
//! | `options` | how it is to be started |
//! | `platform` | what a host and Zephyr have, each in its own way: threads, memory, event queues |
#![cfg_attr(not(feature = "host"), no_std)]
#![deny(unsafe_code)]

pub mod abi;
mod c_text;
mod callbacks;
mod convert;
mod events;
pub mod ffi;
mod handshake;
mod instance;
mod options;
mod platform;
mod queues;
