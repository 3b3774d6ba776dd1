// SPDX-License-Identifier: Apache-2.0
//! Admission of clients according to the configuration: origins and credentials.

use wss::Request;
use wss::protocol::{OriginMatch, check_origin};

use crate::error::Error;
use crate::platform;

/// The origins that may connect, with the function that checks them: a program without origins is linked without it.
#[derive(Clone, Copy)]
pub struct Origins {
    check: fn(Self, &Request<'_>) -> OriginMatch,
    /// Origins, separated by spaces; `None`: those of the build.
    list: Option<&'static str>,
    // Without a separate flag: `None` is all zeros, as everything in static memory must be.
}

impl Origins {
    /// The origins of the build.
    pub const OF_BUILD: Self = Self {
        check: Self::find,
        list: None,
    };

    /// Creates a list of origins, if each can match a request; `None`: those of the build. Without a list, a server
    /// that `is_protected` accepts only browsers of its own origin.
    pub fn new(list: Option<&'static str>, is_protected: bool) -> Result<Self, Error> {
        for origin in list.unwrap_or_default().split_ascii_whitespace() {
            check_origin(origin).map_err(|error| {
                log::error!("the origin {origin} can never match: {error}");
                Error::BadArgument
            })?;
        }
        let check = if is_protected {
            Self::find_protected
        } else {
            Self::find
        };
        Ok(Self { check, list })
    }

    /// Compares the origin of a request with the list.
    pub fn check(self, request: &Request<'_>) -> OriginMatch {
        (self.check)(self, request)
    }

    fn find(self, request: &Request<'_>) -> OriginMatch {
        let list = self.list.unwrap_or(platform::ORIGINS);
        OriginMatch::of(request.origin(), list.split_ascii_whitespace())
    }

    fn find_protected(self, request: &Request<'_>) -> OriginMatch {
        match self.find(request) {
            OriginMatch::NoList if !request.is_same_origin() => OriginMatch::Other,
            found => found,
        }
    }
}

/// The credentials of the configuration, with the function that checks them: a program without any is linked without
/// it.
#[derive(Clone, Copy)]
pub struct Login {
    check: fn(Self, &Request<'_>) -> bool,
    basic: Option<(&'static str, &'static str)>,
    token: Option<&'static str>,
}

impl Login {
    /// Creates credentials: a user with a password, a token, or both; `None` if there are none. A user without a
    /// password, a password without a user, and a user with a colon, which cannot log in (RFC 7617 section 2), are
    /// errors.
    pub fn new(
        user: Option<&'static str>,
        password: Option<&'static str>,
        token: Option<&'static str>,
    ) -> Result<Option<Self>, Error> {
        let basic = match (user, password) {
            (Some(user), Some(password)) if !user.contains(':') => Some((user, password)),
            (None, None) => None,
            _ => {
                log::error!("user and password need each other, and a user has no colon");
                return Err(Error::BadArgument);
            }
        };
        if token.is_some_and(str::is_empty) {
            log::error!("the token is empty");
            return Err(Error::BadArgument);
        }
        let is_any = basic.is_some() || token.is_some();
        Ok(is_any.then_some(Self {
            check: Self::is_satisfied_by,
            basic,
            token,
        }))
    }

    /// Returns whether a request has the credentials.
    pub fn admits(self, request: &Request<'_>) -> bool {
        (self.check)(self, request)
    }

    fn is_satisfied_by(self, request: &Request<'_>) -> bool {
        let is_basic = self
            .basic
            .is_some_and(|(user, password)| request.is_basic(user, password));
        let has_token = self.token.is_some_and(|token| {
            // A browser cannot add a header field to a WebSocket request.
            request.is_bearer(token) | request.is_query_param(TOKEN, token)
        });
        is_basic | has_token
    }
}

/// The query parameter for the token.
const TOKEN: &str = "token";

/// The header field for credentials.
pub const AUTHORIZATION: &str = "Authorization";
