// SPDX-License-Identifier: Apache-2.0
#![no_main]

libfuzzer_sys::fuzz_target!(|plan: wss_fuzz::service::Plan| wss_fuzz::service::check(&plan));
