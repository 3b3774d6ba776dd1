// SPDX-License-Identifier: Apache-2.0
//! Compiles the implementation of `zephyr/port.h` on POSIX, which the tests in C have.

fn main() {
    let root = "../../..";
    let sources =
        ["zephyr_port.c", "host.c", "test.c"].map(|name| format!("{root}/tests/c/{name}"));
    for source in &sources {
        println!("cargo:rerun-if-changed={source}");
    }
    println!("cargo:rerun-if-changed={root}/zephyr/port.h");
    cc::Build::new()
        .files(&sources)
        .include(format!("{root}/include"))
        .define("_GNU_SOURCE", None)
        .std("c11")
        .warnings_into_errors(true)
        .compile("zephyr_port");
    println!("cargo:rustc-link-lib=pthread");
}
