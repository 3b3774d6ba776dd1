// SPDX-License-Identifier: Apache-2.0
//! Compresses the dashboard of the module. Every build of Zephyr has Python.

use std::path::PathBuf;
use std::process::Command;
use std::{env, fs};

const PACK: &str = "import gzip, sys
sys.stdout.buffer.write(gzip.compress(open(sys.argv[1], 'rb').read(), 9, mtime=0))";

fn main() {
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("set by Cargo"));
    let module = env::var_os("WSS_DIR").map_or("../..".into(), PathBuf::from);
    let page = module.join("pages/dashboard.html");
    println!("cargo:rerun-if-env-changed=WSS_DIR");
    println!("cargo:rerun-if-changed={}", page.display());
    let packed = Command::new("python3")
        .args(["-c", PACK])
        .arg(&page)
        .output();
    let packed = packed.expect("python3 can be run");
    let said = String::from_utf8_lossy(&packed.stderr);
    assert!(packed.status.success(), "{}: {said}", page.display());
    fs::write(out.join("dashboard.html.gz"), packed.stdout).expect("OUT_DIR can be written to");
}
