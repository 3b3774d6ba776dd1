// SPDX-License-Identifier: Apache-2.0
//! The origins that may connect.

use wss::Request;
use wss::protocol::{OriginMatch, check_origin};

use crate::error::Error;
use crate::platform;

/// Finds out whether a request may connect.
pub type CheckOrigin = fn(Origins, &Request<'_>) -> OriginMatch;

/// The origins that may connect.
#[derive(Clone, Copy)]
pub struct Origins {
    /// Separated by spaces; `None`: those of the build.
    list: Option<&'static str>,
    /// Without a list, only browsers of the server's own origin may connect.
    is_protected: bool,
}

impl Origins {
    /// Those of the build.
    pub const NONE: Self = Self {
        list: None,
        is_protected: false,
    };

    /// These origins, if each can match; `None`: those of the build.
    pub fn new(list: Option<&'static str>, is_protected: bool) -> Result<Self, Error> {
        for origin in list.unwrap_or_default().split_ascii_whitespace() {
            check_origin(origin).map_err(|error| {
                log::error!("the origin {origin} can never match: {error}");
                Error::BadArgument
            })?;
        }
        Ok(Self { list, is_protected })
    }

    /// Whether a request may connect.
    pub fn check(self, request: &Request<'_>) -> OriginMatch {
        let list = self.list.unwrap_or(platform::ORIGINS);
        match OriginMatch::of(request.origin(), list.split_ascii_whitespace()) {
            OriginMatch::NoList if self.is_protected && !request.is_same_origin() => {
                OriginMatch::Other
            }
            found => found,
        }
    }
}
