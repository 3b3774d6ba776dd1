// SPDX-License-Identifier: Apache-2.0
//! The pages of `WSS_PAGE_DEFINE`, which the linker collects.
#![allow(unsafe_code)]

use wss::Page;
use wss_zephyr::kconfig;

use crate::abi::{self, ServerConfig};
use crate::config::page;
use crate::error::Error;

unsafe extern "C" {
    /// Only with `CONFIG_WSS_PAGES`.
    safe fn wss_port_page(server: usize, number: usize) -> *const abi::Page;
}

/// The pages of every server.
#[derive(Clone, Copy)]
pub struct Pages;

impl Pages {
    /// A configuration has no pages here.
    pub const NONE: Self = Self;

    /// Returns the pages of a configuration: none.
    ///
    /// # Safety
    /// None required.
    pub const unsafe fn of(_config: &ServerConfig) -> Result<Self, Error> {
        Ok(Self)
    }

    /// Returns a page of the server at `place`, by its number.
    pub fn get(self, place: usize, number: usize) -> Option<Page<'static>> {
        if !kconfig::PAGES {
            return None;
        }
        // SAFETY: it is NULL, or a constant among others.
        let found = unsafe { wss_port_page(place, number).as_ref() }?;
        // SAFETY: all of it is constant.
        unsafe { page(found) }.ok()
    }

    /// Checks the pages of the server at `place`.
    pub fn are_valid(self, place: usize) -> bool {
        if !kconfig::PAGES {
            return true;
        }
        let mut number = 0;
        loop {
            // SAFETY: as in `get`.
            let Some(found) = (unsafe { wss_port_page(place, number).as_ref() }) else {
                return true;
            };
            // SAFETY: as in `get`.
            let page = unsafe { page(found) };
            if !page.is_ok_and(|page| page.check().is_ok()) {
                log::error!("page {number} of server {place} is not valid: see struct wss_page");
                return false;
            }
            number += 1;
        }
    }
}
