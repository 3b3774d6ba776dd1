// SPDX-License-Identifier: Apache-2.0
//! The pages of the configuration.
#![allow(unsafe_code)]

use wss::Page;

use crate::abi::{self, ServerConfig};
use crate::config::{list, page};
use crate::error::Error;

/// The pages of a server, already checked.
#[derive(Clone, Copy)]
pub struct Pages(&'static [abi::Page]);

// SAFETY: C lends them, and what they point to, while a server is started with them, and does not change them.
unsafe impl Send for Pages {}
// SAFETY: as above.
unsafe impl Sync for Pages {}

impl Pages {
    /// No pages.
    pub const NONE: Self = Self(&[]);

    /// Reads the pages of a configuration.
    ///
    /// # Safety
    /// C passes as many pages as `page_count`. They, and what they point to, do not change while a server is started
    /// with them.
    pub unsafe fn of(config: &ServerConfig) -> Result<Self, Error> {
        // SAFETY: the caller guarantees it.
        let pages = unsafe { list(config.pages, config.page_count) }?;
        for given in pages {
            // SAFETY: the caller guarantees it.
            let page = unsafe { page(given) }?;
            page.check().map_err(|error| {
                log::error!("pages: {:?}: {error}", page.path);
                Error::BadArgument
            })?;
        }
        // Page numbers have 16 bits.
        match u16::try_from(pages.len()) {
            Ok(_) => Ok(Self(pages)),
            Err(_) => Err(Error::BadArgument),
        }
    }

    /// Returns a page, by its number.
    pub fn get(self, _place: usize, number: usize) -> Option<Page<'static>> {
        // SAFETY: see `of`.
        unsafe { page(self.0.get(number)?) }.ok()
    }
}
