//! Compiles the program for the kernel (`xdp/relay.c`) where clang is found. Without it the crate is built all the same: the
//! object is empty then, and why is told to whoever asks for it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

const SOURCE: &str = "xdp/relay.c";

fn main() {
    for line in ["rerun-if-changed=xdp", "rerun-if-env-changed=CLANG", "rerun-if-env-changed=PATH"] {
        println!("cargo::{line}");
    }
    let out = PathBuf::from(std::env::var_os("OUT_DIR").expect("cargo runs this"));
    let object = out.join("relay.o");
    let missing = compile(&object).err().unwrap_or_default();
    if !missing.is_empty() {
        std::fs::write(&object, []).expect("the folder is ours");
        println!("cargo::warning=built without the XDP fast path (turn.xdp): {}", first_line(&missing));
        watch_for_clang();
    }
    std::fs::write(out.join("relay.missing"), first_line(&missing)).expect("the folder is ours");
}

/// Once a program has been installed where programs are looked for, the next build tries again.
fn watch_for_clang() {
    let path = std::env::var_os("PATH").unwrap_or_default();
    for folder in std::env::split_paths(&path).filter(|folder| folder.is_dir()) {
        println!("cargo::rerun-if-changed={}", folder.display());
    }
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

/// Compiles, or says why not.
fn compile(object: &Path) -> Result<(), String> {
    let clang = std::env::var_os("CLANG").unwrap_or_else(|| OsString::from("clang"));
    let output = Command::new(&clang)
        .args(["-O2", "-g", "-Wall", "-Wextra", "-Werror", "-target", "bpf", "-ffile-prefix-map=xdp/="])
        .args(includes())
        .args(["-c", SOURCE, "-o"])
        .arg(object)
        .output()
        .map_err(|error| format!("{} was not there when it was built: {error}", clang.display()))?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.success() { Ok(()) } else { Err(said + "clang failed") }
}

/// Where Debian keeps the kernel's headers that differ by processor; other systems have them where clang looks.
fn includes() -> Vec<OsString> {
    let processor = std::env::var_os("CARGO_CFG_TARGET_ARCH").unwrap_or_default();
    let mut folder = OsString::from("-I/usr/include/");
    folder.push(processor);
    folder.push("-linux-gnu");
    vec![folder]
}
